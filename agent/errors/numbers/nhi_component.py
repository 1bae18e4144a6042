"""The NHI component's bare numbers: what each means, and which one an error ends in.

The protocol has no words, only numbers (docs/nhi-component.md, "Numbers"). Whatever goes wrong ends in one of
them, found by the error's row, so that no part of the dialect ever words or numbers an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.errors.numbers.words import Advice, NumberRow
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
