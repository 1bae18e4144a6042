"""What other programs record of a card at work, written as they write it, for tests of `card import-trace`.

    recorded = Recorded(simulated("hpc"))
    vendors_program(recorded, b"123456")
    log = apduplay(recorded)

The logs of pcscd and OpenSC are as those programs write them here; those of macOS and APDUPlay are from
general knowledge of their shape, for neither program was at hand. The captures are put together from the
documents of USB and libpcap, by themselves: nothing of it comes from what reads them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from functools import reduce
from operator import xor

from pcsc.winscard import VirtualCard

T0_ATR = bytes.fromhex("3B 68 00 00") + b"T0 CARD!"
READER = "Castles EZ100PU 00 00"


class Recorded:
    """A card that keeps what passes.

    Attributes:
        atr: its answer to reset.
        exchanges: command and answer, in their order.
    """

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self.atr = card.power_on()
        self.exchanges: list[tuple[bytes, bytes]] = []

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.exchanges.append((command, answer))
        return answer


def vendors_program(transmit: Callable[[bytes], bytes], pin: bytes, document: bytes = b"document") -> bytes:
    """What a maker's program would do with the reference card: read it, ask the tries, verify, sign."""

    def say(command: str, more: bytes = b"") -> bytes:
        answer = transmit(bytes.fromhex(command) + more)
        assert answer[-2:] in (b"\x90\x00", b"\x62\x82", b"\x63\xc3"), (command, answer.hex())
        return answer[:-2]

    say("00A40400 0A F0484341414745 4E5401 00")
    say("00B08300 9F")
    say("00B08400 18")
    for sfi in (0x0B, 0x0A, 0x0C, 0x0D, 0x0E):
        say(f"00B0{0x80 | sfi:02X}00 00")
        for offset in range(0x100, 0x800, 0x100):
            if len(say(f"00B0{offset:04X} 00")) < 0x100:
                break
    say("00200001")
    say(f"00200001 {len(pin):02X}", pin)
    say("002241B6 06 800111 840101")
    info = bytes.fromhex("3031300D060960864801650304020105000420") + hashlib.sha256(document).digest()
    signature = say(f"002A9E9A {len(info):02X}", info + b"\x00")
    say("0020FF01")
    return signature


# --- logs ---------------------------------------------------------------------------------------------------


def pcscd(recorded: Recorded) -> bytes:
    """`pcscd --foreground --debug --apdu`."""
    lines = [
        "00000000 debuglog.c:368:DebugLogSetLevel() debug level=debug",
        f"00000132 eventhandler.c:353:EHStatusHandlerThread() Card ATR: {_spaced(recorded.atr)} ",
        f"00000079 winscard.c:203:SCardConnect() Attempting Connect to {READER} using protocol: 3",
    ]
    for command, answer in recorded.exchanges:
        lines += ["00000015 winscard_svc.c:325:ContextThread() Received command: TRANSMIT from client 9"]
        lines += [f"00000104 APDU: {_spaced(command)} ", f"00023412 SW: {_spaced(answer)} "]
    return "\n".join(lines).encode()


def opensc(recorded: Recorded, reader: str = READER) -> bytes:
    """`OPENSC_DEBUG=9`: bytes and, beside them, the same as characters."""
    head = "P:26697; T:0x140370216855616 08:41:50.058 [opensc-pkcs11] "
    lines = [
        f"{head}reader-pcsc.c:362:refresh_attributes: {reader} check",
        f"{head}card.c:1234:match_atr_table: ATR     : {recorded.atr.hex(':')}",
        f"{head}card.c:1245:match_atr_table: ATR try : 3B:80:80:01:01",
    ]
    for command, answer in recorded.exchanges:
        lines.append(f"{head}reader-pcsc.c:325:pcsc_transmit: reader '{reader}'")
        for word, octets in (("Outgoing", command), ("Incoming", answer)):
            lines += [f"{head}reader-pcsc.c:326:pcsc_transmit: ", f"{word} APDU ({len(octets)} bytes):"]
            for at in range(0, len(octets), 16):
                row = octets[at : at + 16]
                shown = "".join(chr(each) if 0x20 <= each < 0x7F else "." for each in row)
                lines.append(f"{row.hex(' ').upper()} {shown}")
            lines.append("")
    return "\n".join(lines).encode()


def apduplay(recorded: Recorded) -> bytes:
    """APDUPlay's winscard.dll: winscard_log.txt, with the line ends of Windows."""
    lines = ["[begin]", "SCardEstablishContext() called", "-> hContext:0xCD010000"]
    handle = 0xEA010000
    for number, (command, answer) in enumerate(recorded.exchanges):
        handle += command[1:3] == b"\xa4\x04"  # of a program that connects again and again
        lines += [
            f"SCardTransmit (handle 0x{handle:X})#",
            f"apduCounter:{number}#",
            f"totalBytesINCounter:{number}#",
            f"transmitted:{command.hex(' ')} ",
            "responseTime:16#",
            "SCardTransmit result:0x0#",
            f"received:{answer.hex(' ')} ",
        ]
    return "\r\n".join(lines).encode()


