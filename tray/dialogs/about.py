"""Which program this is: what users of the old component look for after a double click on its icon."""

from __future__ import annotations

from agent.interaction.dialog_messages import About
from tray.dialogs.frame import Window


class AboutWindow(Window[About]):
    """The version, and what this is compatible with."""

    asks = False

    def headline(self) -> tuple[str, str]:
        """Return the version and what the program is."""
        return (
            f"HCA Card Agent {self.content.version}",
            self.look.words(
                "健康照護網站與您卡片之間的開放程式", "The open program between health portals and your card"
            ),
        )

    def fill(self) -> None:
        """Show compatibility, help and licence."""
        compatible = self.content.compatible
        panel = self.panel()
        self.label(f"相容 {compatible}", "Strong", on=panel)
        self.both(
            "代替 HCA 跨平台網頁元件；網站可以照舊使用。",
            f"Compatible with {compatible}: portals work as before.",
            "Muted",
            above=4,
            on=panel,
        )
        self.both(
            "卡片問題、忘記 PIN 碼或鎖卡：hca.nat.gov.tw，0800-364-422",
            "Card trouble, forgotten PIN, locked card: hca.nat.gov.tw, 0800-364-422",
            "Muted",
            above=14,
        )
        self.label("Apache License 2.0", "Muted", above=8)
        self.first = self.button("關閉 Close", "c", self.close, main=True)
