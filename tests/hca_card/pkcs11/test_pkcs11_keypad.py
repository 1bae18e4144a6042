"""A keypad that the module drives by itself takes no command of ours."""

from __future__ import annotations

import pytest

from hca_card.errors import UnsupportedError
from hca_card.pkcs11.keypad import ModuleKeypad
from pcsc.apdu import Command


def test_nothing_is_sent_through_a_keypad_that_the_module_drives() -> None:
    keypad, command = ModuleKeypad(), Command(0, 0x20, 0, 1)
    assert keypad.can_modify
    for work in (keypad.verify, keypad.modify):
        with pytest.raises(UnsupportedError, match="drives this keypad itself"):
            work(command, min_length=6, max_length=8)
