"""Algorithms of XML signatures by their URIs (RFC 9231), and what is none of them."""

from __future__ import annotations

import pytest

from signing.errors import HashUnsupportedError
from signing.hashes import Hash
from signing.xml.algorithms import (
    DIGESTS,
    SIGNATURES,
    Scheme,
    SignatureMethod,
    digest_named,
    signature_named,
    signature_uri,
)


@pytest.mark.parametrize(
    ("uri", "scheme", "algorithm"),
    [
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", Scheme.RSA, Hash.SHA_1),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", Scheme.RSA, Hash.SHA_256),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", Scheme.ECDSA, Hash.SHA_384),
        ("http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1", Scheme.PSS, Hash.SHA_512),
    ],
)
def test_a_signature_method_is_found_by_its_uri_and_back(uri: str, scheme: Scheme, algorithm: Hash) -> None:
    method = SignatureMethod(scheme, algorithm)
    assert signature_named(uri) == method
    assert signature_uri(method) == uri
    assert len(SIGNATURES) == len(set(SIGNATURES.values()))


@pytest.mark.parametrize("algorithm", Hash)
def test_a_digest_method_is_found_by_its_uri(algorithm: Hash) -> None:
    assert digest_named(DIGESTS[algorithm]) is algorithm


@pytest.mark.parametrize(
    "uri", ["", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "http://www.w3.org/2001/04/xmldsig-more#md5"]
)
def test_what_is_not_known_is_refused(uri: str) -> None:
    with pytest.raises(HashUnsupportedError):
        signature_named(uri)
    with pytest.raises(HashUnsupportedError):
        digest_named(uri)
