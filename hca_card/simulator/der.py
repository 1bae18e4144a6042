"""DER for what a simulated card holds: enough of X.690 to write, in the order the standards print it."""

from __future__ import annotations

from typing import Final

SEQUENCE: Final = 0x30
SET: Final = 0x31
NULL: Final = b"\x05\x00"
DIGESTS: Final = {20: "SHA1", 32: "SHA256", 48: "SHA384", 64: "SHA512"}
"""Hashes by the length of what they make, as `cryptography` names them."""


def length(count: int) -> bytes:
    """Return a definite length of `count` bytes in the fewest octets (X.690 §10.1)."""
    if count < 0x80:
        return bytes((count,))
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, *parts: bytes) -> bytes:
    """One data object of a one-byte tag, whose value is `parts` one after another."""
    value = b"".join(parts)
    return bytes((tag,)) + length(len(value)) + value


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(SEQUENCE, *parts)


def explicit(number: int, *parts: bytes) -> bytes:
    """Return a constructed, context-specific tag: [number] EXPLICIT."""
    return tlv(0xA0 | number, *parts)


def integer(value: int) -> bytes:
    """INTEGER of a number that is not negative."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def enumerated(value: int) -> bytes:
    """Return ENUMERATED of a number under 128."""
    return tlv(0x0A, bytes((value,)))


def true() -> bytes:
    """BOOLEAN TRUE; FALSE is a DEFAULT wherever a card uses it, so DER leaves it out."""
    return tlv(0x01, b"\xff")


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(0x04, value)


def utf8(text: str) -> bytes:
    """UTF8String."""
    return tlv(0x0C, text.encode())


def printable(text: str) -> bytes:
    """PrintableString."""
    return tlv(0x13, text.encode("ascii"))


def flags(*bits: int) -> bytes:
    """Return a named BIT STRING with these bits set, bit 0 first (X.690 §11.2.2: no trailing zero bits)."""
    count = max(bits) + 1 if bits else 0
    unused = -count % 8
    number = sum(1 << (count - 1 - bit) for bit in set(bits)) << unused
    return tlv(0x03, bytes((unused,)), number.to_bytes((count + unused) // 8, "big"))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER (X.690 §8.19)."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(0x06, *(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))
