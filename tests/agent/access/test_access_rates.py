"""How often pages may ask, by however many names they come."""

from __future__ import annotations

import pytest

from agent.access import rates as module
from agent.access.rates import OriginRates
from agent.config import LimitSettings
from agent.places import Rank

KNOWN = "https://portal.example.tw"


def rates() -> OriginRates:
    def rank(origin: str | None) -> Rank:
        return Rank.ALLOWED if origin == KNOWN else Rank.STRANGER

    return OriginRates(LimitSettings(requests=1, burst=5), rank, lambda: 0.0)


def test_a_flood_of_made_up_origins_neither_uses_up_nor_renews_what_an_allowed_one_has() -> None:
    these = rates()
    assert [these.take(KNOWN) > 0 for _ in range(6)] == [False] * 5 + [True]
    for number in range(3000):
        these.take(f"https://n{number}.hostile{number}.example")
    assert these.take(KNOWN) > 0


def test_strangers_together_ask_not_much_oftener_than_one_origin() -> None:
    these = rates()
    granted = sum(not these.take(f"https://n{number}.hostile{number}.example") for number in range(100))
    assert granted == 4 * 5
    assert not these.take(KNOWN)


async def test_strangers_alone_wait_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", wait)
    these = rates()
    await these.hold_up(KNOWN)
    assert not waited
    await these.hold_up("https://hostile.example")
    assert len(waited) == 1
