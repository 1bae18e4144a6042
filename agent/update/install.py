"""Installing a checked package by the administrator's own command, and by nobody else."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.environment import Child, environment_of
from agent.errors import AgentError, ErrorId
from agent.update.administrator import is_administrator, is_administrators
from agent.update.repository import root_file

if TYPE_CHECKING:
    from agent.config import UpdateSettings
    from agent.paths import Paths

_PLACE: Final = "{file}"
_SECONDS: Final = 3600.0
# Named, because sudo may keep the variable that says where a person's temporary files are.
_TEMPORARY: Final = "/var/tmp" if os.name == "posix" else None  # noqa: S108


def check_may_install(settings: UpdateSettings, paths: Paths) -> None:
    """Return if this process may install, and what it would rest on is the administrator's alone.

    Raises:
        AgentError: update.no_command, update.needs_administrator, update.not_safe.
    """
    if not settings.install_command:
        raise AgentError(ErrorId.UPDATE_NO_COMMAND)
    if not is_administrator():
        raise AgentError(ErrorId.UPDATE_NEEDS_ADMINISTRATOR)
    # Where there is no policy.toml, the command stands in group policy, which is the administrator's.
    policy = [paths.policy] if paths.policy.exists() else []
    for file in (*policy, root_file(settings, paths), Path(settings.install_command[0])):
        try:
            safe = is_administrators(file)
        except OSError:
            safe = False
        if not safe:
            raise AgentError(ErrorId.UPDATE_NOT_SAFE, detail=str(file))


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that this process alone can change, and remove it afterwards.

    The agent's own folder will not do: where sudo keeps the person's home, it is the person's, who could put
    another package in the place of the checked one.
    """
    with tempfile.TemporaryDirectory(prefix="hca-agent-", dir=_TEMPORARY) as folder:  # mode 0700
        yield Path(folder)


def run_installer(settings: UpdateSettings, file: Path) -> None:
    """Run the administrator's command for a checked package in a `private_folder`.

    Raises:
        AgentError: update.install_failed.
    """
    words = [str(file) if word == _PLACE else word for word in settings.install_command]
    try:
        done = subprocess.run(  # noqa: S603  (the administrator's words; see check_may_install)
            words,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env=environment_of(Child.INSTALLER),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(ErrorId.UPDATE_INSTALL_FAILED, detail=type(error).__name__) from error
    if done.returncode:
        raise AgentError(ErrorId.UPDATE_INSTALL_FAILED, detail=f"{words[0]}: {done.returncode}")
