"""The answer to reset, ISO/IEC 7816-3 §8: only what this program needs of it."""

from __future__ import annotations


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
