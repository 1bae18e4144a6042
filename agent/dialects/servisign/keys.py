"""PC/SC library: key handles, hashes, signatures, encryption."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign import card
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.open_objects import CardKey, CardModule, CardSession, SecretKey
from hca_card.certificate import curve_bits
from hca_card.errors import CardChangedError, CertificateRenewedError
from hca_card.model import KeyUse
from signing.certificate import pss_only
from signing.hashes import Hash

if TYPE_CHECKING:
    from agent.operations import SignResult

# PKCS#11 v2.40 mechanism numbers (CKM_…).
RSA_PKCS: Final = 0x1
SIGNATURES: Final = {
    0x06: Hash.SHA_1,
    0x40: Hash.SHA_256,
    0x41: Hash.SHA_384,
    0x42: Hash.SHA_512,
    0x46: Hash.SHA_224,
}
DIGESTS: Final = {
    0x220: Hash.SHA_1,
    0x250: Hash.SHA_256,
    0x255: Hash.SHA_224,
    0x260: Hash.SHA_384,
    0x270: Hash.SHA_512,
}

_KEY_PRIVATE, _KEY_PUBLIC, _KEY_SECRET = range(3)
_USES: Final = {"1": (KeyUse.SIGNATURE, 1), "2": (KeyUse.ENCRYPTION, 2)}
_BIG_ENDIAN, _LITTLE_ENDIAN = range(2)


async def key_handle(call: FunctionCall) -> int:
    """ATL_GetKeyObjectHandle: half of a key pair of the card, or a symmetric key the page brings."""
    module, _ = card.named_session(call)
    handle, kind = call.numbers["ulSessionHandle"], call.numbers["iKeyType"]
    if kind == _KEY_SECRET:
        octets = call.data("param")
        if len(octets) not in (16, 24):
            raise LibraryError(LibraryCode.KEY_SIZE)
        return call.session.objects.add(SecretKey(handle, octets))
    if kind not in (_KEY_PRIVATE, _KEY_PUBLIC) or call.text("param") not in _USES:
        raise LibraryError(LibraryCode.PARAMETER)
    use, index = _USES[call.text("param")]
    given = module.certificates.get(index)
    # The certificate proves that the card has the pair; with it, public work needs no card.
    der = await card.read_certificate(call, module, index)
    if given not in (None, der):
        # The page goes on to show the one it was given beside signatures of the new key.
        raise CertificateRenewedError
    if curve_bits(der) or pss_only(der):
        # All that these handles are for is RSA's; better said here than after a signature nobody can use.
        raise LibraryError(LibraryCode.KEY_TYPE)
    return call.session.objects.add(CardKey(handle, kind == _KEY_PRIVATE, use, der))


def delete_key(call: FunctionCall) -> None:
    """ATL_DeleteKeyObject: the handle; nothing on the card changes."""
    card.named_session(call)
    handle = call.numbers["ulKeyObjectHandle"]
    if not call.session.objects.is_key(handle):
        raise LibraryError(LibraryCode.KEY_HANDLE)
    call.session.objects.remove(handle)


def hash_function(call: FunctionCall) -> str:
    """ATL_HashFunction."""
    card.named_session(call)
    return encoded(hash_of(call, DIGESTS).digest(call.data("b64Data")))


async def make_signature(call: FunctionCall) -> str:
    """ATL_MakeSignature: PKCS#1 v1.5, big-endian."""
    return encoded(await _signature(call))


async def make_signature_ex(call: FunctionCall) -> str:
    """ATL_MakeSignatureEx: the bytes in the order of MS CryptoAPI, little-endian."""
    return encoded((await _signature(call))[::-1])


async def make_signature_ex2(call: FunctionCall) -> str:
    """ATL_MakeSignatureEx2: the byte order is an argument, 0 big-endian, 1 little-endian."""
    order = call.numbers["ulEndianness"]
    if order not in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        raise LibraryError(LibraryCode.PARAMETER)
    signature = await _signature(call)
    return encoded(signature[::-1] if order == _LITTLE_ENDIAN else signature)


async def sign_without_hash(call: FunctionCall) -> str:
    """ATL_SignWithoutHash: sign a digest that the page made; its length says which hash it is."""
    digest = call.data("b64Data")
    module, session = card.named_session(call)
    key = _card_key(call, "ulPvKeyObject", private=True)
    return encoded(await _sign(call, module, session, key, digest_hash(digest), digest=digest))


async def verify_signature(call: FunctionCall) -> None:
    """ATL_VerifySignature: with the public key of the card's certificate, without the card."""
    card.named_session(call)
    algorithm = hash_of(call, SIGNATURES)
    key = _card_key(call, "ulPubKeyObject", private=False)
    await call.operations.verify(call.data("b64Data"), call.data("b64Sig"), key.certificate, algorithm)


