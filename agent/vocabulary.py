"""The kinds of work that a page can ask for, and what people call them and the kinds of cards."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from hca_card.model import CardKind


class Verb(StrEnum):
    """The kinds of work that are allowed or refused for an origin, each with its own answer."""

    READ = "read"
    LOGIN = "login"
    SIGN = "sign"
    DECRYPT = "decrypt"
    PAGE_PIN = "page-pin"
    CHANGE_PIN = "change-pin"


VERB_WORDS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.READ: ("讀取卡片資料", "read the card"),
    Verb.LOGIN: ("用卡片登入", "log in with the card"),
    Verb.SIGN: ("用卡片簽章", "sign with the card"),
    Verb.DECRYPT: ("用卡片解密", "decrypt with the card"),
    Verb.PAGE_PIN: ("使用在網頁輸入的 PIN 碼", "use a PIN typed in the page"),
    Verb.CHANGE_PIN: ("變更或解鎖 PIN 碼", "change or unblock the PIN"),
}
"""What each verb is called in front of a person: after 要 ("wants to") and after "to"."""


KIND_WORDS: Final[dict[CardKind, tuple[str, str]]] = {
    CardKind.PERSONNEL: ("醫事人員卡", "HCA personnel card"),
    CardKind.INSTITUTION: ("醫事機構卡", "HCA institution card"),
    CardKind.INSTITUTION_SECONDARY: ("醫事機構卡附卡", "HCA institution secondary card"),
    CardKind.NHI: ("健保卡", "NHI card"),
    CardKind.CITIZEN: ("自然人憑證", "citizen certificate card"),
    CardKind.PKCS15: ("PKCS#15 卡片", "PKCS#15 card"),
}
"""What each kind of card is called in front of a person."""
