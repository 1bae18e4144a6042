"""The engine keeps each card busy, tells of each document, and stops where the next would fail too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.batch.engine import IN_FLIGHT, Engine
from agent.errors import AgentError, ErrorId, error_id
from hca_card.errors import PinWrongError
from pcsc.errors import CardRemovedError
from signing.errors import DocumentRefusedError, EvidenceError
from tests.support.batches import Made, StampSession, batch_of, documents, run, signed_once


async def test_every_document_is_signed_once_and_several_are_in_flight(tmp_path: Path) -> None:
    documents(tmp_path, 50)
    full = asyncio.Event()

    class Busy(StampSession):
        async def _made(self, document: bytes) -> Made:
            if self._here == IN_FLIGHT - 1:
                full.set()
            return await super()._made(document)

        async def turn(self) -> None:
            if self.signed:  # the first of a kind is alone
                await asyncio.wait_for(full.wait(), 30)

    session = Busy()
    with batch_of(tmp_path) as batch:
        summary, outcomes, progress = await run(batch, session)
    assert (summary.done, summary.failed, summary.of, summary.stopped) == (50, 0, 50, None)
    assert len(session.signed) == len(set(session.signed)) == 50
    assert session.most == IN_FLIGHT
    assert sorted(each.item.number for each in outcomes) == list(range(1, 51))
    assert [each.done for each in progress] == list(range(1, 51))
    assert progress[-1].seconds_left == 0 or progress[-1].seconds_left is None
    signed_once(tmp_path, tmp_path / "signed", 50)


async def test_two_cards_take_from_one_list(tmp_path: Path) -> None:
    documents(tmp_path, 40)
    one, other = StampSession(), StampSession()
    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, one, other)
    assert summary.done == 40
    assert one.signed and other.signed and not set(one.signed) & set(other.signed)
    signed_once(tmp_path, tmp_path / "signed", 40)


async def test_a_document_that_is_refused_says_nothing_about_the_others(tmp_path: Path) -> None:
    documents(tmp_path, 10)

    def refuse(document: bytes) -> None:
        if document == b"record 4":
            raise DocumentRefusedError

    with batch_of(tmp_path) as batch:
        summary, outcomes, _ = await run(batch, StampSession(refuse))
        assert batch.failures() == [("00004.txt", "document.refused")]
    assert (summary.done, summary.failed, summary.left, summary.stopped) == (9, 1, 0, None)
    [failed] = [each for each in outcomes if each.error is not None]
    assert failed.item.file == "00004.txt" and failed.signed is None


@pytest.mark.parametrize("cards", [1, 2])
async def test_the_first_pin_error_ends_it_on_every_card_and_spends_no_second_try(
    tmp_path: Path, cards: int
) -> None:
    documents(tmp_path, 60)
    told = asyncio.Event()

    class Failing(StampSession):
        failed = 0

        async def _made(self, document: bytes) -> Made:
            if len(self.signed) < 5:
                return await super()._made(document)
            self.failed += 1
            if self.failed == 2:  # the first that is told of it need not be the one that spent the try
                told.set()
                raise AgentError(ErrorId.SIGNING_SESSION_ENDED)
            await told.wait()
            raise PinWrongError(tries_left=2)

    sessions = [Failing(), StampSession()][:cards]
    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, *sessions)
        assert batch.unfinished()
    assert error_id(summary.stopped or Exception()) == ErrorId.PIN_WRONG
    assert summary.done < 60 and summary.failed == 0


async def test_a_card_that_is_pulled_leaves_its_documents_to_the_other(tmp_path: Path) -> None:
    documents(tmp_path, 30)
    pulled = False

    def pull(document: bytes) -> None:
        nonlocal pulled
        pulled = pulled or document == b"record 7"
        if pulled:
            raise CardRemovedError

    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, StampSession(pull), StampSession())
    assert (summary.done, summary.stopped) == (30, None)
    signed_once(tmp_path, tmp_path / "signed", 30)


async def test_the_last_documents_come_back_from_a_card_that_is_pulled_at_the_end(tmp_path: Path) -> None:
    documents(tmp_path, 4)
    waits = asyncio.Event()

    class Slow(StampSession):
        async def sign_value(self, document, **options):  # type: ignore[no-untyped-def]
            if not self.signed:
                return await super().sign_value(document, **options)
            await waits.wait()
            raise CardRemovedError

    class Other(StampSession):
        async def sign_value(self, document, **options):  # type: ignore[no-untyped-def]
            waits.set()
            return await super().sign_value(document, **options)

    documents(tmp_path, 6)
    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, Slow(), Other())
    assert (summary.done, summary.stopped) == (6, None)


async def test_a_card_that_is_pulled_ends_it_in_words_where_there_is_no_other(tmp_path: Path) -> None:
    documents(tmp_path, 30)
    session = StampSession()

    def pull(_document: bytes) -> None:
        if len(session.signed) == 10:
            raise CardRemovedError

    session._before = pull
    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, session)
    assert (summary.done, summary.left) == (10, 20)
    assert error_id(summary.stopped or Exception()) == ErrorId.CARD_REMOVED
    with batch_of(tmp_path, resume=True) as batch:
        summary, _, _ = await run(batch, StampSession())
    assert (summary.done, summary.of, summary.stopped) == (20, 20, None)
    signed_once(tmp_path, tmp_path / "signed", 30)


async def test_no_authority_answers_so_the_card_is_not_worn_out_for_nothing(tmp_path: Path) -> None:
    documents(tmp_path, 40)

    def silent(_document: bytes) -> None:
        raise EvidenceError("nobody answers")

    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, StampSession(silent))
    assert error_id(summary.stopped or Exception()) == ErrorId.EVIDENCE_UNAVAILABLE
    assert summary.failed < 20


async def test_stopped_in_the_middle_what_is_in_flight_is_still_stored(tmp_path: Path) -> None:
    documents(tmp_path, 40)
    session = StampSession()
    with batch_of(tmp_path) as batch:
        engine = Engine(batch, 40, lambda _outcome, far: engine.stop() if far.done == 7 else None)
        summary = await engine.run([session])
    assert 7 <= summary.done < 7 + IN_FLIGHT and summary.done == len(session.signed)
    assert error_id(summary.stopped or Exception()) == ErrorId.BATCH_CANCELLED
    assert len(list((tmp_path / "signed").glob("*.sig"))) == summary.done


async def test_it_ends_where_nobody_reads_any_more_what_becomes_of_it(tmp_path: Path) -> None:
    documents(tmp_path, 20)

    def gone(_outcome: object, _far: object) -> None:
        raise BrokenPipeError

    with batch_of(tmp_path) as batch:
        summary = await Engine(batch, 20, gone).run([StampSession()])
    assert isinstance(summary.stopped, BrokenPipeError) and summary.left
    assert len(list((tmp_path / "signed").glob("*.sig"))) == summary.done


async def test_the_time_left_follows_the_rate_of_late(tmp_path: Path) -> None:
    documents(tmp_path, 20)
    now, seen = 100.0, []

    def tick(_document: bytes) -> None:
        nonlocal now
        now += 2.0

    with batch_of(tmp_path) as batch:
        engine = Engine(batch, 20, lambda _outcome, far: seen.append(far), clock=lambda: now)
        await engine.run([StampSession(tick)])
    assert seen[-1].rate == pytest.approx(0.5, rel=0.3)
    middle = seen[9]
    assert middle.seconds_left == pytest.approx(10 / middle.rate)


async def test_the_first_document_of_each_kind_is_prepared_alone(tmp_path: Path) -> None:
    """Threads that import the same modules at once can find them half loaded."""
    documents(tmp_path, 12)
    alone, here = [], 0

    class Loads(StampSession):
        async def sign_value(self, document, **options):  # type: ignore[no-untyped-def]
            nonlocal here
            here += 1
            alone.append(here == 1)
            await asyncio.sleep(0.01)
            try:
                return await super().sign_value(document, **options)
            finally:
                here -= 1

    with batch_of(tmp_path) as batch:
        summary, _, _ = await run(batch, Loads())
    assert summary.done == 12
    assert alone[:2] == [True, True], "the second waits for the first"
    assert not all(alone)
