"""Encryption to a certificate and decryption by the card."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card.errors import CardDataError, ObjectMissingError
from hca_card.model import KeyUse
from pcsc.errors import CardRemovedError
from pcsc.status import StatusError
from signing.cipher import agree, decrypt, encrypt
from signing.errors import CertificateMalformedError, CipherInvalidError, DataTooLongError
from tests.support.software_card import (
    SoftwareCard,
    encryption_certificate,
    rsa_key,
    signature_certificate,
    software_encrypt,
)


@settings(max_examples=15)
@given(st.binary(max_size=245))
def test_what_is_encrypted_here_decrypts_with_cryptography_and_with_the_card(plain: bytes):
    cipher = encrypt(encryption_certificate(), plain)
    assert rsa_key("encryption").decrypt(cipher, padding.PKCS1v15()) == plain
    assert decrypt(SoftwareCard(), cipher) == plain


def test_what_another_program_encrypted_decrypts():
    assert decrypt(SoftwareCard(), software_encrypt("處方".encode())) == "處方".encode()


def test_two_ciphers_of_the_same_data_differ():
    assert encrypt(encryption_certificate(), b"x") != encrypt(encryption_certificate(), b"x")


def test_data_longer_than_a_block_is_refused():
    with pytest.raises(DataTooLongError):
        encrypt(encryption_certificate(), bytes(246))


def test_encrypting_to_what_is_no_certificate_is_refused():
    with pytest.raises(CertificateMalformedError):
        encrypt(b"no certificate", b"x")


def _padded(block: bytes) -> bytes:
    public = rsa_key("encryption").public_key().public_numbers()
    return pow(int.from_bytes(block, "big"), public.e, public.n).to_bytes(256, "big")


@pytest.mark.parametrize(
    "cipher",
    [
        b"",
        b"x",
        bytes(255),
        bytes(257),
        bytes(100_000),
        bytes(256),
        b"\xff" * 256,
        encrypt(signature_certificate(), b"for another key"),
        _padded(b"\x00\x01" + b"\xff" * 253 + b"\x00"),
        _padded(b"\x00\x02" + b"\xff" * 254),
        _padded(b"\x00\x02" + b"\xff" * 7 + b"\x00" + bytes(246)),
    ],
    ids=[
        "empty", "one byte", "short", "long", "huge", "zero", "over the modulus", "another key", "type 1",
        "no end", "short padding",
    ],
)  # fmt: skip
def test_every_bad_cipher_gives_the_same_error(cipher: bytes):
    with pytest.raises(CipherInvalidError) as caught:
        decrypt(SoftwareCard(), cipher)
    assert str(caught.value) == str(CipherInvalidError())
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "fault", [StatusError(0x6A80), StatusError(0x6700), StatusError(0x6F00), CardDataError()]
)
def test_whatever_the_card_says_of_a_bad_cipher_is_not_passed_on(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
):
    def decipher(self: SoftwareCard, use: object, cipher: bytes) -> bytes:
        raise fault

    monkeypatch.setattr(SoftwareCard, "decipher", decipher)
    with pytest.raises(CipherInvalidError):
        decrypt(SoftwareCard(), bytes(256))


@pytest.mark.parametrize("fault", [StatusError(0x6982), CardRemovedError(), ObjectMissingError()])
def test_a_card_that_was_not_ready_says_so(fault: Exception, monkeypatch: pytest.MonkeyPatch):
    def decipher(self: SoftwareCard, use: object, cipher: bytes) -> bytes:
        raise fault

    monkeypatch.setattr(SoftwareCard, "decipher", decipher)
    with pytest.raises(type(fault)):
        decrypt(SoftwareCard(), bytes(256))


def test_a_plain_text_longer_than_a_block_holds_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SoftwareCard, "decipher", lambda self, use, cipher: bytes(246))
    with pytest.raises(CipherInvalidError):
        decrypt(SoftwareCard(), bytes(256))


def test_what_a_card_makes_of_a_point_is_passed_on_and_its_faults_are_one():
    class Agreeing(SoftwareCard):
        def agree(self, use: KeyUse, point: bytes) -> bytes:
            if not point:
                raise CardDataError("no point")
            return use.encode() + point

    assert agree(Agreeing(), b"point") == b"encryptionpoint"
    with pytest.raises(CipherInvalidError):
        agree(Agreeing(), b"")
