"""What needs no PIN: readers, cards, certificates, tries left, and what public keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Final, TypeVar

from agent.interaction import Verb
from agent.operations import visits
from agent.operations.desk import Desk
from agent.operations.needs import Need, need
from agent.operations.views import Caller, CardView, ReadCertificate, ReaderView, Selected
from agent.places import Visit
from hca_card.errors import UnsupportedError
from hca_card.model import Card, CardCertificate, CardKind, KeyUse, PinStatus
from signing.cipher import encrypt
from signing.hashes import Hash
from signing.pkcs1 import CERTIFICATE_INDEX
from signing.verify import verify

T = TypeVar("T")

_KEY_OF: Final = {index: use for use, index in CERTIFICATE_INDEX.items()}


class Reading:
    """The part of `Operations` that needs no PIN."""

    _desk: Desk

    async def readers(self, caller: Caller) -> tuple[ReaderView, ...]:
        """All readers; no command is sent to any card."""
        async with self._desk.asked(caller, Verb.READ) as trail:
            trail.quiet = True
            return await self._desk.readers.look()

    async def card(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> CardView:
        """The card's own data; works for terminated and unopened cards too."""
        async with self._desk.asked(caller, Verb.READ) as trail:
            read = await self._desk.visit(caller, reader, visits.read, need(kinds))
            facts = await self._desk.note(trail, read.seen)
            return CardView(read.seen.reader, read.metadata, facts.simulated, read.seen.pin)

    async def certificates(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> tuple[CardCertificate, ...]:
        """All certificates on the card."""
        async with self._desk.asked(caller, Verb.READ) as trail:
            wanted = Need(frozenset(kinds), certificate=True)
            held = await self._desk.visit(caller, reader, visits.certificates, wanted)
            await self._desk.note_held(trail, held)
            return held.certificates

    async def certificate(
        self, caller: Caller, index: int, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> ReadCertificate:
        """One certificate, by its HCA number 0 to 4, and the number of the card it was read from."""
        async with self._desk.asked(caller, Verb.READ) as trail:
            wanted = Need(frozenset(kinds), _KEY_OF.get(index), certificate=True)
            job = partial(visits.certificates, index=index)
            held = await self._desk.visit(caller, reader, job, wanted)
            await self._desk.note_held(trail, held)
            [found] = held.certificates
            return ReadCertificate(held.serial, found.index, found.use, found.der)

    async def pin_status(
        self, caller: Caller, reader: str | None = None, *, kinds: Collection[CardKind] = ()
    ) -> PinStatus:
        """Tries left and lengths; no try is spent."""
        async with self._desk.asked(caller, Verb.READ) as trail:
            seen = await self._desk.visit(
                caller, reader, visits.look_for_pin, Need(frozenset(kinds), pin=True)
            )
            await self._desk.note(trail, seen)
            if seen.pin is None:
                raise UnsupportedError
            return seen.pin

    async def choose(
        self, caller: Caller, kinds: Collection[CardKind] | None = None, reader: str | None = None
    ) -> Selected:
        """The card that a session will work with, of one of `kinds` when given.

        Raises:
            AgentError: card.wrong_kind.
        """
        async with self._desk.asked(caller, Verb.READ) as trail:
            seen = await self._desk.visit(caller, reader, visits.look, need(kinds))
            await self._desk.note(trail, seen)
            return Selected(seen.reader, seen.serial, seen.event_counter, seen.kind, seen.atr)

    async def examine(
        self,
        caller: Caller,
        job: Callable[[Card], T],
        *,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> visits.Examined[T]:
        """One thing about the card that needs no PIN, read on its own.

        Args:
            caller: who asks.
            job: blocking, run in the reader's thread with the card recognised; must not keep the card.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any.
        """

        def look(visit: Visit) -> visits.Examined[T]:
            return visits.examine(visit, job)

        async with self._desk.asked(caller, Verb.READ) as trail:
            found = await self._desk.visit(caller, reader, look, need(kinds))
            trail.serial = found.serial
            return found

    async def encrypt(
        self,
        caller: Caller,
        data: bytes,
        *,
        certificate: bytes | None = None,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """`data` encrypted to `certificate`, or to the card's own encryption certificate when None.

        Raises:
            signing.errors.DataTooLongError: it does not fit one block.
        """
        if certificate is None:
            index = CERTIFICATE_INDEX[KeyUse.ENCRYPTION]
            certificate = (await self.certificate(caller, index, reader, kinds=kinds)).der
        return await asyncio.to_thread(encrypt, certificate, data)

    async def verify(self, document: bytes, signature: bytes, certificate: bytes, hash: Hash) -> None:  # noqa: A002
        """Return if the signature is the certificate's over the document; needs neither card nor consent.

        Raises:
            signing.errors.SigningError: signature.invalid, certificate.malformed.
        """
        await asyncio.to_thread(verify, certificate, document, signature, hash)
