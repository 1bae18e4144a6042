"""A PIN that is asked once for all the files of one command."""

from __future__ import annotations

from agent.interaction import (
    CardShown,
    ConsentRequest,
    Interaction,
    NewPinRequest,
    PinRequest,
    UnblockRequest,
)
from hca_card.pin import Pin


class AskedOnce:
    """Asks `inner` for a PIN once, and gives copies of it for the same card until it ends.

    A context manager: leaving it wipes the PIN. What was kept is also wiped when the card is another one or
    has fewer tries left, so that it can never spend a second try.

    Args:
        inner: who is really asked.
    """

    def __init__(self, inner: Interaction) -> None:
        self._inner = inner
        self._pin: Pin | None = None
        self._card: tuple[str, str, int | None] | None = None

    @property
    def available(self) -> bool:
        """Whether the PIN is here already, or else as `inner` says."""
        return self._pin is not None or self._inner.available

    async def ask_consent(self, request: ConsentRequest) -> bool | None:
        """As `inner` says."""
        return await self._inner.ask_consent(request)

    async def ask_pin(self, request: PinRequest) -> Pin | None:
        """The PIN given before for this very card, else what `inner` says."""
        card = (request.card.reader, request.card.serial, request.status.tries_left)
        if self._pin is None or self._card != card:
            self.wipe()
            self._pin, self._card = await self._inner.ask_pin(request), card
        return None if self._pin is None else self._pin.copy()

    async def show_keypad(self, request: PinRequest) -> None:
        """As `inner` does."""
        await self._inner.show_keypad(request)

    async def ask_new_pin(self, request: NewPinRequest) -> tuple[Pin, Pin] | None:
        """As `inner` says; a PIN that is being replaced is asked for."""
        self.wipe()
        return await self._inner.ask_new_pin(request)

    async def ask_unblock(self, request: UnblockRequest) -> tuple[Pin, Pin] | None:
        """As `inner` says."""
        self.wipe()
        return await self._inner.ask_unblock(request)

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """As `inner` says."""
        return await self._inner.choose_card(origin, cards)

    async def notify(self, zh: str, en: str) -> None:
        """As `inner` does."""
        await self._inner.notify(zh, en)

    def wipe(self) -> None:
        """Forget the PIN."""
        if self._pin is not None:
            self._pin.wipe()
        self._pin = None

    def __enter__(self) -> AskedOnce:
        return self

    def __exit__(self, *_details: object) -> None:
        self.wipe()
