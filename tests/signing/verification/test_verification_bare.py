"""A bare signature value, which may begin as any other kind of file does."""

from __future__ import annotations

from signing.hashes import Hash
from signing.verification.reading import read
from tests.support.test_pki import RSA_SIGNER, pki, sign_with


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
