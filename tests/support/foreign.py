"""The foreign card (`hca_card.simulator.foreign_card`): its profile, and the program of its maker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from hca_card.simulator.foreign_card import ForeignWire, Signs

PROFILE = """
name = "foreign"
atrs = ["3B F8 13 00 00 81 31 FE 45 46 4F 52 45 49 47 4E 31 8F"]
aid = "F0 46 4F 52 45 49 47 4E 01"

[commands]
select_class = 0x80
read_class = 0x80
data_class = 0x80
pin_class = 0x80
key_class = 0x80
select_p2 = 0x0C
read_most = 0xC0
chain = 0xF0

[identity]
file = { object = 0x0101 }
length = 18
serial = [0, 12]
version = [13, 14]
type = [15, 16]
rank = [17, 18]
personnel = "P"
institution = "I"
secondary = "2"

[files]
basic = { sfi = 5, records = [1, 255] }
info = { sfi = 6, skip = 16, length = 24 }

[[certificates]]
index = 0
use = "ca"
file = { sfi = 8, records = [1, 255], aid = "F0 46 4F 52 45 49 47 4E 02" }

[[certificates]]
index = 1
use = "signature"
file = { object = 0x7F21, object_data = "01", within = [0x7F21, 0x53], aid = "F0 46 4F 52 45 49 47 4E 02" }

[[certificates]]
index = 2
use = "encryption"
file.parts = [
    { path = "E101", aid = "F0 46 4F 52 45 49 47 4E 02" },
    { path = "E102", aid = "F0 46 4F 52 45 49 47 4E 02" },
]
file.compression = "zlib"

[[certificates]]
index = 3
use = "intermediate"
file = { sfi = 13, aid = "F0 46 4F 52 45 49 47 4E 02" }

[[certificates]]
index = 4
use = "root"
file = { sfi = 14, aid = "F0 46 4F 52 45 49 47 4E 02" }

[pin]
aid = "F0 46 4F 52 45 49 47 4E 02"
reference = 0x82
tries = 3
status = "empty-verify"
drop = "select"
format = { min_length = 6, max_length = 8, stored_length = 8, pad = 0xFF }

[puk]
format = { min_length = 8, max_length = 8, encoding = "ascii-numeric", stored_length = 8, pad = 0xFF }

[[keys]]
use = "signature"
reference = 0x85
form = "block"

[[keys]]
use = "encryption"
reference = 0x86
form = "block"
indicator = ""
p2 = 0x84
"""

SIGNATURE_KEY = """
use = "signature"
reference = 0x85
form = "block"
"""


_FROM, _TO = (PROFILE.index(f"[[certificates]]\nindex = {index}") for index in (2, 3))
ONE_KEY = (
    (PROFILE[_FROM:_TO], ""),
    (PROFILE[PROFILE.index('[[keys]]\nuse = "encryption"') :], ""),
)
"""Changes for a card without the key to decipher."""


def profile_with(signature_key: str, *more: tuple[str, str]) -> str:
    """The profile with other lines for the signature key, and other changes."""
    text = PROFILE.replace(SIGNATURE_KEY, f'\nuse = "signature"\n{signature_key}\n')
    for old, new in more:
        assert old in text
        text = text.replace(old, new)
    return text


def makers_program(
    transmit: Callable[[bytes], bytes],
    pin: bytes,
    document: bytes = b"document",
    wire: ForeignWire = ForeignWire(),  # noqa: B008
) -> bytes:
    """What a maker's program does with the card, byte for byte: read it, verify the PIN, sign a document.

    Args:
        transmit: exchanges one raw APDU.
        pin: as the person types it.
        document: is signed: PKCS #1 v1.5 or ECDSA, SHA-256.
        wire: the bytes of the card.

    Returns:
        The signature.
    """
    files, keys, select = (bytes((each,)).hex() for each in (wire.file_class, wire.key_class, wire.select_p2))

    def say(command: str, *more: bytes) -> bytes:
        answer = transmit(bytes.fromhex(command) + b"".join(more))
        assert answer[-2:] in (b"\x90\x00", b"\x62\x82") or answer[-2] in (0x61, 0x63), (
            command,
            answer.hex(),
        )
        while answer[-2] == 0x61:
            answer = answer[:-2] + transmit(bytes((0x80, 0xC0, 0, 0, answer[-1])))
        return answer[:-2]

    say(f"{files}A404{select} 09 F0464F524549474E01")
    say(f"{files}CA0101 00")  # what the card is
    say(f"{files}B2012C 00")  # basic data, two records of file 5
    say(f"{files}B2022C 00")
    say(f"{files}B08600 28")  # card information: file 6 from byte 16
    say(f"{files}A404{select} 09 F0464F524549474E02")
    say(f"{files}CA7F21 01 01 00")  # the certificate
    for file in ("E101", "E102") if wire.bits > 1024 else ():  # that for encryption, packed, in two files
        say(f"{files}A402{select} 02 {file}")
        offset = 0
        while chunk := transmit(bytes((wire.file_class, 0xB0, offset >> 8, offset & 0xFF, 0xC0)))[:-2]:
            offset += len(chunk)
    say(f"{keys}200082")  # tries left
    say(f"{keys}200082 08", pin.ljust(8, b"\xff"))
    if wire.environment is not None:
        p1, p2, data = wire.environment
        say(f"{keys}22{p1:02X}{p2:02X}", bytes((len(data),)) + data if data else b"")
    signature = _sign(say, wire, document)
    say(f"{files}A404{select} 09 F0464F524549474E02")  # drops the PIN
    return signature


def _sign(say: Callable[..., bytes], wire: ForeignWire, document: bytes) -> bytes:
    digest = hashlib.sha256(document).digest()
    info = bytes.fromhex("3031300D060960864801650304020105000420") + digest
    data = digest if wire.bits < 1024 or wire.signs is Signs.DIGEST else info
    command = "880000" if wire.signs is Signs.AUTHENTICATION else "2A9E9A"
    if wire.signs is Signs.HASHED:
        say(f"{wire.key_class:02X}2A90A0", bytes((len(digest) + 2, 0x90, len(digest))) + digest)
        return say(f"{wire.key_class:02X}{command} 00")
    if wire.signs is Signs.BLOCK:
        data = b"\x00\x01" + b"\xff" * (wire.bits // 8 - len(info) - 3) + b"\x00" + info
    while len(data) > wire.command_most:
        part, data = data[: wire.command_most], data[wire.command_most :]
        say(f"{wire.key_class | 0x10:02X}{command}", bytes((len(part),)) + part)
    return say(f"{wire.key_class:02X}{command}", bytes((len(data),)) + data + b"\x00")
