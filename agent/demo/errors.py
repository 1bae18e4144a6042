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
    "certificate.expired": Sentence(
        403,
        "這張卡片的憑證已經過期。請先換發卡片的憑證，再登入。",
        "The certificate on this card has expired. Have it renewed, then log in.",
    ),
    "certificate.revoked": Sentence(
        403,
        "這張卡片的憑證已經廢止，不能登入。請改用新的卡片。",
        "The certificate on this card has been revoked. Use the new card.",
    ),
    "person.unknown": Sentence(
        403,
        "本網站查不到這張卡片持有人的資料，不能登入。請先向所屬機構或衛生局確認登記。",
        "This site knows nothing of the holder of this card. Have your registration checked first.",
    ),
    "person.not_added": Sentence(
        403,
        "您還不是這個機構的使用者，須由機構管理者新增後才能登入。",
        "You are not a user of this institution yet; its manager must add you first.",
    ),
    "card.nhi_card_only": Sentence(
        403,
        "醫事人員卡在這裡只供醫師使用。護理師與行政人員請把憑證種類改選「健保卡」，並插入健保卡。",
        "Here the personnel card is for physicians. Nurses and clerks choose “NHI card” and insert theirs.",
    ),
    "id.not_of_card": Sentence(
        403,
        "輸入的身分證字號與讀卡機裡的健保卡不同。請確認是本人的健保卡，並重新輸入。",
        "The ID number is not that of the NHI card in the reader. Check the card and type the number again.",
    ),
    "password.wrong": Sentence(
        403,
        "健保卡網路服務註冊密碼錯誤。請再輸入一次。",
        "The registered NHI password is wrong. Type it again.",
    ),
    "account.wrong": Sentence(
        403,
        "帳號或密碼錯誤。請再輸入一次；還沒有用到您的卡片。",
        "Account or password is wrong. Type them again; your card has not been used yet.",
    ),
    "account.other_card": Sentence(
        403,
        "這張卡片不是這個帳號登記的卡片。請改插登記的卡片，或改用您自己的帳號。",
        "This card is not the one registered for this account. Insert that one, or use your own account.",
    ),
    "account.other_kind": Sentence(
        403,
        "這個帳號登記的不是這種卡片。請改選另一種憑證，或改用您自己的帳號。",
        "This account is registered with another kind of card. Choose the other one, or your own account.",
    ),
    "captcha.wrong": Sentence(
        403,
        "圖形驗證碼錯誤或已使用過。已換一張新的，請再輸入一次；還沒有用到您的卡片。",
        "The captcha is wrong or was used already. Here is a new one; your card has not been used yet.",
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

_CARDS = {
    "personnel": ("醫事人員卡", "a healthcare personnel card"),
    "institution": ("醫事機構卡", "an institution card"),
    "natural-person": ("自然人憑證", "a citizen certificate card"),
    "company": ("工商憑證", "a company's card"),
}


def wrong_card(found: str | None, wanted: str) -> PortalError:
    """`card.not_…`: what the card in the reader is, and which one to insert instead.

    Args:
        found: the subject type that its certificate names, None where it names none.
        wanted: the subject type that the person chose.
    """
    is_zh, is_en = _CARDS.get(found or "", ("別種卡片", "another kind of card"))
    want_zh, want_en = _CARDS[wanted]
    sentence = Sentence(
        403,
        f"這張是{is_zh}，請改插{want_zh}，再按一次登入。",
        f"This is {is_en}. Insert {want_en} and log in again.",
    )
    return PortalError(f"card.not_{wanted}", sentence)
