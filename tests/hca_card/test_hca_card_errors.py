"""What the errors of a card say and keep."""

from __future__ import annotations

from hca_card.errors import CardDataError, PinLengthError, PinWrongError, UnknownCardError


def test_an_error_without_words_says_what_it_is() -> None:
    assert str(UnknownCardError()) == UnknownCardError.__doc__
    assert str(CardDataError("cut off")) == "cut off"


def test_a_wrong_pin_keeps_the_tries_that_the_card_said() -> None:
    assert PinWrongError(tries_left=2).tries_left == 2
    assert PinWrongError().tries_left is None


def test_a_length_that_does_not_fit_costs_no_try_and_says_who_found_it() -> None:
    assert (PinLengthError().sent, PinLengthError(sent=True).sent) == (False, True)
    assert PinLengthError("too short", sent=True).tries_left is None
