"""One-use tokens of our own page."""

from __future__ import annotations

import pytest

from agent.server.page_tokens import SECONDS, PageTokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_good_once() -> None:
    tokens = PageTokens()
    token = tokens.issue()
    assert tokens.redeem(token)
    assert not tokens.redeem(token)


def test_a_token_lives_for_a_minute() -> None:
    clock = Clock()
    tokens = PageTokens(clock)
    early, late = tokens.issue(), tokens.issue()
    clock.now = SECONDS
    assert tokens.redeem(early)
    clock.now = SECONDS + 0.1
    assert not tokens.redeem(late)


def test_nobody_can_guess_one_or_fill_the_memory() -> None:
    tokens = PageTokens()
    given = [tokens.issue() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert all(len(token) >= 32 for token in given)
    assert not tokens._spent
    assert tokens.redeem(given[-1])
    for made_up in ("", "A" * 64, "é" * 64, given[1][:-1], given[1] + "AAAA", given[1][:-1] + "="):
        assert not tokens.redeem(made_up)
    assert not PageTokens().redeem(given[1])


def test_whoever_loads_pages_by_the_hundred_makes_nobody_elses_token_worthless() -> None:
    tokens = PageTokens()
    portals = tokens.issue()
    for _ in range(1000):
        tokens.issue()
    assert tokens.redeem(portals)


@pytest.mark.slow
def test_those_shown_are_forgotten_with_time_and_no_forgotten_one_is_good_again() -> None:
    clock = Clock()
    tokens = PageTokens(clock)
    given = []
    for _ in range(5000):
        clock.now += 0.001
        given.append(tokens.issue())
    assert all(tokens.redeem(token) for token in given)
    assert len(tokens._spent) == 4096
    assert not any(tokens.redeem(token) for token in given)
    clock.now += SECONDS + 1
    assert tokens.redeem(tokens.issue())
    assert len(tokens._spent) == 1
