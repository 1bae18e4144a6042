"""A document on its way to a signature, in whatever format: prepared, signed by the card, finished.

signing = DocumentSigning(form, document, Hash.SHA_256)
await signing.ahead(snapshot)              # a thread; beside the question for the PIN
signed = signing.work(card, certificate)   # the reader's thread, in the PIN's transaction: one digest
result = await signed.finish()             # a thread, when the card is free again
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from agent.operations.transaction_jobs import CardSnapshot, issuers_on
from hca_card.model import Card, KeyUse
from signing.certificate import issuers_among
from signing.errors import EvidenceError
from signing.formats import Evidence, Form, Ready, Signer
from signing.guard import check_document
from signing.hashes import Hash
from signing.sign import sign_digest

_HASHED_AT_ONCE: Final = 64 * 1024


async def digest_of(document: bytes, algorithm: Hash) -> bytes:
    """Return the document's digest, made in a thread where that takes longer than the thread's turn."""
    if len(document) <= _HASHED_AT_ONCE:
        return algorithm.digest(document)
    return await asyncio.to_thread(algorithm.digest, document)


@dataclass(frozen=True, slots=True)
class SignedByCard:
    """What the card made, and what is still to be done with it."""

    ready: Ready
    value: bytes

    async def finish(self) -> bytes:
        """Return the signed document at level B-B."""
        return await asyncio.to_thread(self.ready.finish, self.value)


class NearEvidence:
    """Evidence of somebody else's, who need not have the issuers that are at hand.

    Args:
        evidence: whom to ask.
        signed: a document, whose certificates may stand between, and are roots for nobody.
        card: the issuers on the person's card, which they trust with their PIN.
    """

    def __init__(self, evidence: Evidence, signed: bytes, card: tuple[bytes, ...] = ()) -> None:
        self._signed = signed
        self._card = card
        self._inside: tuple[bytes, ...] | None = None
        self._evidence = evidence
        self.timestamp = evidence.timestamp
        self.revocation = evidence.revocation

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the issuers up to a root that is trusted, or on the card. Raise `EvidenceError`."""
        try:
            return await self._evidence.chain(certificate)
        except EvidenceError:
            near = await asyncio.to_thread(self._near, certificate)
            if near and near[-1] in self._card:
                return near
            if not near:
                raise
        return (*near, *await self._evidence.chain(near[-1]))

    def _near(self, certificate: bytes) -> tuple[bytes, ...]:
        from signing.verification.reading import read

        if self._inside is None:
            signatures = read(self._signed).signatures
            self._inside = tuple(each for found in signatures for each in found.certificates)
        return issuers_among(certificate, (*self._card, *self._inside))


class DocumentSigning:
    """One document, to be signed once.

    Args:
        form: the format with its options.
        document: what is signed.
        algorithm: the hash.
        use: which of the card's keys.
    """

    def __init__(self, form: Form, document: bytes, algorithm: Hash, use: KeyUse = KeyUse.SIGNATURE) -> None:
        self._form = form
        self._document = document
        self._algorithm = algorithm
        self._use = use
        self._prepared: tuple[bytes, Ready] | None = None

    async def ahead(self, snapshot: CardSnapshot) -> None:
        """Prepare the document for the card that was looked at.

        Raises:
            signing.errors.SigningError: document.refused, document.unusable.
        """
        await self.ahead_for(snapshot.certificate, snapshot.chain)

    async def ahead_for(self, certificate: bytes, chain: tuple[bytes, ...]) -> None:
        """Do the same for the card with that certificate, DER, and its issuers."""
        await asyncio.to_thread(self._prepare, Signer(certificate, chain))

    def work(self, card: Card, certificate: bytes) -> SignedByCard:
        """Have the card sign; where it has another certificate than was prepared for, prepare anew."""
        prepared = self._prepared
        if prepared is None or prepared[0] != certificate:
            ready = self._prepare(Signer(certificate, issuers_on(card, certificate)))
        else:
            ready = prepared[1]
        value = sign_digest(card, ready.digest, ready.hash, self._use, certificate=certificate)
        return SignedByCard(ready, value)

    def _prepare(self, signer: Signer) -> Ready:
        ready = self._form.prepare(self._document, signer, self._algorithm, datetime.now(UTC))
        # Whatever the format, and whatever the document made of it: this very input is what the card signs.
        check_document(ready.signed)
        self._prepared = signer.certificate, ready
        return ready