async def verify_by_certificate(call: FunctionCall) -> None:
    """ATL_VerifySignatureByCert."""
    await call.operations.verify(
        call.data("b64Data"), call.data("b64Sig"), call.certificate("b64Cert"), hash_of(call, SIGNATURES)
    )


async def public_encrypt(call: FunctionCall) -> str:
    """ATL_PublicKeyEncryption: with the public key of the card's certificate, without the card."""
    card.named_session(call)
    key = _card_key(call, "ulPubKeyObject", private=False)
    return await _encrypt(call, key.certificate)


async def encrypt_by_certificate(call: FunctionCall) -> str:
    """ATL_PublicKeyEncryptionByCert."""
    return await _encrypt(call, call.certificate("b64Cert"))


async def private_decrypt(call: FunctionCall) -> str:
    """ATL_PrivateKeyDecryption: with the card's encryption key; its signature key never decrypts."""
    module, session = card.named_session(call)
    key = _card_key(call, "ulPvKeyObject", private=True)
    _require_rsa(call)
    if key.use is not KeyUse.ENCRYPTION:
        raise LibraryError(LibraryCode.KEY_NOT_PERMITTED)
    plain = await call.operations.decrypt(
        call.caller, call.data("b64Cipher"), reader=module.selected.reader, kept=session.kept
    )
    return encoded(plain)


def hash_of(call: FunctionCall, known: Mapping[int, Hash], name: str = "ulAlgorithm") -> Hash:
    """Return the hash that a number argument stands for.

    Raises:
        LibraryError: 9034.
    """
    found = known.get(call.numbers[name])
    if found is None:
        raise LibraryError(LibraryCode.MECHANISM)
    return found


def digest_hash(digest: bytes) -> Hash:
    """Return the hash whose digests are so long.

    Raises:
        LibraryError: 9015, none.
    """
    for algorithm in Hash:
        if algorithm.length == len(digest):
            return algorithm
    raise LibraryError(LibraryCode.DATA_LENGTH)


def encoded(octets: bytes) -> str:
    """Return base64 in one line."""
    return base64.b64encode(octets).decode("ascii")


async def signature(
    call: FunctionCall,
    module: CardModule,
    session: CardSession | None,
    algorithm: Hash,
    *,
    document: bytes | None,
    digest: bytes | None,
    use: KeyUse,
    rsa: bool = False,
) -> SignResult:
    """Return a signature with the session's PIN; for what that may not sign, the person is asked."""
    signing = None if session is None else session.signing
    if signing is not None and document is not None and use is KeyUse.SIGNATURE:
        return await signing.sign_value(document, hash=algorithm, allow_sha1=True, rsa=rsa)
    return await call.operations.sign(
        call.caller,
        algorithm,
        document=document,
        digest=digest,
        use=use,
        reader=module.selected.reader,
        kept=None if session is None else session.kept,
        allow_sha1=True,
        rsa=rsa,
    )


async def _signature(call: FunctionCall) -> bytes:
    module, session = card.named_session(call)
    key = _card_key(call, "ulPvKeyObject", private=True)
    algorithm = hash_of(call, SIGNATURES)
    return await _sign(call, module, session, key, algorithm, document=call.data("b64Data"))


async def _sign(
    call: FunctionCall,
    module: CardModule,
    session: CardSession,
    key: CardKey,
    algorithm: Hash,
    *,
    document: bytes | None = None,
    digest: bytes | None = None,
) -> bytes:
    """Return the signature, if it was made with the key that the page was given a handle for.

    Raises:
        hca_card.errors.CardChangedError: another card made it. It is not handed out.
        hca_card.errors.CertificateRenewedError: nor is that of a key that the card has since.
    """
    result = await signature(call, module, session, algorithm, document=document, digest=digest, use=key.use)
    if result.serial != module.selected.serial:
        raise CardChangedError
    if result.certificate != key.certificate:
        raise CertificateRenewedError
    return result.signature


async def _encrypt(call: FunctionCall, certificate: bytes) -> str:
    _require_rsa(call)
    return encoded(await call.operations.encrypt(call.caller, call.data("b64Data"), certificate=certificate))


def _require_rsa(call: FunctionCall) -> None:
    if call.numbers["ulAlgorithm"] != RSA_PKCS:
        raise LibraryError(LibraryCode.MECHANISM)


def _card_key(call: FunctionCall, name: str, *, private: bool) -> CardKey:
    key = call.session.objects.get(call.numbers[name], CardKey)
    if key.session != call.numbers["ulSessionHandle"]:
        raise LibraryError(LibraryCode.KEY_HANDLE)
    if key.private is not private:
        raise LibraryError(LibraryCode.KEY_TYPE)
    return key
