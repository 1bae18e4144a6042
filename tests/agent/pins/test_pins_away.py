"""Whether the person went away, as far as the clocks and the system's answers say so."""

from __future__ import annotations

import struct

import pytest

from agent.pins.away import Away, read_macos, read_windows, screen_is_locked


class Clocks:
    """A clock on the wall and one that only grows."""

    wall = 1_000_000.0
    steady = 500.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def away(clocks: Clocks, *locked: bool) -> Away:
    answers = iter(locked)
    return Away(lambda: next(answers, False), wall=lambda: clocks.wall, steady=lambda: clocks.steady)


@pytest.mark.parametrize(
    ("wall", "steady", "went"),
    [
        (2, 2, False),
        (20, 20, False),  # a process that had to wait long for its turn
        (3600, 2, True),  # a clock that stands still in a sleep: Linux, macOS
        (3600, 3600, True),  # one that goes on: Windows
        (2, 3600, True),  # the wall's clock was set back meanwhile
        (-3600, 2, False),  # and by daylight saving or a person, without a sleep
    ],
)
def test_a_sleep_is_seen_by_the_clocks(clocks: Clocks, wall: float, steady: float, went: bool) -> None:
    watch = away(clocks)
    assert not watch.went()
    clocks.wall += wall
    clocks.steady += steady
    assert watch.went() is went
    assert not watch.went(), "it is told once"


def test_what_happened_before_it_was_looked_is_nothing(clocks: Clocks) -> None:
    watch = away(clocks)
    clocks.wall += 3600
    watch.begin()
    assert not watch.went()


def test_a_locked_screen_is_asked_for(clocks: Clocks) -> None:
    watch = away(clocks, False, True)
    assert [watch.went(), watch.went()] == [False, True]
    assert screen_is_locked() is False, "this system tells by itself, or cannot be asked"


def told(level: int, state: int, flags: int) -> bytes:
    """WTSINFOEXW: level, four bytes to align, SessionId, SessionState, SessionFlags, names."""
    return struct.pack("<Ixxxx", level) + struct.pack("<IIi", 3, state, flags) + bytes(200)


@pytest.mark.parametrize(
    ("information", "locked"),
    [
        (told(1, 0, 1), False),
        (told(1, 0, 0), True),
        (told(1, 0, -1), False),
        (told(1, 4, 1), True),  # WTSDisconnected: another person is at the screen
        (told(2, 0, 0), False),
        (b"", False),
        (told(1, 0, 0)[:16], False),
    ],
)
def test_windows_answer_is_read_as_its_header_says(information: bytes, locked: bool) -> None:
    assert read_windows(information) is locked


@pytest.mark.parametrize(
    ("session", "locked"),
    [
        ({"kCGSSessionOnConsoleKey": 1}, False),
        ({"kCGSSessionOnConsoleKey": 1, "CGSSessionScreenIsLocked": 1}, True),
        ({"kCGSSessionOnConsoleKey": 0}, True),
        ({}, False),
        (None, False),  # no window server: a log-in over the network
    ],
)
def test_macos_answer_is_read(session: object, locked: bool) -> None:
    assert read_macos(session) is locked
