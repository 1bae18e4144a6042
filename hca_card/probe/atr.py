"""The answer to reset in words (ISO/IEC 7816-3 §8, historical bytes ISO/IEC 7816-4 §12.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import xor

from pcsc.apdu_processors import extended_length
from pcsc.atr import historical_bytes, protocols


@dataclass(frozen=True, slots=True)
class AtrFacts:
    """What an ATR says.

    Attributes:
        convention: direct or inverse; empty where TS is neither.
        protocols: T=0, T=1 ... in the card's order; T=0 where none is named.
        historical: the historical bytes.
        text: their printable ASCII characters, a dot for each other.
        check: whether TCK is right; None where there is none.
        extended: whether the card says that it takes extended length; None where it does not say.
    """

    convention: str
    protocols: tuple[str, ...]
    historical: bytes
    text: str
    check: bool | None
    extended: bool | None


def read(atr: bytes) -> AtrFacts:
    """Return the ATR in words; one that is cut says what can be read of it."""
    named = protocols(atr)
    historical = historical_bytes(atr)
    # With T=0 alone there is no TCK (ISO/IEC 7816-3 §8.2.5).
    checked = any(protocol != 0 for protocol in named)
    return AtrFacts(
        convention={0x3B: "direct", 0x3F: "inverse"}.get(atr[0], "") if atr else "",
        protocols=tuple(f"T={protocol}" for protocol in dict.fromkeys(named or [0])),
        historical=historical,
        text="".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in historical),
        check=reduce(xor, atr[1:], 0) == 0 if checked else None,
        extended=extended_length(historical),
    )
