"""The login keychain of macOS, where Safari, Chrome, Edge and Firefox look.

macOS asks the person for their password or Touch ID before trust changes; no program can answer for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.trust.authority import Authority, authorities, certificates
from agent.trust.machine import PROMPT_SECONDS, SECONDS, Machine
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore

TOOL: Final = "/usr/bin/security"
_NAME: Final = "localhost CA"
# errAuthorizationCanceled and errSecUserCanceled in words; the exit code is 1 for everything.
_DECLINED: Final = ("canceled by the user", "User canceled", "user interaction was cancelled")


class LoginKeychain(TrustStore):
    """The user's keychain and the user's trust settings, changed by `security`."""

    name = "macOS"
    programs = ("Safari", "Chrome", "Edge")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.location = str(machine.home / "Library" / "Keychains" / "login.keychain-db")

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of ours, and whether the trust settings name them."""
        listed = self._machine.run(
            [TOOL, "find-certificate", "-a", "-p", "-c", _NAME, self.location], b"", 60
        )
        ours = authorities(certificates(listed.output))
        if not ours:
            return ()
        # It fails where nobody ever changed a trust setting, which is an answer too.
        settings = self._machine.run([TOOL, "dump-trust-settings"], b"", SECONDS).output.decode(
            "utf-8", "replace"
        )
        names = {line.partition(":")[2].strip() for line in settings.splitlines() if line.startswith("Cert ")}
        return tuple(FoundAuthority(authority, authority.name in names) for authority in ours)

    def add(self, authority: Authority, file: Path) -> None:
        """Put it into the login keychain and trust it for TLS alone."""
        self._security("add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", self.location, str(file))

    def remove(self, found: FoundAuthority) -> None:
        """Delete it with its trust settings."""
        self._security("delete-certificate", "-Z", found.authority.sha1, "-t", self.location)

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        """MacOS asks both times."""
        change = ("信任", "trust") if adding else ("移除", "remove")
        return SystemPrompt(
            f"macOS 會要求您輸入登入密碼或使用 Touch ID，以{change[0]}這個憑證。",
            f"macOS will ask for your login password or Touch ID, to {change[1]} this certificate.",
        )

    def _security(self, *words: str) -> None:
        outcome = self._machine.run([TOOL, *words], b"", PROMPT_SECONDS)
        if outcome.status == 0:
            return
        if any(word in outcome.errors.decode("utf-8", "replace") for word in _DECLINED):
            raise AgentError(ErrorId.TRUST_DECLINED, detail=self.name)
        raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"security: {outcome.words}")
