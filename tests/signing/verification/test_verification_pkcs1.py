"""A bare signature value, which may begin as any other kind of file does."""

from __future__ import annotations

import pytest

from signing.hashes import Hash
from signing.verification.findings import Finding
from signing.verification.pkcs1 import can_be_value, read_pkcs1
from signing.verification.reading import read
from tests.support.test_pki import EC_SIGNER, RSA_SIGNER, pki, sign_with


def test_a_value_that_begins_as_xml_does_is_still_a_value() -> None:
    """One in 256 does."""
    for number in range(5000):
        document = b"record %d" % number
        value = sign_with(RSA_SIGNER, Hash.SHA_256.digest(document), Hash.SHA_256)
        if value.startswith(b"<"):
            break
    else:
        raise AssertionError("no value began so")
    found = read(document, value, certificate=pki().certificate(RSA_SIGNER))
    assert (found.kind, [each.intact for each in found.signatures]) == ("pkcs1", [True])


@pytest.mark.parametrize("label", [RSA_SIGNER, EC_SIGNER])
def test_a_value_is_of_one_document_by_one_hash(label: str) -> None:
    certificate = pki().certificate(label)
    value = sign_with(label, Hash.SHA_256.digest(b"record"), Hash.SHA_256)
    assert can_be_value(certificate, value)
    assert not can_be_value(certificate, value + b"\0")
    [found] = read_pkcs1(b"record", value, certificate, Hash.SHA_256).signatures
    assert (found.intact, found.remarks, found.certificate) == (True, (), certificate)
    for document, algorithm in ((b"records", Hash.SHA_256), (b"record", Hash.SHA_512)):
        [changed] = read_pkcs1(document, value, certificate, algorithm).signatures
        assert (changed.intact, changed.hash) == (False, algorithm)
        assert [each.finding for each in changed.remarks] == [Finding.CONTENT_CHANGED]


def test_a_certificate_that_is_none_has_no_value_and_is_said_to_be_unreadable() -> None:
    value = sign_with(RSA_SIGNER, Hash.SHA_256.digest(b"record"), Hash.SHA_256)
    assert not can_be_value(b"none", value)
    [found] = read_pkcs1(b"record", value, b"none", Hash.SHA_256).signatures
    assert [each.finding for each in found.remarks] == [Finding.CERTIFICATE_UNREADABLE]
