"""A reader of the smart card service: shared mode, one transaction for each visit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent.profiles import Profiles
from hca_card.model import Card, Keypad
from hca_card.recognise import recognise
from pcsc.connection import Connection, Transaction
from pcsc.context import Context
from pcsc.errors import PcscError, ServiceUnavailableError
from pcsc.service import Service


class PcscVisit:
    """One transaction; an `agent.slots.Visit`.

    Attributes:
        transaction: with the card.
    """

    def __init__(self, transaction: Transaction, profiles: Profiles | None) -> None:
        connection = transaction.connection
        self.transaction = transaction
        self.reader = connection.reader
        self.atr = connection.atr
        self.event_counter = connection.start_counter
        self._profiles = profiles

    @property
    def pin_pad(self) -> Keypad | None:
        """The reader's own keypad, or None."""
        return self.transaction.pin_pad

    def card(self) -> Card:
        """Return the card, recognised anew."""
        profiles = None if self._profiles is None else self._profiles()
        return recognise(self.transaction, self.atr, profiles)


class PcscSlot:
    """One reader; an `agent.slots.CardSlot`.

    Args:
        service: PC/SC; the thread makes a context of its own, which stays open between visits.
        reader: the reader's name.
        profiles: the card types known; None is the reference profile alone.
    """

    def __init__(self, service: Service, reader: str, profiles: Profiles | None = None) -> None:
        self._service = service
        self._reader = reader
        self._profiles = profiles
        self._context: Context | None = None

    @contextmanager
    def visit(self) -> Iterator[PcscVisit]:
        """Connect and begin a transaction; the card is let go of still powered."""
        try:
            with self._connect() as connection, connection.transaction() as transaction:
                yield PcscVisit(transaction, self._profiles)
        except PcscError:
            self.forget()
            raise

    def forget(self) -> None:
        """Close the context."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _connect(self) -> Connection:
        if self._context is not None:
            try:
                return Connection(self._context, self._reader)
            except ServiceUnavailableError:
                # The service was restarted since our last visit, and nothing has been done yet: begin anew.
                self.forget()
        self._context = self._service.context()
        return Connection(self._context, self._reader)
