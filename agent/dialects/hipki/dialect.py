"""The HiPKI dialect: a form body in, a JSON body out, and operations in between."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from agent.dialects.hipki import info, messages
from agent.dialects.hipki.messages import DecryptAnswer, HipkiAnswer, InfoAnswer, PagePackage, SignAnswer
from agent.errors import AgentError, ErrorId, describe, error_id, facts, row_for, where
from agent.errors.numbers.hipki import RetCode, hipki_numbers
from agent.operations import Caller, Operations
from signing.cms import CmsForm
from signing.errors import HashUnsupportedError
from signing.hashes import Hash

if TYPE_CHECKING:
    from agent.config import Config
    from agent.pins.kept import KeptPin

A = TypeVar("A", bound=HipkiAnswer)

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
    """What a page can ask for, as its answers call it."""

    INFO = "pkcs11info"
    SIGN = "sign"
    DECRYPT = "decrypt"


_FUNCTIONS: Final = {
    HipkiVerb.SIGN: frozenset(("", "MakeSignature", "sign")),
    HipkiVerb.DECRYPT: frozenset(("", "Decrypt", "decrypt")),
}
"""What `func` may be where a page asks for that work; reading looks at none."""

_UNREAD: Final[Mapping[int, ErrorId]] = {
    HTTPStatus.TOO_MANY_REQUESTS: ErrorId.REQUEST_RATE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorId.REQUEST_TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be signed: a document, for PKCS7 in that form, or for RAW a digest."""

    hash: Hash
    document: bytes | None = None
    digest: bytes | None = None
    cms: CmsForm | None = None


