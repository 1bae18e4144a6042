"""Where the agent keeps its few files; `HCA_AGENT_HOME` moves all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "HCA_AGENT_HOME"
_NAME: Final = "hca-agent"


@dataclass(frozen=True, slots=True)
class Paths:
    """The agent's folder, one per user, and the administrator's, one per machine.

    Attributes:
        home: the user's folder; only the user can read it.
        machine: the folder of the administrator's file; the user can only read it.
    """

    home: Path
    machine: Path

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

        Raises:
            OSError: it cannot be created.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "posix" and self.home.stat().st_mode & 0o077:
            self.home.chmod(0o700)
        elif sys.platform == "win32":
            from agent.win32 import acl

            acl.keep_private(self.home)
        return self

    @property
    def config(self) -> Path:
        """The user's configuration."""
        return self.home / "config.toml"

    @property
    def policy(self) -> Path:
        """The administrator's configuration, which wins."""
        return self.machine / "policy.toml"

    @property
    def profiles(self) -> Path:
        """The folder of the user's card profiles."""
        return self.home / "profiles"

    @property
    def machine_profiles(self) -> Path:
        """The folder of the administrator's card profiles, beside `policy`."""
        return self.machine / "profiles"

    @property
    def answers(self) -> Path:
        """What the person answered for each origin."""
        return self.home / "answers.json"

    @property
    def audit(self) -> Path:
        """The audit log, one JSON object a line."""
        return self.home / "audit.jsonl"

    @property
    def token(self) -> Path:
        """The per-user token of local programs."""
        return self.home / "token"

    @property
    def tls(self) -> Path:
        """The folder of the agent's TLS certificate and key."""
        return self.home / "tls"

    @property
    def machine_tls(self) -> Path | None:
        """The folder of the identity that root made for every user; None where all folders were moved."""
        return self.machine / "tls" if self.machine != self.home else None

    @property
    def standing(self) -> Path:
        """The folder of what authorities said of certificates, kept while it holds."""
        return self.home / "standing"

    @property
    def log(self) -> Path:
        """What the daemon says of itself."""
        return self.home / "hca-agent.log"

    @property
    def update(self) -> Path:
        """The folder of what is known about newer versions."""
        return self.home / "update"

    @property
    def simulator(self) -> Path:
        """The folder of the simulator's own CA."""
        return self.home / "simulator"
