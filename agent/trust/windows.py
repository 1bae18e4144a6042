"""The root stores of Windows, where Edge, Chrome and Firefox look: the user's, and the machine's.

Windows itself asks the person before a root is added to or deleted from the user's; no program can answer for
them. The machine's is an administrator's, who is not asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, ErrorId
from agent.trust.authority import Authority, authorities
from agent.trust.machine import PROMPT_SECONDS, Machine
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore
from agent.win32 import root_store

ERROR_CANCELLED: Final = 0x800704C7
"""HRESULT of ERROR_CANCELLED (winerror.h): the person answered no."""


class UserRootStore(TrustStore):
    """The current user's `Root`, changed by the certutil.exe that Windows brings."""

    name = "Windows"
    location = r"Cert:\CurrentUser\Root"
    programs = ("Edge", "Chrome")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        # Its full path: the certutil of NSS has the same name and may come first on the path.
        windows = machine.environment.get("SYSTEMROOT", r"C:\Windows")
        self._tool = rf"{windows}\System32\certutil.exe"

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of ours; whatever is in this store is trusted."""
        return tuple(
            FoundAuthority(each, trusted=True) for each in authorities(self._machine.windows_roots())
        )

    def add(self, authority: Authority, file: Path) -> None:
        """Add it; Windows shows the person its thumbprint and asks."""
        self._certutil("-addstore", "Root", str(file))

    def remove(self, found: FoundAuthority) -> None:
        """Delete it by its thumbprint; Windows asks again."""
        self._certutil("-delstore", "Root", found.authority.sha1)

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        """Windows asks both times."""
        if adding:
            return SystemPrompt(
                "Windows 會顯示「安全性警告」視窗，問您是否要安裝這個憑證；請按「是」。",
                "Windows will show a Security Warning and ask whether to install this certificate;"
                " choose Yes.",
            )
        return SystemPrompt(
            "Windows 會顯示「根憑證存放區」視窗，問您是否要刪除這個憑證；請按「是」。",
            "Windows will show a Root Certificate Store window and ask whether to delete this certificate;"
            " choose Yes.",
        )

    def _certutil(self, *words: str) -> None:
        outcome = self._machine.run([self._tool, "-user", *words], b"", PROMPT_SECONDS)
        if outcome.status & 0xFFFFFFFF == ERROR_CANCELLED:
            raise AgentError(ErrorId.TRUST_DECLINED, detail=self.name)
        if outcome.status != 0:
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"certutil.exe: {outcome.words}")


class MachineRootStore(TrustStore):
    """The local machine's `Root`, which every user's programs trust."""

    name = "Windows"
    location = r"Cert:\LocalMachine\Root"
    programs = ("Edge", "Chrome", "Firefox")
    shared = True

    def __init__(self, roots: Any = root_store) -> None:
        self._roots = roots

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of ours."""
        return tuple(FoundAuthority(each, trusted=True) for each in authorities(self._roots.roots()))

    def add(self, authority: Authority, file: Path) -> None:
        """Add it."""
        self._roots.add(authority.der)

    def remove(self, found: FoundAuthority) -> None:
        """Delete it."""
        self._roots.delete(found.authority.der)
