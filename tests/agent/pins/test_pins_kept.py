from __future__ import annotations

import pytest

from agent.errors import AgentError
from agent.pins.kept import KeptPin
from hca_card.errors import CardChangedError
from hca_card.pin import Pin


def kept() -> KeptPin:
    return KeptPin(Pin("123456"), owner="page", reader="R", serial="0001", event_counter=7)


def test_a_kept_pin_is_given_for_its_very_card_as_a_copy() -> None:
    session = kept()
    with session.for_card(reader="R", serial="0001", event_counter=7) as pin:
        assert pin.octets == b"123456"
    assert pin.wiped
    assert not session.wiped


@pytest.mark.parametrize(
    ("reader", "serial", "counter"), [("S", "0001", 7), ("R", "0002", 7), ("R", "0001", 8)]
)
def test_another_card_or_reader_or_an_insertion_between_wipes_it(
    reader: str, serial: str, counter: int
) -> None:
    session = kept()
    with pytest.raises(CardChangedError):
        session.for_card(reader=reader, serial=serial, event_counter=counter)
    assert session.wiped


def test_a_wiped_pin_is_given_to_nobody() -> None:
    session = kept()
    session.wipe()
    session.wipe()
    with pytest.raises(AgentError) as caught:
        session.for_card(reader="R", serial="0001", event_counter=7)
    assert caught.value.error_id == "pin.not_kept"


def test_the_giver_wipes_its_own_and_nothing_prints_it() -> None:
    given = Pin("123456")
    session = KeptPin(given, owner="page", reader="R", serial="0001", event_counter=7)
    given.wipe()
    assert not session.wiped
    assert "123456" not in repr(session)
    assert "0001" not in repr(session)
