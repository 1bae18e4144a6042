"""Kept PINs end when the person goes away, and sessions when the administrator's settings say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.config import Config, OriginSettings, SessionSettings
from agent.errors import AgentError, ErrorId
from agent.operations import pin_watch
from agent.operations.pin_watch import PinWatch
from agent.paths import Paths
from agent.pins.away import Away
from agent.vocabulary import SessionEnd
from tests.support.operations import PORTAL, World, agent, until

LISTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin_watch, "LOOK_SECONDS", 0.02)


@pytest.fixture
async def world(tmp_path: Path, quick: None) -> AsyncIterator[World]:
    async with agent(tmp_path, "hpc", config=LISTED) as one:
        yield one


def policy(world: World, text: str) -> None:
    world.paths.policy.parent.mkdir(parents=True, exist_ok=True)
    world.paths.policy.write_text(text, "utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "[sessions]\nenabled = false\n",
        "[sessions]\nsignatures = 10\n",
        "[sessions]\nminutes = 5\n",
        "[sessions\n",  # what cannot be read allows nothing
    ],
)
async def test_a_policy_that_is_changed_ends_the_session_it_does_not_allow(world: World, text: str) -> None:
    session = await world.operations.open_session(PORTAL, most=20, seconds=600)
    policy(world, text)
    await until(lambda: session.ended is SessionEnd.POLICY, "the session goes on")


async def test_a_computer_that_slept_unheard_of_ends_the_session(world: World) -> None:
    session = await world.operations.open_session(PORTAL)
    world.operations._watch._away._wall = lambda: time.time() + 3600
    await until(lambda: session.ended is SessionEnd.LOCKED, "the session goes on")


async def test_a_policy_that_still_allows_it_and_a_file_of_other_things_end_nothing(world: World) -> None:
    session = await world.operations.open_session(PORTAL, most=20, seconds=600)
    applied: list[SessionSettings] = []
    apply = world.operations.sessions.apply

    def take(settings: SessionSettings) -> None:
        applied.append(settings)
        apply(settings)

    world.operations._watch._apply = take
    policy(world, "[sessions]\nsignatures = 20\n[card]\nqueue = 4\n")
    await until(lambda: bool(applied), "the settings were not read anew")
    assert session.ended is None
    policy(world, "[sessions]\nsignatures = 20\n[card]\nqueue = 5\n")
    await session.sign_value(b"document")
    assert len(applied) == 1


async def test_a_policy_changed_while_nothing_is_open_holds_for_the_next_session(world: World) -> None:
    policy(world, "[sessions]\nenabled = false\n")
    with pytest.raises(AgentError) as raised:
        await world.operations.open_session(PORTAL)
    assert raised.value.error_id is ErrorId.SIGNING_SESSION_DISABLED
    assert world.pins_asked() == []
    world.paths.policy.unlink()
    assert (await world.operations.open_session(PORTAL)).left == 250


@dataclass
class Watched:
    """A watch with everything around it made up."""

    kept: bool = False
    locked: bool = False
    ends: list[SessionEnd] = field(default_factory=list)
    looks: int = 0
    desktop: list[Callable[[], None]] = field(default_factory=list)

    def is_locked(self) -> bool:
        self.looks += 1
        return self.locked


@pytest.fixture
async def watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> AsyncIterator[tuple[Watched, PinWatch]]:
    one = Watched()

    @asynccontextmanager
    async def desktop(locked: Callable[[], None]) -> AsyncIterator[None]:
        one.desktop.append(locked)
        yield

    monkeypatch.setattr("agent.pins.screen_lock.watched", desktop)
    watch = PinWatch(
        Paths(tmp_path, tmp_path),
        any_kept=lambda: one.kept,
        forget=one.ends.append,
        apply=lambda _settings: None,
        away=Away(one.is_locked),
    )
    running = asyncio.create_task(watch.run())
    yield one, watch
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_looks_only_while_a_pin_is_kept_and_listens_from_the_first_on(
    watched: tuple[Watched, PinWatch],
) -> None:
    one, watch = watched
    await asyncio.sleep(0)
    assert one.desktop == [] and one.looks == 0
    one.kept = True
    watch.begin()
    await until(lambda: one.looks > 2, "it does not look")
    one.kept = False
    before = -1
    while before != one.looks:  # what is under way comes to its end
        before = one.looks
        await asyncio.sleep(0.05)
    [heard] = one.desktop
    heard()
    assert one.ends == [SessionEnd.LOCKED]
    one.kept = True
    watch.begin()
    await until(lambda: one.looks > before, "it does not look again")
    assert len(one.desktop) == 1


async def test_a_screen_found_locked_ends_what_is_kept(watched: tuple[Watched, PinWatch]) -> None:
    one, watch = watched
    one.kept = one.locked = True
    watch.begin()
    await until(lambda: SessionEnd.LOCKED in one.ends, "it goes on")


async def test_what_cannot_be_watched_over_is_not_kept_and_the_next_pin_is_watched_again(
    watched: tuple[Watched, PinWatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, watch = watched
    one.kept = True
    with monkeypatch.context() as broken:
        broken.setattr(watch, "_any_kept", lambda: 1 // 0)
        watch.begin()
        await until(lambda: one.ends == [SessionEnd.LOCKED], "it is kept unwatched")
    watch.begin()
    await until(lambda: one.looks > 0, "it is not watched again")
