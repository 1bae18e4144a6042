"""NHI-reader library: the same work without handles, for pages written for the reader with a key pad.

The card is wherever an ordinary reader has it; COM ports are only numbers here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.dialects.servisign import card, certificates, signatures
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall, Implementation
from agent.dialects.servisign.keys import DIGESTS, digest_hash, encoded, hash_of, signature
from agent.dialects.servisign.open_objects import CardSession
from hca_card.errors import CardChangedError, CertificateRenewedError
from hca_card.model import KeyUse, Metadata
from signing.certificate import public_key
from signing.hashes import Hash

# 0 CA, 1 signature, 2 encryption, 3 the root; on the card the root is number 4.
_CERTIFICATES: Final = {0: 0, 1: 1, 2: 2, 3: 4}
# By analogy with HCA_GetCertType; the PKCS#11 numbers cannot be mistaken for anything else.
_HASH_FLAGS: Final = {1: Hash.SHA_1, 2: Hash.SHA_256, **DIGESTS}


async def open_port(call: FunctionCall) -> None:
    """HCA_OpenCOMPort: choose the card; pages try port after port until one answers 0."""
    module = await card.open_module(call)
    call.session.objects.clear()
    call.session.objects.add(module)


def close_port(call: FunctionCall) -> None:
    """HCA_CloseCOMPort: and forget the PIN."""
    call.session.objects.latest_module()
    call.session.objects.clear()


async def verify_pin(call: FunctionCall) -> None:
    """HCA_VerifyPIN: verified once and kept; without one (flag 1) the key pad or a window asks for it."""
    handle, _ = call.session.objects.latest_module()
    session = await card.open_session(call, handle, call.secrets["pincode"])
    before = call.session.objects.session_of(handle)
    if before is not None:
        call.session.objects.remove(before[0])
    call.session.objects.add(session)


def card_info(data: Metadata) -> tuple[str, ...]:
    """HCA_GetCardInfo: issued, valid from, valid to.

    Raises:
        LibraryError: 5050, the card has no such information.
    """
    info = data.info
    if info is None:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return info.issued, info.valid_from, info.valid_to


def item_of(items: Callable[[Metadata], tuple[str, ...]]) -> Implementation:
    """Return the function that gives one of a card's items by its index, from 0."""

    async def implementation(call: FunctionCall) -> str:
        found, index = await card.of_card(items, card.latest_module)(call), call.numbers["index"]
        if not 0 <= index < len(found):
            raise LibraryError(LibraryCode.PARAMETER)
        return found[index]

    return implementation


async def certificate(call: FunctionCall) -> str:
    """HCA_GetCert: 0 CA, 1 signature, 2 encryption, 3 root."""
    index = _CERTIFICATES.get(call.numbers["flag"])
    if index is None:
        raise LibraryError(LibraryCode.PARAMETER)
    return card.wrapped(await card.read_certificate(call, card.latest_module(call), index))


def message_digest(call: FunctionCall) -> str:
    """HCA_MessageDigest: SHA-1, what the library had before it could choose."""
    return encoded(Hash.SHA_1.digest(call.data("data")))


def message_digest_ex(call: FunctionCall) -> str:
    """HCA_MessageDigestEx."""
    return encoded(hash_of(call, _HASH_FLAGS, "iHashFlag").digest(call.data("b64data")))


async def sign(call: FunctionCall) -> str:
    """HCA_SignMessage: SHA-1, PKCS#1 v1.5, big-endian."""
    return encoded(await _signature(call, Hash.SHA_1, document=call.data("data")))


async def sign_ex(call: FunctionCall) -> str:
    """HCA_SignMessageEx: the same in the byte order of MS CryptoAPI, little-endian."""
    return encoded((await _signature(call, Hash.SHA_1, document=call.data("data")))[::-1])


async def sign_ex2(call: FunctionCall) -> str:
    """HCA_SignMessageEx2: the hash is an argument."""
    algorithm = hash_of(call, _HASH_FLAGS, "hashflag")
    return encoded(await _signature(call, algorithm, document=call.data("data")))


async def sign_digest(call: FunctionCall) -> str:
    """HCA_SignDigest: a digest the page made, big-endian."""
    digest = call.data("data")
    return encoded(await _signature(call, digest_hash(digest), digest=digest))


def load_certificate(call: FunctionCall) -> None:
    """HCA_LoadCert: what HCA_VerifySignMessage and HCA_PublicEncrypt work with from then on."""
    der = call.certificate("bCert")
    public_key(der)
    call.session.loaded_certificate = der


async def verify_message(call: FunctionCall) -> None:
    """HCA_VerifySignMessage: with the certificate loaded and the hash that the signature names."""
    await signatures.verify(call, call.data("bData"), call.data("bSig"), _loaded(call))


async def public_encrypt(call: FunctionCall) -> str:
    """HCA_PublicEncrypt: to the certificate loaded."""
    return encoded(await call.operations.encrypt(call.caller, call.data("data"), certificate=_loaded(call)))


async def private_decrypt(call: FunctionCall) -> str:
    """HCA_PrivateDecrypt: with the card's encryption key."""
    cipher, session = call.data("cipher"), _session(call)
    plain = await call.operations.decrypt(
        call.caller,
        cipher,
        reader=card.latest_module(call).selected.reader,
        kept=session.kept if session else None,
    )
    return encoded(plain)


def certificate_attribute(call: FunctionCall) -> str:
    """HCA_GetCertAttr: serial number, issuer, subject, dates, key usage, public key, algorithm; from 0."""
    function = dict(enumerate(certificates.ATTRIBUTES)).get(call.numbers["flag"])
    if function is None:
        raise LibraryError(LibraryCode.PARAMETER)
    return function(call.certificate("bCert"))


async def _signature(
    call: FunctionCall, algorithm: Hash, *, document: bytes | None = None, digest: bytes | None = None
) -> bytes:
    module, session = card.latest_module(call), _session(call)
    if session is None or not session.open:
        # Before anybody is asked for a PIN; one that is kept is good for its own card alone.
        await card.require_in_reader(call, module)
    result = await signature(
        call,
        module,
        session,
        algorithm,
        document=document,
        digest=digest,
        use=KeyUse.SIGNATURE,
        rsa=True,
    )
    if result.serial != module.selected.serial:
        raise CardChangedError
    if module.certificates.get(card.SIGNATURE_CERTIFICATE, result.certificate) != result.certificate:
        raise CertificateRenewedError
    return result.signature


def _session(call: FunctionCall) -> CardSession | None:
    handle, _ = call.session.objects.latest_module()
    found = call.session.objects.session_of(handle)
    return found[1] if found else None


def _loaded(call: FunctionCall) -> bytes:
    if not call.session.loaded_certificate:
        raise LibraryError(LibraryCode.CERTIFICATE_NOT_FOUND)
    return call.session.loaded_certificate
