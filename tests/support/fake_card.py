"""A card in a visit, without a reader and without commands: what it holds is what a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hca_card.errors import ObjectMissingError
from hca_card.model import Card, CardCertificate, CardKind, CertificateUse, KeyUse, PinStatus

SIGNING: Final = b"signature"
ENCRYPTION: Final = b"encryption"
PIN: Final = PinStatus(3, 6, 8)


@dataclass
class FakeCard:
    """A card that holds certificates by number, and notes which are read."""

    kind: CardKind = CardKind.PERSONNEL
    serial: str = "000000000123"
    keys: frozenset[KeyUse] = frozenset(KeyUse)
    held: dict[int, bytes | Exception] = field(default_factory=lambda: {1: SIGNING, 2: ENCRYPTION})
    pin: PinStatus | Exception = PIN
    keypad: bool = True
    read: list[int] = field(default_factory=list)

    def has_key(self, use: KeyUse) -> bool:
        return use in self.keys

    def pin_status(self) -> PinStatus:
        if isinstance(self.pin, Exception):
            raise self.pin
        return self.pin

    def puk_status(self) -> PinStatus:
        return PinStatus(5, 8, 8)

    def takes_keypad(self) -> bool:
        return self.keypad

    def certificate_indexes(self) -> tuple[int, ...]:
        return tuple(self.held)

    def certificate(self, index: int) -> CardCertificate:
        self.read.append(index)
        found = self.held.get(index, ObjectMissingError())
        if isinstance(found, Exception):
            raise found
        return CardCertificate(index, CertificateUse.SIGNATURE, found)

    def certificates(self) -> tuple[CardCertificate, ...]:
        return tuple(self.certificate(index) for index in self.held)

    def still_has(self, index: int, certificate: bytes) -> bool:
        return self.held.get(index) == certificate


@dataclass
class FakeVisit:
    """A visit to that card, or to one that cannot be made out."""

    reader: str = "Reader 0"
    atr: bytes = b";"
    event_counter: int = 7
    pin_pad: Any = None
    holds: FakeCard | Exception = field(default_factory=FakeCard)

    def card(self) -> Card:
        if isinstance(self.holds, Exception):
            raise self.holds
        card: Any = self.holds
        return card
