"""The program's icon for Windows, from the drawing that the tray shows.

Usage: python installer/windows/icon.py FILE
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tray.drawing import pixels
from tray.icon_states import Picture

SIZES: Final = (16, 20, 24, 32, 40, 48, 64, 256)


def icon() -> bytes:
    """Return an ICO file whose images are PNG, which Windows reads since Vista."""
    images = [_png(pixels(Picture.CARD, False, size), size) for size in SIZES]
    head = struct.pack("<HHH", 0, 1, len(images))
    place = len(head) + 16 * len(images)
    for size, image in zip(SIZES, images, strict=True):
        head += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(image), place)
        place += len(image)
    return head + b"".join(images)


def _png(rgba: bytes, size: int) -> bytes:
    rows = b"".join(b"\0" + rgba[start : start + size * 4] for start in range(0, len(rgba), size * 4))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(icon())
