"""Where the agent keeps its few files; `HCA_AGENT_HOME` moves all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent import path_safety
from agent.errors import AgentError, ErrorId

HOME_VARIABLE: Final = "HCA_AGENT_HOME"
_NAME: Final = "hca-agent"


def demand_own_way(path: Path) -> None:
    """Refuse to write where somebody else decides, if this is root (POSIX): a user's home, or behind a link.

    What others can write or link, they can also exchange while root is at work there.

    Args:
        path: absolute; need not be there.

    Raises:
        AgentError: folder.not_yours.
        OSError: the way there cannot be looked at.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    for place in path_safety.places_of(there):
        with suppress(FileNotFoundError):  # a link that leads nowhere is found with the link itself
            if place.lstat().st_uid != 0 or path_safety.others_can_write(place, near=False):
                raise AgentError(ErrorId.FOLDER_NOT_YOURS, detail=str(place))


def _close(folder: Path) -> None:
    """Take from others what they may do with the user's own folder; never by way of a link."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or (folder.is_symlink() and status.st_mode & 0o022):
        raise AgentError(ErrorId.FOLDER_NOT_YOURS, detail=str(folder))
    if not status.st_mode & 0o077 or folder.is_symlink():
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o700)
    except PermissionError as error:  # it is this user's: a disk that knows no modes, as vfat (mount(8))
        raise AgentError(ErrorId.FOLDER_NOT_PRIVATE, detail=str(folder)) from error
    finally:
        os.close(descriptor)


class _Below:
    """A file or folder with a fixed name, below the user's folder or the administrator's."""

    def __init__(self, name: str, *, machine: bool = False) -> None:
        self._name = name
        self._machine = machine

    def __get__(self, paths: Paths, _owner: type[Paths]) -> Path:
        return (paths.machine if self._machine else paths.home) / self._name


@dataclass(frozen=True, slots=True)
class Paths:
    """The agent's folder, one per user, and the administrator's, one per machine.

    Attributes:
        home: the user's folder; only the user can read it.
        machine: the folder of the administrator's file; the user can only read it.
    """

    home: Path
    machine: Path

    config = _Below("config.toml")
    """The user's configuration."""
    policy = _Below("policy.toml", machine=True)
    """The administrator's configuration, which wins."""
    profiles = _Below("profiles")
    """The folder of the user's card profiles."""
    machine_profiles = _Below("profiles", machine=True)
    """The folder of the administrator's card profiles, beside `policy`."""
    answers = _Below("answers.json")
    """What the person answered for each origin."""
    audit = _Below("audit.jsonl")
    """The audit log, one JSON object a line."""
    token = _Below("token")
    """The per-user token of local programs."""
    queue = _Below("queue.sqlite")
    """The journal of records that wait to be signed."""
    signed_records = _Below("signed-records")
    """The folder of records that were signed, where the configuration names none."""
    tls = _Below("tls")
    """The folder of the agent's TLS certificate and key."""
    standing = _Below("standing")
    """The folder of what authorities said of certificates, kept while it holds."""
    log = _Below("hca-agent.log")
    """What the daemon says of itself."""
    update = _Below("update")
    """The folder of what is known about newer versions."""
    simulator = _Below("simulator")
    """The folder of the simulator's own CA."""

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> Paths:
        """Return the folders of this user and machine.

        Args:
            environment: `os.environ` when None. With `HCA_AGENT_HOME` set, both folders are that one.
        """
        moved = (os.environ if environment is None else environment).get(HOME_VARIABLE, "")
        if moved:
            home = Path(moved).expanduser().absolute()
            return cls(home, home)
        import platformdirs

        machine = cls.usual_machine()
        if sys.platform == "win32":
            from agent.win32 import policy

            machine = policy.folder(machine)
        return cls(platformdirs.user_data_path(_NAME, appauthor=False), machine)

    @staticmethod
    def usual_machine() -> Path:
        """Where the administrator's folder is to be, whoever may have made it."""
        import platformdirs

        # On Linux XDG_CONFIG_DIRS would say where, and that is the user's to set.
        linux = sys.platform == "linux"
        return Path("/etc", _NAME) if linux else platformdirs.site_config_path(_NAME, appauthor=False)

    def make(self) -> Paths:
        """Create the user's folder, readable by the user alone (0700).

        Everything that this program writes lies in it, so it must be this user's, and nobody else may say
        where it lies. A folder that a link leads to is used as it is, or refused.

        Raises:
            AgentError: folder.not_yours, folder.not_private, folder.unusable.
        """
        try:
            if sys.platform == "win32":
                from agent.win32 import acl

                self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
                acl.keep_private(self.home)
            else:
                demand_own_way(self.home)
                self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
                _close(self.home)
        except OSError as error:
            detail = f"{self.home}: {error.strerror or error}"
            raise AgentError(ErrorId.FOLDER_UNUSABLE, detail=detail) from error
        return self

    @property
    def machine_tls(self) -> Path | None:
        """The folder of the identity that root made for every user; None where all folders were moved."""
        return self.machine / "tls" if self.machine != self.home else None
