"""What a card of any kind refuses by itself, and the dates that cards write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from hca_card.errors import HicosModuleError, ObjectMissingError, UnsupportedError
from hca_card.model import (
    Card,
    CardCertificate,
    CardKind,
    CertificateUse,
    KeyUse,
    Metadata,
    PinStatus,
    roc_date,
)

NOTHING: Any = None


class BareCard(Card):
    """A kind of card that can do nothing but say who it is."""

    kind = CardKind.NHI
    serial = "1"

    def metadata(self) -> Metadata:
        return Metadata(self.kind, "", self.serial, None)


class HoldingCard(BareCard):
    """A card with places for three certificates, of which one is empty."""

    def certificate_indexes(self) -> tuple[int, ...]:
        return (1, 2, 4)

    def certificate(self, index: int) -> CardCertificate:
        if index == 2:
            raise ObjectMissingError
        return CardCertificate(index, CertificateUse.ROOT, bytes((index,)))


@pytest.mark.parametrize(
    "asked",
    [
        lambda card: card.certificate(1),
        lambda card: card.pin_status(),
        lambda card: card.verify(NOTHING),
        lambda card: card.verify_on_keypad(NOTHING),
        lambda card: card.change_pin(NOTHING, NOTHING),
        lambda card: card.change_pin_on_keypad(NOTHING),
        lambda card: card.puk_status(),
        lambda card: card.unblock_pin(NOTHING, NOTHING),
        lambda card: card.sign(KeyUse.SIGNATURE, b""),
        lambda card: card.sign_pss(KeyUse.SIGNATURE, b""),
        lambda card: card.agree(KeyUse.ENCRYPTION, b""),
        lambda card: card.decipher(KeyUse.ENCRYPTION, b""),
    ],
)
def test_what_a_kind_of_card_cannot_do_it_says_in_its_own_words(asked: Callable[[Card], object]) -> None:
    with pytest.raises(UnsupportedError):
        asked(BareCard())

    class Hicos(BareCard):
        def unsupported(self) -> UnsupportedError:
            return HicosModuleError()

    with pytest.raises(HicosModuleError):
        asked(Hicos())


def test_a_card_that_has_nothing_says_so_without_an_error() -> None:
    card = BareCard()
    assert card.certificate_indexes() == card.certificates() == ()
    assert not card.takes_keypad()
    assert not any(card.has_key(use) for use in KeyUse)


def test_a_place_left_empty_is_no_error() -> None:
    assert [found.der for found in HoldingCard().certificates()] == [b"\x01", b"\x04"]


@pytest.mark.parametrize(
    ("index", "known", "same"), [(1, b"\x01", True), (1, b"\x04", False), (2, b"", False)]
)
def test_a_card_still_has_a_certificate_where_it_is_the_very_same(
    index: int, known: bytes, same: bool
) -> None:
    assert HoldingCard().still_has(index, known) is same


@pytest.mark.parametrize(
    ("left", "locked", "last"), [(None, False, False), (0, True, False), (1, False, True), (3, False, False)]
)
def test_how_a_pin_stands(left: int | None, locked: bool, last: bool) -> None:
    status = PinStatus(left, 6, 8)
    assert (status.locked, status.last_try) == (locked, last)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("0650101", date(1976, 1, 1)),
        ("1130229", date(2024, 2, 29)),
        ("0010101", date(1912, 1, 1)),
        ("-010101", date(1911, 1, 1)),
        ("1120229", None),
        ("0651301", None),
        ("0000000", None),
        ("       ", None),
        ("065010", None),
        ("06501011", None),
        ("０６５０１０１", None),
        ("", None),
    ],
)
def test_dates_of_the_republic_and_what_is_none(text: str, day: date | None) -> None:
    assert roc_date(text) == day
