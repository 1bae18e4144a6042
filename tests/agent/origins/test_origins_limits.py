from __future__ import annotations

from agent.origins.rate_limits import Buckets


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_full_at_first_and_refills_with_time() -> None:
    clock = Clock()
    buckets = Buckets(2.0, 3, clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    clock.now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    clock.now += 1000
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_one_key_says_nothing_of_another() -> None:
    buckets = Buckets(1.0, 1, Clock())
    assert [buckets.take(key) for key in "abab"] == [0, 0, 1, 1]


def test_what_is_given_back_can_be_taken_again_and_no_more() -> None:
    buckets = Buckets(1.0, 2, Clock())
    buckets.give_back("a")
    buckets.take("a")
    buckets.give_back("a")
    buckets.give_back("a")
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]


def test_a_page_with_endless_names_does_not_fill_the_memory_nor_free_a_busy_one() -> None:
    buckets = Buckets(1.0, 1, Clock())
    for number in range(5000):
        buckets.take(f"https://n{number}.example")
        buckets.take("https://busy.example")
    assert buckets.take("https://busy.example") > 0
    assert len(buckets._buckets) <= 1024