class HipkiDialect:
    """Answers pages of citizen and business cards; nothing is kept between two requests.

    Args:
        operations: what does the work.
        config: its `hipki` section has the version that every answer tells.
    """

    def __init__(self, operations: Operations, config: Config) -> None:
        self._operations = operations
        self._version = config.hipki.server_version

    async def info(self, origin: str, body: bytes, *, certificates: bool) -> bytes:
        """All readers with their cards.

        Args:
            origin: the portal's.
            body: the form body; only `slotDescription` is of interest.
            certificates: whether certificates and keys are wanted too.
        """

        async def work(package: PagePackage) -> InfoAnswer:
            found = await info.slots(
                self._operations, _caller(origin), certificates=certificates, reader=package.reader
            )
            return InfoAnswer(**self._good(HipkiVerb.INFO), slots=found)

        return await self._answer(HipkiVerb.INFO, body, work)

    async def sign(self, origin: str, body: bytes) -> bytes:
        """A signature over `tbs`."""

        async def work(package: PagePackage) -> SignAnswer:
            wanted = _wanted(package)
            return await self._with_pin(
                origin, package, lambda kept: self._sign(origin, package, wanted, kept)
            )

        return await self._answer(HipkiVerb.SIGN, body, work)

    async def decrypt(self, origin: str, body: bytes) -> bytes:
        """The plain text of `cipher`."""

        async def work(package: PagePackage) -> DecryptAnswer:
            block = package.block
            return await self._with_pin(
                origin, package, lambda kept: self._decrypt(origin, package, block, kept)
            )

        return await self._answer(HipkiVerb.DECRYPT, body, work)

    def refusal(self, work: HipkiVerb) -> bytes:
        """The answer to a site that may not use this program."""
        return self._failure(work, AgentError(ErrorId.ORIGIN_REFUSED))

    def excuse(self, work: HipkiVerb, status: int) -> bytes:
        """The answer to a request that is not even read."""
        return self._failure(work, AgentError(_UNREAD.get(status, ErrorId.REQUEST_MALFORMED)))

    async def _sign(
        self, origin: str, package: PagePackage, wanted: _Wanted, kept: KeptPin | None
    ) -> SignAnswer:
        result = await self._operations.sign(
            _caller(origin),
            wanted.hash,
            document=wanted.document,
            digest=wanted.digest,
            cms=wanted.cms,
            reader=package.reader,
            kept=kept,
            allow_sha1=True,
        )
        return SignAnswer(
            **self._good(HipkiVerb.SIGN),
            signature=result.signature,
            certb64=result.certificate,
            card_sn=result.serial,
        )

    async def _decrypt(
        self, origin: str, package: PagePackage, block: bytes, kept: KeptPin | None
    ) -> DecryptAnswer:
        plain = await self._operations.decrypt(_caller(origin), block, reader=package.reader, kept=kept)
        return DecryptAnswer(**self._good(HipkiVerb.DECRYPT), plaintext=plain)

    async def _with_pin(
        self, origin: str, package: PagePackage, function: Callable[[KeptPin | None], Awaitable[A]]
    ) -> A:
        """Do `function` with the page's PIN, verified once and forgotten after it; None asks the person."""
        if package.typed is None:
            return await function(None)
        kept = await self._operations.keep_pin(_caller(origin), package.typed, reader=package.reader)
        try:
            return await function(kept)
        finally:
            kept.wipe()

    async def _answer(
        self, work: HipkiVerb, body: bytes, function: Callable[[PagePackage], Awaitable[HipkiAnswer]]
    ) -> bytes:
        """The answer's JSON; whatever is wrong is said in it, never raised."""
        try:
            package = messages.read(body)
            try:
                if package.func not in _FUNCTIONS.get(work, (package.func,)):
                    raise AgentError(ErrorId.REQUEST_UNKNOWN_METHOD)
                return msgspec.json.encode(await function(package))
            finally:
                package.wipe()
        except Exception as error:
            return self._failure(work, error)

    def _good(self, work: HipkiVerb) -> dict[str, Any]:
        """The members that every answer has, where all is well."""
        return {
            "func": work.value,
            "ret_code": RetCode.OK,
            "last_error": 0,
            "message": "",
            "server_version": self._version,
        }

    def _failure(self, work: HipkiVerb, error: Exception) -> bytes:
        if error_id(error) == ErrorId.INTERNAL:
            _log.error("%s failed: %s", work, where(error))
        told, left = describe(error), facts(error).get("tries_left")
        numbers = hipki_numbers(row_for(error), left if isinstance(left, int) else None)
        words = {
            "ret_code": numbers.ret_code,
            "last_error": numbers.last_error,
            "message": f"{told.zh}{told.next_zh} {told.en} {told.next_en}",
        }
        return msgspec.json.encode(HipkiAnswer(**{**self._good(work), **words}))


def _caller(origin: str) -> Caller:
    return Caller(origin, _SESSION)


def _wanted(package: PagePackage) -> _Wanted:
    """What the page wants signed, refused now rather than after a PIN was used.

    Raises:
        AgentError: request.parameters.
        signing.errors.HashUnsupportedError: no such hash.
    """
    if package.signature_type == "RAW":
        return _raw(messages.decoded(package.tbs))
    algorithm = _HASHES.get(package.hash_algorithm)
    if algorithm is None:
        raise HashUnsupportedError
    match package.signature_type:
        case "PKCS1":
            return _Wanted(algorithm, document=package.document)
        case "PKCS7":
            form = CmsForm(card_number=package.wants_card_number, nonce=package.nonce_octets)
            return _Wanted(algorithm, document=package.document, cms=form)
    raise AgentError(ErrorId.REQUEST_PARAMETERS)


def _raw(digest_info: bytes) -> _Wanted:
    """The hash and digest in a DER DigestInfo (RFC 8017 §9.2).

    Raises:
        AgentError: request.parameters: it is none.
    """
    for algorithm in Hash:
        digest = digest_info[-algorithm.length :]
        if len(digest) == algorithm.length and digest_info == algorithm.digest_info(digest):
            return _Wanted(algorithm, digest=digest)
    raise AgentError(ErrorId.REQUEST_PARAMETERS)
