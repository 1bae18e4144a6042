"""One PKCS#11 module as a source of slots: its file, its process, and what it said last."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.pkcs11_modules.files import ModuleFile, require_safe
from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.errors import (
    ModuleCrashedError,
    ModuleError,
    ModuleTimeoutError,
    ModuleUnsafeError,
    ModuleUnusableError,
)

log = logging.getLogger(__name__)

REQUEST_SECONDS = 30.0
"""How long one request to a module may take."""

_LIST_SECONDS: Final = 8.0
_FAILURES_MAX: Final = 3
_STAYS: Final = (ModuleTimeoutError, ModuleUnusableError, ModuleUnsafeError)

Cards = tuple[tuple[str, bytes, int], ...]
"""The cards there are: reader, answer to reset, event counter."""

Start = Callable[[str], subprocess.Popen[bytes]]
"""Starts the process of the module with this file."""


class ModuleSource:
    """One module's file, its process, and what it said last.

    Attributes:
        serves: the cards it is made for; None for one that is asked always.
        trouble: what kept it from being used when it was last asked.
        slots: those in which it sees a token.
        generation: the process that said so.
    """

    def __init__(self, file: ModuleFile, start: Start) -> None:
        self.path: Final = file.path
        self.serves: Final = file.serves
        self.trouble: ModuleError | None = None
        self.slots: tuple[messages.Slot, ...] = ()
        self.generation = 0
        self._cards: Cards | None = None
        self._failures = 0
        self.process = ModuleProcess(
            file.path, lambda path: start(str(require_safe(Path(path)))), seconds=REQUEST_SECONDS
        )
        self._seconds = min(REQUEST_SECONDS, _LIST_SECONDS)

    def wanted(self, cards: Cards) -> bool:
        """Return whether the module is to be asked at all."""
        return self.serves is None or any(self.serves(atr) for _, atr, _ in cards)

    def fresh(self, cards: Cards) -> bool:
        """Return whether what it said last was about these very cards, or it need not be asked again."""
        if self._cards != cards:
            return False
        if self.trouble is not None:
            # A crash or a refusal may have been bad luck; what hangs, or cannot be loaded, stays so.
            return self._failures >= _FAILURES_MAX or isinstance(self.trouble, _STAYS)
        return self.process.running and self.process.generation == self.generation

    def ask(self, cards: Cards) -> None:
        """Ask for the slots; where that fails, what was known of these very cards stays."""
        if self._cards != cards:
            self._failures, self.slots = 0, ()
        self._cards = cards
        try:
            self.slots = self.process.ask(messages.Slots(), seconds=self._seconds).slots
        except ModuleError as error:
            self.trouble = error
            self._failures += 1
            log.warning("the PKCS#11 module %s cannot be used: %s", self.path, error)
            if not isinstance(error, ModuleCrashedError | ModuleTimeoutError):
                self.process.end()
        else:
            self.trouble, self._failures = None, 0
            self.generation = self.process.generation

    def retire(self) -> None:
        """End the process when nobody visits a card through it; what it said holds no longer."""
        self._cards = None
        self.process.retire()

    def end(self) -> None:
        """End the process; what it said holds no longer."""
        self._cards, self.slots = None, ()
        self.process.end()
