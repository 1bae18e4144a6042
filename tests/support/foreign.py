"""The foreign card (`hca_card.simulator.foreign_card`): its profile, and the program of its maker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

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


def profile_with(signature_key: str, *more: tuple[str, str]) -> str:
    """The profile with other lines for the signature key, and other changes."""
    text = PROFILE.replace(SIGNATURE_KEY, f'\nuse = "signature"\n{signature_key}\n')
    for old, new in more:
        assert old in text
        text = text.replace(old, new)
    return text


def makers_program(transmit: Callable[[bytes], bytes], pin: bytes, document: bytes = b"document") -> bytes:
    """What a maker's program does with the card, byte for byte: read it, verify the PIN, sign a document.

    Args:
        transmit: exchanges one raw APDU.
        pin: as the person types it.
        document: is signed: RSA, PKCS #1 v1.5, SHA-256.

    Returns:
        The signature.
    """

    def say(command: str, *more: bytes) -> bytes:
        answer = transmit(bytes.fromhex(command) + b"".join(more))
        assert answer[-2:] in (b"\x90\x00", b"\x62\x82") or answer[-2] in (0x61, 0x63), (
            command,
            answer.hex(),
        )
        while answer[-2] == 0x61:
            answer = answer[:-2] + transmit(bytes((0x80, 0xC0, 0, 0, answer[-1])))
        return answer[:-2]

    say("80A4040C 09 F0464F524549474E01")
    say("80CA0101 00")  # what the card is
    say("80B2012C 00")  # basic data, two records of file 5
    say("80B2022C 00")
    say("80B08600 28")  # card information: file 6 from byte 16
    say("80A4040C 09 F0464F524549474E02")
    say("80CA7F21 01 01 00")  # the certificate
    for file in ("E101", "E102"):  # that for encryption, packed, in two files
        say(f"80A4020C 02 {file}")
        offset = 0
        while chunk := _some(transmit, offset):
            offset += len(chunk)
    say("80200082")  # tries left
    say("80200082 08", pin.ljust(8, b"\xff"))
    say("802241B6 03 840185")
    info = bytes.fromhex("3031300D060960864801650304020105000420") + hashlib.sha256(document).digest()
    block = b"\x00\x01" + b"\xff" * (256 - len(info) - 3) + b"\x00" + info
    say("902A9E9A F0", block[:240])
    signature = say("802A9E9A 10", block[240:], b"\x00")
    say("80A4040C 09 F0464F524549474E02")  # drops the PIN
    return signature


def _some(transmit: Callable[[bytes], bytes], offset: int) -> bytes:
    return transmit(bytes((0x80, 0xB0, offset >> 8, offset & 0xFF, 0xC0)))[:-2]
