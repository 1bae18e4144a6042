"""Class byte, chaining and GET RESPONSE."""

from __future__ import annotations

import pytest

from hca_card.simulator.dispatcher import Chip, Dispatcher
from pcsc.apdu import Command, Response

ECHO, LONG = 0x10, 0x20


class Card:
    """Echoes data for INS 10, which may be chained, and answers 600 bytes for INS 20."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(
            {ECHO: lambda command: Response(command.data, 0x9000), LONG: self._long},
            chained=frozenset({ECHO}),
        )

    def _long(self, _: Command) -> Response:
        return Response(bytes(600), 0x6285)

    def say(self, command: str) -> str:
        return self.dispatcher.transmit(bytes.fromhex(command)).hex()


@pytest.fixture
def card() -> Card:
    return Card()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param("00", "6700", id="one byte"),
        pytest.param("", "6700", id="nothing"),
        pytest.param("00 10 00 00 05 01", "6700", id="Lc that lies"),
        pytest.param("80 10 00 00", "6e00", id="proprietary class"),
        pytest.param("FF 10 00 00", "6e00", id="class of the reader"),
        pytest.param("0C 10 00 00", "6882", id="secure messaging"),
        pytest.param("01 10 00 00", "6881", id="logical channel"),
        pytest.param("00 11 00 00", "6d00", id="unknown instruction"),
        pytest.param("10 20 00 00", "6884", id="chained though it cannot be"),
        pytest.param("00 C0 00 00 00", "6985", id="GET RESPONSE out of the blue"),
    ],
)
def test_what_is_no_command_for_this_card_is_refused(card: Card, command: str, status: str) -> None:
    assert card.say(command) == status


def test_a_chain_is_put_together(card: Card) -> None:
    assert card.say("10 10 00 00 02 01 02") == "9000"
    assert card.say("10 10 00 00 01 03") == "9000"
    assert card.say("00 10 00 00 02 04 05 00") == "01020304059000"
    assert card.say("00 10 00 00 01 06 00") == "069000"


def test_a_chain_that_another_command_breaks_is_forgotten(card: Card) -> None:
    assert card.say("10 10 00 00 02 01 02") == "9000"
    assert card.say("00 20 00 00 00") == "6883"
    assert card.say("00 10 00 00 01 06 00") == "069000"


def test_a_chain_is_forgotten_at_reset(card: Card) -> None:
    assert card.say("10 10 00 00 02 01 02") == "9000"
    card.dispatcher.reset()
    assert card.say("00 10 00 00 01 06 00") == "069000"


def test_a_chain_without_end_is_refused(card: Card) -> None:
    for _ in range(257):
        assert card.say("10 10 00 00 FF" + "00" * 255) == "9000"
    assert card.say("10 10 00 00 FF" + "00" * 255) == "6700"


def test_get_response_fetches_what_le_kept_back_and_ends_with_the_status_of_the_command(card: Card) -> None:
    assert card.say("00 20 00 00 05") == "00" * 5 + "61ff"
    assert card.say("00 C0 00 00 00") == "00" * 256 + "61ff"
    assert card.say("00 C0 00 00 FF") == "00" * 255 + "6154"
    assert card.say("00 C0 00 00 60") == "6c54"
    assert card.say("00 C0 00 00 54") == "00" * 84 + "6285"
    assert card.say("00 C0 00 00 00") == "6985"


def test_extended_le_needs_no_get_response(card: Card) -> None:
    assert card.say("00 20 00 00 00 00 00") == "00" * 600 + "6285"


def test_another_command_drops_what_nobody_fetched(card: Card) -> None:
    card.say("00 20 00 00 05")
    card.say("00 10 00 00 01 06 00")
    assert card.say("00 C0 00 00 00") == "6985"


def test_a_command_without_le_brings_its_data_all_the_same(card: Card) -> None:
    assert card.say("00 20 00 00") == bytes(600).hex() + "6285"


def test_get_response_wants_a_length(card: Card) -> None:
    assert card.say("00 20 00 00 00")[-4:-2] == "61"
    assert card.say("00 C0 00 00") == "6700"


def test_power_resets_every_part_of_a_chip() -> None:
    resets: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self.name = name

        def reset(self) -> None:
            resets.append(self.name)

    chip = Chip(b";", {ECHO: lambda command: Response(command.data, 0x9000)}, Part("files"), Part("keys"))
    assert chip.power_on() == b";"
    assert resets == ["files", "keys"]
    chip.power_off()
    assert chip.transmit(bytes.fromhex("0010000001AA")).hex() == "aa9000"
