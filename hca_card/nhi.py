"""The NHI card (健保卡) in an ordinary reader: its basic data, and nothing else."""

from __future__ import annotations

from typing import Final, Self

from hca_card import big5
from hca_card.errors import CardDataError, UnsupportedError
from hca_card.model import (
    Card,
    CardKind,
    Channel,
    Insured,
    Metadata,
)
from pcsc.apdu import LE_SHORT_MAX, Command
from pcsc.status import StatusError, StatusWord

AID: Final = bytes.fromhex("D1580000010000000000000000001100")
BASIC_DATA_LENGTH: Final = 57
NEEDS_SAM: Final = (
    "visits, validity, prescriptions, telephone, PIN, certificate and keys of an NHI card need the NHI "
    "reader with its SAM and the NHI data centre; an ordinary reader gives the basic data only"
)


class NhiCard(Card):
    """An NHI card whose basic data has been read."""

    kind = CardKind.NHI

    def __init__(self, channel: Channel, basic_data: bytes) -> None:
        """Take the record that recognising the card has read.

        Raises:
            CardDataError: it does not have 57 bytes, or begins with no card number.
        """
        if len(basic_data) != BASIC_DATA_LENGTH:
            raise CardDataError(f"the basic data of the NHI card has {len(basic_data)} bytes and not 57")
        number = basic_data[:12].strip(b"\x00 ")
        if not number.isalnum():
            raise CardDataError("the basic data of the NHI card begins with no card number")
        self.serial = number.decode("ascii")
        self._channel = channel
        self._basic_data = basic_data

    @classmethod
    def open(cls, channel: Channel, *, expected: bool) -> Self | None:
        """SELECT the application and read the basic data; None where this is no NHI card.

        Some cards issued since 2025 answer 6D00 to every SELECT and give their data all the same, so the
        answer to SELECT decides nothing; a first read of a cold card can fail, so there is one more try.

        Args:
            channel: the transaction.
            expected: the ATR is one of NHI cards.

        Raises:
            CardDataError: the application is there, and its basic data cannot be.
        """
        sw = channel.send(Command(0x00, 0xA4, 0x04, 0x00, AID)).sw
        selected = sw == StatusWord.SUCCESS
        likely = expected or selected or sw == StatusWord.INS_NOT_SUPPORTED
        for _ in range(2 if likely else 1):
            answer = channel.send(Command(0x00, 0xCA, 0x11, 0x00, b"\x00\x00", le=LE_SHORT_MAX))
            if answer.ok and len(answer.data) == BASIC_DATA_LENGTH:
                return cls(channel, answer.data)
        if selected:
            raise CardDataError("the NHI application does not give its basic data")
        return None

    def metadata(self) -> Metadata:
        """Return what the basic data says; nothing more is sent."""
        raw = self._basic_data
        return Metadata(
            self.kind,
            version="",
            serial=self.serial,
            holder=Insured(
                name=big5.decode(raw[12:32]),
                id_number=big5.decode(raw[32:42]),
                birth=big5.decode(raw[42:49]),
                sex=big5.decode(raw[49:50]),
            ),
            issued=big5.decode(raw[50:57]),
        )

    def cancelled(self) -> bool | None:
        """Return whether the card's status text says cancelled (註銷); None where the card does not say.

        Reported from one source only; nothing else may depend on it.
        """
        try:
            text = self._channel.send(Command(0x00, 0xCA, 0x24, 0x00, b"\x00\x00", le=LE_SHORT_MAX)).require()
        except StatusError:
            return None
        return {b"1": False, b"2": True}.get(text[:1])

    def unsupported(self) -> UnsupportedError:
        """Return what everything else raises; nothing is sent."""
        return UnsupportedError(NEEDS_SAM)
