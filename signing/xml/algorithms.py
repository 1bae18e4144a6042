"""The algorithms of XML signatures by their URIs (RFC 9231, XML Signature 1.1 §6), and their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from signing.errors import HashUnsupportedError
from signing.hashes import Hash

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_ENC: Final = "http://www.w3.org/2001/04/xmlenc#"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007: Final = "http://www.w3.org/2007/05/xmldsig-more#"

DIGESTS: Final = {
    Hash.SHA_1: f"{_DS}sha1",
    Hash.SHA_224: f"{_MORE}sha224",
    Hash.SHA_256: f"{_ENC}sha256",
    Hash.SHA_384: f"{_MORE}sha384",
    Hash.SHA_512: f"{_ENC}sha512",
}


class Scheme(StrEnum):
    """How a key makes a signature value."""

    RSA = "rsa"
    PSS = "pss"
    ECDSA = "ecdsa"


@dataclass(frozen=True, slots=True)
class SignatureMethod:
    """A scheme with its hash."""

    scheme: Scheme
    hash: Hash


SIGNATURES: Final = {
    (f"{_DS}rsa-sha1" if scheme is Scheme.RSA and each is Hash.SHA_1 else pattern.format(each.asn1_name)): (
        SignatureMethod(scheme, each)
    )
    for scheme, pattern in (
        (Scheme.RSA, _MORE + "rsa-{}"),
        (Scheme.PSS, _MORE_2007 + "{}-rsa-MGF1"),
        (Scheme.ECDSA, _MORE + "ecdsa-{}"),
    )
    for each in Hash
}
"""Signature methods by URI. MACs are none: whoever can check one could have made it."""


def digest_named(uri: str) -> Hash:
    """Return the hash of a digest method. Raise `HashUnsupportedError` if it is not known."""
    for each, known in DIGESTS.items():
        if known == uri:
            return each
    raise HashUnsupportedError(f"digest method {uri[-40:]}")


def signature_named(uri: str) -> SignatureMethod:
    """Return a signature method. Raise `HashUnsupportedError` if it is not known."""
    if uri not in SIGNATURES:
        raise HashUnsupportedError(f"signature method {uri[-40:]}")
    return SIGNATURES[uri]


def signature_uri(method: SignatureMethod) -> str:
    """Return the URI of a signature method."""
    return next(uri for uri, known in SIGNATURES.items() if known == method)
