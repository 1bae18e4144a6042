"""May this site do that? Enter is no, as is everything but pressing the button that says yes."""

from __future__ import annotations

from typing import Final

from agent.interaction import VERB_WORDS, Verb
from agent.interaction.window_messages import AskConsent, Decided
from tray.windows.frame import Window
from tray.windows.look import Look
from tray.windows.parts import show_document, show_site
from tray.windows.process import Pipe

_MEANS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.READ: (
        "它會看到持卡人的姓名、卡號與憑證。",
        "It will see the holder's name, the card number and certificates.",
    ),
    Verb.LOGIN: (
        "它會知道您是誰。每次登入都會再請您輸入 PIN 碼。",
        "It will know who you are. Each log-in asks for your PIN.",
    ),
    Verb.SIGN: (
        "簽章等同您的簽名。每次簽章都會再請您輸入 PIN 碼。",
        "A signature counts as yours. Each one asks for your PIN.",
    ),
    Verb.DECRYPT: (
        "它會讀到寫給這張卡片的加密資料。每次都會再請您輸入 PIN 碼。",
        "It will read what was encrypted to this card. Each time asks for your PIN.",
    ),
    Verb.PAGE_PIN: (
        "這個網站自己收您的 PIN 碼，之後不會再問您。只在您信任它時允許。",
        "This site collects your PIN itself, and you are not asked again. Allow it only if you trust it.",
    ),
}
_MEANS_ONCE: Final = (
    "這個網站自己收您的 PIN 碼。只在您信任它時允許。",
    "This site collects your PIN itself. Allow it only if you trust it.",
)


class ConsentWindow(Window):
    """The window for `AskConsent`."""

    def __init__(self, look: Look, pipe: Pipe, message: AskConsent) -> None:
        zh, en = VERB_WORDS[message.verb]
        super().__init__(look, pipe, message, f"允許這個網站{zh}嗎？", f"May this site {en}?")
        show_site(self, message.origin)
        for verb in (message.verb, *message.also):
            also_zh, also_en = VERB_WORDS[verb]
            means_zh, means_en = _MEANS_ONCE if message.once else _MEANS[verb]
            # The headline says the first; each thing more that a yes allows has its own words.
            before_zh, before_en = (
                ("", "") if verb is message.verb else (f"也{also_zh}：", f"Also {also_en}. ")
            )
            self.label(self.body, before_zh + means_zh, above=12)
            self.label(self.body, before_en + means_en, "Muted.TLabel", above=2)
        show_document(self, message.document)
        self.label(self.body, _holds(message), "Muted.TLabel", above=10)
        self.button("允許 Allow", "y", lambda: self.finish(Decided(allowed=True)), main=True)
        self.first = self.button("不允許 No", "n", self.close)

    def close(self) -> None:
        """No."""
        self.finish(Decided(allowed=False))


def _holds(message: AskConsent) -> str:
    if message.once:
        return "它上次送來的 PIN 碼是錯的；只允許這一次 · The last PIN it sent was wrong; for this once only"
    return f"允許後 {message.days} 天內不再詢問 · Not asked again for {message.days} days"
