"""What is sent for a PIN, what each answer means, and that nothing leaves it verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hca_card.errors import (
    NotActivatedError,
    PinCancelledError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukLockedError,
    PukWrongError,
)
from hca_card.model import PinStatus
from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat
from hca_card.pin_use import PinUse
from hca_card.profile_format import DropBy, StatusBy
from pcsc.apdu import Command, Response
from pcsc.errors import CardRemovedError
from pcsc.status import StatusError
from tests.support.script import Exchange, ScriptedChannel

FORM = PinFormat(6, 8)
PADDED = PinFormat(6, 8, stored_length=8)
PIN, OTHER, PUK = b"123456", b"654321", b"12345678"

STATUS = "00 20 00 05"
VERIFY = "00 20 00 05 06 313233343536"
CHANGE = "00 24 00 05 0C 313233343536 363534333231"
UNBLOCK = "00 2C 00 05 0E 3132333435363738 363534333231"
DROP: Exchange = ("00 20 FF 05", "9000")


class Keypad:
    """Answers what it is told to, and keeps what it was asked."""

    can_modify = True

    def __init__(self, sw: int = 0x9000) -> None:
        self.sw = sw
        self.asked: list[tuple[str, bytes, int, int]] = []

    def verify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        self.asked.append(("verify", command.encode(), min_length, max_length))
        return Response(b"", self.sw)

    def modify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        self.asked.append(("modify", command.encode(), min_length, max_length))
        return Response(b"", self.sw)


class Use(PinUse):
    """A PIN with reference 5 and lengths 6 to 8; keeps how often its application was selected again."""

    def __init__(self, channel: ScriptedChannel, reason: Exception | None = None, **more: Any) -> None:
        self.selected = self.explained = 0
        self._reason = reason
        given = {"reference": 5, "form": FORM, "reselect": self._select, "why_refused": self._explain} | more
        super().__init__(channel, **given)

    def _select(self) -> None:
        self.selected += 1

    def _explain(self) -> None:
        self.explained += 1
        if self._reason:
            raise self._reason


Present = Callable[[PinUse], None]

COMMANDS: dict[str, tuple[str, Present]] = {
    "verify": (VERIFY, lambda use: use.verify(Pin(PIN))),
    "change": (CHANGE, lambda use: use.change(Pin(PIN), Pin(OTHER))),
    "unblock": (UNBLOCK, lambda use: use.unblock(Pin(PUK), PinFormat(8, 8), Pin(OTHER))),
}
REFUSALS = [
    pytest.param("63C2", PinWrongError, PukWrongError, 2, id="two-left"),
    pytest.param("63C1", PinWrongError, PukWrongError, 1, id="one-left"),
    pytest.param("6300", PinWrongError, PukWrongError, None, id="not-said"),
    pytest.param("63C0", PinLockedError, PukLockedError, 0, id="last-try-spent"),
    pytest.param("6983", PinLockedError, PukLockedError, 0, id="blocked"),
    pytest.param("6984", PinLockedError, PukLockedError, 0, id="not-usable"),
]


@pytest.mark.parametrize(("command", "present"), COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("sw", "wrong_pin", "wrong_puk", "left"), REFUSALS)
def test_a_refusal_says_what_is_left_of_what_was_presented(
    command: str,
    present: Present,
    sw: str,
    wrong_pin: type[PinWrongError],
    wrong_puk: type[PukWrongError],
    left: int | None,
) -> None:
    expected = wrong_puk if command is UNBLOCK else wrong_pin
    with ScriptedChannel([(command, sw), DROP]) as channel:
        use = Use(channel)
        with pytest.raises(expected) as caught:
            present(use)
        assert (type(caught.value), caught.value.tries_left) == (expected, left)
        assert not use.verified
        assert use.explained == (sw == "6984")


@pytest.mark.parametrize(("command", "present"), COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("sw", ["6985", "6700", "6403", "6401", "6A80"])
def test_any_other_answer_is_given_on_as_it_is(command: str, present: Present, sw: str) -> None:
    with ScriptedChannel([(command, sw), DROP]) as channel:
        use = Use(channel)
        with pytest.raises(StatusError) as caught:
            present(use)
        assert caught.value.sw == int(sw, 16)
        assert use.explained == (sw == "6985")


@pytest.mark.parametrize("sw", ["6984", "6985"])
@pytest.mark.parametrize(("command", "present"), COMMANDS.values(), ids=COMMANDS)
def test_the_cards_own_reason_comes_first(command: str, present: Present, sw: str) -> None:
    with ScriptedChannel([(command, sw), DROP]) as channel, pytest.raises(NotActivatedError):
        present(Use(channel, NotActivatedError()))


@pytest.mark.parametrize(("command", "present"), COMMANDS.values(), ids=COMMANDS)
def test_only_verify_leaves_it_verified_and_every_command_has_it_dropped_once(
    command: str, present: Present
) -> None:
    with ScriptedChannel([(VERIFY, "9000"), (command, "9000"), DROP]) as channel:
        use = Use(channel)
        assert not use.verified
        with pytest.raises(StatusError, match="6982"):
            use.require_verified()
        use.verify(Pin(PIN))
        use.require_verified()
        present(use)
        assert use.verified == (command is VERIFY)
    assert not use.verified
    assert use.selected == 0


@pytest.mark.parametrize("present", [present for _, present in COMMANDS.values()], ids=COMMANDS)
def test_it_is_dropped_though_the_link_broke_in_the_command(present: Present) -> None:
    class Broken(ScriptedChannel):
        def send(self, command: Command) -> Response:
            if command.data:
                raise CardRemovedError
            return super().send(command)

    with Broken([DROP]) as channel, pytest.raises(CardRemovedError):
        present(Use(channel))


def test_a_pin_that_does_not_fit_is_not_sent() -> None:
    short = Pin(b"12345")
    with ScriptedChannel([]) as channel:
        for present in (
            lambda: Use(channel).verify(short),
            lambda: Use(channel).change(short, Pin(OTHER)),
            lambda: Use(channel).change(Pin(PIN), short),
            lambda: Use(channel).unblock(short, FORM, Pin(OTHER)),
            lambda: Use(channel).unblock(Pin(PUK), FORM, short),
        ):
            with pytest.raises(PinLengthError):
                present()


ON_KEYPAD: dict[str, Callable[[PinUse, Keypad], None]] = {
    "verify": PinUse.verify_on_keypad,
    "modify": PinUse.change_on_keypad,
}


@pytest.mark.parametrize(("what", "present"), ON_KEYPAD.items(), ids=ON_KEYPAD)
def test_a_keypad_is_given_the_command_and_the_lengths(
    what: str, present: Callable[[PinUse, Keypad], None]
) -> None:
    keypad = Keypad()
    with ScriptedChannel([DROP]) as channel:
        use = Use(channel)
        present(use, keypad)
        assert use.verified == (what == "verify")
    ins = {"verify": 0x20, "modify": 0x24}[what]
    assert keypad.asked == [(what, bytes((0x00, ins, 0x00, 0x05)), 6, 8)]


@pytest.mark.parametrize(("what", "present"), ON_KEYPAD.items(), ids=ON_KEYPAD)
@pytest.mark.parametrize(
    ("sw", "expected", "left"),
    [
        (0x6400, PinCancelledError, None),
        (0x6401, PinCancelledError, None),
        (0x6402, PinCancelledError, None),
        (0x6403, PinLengthError, None),
        (0x6700, PinLengthError, None),
        (0x63C2, PinWrongError, 2),
        (0x6983, PinLockedError, 0),
    ],
)
def test_what_a_keypad_answers_is_told_and_the_state_dropped(
    what: str, present: Callable[[PinUse, Keypad], None], sw: int, expected: type[Exception], left: int | None
) -> None:
    with ScriptedChannel([(VERIFY, "9000"), DROP]) as channel:
        use = Use(channel)
        use.verify(Pin(PIN))
        with pytest.raises(expected) as caught:
            present(use, Keypad(sw))
        assert type(caught.value) is expected
        assert getattr(caught.value, "tries_left", None) == left
        # The PIN went to the card or its keypad: what failed is not what this program checks beforehand.
        assert getattr(caught.value, "sent", True)
        assert not use.verified


@pytest.mark.parametrize(
    ("form", "takes"),
    [
        (FORM, True),
        (PinFormat(6, 8, PinEncoding.ASCII_NUMERIC), True),
        (PADDED, False),
        (PinFormat(6, 8, PinEncoding.ASCII_NUMERIC, stored_length=8), False),
        (PinFormat(6, 8, PinEncoding.BCD), False),
        (PinFormat(6, 8, PinEncoding.ISO_9564), False),
    ],
)
def test_a_keypad_forms_plain_ascii_and_nothing_else(form: PinFormat, takes: bool) -> None:
    assert Use(ScriptedChannel([]), form=form).takes_keypad is takes


@pytest.mark.parametrize(
    ("sw", "left"),
    [("63C3", 3), ("63C0", 0), ("6983", 0), ("6984", 0), ("6300", None), ("6D00", None), ("9000", None)],
)
def test_an_empty_verify_says_how_the_pin_stands(sw: str, left: int | None) -> None:
    with ScriptedChannel([(STATUS, sw)]) as channel:
        use = Use(channel)
        assert use.status() == PinStatus(left, 6, 8)
        assert use.explained == (sw == "6984")


def test_a_pin_that_another_program_left_verified_has_all_its_tries() -> None:
    with ScriptedChannel([(STATUS, "9000"), (STATUS, "9000")]) as channel:
        assert Use(channel, tries=5).status().tries_left == 5
        assert Use(channel, tries=1).status().tries_left == 1


@pytest.mark.parametrize("sw", ["6985", "6A88"])
def test_no_such_pin_or_no_reason_is_an_error(sw: str) -> None:
    with ScriptedChannel([(STATUS, sw)]) as channel:
        use = Use(channel)
        with pytest.raises(StatusError) as caught:
            use.status()
        assert caught.value.sw == int(sw, 16)
        assert use.explained == (sw == "6985")


@pytest.mark.parametrize("sw", ["6984", "6985"])
def test_the_status_gives_the_cards_own_reason(sw: str) -> None:
    with ScriptedChannel([(STATUS, sw)]) as channel, pytest.raises(NotActivatedError):
        Use(channel, NotActivatedError()).status()


def test_a_card_that_would_spend_a_try_is_not_asked() -> None:
    with ScriptedChannel([]) as channel:
        assert Use(channel, status_by=StatusBy.NEVER, tries=3).status() == PinStatus(None, 6, 8)


# Dropping: (how, what is sent, selected again, was the card reset)
NOT_ANY_MORE = ["63C3", "63C0", "6983", "6300", "6982", "6984", "6985"]
STILL_OR_UNKNOWN = ["9000", "6D00", "6A88"]


@pytest.mark.parametrize("sw", NOT_ANY_MORE)
def test_selecting_again_drops_where_an_empty_verify_then_says_so(sw: str) -> None:
    with ScriptedChannel([(VERIFY, "9000"), (DROP[0], "6A86"), (STATUS, sw)]) as channel:
        use = Use(channel)
        use.verify(Pin(PIN))
    assert (use.selected, channel.was_reset) == (1, False)


@pytest.mark.parametrize("sw", STILL_OR_UNKNOWN)
def test_the_card_is_reset_where_it_does_not_say_so(sw: str) -> None:
    with ScriptedChannel([(VERIFY, "9000"), (DROP[0], "6A86"), (STATUS, sw)]) as channel:
        use = Use(channel)
        use.verify(Pin(PIN))
    assert (use.selected, channel.was_reset) == (1, True)


@pytest.mark.parametrize(
    ("how", "script", "selected", "was_reset"),
    [
        pytest.param({"drop_by": DropBy.SELECT}, [(STATUS, "6982")], 1, False, id="select"),
        pytest.param({"drop_by": DropBy.SELECT}, [(STATUS, "9000")], 1, True, id="select-fails"),
        pytest.param({"drop_by": DropBy.RESET}, [], 0, True, id="reset"),
        pytest.param({"confirm_drop": True}, [DROP, (STATUS, "63C3")], 0, False, id="confirmed"),
        pytest.param({"confirm_drop": True}, [DROP, (STATUS, "9000"), (STATUS, "63C3")], 1, False, id="p1"),
        pytest.param({"confirm_drop": True}, [("00 20 FF 05", "6A86"), (STATUS, "63C3")], 1, False, id="no"),
    ],
)
def test_a_verified_pin_is_dropped_as_the_card_type_says(
    how: dict[str, Any], script: list[Exchange], selected: int, was_reset: bool
) -> None:
    with ScriptedChannel([(VERIFY, "9000"), *script]) as channel:
        use = Use(channel, **how)
        use.verify(Pin(PIN))
    assert (use.selected, channel.was_reset) == (selected, was_reset)
    assert not use.verified
