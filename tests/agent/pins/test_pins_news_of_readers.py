"""News of readers arrives late: it must end a PIN whose card was touched, and no other."""

from __future__ import annotations

import pytest

from agent.operations import Caller
from agent.pins.kept import KeptPin
from hca_card.pin import Pin


@pytest.mark.parametrize(
    ("present", "events", "ends"),
    [
        (True, 0, False),
        (False, 0, True),
        (True, +2, True),
        (False, +1, True),
        (False, -1, False),  # the card was put in after this was seen
        (True, -2, False),
    ],
)
@pytest.mark.parametrize("count", [7, 1, 0xFFFF])  # which has 16 bits, and begins anew
def test_only_news_that_is_not_older_than_the_pin_ends_it(
    count: int, present: bool, events: int, ends: bool
) -> None:
    with Pin("123456") as pin:
        kept = KeptPin(pin, owner=Caller(None), reader="Reader", serial="1", event_counter=count)
    assert kept.ended_by(present=present, event_counter=count + events & 0xFFFF) is ends
