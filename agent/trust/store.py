"""What every place that keeps trust has in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.trust.authority import Authority


@dataclass(frozen=True, slots=True)
class FoundAuthority:
    """A certificate of ours in a store.

    Attributes:
        trusted: whether the store's programs accept what it signed for web servers.
        key: how the store calls it: a nickname or a file.
    """

    authority: Authority
    trusted: bool
    key: str = ""


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    """What the system is about to ask the person, so that it does not come as a surprise."""

    zh: str
    en: str


class TrustStore(Protocol):
    """A place that keeps trust: a browser's database, a keychain, the system's folder.

    Every method may raise AgentError (`trust.*`) or OSError.

    Attributes:
        name: what people call it.
        location: the file, folder or store itself.
        programs: who looks there.
        browsers: whether any of them is a browser, so that portals depend on it.
        shared: whether other users of the machine have certificates here too.
    """

    name: str
    location: str
    programs: tuple[str, ...]
    browsers: bool = True
    shared: bool = False

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return every certificate of ours; nothing is changed or made."""
        ...

    def add(self, authority: Authority, file: Path) -> None:
        """Have it trusted for web servers and for nothing else.

        Args:
            authority: the certificate.
            file: where it lies as PEM.
        """
        ...

    def remove(self, found: FoundAuthority) -> None:
        """Take out what `find` found."""
        ...

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        """Return what the system will ask at the next `add`, or `remove`; None when it asks nothing."""
        return None
