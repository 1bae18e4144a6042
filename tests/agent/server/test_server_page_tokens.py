"""One-use tokens of our own page."""

from __future__ import annotations

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
    assert not tokens.redeem(given[0])
    assert tokens.redeem(given[-1])
    assert not tokens.redeem("")
