"""Envelopes that others made, and what is none: whatever a page sends, one kind of error says so."""

from __future__ import annotations

import io
import random

import pytest
from asn1crypto.cms import ContentInfo
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder
from cryptography.x509 import load_der_x509_certificate

from signing.cms.envelope import read_envelope
from signing.errors import CipherInvalidError
from tests.support.software_card import encryption_certificate


def envelope() -> bytes:
    """One for a card of this computer, as `cryptography` makes it."""
    receiver = load_der_x509_certificate(encryption_certificate())
    return PKCS7EnvelopeBuilder().set_data(b"plain").add_recipient(receiver).encrypt(Encoding.DER, [])


def test_what_is_no_envelope_is_told_by_one_error() -> None:
    whole, chance = envelope(), random.Random(14)
    assert read_envelope(io.BytesIO(whole)).recipient(encryption_certificate())
    damaged = [whole[:size] for size in range(0, 450, 37)]
    damaged += [b"\x30\x80" * 5000, bytes(300)]
    for _ in range(300):
        octets = bytearray(whole)
        octets[chance.randrange(80)] = chance.randrange(256)
        damaged.append(bytes(octets))
    refused = 0
    for octets in damaged:
        try:
            read_envelope(io.BytesIO(octets))
        except CipherInvalidError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("algorithm", ["rc2", "des", "aes128_gcm"])
def test_a_cipher_that_nobody_should_use_is_not_taken(algorithm: str) -> None:
    message = ContentInfo.load(envelope())
    information = message["content"]["encrypted_content_info"]
    information["content_encryption_algorithm"] = {"algorithm": algorithm}
    with pytest.raises(CipherInvalidError):
        read_envelope(io.BytesIO(message.dump(force=True)))
