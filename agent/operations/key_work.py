"""What a card's private key does, with its PIN: logging in, signing, decrypting."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Final

from agent.errors import AgentError
from agent.interaction import DocumentShown, Verb
from agent.operations.desk import Desk, Wish
from agent.operations.views import Caller, SignResult
from agent.pins.kept import KeptPin
from hca_card.model import Card, CardKind, KeyUse
from signing.cipher import decrypt
from signing.cms import CmsForm, sign_cms
from signing.errors import HashUnsupportedError
from signing.guard import check_document
from signing.hashes import Hash
from signing.login import LoginToken, create_token
from signing.origin import check_nonce, check_origin
from signing.pkcs1 import sign_digest

# A thread's turn takes longer than hashing so much.
_HASHED_AT_ONCE: Final = 64 * 1024


class KeyWork:
    """The part of `Operations` that uses a private key."""

    _desk: Desk

    async def authenticate(
        self,
        caller: Caller,
        nonce: str,
        *,
        origin: str,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
    ) -> LoginToken:
        """A web-eid:1.0 token for `origin` and the portal's `nonce`.

        Args:
            caller: who asks; a page can only log in to itself.
            nonce: base64 of at least 32 bytes, 44 to 128 characters.
            origin: where the login is to hold; for a page from its Origin header.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any.
        """
        plain_http = self._desk.consents.plain_http_allowed(origin)
        with self._desk.checked(caller, Verb.LOGIN):
            if caller.origin is not None and caller.origin != origin:
                raise AgentError("origin.refused")
            check_origin(origin, allow_loopback_http=plain_http)
            check_nonce(nonce)

        def action(card: Card, certificate: bytes) -> LoginToken:
            return create_token(card, certificate, origin, nonce, allow_loopback_http=plain_http)

        wish = Wish(caller, Verb.LOGIN, KeyUse.SIGNATURE, reader, kinds=frozenset(kinds))
        return (await self._desk.with_pin(wish, action))[1]

    async def sign(
        self,
        caller: Caller,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        *,
        document: bytes | None = None,
        digest: bytes | None = None,
        use: KeyUse = KeyUse.SIGNATURE,
        reader: str | None = None,
        kept: KeptPin | None = None,
        allow_sha1: bool = False,
        folder: Path | None = None,
        cms: CmsForm | None = None,
        kinds: Collection[CardKind] = (),
    ) -> SignResult:
        """A PKCS#1 v1.5 signature over a document, or over a bare digest where that is allowed; or CMS.

        Args:
            caller: who asks.
            hash: the hash of the signature.
            document: what is signed; or else
            digest: its digest, for origins that are listed for it and the person's own commands.
            use: which key.
            reader: the reader's name; with `kept` its reader is the one.
            kept: the session's PIN; None asks the person.
            allow_sha1: the caller speaks for an old portal that can verify nothing better.
            folder: where this person's own document lies, resolved; a PIN may be kept for it in the keyring.
            cms: make a CMS signature of this form over the document.
            kinds: the kinds of card wanted; empty for any.

        Raises:
            AgentError: digest.refused; pin.*.
            signing.errors.SigningError: document.refused, hash.unsupported, signature.invalid.
            ValueError: not exactly one of document and digest, or CMS over a digest.
        """
        if cms is not None and document is None:
            raise ValueError("a CMS signature is made over a document")
        with self._desk.checked(caller, Verb.SIGN):
            if hash is Hash.SHA_1 and not allow_sha1:
                raise HashUnsupportedError
            settled = await self._digest(caller, hash, document, digest)

        def action(card: Card, certificate: bytes) -> bytes:
            if cms is None or document is None:
                return sign_digest(card, settled, hash, use, certificate=certificate, allow_sha1=allow_sha1)
            return sign_cms(
                card, document, hash, cms, use, certificate=certificate, digest=settled, allow_sha1=allow_sha1
            )

        shown = DocumentShown(None if document is None else len(document), hash.value, settled)
        wish = Wish(caller, Verb.SIGN, use, reader, kept, shown, folder, frozenset(kinds))
        seen, signature = await self._desk.with_pin(wish, action)
        return SignResult(signature, seen.certificate, hash, seen.serial)

    async def _digest(
        self, caller: Caller, algorithm: Hash, document: bytes | None, digest: bytes | None
    ) -> bytes:
        """What is to be signed, refused now rather than after the person was asked."""
        if document is not None and digest is None:
            check_document(document)
            if len(document) <= _HASHED_AT_ONCE:
                return algorithm.digest(document)
            return await asyncio.to_thread(algorithm.digest, document)
        if document is not None or digest is None:
            raise ValueError("either a document or a digest is signed")
        if not self._desk.consents.digest_allowed(caller.origin):
            raise AgentError("digest.refused")
        algorithm.digest_info(digest)
        return digest

    async def decrypt(
        self,
        caller: Caller,
        cipher: bytes,
        *,
        reader: str | None = None,
        kept: KeptPin | None = None,
        kinds: Collection[CardKind] = (),
    ) -> bytes:
        """The plain text of one RSA PKCS#1 v1.5 block.

        Raises:
            signing.errors.CipherInvalidError: it was not made for this card.
        """

        def action(card: Card, _certificate: bytes) -> bytes:
            return decrypt(card, cipher)

        wish = Wish(caller, Verb.DECRYPT, KeyUse.ENCRYPTION, reader, kept, kinds=frozenset(kinds))
        return (await self._desk.with_pin(wish, action))[1]