def macos(recorded: Recorded) -> bytes:
    """`log show` in its usual style, with smart card logging turned on."""
    return "\n".join(
        f"2026-11-29 09:12:33.{at:06d}+0800 0x1f2b     Default     0x0                  412    0    "
        f"com.apple.ifdreader: [com.apple.CryptoTokenKit:APDULog] {message}"
        for at, message in enumerate(_macos_messages(recorded))
    ).encode()


def macos_json(recorded: Recorded) -> bytes:
    """`log show --style json`."""
    entries = [
        {
            "timestamp": f"2026-11-29 09:12:33.{at:06d}+0800",
            "subsystem": "com.apple.CryptoTokenKit",
            "processImagePath": "/usr/libexec/com.apple.ifdreader",
            "eventMessage": message,
            "category": "APDULog",
        }
        for at, message in enumerate(_macos_messages(recorded))
    ]
    return json.dumps(entries, indent=2).encode()


def macos_ndjson(recorded: Recorded) -> bytes:
    """`log show --style ndjson`."""
    return "\n".join(json.dumps({"eventMessage": one}) for one in _macos_messages(recorded)).encode()


def _macos_messages(recorded: Recorded) -> Iterator[str]:
    yield f"card inserted, ATR: {recorded.atr.hex()}"
    for command, answer in recorded.exchanges:
        yield f"APDU -> {command.hex()}"
        yield f"APDU <- {answer.hex()}"


def arrows(recorded: Recorded) -> bytes:
    """A log as anybody would write it."""
    lines = [f"ATR: {_spaced(recorded.atr)}"]
    for command, answer in recorded.exchanges:
        lines += [f"[12:00:01] -> {_spaced(command)}", f"[12:00:01] <- {_spaced(answer)}"]
    return "\n".join(lines).encode()


def redirected(log: bytes) -> bytes:
    """A log as PowerShell's `>` writes it: UTF-16 with a mark."""
    return log.decode().replace("\n", "\r\n").encode("utf-16")


def _spaced(octets: bytes) -> str:
    return octets.hex(" ").upper()


# --- USB ----------------------------------------------------------------------------------------------------

Message = tuple[bool, bytes]
"""Whether it goes to the computer, and a CCID message."""


def by_apdu(recorded: Recorded, slot: int = 0) -> list[Message]:
    """A reader that takes APDUs."""
    messages = _power_on(recorded.atr, slot)
    for command, answer in recorded.exchanges:
        messages += [(False, _to_reader(0x6F, command, slot)), (True, _from_reader(answer, slot))]
    return messages


def by_extended_apdu(recorded: Recorded, size: int = 90) -> list[Message]:
    """A reader that takes extended APDUs, in pieces of `size` bytes (CCID 1.1 §6.1.4, §6.2.1)."""
    messages = _power_on(recorded.atr)
    for command, answer in recorded.exchanges:
        pieces = _pieces(command, size)
        for number, piece in enumerate(pieces):
            messages.append((False, _to_reader(0x6F, piece, level=_level(number, len(pieces)))))
            if number < len(pieces) - 1:
                messages.append((True, _from_reader(b"", chain=0x10)))
        pieces = _pieces(answer, size)
        for number, piece in enumerate(pieces):
            messages.append((True, _from_reader(piece, chain=_level(number, len(pieces)))))
            if number < len(pieces) - 1:
                messages.append((False, _to_reader(0x6F, b"", level=0x10)))
    return messages


def by_blocks(recorded: Recorded, size: int = 32) -> list[Message]:
    """A reader that takes blocks of T=1, chained beyond `size` bytes (ISO/IEC 7816-3 §11)."""
    messages = _power_on(recorded.atr)
    messages += [
        (False, _to_reader(0x6F, _block(0xC1, b"\xfe"))),
        (True, _from_reader(_block(0xE1, b"\xfe"))),
    ]
    numbers = [0, 0]
    for command, answer in recorded.exchanges:
        for incoming, apdu in enumerate((command, answer)):
            pieces = _pieces(apdu, size)
            for number, piece in enumerate(pieces):
                last = number == len(pieces) - 1
                block = _block(numbers[incoming] << 6 | (0 if last else 0x20), piece)
                numbers[incoming] ^= 1
                ready = _block(0x80 | numbers[incoming] << 4, b"")
                if incoming:
                    messages.append((True, _from_reader(block)))
                    messages += [] if last else [(False, _to_reader(0x6F, ready))]
                else:
                    messages.append((False, _to_reader(0x6F, block)))
                    messages += [] if last else [(True, _from_reader(ready))]
    return messages


