"""Certificates with names and times that OpenSSL takes and stricter parsers refuse: all work goes on."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from hca_card.certificate import describe, parse
from hca_card.certificate_numbers import numbered
from hca_card.simulator.der import oid, sequence, tlv
from signing.certificate import check_login_use, is_issued_by, public_key
from signing.cipher import encrypt
from signing.cms.build import CmsForm, sign_cms
from signing.cms.verify import verify_cms
from signing.errors import CertificateUntrustedError, SignatureInvalidError
from signing.hashes import Hash
from signing.login import create_token, validate_token
from signing.sign import sign_digest
from signing.trust import check_period, validate_chain
from signing.verify import verify
from tests.support.openssl import openssl_program
from tests.support.software_card import (
    NOW,
    SoftwareCard,
    encryption_certificate,
    rewritten,
    root,
    signature_certificate,
)

ORIGIN = "https://portal.example.test"
NONCE = base64.b64encode(bytes(range(40))).decode()


def name(kind: int, octets: bytes) -> bytes:
    """C=TW and a common name of that string type."""
    country = tlv(0x31, sequence(oid("2.5.4.6"), tlv(0x13, b"TW")))
    return sequence(country, tlv(0x31, sequence(oid("2.5.4.3"), tlv(kind, octets))))


ACCEPTED = [
    pytest.param(0x13, b"A_B@C & D*", "A_B@C & D*", id="PrintableString with other signs"),
    pytest.param(0x13, "醫師".encode(), "醫師", id="PrintableString in UTF-8"),
    pytest.param(0x14, "Müller".encode("latin-1"), "Müller", id="TeletexString in Latin-1"),
    pytest.param(0x14, "衛生福利部".encode("cp950"), "衛生福利部", id="TeletexString in Big5"),
    pytest.param(0x14, "衛生福利部".encode(), "衛生福利部", id="TeletexString in UTF-8"),
    pytest.param(0x16, "醫院".encode("cp950"), "醫院", id="IA5String in Big5"),
    pytest.param(0x12, b"A-1", "A-1", id="NumericString with letters"),
    pytest.param(0x13, b"", "", id="an empty name"),
]
# OpenSSL 3 refuses these too; a key and a signature are there all the same.
REFUSED = [
    pytest.param(0x1E, "醫師".encode("utf-16-be") + b"\x00", "醫師\ufffd", id="BMPString of odd length"),
    pytest.param(0x1E, b"\xd8\x00\x00A", "\ufffdA", id="BMPString with half a pair"),
    pytest.param(0x0C, b"A\xff", "A\ufffd", id="UTF8String that is none"),
    pytest.param(0x04, b"octets", "\ufffd", id="octets for a text"),
]
FAR = tlv(0x17, b"400101000000Z")
TIMES = [
    pytest.param(sequence(tlv(0x17, b"2001010000Z"), FAR), id="UTCTime without seconds"),
    pytest.param(sequence(tlv(0x17, b"200101080000+0800"), FAR), id="UTCTime with an offset"),
    pytest.param(sequence(tlv(0x18, b"20200101000000Z"), FAR), id="GeneralizedTime before 2050"),
    pytest.param(sequence(tlv(0x18, b"20200101000000.0Z"), FAR), id="GeneralizedTime with a fraction"),
]


def accepted_by_openssl(der: bytes, folder: Path) -> bool:
    (folder / "der").write_bytes(der)
    command = [openssl_program(), "x509", "-inform", "DER", "-in", str(folder / "der"), "-noout", "-pubkey"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def everything_works(certificate: bytes, trusted: bytes) -> None:
    card = SoftwareCard()
    digest = Hash.SHA_256.digest(b"document")
    signature = sign_digest(card, digest, Hash.SHA_256, certificate=certificate)
    verify(certificate, b"document", signature, Hash.SHA_256)
    with pytest.raises(SignatureInvalidError):
        verify(certificate, b"another", signature, Hash.SHA_256)
    message = sign_cms(card, b"document", Hash.SHA_256, CmsForm(), certificate=certificate)
    assert verify_cms(message, b"document").certificate == certificate
    check_login_use(certificate)
    check_period(certificate, NOW)
    assert is_issued_by(certificate, trusted)
    assert not is_issued_by(certificate, root())
    assert validate_chain(certificate, [trusted], at=NOW) == (trusted, certificate)
    token = create_token(card, certificate, ORIGIN, NONCE)
    assert validate_token(token, origin=ORIGIN, nonce=NONCE, trusted_roots=[trusted], now=NOW).certificate
    assert numbered([trusted, certificate]) == {0: 0, 1: 1, 4: 0}


@pytest.mark.parametrize(("kind", "octets", "text"), ACCEPTED)
def test_openssl_takes_these_names(kind: int, octets: bytes, text: str, tmp_path: Path) -> None:
    assert accepted_by_openssl(rewritten(root(), "ca", names=name(kind, octets)), tmp_path)


@pytest.mark.parametrize(("kind", "octets", "text"), [*ACCEPTED, *REFUSED])
def test_a_name_that_is_odd_stops_nothing(kind: int, octets: bytes, text: str) -> None:
    names = name(kind, octets)
    certificate = rewritten(signature_certificate(), "ca", names=names)
    trusted = rewritten(root(), "ca", names=names)
    assert describe(certificate).common_name == (text or "\ufffd")
    everything_works(certificate, trusted)
    encrypted = rewritten(encryption_certificate(), "ca", names=names)
    assert len(encrypt(encrypted, b"secret")) == 256


@pytest.mark.parametrize("times", TIMES)
def test_a_time_that_is_written_oddly_is_the_time_that_it_is(times: bytes, tmp_path: Path) -> None:
    names = name(0x0C, "測試".encode())
    certificate = rewritten(signature_certificate(), "ca", names=names, times=times)
    assert accepted_by_openssl(certificate, tmp_path)
    assert parse(certificate).period == (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))
    everything_works(certificate, rewritten(root(), "ca", names=names))


@pytest.mark.filterwarnings("ignore:Attribute.s length")
def test_these_are_odd_indeed() -> None:
    """Some of them are refused by the strict parser that was used for everything before."""
    refused = 0
    for row in (*ACCEPTED, *REFUSED):
        kind, octets, _ = row.values
        der = rewritten(signature_certificate(), "ca", names=name(kind, octets))
        try:
            x509.load_der_x509_certificate(der).subject.rfc4514_string()
        except (ValueError, TypeError):
            refused += 1
    assert refused >= 4


def test_an_odd_name_is_equal_to_no_other() -> None:
    trusted = rewritten(root(), "ca", names=name(0x1E, b"\x91\xab\x00"))
    certificate = rewritten(signature_certificate(), "ca", names=name(0x1E, b"\x91\xab\x01"))
    assert not is_issued_by(certificate, trusted)
    with pytest.raises(CertificateUntrustedError):
        validate_chain(certificate, [trusted], at=NOW)


def test_the_key_of_an_odd_certificate_is_its_own() -> None:
    odd = rewritten(signature_certificate(), "ca", names=name(0x1E, b"\x00"))
    assert public_key(odd) == public_key(signature_certificate())
    assert parse(odd).key_usage == {"digital_signature"}
