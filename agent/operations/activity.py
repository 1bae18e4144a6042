"""What is being done with cards, and what earlier work found of those still in their readers.

The tray shows it; nothing here ever sends a command to a card.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.errors import facts
from agent.interaction import CertificateEnd
from agent.operations.certificate_facts import CertificateFacts
from agent.operations.transaction_jobs import CardSnapshot
from hca_card.model import CardKind
from pcsc.context import ReaderState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A card as it was last read.

    Attributes:
        tries_left: of its PIN when last read; None once work may have changed it.
        asked: when the tries were read, aware UTC; None with `tries_left`.
        certificate: number of the certificate looked at, hexadecimal; empty without one.
        ends: when that ends, aware UTC; None where it is not known.
        revoked: its authority said so.
    """

    reader: str
    event_counter: int
    kind: CardKind
    serial: str
    simulated: bool
    tries_left: int | None
    asked: datetime | None
    certificate: str = ""
    ends: datetime | None = None
    revoked: bool = False


class Activity:
    """Work under way and cards known; every method is called on the event loop."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._cards: dict[str, KnownCard] = {}
        self._listeners: list[Callable[[], None]] = []
        self._service_running: bool | None = None
        self._revoked: set[str] = set()

    @property
    def working(self) -> bool:
        """Whether some card is being worked with."""
        return self._under_way.total() > 0

    @property
    def cards(self) -> tuple[KnownCard, ...]:
        """The cards known, in the order of their readers' names."""
        return tuple(self._cards[name] for name in sorted(self._cards))

    @property
    def service_running(self) -> bool | None:
        """Whether the smart card service answers; None until it was first looked for."""
        return self._service_running

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` at each change; what is returned ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def begin(self, reader: str) -> None:
        """Count work with the card in `reader`."""
        self._under_way[reader] += 1
        if self._listeners:
            self._tell()

    def end(self, reader: str, error: Exception | None = None) -> None:
        """Count the end of such work; the tries known before it hold no longer, unless `error` says them."""
        self._under_way[reader] -= 1
        left = None if error is None else facts(error).get("tries_left")
        self._set_tries(reader, left if isinstance(left, int) else None)
        self._tell()

    def ending(self) -> CertificateEnd | None:
        """Return which certificate of a known card ends first, where anything is to be said of that."""
        ends = [CertificateEnd(card.ends, card.kind) for card in self._cards.values() if card.ends]
        first = min(ends, key=lambda end: end.ends, default=None)
        return first if first is not None and first.expiry else None

    def card_read(self, snapshot: CardSnapshot, found: CertificateFacts) -> None:
        """Take down a card that was read just now, and what its certificate says."""
        left = snapshot.pin.tries_left if snapshot.pin else None
        self._cards[snapshot.reader] = KnownCard(
            reader=snapshot.reader,
            event_counter=snapshot.event_counter,
            kind=snapshot.kind,
            serial=snapshot.serial,
            simulated=found.simulated,
            tries_left=left,
            asked=None if left is None else datetime.now(UTC),
            certificate=found.certificate_serial,
            ends=found.ends,
            revoked=found.certificate_serial in self._revoked,
        )
        self._tell()

    def certificate_revoked(self, number: str, revoked: bool) -> None:
        """Take down what the authority said of the certificate of that number."""
        (self._revoked.add if revoked else self._revoked.discard)(number)
        for reader, card in self._cards.items():
            if card.certificate == number:
                self._cards[reader] = replace(card, revoked=revoked)
        self._tell()

    def readers_changed(self, states: Sequence[ReaderState]) -> None:
        """Forget the cards that are not the very same after a change of readers and cards."""
        there = {state.name: state.event_counter for state in states if state.present}
        self._cards = {
            name: card for name, card in self._cards.items() if there.get(name) == card.event_counter
        }

    def service_changed(self, running: bool) -> None:
        """Take down that the smart card service was found, or found missing."""
        if running is not self._service_running:
            self._service_running = running
            self._tell()

    def _set_tries(self, reader: str, left: int | None) -> None:
        card = self._cards.get(reader)
        if card is None or (left is None and card.tries_left is None):
            return
        asked = None if left is None else datetime.now(UTC)
        self._cards[reader] = replace(card, tries_left=left, asked=asked)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                log.exception("a listener failed on what is being done")
