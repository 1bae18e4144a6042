"""Files of packet captures, pcap and pcapng: their packets one after the other, whatever size the file has.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. Read here and not with a library: those that are
permissively licensed (dpkt, python-pcapng) take a block of whatever length it announces into memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

PACKET_MOST: Final = 1024 * 1024
"""No transfer of a card reader is longer; a longer packet is passed over."""

_EMPTY_MOST: Final = 4096
"""So many empty packets in a row are a file that was never written to its end."""

_PCAP = {0xA1B2C3D4: "<", 0xA1B23C4D: "<"}
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 2
_SIMPLE: Final = 3
_ENHANCED: Final = 6


class CutError(Exception):
    """The file ends, or goes wrong, in the middle; what came before is good."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes:
        link: link type of its interface.
        order: byte order of its section, `<` or `>`.
        data: what was captured of it.
        whole: whether that is all of it.
    """

    link: int
    order: str
    data: bytes
    whole: bool


def is_capture(head: bytes) -> bool:
    """Return whether a file that begins so is a capture."""
    return len(head) >= 4 and (_order(head) is not None or head[:4] == b"\x0a\x0d\x0d\x0a")


def packets(file: BinaryIO) -> Iterator[Packet]:
    """Return the packets.

    Raises:
        CutError: after the last good one, if the file does not end with it.
    """
    head = file.read(4)
    order = _order(head)
    return _pcapng(file) if order is None else _pcap(file, order)


def _order(head: bytes) -> str | None:
    for order in "<>":
        if int.from_bytes(head[:4], "little" if order == "<" else "big") in _PCAP:
            return order
    return None


def _pcap(file: BinaryIO, order: str) -> Iterator[Packet]:
    header = _exactly(file, 20)
    # The upper bits say how long a frame check sequence is.
    link = struct.unpack(f"{order}I", header[16:20])[0] & 0x0FFFFFFF
    empty = 0
    while head := file.read(16):
        if len(head) < 16:
            raise CutError
        _, _, captured, length = struct.unpack(f"{order}IIII", head)
        empty = 0 if captured else empty + 1
        if captured > 0x10000000 or empty > _EMPTY_MOST:
            raise CutError
        if captured > PACKET_MOST:
            _pass(file, captured)
        else:
            yield Packet(link, order, _exactly(file, captured), captured >= length)


def _pcapng(file: BinaryIO) -> Iterator[Packet]:
    file.seek(0)
    order, links = "<", list[int]()
    while head := file.read(8):
        if len(head) < 8:
            raise CutError
        kind, size = struct.unpack(f"{order}II", head)
        if kind == _SECTION:
            magic = _exactly(file, 4)
            order = "<" if magic == b"\x4d\x3c\x2b\x1a" else ">"
            size = struct.unpack(f"{order}I", head[4:])[0]
            links.clear()
            _check_size(size, 28)
            _pass(file, size - 12)
            continue
        _check_size(size, 12)
        if size - 8 > PACKET_MOST or kind not in (_INTERFACE, _PACKET, _SIMPLE, _ENHANCED):
            _pass(file, size - 8)
            continue
        body = _exactly(file, size - 8)[:-4]
        if kind == _INTERFACE:
            links.append(struct.unpack(f"{order}H", body[:2])[0] if len(body) >= 2 else -1)
        elif (packet := _packet(kind, body, order, links)) is not None:
            yield packet


def _packet(kind: int, body: bytes, order: str, links: list[int]) -> Packet | None:
    """Return the packet in a block: enhanced, simple, or of the old kind."""
    try:
        if kind == _SIMPLE:
            interface, at, (length,) = 0, 4, struct.unpack(f"{order}I", body[:4])
            captured = min(length, len(body) - at)
        else:
            interface = struct.unpack(
                f"{order}{'I' if kind == _ENHANCED else 'H'}", body[: 4 if kind == _ENHANCED else 2]
            )[0]
            at, (captured, length) = 20, struct.unpack(f"{order}II", body[12:20])
    except struct.error:
        raise CutError from None
    if captured > len(body) - at or interface >= len(links):
        raise CutError
    return Packet(links[interface], order, body[at : at + captured], captured >= length)


def _check_size(size: int, least: int) -> None:
    if size < least or size % 4:
        raise CutError


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise CutError
    return data


def _pass(file: BinaryIO, count: int) -> None:
    while count > 0:
        count -= len(_exactly(file, min(count, PACKET_MOST)))
