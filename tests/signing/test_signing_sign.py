"""Signatures of RSA and EC cards: what `cryptography` and openssl accept, or nobody gets it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hca_card.model import KeyUse
from signing.errors import (
    HashUnsupportedError,
    SignatureInvalidError,
)
from signing.hashes import Hash
from signing.sign import ecdsa_numbers, sign_digest
from signing.verify import verify
from tests.support.openssl import openssl_program
from tests.support.signing import sign_document
from tests.support.software_card import (
    SoftwareCard,
    encryption_certificate,
    rsa_key,
    signature_certificate,
)
from tests.support.test_pki import pki

DOCUMENT = "出生通報 birth report".encode()
JUDGES = {
    Hash.SHA_1: hashes.SHA1,
    Hash.SHA_224: hashes.SHA224,
    Hash.SHA_256: hashes.SHA256,
    Hash.SHA_384: hashes.SHA384,
    Hash.SHA_512: hashes.SHA512,
}


@pytest.mark.parametrize("algorithm", Hash)
@pytest.mark.parametrize("use", KeyUse)
def test_a_signature_is_the_one_cryptography_makes(algorithm: Hash, use: KeyUse):
    wanted = rsa_key(use.value).sign(DOCUMENT, padding.PKCS1v15(), JUDGES[algorithm]())
    assert sign_document(SoftwareCard(), DOCUMENT, algorithm, use, allow_sha1=True) == wanted


@pytest.mark.parametrize("algorithm", Hash)
def test_openssl_verifies_what_the_card_signed(algorithm: Hash, tmp_path: Path):
    signature = sign_document(SoftwareCard(), DOCUMENT, algorithm, allow_sha1=True)
    public = rsa_key("signature").public_key()
    (tmp_path / "document").write_bytes(DOCUMENT)
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "key.pem").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    name = algorithm.value.replace("-", "").lower()
    command = [
        openssl_program(),
        "dgst",
        f"-{name}",
        "-verify",
        "key.pem",
        "-signature",
        "signature",
        "document",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified OK" in result.stdout, result.stderr


def test_sha_1_is_signed_only_where_the_caller_says_so():
    card = SoftwareCard()
    with pytest.raises(HashUnsupportedError):
        sign_digest(card, bytes(20), Hash.SHA_1)
    assert card.asked == []


def test_a_digest_of_the_wrong_length_never_reaches_the_card():
    card = SoftwareCard()
    with pytest.raises(HashUnsupportedError):
        sign_digest(card, bytes(20), Hash.SHA_256)
    assert card.asked == []


def test_a_spoilt_signature_is_not_given_out():
    with pytest.raises(SignatureInvalidError):
        sign_document(SoftwareCard(spoils=True), DOCUMENT, Hash.SHA_256)


@pytest.mark.parametrize(
    "signature", [b"", bytes(255), bytes(256), b"\xff" * 256, bytes(257), bytes(100_000)]
)
def test_bytes_that_are_no_signature_are_not_given_out(signature: bytes, monkeypatch: pytest.MonkeyPatch):
    card = SoftwareCard()
    monkeypatch.setattr(SoftwareCard, "sign", lambda self, use, digest_info: signature)
    with pytest.raises(SignatureInvalidError):
        sign_document(card, DOCUMENT, Hash.SHA_256)


def test_a_certificate_of_another_key_shows_the_card_wrong():
    with pytest.raises(SignatureInvalidError):
        sign_document(SoftwareCard(), DOCUMENT, Hash.SHA_256, certificate=encryption_certificate())


def test_a_certificate_already_read_is_not_read_again():
    card = SoftwareCard()
    sign_document(card, DOCUMENT, Hash.SHA_256, certificate=signature_certificate())
    assert card.asked == ["sign signature"]


EC = (("ec", Hash.SHA_256), ("ec", Hash.SHA_512), ("ec384", Hash.SHA_384), ("ec384", Hash.SHA_256))


@pytest.mark.parametrize(("signer", "algorithm"), EC)
def test_what_an_ec_card_signs_is_what_cryptography_accepts(signer: str, algorithm: Hash):
    digest = algorithm.digest(DOCUMENT)
    signature = sign_digest(pki().card(signer), digest, algorithm)
    public = x509.load_der_x509_certificate(pki().certificate(signer)).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, DOCUMENT, ec.ECDSA(JUDGES[algorithm]()))
    verify(pki().certificate(signer), DOCUMENT, signature, algorithm)
    with pytest.raises(SignatureInvalidError):
        verify(pki().certificate(signer), DOCUMENT + b" ", signature, algorithm)


def test_a_spoilt_ec_signature_is_not_given_out():
    with pytest.raises(SignatureInvalidError):
        sign_digest(pki().card("ec", spoils=True), bytes(32), Hash.SHA_256)


@pytest.mark.parametrize("made", [b"", bytes(63), bytes(64), b"\xff" * 64, bytes(65), bytes(256)])
def test_bytes_that_are_no_ec_signature_are_not_given_out(made: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(pki().card("ec")), "sign", lambda self, use, digest_info: made)
    with pytest.raises(SignatureInvalidError):
        sign_digest(pki().card("ec"), bytes(32), Hash.SHA_256)


@pytest.mark.parametrize(("signer", "algorithm"), [("ec", Hash.SHA_512), ("ec384", Hash.SHA_512)])
def test_a_card_is_given_no_more_of_a_digest_than_its_curve_takes(
    signer: str, algorithm: Hash, monkeypatch: pytest.MonkeyPatch
):
    card, lengths = pki().card(signer), []
    made = type(card).sign
    monkeypatch.setattr(
        type(card), "sign", lambda self, use, digest: lengths.append(len(digest)) or made(self, use, digest)
    )
    sign_digest(card, algorithm.digest(DOCUMENT), algorithm)
    assert lengths == [{"ec": 32, "ec384": 48}[signer]]


def test_two_numbers_are_as_long_as_the_curve_and_nothing_else_is_a_signature():
    der = encode_dss_signature(1, 2**255)
    assert ecdsa_numbers(der, 256) == (1).to_bytes(32) + (2**255).to_bytes(32)
    for wrong in (b"", b"\x30\x01", encode_dss_signature(1, 2**256)):
        with pytest.raises(SignatureInvalidError):
            ecdsa_numbers(wrong, 256)


def test_a_key_for_pss_alone_is_asked_for_pss(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("signing.sign.pss_only", lambda _der: True)
    monkeypatch.setattr("signing.sign.require_pss_hash", lambda _der, _name: None)
    monkeypatch.setattr("signing.sign.verify_digest", lambda *_: None)
    asked: list[tuple[KeyUse, bytes]] = []

    class PssCard(SoftwareCard):
        def sign_pss(self, use: KeyUse, digest: bytes) -> bytes:
            asked.append((use, digest))
            return b"made"

    digest = Hash.SHA_256.digest(DOCUMENT)
    assert sign_digest(PssCard(), digest, Hash.SHA_256, certificate=signature_certificate()) == b"made"
    assert asked == [(KeyUse.SIGNATURE, digest)]
