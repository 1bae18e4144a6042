"""The keypad of a token that takes its PIN from nowhere else (CKF_PROTECTED_AUTHENTICATION_PATH)."""

from __future__ import annotations

from typing import Final

from hca_card.errors import UnsupportedError
from pcsc.apdu import Command, Response


class ModuleKeypad:
    """Stands for a keypad that the module drives by itself; nothing is sent through here."""

    can_modify: Final = True

    def verify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Raise `UnsupportedError`, always."""
        raise UnsupportedError("the PKCS#11 module drives this keypad itself")

    def modify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Raise `UnsupportedError`, always."""
        raise UnsupportedError("the PKCS#11 module drives this keypad itself")
