"""The NHI component's bare numbers: which one an error ends in; `words.toml` has what each means.

The protocol has no words, only numbers (docs/nhi-component.md, "Numbers"). Whatever goes wrong ends in one of
them, found by the error's row, so that no part of the dialect ever words or numbers an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.errors.ids import ErrorId
from agent.errors.table import ErrorRow, JsonRpc

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

_BY_ID: Final[Mapping[ErrorId, int]] = MappingProxyType(
    {
        ErrorId.NHI_SIGNATURE: SIGNATURE_REFUSED,
        ErrorId.NHI_ENCRYPTION: ENCRYPTION_REFUSED,
        ErrorId.NHI_PASSWORD_LENGTH: PASSWORD_LENGTH,
        ErrorId.CARD_MALFORMED: NUMBER_UNREADABLE,
        ErrorId.CARD_TIMEOUT: NO_CARD,
        ErrorId.READER_BUSY: NO_CARD,
        ErrorId.HOST_UNREACHABLE: NETWORK,
    }
)


def number_of(row: ErrorRow) -> int:
    """Return the number in which an error with this row ends."""
    return _BY_ID.get(row.id) or _BY_FAMILY.get(row.jsonrpc, OTHER)
