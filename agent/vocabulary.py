"""The kinds of work that a page or a person can ask for, and what people call them and the kinds of cards."""

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
    SESSION = "session"


VERB_WORDS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.READ: ("讀取卡片資料", "read the card"),
    Verb.LOGIN: ("用卡片登入", "log in with the card"),
    Verb.SIGN: ("用卡片簽章", "sign with the card"),
    Verb.DECRYPT: ("用卡片解密", "decrypt with the card"),
    Verb.PAGE_PIN: ("使用在網頁輸入的 PIN 碼", "use a PIN typed in the page"),
    Verb.CHANGE_PIN: ("變更或解鎖 PIN 碼", "change or unblock the PIN"),
    Verb.SESSION: ("用一次 PIN 碼連續簽章", "sign many documents with one PIN"),
}
"""What each verb is called in front of a person: after 要 ("wants to") and after "to"."""


class SessionEnd(StrEnum):
    """Why a signing session, or a PIN that was kept, ended."""

    USED_UP = "used-up"
    TIME = "time"
    CARD = "card"
    LOCKED = "locked"
    GONE = "gone"
    STOPPED = "stopped"
    CLOSED = "closed"
    POLICY = "policy"
    PIN = "pin"
    AGENT = "agent"


SESSION_ENDS: Final[dict[str, SessionEnd]] = {f"ended.{why}": why for why in SessionEnd}
"""Each end by what the audit log has as the result of its row."""

SESSION_END_WORDS: Final[dict[SessionEnd, tuple[str, str]]] = {
    SessionEnd.USED_UP: ("已簽完約定的份數", "all the signatures agreed on were made"),
    SessionEnd.TIME: ("約定的時間到了", "the time agreed on is over"),
    SessionEnd.CARD: ("卡片被拔出或換過", "the card was pulled out or changed"),
    SessionEnd.LOCKED: ("螢幕鎖定或電腦睡眠", "the screen was locked or the computer slept"),
    SessionEnd.GONE: ("網頁已關閉", "the page is gone"),
    SessionEnd.STOPPED: ("您按了停止", "you stopped it"),
    SessionEnd.CLOSED: ("已由開啟它的程式結束", "whoever opened it closed it"),
    SessionEnd.POLICY: ("管理者的設定不允許", "the administrator's settings do not allow it"),
    SessionEnd.PIN: ("PIN 碼無法再使用", "the PIN cannot be used any more"),
    SessionEnd.AGENT: ("本程式結束", "this program ended"),
}
"""What each end is called in front of a person."""


KIND_WORDS: Final[dict[CardKind, tuple[str, str]]] = {
    CardKind.PERSONNEL: ("醫事人員卡", "HCA personnel card"),
    CardKind.INSTITUTION: ("醫事機構卡", "HCA institution card"),
    CardKind.INSTITUTION_SECONDARY: ("醫事機構卡附卡", "HCA institution secondary card"),
    CardKind.NHI: ("健保卡", "NHI card"),
    CardKind.CITIZEN: ("自然人憑證", "citizen certificate card"),
    CardKind.PKCS15: ("PKCS#15 卡片", "PKCS#15 card"),
}
"""What each kind of card is called in front of a person."""


class Errand(StrEnum):
    """What a person can have this program do from its icon, its page or a notice, without a terminal."""

    CHANGE_PIN = "change-pin"
    UNBLOCK_PIN = "unblock-pin"
    TRUST = "trust"
    AUTOSTART = "autostart"
    SITES = "origins"
    REPORT = "report"
    UPDATE = "update"
    QUEUE = "queue"


ERRAND_WORDS: Final[dict[Errand, tuple[str, str]]] = {
    Errand.CHANGE_PIN: ("變更 PIN 碼", "Change the PIN"),
    Errand.UNBLOCK_PIN: ("解鎖 PIN 碼", "Unblock the PIN"),
    Errand.TRUST: ("讓瀏覽器接受本程式", "Have browsers accept this program"),
    Errand.AUTOSTART: ("登入時自動啟動", "Start with my login"),
    Errand.SITES: ("允許的網站", "Allowed sites"),
    Errand.REPORT: ("產生給服務人員的檔案", "Make the file for the help desk"),
    Errand.UPDATE: ("下載新版", "Download the new version"),
    Errand.QUEUE: ("簽署待簽病歷", "Sign the records that wait"),
}
"""What each errand is called wherever it can be chosen."""

ERRAND_LINES: Final[dict[Errand, str]] = {
    Errand.CHANGE_PIN: "hca-agent pin change",
    Errand.UNBLOCK_PIN: "hca-agent pin unblock",
    Errand.TRUST: "hca-agent trust install",
    Errand.AUTOSTART: "hca-agent autostart on",
    Errand.SITES: "hca-agent origins allow",
    Errand.REPORT: "hca-agent report",
    Errand.UPDATE: "hca-agent update download",
    Errand.QUEUE: "hca-agent queue sign",
}
"""The same for who has a terminal."""
