"""What each source of a PIN decides, with a card that notes what it is sent; no reader, no agent.

Every source with every command on whole cards is `test_pin_entry_table.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest

from agent.errors import AgentError, ErrorId, error_id
from agent.operations import pin_entry
from agent.operations.audit_trail import AuditEntry
from agent.operations.certificate_facts import CertificateFacts
from agent.operations.messages import Caller
from agent.operations.pin_entry import (
    AskedPin,
    KeypadPin,
    KeypadUselessError,
    KeyringPin,
    PageGuesses,
    PagePin,
    PinCommand,
    PinEntry,
    SessionPin,
)
from agent.operations.transaction_jobs import CardSnapshot
from agent.pins.kept import KeptPin
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import (
    CardChangedError,
    CardDataError,
    CardError,
    CertificateRenewedError,
    ObjectMissingError,
    PinCancelledError,
    PinError,
    PinLastTryError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukWrongError,
    UnsupportedError,
)
from hca_card.model import Card, CardKind, KeyUse, PinStatus
from hca_card.pin import Pin
from pcsc.errors import (
    CardRemovedError,
    CommunicationError,
    MalformedResponseError,
    NoCardError,
    PcscError,
    ReaderLimitError,
)
from pcsc.status import StatusError
from signing.errors import SignatureInvalidError
from tests.support.fake_card import FakeCard, FakeVisit

VERIFY, CHANGE, UNBLOCK = PinCommand
ORIGIN, OTHER = "https://portal.example.tw", "https://other.example.tw"
PIN, NEW, SERIAL, READER = "123456", "87654321", "000000000123", "Reader 0"
OLD_CERTIFICATE, NEW_CERTIFICATE = b"old", b"new"


class NotingCard(FakeCard):
    """A card that notes what it is sent with a PIN, and fails as it is told."""

    def __init__(self, tries: int | None = 3, serial: str = SERIAL) -> None:
        super().__init__(serial=serial, held={1: OLD_CERTIFICATE, 2: OLD_CERTIFICATE})
        self.left(tries)
        self.sent: list[tuple[str, ...]] = []
        self.fails: BaseException | None = None
        self.after: Callable[[], None] = lambda: None

    def left(self, tries: int | None) -> None:
        self.pin = PinStatus(tries, 6, 8)

    def unreadable(self, error: Exception) -> None:
        self.pin = error
        self.held = dict.fromkeys(self.held, error)

    def still_has(self, index: int, certificate: bytes) -> bool:
        return self.certificate(index).der == certificate

    def _note(self, *sent: object) -> None:
        self.sent.append(tuple(each.octets.decode() if isinstance(each, Pin) else str(each) for each in sent))
        self.after()
        if self.fails is not None:
            raise self.fails

    def verify(self, pin: Pin) -> None:
        self._note("verify", pin)

    def change_pin(self, old: Pin, new: Pin) -> None:
        self._note("change", old, new)

    def unblock_pin(self, puk: Pin, new: Pin) -> None:
        self._note("unblock", puk, new)

    def verify_on_keypad(self, keypad: Any) -> None:
        self._note("verify on", keypad)

    def change_pin_on_keypad(self, keypad: Any) -> None:
        self._note("change on", keypad)


SNAPSHOT: Final = CardSnapshot(
    reader=READER,
    kind=CardKind.PERSONNEL,
    serial=SERIAL,
    event_counter=7,
    atr=b";",
    pin=PinStatus(3, 6, 8),
    certificate=OLD_CERTIFICATE,
    keys=frozenset((KeyUse.SIGNATURE,)),
    pin_pad=False,
    takes_keypad=False,
    changes_on_keypad=False,
    chain=(b"issuer",),
)


NO_PIN: Final = "no PIN"


def looked_at(tries: Any) -> CardSnapshot:
    return replace(SNAPSHOT, pin=None if tries == NO_PIN else PinStatus(tries, 6, 8))


def run(
    entry: PinEntry,
    card: Any,
    visit: FakeVisit | None = None,
    work: Any = lambda _card, der: der,
    audit: AuditEntry | None = None,
) -> Any:
    return entry.run(visit or FakeVisit(), card, audit or AuditEntry(), work)


def outcome(entry: PinEntry, card: NotingCard, visit: FakeVisit | None = None) -> str:
    try:
        run(entry, card, visit)
    except Exception as error:
        return error_id(error)
    return "ok"


def asked(command: PinCommand = VERIFY, snapshot: CardSnapshot = SNAPSHOT) -> AskedPin:
    return AskedPin(command, snapshot, (Pin(PIN),) if command is VERIFY else (Pin(PIN), Pin(NEW)))


def kept() -> KeptPin:
    return KeptPin(Pin(PIN), owner=None, reader=READER, serial=SERIAL, event_counter=7)


@dataclass
class Person:
    """Stands for the consents: who is listed, what the person says, and what was asked."""

    lists: frozenset[str | None] = frozenset()
    refuses: ErrorId | None = None
    questions: list[tuple[str | None, Verb]] = field(default_factory=list)

    def listed(self, origin: str | None) -> bool:
        return origin in self.lists

    async def confirm(self, origin: str | None, verb: Verb) -> None:
        self.questions.append((origin, verb))
        if self.refuses is not None:
            raise AgentError(self.refuses)


def guesses(person: Person | None = None, seconds: float = 600) -> PageGuesses:
    consents: Any = person or Person()
    return PageGuesses(consents, seconds)


# ---------------------------------------------------------------- what all have in common


@pytest.mark.parametrize(
    ("source", "unattended", "by_itself"),
    [
        (AskedPin, False, False),
        (KeypadPin, False, False),
        (KeyringPin, True, False),
        (PagePin, False, True),
        (SessionPin, False, True),
    ],
)
def test_who_is_there_when_a_pin_is_sent(source: type[PinEntry], unattended: bool, by_itself: bool) -> None:
    assert (source.unattended, source.by_itself) == (unattended, by_itself)


@pytest.mark.parametrize(
    ("command", "sent"),
    [(VERIFY, ("verify", PIN)), (CHANGE, ("change", PIN, NEW)), (UNBLOCK, ("unblock", PIN, NEW))],
)
def test_each_command_sends_its_pins_once_and_works_with_the_certificate(
    command: PinCommand, sent: tuple[str, ...]
) -> None:
    card = NotingCard()
    found = run(asked(command), card)
    assert found == (SNAPSHOT, OLD_CERTIFICATE)
    assert card.sent == [sent]


@pytest.mark.parametrize("command", [CHANGE, UNBLOCK])
def test_pins_that_do_not_fit_the_command_are_not_sent(command: PinCommand) -> None:
    card = NotingCard()
    with pytest.raises(UnsupportedError):
        run(AskedPin(command, SNAPSHOT, (Pin(PIN),)), card)
    assert not card.sent


def test_only_a_change_that_the_card_took_is_kept_by_the_session() -> None:
    for command, fails, expected in (
        (CHANGE, None, NEW),
        (UNBLOCK, None, PIN),
        (CHANGE, PinWrongError(tries_left=2), PIN),
    ):
        session, card = kept(), NotingCard()
        card.fails = fails
        outcome(AskedPin(command, SNAPSHOT, (Pin(PIN), Pin(NEW)), session), card)
        assert session.take().octets.decode() == expected
    run(AskedPin(CHANGE, SNAPSHOT, (Pin(PIN), Pin(NEW))), NotingCard())  # without a session


async def test_leaving_wipes_all_that_was_typed() -> None:
    pins = Pin(PIN), Pin(NEW)
    async with AskedPin(CHANGE, SNAPSHOT, pins) as entry:
        assert isinstance(entry, AskedPin)
        assert not any(pin.wiped for pin in pins)
    assert all(pin.wiped for pin in pins)


def test_a_copy_for_the_session_knows_its_card() -> None:
    owner = Caller(ORIGIN, "1")
    copy = asked().keep(owner, SNAPSHOT)
    assert copy is not None
    copy.require_owner(owner)
    assert copy.for_card(reader=READER, serial=SERIAL, event_counter=7).octets.decode() == PIN
    assert copy.certificates == {KeyUse.SIGNATURE: OLD_CERTIFICATE}
    assert copy.chain == (b"issuer",)


def test_without_a_certificate_nothing_is_known_of_it_and_without_a_pin_there_is_no_copy() -> None:
    copy = asked().keep(Caller(ORIGIN, "1"), replace(SNAPSHOT, certificate=b""))
    assert copy is not None
    assert copy.certificates == {} and copy.chain == ()
    assert AskedPin(VERIFY, SNAPSHOT, ()).keep(Caller(ORIGIN, "1"), SNAPSHOT) is None


# ---------------------------------------------------------------- the card that was looked at


@pytest.mark.parametrize(
    ("kind", "serial"), [(CardKind.PERSONNEL, "000000000124"), (CardKind.INSTITUTION, SERIAL)]
)
def test_another_card_is_sent_nothing(kind: CardKind, serial: str) -> None:
    card = NotingCard(serial=serial)
    card.kind = kind
    with pytest.raises(CardChangedError):
        run(asked(), card)
    assert not card.sent


@pytest.mark.parametrize(
    ("shown", "left", "expected"),
    [
        (3, 3, "ok"),
        (3, 2, "pin.tries_changed"),
        (2, 3, "ok"),
        (1, 1, "ok"),
        (1, 0, "pin.locked"),
        (0, 0, "pin.locked"),
        (0, 1, "ok"),
        (None, None, "ok"),
        (None, 3, "pin.tries_changed"),
        (None, 0, "pin.locked"),
        (3, None, "pin.tries_changed"),
    ],
)
def test_a_pin_is_sent_only_to_a_card_with_the_tries_that_the_person_was_shown(
    shown: int | None, left: int | None, expected: str
) -> None:
    for command in (VERIFY, CHANGE):
        card = NotingCard(left)
        assert outcome(asked(command, looked_at(shown)), card) == expected
        assert bool(card.sent) is (expected == "ok")
    card = NotingCard(left)
    assert outcome(asked(UNBLOCK, looked_at(shown)), card) == "ok"


def test_what_is_refused_for_its_tries_says_how_many_are_left() -> None:
    with pytest.raises(PinLockedError) as locked:
        run(asked(), NotingCard(0))
    assert locked.value.tries_left == 0
    with pytest.raises(AgentError) as changed:
        run(asked(), NotingCard(2))
    assert changed.value.facts == {"tries_left": 2}


def test_a_card_that_told_no_pin_and_now_tells_tries_is_another() -> None:
    assert outcome(asked(VERIFY, looked_at(NO_PIN)), NotingCard(3)) == "pin.tries_changed"
    assert outcome(asked(VERIFY, looked_at(NO_PIN)), NotingCard(None)) == "ok"


# ---------------------------------------------------------------- work that fails


def fail(error: Exception) -> Any:
    def work(_card: Card, _der: bytes) -> None:
        raise error

    return work


@pytest.mark.parametrize("keys", [{KeyUse.SIGNATURE}, {KeyUse.ENCRYPTION}, set(KeyUse)])
def test_a_signature_by_a_newer_key_is_told_as_a_renewed_certificate(keys: set[KeyUse]) -> None:
    card = NotingCard()
    entry = asked(snapshot=replace(SNAPSHOT, keys=frozenset(keys)))
    with pytest.raises(SignatureInvalidError):
        run(entry, card, work=fail(SignatureInvalidError()))
    card.held[{KeyUse.SIGNATURE: 1, KeyUse.ENCRYPTION: 2}[sorted(keys)[0]]] = NEW_CERTIFICATE
    with pytest.raises(CertificateRenewedError) as caught:
        run(entry, card, work=fail(SignatureInvalidError()))
    assert isinstance(caught.value.__cause__, SignatureInvalidError)


@pytest.mark.parametrize("error", [CardDataError(), CardRemovedError(), StatusError(0x6982)])
def test_where_the_certificate_cannot_be_read_again_the_first_failure_stands(error: Exception) -> None:
    card = NotingCard()

    def work(_card: Card, _der: bytes) -> None:
        card.unreadable(error)
        raise SignatureInvalidError

    with pytest.raises(SignatureInvalidError):
        run(asked(), card, work=work)


def test_a_failure_of_another_kind_reads_nothing() -> None:
    card = NotingCard()
    with pytest.raises(CardRemovedError):
        run(asked(), card, work=fail(CardRemovedError()))
    assert not card.read


# ---------------------------------------------------------------- the reader's keypad


class Keypad:
    def __str__(self) -> str:
        return "keypad"


def typed(command: PinCommand = VERIFY, snapshot: CardSnapshot = SNAPSHOT) -> KeypadPin:
    async def show() -> None:
        await asyncio.Event().wait()

    return KeypadPin(command, snapshot, show)


@pytest.mark.parametrize(("command", "sent"), [(VERIFY, "verify on"), (CHANGE, "change on")])
def test_the_keypad_sends_each_command_by_itself(command: PinCommand, sent: str) -> None:
    card = NotingCard()
    run(typed(command), card, FakeVisit(pin_pad=Keypad()))
    assert card.sent == [(sent, "keypad")]
    assert typed().keep(Caller(ORIGIN, "1"), SNAPSHOT) is None


def test_without_a_keypad_and_for_a_puk_nothing_is_sent() -> None:
    for entry, visit in ((typed(), FakeVisit()), (typed(UNBLOCK), FakeVisit(pin_pad=Keypad()))):
        card = NotingCard()
        with pytest.raises(UnsupportedError):
            run(entry, card, visit)
        assert not card.sent


NO_KEYPAD: Final = [StatusError(sw) for sw in (0x6B00, 0x6B80, 0x6D00, 0x6E00, 0x6F00)] + [
    ReaderLimitError(),
    CommunicationError(),
    MalformedResponseError(),
]
OF_THE_CARD: Final = [
    *(StatusError(sw) for sw in (0x6982, 0x6985, 0x6AFF, 0x6B01, 0x6B7F, 0x6B81, 0x6CFF, 0x6D01)),
    *(StatusError(sw) for sw in (0x6DFF, 0x6E01, 0x6EFF, 0x6F01)),
    CardRemovedError(),
    NoCardError(),
    PcscError(),
    PinCancelledError(),
    PinWrongError(tries_left=2),
]


@pytest.mark.parametrize("error", NO_KEYPAD, ids=repr)
def test_a_keypad_that_does_not_work_and_spent_nothing_is_told_as_useless(error: Exception) -> None:
    card = NotingCard()
    card.fails = error
    with pytest.raises(KeypadUselessError) as caught:
        run(typed(), card, FakeVisit(pin_pad=Keypad()))
    assert caught.value.error_id == "reader.keypad"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", OF_THE_CARD, ids=repr)
def test_what_the_card_itself_says_at_a_keypad_stands(error: Exception) -> None:
    card = NotingCard()
    card.fails = error
    with pytest.raises(type(error)) as caught:
        run(typed(), card, FakeVisit(pin_pad=Keypad()))
    assert caught.value is error


@pytest.mark.parametrize(
    ("shown", "then"),
    [
        (3, 2),
        (3, None),
        (None, 3),
        (None, None),
        (NO_PIN, 3),
        (3, CardDataError()),
        (3, CardRemovedError()),
        (3, StatusError(0x6982)),
    ],
    ids=str,
)
def test_a_keypad_that_may_have_spent_a_try_is_not_told_as_useless(shown: Any, then: Any) -> None:
    card = NotingCard(None if shown == NO_PIN else shown)
    card.after = lambda: card.unreadable(then) if isinstance(then, Exception) else card.left(then)
    card.fails = CommunicationError()
    with pytest.raises(CommunicationError):
        run(typed(snapshot=looked_at(shown)), card, FakeVisit(pin_pad=Keypad()))


async def test_the_person_is_pointed_to_the_keypad_as_long_as_it_waits() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def show() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with KeypadPin(VERIFY, SNAPSHOT, show) as entry:
        assert isinstance(entry, KeypadPin)
        await asyncio.wait_for(begun.wait(), 30)
        assert not ended.is_set()
    assert ended.is_set()


# ---------------------------------------------------------------- the keyring


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PinWrongError(tries_left=2), "pin.changed_elsewhere"),
        (PinLockedError(tries_left=0), "pin.locked"),
        (CardRemovedError(), "card.removed"),
    ],
)
def test_a_pin_of_the_keyring_that_fails_is_forgotten_there(error: Exception, told: str) -> None:
    forgotten: list[str] = []
    card = NotingCard()
    card.fails = error
    with pytest.raises((AgentError, PinLockedError, CardRemovedError)) as caught:
        run(KeyringPin(SNAPSHOT, Pin(PIN), lambda: forgotten.append("it")), card)
    assert error_id(caught.value) == told
    assert forgotten == ["it"]
    if told == "pin.changed_elsewhere":
        assert isinstance(caught.value, AgentError)
        assert caught.value.facts == {"tries_left": 2}


def test_a_pin_of_the_keyring_that_is_right_stays_there() -> None:
    forgotten: list[str] = []
    card = NotingCard()
    run(KeyringPin(SNAPSHOT, Pin(PIN), lambda: forgotten.append("it")), card)
    assert card.sent == [("verify", PIN)]
    assert not forgotten


@pytest.mark.parametrize(
    ("shown", "error"), [(1, PinLastTryError), (2, None), (None, None), (NO_PIN, UnsupportedError)]
)
def test_where_nobody_is_there_the_last_try_is_not_spent(shown: Any, error: type[Exception] | None) -> None:
    card = NotingCard(None if shown == NO_PIN else shown)
    entry = KeyringPin(looked_at(shown), Pin(PIN), lambda: None)
    if error is None:
        run(entry, card)
    else:
        with pytest.raises(error) as caught:
            run(entry, card)
        assert getattr(caught.value, "tries_left", 1) == 1
    assert bool(card.sent) is (error is None)


# ---------------------------------------------------------------- what is remembered of a page's guesses


async def test_a_first_guess_asks_nobody() -> None:
    person = Person()
    memory = guesses(person)
    memory.pins.note(OTHER)
    memory.puks.note(OTHER)
    for command in PinCommand:
        await memory.confirm(ORIGIN, command)
    assert not person.questions


@pytest.mark.parametrize(
    ("wrong", "listed", "command", "asks"),
    [
        ("pin", False, VERIFY, True),
        ("pin", False, CHANGE, True),
        ("pin", False, UNBLOCK, True),
        ("pin", True, VERIFY, False),
        ("pin", True, CHANGE, False),
        ("pin", True, UNBLOCK, True),
        ("puk", False, VERIFY, True),
        ("puk", True, VERIFY, True),
        ("puk", True, UNBLOCK, True),
    ],
)
async def test_after_a_wrong_one_the_next_needs_the_persons_yes(
    wrong: str, listed: bool, command: PinCommand, asks: bool
) -> None:
    person = Person(frozenset((ORIGIN,)) if listed else frozenset())
    memory = guesses(person)
    (memory.pins if wrong == "pin" else memory.puks).note(ORIGIN)
    await memory.confirm(ORIGIN, command)
    assert person.questions == [(ORIGIN, Verb.PAGE_PIN)] * asks
    person.refuses = ErrorId.CONSENT_REFUSED
    if asks:
        with pytest.raises(AgentError) as caught:
            await memory.confirm(ORIGIN, command)
        assert caught.value.error_id == "consent.refused"


@pytest.mark.parametrize(
    ("wrong", "command", "told"),
    [
        ("pin", VERIFY, "pin.wrong_before"),
        ("pin", CHANGE, "pin.wrong_before"),
        ("pin", UNBLOCK, "interaction.unavailable"),
        ("puk", VERIFY, "interaction.unavailable"),
    ],
)
async def test_where_nobody_can_be_asked_a_page_is_told_when_to_come_again(
    wrong: str, command: PinCommand, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = guesses(Person(refuses=ErrorId.INTERACTION_UNAVAILABLE))
    (memory.pins if wrong == "pin" else memory.puks).note(ORIGIN)
    monkeypatch.setattr(memory.pins, "left", lambda _origin: 90.5)
    before = datetime.now(UTC)
    with pytest.raises(AgentError) as caught:
        await memory.confirm(ORIGIN, command)
    assert caught.value.error_id == told
    if told == "pin.wrong_before":
        assert caught.value.facts["retry_after"] == 91
        until: Any = caught.value.facts["until"]
        assert before <= until - timedelta(seconds=90.5) <= datetime.now(UTC)
        assert isinstance(caught.value.__cause__, AgentError)


def test_a_wrong_puk_is_remembered_for_ever_and_a_wrong_pin_for_a_while() -> None:
    memory = guesses(seconds=600)
    memory.pins.note(ORIGIN)
    memory.puks.note(ORIGIN)
    assert 0 < memory.pins.left(ORIGIN) <= 600
    assert memory.puks.left(ORIGIN) == math.inf


# ---------------------------------------------------------------- a page's PIN


def page(memory: PageGuesses, command: PinCommand = VERIFY, session: KeptPin | None = None) -> PagePin:
    given = (Pin(PIN),) if command is VERIFY else (Pin(PIN), Pin(NEW))
    return PagePin(command, memory, ORIGIN, given, session)


@pytest.mark.parametrize("command", PinCommand)
@pytest.mark.parametrize("before", [False, True], ids=["first", "wrong before"])
@pytest.mark.parametrize(
    ("ends", "remembered"),
    [
        ("right", False),
        ("wrong", True),
        ("lost", True),
        ("too long for the card", True),
        ("too short to be sent", False),
        ("other card", False),
        ("left before it was sent", True),
        ("left after it was sent", True),
    ],
)
async def test_what_is_remembered_of_a_page(
    command: PinCommand, before: bool, ends: str, remembered: bool
) -> None:
    memory, card = guesses(), NotingCard()
    wrong, other = (memory.puks, memory.pins) if command is UNBLOCK else (memory.pins, memory.puks)
    if before:
        wrong.note(ORIGIN)
    entry = page(memory, command)
    failures: dict[str, BaseException] = {
        "wrong": PukWrongError() if command is UNBLOCK else PinWrongError(tries_left=2),
        "lost": CardRemovedError(),
        "too long for the card": PinLengthError(sent=True),
        "too short to be sent": PinLengthError(),
    }
    card.fails = failures.get(ends)
    with suppress(CardError, PcscError, asyncio.CancelledError):
        async with entry:
            assert wrong.recent(ORIGIN), "while it is under way it may be wrong"
            if ends == "left before it was sent":
                raise asyncio.CancelledError
            if ends == "other card":
                raise CardChangedError
            run(entry, card)
            if ends == "left after it was sent":
                raise asyncio.CancelledError
    assert wrong.recent(ORIGIN) is (remembered or (before and ends != "right"))
    assert not other.recent(ORIGIN)


async def test_a_page_whose_person_says_no_leaves_nothing_and_sends_nothing() -> None:
    memory = guesses(Person(refuses=ErrorId.CONSENT_REFUSED))
    memory.pins.note(ORIGIN)
    with pytest.raises(AgentError):
        await page(memory).__aenter__()
    assert memory.pins.recent(ORIGIN)


async def test_a_pages_pin_is_copied_and_the_copy_wiped() -> None:
    given = Pin(PIN)
    entry = PagePin(VERIFY, guesses(), ORIGIN, (given,))
    assert entry.keep(Caller(ORIGIN, "1"), SNAPSHOT) is None
    async with entry as entered:
        assert entered is entry
        copy = entry.keep(Caller(ORIGIN, "1"), SNAPSHOT)
        assert copy is not None and not copy.wiped
    assert not given.wiped
    card = NotingCard()
    with pytest.raises(ValueError, match="wiped"):
        run(entry, card)


async def test_a_pages_change_is_kept_by_the_session() -> None:
    session = kept()
    async with page(guesses(), CHANGE, session) as entry:
        run(entry, NotingCard())
    assert session.take().octets.decode() == NEW


@pytest.mark.parametrize(
    ("tries", "command", "told"),
    [
        (1, VERIFY, "pin.last_try"),
        (0, VERIFY, "pin.locked"),
        (1, CHANGE, "pin.last_try"),
        (2, VERIFY, "ok"),
        (None, VERIFY, "ok"),
        (1, UNBLOCK, "ok"),
        (0, UNBLOCK, "ok"),
    ],
)
async def test_a_page_never_spends_the_last_try(tries: int | None, command: PinCommand, told: str) -> None:
    card, memory = NotingCard(tries), guesses()
    result = "ok"
    try:
        async with page(memory, command) as entry:
            run(entry, card)
    except PinError as error:
        result = error.error_id
        assert error.tries_left == tries
    assert result == told
    assert bool(card.sent) is (told == "ok")
    assert not memory.pins.recent(ORIGIN)


async def test_a_pages_card_is_in_the_audit_row_whatever_becomes_of_it() -> None:
    card, audit = NotingCard(1), AuditEntry()
    with pytest.raises(PinLastTryError):
        async with page(guesses()) as entry:
            run(entry, card, audit=audit)
    assert (audit.serial, audit.noted) == (SERIAL, True)


# ---------------------------------------------------------------- a session's PIN


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the certificates say: in time until a test says otherwise."""
    now = datetime.now(UTC)
    said = SimpleNamespace(period=(now - timedelta(days=1), now + timedelta(days=1)))

    def facts_of(_snapshot: CardSnapshot) -> CertificateFacts:
        return CertificateFacts("holder", "01", True, said.period)

    monkeypatch.setattr(pin_entry, "facts_of", facts_of)
    return said


