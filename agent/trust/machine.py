"""The machine as trust stores need it: whose home, which programs, and how one is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.environment import Child, environment_of
from agent.errors import AgentError, ErrorId
from agent.processes import find

SECONDS: Final = 60.0
PROMPT_SECONDS: Final = 300.0
"""For commands after which the system asks the person something."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program said.

    Attributes:
        status: its exit code; on Windows 0 to 2³²-1.
    """

    status: int
    output: bytes
    errors: bytes

    @property
    def words(self) -> str:
        """What it complained of: its last line on standard error, else on standard output."""
        said = (self.errors.strip() or self.output.strip()).decode("utf-8", "replace").splitlines()
        return said[-1].strip() if said else f"exit code {self.status}"


Run = Callable[[Sequence[str], bytes, float], Outcome]
"""A program and its words, its standard input, and the seconds it may take."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose trust is looked after, and with what.

    Attributes:
        platform: as `sys.platform`.
        home: the home folder of this user.
        environment: as `os.environ`.
        user: the effective user id; on Windows 0 for an administrator, else None.
        find: the full path of a program, None when it is not installed.
        run: runs it.
        windows_roots: the DER certificates of Windows' root store of this user.
        root: where the system's folders start.
    """

    platform: str
    home: Path
    environment: Mapping[str, str]
    user: int | None
    find: Callable[[str], str | None]
    run: Run
    windows_roots: Callable[[], Sequence[bytes]]
    root: Path = Path("/")

    @classmethod
    def this(cls) -> Machine:
        """Return this machine, for the user who runs this program."""
        if sys.platform == "win32":
            from agent.win32.acl import is_administrator

            user = 0 if is_administrator() else None
        else:
            user = os.geteuid()
        return cls(sys.platform, Path.home(), os.environ, user, find, _run, _windows_roots)

    def tool(self, name: str) -> str:
        """Return the full path of a program.

        Raises:
            AgentError: `trust.tool_missing`.
        """
        found = self.find(name)
        if found is None:
            raise AgentError(ErrorId.TRUST_TOOL_MISSING, detail=name)
        return found

    def call(self, command: Sequence[str], given: bytes = b"", seconds: float = SECONDS) -> bytes:
        """Run a program, which must succeed; return what it printed.

        Raises:
            AgentError: `trust.tool_failed`; its detail is what the program complained of.
        """
        outcome = self.run(command, given, seconds)
        if outcome.status != 0:
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"{Path(command[0]).name}: {outcome.words}")
        return outcome.output

    def owns(self, folder: Path) -> bool:
        """Return whether `folder`, or the nearest folder above it that exists, is this user's."""
        if self.platform == "win32":
            return True  # Windows keeps other users' profiles closed
        for each in (folder, *folder.parents):
            try:
                return each.stat().st_uid == self.user
            except OSError:
                continue
        return False


def _run(command: Sequence[str], given: bytes, seconds: float) -> Outcome:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=given,
            capture_output=True,
            check=False,
            timeout=seconds,
            env={**environment_of(Child.TOOL), "LC_ALL": "C"},
            start_new_session=True,  # without a terminal, nothing can wait there for a password unseen
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # no black window beside Windows' own
        )
    except subprocess.TimeoutExpired:
        raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"{Path(command[0]).name}: no answer") from None
    return Outcome(done.returncode, done.stdout, done.stderr)


def _windows_roots() -> Sequence[bytes]:
    if sys.platform == "win32":
        import ssl

        return [der for der, encoding, _ in ssl.enum_certificates("ROOT") if encoding == "x509_asn"]
    raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail="not Windows")
