"""The NHI component's bare numbers: what each means, which one an error ends in, and rows of its own.

The protocol has no words, only numbers (docs/nhi-component.md, "Numbers"). Whatever goes wrong ends in one of
them, found by the error's row, so that no part of the dialect ever words or numbers an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.errors.numbers import Advice, NumberRow
from agent.errors.row import ErrorRow, JsonRpc

NETWORK: Final = 4061
NO_CARD: Final = 7004
NUMBER_UNREADABLE: Final = 8001
SIGNATURE_REFUSED: Final = 8008
PASSWORD_LENGTH: Final = 8009
ENCRYPTION_REFUSED: Final = 8011
NO_READER: Final = 8013
OTHER: Final = 9876
UNKNOWN_COMMAND: Final = 9999

NHI_ROWS: Final = (
    ErrorRow(
        "nhi.signature",
        "健保卡的簽章要用健保卡專用讀卡機的安全模組與健保署的主機產生，本程式無法產生。",
        "The signature of an NHI card is made by the security module of the NHI reader and NHI's own servers;"
        " this program cannot make it.",
        "請改用這個網站的其他登入方式（例如醫事憑證），或在裝有健保署元件的電腦上操作。",
        "Use another way to log in to this site (an HCA card, for example), or a computer with NHI's own"
        " component.",
        5004,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "nhi.encryption",
        "網站要的是以健保署元件的金鑰加密的資料，本程式沒有那些金鑰。",
        "The site wants data encrypted under keys of NHI's own component, which this program does not have.",
        "請改用這個網站的其他登入方式（例如醫事憑證），或在裝有健保署元件的電腦上操作。",
        "Use another way to log in to this site (an HCA card, for example), or a computer with NHI's own"
        " component.",
        5004,
        JsonRpc.CARD,
    ),
    ErrorRow(
        "nhi.password_length",
        "健保卡網路服務註冊密碼必須是 6 到 12 個字元。",
        "The registered password of NHI's online services has 6 to 12 characters.",
        "請在網頁重新輸入密碼。",
        "Enter the password in the page again.",
        5005,
        JsonRpc.INVALID_PARAMS,
    ),
    ErrorRow(
        "nhi.hosts_entry",
        "iccert.nhi.gov.tw 這個名稱沒有指向這台電腦，使用這個名稱的網頁連不到本程式。",
        "The name iccert.nhi.gov.tw does not lead to this computer; pages that use it cannot reach this"
        " program.",
        "請系統管理者在 hosts 檔加入一行「127.0.0.1 iccert.nhi.gov.tw」；只用 wss://localhost:7777"
        " 的網頁不受影響。",
        "Have the administrator add the line “127.0.0.1 iccert.nhi.gov.tw” to the hosts file; pages that use"
        " wss://localhost:7777 work without it.",
        61905,
        JsonRpc.SETUP,
    ),
    ErrorRow(
        "nhi.port_held",
        "健保卡的網頁要連的連接埠由另一個程式使用中：網頁會連到那個程式，不是本程式。",
        "Another program holds the port that pages of NHI cards look for: they reach that program and not"
        " this one.",
        "要用本程式讀健保卡，請結束這一列所列的程式（通常是健保署的元件）並取消它的開機自動執行，"
        "再重新啟動 HCA Card Agent。",
        "To read NHI cards with this program, end the one named in this row (usually NHI's component), take"
        " it out of start-up, then start HCA Card Agent again.",
        61905,
        JsonRpc.SETUP,
    ),
)

_BY_FAMILY: Final[Mapping[JsonRpc, int]] = MappingProxyType(
    {
        JsonRpc.READER: NO_READER,
        JsonRpc.CARD: NO_CARD,
        JsonRpc.PARSE_ERROR: UNKNOWN_COMMAND,
        JsonRpc.INVALID_REQUEST: UNKNOWN_COMMAND,
        JsonRpc.INVALID_PARAMS: UNKNOWN_COMMAND,
        JsonRpc.METHOD_NOT_FOUND: UNKNOWN_COMMAND,
    }
)
"""What a family of errors ends in; those that the protocol knows nothing like end in `OTHER`."""

_BY_ID: Final[Mapping[str, int]] = MappingProxyType(
    {
        "nhi.signature": SIGNATURE_REFUSED,
        "nhi.encryption": ENCRYPTION_REFUSED,
        "nhi.password_length": PASSWORD_LENGTH,
        "card.malformed": NUMBER_UNREADABLE,
        "card.timeout": NO_CARD,
        "reader.busy": NO_CARD,
        "host.unreachable": NETWORK,
    }
)


def number_of(row: ErrorRow) -> int:
    """The number in which an error with this row ends."""
    return _BY_ID.get(row.id) or _BY_FAMILY.get(JsonRpc(row.jsonrpc), OTHER)


# One line each, so that the table can be read as one.
# fmt: off
_NUMBERS: Final = (
    (NETWORK, Advice.NETWORK, "網路錯誤", "Network error"),
    (NO_CARD, Advice.CARD, "無法選取健保卡", "The NHI card cannot be selected"),
    (NUMBER_UNREADABLE, Advice.CARD, "無法讀取健保卡卡號", "The NHI card's number cannot be read"),
    (8002, Advice.AGAIN, "亂數錯誤", "Random number error"),
    (8005, Advice.AGAIN, "安全模組認證錯誤", "Security module authentication error"),
    (8006, Advice.AGAIN, "安全模組認證錯誤", "Security module authentication error"),
    (8007, Advice.AGAIN, "安全模組認證錯誤", "Security module authentication error"),
    (SIGNATURE_REFUSED, Advice.OTHER_WAY, "無法產生健保卡的簽章", "The NHI card's signature cannot be made"),
    (PASSWORD_LENGTH, Advice.SITE, "密碼長度錯誤", "Wrong password length"),
    (8010, Advice.SITE, "資料錯誤", "Data error"),
    (ENCRYPTION_REFUSED, Advice.OTHER_WAY, "無法加密資料", "The data cannot be encrypted"),
    (NO_READER, Advice.READER, "找不到讀卡機", "No reader found"),
    (OTHER, Advice.PROGRAM, "其他錯誤，或沒有允許這個網站", "Another error, or the site is not allowed"),
    (UNKNOWN_COMMAND, Advice.SITE, "沒有這個指令", "No such command"),
)
# fmt: on

NUMBERS: Final[Mapping[int, NumberRow]] = MappingProxyType(
    {number: NumberRow(number, zh + "。", en + ".", *advice.value) for number, advice, zh, en in _NUMBERS}
)
"""Each number with its words; those that this program never gives come from NHI's own component."""
