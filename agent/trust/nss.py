"""An NSS database, which Chromium on Linux and every Firefox keep: `certutil` of NSS reads and writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.trust.authority import Authority, read
from agent.trust.machine import SECONDS, Machine
from agent.trust.store import FoundAuthority, TrustStore

TOOL: Final = "certutil"
TRUSTED_FOR_SERVERS: Final = "C,,"
"""Trusted to issue server certificates; nothing for mail and nothing for code."""

_FILE: Final = "cert9.db"
_LINE: Final = re.compile(r"(?P<nickname>.*\S)\s+(?P<trust>[pPcCTuw]*),[pPcCTuw]*,[pPcCTuw]*\s*")
_FILES: Final = (_FILE, "key4.db", "pkcs11.txt")
MADE: Final = "made-by-hca-agent"
"""The mark in a database that this program made: its owner's browser uses another place once it is gone."""

_LIBRARY: Final = re.compile(r"^library=(.*)$", re.MULTILINE)
# What certutil says when a database has a password, which is asked for nowhere but in the browser.
_LOCKED: Final = ("SEC_ERROR_BAD_PASSWORD", "SEC_ERROR_TOKEN_NOT_LOGGED_IN", "SEC_ERROR_NEED_PASSWORD")


class NssDatabase(TrustStore):
    """One database of this user; made when it is missing and something is to be added.

    Args:
        machine: whose it is.
        folder: where `cert9.db` lies or will lie.
        name: what people call it.
        programs: who looks there.
        goes: whether one that this program made is deleted once it is empty.
    """

    def __init__(
        self, machine: Machine, folder: Path, name: str, programs: tuple[str, ...], *, goes: bool = False
    ) -> None:
        self.name = name
        self.location = str(folder)
        self.programs = programs
        self._machine = machine
        self._folder = folder
        self._goes = goes

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return every certificate of ours, under whatever nickname it was put there."""
        if not (self._folder / _FILE).exists():
            return ()
        self._check_owner()
        return tuple(self._ours())

    def add(self, authority: Authority, file: Path) -> None:
        """Trust it for web servers; a database with a primary password is left as it was."""
        self._check_changeable()
        if not (self._folder / _FILE).exists():
            self._machine.tool(TOOL)  # before a folder is made that nobody would fill
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._certutil("-N", "--empty-password")
            if self._goes:
                (self._folder / MADE).touch()
        present = [found.key for found in self.find() if found.authority == authority]
        try:
            if present:
                self._certutil("-M", "-n", present[0], "-t", TRUSTED_FOR_SERVERS)
            else:
                self._certutil(
                    "-A", "-n", authority.name, "-t", TRUSTED_FOR_SERVERS, "-a", given=authority.pem
                )
        except AgentError as error:
            if not present:
                # Without the password certutil stores the certificate and fails at trusting it.
                with suppress(AgentError):
                    self._certutil("-D", "-n", authority.name)
            raise _judged(error, file) from error

    def remove(self, found: FoundAuthority) -> None:
        """Delete it by its nickname."""
        self._check_changeable()
        try:
            self._certutil("-D", "-n", found.key)
        except AgentError as error:
            raise _judged(error, self._folder) from error
        if self._goes and (self._folder / MADE).exists() and self._is_empty():
            for name in (MADE, *_FILES):
                (self._folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # somebody put more there
                self._folder.rmdir()
                self._folder.parent.rmdir()

    def _is_empty(self) -> bool:
        """Return whether nobody has put a certificate, a key or a module there."""
        if any(map(_LINE.fullmatch, os.fsdecode(self._certutil("-L")).splitlines())):
            return False
        keys = self._machine.run(self._command("-K"), b"", SECONDS)
        if b"no keys found" not in keys.output + keys.errors:
            return False
        modules = (self._folder / "pkcs11.txt").read_text("utf-8", "replace")
        return not any(named.strip() for named in _LIBRARY.findall(modules))

    def _ours(self) -> Iterator[FoundAuthority]:
        listing = os.fsdecode(self._certutil("-L"))
        for line in listing.splitlines():
            if shown := _LINE.fullmatch(line):
                nickname = shown["nickname"]
                # One that certutil lists and then does not find must not hide the others.
                outcome = self._machine.run(self._command("-L", "-n", nickname, "-r"), b"", SECONDS)
                authority = read(outcome.output)
                if authority is not None:
                    yield FoundAuthority(authority, "C" in shown["trust"], nickname)

    def _certutil(self, *words: str, given: bytes = b"") -> bytes:
        return self._machine.call(self._command(*words), given)

    def _command(self, *words: str) -> list[str]:
        # `sql:` is said although it is the default: NSS_DEFAULT_DB_TYPE could say otherwise.
        return [self._machine.tool(TOOL), "-d", f"sql:{self._folder}", *words]

    def _check_owner(self) -> None:
        # Each file of its own: one may be a link to somebody else's.
        if not all(self._machine.owns(each) for each in (self._folder, *map(self._folder.joinpath, _FILES))):
            raise AgentError(ErrorId.TRUST_NOT_YOURS, detail=self.location)

    def _check_changeable(self) -> None:
        self._check_owner()
        for each in (self._folder, *map(self._folder.joinpath, _FILES)):
            # A link that leads nowhere would have certutil make its target, wherever that is.
            if each.is_symlink() and not each.exists():
                raise AgentError(ErrorId.TRUST_READ_ONLY, detail=str(each))
            if each.exists() and not os.access(each, os.W_OK):
                raise AgentError(ErrorId.TRUST_READ_ONLY, detail=str(each))


def _judged(error: AgentError, place: Path) -> AgentError:
    """Return what kept certutil from changing the database."""
    if any(word in str(error.facts.get("detail")) for word in _LOCKED):
        return AgentError(ErrorId.TRUST_LOCKED, detail=str(place))
    return error
