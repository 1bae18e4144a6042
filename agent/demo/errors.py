"""What the demo portal refuses, each with the sentence that the person at its page needs."""

from __future__ import annotations

from dataclasses import dataclass


class PortalError(Exception):
    """A refusal by the portal's server; the page shows both sentences.

    Attributes:
        id: one of the keys of `SENTENCES`, or the stable id of an error of `signing` that led here.
        status: HTTP status code.
        sentence: what the person reads.
    """

    def __init__(self, error_id: str, sentence: Sentence | None = None) -> None:
        self.id = error_id
        self.sentence = sentence or SENTENCES[error_id]
        self.status = self.sentence.status
        super().__init__(f"{error_id}: {self.sentence.en}")

    def to_json(self) -> dict[str, dict[str, str]]:
        """The body of the answer."""
        return {"error": {"id": self.id, "zh": self.sentence.zh, "en": self.sentence.en}}


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same thing said twice, and the HTTP status that goes with it."""

    status: int
    zh: str
    en: str


SENTENCES = {
    "session.expired": Sentence(
        401,
        "連線已逾時，請重新登入。",
        "Your session has ended. Please log in again.",
    ),
    "csrf.refused": Sentence(
        403,
        "這個要求不是由本網站的頁面送出，已拒絕。請重新整理頁面再試。",
        "This request did not come from this site's own page. Reload the page and try again.",
    ),
    "request.malformed": Sentence(
        400,
        "送出的資料格式不正確，請重新整理頁面再試。",
        "What was sent could not be read. Reload the page and try again.",
    ),
    "nonce.unknown": Sentence(
        403,
        "這次登入的識別碼已使用過或已逾時，請按「送出」重新登入。",
        "This log-in attempt was already used or has expired. Press Submit to log in again.",
    ),
    "card.not_personnel": Sentence(
        403,
        "您插入的不是醫事人員憑證。請改插醫事人員卡，或把身分改選為「醫療(事)機構」。",
        "This is not a healthcare personnel card. Insert a personnel card, or choose “Institution” instead.",
    ),
    "card.not_institution": Sentence(
        403,
        "您插入的不是醫事機構憑證。請改插醫事機構卡，或把身分改選為「醫事人員」。",
        "This is not an institution card. Insert an institution card, or choose “Personnel” instead.",
    ),
    "token.refused": Sentence(
        403,
        "登入資料驗證不通過，請按「送出」重新登入。",
        "The log-in could not be verified. Press Submit to log in again.",
    ),
    "certificate.refused": Sentence(
        403,
        "本示範網站只接受模擬卡的憑證，而且憑證必須在有效期間內。",
        "This demo accepts only certificates of simulated cards, and only while they are valid.",
    ),
    "form.incomplete": Sentence(
        400,
        "請填寫支援地點、日期與時間；結束時間必須晚於開始時間。",
        "Please give place, dates and times; the end must be later than the beginning.",
    ),
    "form.unknown": Sentence(
        409,
        "沒有待簽章的申請，請重新填寫。",
        "There is no application waiting for a signature. Please fill in the form again.",
    ),
    "signature.refused": Sentence(
        403,
        "簽章驗證不通過：申請內容或簽章的卡片與登入時不同。請插回登入時的卡片，再簽一次。",
        "The signature does not fit the application and the card you logged in with. "
        "Insert that card again and sign once more.",
    ),
    "result.unknown": Sentence(
        404,
        "還沒有已送出的申請。",
        "No application has been submitted yet.",
    ),
}