def by_tpdu(recorded: Recorded) -> list[Message]:
    """A reader that takes TPDUs of T=0: no Le beside data, GET RESPONSE for what there is (§12.2)."""
    messages = _power_on(T0_ATR)
    for command, answer in recorded.exchanges:
        case_4 = len(command) > 5 and len(command) == 5 + command[4] + 1
        sent = command[:-1] if case_4 else command if len(command) > 4 else command + b"\x00"
        messages.append((False, _to_reader(0x6F, sent)))
        if case_4 and len(answer) > 2:
            left = len(answer) - 2
            messages.append((True, _from_reader(bytes((0x61, left & 0xFF)))))
            messages.append((False, _to_reader(0x6F, bytes((0, 0xC0, 0, 0, left & 0xFF)))))
        messages.append((True, _from_reader(answer)))
    return messages


def keypad_entry(header: bytes, frame: bytes, answer: bytes, slot: int = 0) -> list[Message]:
    """A PIN typed on the reader: PC_to_RDR_Secure with the frame of VERIFY (CCID 1.1 §6.1.11)."""
    structure = struct.pack("<BBBBBHBBHB3s", 0, 30, 0x82, 0x08, 0x00, 0x0806, 2, 1, 0x0404, 0, bytes(3))
    secure = _to_reader(0x69, structure + header + bytes((len(frame),)) + frame, slot)
    return [(False, secure), (True, _from_reader(answer, slot))]


def usbmon_pcap(messages: list[Message], *, mapped: bool = True, order: str = "<") -> bytes:
    """`tcpdump -i usbmon1 -w`: pcap of usbmon, with the longer or the shorter header."""
    file = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 220 if mapped else 189)
    for data in _usbmon(messages, mapped=mapped, order=order):
        file += struct.pack(f"{order}IIII", 1, 2, len(data), len(data)) + data
    return file


def usbmon_pcapng(messages: list[Message], device: int = 7) -> bytes:
    """`dumpcap -i usbmon1 -w`: pcapng, with options and blocks that nobody needs."""
    file = _block_of(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(4, b"Dumpcap"))
    file += _block_of(1, struct.pack("<HHI", 220, 0, 0) + _option(2, b"usbmon1"))
    file += _block_of(5, struct.pack("<III", 0, 0, 0))
    for data in _usbmon(messages, mapped=True, device=device):
        file += _block_of(6, struct.pack("<IIIII", 0, 0, 0, len(data), len(data)) + _aligned(data))
    return file


def usbpcap_pcapng(messages: list[Message]) -> bytes:
    """USBPcap of Windows, as Wireshark saves it."""
    file = _block_of(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += _block_of(1, struct.pack("<HHI", 249, 0, 0))
    for number, (incoming, message) in enumerate(messages):
        for answered in (False, True):
            carries = answered is incoming
            data = struct.pack(
                "<HQIHBHHBBI", 27, number, 0, 9, answered, 1, 5, 0x81 if incoming else 0x02, 3,
                len(message) if carries else 0,
            )  # fmt: skip
            data += message if carries else b""
            file += _block_of(6, struct.pack("<IIIII", 0, 0, 0, len(data), len(data)) + _aligned(data))
    return file


def _usbmon(messages: list[Message], *, mapped: bool, order: str = "<", device: int = 7) -> Iterator[bytes]:
    yield _urb("C", 0x80, 2, b"\x12\x01", mapped=mapped, order=order, device=device)  # of a control pipe
    for incoming, message in messages:
        for kind in "SC":
            data = message if (kind == "C") is incoming else b""
            yield _urb(kind, 0x81 if incoming else 0x02, 3, data, mapped=mapped, order=order, device=device)


def _urb(
    kind: str, endpoint: int, transfer: int, data: bytes, *, mapped: bool, order: str, device: int
) -> bytes:
    head = struct.pack(
        f"{order}QBBBBHBBqiiII8s", 0xFFFF880000000001, ord(kind), transfer, endpoint, device, 1, 0x2D,
        0 if data else 0x3C, 1, 2, 0, len(data), len(data), bytes(8),
    )  # fmt: skip
    return head + (bytes(16) if mapped else b"") + data


def _block_of(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _aligned(value) + bytes(4)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _power_on(atr: bytes, slot: int = 0) -> list[Message]:
    return [(False, _to_reader(0x62, b"", slot)), (True, _from_reader(atr, slot))]


def _to_reader(kind: int, data: bytes, slot: int = 0, *, level: int = 0) -> bytes:
    return struct.pack("<BIBBBH", kind, len(data), slot, 1, 4, level) + data


def _from_reader(data: bytes, slot: int = 0, *, chain: int = 0) -> bytes:
    return struct.pack("<BIBBBBB", 0x80, len(data), slot, 1, 0, 0, chain) + data


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def _level(number: int, count: int) -> int:
    """Whole, beginning, end or middle: wLevelParameter and bChainParameter."""
    if count == 1:
        return 0
    return 1 if number == 0 else 2 if number == count - 1 else 3


def _block(pcb: int, data: bytes) -> bytes:
    block = bytes((0, pcb, len(data))) + data
    return block + bytes((reduce(xor, block, 0),))
