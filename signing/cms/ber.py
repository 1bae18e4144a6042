"""BER (ITU-T X.690 §8) read as a stream: what is larger than memory goes through in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from signing.errors import CipherDamagedError

PIECE: Final = 64 * 1024
OCTET_STRING: Final = 0x04
_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_LENGTH_OCTETS_MAX: Final = 8
_DEPTH_MAX: Final = 16
_END: Final = b"\0\0"


class BerReader:
    """Reads one value after the other; every method raises `CipherDamagedError` for what is not there.

    A length is the number of contents octets, None for the indefinite form (§8.1.3.6).

    Args:
        stream: at the first tag; read from there to its end, and never sought in.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0
        self._ahead = b""

    def header(self) -> tuple[int, int | None]:
        """Return the tag and length of the next value."""
        tag, first = self._octets(2)
        if tag & _LONG_TAG == _LONG_TAG:
            raise CipherDamagedError
        if first == 0x80 and tag & _CONSTRUCTED:
            return tag, None
        if first < 0x80:
            return tag, first
        count = first & 0x7F
        if not 0 < count <= _LENGTH_OCTETS_MAX:
            raise CipherDamagedError
        return tag, int.from_bytes(self._octets(count), "big")

    def enter(self, tag: int) -> int | None:
        """Go into the next value, which has this tag; return where it ends, for `leave`."""
        found, length = self.header()
        if found != tag:
            raise CipherDamagedError
        return self.end_of(length)

    def end_of(self, length: int | None) -> int | None:
        """Return where a value ends whose header has just been read."""
        return None if length is None else self._position + length

    def ends(self, end: int | None) -> bool:
        """Return whether no more value comes in this one."""
        return self.next_tag() == 0 if end is None else self._position >= end

    def leave(self, end: int | None) -> None:
        """Go out of a value that was entered, which must be over."""
        if self._octets(len(_END)) != _END if end is None else self._position != end:
            raise CipherDamagedError

    def next_tag(self) -> int:
        """Return the tag of the next value, which stays to be read."""
        if not self._ahead:
            self._ahead = self._octets(1)
            self._position -= 1
        return self._ahead[0]

    def value(self, octets_max: int, depth: int = 0) -> bytes:
        """Return the next value whole, with its tag, in the form in which it stands."""
        start = self._octets(2)
        if depth > _DEPTH_MAX or start[0] & _LONG_TAG == _LONG_TAG:
            raise CipherDamagedError
        if start[1] == 0x80 and start[0] & _CONSTRUCTED:
            whole = bytearray(start)
            while self.next_tag() != 0:
                whole += self.value(octets_max - len(whole), depth + 1)
            return bytes(whole) + self._octets(len(_END))
        count = start[1] & 0x7F if start[1] >= 0x80 else 0
        size = self._octets(count) if count <= _LENGTH_OCTETS_MAX else b""
        length = int.from_bytes(size, "big") if start[1] >= 0x80 else start[1]
        if length > octets_max or (start[1] >= 0x80 and not size):
            raise CipherDamagedError
        return start + size + self._octets(length)

    def octet_string(self, tag: int, length: int | None) -> Iterator[bytes]:
        """Yield the contents of an OCTET STRING whose header has been read, in one part or several (§8.7)."""
        if not tag & _CONSTRUCTED and length is not None:
            yield from self._pieces(length)
            return
        end = self.end_of(length)
        while not self.ends(end):
            part, size = self.header()
            if part != OCTET_STRING or size is None:
                raise CipherDamagedError
            yield from self._pieces(size)
        self.leave(end)

    def require_end(self) -> None:
        """Return if nothing follows."""
        if self._ahead or self._stream.read(1):
            raise CipherDamagedError

    def _pieces(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._octets(min(length, PIECE))
            length -= len(piece)
            yield piece

    def _octets(self, count: int) -> bytes:
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        while len(found) < count:
            more = self._stream.read(count - len(found))
            if not more:
                raise CipherDamagedError
            found += more
        self._position += count
        return found
