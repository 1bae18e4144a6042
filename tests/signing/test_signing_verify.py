"""Whether a key signed a document: RSA, RSA-PSS and ECDSA, judged beside `cryptography` and openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signing.certificate import PssParameters
from signing.errors import (
    CertificateMalformedError,
    HashUnsupportedError,
    SignatureFormatError,
    SignatureInvalidError,
)
from signing.hashes import Hash
from signing.sign import ecdsa_der
from signing.verify import check_format, verify, verify_digest
from tests.support.openssl import openssl_program
from tests.support.signing import sign_document
from tests.support.software_card import SoftwareCard, issue, rsa_key, signature_certificate
from tests.support.test_pki import pki

DOCUMENT = "出生通報 birth report".encode()


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


@pytest.mark.parametrize("signer", ["ec", "ec384"])
def test_an_ec_signature_verifies_and_a_changed_one_does_not(signer: str) -> None:
    made = sign_document(pki().card(signer), DOCUMENT, Hash.SHA_256, certificate=pki().certificate(signer))
    der = made if made[0] == 0x30 else ecdsa_der(made)
    verify(pki().certificate(signer), DOCUMENT, der, Hash.SHA_256)
    with pytest.raises(SignatureInvalidError):
        verify(pki().certificate(signer), DOCUMENT + b".", der, Hash.SHA_256)


@pytest.mark.parametrize(
    ("certificate", "signature", "fits"),
    [
        (signature_certificate(), b"\x80" * 256, True),
        (signature_certificate(), b"\x80" * 255, False),
        (signature_certificate(), b"a" * 256, False),
        (pki().certificate("ec"), encode_dss_signature(2**255, 1), True),
        (pki().certificate("ec"), encode_dss_signature(2**256, 1), False),
        (pki().certificate("ec"), b"\x30\x01", False),
    ],
)
def test_a_signature_has_the_form_that_the_key_makes(
    certificate: bytes, signature: bytes, fits: bool
) -> None:
    if fits:
        check_format(certificate, signature)
    else:
        with pytest.raises(SignatureFormatError):
            check_format(certificate, signature)


class TestBound:
    """A key for RSA-PSS alone that says what its signatures are made with."""

    @pytest.fixture(autouse=True)
    def bind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bound: PssParameters | None = PssParameters("sha256", "sha384", 20)
        monkeypatch.setattr("signing.verify.pss_only", lambda _der: True)
        monkeypatch.setattr("signing.verify.pss_parameters", lambda _der: self.bound)

    def made(self, mask: hashes.HashAlgorithm, salt: int) -> bytes:
        pss = padding.PSS(padding.MGF1(mask), salt)
        return rsa_key("signature").sign(DOCUMENT, pss, hashes.SHA256())

    def test_a_signature_is_made_as_the_key_says(self) -> None:
        for salt in (20, 32):
            verify(signature_certificate(), DOCUMENT, self.made(hashes.SHA384(), salt), Hash.SHA_256)
        with pytest.raises(SignatureInvalidError):
            verify(signature_certificate(), DOCUMENT, self.made(hashes.SHA256(), 20), Hash.SHA_256)

    def test_another_hash_and_a_shorter_salt_are_refused(self) -> None:
        with pytest.raises(SignatureInvalidError, match="another hash"):
            verify(signature_certificate(), DOCUMENT, bytes(256), Hash.SHA_512)
        with pytest.raises(SignatureInvalidError, match="shorter"):
            verify(signature_certificate(), DOCUMENT, self.made(hashes.SHA384(), 19), Hash.SHA_256)

    def test_a_key_that_says_nothing_takes_any_salt_and_its_own_hash(self) -> None:
        self.bound = None
        for salt in (0, 20, 32):
            verify(signature_certificate(), DOCUMENT, self.made(hashes.SHA256(), salt), Hash.SHA_256)

    def test_a_hash_that_nobody_knows_is_a_fault_of_the_certificate(self) -> None:
        self.bound = PssParameters("sha256", "whirlpool", 20)
        with pytest.raises(CertificateMalformedError, match="not known"):
            verify(signature_certificate(), DOCUMENT, bytes(256), Hash.SHA_256)
