"""HiCOS cards of Chunghwa Telecom (自然人憑證, 工商憑證): told from others, and left alone.

Their PIN and key commands are encrypted under keys of the maker, so a plain VERIFY could only cost a try.
Signing and PIN need the maker's own PKCS#11 module.
"""

from __future__ import annotations

from typing import Final

from hca_card.model import Channel
from pcsc.apdu import LE_SHORT_MAX, Command
from pcsc.status import StatusWord

ATR_TEXTS: Final = (b"CHTMOICA", b"CHTGPKI")
"""Historical bytes of the cards seen."""

GENERATION_2: Final = bytes.fromhex("A0 00 00 02 83 00 00 06 22 01 69 64 00 01 01 01")
"""What SELECT by name takes on generation 2."""

REFUSAL: Final = (
    "this is a HiCOS card (自然人憑證 or 工商憑證) of Chunghwa Telecom: "
    "its PIN and keys are only usable through the maker's PKCS#11 module"
)


def named_by(atr: bytes) -> bool:
    """Whether the ATR is one of HiCOS cards; then not a single command needs to be sent."""
    return any(text in atr for text in ATR_TEXTS)


def answers(channel: Channel) -> bool:
    """Whether the card takes the SELECT of generation 2, or of generation 1 where CLA 00 is not its own."""
    second = Command(0x00, 0xA4, 0x04, 0x0C, GENERATION_2, le=LE_SHORT_MAX)
    sw = channel.send(second).sw
    if sw == StatusWord.CLA_NOT_SUPPORTED:
        sw = channel.send(Command(0x80, 0xA4, 0x00, 0x00, b"\x3f\x00")).sw
    return sw == StatusWord.SUCCESS
