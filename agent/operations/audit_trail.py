"""What becomes of each request, written to the audit log: once, masked, whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from agent.audit import OK, AuditLog, AuditRow, Repeats, now
from agent.errors import ErrorId, error_id
from agent.interaction import CardShown
from agent.masking import mask_card
from agent.operations.certificate_facts import CertificateFacts
from agent.operations.readers import is_virtual
from agent.operations.transaction_jobs import CardSnapshot
from agent.vocabulary import SessionEnd, Verb

_heard: Final[ContextVar[list[AuditRow] | None]] = ContextVar("heard", default=None)
_REPEAT_SECONDS: Final = 600.0
_NEW_ROWS_MAX: Final = 64


@dataclass(slots=True)
class AuditEntry:
    """One request under way.

    Attributes:
        serial: the card's number, once known.
        certificate: its certificate's number, once known.
        simulated: whether the card is a simulated one.
        unattended: whether the PIN came from the keyring.
        session: the number of the signing session; empty for none.
        quiet: success is not worth a row.
        noted: the card was looked at for its key or PIN, so each such request has its row.
        allowed: it may be done, so that no flood of what may not keeps its row out.
    """

    serial: str = ""
    certificate: str = ""
    simulated: bool = False
    unattended: bool = False
    session: str = ""
    quiet: bool = False
    noted: bool = False
    allowed: bool = False

    def note(self, snapshot: CardSnapshot, facts: CertificateFacts) -> None:
        """Take down which card it turned out to be."""
        self.serial, self.certificate = snapshot.serial, facts.certificate_serial
        self.simulated, self.noted = facts.simulated, True

    def reached(self, serial: str, reader: str) -> None:
        """Take down a card that was recognised and then failed; what is known already stands."""
        if not self.serial:
            self.serial, self.simulated = serial, is_virtual(reader)


class AuditTrail:
    """The audit log as operations use it.

    Everything that used a key or a PIN has its row. Reading and being refused can be repeated by a page as
    often as it likes, so equal rows of these are written once in ten minutes, and only so many different ones
    of what was not allowed.

    Attributes:
        under_way: how many have begun and not ended, those included that wait for a person.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._repeats = {
            False: Repeats(_REPEAT_SECONDS, _NEW_ROWS_MAX),
            True: Repeats(_REPEAT_SECONDS, sys.maxsize),
        }
        self._listeners: list[Callable[[Verb, str], None]] = []
        self.under_way = 0

    def listen(self, listener: Callable[[Verb, str], None]) -> None:
        """Call `listener` with the kind of work and its result, repeats that are not written included."""
        self._listeners.append(listener)

    @contextmanager
    def begin(self, origin: str | None, verb: Verb) -> Iterator[AuditEntry]:
        """Run the body and write its success or error as a row."""
        entry, result = AuditEntry(), OK
        self.under_way += 1
        try:
            yield entry
        except Exception as error:
            result = error_id(error)
            raise
        except BaseException:
            result = ErrorId.REQUEST_CANCELLED
            raise
        finally:
            self.under_way -= 1
            if not (entry.quiet and result == OK):
                for listener in self._listeners:
                    listener(verb, result)
                self._write(origin, verb, entry, result)

    def session_ended(self, origin: str | None, card: CardShown, number: str, why: SessionEnd) -> None:
        """Write down that a signing session ended, and why."""
        entry = AuditEntry(serial=card.serial, simulated=card.simulated, session=number, noted=True)
        self._write(origin, Verb.SESSION, entry, f"ended.{why}")

    def _write(self, origin: str | None, verb: Verb, entry: AuditEntry, result: str) -> None:
        card = mask_card(entry.serial)
        repeatable = verb is Verb.READ or not entry.noted
        if repeatable and self._repeats[entry.allowed].is_repeat(origin, verb, card, result):
            return
        # On the event loop on purpose: a short append, and an operation cancelled here still leaves its row.
        row = AuditRow(
            time=now(),
            origin=origin,
            verb=verb,
            card=card,
            certificate=entry.certificate,
            result=result,
            simulated=entry.simulated,
            unattended=entry.unattended,
            session=entry.session,
        )
        heard = _heard.get()
        if heard is not None:
            heard.append(row)
        self._audit.record(row)


@contextmanager
def rows_heard() -> Iterator[list[AuditRow]]:
    """Run the body; what it and the tasks that it starts have written down comes into the list.

    Whoever listens around it hears of it afterwards.
    """
    rows: list[AuditRow] = []
    outer = _heard.get()
    token = _heard.set(rows)
    try:
        yield rows
    finally:
        _heard.reset(token)
        if outer is not None:
            outer.extend(rows)
