"""BER-TLV as cards and directories use it (ISO/IEC 7816-4 §5.2, ITU-T X.690 §8.1), read with bounds.

What a card holds is hostile: every length is checked against what is there, nesting and the number of
objects are limited, and the indefinite length is refused, so that reading always ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hca_card.errors import CardDataError

MAX_LENGTH: Final = 0xFFFF
"""The most bytes that a file on a card is taken to announce."""

MAX_DEPTH: Final = 24
MAX_OBJECTS: Final = 4096
MAX_TAG_OCTETS: Final = 3
PADDING: Final = (0x00, 0xFF)


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object.

    Attributes:
        tag: all octets of the tag as one number, `0x30` or `0x7F49`.
        value: the contents octets.
    """

    tag: int
    value: bytes

    @property
    def constructed(self) -> bool:
        """Whether the value consists of data objects (bit 6 of the first octet of the tag)."""
        first = self.tag
        while first > 0xFF:
            first >>= 8
        return bool(first & 0x20)

    @property
    def children(self) -> tuple[Tlv, ...]:
        """The data objects in a constructed value.

        Raises:
            CardDataError: the value is primitive, or its lengths lie.
        """
        if not self.constructed:
            raise CardDataError(f"the data object {self.tag:X} is primitive")
        return objects(self.value, padded=False)

    def encode(self) -> bytes:
        """Tag, length in the shortest definite form, value."""
        tag = self.tag.to_bytes((self.tag.bit_length() + 7) // 8 or 1, "big")
        size = len(self.value)
        if size < 0x80:
            return tag + bytes((size,)) + self.value
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return tag + bytes((0x80 | len(length),)) + length + self.value


def read(data: bytes, offset: int = 0) -> tuple[Tlv, int]:
    """Return the data object at `offset`, and the offset after it.

    Raises:
        CardDataError: it does not end inside `data`, or has an indefinite length.
    """
    tag, length, start = _header(data, offset)
    if length > len(data) - start:
        raise CardDataError(f"the data object {tag:X} claims {length} bytes and has {len(data) - start}")
    return Tlv(tag, data[start : start + length]), start + length


def announced_length(data: bytes) -> int:
    """How many bytes the data object that begins `data` claims to have in all, header included.

    Raises:
        CardDataError: there is no whole header, or the length is indefinite or oversized.
    """
    tag, length, start = _header(data, 0)
    if length > MAX_LENGTH:
        raise CardDataError(f"the data object {tag:X} claims {length} bytes")
    return start + length


def objects(data: bytes, *, padded: bool = True) -> tuple[Tlv, ...]:
    """Return the data objects that follow one another in `data`.

    Args:
        data: a file's content or a constructed value.
        padded: skip 00 and FF octets before, between and after objects (ISO/IEC 7816-4 §5.2.2.1).

    Raises:
        CardDataError: as `read`, or more than `MAX_OBJECTS`.
    """
    found: list[Tlv] = []
    offset = 0
    while offset < len(data):
        if padded and data[offset] in PADDING:
            offset += 1
            continue
        if len(found) == MAX_OBJECTS:
            raise CardDataError("too many data objects")
        item, offset = read(data, offset)
        found.append(item)
    return tuple(found)


def find(data: bytes, *path: int) -> bytes | None:
    """Return the value under a path of tags, `find(fci, 0x6F, 0x84)`; None if there is none.

    Raises:
        CardDataError: the lengths on the way lie.
    """
    if not path:
        return data
    for item in objects(data):
        if item.tag == path[0]:
            return find(item.value, *path[1:])
    return None


def check(data: bytes, objects_max: int = MAX_OBJECTS) -> None:
    """Walk all of `data` as one DER object, so that a recursive reader can be let loose on it afterwards.

    Args:
        data: the object, whole.
        objects_max: how many data objects may be in it, itself included.

    Raises:
        CardDataError: it is not exactly one object, lengths lie, or nesting is deeper than `MAX_DEPTH`.
    """
    # A flat walk over offsets: whoever verifies an archive comes here for every file in it.
    whole, position = len(data), 0
    ends = [whole]
    for _ in range(objects_max):
        first, end = _extent(data, position)
        if end[1] > ends[-1]:
            raise CardDataError("a data object claims more bytes than there are")
        if len(ends) == 1 and end[1] != whole:
            raise CardDataError("there are bytes after the data object")
        if first & 0x20:
            if len(ends) > MAX_DEPTH:
                raise CardDataError("data objects are nested too deeply")
            ends.append(end[1])
            position = end[0]
        else:
            position = end[1]
        while ends and position == ends[-1]:
            ends.pop()
        if not ends:
            return
    raise CardDataError("too many data objects")


def _extent(data: bytes, offset: int) -> tuple[int, tuple[int, int]]:
    """Return the first octet of a data object, and where its value begins and ends by its own account."""
    header = data[offset : offset + 4]
    if len(header) == 4 and header[0] & 0x1F != 0x1F:
        if header[1] < 0x80:
            return header[0], (offset + 2, offset + 2 + header[1])
        if header[1] == 0x82:
            return header[0], (offset + 4, offset + 4 + (header[2] << 8 | header[3]))
    _, length, start = _header(data, offset)
    return data[offset], (start, start + length)


def _header(data: bytes, offset: int) -> tuple[int, int, int]:
    """Tag, length, and the offset of the value."""
    position = _end_of_tag(data, offset)
    tag = int.from_bytes(data[offset:position], "big")
    if position >= len(data):
        raise CardDataError("a data object ends before its length")
    length = data[position]
    position += 1
    if length >= 0x80:
        octets = length & 0x7F
        if octets == 0:
            raise CardDataError("a data object has an indefinite length")
        if octets > 4 or position + octets > len(data):
            raise CardDataError("a data object has a length that cannot be read")
        length = int.from_bytes(data[position : position + octets], "big")
        position += octets
    return tag, length, position


def _end_of_tag(data: bytes, offset: int) -> int:
    if not 0 <= offset < len(data):
        raise CardDataError("there is no data object")
    if data[offset] & 0x1F != 0x1F:
        return offset + 1
    for position in range(offset + 1, min(offset + MAX_TAG_OCTETS, len(data))):
        if not data[position] & 0x80:
            return position + 1
    raise CardDataError("a data object has a tag that cannot be read")
