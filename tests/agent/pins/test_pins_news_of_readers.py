"""News of readers arrives late: it must end a PIN whose card was touched, and no other."""

from __future__ import annotations

import pytest

from agent.operations import Caller
from agent.pins.kept import KeptPin
from hca_card.pin import Pin


@pytest.mark.parametrize(
    ("present", "event_counter", "ends"),
    [
        (True, 7, False),
        (False, 7, True),
        (True, 9, True),
        (False, 8, True),
        (False, 6, False),  # the card was put in after this was seen
        (True, 5, False),
    ],
)
def test_only_news_that_is_not_older_than_the_pin_ends_it(
    present: bool, event_counter: int, ends: bool
) -> None:
    with Pin("123456") as pin:
        kept = KeptPin(pin, owner=Caller(None), reader="Reader", serial="1", event_counter=7)
    assert kept.ended_by(present=present, event_counter=event_counter) is ends
