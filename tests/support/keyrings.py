"""A keyring in memory, for PINs that are kept for work nobody attends."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FakeKeyring:
    """A keyring in memory."""

    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    fails: bool = False
    priority = 5

    def get_password(self, service: str, name: str) -> str | None:
        if self.fails:
            raise RuntimeError(f"locked, and by the way: {self.kept}")
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        if self.fails:
            raise RuntimeError(password)
        self.kept[service, name] = password

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]
