"""What is read of a card in one transaction, and what may be missing there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.operations import transaction_jobs as jobs
from hca_card.errors import CardDataError, ObjectMissingError, TerminatedError, UnsupportedError
from hca_card.model import CardCertificate, CardKind, KeyUse, PinStatus
from pcsc.errors import MalformedResponseError
from pcsc.status import StatusError
from tests.support.fake_card import ENCRYPTION, PIN, SIGNING, FakeCard, FakeVisit
from tests.support.test_pki import pki


def fake(**facts: Any) -> Any:
    return FakeCard(**facts)


def keypad(*, can_modify: bool = True) -> Any:
    return SimpleNamespace(can_modify=can_modify)


def test_a_card_is_looked_at_for_whatever_it_has() -> None:
    found = jobs.look(FakeVisit(), fake(keys=frozenset((KeyUse.SIGNATURE,))))
    assert (found.reader, found.event_counter, found.atr) == ("Reader 0", 7, b";")
    assert (found.kind, found.serial, found.pin) == (CardKind.PERSONNEL, "000000000123", PIN)
    assert (found.certificate, found.keys) == (SIGNING, {KeyUse.SIGNATURE})
    assert not found.pin_pad and not found.takes_keypad


@pytest.mark.parametrize("trouble", [TerminatedError(), StatusError(0x6985)])
def test_a_card_that_cannot_be_used_still_shows_what_it_has(trouble: Exception) -> None:
    card = fake(pin=trouble, held={1: trouble})
    assert (jobs.look(FakeVisit(), card).pin, jobs.look(FakeVisit(), card).certificate) == (None, b"")
    with pytest.raises(type(trouble)):
        jobs.look_for_pin(FakeVisit(), card)


@pytest.mark.parametrize(
    ("visit", "card", "expected"),
    [
        (FakeVisit(), fake(), (False, False, False)),
        (FakeVisit(pin_pad=keypad()), fake(), (True, True, True)),
        (FakeVisit(pin_pad=keypad(can_modify=False)), fake(), (True, True, False)),
        (FakeVisit(pin_pad=keypad()), fake(keypad=False), (True, False, False)),
        (FakeVisit(pin_pad=keypad()), fake(pin=UnsupportedError()), (True, False, False)),
    ],
)
def test_what_the_keypad_is_good_for_with_this_card(
    visit: FakeVisit, card: Any, expected: tuple[bool, bool, bool]
) -> None:
    found = jobs.look(visit, card)
    assert (found.pin_pad, found.takes_keypad, found.changes_on_keypad) == expected


def test_the_key_that_is_wanted_comes_with_its_certificate_and_the_tries() -> None:
    found = jobs.look_for_key(FakeVisit(), fake(), KeyUse.ENCRYPTION)
    assert (found.certificate, found.keys, found.pin) == (ENCRYPTION, {KeyUse.ENCRYPTION}, PIN)
    assert found.chain == ()


def test_its_issuers_come_along_where_they_are_asked_for() -> None:
    certificate, issuers = pki().certificate("rsa"), pki().chain("rsa")
    held = {1: certificate, 2: ENCRYPTION, **dict(enumerate(reversed(issuers), start=77))}
    found = jobs.look_for_key(FakeVisit(), fake(held=held), KeyUse.SIGNATURE, chain=True)
    assert found.certificate == certificate
    assert found.chain == issuers


def test_a_card_without_the_key_says_whether_it_has_any() -> None:
    with pytest.raises(ObjectMissingError):
        jobs.look_for_key(FakeVisit(), fake(keys=frozenset()), KeyUse.SIGNATURE)
    with pytest.raises(UnsupportedError):
        jobs.look_for_key(FakeVisit(), fake(keys=frozenset(), held={}), KeyUse.SIGNATURE)
    with pytest.raises(TerminatedError):
        jobs.look_for_key(FakeVisit(), fake(keys=frozenset(), pin=TerminatedError()), KeyUse.SIGNATURE)


def test_an_issuer_that_could_not_be_read_once_is_read_the_next_time_and_one_that_is_missing_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "issuers_among", lambda _certificate, found: tuple(found))
    failing, asked = [True], []

    class Card:
        def certificate_indexes(self) -> tuple[int, ...]:
            return (77, 78)

        def certificate(self, index: int) -> CardCertificate:
            asked.append(index)
            if index == 78:
                raise ObjectMissingError
            if failing:
                failing.pop()
                raise CardDataError("cut off")
            return CardCertificate(index, None, b"issuer")

    card: Any = Card()
    assert jobs.issuers_on(card, b"read badly once") == ()
    for _ in range(2):
        assert jobs.issuers_on(card, b"read badly once") == (b"issuer",)
    assert asked == [77, 78, 77, 78]


def test_the_issuers_that_are_kept_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[bytes, tuple[bytes, ...]] = {b"one": (), b"two": ()}
    monkeypatch.setattr(jobs, "_issuers", kept)
    monkeypatch.setattr(jobs, "_ISSUERS_MAX", 2)
    monkeypatch.setattr(jobs, "issuers_among", lambda _certificate, found: tuple(found))
    assert jobs.issuers_on(fake(held={77: b"issuer"}), b"three") == (b"issuer",)
    assert kept == {b"three": (b"issuer",)}


@pytest.mark.parametrize(("known", "read"), [(b"", [1]), (SIGNING, []), (b"before it was renewed", [1])])
def test_a_certificate_that_is_known_is_looked_at_and_read_only_where_it_is_another(
    known: bytes, read: list[int]
) -> None:
    card = fake()
    assert jobs.current_certificate(card, 1, known).der == SIGNING
    assert card.read == read


def test_how_the_pin_stands_is_told_whatever_becomes_of_the_certificate() -> None:
    card = fake(held={1: MalformedResponseError()})
    found = jobs.look_for_pin(FakeVisit(), card)
    assert (found.pin, found.certificate, found.puk) == (PIN, b"", None)
    assert jobs.look_for_pin(FakeVisit(), fake(), puk=True).puk == PinStatus(5, 8, 8)


def test_a_link_that_fails_while_all_is_read_is_an_error() -> None:
    with pytest.raises(MalformedResponseError):
        jobs.look(FakeVisit(), fake(held={1: MalformedResponseError()}))


def test_all_that_needs_no_pin_is_read() -> None:
    facts: Any = object()
    card = fake()
    card.metadata = lambda: facts
    snapshot, metadata = jobs.read(FakeVisit(), card)
    assert metadata is facts
    assert (snapshot.pin, snapshot.certificate) == (PIN, SIGNING)


def test_certificates_are_read_all_or_by_number() -> None:
    everything = jobs.certificates(FakeVisit(), fake())
    assert (everything.reader, everything.serial) == ("Reader 0", "000000000123")
    assert [found.der for found in everything.certificates] == [SIGNING, ENCRYPTION]
    assert [found.der for found in jobs.certificates(FakeVisit(), fake(), 2).certificates] == [ENCRYPTION]


def test_one_thing_is_examined_and_nothing_else() -> None:
    card = fake(pin=CardDataError("cut off"), held={})
    found = jobs.examine(FakeVisit(), card, lambda examined: examined.serial[-3:])
    assert (found.reader, found.atr, found.kind, found.serial) == (
        "Reader 0",
        b";",
        CardKind.PERSONNEL,
        "000000000123",
    )
    assert found.result == "123"
    assert not card.read
