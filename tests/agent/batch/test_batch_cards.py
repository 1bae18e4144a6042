"""A batch on cards: each signature by itself, one try at most, and a card that goes takes nothing along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.batch.choice import Choice
from agent.batch.engine import Engine, Progress, Summary
from agent.batch.files import FileBatch
from agent.batch.listing import entries_of_folder
from agent.config import SessionSettings
from agent.errors import error_id, facts
from agent.operations import SigningSession
from agent.vocabulary import SessionEnd
from hca_card.pin import Pin
from hca_card.recognise import recognise
from signing.cms.verify import verify_cms
from tests.support.batches import documents
from tests.support.operations import OWN, PIN, World, agent


async def signed(
    world: World, ward: Path, at: Callable[[Progress], object], *, cards: int = 1
) -> tuple[Summary, list[SigningSession]]:
    outputs = ward / "signed"
    with FileBatch(ward, outputs, "ward") as batch:
        batch.declare(entries_of_folder(ward, Choice(), outputs), 1000)
        sessions = [
            await world.operations.open_session(OWN, items=batch.shown(), reader=reader.name)
            for reader in world.readers[:cards]
        ]
        summary = await Engine(batch, batch.counts()[1], lambda _outcome, far: at(far)).run(sessions)
        for session in sessions:
            session.end(SessionEnd.CLOSED)
    for path in outputs.glob("*.p7s"):
        verify_cms(path.read_bytes(), (ward / path.stem).read_bytes())
    assert len(list(outputs.glob("*.p7s"))) == summary.done
    return summary, sessions


async def test_a_pin_that_another_program_changed_costs_one_try_though_several_are_in_flight(
    tmp_path: Path,
) -> None:
    documents(tmp_path / "ward", 40)
    async with agent(tmp_path, "hpc") as world:

        def change(far: Progress) -> None:
            if far.done == 5:
                with world.other_program() as other, other.transaction() as transaction:
                    recognise(transaction, other.atr).change_pin(Pin(PIN), Pin("654321"))

        summary, _ = await signed(world, tmp_path / "ward", change)
        assert error_id(summary.stopped or Exception()) == "pin.changed_elsewhere"
        assert facts(summary.stopped or Exception()) == {"tries_left": 2}
        assert world.tries == 2
        assert 5 <= summary.done < 40 and summary.failed == 0


@pytest.mark.slow
async def test_a_card_that_is_pulled_leaves_the_rest_to_the_other(tmp_path: Path) -> None:
    documents(tmp_path / "ward", 40)
    async with agent(tmp_path, "hpc", "hop") as world:
        summary, sessions = await signed(
            world,
            tmp_path / "ward",
            lambda far: world.reader.remove() if far.done == 6 else None,
            cards=2,
        )
        assert (summary.done, summary.failed, summary.stopped) == (40, 0, None)
        assert [session.ended for session in sessions] == [SessionEnd.CARD, SessionEnd.CLOSED]
        assert len(world.pins_asked()) == 2


async def test_the_person_stops_it_in_the_tray(tmp_path: Path) -> None:
    documents(tmp_path / "ward", 40)
    async with agent(tmp_path, "hpc") as world:
        sessions = world.operations.sessions
        summary, _ = await signed(
            world,
            tmp_path / "ward",
            lambda far: sessions.stop(sessions.open[0].number) if far.done == 6 else None,
        )
        assert error_id(summary.stopped or Exception()) == "batch.cancelled"
        assert 6 <= summary.done < 40 and summary.left


async def test_an_administrator_who_forbids_it_ends_it_in_words(tmp_path: Path) -> None:
    documents(tmp_path / "ward", 40)
    async with agent(tmp_path, "hpc") as world:
        sessions = world.operations.sessions
        summary, _ = await signed(
            world,
            tmp_path / "ward",
            lambda far: sessions.apply(SessionSettings(enabled=False)) if far.done == 6 else None,
        )
        assert error_id(summary.stopped or Exception()) == "signing_session.ended"
        assert summary.left
