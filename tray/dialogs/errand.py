"""Shall this be done? Another program can use the icon's menu, but not press a button here."""

from __future__ import annotations

from typing import Final

from agent.interaction import ConsentReply, ErrandQuestion
from agent.interaction.dialog_messages import Decided
from agent.vocabulary import ERRAND_LINES, ERRAND_WORDS, Errand
from tray.dialogs.frame import Window

_MEANS: Final[dict[Errand, tuple[str, str]]] = {
    Errand.TRUST: (
        "您的瀏覽器會接受本程式自己的憑證。它只能用在這台電腦的 localhost，不能冒充任何網站。",
        "Your browsers will accept this program's own certificate. It is good for this computer's own names"
        " alone and can imitate no site.",
    ),
    Errand.AUTOSTART: (
        "您登入這台電腦時，本程式會自動啟動，入口網站隨時可以用。",
        "This program starts when you log in to this computer, so that portals find it.",
    ),
    Errand.REPORT: (
        "會做一次環境檢測（不問 PIN 碼），連同版本、設定與最近的紀錄存成一個檔案，放在下載資料夾。"
        "個人資料已遮蔽，沒有 PIN 碼。",
        "Runs the self-test without a PIN and keeps it with versions, configuration and recent log in one"
        " file in your downloads. Personal data is masked, and there is no PIN.",
    ),
    Errand.UPDATE: (
        "會從管理者指定的伺服器下載新版並驗簽章，放在下載資料夾；不會安裝。",
        "Fetches the newer version from the server that is configured, and checks it; nothing is installed.",
    ),
}
_OFF: Final = (
    "現在登入時會自動啟動。關閉後，要用入口網站時請自行啟動 HCA Card Agent。",
    "It starts with your login now. Afterwards, start HCA Card Agent yourself before you use a portal.",
)


class ErrandWindow(Window[ErrandQuestion]):
    """What will be done, and two buttons; Enter is no."""

    def headline(self) -> tuple[str, str]:
        """Return the question."""
        zh, en = ERRAND_WORDS[self.content.errand]
        if self.content.off:
            return f"不要在{zh}嗎？", f"Do not {en[0].lower()}{en[1:]}?"
        return f"要{zh}嗎？", f"{en}?"

    def fill(self) -> None:
        """Show what it means, and the same for who has a terminal."""
        errand = self.content.errand
        zh, en = _OFF if self.content.off else _MEANS[errand]
        self.both(zh, en, above=12)
        line = ERRAND_LINES[errand].replace(" on", " off") if self.content.off else ERRAND_LINES[errand]
        self.label(f"{self.look.words('管理者', 'Administrators', ' ')}: {line}", "Muted", above=12)
        self.button("好 Yes", "y", lambda: self.finish(Decided(reply=ConsentReply.YES)), main=True)
        self.first = self.button("取消 Cancel", "c", self.close)
