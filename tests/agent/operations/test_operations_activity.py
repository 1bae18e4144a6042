"""What the tray is told of the work under way and the cards known, without a card."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.operations.activity import Activity
from agent.operations.certificate_facts import CertificateFacts
from agent.operations.transaction_jobs import CardSnapshot
from hca_card.errors import PinWrongError
from hca_card.model import CardKind, PinStatus
from pcsc.context import ReaderState

NOW: Final = datetime.now(UTC)
SNAPSHOT: Final = CardSnapshot(
    reader="B",
    kind=CardKind.PERSONNEL,
    serial="000000000123",
    event_counter=7,
    atr=b";",
    pin=PinStatus(3, 6, 8),
    certificate=b"certificate",
    keys=frozenset(),
    pin_pad=False,
    takes_keypad=False,
    changes_on_keypad=False,
)
FACTS: Final = CertificateFacts("測試", "0A", False, (NOW - timedelta(days=1), NOW + timedelta(days=3000)))


def ends_in(days: float) -> CertificateFacts:
    return replace(FACTS, period=(NOW - timedelta(days=900), NOW + timedelta(days=days)))


def test_work_is_under_way_from_its_begin_to_its_end() -> None:
    activity = Activity()
    told: list[bool] = []
    activity.listen(lambda: told.append(activity.working))
    activity.begin("A")
    activity.begin("B")
    activity.end("A")
    activity.end("B")
    assert told == [True, True, True, False]


def test_cards_are_known_in_the_order_of_their_readers() -> None:
    activity = Activity()
    activity.card_read(SNAPSHOT, FACTS)
    activity.card_read(replace(SNAPSHOT, reader="A", pin=None), FACTS)
    first, second = activity.cards
    assert (first.reader, first.tries_left, first.asked) == ("A", None, None)
    assert (second.reader, second.tries_left, second.serial) == ("B", 3, SNAPSHOT.serial)
    assert second.asked is not None and second.asked >= NOW
    assert (second.certificate, second.ends, second.revoked) == ("0A", FACTS.ends, False)


def test_after_work_the_tries_are_not_known_unless_the_error_says_them() -> None:
    activity = Activity()
    activity.card_read(SNAPSHOT, FACTS)
    activity.begin("B")
    activity.end("B", PinWrongError(tries_left=2))
    assert activity.cards[0].tries_left == 2
    assert activity.cards[0].asked is not None
    activity.end("B", ValueError())
    assert (activity.cards[0].tries_left, activity.cards[0].asked) == (None, None)
    activity.end("B")
    activity.end("nobody's")
    assert [card.reader for card in activity.cards] == ["B"]


def test_what_the_authority_says_holds_for_the_card_there_and_for_the_same_one_later() -> None:
    activity = Activity()
    activity.certificate_revoked("0A", True)
    activity.card_read(SNAPSHOT, FACTS)
    activity.card_read(replace(SNAPSHOT, reader="C"), replace(FACTS, certificate_serial="0B"))
    assert [card.revoked for card in activity.cards] == [True, False]
    activity.certificate_revoked("0A", False)
    assert [card.revoked for card in activity.cards] == [False, False]


def test_only_the_very_cards_stay_known_when_readers_change() -> None:
    activity = Activity()
    for reader in "ABC":
        activity.card_read(replace(SNAPSHOT, reader=reader), FACTS)
    activity.readers_changed(
        (
            ReaderState("A", present=True, event_counter=7),
            ReaderState("B", present=True, event_counter=9),
            ReaderState("C", present=False, event_counter=7),
        )
    )
    assert [card.reader for card in activity.cards] == ["A"]


def test_the_certificate_that_ends_first_is_named_where_that_is_soon() -> None:
    activity = Activity()
    assert activity.ending() is None
    activity.card_read(replace(SNAPSHOT, reader="A"), ends_in(3000))
    assert activity.ending() is None
    activity.card_read(replace(SNAPSHOT, reader="B"), ends_in(5))
    activity.card_read(replace(SNAPSHOT, reader="C"), replace(FACTS, period=None))
    ending = activity.ending()
    assert ending is not None and ending.ends == ends_in(5).ends


def test_the_service_is_told_once_for_each_change() -> None:
    activity = Activity()
    told: list[bool | None] = []
    activity.listen(lambda: told.append(activity.service_running))
    assert activity.service_running is None
    for running in (False, False, True, True, False):
        activity.service_changed(running)
    assert told == [False, True, False]


def test_a_listener_that_fails_keeps_nobody_else_from_hearing_and_one_that_left_hears_nothing() -> None:
    activity = Activity()
    told: list[str] = []

    def fail() -> None:
        raise ValueError

    activity.listen(fail)
    stop = activity.listen(lambda: told.append("heard"))
    activity.begin("A")
    stop()
    stop()
    activity.end("A")
    assert told == ["heard"]