def session_pin(
    session: KeptPin, memory: PageGuesses | None = None, key: KeyUse | None = None, new: Pin | None = None
) -> SessionPin:
    return SessionPin(session, memory or guesses(), ORIGIN, key=key, new=new)


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(
    ("key", "index"), [(None, None), (KeyUse.SIGNATURE, 1), (KeyUse.ENCRYPTION, 2)], ids=str
)
@pytest.mark.parametrize("known", [False, True], ids=["not read yet", "known"])
def test_a_session_works_with_the_certificate_of_its_key(
    key: KeyUse | None, index: int | None, known: bool
) -> None:
    card, session, audit = NotingCard(), kept(), AuditEntry()
    card.held = {1: b"for signatures", 2: b"for encryption"}
    if known:
        session.certificates = {
            KeyUse.SIGNATURE: b"for signatures",
            KeyUse.ENCRYPTION: b"an older one for encryption",
        }
    reads = index is not None or known
    snapshot, der = run(session_pin(session, key=key), card, audit=audit)
    assert der == (card.held[index or 1] if reads else b"")
    assert snapshot.certificate == der
    assert snapshot.pin == PinStatus(3, 6, 8)
    assert set(card.read) == ({index or 1} if reads else set())
    assert session.certificates.get(key or KeyUse.SIGNATURE, b"") == der
    assert card.sent == [("verify", PIN)]
    assert (audit.serial, audit.certificate, audit.noted) == (SERIAL, "01", True)
    assert not session.wiped


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(
    ("key", "renewed", "chain", "read_again"),
    [
        (KeyUse.SIGNATURE, True, (b"issuer",), True),
        (None, True, (b"issuer",), True),
        (KeyUse.SIGNATURE, False, (b"issuer",), False),
        (KeyUse.SIGNATURE, True, (), False),
        (KeyUse.ENCRYPTION, True, (b"issuer",), False),
    ],
)
def test_issuers_are_read_again_only_for_a_renewed_certificate_for_signatures(
    key: KeyUse | None,
    renewed: bool,
    chain: tuple[bytes, ...],
    read_again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[bytes] = []

    def issuers_on(_card: Card, certificate: bytes) -> tuple[bytes, ...]:
        asked_for.append(certificate)
        return (b"newer issuer",)

    monkeypatch.setattr(pin_entry, "issuers_on", issuers_on)
    session = kept()
    session.certificates = dict.fromkeys(KeyUse, OLD_CERTIFICATE)
    session.chain = chain
    card = NotingCard()
    if renewed:
        card.held = {1: NEW_CERTIFICATE, 2: NEW_CERTIFICATE}
    run(session_pin(session, key=key), card)
    assert asked_for == [NEW_CERTIFICATE] * read_again
    assert session.chain == ((b"newer issuer",) if read_again else chain)


@pytest.mark.parametrize(
    ("key", "days", "told"),
    [
        (KeyUse.SIGNATURE, -2, "certificate.expired"),
        (KeyUse.SIGNATURE, 2, "certificate.not_yet_valid"),
        (KeyUse.ENCRYPTION, -2, "ok"),
        (None, -2, "ok"),
    ],
    ids=str,
)
def test_only_for_a_signature_the_certificate_must_be_in_time(
    key: KeyUse | None, days: int, told: str, facts: SimpleNamespace
) -> None:
    begins, ends = facts.period
    facts.period = begins + timedelta(days=days), ends + timedelta(days=days)
    card, session = NotingCard(), kept()
    assert outcome(session_pin(session, key=key), card) == told
    assert bool(card.sent) is (told == "ok")
    assert not session.wiped


@pytest.mark.usefixtures("facts")
def test_a_session_sends_nothing_for_a_key_that_the_card_has_not() -> None:
    card, session = NotingCard(), kept()
    card.keys = frozenset((KeyUse.SIGNATURE,))
    with pytest.raises(ObjectMissingError):
        run(session_pin(session, key=KeyUse.ENCRYPTION), card)
    assert not card.sent and not session.wiped
    card.keys = frozenset()
    run(session_pin(session, new=Pin(NEW)), card)  # for a change no key is wanted


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(
    ("visit", "serial"),
    [
        (FakeVisit(reader="Reader 1"), SERIAL),
        (FakeVisit(event_counter=8), SERIAL),
        (FakeVisit(), "000000000124"),
    ],
)
def test_a_session_sends_nothing_to_another_card(visit: FakeVisit, serial: str) -> None:
    card, session = NotingCard(serial=serial), kept()
    with pytest.raises(CardChangedError):
        run(session_pin(session), card, visit)
    assert not card.sent
    assert session.ended is SessionEnd.CARD


@pytest.mark.usefixtures("facts")
def test_a_change_in_a_session_sends_both_and_keeps_the_new_one() -> None:
    card, session, new = NotingCard(), kept(), Pin(NEW)
    entry = session_pin(session, new=new)
    assert entry.command is CHANGE and session_pin(session).command is VERIFY
    run(entry, card)
    assert card.sent == [("change", PIN, NEW)]
    assert not new.wiped
    assert session.take().octets.decode() == NEW


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize("change", [False, True], ids=["verify", "change"])
def test_the_copies_of_a_sessions_pins_are_wiped_when_the_visit_ends(
    change: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Pin] = []
    copy = Pin.copy

    def noted(self: Pin) -> Pin:
        copies.append(copy(self))
        return copies[-1]

    session = kept()
    monkeypatch.setattr(Pin, "copy", noted)
    run(session_pin(session, new=Pin(NEW) if change else None), NotingCard())
    assert [pin.wiped for pin in copies] == ([True, True, False] if change else [True])


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize("change", [False, True], ids=["verify", "change"])
@pytest.mark.parametrize(
    ("error", "told", "spent", "why"),
    [
        (PinWrongError(tries_left=2), "pin.changed_elsewhere", True, SessionEnd.PIN),
        (CardRemovedError(), "card.removed", True, SessionEnd.CARD),
        (PinLengthError(sent=True), "pin.length", True, SessionEnd.PIN),
        (PinLengthError(), "pin.length", False, SessionEnd.PIN),
    ],
    ids=str,
)
def test_a_sessions_pin_that_fails_ends_it_and_may_be_a_guess(
    error: Exception, told: str, spent: bool, why: SessionEnd, change: bool
) -> None:
    card, session, memory = NotingCard(), kept(), guesses()
    card.fails = error
    assert outcome(session_pin(session, memory, new=Pin(NEW) if change else None), card) == told
    assert session.ended is why
    assert memory.pins.recent(ORIGIN) is spent
    assert not memory.puks.recent(ORIGIN)


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(("tries", "told"), [(1, "pin.last_try"), (0, "pin.locked"), (2, "ok"), (None, "ok")])
def test_a_session_never_spends_the_last_try(tries: int | None, told: str) -> None:
    card, session, memory = NotingCard(tries), kept(), guesses()
    assert outcome(session_pin(session, memory), card) == told
    assert bool(card.sent) is (told == "ok")
    assert session.wiped is (told != "ok")
    assert not memory.pins.recent(ORIGIN)


@pytest.mark.parametrize("change", [False, True], ids=["verify", "change"])
async def test_only_a_change_in_a_session_is_a_guess_that_may_need_a_yes(change: bool) -> None:
    person = Person()
    memory = guesses(person)
    memory.pins.note(ORIGIN)
    session = kept()
    async with session_pin(session, memory, new=Pin(NEW) if change else None) as entry:
        assert isinstance(entry, SessionPin)
    assert person.questions == [(ORIGIN, Verb.PAGE_PIN)] * change
    assert not session.wiped


@pytest.mark.usefixtures("facts")
async def test_whoever_asked_may_go_away_while_a_sessions_pin_is_used() -> None:
    card, session, new = NotingCard(), kept(), Pin(NEW)
    entry = session_pin(session, new=new)

    def work(_card: Card, _der: bytes) -> None:
        leaving = entry.__aexit__(asyncio.CancelledError, asyncio.CancelledError(), None)
        with pytest.raises(StopIteration):
            leaving.send(None)
        assert [pin.wiped for pin in entry._pins] == [False, False]

    run(entry, card, work=work)
    assert not session.wiped
