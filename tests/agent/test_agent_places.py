from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from agent.errors import AgentError
from agent.places import Place, Places, Rank, Turns
from tests.support.waiting import LIMIT

KNOWN, OTHER = "https://known.example.tw", "https://other.example.tw"


@dataclass
class Person:
    """Who is known, at the moment."""

    known: set[str]

    def rank(self, origin: str | None) -> Rank:
        return Rank.OWN if origin is None else Rank.ALLOWED if origin in self.known else Rank.STRANGER


@dataclass
class Guest:
    idle: bool = True
    left: bool = False

    def give_way(self) -> None:
        self.left = True


def places(**limits: int) -> Places:
    return Places(Person({KNOWN, OTHER}).rank, **{"total": 4, "strangers": 2, **limits})  # type: ignore[arg-type]


def fill(these: Places, *origins: str | None, idle: bool = True) -> list[Guest]:
    guests = [Guest(idle) for _ in origins]
    for origin, guest in zip(origins, guests, strict=True):
        these.take(origin, holder=guest)
    return guests


def busy(these: Places, origin: str | None, size: int = 1) -> bool:
    try:
        these.give_back(these.take(origin, size))
    except AgentError as error:
        return error.error_id == "busy"
    return False


def test_strangers_never_hold_more_than_their_share_under_however_many_names() -> None:
    these = places()
    fill(these, "https://n0.example", "https://n1.example", idle=False)
    assert busy(these, "https://n2.example")
    assert not busy(these, KNOWN, 2)
    assert not busy(these, None, 2)
    assert busy(these, KNOWN, 5)


def test_a_stranger_gives_way_to_a_stranger_when_idle_and_to_nobody_of_its_like_else() -> None:
    these = places()
    at_work, idle = Guest(idle=False), Guest()
    these.take("https://n0.example", holder=at_work)
    these.take("https://n1.example", holder=idle)
    these.take("https://n2.example", holder=Guest(idle=False))
    assert (at_work.left, idle.left) == (False, True)
    assert busy(these, "https://n3.example")


def test_strangers_at_work_give_way_to_who_is_known_and_the_known_do_not() -> None:
    these = places()
    known = fill(these, KNOWN, OTHER)
    strangers = fill(these, "https://n0.example", "https://n1.example", idle=False)
    fill(these, KNOWN, None)
    assert [guest.left for guest in known + strangers] == [False, False, True, True]
    assert busy(these, KNOWN) and busy(these, None) and busy(these, "https://n2.example")


def test_the_one_unused_longest_gives_way_first() -> None:
    these = places(strangers=3)
    guests = [Guest() for _ in range(3)]
    held = [these.take(f"https://n{number}.example", holder=guest) for number, guest in enumerate(guests)]
    these.used(held[0])
    fill(these, "https://n9.example", "https://n10.example")
    assert [guest.left for guest in guests] == [False, True, True]


def test_an_origin_that_gets_its_yes_is_a_stranger_no_longer() -> None:
    person = Person(set())
    these = Places(person.rank, total=2, strangers=1)
    guest = Guest()
    these.take(KNOWN, holder=guest)
    person.known.add(KNOWN)
    fill(these, "https://n0.example")
    assert not guest.left
    fill(these, "https://n1.example")
    assert not guest.left


def test_one_origin_has_so_much_and_renews_its_own_where_that_is_said() -> None:
    strict = places(each=1)
    [guest] = fill(strict, KNOWN)
    assert busy(strict, KNOWN) and not guest.left
    renewing = places(each=1, renew=True)  # type: ignore[arg-type]
    [guest] = fill(renewing, KNOWN)
    assert not busy(renewing, KNOWN) and guest.left


def test_what_is_given_back_is_free_and_can_be_given_back_twice() -> None:
    these = places(total=1)
    place = these.take(KNOWN)
    assert busy(these, KNOWN)
    these.give_back(place)
    these.give_back(place)
    assert isinstance(these.take(OTHER), Place)


async def test_turns_go_by_rank_and_then_by_order() -> None:
    turns = Turns(Places(Person({KNOWN, OTHER}).rank, total=8, strangers=4))
    order: list[str | None] = []
    go = asyncio.Event()

    async def one(origin: str | None) -> None:
        async with turns.turn(origin):
            await go.wait()
            order.append(origin)

    names = ["https://n0.example", "https://n1.example", OTHER, KNOWN, None]
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(one(name)))
        await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*tasks)
    assert order == ["https://n0.example", None, OTHER, KNOWN, "https://n1.example"]


async def test_a_strangers_turn_is_asked_to_end_for_who_is_known_alone() -> None:
    turns = Turns(Places(Person({KNOWN, OTHER}).rank, total=8, strangers=4))
    async with asyncio.TaskGroup() as group, turns.turn("https://n0.example") as turn:

        async def wait(origin: str) -> None:
            async with turns.turn(origin):
                pass

        group.create_task(wait("https://n1.example"))
        await asyncio.sleep(0)
        assert not turn.leaving.done()
        group.create_task(wait(KNOWN))
        await asyncio.wait_for(turn.leaving, LIMIT)


async def test_a_stranger_that_waits_gives_its_place_up() -> None:
    turns = Turns(Places(Person({KNOWN, OTHER}).rank, total=2, strangers=2))
    async with turns.turn(KNOWN):
        waiting = turns.turn("https://n0.example")
        task = asyncio.create_task(waiting.__aenter__())
        await asyncio.sleep(0)
        other = asyncio.create_task(turns.turn(OTHER).__aenter__())
        with pytest.raises(AgentError):
            await task
    await other
