"""Signatures of RSA and EC cards: what `cryptography` and openssl accept, or nobody gets it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from hca_card.model import KeyUse
from signing.errors import (
    CertificateMalformedError,
    HashUnsupportedError,
    SignatureInvalidError,
)
from signing.hashes import Hash
from signing.sign import sign_digest
from signing.verify import verify, verify_digest
from tests.support.openssl import openssl_program
from tests.support.signing import sign_document
from tests.support.software_card import (
    SoftwareCard,
    encryption_certificate,
    issue,
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


@pytest.mark.parametrize("algorithm", Hash)
def test_what_openssl_signed_verifies_here(algorithm: Hash, tmp_path: Path):
    key = rsa_key("signature").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "document").write_bytes(DOCUMENT)
    name = algorithm.value.replace("-", "").lower()
    command = [openssl_program(), "dgst", f"-{name}", "-sign", "key.pem", "-out", "signature", "document"]
    subprocess.run(command, cwd=tmp_path, check=True)
    signature = (tmp_path / "signature").read_bytes()
    verify(signature_certificate(), DOCUMENT, signature, algorithm)
    with pytest.raises(SignatureInvalidError):
        verify(signature_certificate(), DOCUMENT + b" ", signature, algorithm)


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


_INFO = Hash.SHA_256.digest_info(Hash.SHA_256.digest(DOCUMENT))
_BARE_INFO = b"\x30\x2f\x30\x0b" + _INFO[4:15] + _INFO[17:]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x00\x01" + b"\xff" * 8 + b"\x00" + _INFO + bytes(194), id="rubbish behind"),
        pytest.param(b"\x00\x01" + b"\xff" * 8 + b"\x00" + bytes(194) + _INFO, id="rubbish before"),
        pytest.param(b"\x00\x01" + b"\xff" * 201 + b"\x00" + _INFO + b"\x00", id="one byte behind"),
        pytest.param(b"\x00\x01" + b"\xff" * 204 + b"\x00" + _BARE_INFO, id="no parameters"),
        pytest.param(b"\x00\x01" + b"\xff" * 221 + b"\x00" + _INFO[-32:], id="bare digest"),
        pytest.param(b"\x00\x02" + b"\xff" * 202 + b"\x00" + _INFO, id="padding of encryption"),
        pytest.param(b"\x00\x01" + b"\xff" * 201 + b"\xfe\x00" + _INFO, id="padding with a hole"),
        pytest.param(b"\x00\x00" + bytes(203) + _INFO, id="padding of zeros"),
    ],
)
def test_a_signature_over_anything_but_the_very_block_is_none(block: bytes):
    assert len(block) == 256
    key = rsa_key("signature")
    numbers = key.private_numbers()
    forged = pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(forged, DOCUMENT, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(SignatureInvalidError):
        verify(signature_certificate(), DOCUMENT, forged, Hash.SHA_256)


def test_a_signature_has_the_length_of_the_modulus_whatever_it_begins_with():
    key = rsa_key("signature")
    documents = (b"document %d" % number for number in range(100_000))
    signed = ((each, key.sign(each, padding.PKCS1v15(), hashes.SHA256())) for each in documents)
    document, signature = next(pair for pair in signed if pair[1][0] == 0)
    verify(signature_certificate(), document, signature, Hash.SHA_256)
    for other in (signature[1:], b"\x00" + signature, signature + b"\x00"):
        with pytest.raises(SignatureInvalidError):
            verify(signature_certificate(), document, other, Hash.SHA_256)


def test_a_certificate_of_another_key_shows_the_card_wrong():
    with pytest.raises(SignatureInvalidError):
        sign_document(SoftwareCard(), DOCUMENT, Hash.SHA_256, certificate=encryption_certificate())


def test_a_certificate_already_read_is_not_read_again():
    card = SoftwareCard()
    sign_document(card, DOCUMENT, Hash.SHA_256, certificate=signature_certificate())
    assert card.asked == ["sign signature"]


def test_the_hash_is_never_taken_from_the_signature():
    signature = sign_document(SoftwareCard(), DOCUMENT, Hash.SHA_512)
    with pytest.raises(SignatureInvalidError):
        verify(signature_certificate(), DOCUMENT, signature, Hash.SHA_256)


def test_a_digest_verifies_as_its_document_does():
    signature = sign_document(SoftwareCard(), DOCUMENT, Hash.SHA_256)
    verify_digest(signature_certificate(), Hash.SHA_256.digest(DOCUMENT), signature, Hash.SHA_256)
    with pytest.raises(SignatureInvalidError):
        verify_digest(signature_certificate(), bytes(32), signature, Hash.SHA_256)


def test_a_digest_of_another_length_is_refused_before_it_is_verified():
    with pytest.raises(HashUnsupportedError):
        verify_digest(signature_certificate(), bytes(20), bytes(256), Hash.SHA_256)


def _edwards_certificate() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    now = x509.load_der_x509_certificate(signature_certificate())
    builder = x509.CertificateBuilder().subject_name(now.subject).issuer_name(now.subject)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now.not_valid_before_utc).not_valid_after(now.not_valid_after_utc)
    return builder.sign(key, None).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "certificate",
    [
        b"",
        b"0",
        b"\x30\x84\xff\xff\xff\xff",
        b"<html>",
        b"-----BEGIN CERTIFICATE-----",
        signature_certificate()[:-1],
        signature_certificate() + b"\x00",
        _edwards_certificate(),
    ],
    ids=["empty", "one byte", "length that lies", "page", "PEM", "cut", "trailing byte", "Edwards curve"],
)
def test_what_is_no_certificate_of_a_key_that_signs_is_named_as_that(certificate: bytes):
    with pytest.raises(CertificateMalformedError):
        verify(certificate, DOCUMENT, bytes(256), Hash.SHA_256)


def test_a_key_of_1024_bits_still_verifies_old_documents():
    key = rsa_key("old", 1024)
    signature = key.sign(DOCUMENT, padding.PKCS1v15(), hashes.SHA1())
    verify(issue(key=key), DOCUMENT, signature, Hash.SHA_1)


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
