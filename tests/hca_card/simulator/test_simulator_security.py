"""PIN and PUK, as literal APDUs."""

from __future__ import annotations

import pytest

from hca_card.simulator import SimulatedCard
from hca_card.simulator.dispatcher import RefusalError
from hca_card.simulator.security import Secret, SecurityCommands
from pcsc.apdu import Command
from tests.support.cards import play, simulated

RIGHT = "> 00 20 00 01 06 31 32 33 34 35 36"
WRONG = "> 00 20 00 01 06 39 39 39 39 39 39"


@pytest.fixture
def card() -> SimulatedCard:
    return simulated("hpc")


def test_an_empty_verify_tells_the_tries_and_costs_none(card: SimulatedCard) -> None:
    play(
        card,
        f"""
        > 00 20 00 01
        < 63 C3
        > 00 20 00 01
        < 63 C3
        {RIGHT}
        < 90 00
        > 00 20 00 01                            verified: nothing needed
        < 90 00
        """,
    )
    assert card.pin_tries == 3


def test_three_wrong_pins_lock_the_card_and_the_right_one_no_longer_opens_it(card: SimulatedCard) -> None:
    play(
        card,
        f"""
        {WRONG}
        < 63 C2
        {WRONG}
        < 63 C1
        {WRONG}
        < 63 C0
        {RIGHT}
        < 69 83
        > 00 20 00 01
        < 69 83
        """,
    )
    assert card.pin_tries == 0


def test_the_right_pin_gives_the_tries_back(card: SimulatedCard) -> None:
    play(card, f"{WRONG}\n< 63 C2\n{RIGHT}\n< 90 00")
    assert card.pin_tries == 3


def test_a_wrong_pin_takes_the_verified_state_away(card: SimulatedCard) -> None:
    play(card, f"{RIGHT}\n< 90 00\n{WRONG}\n< 63 C2\n> 00 20 00 01\n< 63 C2")


def test_verify_with_p1_ff_drops_the_verified_state(card: SimulatedCard) -> None:
    play(card, f"{RIGHT}\n< 90 00\n> 00 20 FF 01\n< 90 00\n> 00 20 00 01\n< 63 C3")


def test_a_reset_drops_the_verified_state_and_keeps_the_tries_spent(card: SimulatedCard) -> None:
    play(
        card,
        f"{RIGHT}\n< 90 00\nreset\n> 00 20 00 01\n< 63 C3\n{WRONG}\n< 63 C2\nreset\n> 00 20 00 01\n< 63 C2",
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param("00 20 00 01 05 31 32 33 34 35", "67 00", id="too short"),
        pytest.param("00 20 00 01 09 31 32 33 34 35 36 37 38 39", "67 00", id="too long"),
        pytest.param("00 20 00 03 06 31 32 33 34 35 36", "6A 88", id="no such reference"),
        pytest.param("00 20 01 01 06 31 32 33 34 35 36", "6A 86", id="no such P1"),
        pytest.param("00 20 FF 01 06 31 32 33 34 35 36", "6A 86", id="dropping with data"),
        pytest.param("00 24 01 01 06 31 32 33 34 35 36", "6A 86", id="change without the old PIN"),
        pytest.param("00 24 00 02 0C 31 32 33 34 35 36 31 32 33 34 35 36", "6A 88", id="change of the PUK"),
        pytest.param("00 24 00 01 06 31 32 33 34 35 36", "67 00", id="change with one PIN only"),
        pytest.param("00 2C 00 01 08 31 32 33 34 35 36 37 38", "67 00", id="unblock without a new PIN"),
    ],
)
def test_a_malformed_command_costs_no_try(card: SimulatedCard, command: str, status: str) -> None:
    play(card, f"> {command}\n< {status}")
    assert (card.pin_tries, card.puk_tries) == (3, 10)


def test_a_changed_pin_counts_from_then_on_for_as_long_as_the_card_lives(card: SimulatedCard) -> None:
    play(
        card,
        f"""
        > 00 24 00 01 0D 31 32 33 34 35 36 37 36 35 34 33 32 31       123456 to 7654321
        < 90 00
        reset
        {RIGHT}
        < 63 C2
        > 00 20 00 01 07 37 36 35 34 33 32 31
        < 90 00
        """,
    )


def test_changing_with_a_wrong_pin_costs_a_try_and_changes_nothing(card: SimulatedCard) -> None:
    play(
        card,
        f"""
        > 00 24 00 01 0C 39 39 39 39 39 39 36 35 34 33 32 31
        < 63 C2
        {RIGHT}
        < 90 00
        """,
    )


def test_a_new_pin_that_the_card_does_not_take_is_refused(card: SimulatedCard) -> None:
    play(
        card,
        f"""
        > 00 24 00 01 0C 31 32 33 34 35 36 00 01 02 03 04 05          control characters
        < 6A 80
        > 00 24 00 01 0F 31 32 33 34 35 36 31 32 33 34 35 36 37 38 39  nine of them
        < 6A 80
        {RIGHT}
        < 90 00
        """,
    )


def test_the_puk_opens_a_locked_card_with_a_new_pin() -> None:
    card = simulated("hpc-locked")
    play(
        card,
        """
        > 00 20 00 01
        < 69 83
        > 00 2C 00 01 0E 31 32 33 34 35 36 37 38 36 35 34 33 32 31     PUK 12345678, PIN 654321
        < 90 00
        > 00 20 00 01 06 36 35 34 33 32 31
        < 90 00
        """,
    )


def test_ten_wrong_puks_lock_the_puk_and_leave_the_pin_alone(card: SimulatedCard) -> None:
    for left in range(9, -1, -1):
        play(card, f"> 00 2C 00 01 0E 39 39 39 39 39 39 39 39 36 35 34 33 32 31\n< 63 C{left:X}")
    play(card, "> 00 2C 00 01 0E 31 32 33 34 35 36 37 38 36 35 34 33 32 31\n< 69 83")
    assert (card.pin_tries, card.puk_tries) == (3, 0)
    play(card, f"{RIGHT}\n< 90 00")


def test_verifying_the_puk_does_not_verify_the_pin(card: SimulatedCard) -> None:
    play(
        card,
        """
        > 00 20 00 02 08 31 32 33 34 35 36 37 38
        < 90 00
        > 00 20 00 01
        < 63 C3
        """,
    )


def test_a_secret_never_prints_its_value() -> None:
    assert "123456" not in repr(Secret(b"123456", range(6, 9), 3))


def test_what_needs_the_pin_is_refused_until_it_is_verified() -> None:
    commands = SecurityCommands(Secret(b"123456", range(6, 9), 3), Secret(b"12345678", range(8, 9), 10))
    with pytest.raises(RefusalError) as caught:
        commands.require_pin()
    assert caught.value.sw == 0x6982
    verify = commands.handlers()[0x20]
    assert verify(Command(0, 0x20, 0, 1, b"123456")).ok
    commands.require_pin()
    commands.reset()
    with pytest.raises(RefusalError):
        commands.require_pin()
