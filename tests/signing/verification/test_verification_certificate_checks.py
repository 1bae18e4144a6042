"""A signer's certificate: its path and its days, its key and its purpose; what cannot be read is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from math import prod

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from hca_card.simulator.der import sequence, tlv
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.revocation.status import SKEW
from signing.verification.certificate_checks import (
    holds,
    in_time,
    is_simulated,
    key_of,
    purpose,
    strength,
    trusted_path,
    without_policy,
)
from signing.verification.findings import Finding, Remark
from signing.verification.found import FoundSignature
from tests.support.cards import simulator_ca
from tests.support.software_card import NOW, issue, rewritten, root, rsa_key, signature_certificate
from tests.support.vectors import certificate as with_key

DAY = timedelta(days=1)
ENDS = NOW + 365 * DAY
BEGINS = NOW - 365 * DAY
EKU, POLICIES = "2.5.29.37", "2.5.29.32"


def no_time() -> bytes:
    """A certificate whose days are no times."""
    return rewritten(signature_certificate(), "ca", times=sequence(tlv(0x17, b"now"), tlv(0x17, b"then")))


def holder(begins: datetime = BEGINS, ends: datetime = ENDS, **facts: object) -> bytes:
    return issue(key=rsa_key("signature"), begins=begins, ends=ends, **facts)  # type: ignore[arg-type]


def damaged(extension: str) -> bytes:
    """A certificate that says nothing readable in that extension."""
    return holder(extensions=(x509.UnrecognizedExtension(x509.ObjectIdentifier(extension), b"\x05\x00"),))


def keyed(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> bytes:
    return with_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def remarks(of: bytes | None, algorithm: Hash = Hash.SHA_256) -> list[Remark]:
    return list(strength(FoundSignature(SignatureFormat.CMS, of, intact=True, hash=algorithm)))


@cache
def authority() -> bytes:
    """An authority that lives for two years, where the root lives for twenty."""
    usages = ("key_cert_sign", "crl_sign")
    return issue(key=rsa_key("between"), subject="之間", usages=usages, ca=True, begins=BEGINS, ends=ENDS)


def issued(begins: datetime, ends: datetime) -> bytes:
    return holder(begins, ends, issuer="之間", issuer_key=rsa_key("between"))


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        pytest.param(BEGINS, ENDS, id="as long as its authority"),
        pytest.param(NOW - 9000 * DAY, NOW, id="dated back: in the middle of its life nobody could issue it"),
        pytest.param(NOW, NOW + 3000 * DAY, id="longer than its authority, which lived when it was issued"),
    ],
)
def test_a_path_is_judged_within_the_certificates_own_days(begins: datetime, ends: datetime) -> None:
    certificate = issued(begins, ends)
    assert trusted_path(certificate, (root(),), (authority(),)) == (root(), authority(), certificate)


@pytest.mark.parametrize(
    "certificate",
    [
        lambda: issued(ENDS + DAY, ENDS + 2 * DAY),
        lambda: issued(BEGINS - 2 * DAY, BEGINS - DAY),
        lambda: holder(issuer_key=rsa_key("another")),
        no_time,
        lambda: b"none",
    ],
    ids=["after its authority", "before it", "of a stranger", "days that are none", "no certificate"],
)
def test_without_a_path_there_is_none(certificate: Callable[[], bytes]) -> None:
    assert trusted_path(certificate(), (root(),), (authority(),)) == ()


@pytest.mark.parametrize(
    ("claimed", "stamped", "now", "said"),
    [
        (None, None, NOW, []),
        (None, None, BEGINS - DAY, [Remark(Finding.CERTIFICATE_NOT_YET, f"{BEGINS:%Y-%m-%d}")]),
        (NOW, None, ENDS + DAY, [Remark(Finding.CERTIFICATE_EXPIRED, f"{ENDS:%Y-%m-%d}")]),
        (ENDS + DAY, None, ENDS + 2 * DAY, [Remark(Finding.CERTIFICATE_OUT_OF_TIME, f"{ENDS:%Y-%m-%d}")]),
        (ENDS + DAY, ENDS, ENDS + 2 * DAY, []),
        (None, ENDS + DAY, ENDS + DAY, [Remark(Finding.CERTIFICATE_OUT_OF_TIME)]),
        (None, BEGINS - SKEW, NOW, []),
        (None, BEGINS - SKEW - DAY, NOW, [Remark(Finding.CERTIFICATE_OUT_OF_TIME)]),
    ],
)
def test_the_days_count_by_a_stamp_and_else_by_the_clock(
    claimed: datetime | None, stamped: datetime | None, now: datetime, said: list[Remark]
) -> None:
    for path in ((holder(),), (b"a root is not looked at", holder())):
        assert list(in_time(path, claimed, stamped, now)) == said


def test_days_that_cannot_be_read_are_said_to_be_unreadable_and_hold_never() -> None:
    path = (root(), no_time(), holder())
    said = list(in_time(path, None, None, ENDS + DAY))
    assert [each.finding for each in said] == [Finding.CERTIFICATE_UNREADABLE, Finding.CERTIFICATE_EXPIRED]
    assert not holds(no_time(), NOW)
    assert not holds(b"none", NOW)
    assert [holds(holder(), each) for each in (BEGINS - DAY, BEGINS, ENDS, ENDS + DAY)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_what_is_cheap_to_forge_is_said() -> None:
    assert remarks(signature_certificate()) == []
    assert remarks(None, Hash.SHA_1) == [Remark(Finding.ALGORITHM_WEAK, "SHA-1")]
    assert remarks(issue(key=rsa_key("short", 1024))) == [Remark(Finding.KEY_SHORT, "RSA 1024")]
    curve = ec.derive_private_key(7, ec.SECP192R1()).public_key()
    assert remarks(keyed(curve)) == [Remark(Finding.KEY_SHORT, "EC 192")]
    # 1 is a power of everything: such a modulus is of those that one maker's chips made.
    small = prod(each for each in range(3, 168) if all(each % other for other in range(2, each)))
    modulus = small * (1 << (2047 - small.bit_length())) * 3 + 1
    computable = rsa.RSAPublicNumbers(65537, modulus).public_key()
    assert remarks(keyed(computable)) == [Remark(Finding.KEY_COMPUTABLE)]
    assert remarks(b"none") == []


def test_the_kind_of_key_is_told_with_its_bits_where_they_say_something() -> None:
    assert key_of(signature_certificate()) == ("RSA", 2048)
    assert key_of(keyed(ec.derive_private_key(7, ec.SECP384R1()).public_key())) == ("EC", 384)
    assert key_of(keyed(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()))[1] == 0
    assert key_of(b"none") == ("", 0)


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (signature_certificate, []),
        (lambda: holder(extended=[ExtendedKeyUsageOID.EMAIL_PROTECTION]), []),
        (root, [Remark(Finding.CERTIFICATE_PURPOSE, "CA")]),
        (
            lambda: holder(usages=("key_encipherment", "data_encipherment")),
            [Remark(Finding.CERTIFICATE_PURPOSE, "data_encipherment, key_encipherment")],
        ),
        (
            lambda: holder(extended=[ExtendedKeyUsageOID.SERVER_AUTH]),
            [Remark(Finding.CERTIFICATE_PURPOSE, "1.3.6.1.5.5.7.3.1")],
        ),
        (lambda: damaged(EKU), [Remark(Finding.CERTIFICATE_UNREADABLE)]),
        (lambda: b"none", [Remark(Finding.CERTIFICATE_UNREADABLE)]),
    ],
)
def test_a_certificate_is_for_documents_or_it_is_said_what_for(
    certificate: Callable[[], bytes], said: list[Remark]
) -> None:
    assert list(purpose(certificate())) == said


def test_the_policies_are_told_that_were_not_enough() -> None:
    assert without_policy(holder(policies=("1.2.3", "1.2.4"))).detail == "1.2.3, 1.2.4"
    for unreadable in (damaged(POLICIES), b"none"):
        assert without_policy(unreadable) == Remark(Finding.CERTIFICATE_POLICY)


def test_a_simulators_certificate_is_told_from_others() -> None:
    assert is_simulated(simulator_ca().intermediates[0])
    assert not is_simulated(signature_certificate())
    assert not is_simulated(b"none")
