"""An answer as an image: pages draw it on a canvas and read its pixels, blue, green, red, until a zero."""

from __future__ import annotations

import json
import struct
from typing import Final

_PIXEL: Final = 3
_HEADERS: Final = 14 + 40


def bitmap(answer: bytes) -> bytes:
    """Return JSON as a Windows bitmap, one line of pixels of 24 bits (BITMAPFILEHEADER, BITMAPINFOHEADER).

    A bitmap stores blue first, so its line is the text itself. Pages take each octet for a character: what is
    not ASCII is escaped.
    """
    text = json.dumps(json.loads(answer), separators=(",", ":")).encode("ascii")
    line = text + b" " * (-len(text) % _PIXEL) + bytes(_PIXEL)
    width = len(line) // _PIXEL
    line += bytes(-len(line) % 4)
    file = struct.pack("<2sIHHI", b"BM", _HEADERS + len(line), 0, 0, _HEADERS)
    shape = struct.pack("<IiiHHIIiiII", 40, width, 1, 1, 8 * _PIXEL, 0, len(line), 0, 0, 0, 0)
    return file + shape + line
