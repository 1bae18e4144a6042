"""The person at the demo's keyboard: types PINs by script, allows the portal, refuses strangers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from agent.interaction import CardShown, ConsentRequest, NewPinRequest, PinRequest, UnblockRequest
from hca_card.model import CardKind
from hca_card.pin import Pin

PIN, WRONG_PIN = "123456", "987654"


class Person:
    """An `Interaction` for the drive.

    Attributes:
        trusts: the one origin that this person allows.
        pins: what is typed next; `PIN` when there is nothing.
        chooses: which kind of card is meant where the agent asks; None says nothing.
        while_asked: done once, while the PIN is being asked; pulling the card, for example.
        asked: the PIN questions so far.
        refused: the origins this person said no to.
    """

    def __init__(self) -> None:
        self.trusts = ""
        self.pins: deque[str] = deque()
        self.chooses: CardKind | None = None
        self.while_asked: Callable[[], None] | None = None
        self.asked: list[PinRequest] = []
        self.refused: list[str] = []

    @property
    def available(self) -> bool:
        """Always there."""
        return True

    async def ask_consent(self, request: ConsentRequest) -> bool | None:
        """Yes to the portal, no to everybody else."""
        if request.origin == self.trusts:
            return True
        self.refused.append(request.origin)
        return False

    async def ask_pin(self, request: PinRequest) -> Pin | None:
        """The next PIN of the script."""
        self.asked.append(request)
        act, self.while_asked = self.while_asked, None
        if act is not None:
            act()
        return Pin(self.pins.popleft() if self.pins else PIN)

    async def show_keypad(self, request: PinRequest) -> None:
        """The demo's readers have no keypad."""

    async def ask_new_pin(self, request: NewPinRequest) -> tuple[Pin, Pin] | None:
        """The demo changes no PIN."""
        return None

    async def ask_unblock(self, request: UnblockRequest) -> tuple[Pin, Pin] | None:
        """The demo locks no card."""
        return None

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """The card of the kind that is meant."""
        return next((card for card in cards if card.kind is self.chooses), None)

    async def notify(self, zh: str, en: str) -> None:
        """Nothing in the drive waits for this."""
