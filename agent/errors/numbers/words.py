"""A dialect's number in words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Advice(Enum):
    """What to do about a number: Traditional Chinese, English."""

    PIN = (
        "請確認 PIN 碼後再試；鎖住時請到 hca.nat.gov.tw 解鎖，或撥 0800-364-422。",
        "Check the PIN and try again; a locked one is unlocked at hca.nat.gov.tw or by 0800-364-422.",
    )
    LAST_TRY = (
        "只剩最後一次時，網頁輸入的 PIN 碼不會送出。確定 PIN 碼時，請從圖示選單開啟自我檢測"
        "（或執行 hca-agent selftest）輸入一次正確的 PIN 碼，次數就會恢復；"
        "忘記時請到 hca.nat.gov.tw 重設，或撥 0800-364-422。",
        "The last try is never used for a page. If you are sure of the PIN, enter it once in the self-test"
        " (in the icon's menu, or hca-agent selftest), and all tries are back; if not, reset it at"
        " hca.nat.gov.tw or call 0800-364-422.",
    )
    ACTIVATION = (
        "未開卡時請先到 hca.nat.gov.tw 完成開卡，或撥 0800-364-422。",
        "Activate the card first at hca.nat.gov.tw, or call 0800-364-422.",
    )
    ANOTHER_CARD = (
        "請確認插的是有效的醫事憑證卡，擦拭晶片後重新插入；已停用的卡片請撥 0800-364-422 詢問換發。",
        "Check that it is a valid HCA card, wipe its chip and put it back; about one that is no longer in use"
        " call 0800-364-422.",
    )
    CARD = (
        "請把卡片拔出、擦拭晶片後重新插入，再試一次。",
        "Take the card out, wipe its chip, put it back, then try again.",
    )
    READER = (
        "請確認一般讀卡機已接上、卡片已插好，再試一次。",
        "Check that an ordinary reader is connected and the card is in it, then try again.",
    )
    SITE = (
        "請把這個代碼告訴網站管理者：網頁送出的要求有誤。",
        "Tell the site's administrator this number: the page sent a faulty request.",
    )
    AGAIN = (
        "請再試一次；若一直發生，請執行 hca-agent selftest 並把報告交給服務人員。",
        "Try again; if it keeps happening, give your help desk the report of hca-agent selftest.",
    )
    CERTIFICATE = (
        "請到 hca.nat.gov.tw 查詢憑證狀態，必要時換發。",
        "Look at the certificate's state at hca.nat.gov.tw, and renew it where needed.",
    )
    DOUBT = (
        "請不要採信這份資料，並通知網站管理者。",
        "Do not rely on this data, and tell the site's administrator.",
    )
    NETWORK = ("請檢查網路連線，稍後再試一次。", "Check the network connection and try again later.")
    CONSENT = (
        "若要使用，請在詢問時選「允許」，或執行 hca-agent origins 修改先前的回答。",
        "To use it, choose yes when asked, or change your answer with hca-agent origins.",
    )
    OTHER_WAY = (
        "請改用這個網站的其他登入方式，例如醫事憑證。",
        "Use another way to log in to this site, an HCA card for example.",
    )
    PROGRAM = (
        "請確認 HCA Card Agent 正在執行，並執行 hca-agent selftest。",
        "Check that HCA Card Agent is running, and run hca-agent selftest.",
    )


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number in words.

    Attributes:
        zh: what it means, Traditional Chinese.
        en: the same in English.
        next_zh: what to do next.
        next_en: the same in English.
    """

    number: int
    zh: str
    en: str
    next_zh: str
    next_en: str
