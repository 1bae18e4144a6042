"""The answer to reset, ISO/IEC 7816-3 §8: only what this program needs of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_CONVENTIONS: Final = (0x3B, 0x3F)
"""TS, the first byte: direct and inverse convention."""


@lru_cache(maxsize=64)
def without_extra(atr: bytes) -> bytes:
    """Return the ATR without a 00 before TS, and without those behind its last byte.

    Some readers and drivers add them (Castles EZ100PU). An ATR says itself how long it is.
    """
    if atr[:1] == b"\x00" and len(atr) > 1 and atr[1] in _CONVENTIONS:
        atr = atr[1:]
    end = _length(atr)
    return atr[:end] if end < len(atr) and not any(atr[end:]) else atr


def _length(atr: bytes) -> int:
    """Return how long the ATR says it is: TCK ends it where any protocol but T=0 is named."""
    indicators, start = _walk(atr)
    if len(atr) < 2:
        return len(atr)
    return start + (atr[1] & 0x0F) + any(octet & 0x0F for octet in indicators)


def historical_bytes(atr: bytes) -> bytes:
    """Return the historical bytes T1 to TK (ISO/IEC 7816-3 §8.2.4), at most 15.

    Returns:
        Empty where the ATR is cut or has none.
    """
    _, start = _walk(atr)
    return atr[start : start + (atr[1] & 0x0F)] if len(atr) > 1 else b""


def protocols(atr: bytes) -> list[int]:
    """Return the protocol of each TDi; T=15 only says that global interface bytes follow, and is left out."""
    indicators, _ = _walk(atr)
    return [octet & 0x0F for octet in indicators if octet & 0x0F != 15]


def _walk(atr: bytes) -> tuple[list[int], int]:
    """Return TD1, TD2 …, and where the historical bytes begin: at the end or beyond where the ATR is cut."""
    found: list[int] = []
    position, following = 1, atr[1] >> 4 if len(atr) > 1 else 0
    while following:
        position += following.bit_count()
        # TDi, the last of each group, says which interface bytes follow; without it there are no more.
        if not following & 0x08:
            break
        if position >= len(atr):
            return found, position
        found.append(atr[position])
        following = atr[position] >> 4
    return found, position + 1
