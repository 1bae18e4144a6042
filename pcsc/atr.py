"""The answer to reset, ISO/IEC 7816-3 §8: only what this program needs of it."""

from __future__ import annotations


def historical_bytes(atr: bytes) -> bytes:
    """Return the historical bytes T1 to TK (ISO/IEC 7816-3 §8.2.4), at most 15.

    Returns:
        Empty where the ATR is cut or has none.
    """
    if len(atr) < 2:
        return b""
    count = atr[1] & 0x0F
    position, following = 1, atr[1] >> 4
    while following:
        position += following.bit_count()
        # TDi, the last of each group, says which interface bytes follow; without it there are no more.
        more = following & 0x08
        if position >= len(atr):
            return b""
        following = atr[position] >> 4 if more else 0
    start = position + 1
    return atr[start : start + count]
