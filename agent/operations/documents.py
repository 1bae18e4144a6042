"""A document on its way to a signature, in whatever format: prepared, signed by the card, finished.

signing = DocumentSigning(form, document, Hash.SHA_256)
await signing.ahead(snapshot)              # a thread; beside the question for the PIN
signed = signing.work(card, certificate)   # the reader's thread, in the PIN's transaction: one digest
result = await signed.finish()             # a thread, when the card is free again
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.operations.transaction_jobs import CardSnapshot, issuers_on
from hca_card.model import Card, KeyUse
from signing.certificate import is_self_issued, issuers_among
from signing.formats import Evidence, Form, Ready, Signer
from signing.guard import check_document
from signing.hashes import Hash
from signing.sign import sign_digest


@dataclass(frozen=True, slots=True)
class SignedByCard:
    """What the card made, and what is still to be done with it."""

    ready: Ready
    value: bytes

    async def finish(self) -> bytes:
        """Return the signed document at level B-B."""
        return await asyncio.to_thread(self.ready.finish, self.value)


class NearEvidence:
    """Evidence of somebody else's, with issuers that are at hand asked for nowhere.

    Args:
        evidence: whom to ask for everything else.
        issuers: certificates that a card or a document has; whoever verifies decides what they are worth.
    """

    def __init__(self, evidence: Evidence, issuers: Iterable[bytes]) -> None:
        self._issuers = tuple(issuers)
        self.timestamp = evidence.timestamp
        self.revocation = evidence.revocation
        self._chain = evidence.chain

    @classmethod
    def of(cls, evidence: Evidence, signed: bytes, issuers: tuple[bytes, ...] = ()) -> NearEvidence:
        """Return the same with the certificates in a signed document too."""
        from signing.verification.reading import read

        inside = (each for found in read(signed).signatures for each in found.certificates)
        return cls(evidence, (*issuers, *inside))

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the issuers at hand where they lead to a root, else what others say."""
        near = await asyncio.to_thread(issuers_among, certificate, self._issuers)
        return near if near and is_self_issued(near[-1]) else await self._chain(certificate)


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
        await asyncio.to_thread(self._prepare, Signer(snapshot.certificate, snapshot.chain))

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
