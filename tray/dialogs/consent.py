"""May this site do that? Enter is no, as is everything but pressing the button that says yes."""

from __future__ import annotations

from typing import Final

from agent.interaction import ConsentQuestion, ConsentReply
from agent.interaction.dialog_messages import Decided
from agent.vocabulary import VERB_WORDS, Verb
from tray.dialogs.frame import Window
from tray.dialogs.parts import show_document, show_expiry, show_site

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
    Verb.SESSION: (
        "您輸入一次 PIN 碼，它可以簽多份文件。份數與時間會先告訴您，隨時可以停止。",
        "With one PIN it can have many documents signed. You are told how many and how long first, and can"
        " stop it at any moment.",
    ),
}
_MEANS_ONCE: Final = (
    "這個網站自己收您的 PIN 碼。只在您信任它時允許。",
    "This site collects your PIN itself. Allow it only if you trust it.",
)


class ConsentWindow(Window[ConsentQuestion]):
    """Who asks, for what, with which document, and how long a yes holds."""

    def headline(self) -> tuple[str, str]:
        """Return the question."""
        zh, en = VERB_WORDS[self.content.verb]
        return f"允許這個網站{zh}嗎？", f"May this site {en}?"

    def fill(self) -> None:
        """Show what a yes means; the headline says the first verb, each further one has its own words."""
        question = self.content
        show_site(self, question.origin)
        for verb in (question.verb, *(verb for verb in question.verbs if verb is not question.verb)):
            also_zh, also_en = VERB_WORDS[verb]
            means_zh, means_en = _MEANS_ONCE if question.once else _MEANS[verb]
            before_zh, before_en = (
                ("", "") if verb is question.verb else (f"也{also_zh}：", f"Also {also_en}. ")
            )
            self.both(before_zh + means_zh, before_en + means_en, above=12)
        show_document(self, question.document)
        if question.ending is not None:
            show_expiry(self, question.ending.expiry)
        self.label(self._holds(), "Muted", above=10)
        self.button("允許 Allow", "y", lambda: self.finish(Decided(reply=ConsentReply.YES)), main=True)
        self.first = self.button("不允許 No", "n", self.close)
        if question.unknown:
            minutes = self.opening.silence_minutes
            self.wide_button(
                f"拒絕所有未知網站{minutes}分鐘 No to all unknown sites for {minutes} minutes",
                "u",
                lambda: self.finish(Decided(reply=ConsentReply.NO_TO_UNKNOWN)),
            )

    def close(self) -> None:
        """Answer no."""
        self.finish(Decided(reply=ConsentReply.NO))

    def _holds(self) -> str:
        if self.content.once:
            return self.look.words(
                "它上次送來的 PIN 碼是錯的；只允許這一次",
                "The last PIN it sent was wrong; for this once only",
            )
        days = self.opening.days
        return self.look.words(f"允許後 {days} 天內不再詢問", f"Not asked again for {days} days")
