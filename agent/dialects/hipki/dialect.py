"""The HiPKI dialect: a form body in, a JSON body out, and operations in between."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from agent.dialects.agreed import AgreedSessions
from agent.dialects.hipki import info, messages
from agent.dialects.hipki.bitmap import bitmap
from agent.dialects.hipki.messages import (
    DecryptAnswer,
    HipkiAnswer,
    ImageAnswer,
    InfoAnswer,
    PagePackage,
    SignAnswer,
)
from agent.errors import AgentError, ErrorId, describe, error_id, facts, row_for, where
from agent.errors.numbers.hipki import RetCode, hipki_numbers
from agent.operations import Caller, Operations
from agent.vocabulary import Verb
from signing.cms.build import CmsForm
from signing.cms.envelope import Envelope
from signing.errors import HashUnsupportedError
from signing.hashes import Hash

if TYPE_CHECKING:
    from agent.config import Config
    from agent.operations import SignResult
    from agent.pins.kept import KeptPin

_log = logging.getLogger(__name__)

_SESSION: Final = "hipki"
"""Every popup is a session of its own; a card chosen among several is remembered beyond it."""

_HASHES: Final = {
    "SHA1": Hash.SHA_1,
    "SHA256": Hash.SHA_256,
    "SHA384": Hash.SHA_384,
    "SHA512": Hash.SHA_512,
}


class HipkiVerb(StrEnum):
    """What a page can ask for, as its answers name it."""

    INFO = "pkcs11info"
    SIGN = "sign"
    DECRYPT = "decrypt"


_FUNCTIONS: Final = {
    HipkiVerb.SIGN: frozenset(("", "MakeSignature", "sign")),
    HipkiVerb.DECRYPT: frozenset(("", "Decrypt", "DecryptData", "decrypt")),
}
"""What `func` may be where a page asks for that work; reading looks at none."""

_UNREAD: Final[Mapping[int, ErrorId]] = {
    HTTPStatus.TOO_MANY_REQUESTS: ErrorId.REQUEST_RATE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorId.REQUEST_TOO_LARGE,
}


class HipkiDialect:
    """Answers pages of citizen and business cards.

    Nothing is kept between two requests, unless pages' PINs are not taken.

    Args:
        operations: do the work.
        config: its `hipki` section has the version that every answer tells.
    """

    def __init__(self, operations: Operations, config: Config) -> None:
        self._operations = operations
        self._agreed = None if config.sessions.page_pins else AgreedSessions(operations)
        self.version = config.hipki.server_version

    async def answer(
        self, verb: HipkiVerb, origin: str | None, body: bytes, *, certificates: bool = False
    ) -> bytes:
        """Return the answer's JSON; whatever is wrong is said in it, never raised.

        Args:
            verb: what the page asks for.
            origin: the portal's; None for this person's own program.
            body: the form body.
            certificates: whether the answer to INFO has certificates and keys.
        """
        try:
            package = messages.read(body)
            try:
                caller = Caller(origin, _SESSION)
                return msgspec.json.encode(await self._run(verb, caller, package, certificates))
            finally:
                package.wipe()
        except Exception as error:
            return self._failure(verb, error)

    async def image(self, origin: str) -> bytes | None:
        """Return the image that tells a page which cards there are, None where it may not read them."""
        caller = Caller(origin, _SESSION)
        try:
            slots = await info.slots(self._operations, caller, certificates=False, reader=None)
            answer = ImageAnswer(**self._good(HipkiVerb.INFO), slots=slots, card_sn=info.first_card(slots))
        except Exception as error:
            if not self._operations.allowed(caller, Verb.READ):
                return None
            return bitmap(self._failure(HipkiVerb.INFO, error))
        return bitmap(msgspec.json.encode(answer))

    def refusal(self, verb: HipkiVerb) -> bytes:
        """Return the answer to a site that may not use this program."""
        return self._failure(verb, AgentError(ErrorId.ORIGIN_REFUSED))

    def excuse(self, verb: HipkiVerb, status: int) -> bytes:
        """Return the answer to a request that is not even read."""
        return self._failure(verb, AgentError(_UNREAD.get(status, ErrorId.REQUEST_MALFORMED)))

    async def _run(
        self, verb: HipkiVerb, caller: Caller, package: PagePackage, certificates: bool
    ) -> HipkiAnswer:
        good = self._good(verb)
        if verb is HipkiVerb.INFO:
            slots = await info.slots(
                self._operations, caller, certificates=certificates, reader=package.reader
            )
            return InfoAnswer(**good, slots=slots)
        if package.func not in _FUNCTIONS[verb]:
            raise AgentError(ErrorId.REQUEST_UNKNOWN_METHOD)
        # What is wrong with a request is found before a PIN is used.
        if verb is HipkiVerb.DECRYPT:
            cipher = package.encrypted
            async with self._kept_pin(caller, package) as kept:
                plain = await self._decrypted(caller, cipher, package.reader, kept)
            return DecryptAnswer(**good, plain=package.written(plain), plaintext=plain)
        result = await self._signed(caller, package, _signature_arguments(package))
        return SignAnswer(
            **good, signature=result.signature, certb64=result.certificate, card_sn=result.serial
        )

    async def _signed(
        self, caller: Caller, package: PagePackage, arguments: _SignatureArguments
    ) -> SignResult:
        # A bare signature is RSA's to these pages; CMS says itself what it is.
        rsa, document = arguments["cms"] is None, arguments["document"]
        if self._agreed is not None and document is not None:
            session = await self._agreed.get(caller, package.reader)
            return await session.sign_value(
                document, hash=arguments["hash"], cms=arguments["cms"], allow_sha1=True, rsa=rsa
            )
        async with self._kept_pin(caller, package) as kept:
            return await self._operations.sign(
                caller, **arguments, reader=package.reader, kept=kept, allow_sha1=True, rsa=rsa
            )

    async def _decrypted(
        self, caller: Caller, cipher: bytes | Envelope, reader: str | None, kept: KeptPin | None
    ) -> bytes:
        if not isinstance(cipher, Envelope):
            return await self._operations.decrypt(caller, cipher, reader=reader, kept=kept)
        plain = io.BytesIO()
        await self._operations.open_envelope(caller, cipher, plain, reader=reader, kept=kept)
        return plain.getvalue()

    @asynccontextmanager
    async def _kept_pin(self, caller: Caller, package: PagePackage) -> AsyncIterator[KeptPin | None]:
        """Run the body with the page's PIN, verified once and then forgotten; None has the person asked."""
        if package.typed is None or self._agreed is not None:
            yield None
            return
        kept = await self._operations.keep_pin(caller, package.typed, reader=package.reader)
        try:
            yield kept
        finally:
            kept.wipe()

    def _good(self, verb: HipkiVerb) -> dict[str, Any]:
        """Return the members that every answer has, where all is well."""
        return {
            "func": verb.value,
            "ret_code": RetCode.OK,
            "last_error": 0,
            "message": "",
            "server_version": self.version,
        }

    def _failure(self, verb: HipkiVerb, error: Exception) -> bytes:
        if error_id(error) == ErrorId.INTERNAL:
            _log.error("%s failed: %s", verb, where(error))
        text, left = describe(error), facts(error).get("tries_left")
        numbers = hipki_numbers(row_for(error), left if isinstance(left, int) else None)
        members = {
            "ret_code": numbers.ret_code,
            "last_error": numbers.last_error,
            "message": f"{text.zh}{text.next_zh} {text.en} {text.next_en}",
        }
        return msgspec.json.encode(HipkiAnswer(**{**self._good(verb), **members}))


class _SignatureArguments(TypedDict):
    hash: Hash
    document: bytes | None
    digest: bytes | None
    cms: CmsForm | None


def _signature_arguments(package: PagePackage) -> _SignatureArguments:
    """Return what is to be signed: a document, for PKCS7 in that form, or for RAW the digest in a DigestInfo.

    Raises:
        AgentError: request.parameters.
        signing.errors.HashUnsupportedError: if there is no such hash.
    """
    if package.signature_type == "RAW":
        found = Hash.of_digest_info(messages.decoded(package.tbs))
        if found is None:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        algorithm, digest = found
        return {"hash": algorithm, "document": None, "digest": digest, "cms": None}
    named = _HASHES.get(package.hash_algorithm)
    if named is None:
        raise HashUnsupportedError
    if package.signature_type not in ("PKCS1", "PKCS7"):
        raise AgentError(ErrorId.REQUEST_PARAMETERS)
    document, cms = package.document, None
    if package.signature_type == "PKCS7":
        cms = CmsForm(card_number=package.wants_card_number, nonce=package.nonce_octets)
    return {"hash": named, "document": document, "digest": None, "cms": cms}
