"""Envelopes that others made, and what is none: whatever a page sends, one kind of error says so."""

from __future__ import annotations

import io
import random

import pytest
from asn1crypto.cms import ContentInfo, RecipientIdentifier
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder
from cryptography.x509 import SubjectKeyIdentifier, load_der_x509_certificate

from hca_card import tlv
from signing.cms.encrypt import write_envelope
from signing.cms.envelope import content_key, decrypt_content, read_envelope
from signing.errors import CipherDamagedError, CipherFormatError, CipherInvalidError, CipherUnprotectedError
from tests.support.software_card import SoftwareCard, encryption_certificate, issue, rsa_key
from tests.support.vectors import sequence


def envelope() -> bytes:
    """One for a card of this computer, as `cryptography` makes it."""
    receiver = load_der_x509_certificate(encryption_certificate())
    return PKCS7EnvelopeBuilder().set_data(b"plain").add_recipient(receiver).encrypt(Encoding.DER, [])


def authenticated() -> bytes:
    """One of this program."""
    target = io.BytesIO()
    write_envelope(io.BytesIO(b"plain"), 5, [encryption_certificate()], target)
    return target.getvalue()


def parts_of(whole: bytes) -> list[bytes]:
    """Version, recipients, encrypted content, and what comes after it."""
    return [each.encode() for each in tlv.read(whole)[0].children[1].children[0].children]


def of_parts(whole: bytes, *parts: bytes) -> bytes:
    """An envelope of the same kind with other parts."""
    return sequence(tlv.read(whole)[0].children[0].encode(), sequence(sequence(*parts), tag=0xA0))


def opened(whole: bytes, certificate: bytes = b"") -> bytes:
    plain, read = io.BytesIO(), read_envelope(io.BytesIO(whole))
    decrypt_content(read, content_key(SoftwareCard(), read, certificate or encryption_certificate()), plain)
    return plain.getvalue()


def test_a_recipient_may_be_named_by_the_identifier_of_the_key() -> None:
    message, named = (
        ContentInfo.load(envelope()),
        SubjectKeyIdentifier.from_public_key(rsa_key("encryption").public_key()),
    )
    info = message["content"]["recipient_infos"][0].chosen
    info["version"] = "v2"
    info["rid"] = RecipientIdentifier({"subject_key_identifier": named.digest})
    holder = issue(key=rsa_key("encryption"), usages=("key_encipherment",), extensions=[named])
    assert opened(message.dump(force=True), holder) == b"plain"
    with pytest.raises(CipherInvalidError):
        read_envelope(io.BytesIO(message.dump(force=True))).recipient(encryption_certificate())


def test_whoever_opens_what_nothing_protects_is_told() -> None:
    read_envelope(io.BytesIO(authenticated())).require_protected()
    with pytest.raises(CipherUnprotectedError):
        read_envelope(io.BytesIO(envelope())).require_protected()


def test_what_others_put_around_the_content_does_not_change_it() -> None:
    """The sender's certificates (RFC 5652 §6.1), unprotected attributes, lengths that are not said."""
    whole = envelope()
    version, infos, content = parts_of(whole)
    streamed = b"\x31\x80" + tlv.read(infos)[0].value + b"\0\0"
    for parts in (
        (version, b"\xa0\0", infos, content),
        (version, infos, content, b"\xa1\0"),
        (version, streamed, content),
    ):
        assert opened(of_parts(whole, *parts)) == b"plain"


def test_attributes_that_are_protected_are_not_passed_over() -> None:
    whole = authenticated()
    version, infos, content, tag = parts_of(whole)
    assert opened(of_parts(whole, version, infos, content, tag)) == b"plain"
    with pytest.raises(CipherFormatError, match="beside the content"):
        opened(of_parts(whole, version, infos, content, b"\xa1\0", tag))


def test_an_envelope_for_those_who_have_a_password_is_for_no_card() -> None:
    whole = envelope()
    version, _, content = parts_of(whole)
    with pytest.raises(CipherFormatError, match="nobody"):
        read_envelope(io.BytesIO(of_parts(whole, version, sequence(sequence(tag=0xA3), tag=0x31), content)))


def test_a_recipient_of_a_version_that_is_another_s_is_damaged() -> None:
    """RFC 5652 §6.2.1: 0 goes with an issuer and a number, 2 with an identifier."""
    whole = authenticated()
    version, infos, content, tag = parts_of(whole)
    assert b"\x02\x01\0" in infos[:12]
    wrong = infos.replace(b"\x02\x01\0", b"\x02\x01\2", 1)
    with pytest.raises(CipherDamagedError):
        read_envelope(io.BytesIO(of_parts(whole, version, wrong, content, tag)))


def test_rsa_with_parameters_that_it_has_not_is_opened_for_nobody() -> None:
    whole, rsa = authenticated(), bytes.fromhex("06092a864886f70d010101")
    assert whole.count(rsa + b"\x05\0") == 1
    with pytest.raises(CipherDamagedError):
        opened(whole.replace(rsa + b"\x05\0", rsa + b"\x30\0"))


def test_a_content_that_is_no_octets_is_damaged() -> None:
    whole = envelope()
    version, infos, content = parts_of(whole)
    kind, algorithm, octets = (each.encode() for each in tlv.read(content)[0].children)
    for wrong in (b"\x81" + octets[1:], sequence(b"\x0c" + octets[1:], tag=0xA0)):
        with pytest.raises(CipherDamagedError):
            opened(of_parts(whole, version, infos, sequence(kind, algorithm, wrong)))
    assert opened(
        of_parts(whole, version, infos, sequence(kind, algorithm, sequence(b"\x04" + octets[1:], tag=0xA0)))
    )


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
