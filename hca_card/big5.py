"""Text as Taiwan's cards hold it: Big5 in a field of fixed width."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def decode(field: bytes) -> str:
    """Return the text of a field padded with NUL, spaces or full-width spaces.

    Cards were written by programs that use cp950 or Big5-HKSCS for the same name, so both are tried. Octets
    that are neither, and what `printable` removes, become U+FFFD: a name must not steer a terminal or window.
    """
    # No trail octet of Big5 is below 0x40, so stripping NUL and space cannot cut a character in half.
    octets = field.strip(b"\x00 ")
    for codec in ("cp950", "big5hkscs"):
        try:
            text = octets.decode(codec)
            break
        except UnicodeDecodeError:
            continue
    else:
        text = octets.decode("cp950", "replace")
    return printable(text).strip()


def printable(text: str) -> str:
    """Return `text` with control characters, direction marks and line separators as U+FFFD."""
    if text.isprintable():
        return text
    return "".join(
        REPLACEMENT if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in text
    )


def encode(text: str, width: int) -> bytes:
    """Return the field of `width` bytes that `decode` reads as `text`, padded with spaces.

    Raises:
        ValueError: the text does not fit, or has characters that Big5 lacks.
    """
    octets = text.encode("cp950")
    if len(octets) > width:
        raise ValueError(f"the text needs {len(octets)} bytes and the field has {width}")
    return octets.ljust(width)
