"""What root does once for every user of a machine: an identity of the machine, and trust in it.

The packages call it when they are installed, and once a month after that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent import tls
from agent.errors import AgentError, ErrorId
from agent.trust.authority import OwnAuthorities, own_authorities
from agent.trust.installation import StoreReport, install, remove
from agent.trust.machine import Machine
from agent.trust.stores import stores_of_all_users

FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644
"""Each user's own agent shows this identity, so each user reads its key; see docs/packages-linux.md."""


def set_up(
    folder: Path, machine: Machine, *, renew: bool = False
) -> tuple[OwnAuthorities, tuple[StoreReport, ...]]:
    """Make the identity, or renew it in time, and have it trusted for every user.

    The folder's owner, group and mode are the administrator's to change and stay as they are.

    Args:
        folder: the machine's TLS folder.
        machine: this one.
        renew: make a new one in any case.

    Raises:
        AgentError: `trust.needs_root`.
        OSError: the folder cannot be written.
    """
    _demand_root(machine, "install")
    if machine.platform == "win32":
        from agent.win32.acl import make_for_all_users

        make_for_all_users(folder.parent)  # what is made in it is as the folder is
    if not folder.is_dir():
        folder.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE)
        folder.chmod(FOLDER_MODE)  # whatever umask root has
    tls.ensure(folder, renew=renew)
    for name in (tls.CA, tls.LEAF, tls.KEY, tls.FORMER):
        with suppress(FileNotFoundError):
            _let_read(folder / name)
    ours = own_authorities(folder)
    return ours, install(stores_of_all_users(machine), ours, lambda _: None)


def take_down(folder: Path, machine: Machine) -> tuple[OwnAuthorities, tuple[StoreReport, ...]]:
    """Take it out of every store again, and delete it.

    Raises:
        AgentError: `trust.needs_root`.
        OSError: the files cannot be deleted.
    """
    _demand_root(machine, "remove")
    ours = own_authorities(folder)
    rows = remove(stores_of_all_users(machine), ours, lambda _: None)
    if all(row.clean for row in rows):
        for name in (tls.KEY, tls.LEAF, tls.CA, tls.FORMER):
            (folder / name).unlink(missing_ok=True)
    return ours, rows


def _let_read(file: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(
        file, os.O_RDONLY | os.O_NOFOLLOW
    )  # whoever may write in the folder could make links
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def _demand_root(machine: Machine, order: str) -> None:
    if machine.user != 0:
        raise AgentError(ErrorId.TRUST_NEEDS_ROOT, detail=f"sudo hca-agent trust {order} --machine")
