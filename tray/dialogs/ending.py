"""Shall this program end? Another program can use the icon's menu, but not press a button here."""

from __future__ import annotations

from agent.interaction import ConsentReply
from agent.interaction.dialog_messages import Decided, Ending
from tray.dialogs.frame import Window


class EndingWindow(Window[Ending]):
    """What ends with it, and two buttons; Enter is no."""

    def headline(self) -> tuple[str, str]:
        """Return the question."""
        if self.content.again:
            return "要重新啟動 HCA Card Agent 嗎？", "Restart HCA Card Agent?"
        return "要結束 HCA Card Agent 嗎？", "Quit HCA Card Agent?"

    def fill(self) -> None:
        """Show what portals lose by it."""
        self.both(
            "正在進行的登入與簽章會中斷。", "A log-in or signature that is under way is broken off.", above=12
        )
        if not self.content.again:
            self.both(
                "結束後，網站就無法使用卡片，直到您再次啟動它。",
                "Afterwards no site can use the card until you start it again.",
                above=8,
            )
        words, key = ("重新啟動 Restart", "r") if self.content.again else ("結束 Quit", "q")
        self.button(words, key, lambda: self.finish(Decided(reply=ConsentReply.YES)), main=True)
        self.first = self.button("取消 Cancel", "c", self.close)
