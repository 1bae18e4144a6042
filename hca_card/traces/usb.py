"""USB captures of CCID readers: URBs as Linux (usbmon) and Windows (USBPcap) record them, to CCID messages.

usbmon: Linux Documentation/usb/usbmon.rst, LINKTYPE_USB_LINUX and LINKTYPE_USB_LINUX_MMAPPED; USBPcap:
desowin.org/usbpcap/captureformat.html, LINKTYPE_USBPCAP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from hca_card.traces.captures import CutError, Packet, packets
from hca_card.traces.ccid import Reader
from hca_card.traces.sink import Sink

USB_LINUX: Final = 189
USB_LINUX_MMAPPED: Final = 220
USBPCAP: Final = 249
LINKS: Final = (USB_LINUX, USB_LINUX_MMAPPED, USBPCAP)

_BULK: Final = 3
_USBPCAP_HEAD: Final = struct.Struct("<HQIHBHHBBI")
_READERS_MOST: Final = 64
_MESSAGE_MOST: Final = 10 + 0x10000 + 64


@dataclass(frozen=True, slots=True)
class Transfer:
    """What went over a bulk pipe of a device.

    Attributes:
        device: bus and address.
        incoming: to the computer.
        data: of the transfer.
    """

    device: str
    incoming: bool
    data: bytes


def read(file: BinaryIO, sink: Sink) -> None:
    """Read a capture from its beginning to its end."""
    devices: dict[str, _Device] = {}
    foreign = 0
    try:
        for packet in packets(file):
            if packet.link not in LINKS:
                foreign += 1
                continue
            transfer = _transfer(packet)
            if transfer is None:
                continue
            if not packet.whole:
                sink.note(
                    "擷取檔只記了封包的一部分：請不要限制封包長度（snaplen）再錄一次",
                    "the capture holds parts of packets only: record again without a limit on their length",
                )
                continue
            device = devices.get(transfer.device)
            if device is None and len(devices) < _READERS_MOST:
                device = devices[transfer.device] = _Device(transfer.device, sink)
            if device is not None:
                device.take(transfer)
    except CutError:
        sink.note(
            "擷取檔不完整：到中斷之處為止的內容已讀入",
            "the capture is cut: what comes before the cut has been read",
        )
    if foreign:
        sink.note(
            "擷取檔裡有不是 USB 的封包（例如網路），已略過",
            "the capture holds packets other than of USB, of a network perhaps; they are left out",
        )


def _transfer(packet: Packet) -> Transfer | None:
    """Return the bulk data in a packet; None where there is none."""
    if packet.link == USBPCAP:
        return _usbpcap(packet.data)
    data, order = packet.data, packet.order
    size = 48 if packet.link == USB_LINUX else 64
    if len(data) <= size:
        return None
    kind, transfer, endpoint, device, bus = struct.unpack(f"{order}BBBBH", data[8:14])
    incoming = bool(endpoint & 0x80)
    # A submission carries what goes out, a completion what came in.
    if transfer != _BULK or kind != ord("C" if incoming else "S") or data[15] != 0:
        return None
    return Transfer(f"{bus}.{device}", incoming, data[size:])


def _usbpcap(data: bytes) -> Transfer | None:
    if len(data) < _USBPCAP_HEAD.size:
        return None
    size, _, _, _, info, bus, device, endpoint, transfer, _ = _USBPCAP_HEAD.unpack_from(data)
    incoming = bool(endpoint & 0x80)
    if transfer != _BULK or len(data) <= size or bool(info & 1) != incoming:
        return None
    return Transfer(f"{bus}.{device}", incoming, data[size:])


class _Device:
    """Puts CCID messages together from the transfers of one device, each way by itself."""

    def __init__(self, name: str, sink: Sink) -> None:
        self._reader = Reader(name, sink)
        self._held = {False: bytearray(), True: bytearray()}

    def take(self, transfer: Transfer) -> None:
        held = self._held[transfer.incoming]
        held += transfer.data
        if not self._reader.begins(held, incoming=transfer.incoming):
            held.clear()  # of a device that is no reader of cards, or after a gap
            return
        if len(held) < _length(held):
            if len(held) > _MESSAGE_MOST:
                held.clear()
            return
        message = bytes(held[: _length(held)])
        held[:] = bytes(len(held))
        held.clear()
        self._reader.message(message, incoming=transfer.incoming)


def _length(message: bytearray) -> int:
    return 10 + int.from_bytes(message[1:5], "little") if len(message) >= 10 else 10
