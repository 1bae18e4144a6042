"""What becomes of each request is written once, masked, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.audit import OK, AuditLog, AuditRow
from agent.config import Config
from agent.errors import ErrorId
from agent.interaction import CardShown
from agent.operations.audit_trail import _NEW_ROWS_MAX, AuditEntry, AuditTrail, rows_heard
from agent.operations.certificate_facts import CertificateFacts
from agent.operations.transaction_jobs import CardSnapshot
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import PinWrongError
from hca_card.model import CardKind

PORTAL, SERIAL = "https://portal.example.tw", "000000335361"


class Kept(AuditTrail):
    """A trail whose rows can be looked at."""

    def __init__(self, folder: Path) -> None:
        self.log = AuditLog(folder / "audit.jsonl", Config().audit)
        super().__init__(self.log)

    @property
    def rows(self) -> list[AuditRow]:
        return self.log.read(1000)

    @property
    def results(self) -> list[str]:
        return [row.result for row in self.rows]


@pytest.fixture
def trail(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@contextmanager
def failing(error: BaseException) -> Iterator[None]:
    with pytest.raises(type(error)):
        yield


def snapshot(reader: str = "Reader 0") -> CardSnapshot:
    return CardSnapshot(
        reader, CardKind.PERSONNEL, SERIAL, 1, b";", None, b"", frozenset(), False, False, False
    )


def test_success_has_a_row_with_the_card_masked(trail: Kept) -> None:
    with trail.begin(PORTAL, Verb.SIGN) as entry:
        assert trail.under_way == 1
        entry.note(snapshot(), CertificateFacts("測試", "0A", True, None))
        entry.unattended, entry.session = True, "s1"
    assert trail.under_way == 0
    [row] = trail.rows
    assert (row.origin, row.verb, row.result, row.certificate) == (PORTAL, Verb.SIGN, OK, "0A")
    assert (row.simulated, row.unattended, row.session) == (True, True, "s1")
    assert row.card and SERIAL not in row.card


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (PinWrongError(tries_left=2), "pin.wrong"),
        (ValueError("nobody foresaw it"), ErrorId.INTERNAL),
        (asyncio.CancelledError(), ErrorId.REQUEST_CANCELLED),
    ],
)
def test_a_failure_has_a_row_with_its_id_and_goes_on(trail: Kept, error: BaseException, result: str) -> None:
    with failing(error), trail.begin(PORTAL, Verb.SIGN):
        raise error
    assert trail.results == [result]
    assert trail.under_way == 0


def test_a_card_that_was_reached_and_failed_is_named_and_what_is_known_already_stands() -> None:
    entry = AuditEntry()
    entry.reached(SERIAL, "HCA-AGENT Simulator 00")
    assert (entry.serial, entry.simulated) == (SERIAL, True)
    entry.reached("another", "Reader 0")
    assert (entry.serial, entry.simulated) == (SERIAL, True)


def test_success_that_is_not_worth_a_row_has_none_and_failure_has(trail: Kept) -> None:
    told: list[tuple[Verb, str]] = []
    trail.listen(lambda verb, result: told.append((verb, result)))
    with trail.begin(PORTAL, Verb.READ) as entry:
        entry.quiet = True
    assert not trail.rows and not told
    with failing(ValueError()), trail.begin(PORTAL, Verb.READ) as entry:
        entry.quiet = True
        raise ValueError
    assert trail.results == [ErrorId.INTERNAL]
    assert told == [(Verb.READ, ErrorId.INTERNAL)]


def test_equal_rows_of_reading_are_written_once_and_listeners_hear_each(trail: Kept) -> None:
    told: list[str] = []
    trail.listen(lambda _verb, result: told.append(result))
    for _ in range(3):
        with trail.begin(PORTAL, Verb.READ) as entry:
            entry.note(snapshot(), CertificateFacts("", "", False, None))
    assert trail.results == [OK]
    assert told == [OK] * 3


def test_each_use_of_a_key_has_its_row_however_often(trail: Kept) -> None:
    for _ in range(3):
        with trail.begin(PORTAL, Verb.SIGN) as entry:
            entry.note(snapshot(), CertificateFacts("", "", False, None))
    assert trail.results == [OK] * 3


def test_a_flood_of_what_is_not_allowed_ends_and_keeps_no_allowed_row_out(trail: Kept) -> None:
    for number in range(_NEW_ROWS_MAX + 5):
        with failing(ValueError()), trail.begin(f"https://{number}.example", Verb.SIGN):
            raise ValueError
    assert len(trail.rows) == _NEW_ROWS_MAX
    with failing(ValueError()), trail.begin(PORTAL, Verb.SIGN) as entry:
        entry.allowed = True
        raise ValueError
    assert trail.rows[-1].origin == PORTAL


def test_the_end_of_a_session_has_its_row_each_time(trail: Kept) -> None:
    card = CardShown("Reader 0", CardKind.PERSONNEL, SERIAL, "測試", simulated=True)
    for _ in range(2):
        trail.session_ended(PORTAL, card, "s1", SessionEnd.TIME)
    assert [(row.verb, row.result, row.session) for row in trail.rows] == [
        (Verb.SESSION, f"ended.{SessionEnd.TIME}", "s1")
    ] * 2
    assert all(row.simulated for row in trail.rows)


def test_rows_are_heard_by_whoever_runs_the_work_and_by_those_around_them(trail: Kept) -> None:
    card = CardShown("Reader 0", CardKind.PERSONNEL, SERIAL, "測試", simulated=True)
    with rows_heard() as outer:
        with rows_heard() as inner:
            trail.session_ended(PORTAL, card, "s1", SessionEnd.TIME)
        assert [row.session for row in inner] == ["s1"]
        trail.session_ended(PORTAL, card, "s2", SessionEnd.TIME)
    trail.session_ended(PORTAL, card, "s3", SessionEnd.TIME)
    assert [row.session for row in outer] == ["s1", "s2"]
