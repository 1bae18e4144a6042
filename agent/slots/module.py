"""A reader whose card may be served by a PKCS#11 module; an `agent.slots.CardSlot`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from agent.pkcs11_modules import Modules, ServedReader
from agent.profiles import Profiles
from agent.slots import CardSlot, Visit
from agent.slots.pcsc import PcscSlot
from hca_card.errors import ObjectMissingError
from hca_card.model import Card, Keypad
from hca_card.pkcs11.errors import ModuleTimeoutError
from hca_card.pkcs11.keypad import ModuleKeypad
from hca_card.pkcs11.session import TokenSession
from pcsc.connection import Connection
from pcsc.context import Context, ReaderState
from pcsc.errors import NoCardError, PcscError, ReaderUnavailableError, ServiceUnavailableError
from pcsc.service import Service
from signing.errors import SigningError

log = logging.getLogger(__name__)


def slot_of(modules: Modules, service: Service, profiles: Profiles | None, reader: str) -> CardSlot:
    """How the card in the reader of that name is reached."""
    other = PcscSlot(service, reader, profiles)
    return ModuleSlot(modules, service, reader, other) if modules.any else other


class ModuleVisit:
    """One session with the token in a module's slot; an `agent.slots.Visit`."""

    def __init__(self, serving: ServedReader, session: TokenSession) -> None:
        self.reader = serving.reader
        self.atr, self.event_counter = serving.card or (b"", 0)
        self._session = session

    @property
    def pin_pad(self) -> Keypad | None:
        """The reader's keypad, where the token takes its PIN from nowhere else."""
        return ModuleKeypad() if self._session.keypad else None

    def card(self) -> Card:
        """Return the card, read anew."""
        # Loaded late: the ASN.1 reader is not needed by whoever has no such card.
        from hca_card.pkcs11.card import ModuleCard

        return ModuleCard(self._session)


def _session(serving: ServedReader) -> TokenSession:
    """Begin a session with the token in the slot."""
    session = TokenSession(serving.module, serving.slot.id, serving.generation)
    session.begin()
    return session


class ModuleSlot:
    """One reader, visited through the module that serves the card in it, else in the way of `other`.

    Args:
        modules: who serves what.
        service: PC/SC, to see which card is there.
        reader: the reader's name.
        other: the reader as our own drivers reach it.
    """

    def __init__(self, modules: Modules, service: Service, reader: str, other: CardSlot) -> None:
        self._modules = modules
        self._service = service
        self._reader = reader
        self._other = other
        self._context: Context | None = None

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Visit the card; a PIN that was sent through a module holds no longer afterwards."""
        serving = self._serving() if self._modules.any else None
        if serving is None:
            with self._other.visit() as visit:
                yield visit
            return
        serving, session = self._begin(serving)
        try:
            with session:
                yield ModuleVisit(serving, session)
        except (SigningError, ObjectMissingError):
            if session.logged_in:
                # Its certificates and keys do not fit each other: what it keeps of the card in memory may be
                # older than the card, which was renewed in its reader. The next visit has it read anew.
                serving.module.end(serving.generation)
            raise
        finally:
            if session.pin_sent and serving.card is not None:
                self._reset(serving)

    def forget(self) -> None:
        """Close what is kept open between visits."""
        self._other.forget()
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _begin(self, serving: ServedReader) -> tuple[ServedReader, TokenSession]:
        try:
            return serving, _session(serving)
        except ModuleTimeoutError:
            raise
        except PcscError:
            # The module may not bear that the card was reset, or the token was removed. Nothing has been done
            # yet, so it may begin anew, once.
            serving.module.end(serving.generation)
            again = self._serving()
            if again is None:
                raise
            return again, _session(again)

    def _serving(self) -> ServedReader | None:
        sure, serving = self._modules.known_for(self._reader, self._state())
        if sure:
            return serving
        return self._modules.look(self._states()).get(self._reader)

    def _state(self) -> ReaderState | None:
        try:
            return self._pcsc().states([self._reader])[0]
        except PcscError:
            self._drop()
            return None

    def _states(self) -> list[ReaderState]:
        try:
            return self._pcsc().look()
        except ServiceUnavailableError:
            self._drop()
            return []

    def _reset(self, serving: ServedReader) -> None:
        """Reset the card: a module's C_Logout need not reach it, and other programs could use the PIN.

        No command is sent. Where the card cannot be reset it was removed, or its module is ended, with
        which the service resets what that one had open.
        """
        try:
            with Connection(self._pcsc(), self._reader) as connection:
                connection.reset()
        except PcscError as error:
            self._drop()
            if not isinstance(error, NoCardError | ReaderUnavailableError):
                log.warning("the card in %s could not be reset: %s", self._reader, error)
                serving.module.end(serving.generation)

    def _pcsc(self) -> Context:
        if self._context is None:
            self._context = self._service.context()
        return self._context

    def _drop(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.close()
