"""What RFC 6455 forbids in WebSocket frames and aiohttp's reader takes all the same, stopped in front of it.

Frames go to the reader as they came, byte for byte; this only looks at their heads.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

_CLOSE: Final = 8
_DATA: Final = (1, 2)
_REFUSED: Final = b"\x8f\x80\0\0\0\0"
"""An opcode that nobody has: what is forbidden reaches the reader as this, which it ends with code 1002."""
_NEVER_SENT: Final = frozenset((1004, 1005, 1006, 1015))
"""Close codes that stand for what was not said (§7.4.1)."""
_CONSUMED: Final = (False, b"")


class FrameReader(Protocol):
    """What reads frames."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes; True once it takes no more."""
        ...

    def feed_eof(self) -> None:
        """Take the end."""
        ...


class StrictFrames:
    """A reader for those behind it.

    Args:
        reader: gets every frame that is allowed, or leaves it to be refused by that reader.
    """

    def __init__(self, reader: FrameReader) -> None:
        self._reader = reader
        self._held = b""  # a head that is not whole yet
        self._left = 0  # bytes of the present frame that are still to come
        self._message_open = False
        self._ended = False

    def feed_eof(self) -> None:
        """Take the end."""
        self._reader.feed_eof()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes; True once there will be no more frames."""
        if self._ended:
            return _CONSUMED
        if self._held:
            data = self._held + data
        frame, end = self._left, len(data)
        while frame < end and (size := self._size(data, frame)) is not None:
            if size == 0:
                self._ended = True
                return self._reader.feed_data(data[:frame] + _REFUSED)
            frame += size
        self._held, self._left = data[frame:], max(0, frame - end)
        return self._reader.feed_data(data[:frame]) if frame else _CONSUMED

    def _size(self, data: bytes, frame: int) -> int | None:
        """Return the size of the frame that begins there, 0 of a forbidden one, None while it is unknown."""
        here = len(data) - frame
        if here < 2:
            return None
        first, second = data[frame], data[frame + 1]
        opcode, short = first & 0xF, second & 0x7F
        if not second & 0x80 or (opcode in _DATA and self._message_open):
            return 0  # not masked (§5.1), or a message within another (§5.4)
        more = {126: 2, 127: 8}.get(short, 0)
        head = 2 + more + 4
        closing = opcode == _CLOSE and short >= 2
        if here < head + 2 * closing:
            return None
        length = int.from_bytes(data[frame + 2 : frame + 2 + more]) if more else short
        if more and (length < 126 or (more == 8 and not 0xFFFF < length < 1 << 63)):
            return 0  # not the shortest way to say it (§5.2)
        if closing and _unmasked(data, frame + head) in _NEVER_SENT:
            return 0
        if opcode < _CLOSE:
            self._message_open = not first & 0x80
        return head + length


def _unmasked(data: bytes, payload: int) -> int:
    """Return the first two bytes behind a mask, as a number."""
    mask, masked = struct.unpack_from("!HxxH", data, payload - 4)
    return int(mask ^ masked)
