"""Kept PINs end when the person goes away, and sessions when the administrator's settings say so."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, OriginSettings, SessionSettings
from agent.errors import AgentError, ErrorId
from agent.operations import SigningSession, pin_watch
from agent.operations.pin_watch import PinWatch
from agent.paths import Paths
from agent.pins.away import Away
from agent.vocabulary import SessionEnd
from hca_card.pin import Pin
from hca_card.simulator.faults import Wrapper
from pcsc.winscard import VirtualCard
from tests.support.operations import OWN, PIN, PORTAL, World, agent, until

LISTED = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))


VERIFY = 0x20  # ISO 7816-4 §11.5.6


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


async def test_a_sleep_before_a_session_ends_those_of_before_and_not_that_one(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", config=LISTED) as world:  # which looks too seldom to come in between
        before = await world.operations.open_session(PORTAL)
        away = world.operations._watch._away
        away._wall = lambda: time.time() + 3600
        after = await world.operations.open_session(PORTAL)
        assert before.ended is SessionEnd.LOCKED
        assert not away.went() and after.ended is None


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


class Interrupted(Wrapper):
    """A card after whose commands something happens in the event loop, before the agent has the answer."""

    def __init__(self, card: VirtualCard, happens: Callable[[int], None]) -> None:
        super().__init__(card)
        self.commands: list[bytes] = []
        self._happens = happens
        self._loop = asyncio.get_running_loop()

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        answer = super().transmit(command)
        number = len(self.commands)

        async def happen() -> None:
            self._happens(number)

        asyncio.run_coroutine_threadsafe(happen(), self._loop).result()
        return answer


async def test_a_screen_locked_at_any_moment_of_an_opening_leaves_no_session_open(world: World) -> None:
    locked_after: list[int] = []
    for moment in itertools.count(1):

        def lock(number: int, moment: int = moment) -> None:
            if number == moment:
                locked_after.append(number)
                world.operations.forget_pins(SessionEnd.LOCKED)

        world.reader.remove()
        world.reader.insert(Interrupted(world.card, lock))
        refused = await _refused(world.operations.open_session(PORTAL, reader=world.reader.name))
        assert refused is (locked_after[-1:] == [moment]), f"locked after {locked_after}"
        if not refused:  # it takes fewer commands
            break
        await until(lambda: not world.operations.sessions.open, "a session is open")
        assert not world.operations._workflow.any_kept()
        assert world.tries == 3
    assert len(locked_after) > 6
    assert [session.ended for session in world.operations.sessions.open] == [None]


async def _refused(opening: Coroutine[Any, Any, SigningSession]) -> bool:
    """Whether no session came of it, because it ended before it began."""
    try:
        await opening
    except AgentError as error:
        assert error.error_id is ErrorId.SIGNING_SESSION_ENDED
        return True
    return False


async def test_a_screen_locked_right_after_a_pages_pin_was_right_leaves_it_unkept(world: World) -> None:
    def lock(_number: int) -> None:
        if card.commands[-1][1] == VERIFY and card.commands[-1][5:]:
            world.operations.forget_pins(SessionEnd.LOCKED)

    world.reader.remove()
    world.reader.insert(card := Interrupted(world.card, lock))
    kept = await world.operations.keep_pin(OWN, Pin(PIN), reader=world.reader.name)
    assert kept.ended is SessionEnd.LOCKED and kept.wiped


async def test_settings_changed_right_after_the_pin_was_right_end_the_session_they_do_not_allow(
    world: World,
) -> None:
    def forbid(_number: int) -> None:
        if card.commands[-1][1] == VERIFY and card.commands[-1][5:]:
            world.operations.sessions.apply(SessionSettings(enabled=False))

    world.reader.remove()
    world.reader.insert(card := Interrupted(world.card, forbid))
    with pytest.raises(AgentError) as raised:
        await world.operations.open_session(PORTAL, reader=world.reader.name)
    assert raised.value.error_id is ErrorId.SIGNING_SESSION_ENDED
    await until(lambda: not world.operations.sessions.open, "a session is open")


async def test_no_pin_to_be_kept_is_sent_before_a_lock_would_be_heard(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = asyncio.Event()

    @asynccontextmanager
    async def slow_desktop(locked: Callable[[], None]) -> AsyncIterator[None]:
        await listening.wait()
        locked()
        yield

    monkeypatch.setattr("agent.pins.screen_lock.watched", slow_desktop)
    async with agent(tmp_path, "hpc", config=LISTED) as world:
        opening = asyncio.create_task(world.operations.open_session(PORTAL))
        await until(lambda: len(world.pins_asked()) == 1, "nobody is asked")
        await asyncio.to_thread(lambda: None)
        assert not [command for command in world.apdus if command[1] == VERIFY and command[5:]]
        listening.set()
        with pytest.raises(AgentError) as raised:
            await opening
        assert raised.value.error_id is ErrorId.SIGNING_SESSION_ENDED
        assert world.operations.sessions.open == ()


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
    await watch.begin()
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
    await watch.begin()
    await until(lambda: one.looks > before, "it does not look again")
    assert len(one.desktop) == 1


async def test_a_screen_found_locked_ends_what_is_kept(watched: tuple[Watched, PinWatch]) -> None:
    one, watch = watched
    one.kept = one.locked = True
    await watch.begin()
    await until(lambda: SessionEnd.LOCKED in one.ends, "it goes on")


async def test_what_cannot_be_watched_over_is_not_kept_and_the_next_pin_is_watched_again(
    watched: tuple[Watched, PinWatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, watch = watched
    one.kept = True
    with monkeypatch.context() as broken:
        broken.setattr(watch, "_any_kept", lambda: 1 // 0)
        await watch.begin()
        await until(lambda: one.ends == [SessionEnd.LOCKED], "it is kept unwatched")
    await watch.begin()
    await until(lambda: one.looks > 0, "it is not watched again")
