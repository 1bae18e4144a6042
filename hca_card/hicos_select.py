"""HiCOS cards of Chunghwa Telecom (自然人憑證, 工商憑證): recognised before anything is read."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

from hca_card.model import Channel
from pcsc.apdu import LE_SHORT_MAX, Command, Response
from pcsc.status import StatusWord

ATR_TEXTS: Final = (b"CHTMOICA", b"CHTGPKI")
"""Historical bytes of known cards."""

GENERATION_2_AID: Final = bytes.fromhex("A0 00 00 02 83 00 00 06 22 01 69 64 00 01 01 01")
"""What SELECT by name takes on generation 2."""


class Generation(Enum):
    """The two generations, by how they are spoken to."""

    FIRST = 1
    """Class byte 80, files by identifier; every command of class 00 is refused with 6E00."""
    SECOND = 2
    """Class byte 00, an application that is selected by name."""


@lru_cache(maxsize=64)
def named_by(atr: bytes) -> bool:
    """Return whether the ATR is one of HiCOS cards."""
    return any(text in atr for text in ATR_TEXTS)


def generation(channel: Channel) -> Generation | None:
    """Which generation the card answers as, its application or master file then being selected."""
    second = Command(0x00, 0xA4, 0x04, 0x0C, GENERATION_2_AID, le=LE_SHORT_MAX)
    sw = channel.send(second).sw
    if sw == StatusWord.SUCCESS:
        return Generation.SECOND
    if sw == StatusWord.CLA_NOT_SUPPORTED and select(channel, b"\x3f\x00").ok:
        return Generation.FIRST
    return None


def select(channel: Channel, identifier: bytes) -> Response:
    """SELECT one file by its identifier in the manner of generation 1."""
    return channel.send(Command(0x80, 0xA4, 0x00, 0x00, identifier))
