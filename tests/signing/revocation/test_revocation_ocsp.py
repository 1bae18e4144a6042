"""OCSP questions and answers, judged side by side with OpenSSL, and hostile ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto.ocsp import OCSPRequest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ObjectIdentifier, ReasonFlags, UnrecognizedExtension
from cryptography.x509 import ocsp as other
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signing import revocation
from signing.errors import (
    CertificateMalformedError,
    OcspError,
    StatusAnswerError,
    StatusAnswerForgedError,
    StatusAnswerStaleError,
    StatusAnswerUnrelatedError,
    StatusAnswerUnusableError,
)
from signing.hashes import Hash
from signing.revocation import OcspAnswer, RevocationPolicy, RevocationState
from tests.support import status_authority
from tests.support.outside_world import Authority

NONCE = b"0123456789abcdef"


def wrapped(tbs: bytes) -> bytes:
    return b"\x30\x82" + len(tbs).to_bytes(2, "big") + tbs


def question_of(authority: Authority, *serials: int, nonce: bytes = NONCE) -> bytes:
    return revocation.to_be_signed(serials, nonce, authority.ca.der)


@pytest.fixture(scope="module")
def tbs(authority: Authority) -> bytes:
    known = (authority.good.certificate.serial_number, authority.revoked.certificate.serial_number)
    return question_of(authority, *known, 0x77AA)


@pytest.fixture(scope="module")
def answer(authority: Authority, tbs: bytes) -> bytes:
    return authority.ocsp(wrapped(tbs))


def read(authority: Authority, answer: bytes, tbs: bytes, now: datetime | None = None) -> OcspAnswer:
    return read_with(answer, tbs, authority.ca.der, authority.responder.der, now)


def read_with(
    answer: bytes, tbs: bytes, issuer: bytes, responder: bytes, now: datetime | None = None
) -> OcspAnswer:
    numbers, nonce = revocation.question_in(tbs)
    return revocation.judge_ocsp_answer(
        answer,
        numbers,
        issuer,
        now or datetime.now(UTC),
        nonce=nonce,
        responder=responder,
        policy=RevocationPolicy(allow_sha1=True),
    )


def said_in(answer: OcspAnswer) -> list[tuple[RevocationState, int]]:
    return [(each.state, each.reason.number) for each in answer.certificates]


def test_an_answer_of_openssl_is_understood(authority: Authority, answer: bytes, tbs: bytes) -> None:
    found = read(authority, answer, tbs)
    assert found.response_status == 0
    assert said_in(found) == [
        (RevocationState.GOOD, 0),
        (RevocationState.REVOKED, 1),
        (RevocationState.UNKNOWN, 0),
    ]


def test_only_the_responder_named_may_sign(authority: Authority, answer: bytes, tbs: bytes) -> None:
    for wrong in (authority.ca.der, authority.tsa.der):
        with pytest.raises(StatusAnswerForgedError):
            read_with(answer, tbs, authority.ca.der, wrong)


@pytest.mark.parametrize("days", [-2, 2])
def test_an_answer_of_another_day_is_refused(
    authority: Authority, answer: bytes, tbs: bytes, days: int
) -> None:
    with pytest.raises(StatusAnswerStaleError):
        read(authority, answer, tbs, datetime.now(UTC) + timedelta(days=days))


def test_an_answer_with_another_nonce_or_without_the_certificate_is_refused(
    authority: Authority, answer: bytes, tbs: bytes
) -> None:
    with pytest.raises(StatusAnswerUnrelatedError):
        read(authority, answer, question_of(authority, 0x77AA, nonce=b"another one"))
    with pytest.raises(StatusAnswerUnrelatedError):
        read(authority, answer, question_of(authority, 0x1234))


def test_the_same_serial_number_of_another_authority_is_another_certificate(
    authority: Authority, answer: bytes, tbs: bytes
) -> None:
    # Nor did that authority appoint the responder.
    for responder in (authority.responder.der, authority.sender.der):
        with pytest.raises(StatusAnswerForgedError):
            read_with(answer, tbs, authority.sender.der, responder)


@pytest.mark.parametrize(("status", "der"), [(1, "30030a0101"), (3, "30030a0103"), (6, "30030a0106")])
def test_a_refusal_of_the_responder_says_nothing_of_any_certificate(
    authority: Authority, tbs: bytes, status: int, der: str
) -> None:
    assert read(authority, bytes.fromhex(der), tbs) == OcspAnswer(status, ())
    with pytest.raises(StatusAnswerUnusableError, match=f"status {status}"):
        revocation.judge_ocsp(bytes.fromhex(der), authority.good.der, authority.ca.der, datetime.now(UTC))


@pytest.mark.parametrize("hash_", [SHA1(), SHA256()])
@pytest.mark.parametrize("ends", [True, False])
def test_an_answer_without_nonce_needs_an_end(authority: Authority, hash_: SHA1 | SHA256, ends: bool) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    built = (
        other.OCSPResponseBuilder()
        .add_response(
            authority.good.certificate,
            authority.ca.certificate,
            hash_,
            other.OCSPCertStatus.REVOKED,
            now - timedelta(hours=1),
            now + timedelta(hours=1) if ends else None,
            now,
            ReasonFlags.superseded,
        )
        .responder_id(other.OCSPResponderEncoding.HASH, authority.responder.certificate)
        .sign(authority.responder.key, SHA256())
        .public_bytes(Encoding.DER)
    )
    asked = question_of(authority, authority.good.certificate.serial_number)
    if ends:
        assert said_in(read(authority, built, asked)) == [(RevocationState.REVOKED, 4)]
    else:
        with pytest.raises(StatusAnswerStaleError):
            read(authority, built, asked)


def test_what_is_asked_is_bounded(authority: Authority) -> None:
    for serials, nonce in (((), b""), (tuple(range(65)), b""), ((1,), bytes(129))):
        with pytest.raises(OcspError):
            revocation.to_be_signed(serials, nonce, authority.ca.der)
    with pytest.raises(CertificateMalformedError):
        revocation.to_be_signed((1,), b"", b"no certificate")


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_single_changed_octet_changes_what_is_believed(
    authority: Authority, answer: bytes, tbs: bytes, at: int, flip: int
) -> None:
    at %= len(answer)
    changed = answer[:at] + bytes((answer[at] ^ flip,)) + answer[at + 1 :]
    try:
        found = read(authority, changed, tbs)
    except StatusAnswerError:
        return
    # A refusal is not signed, and says nothing of any certificate.
    assert found.certificates == () or found == read(authority, answer, tbs)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(authority: Authority, tbs: bytes, octets: bytes) -> None:
    with pytest.raises(OcspError):
        revocation.question_in(octets)
    with pytest.raises(StatusAnswerError):
        read(authority, octets, tbs)


def test_whom_an_answer_is_about_is_told_before_it_is_believed(authority: Authority, answer: bytes) -> None:
    about = [each.der for each in (authority.good, authority.revoked)]
    assert all(revocation.is_about(answer, each, authority.ca.der) for each in about)
    assert not revocation.is_about(answer, authority.tsa.der, authority.ca.der)
    assert not revocation.is_about(answer, authority.good.der, authority.sender.der)
    assert not revocation.is_about(answer, b"no certificate", authority.ca.der)
    assert not revocation.is_about(b"no answer", authority.good.der, authority.ca.der)


def test_a_responder_whose_use_cannot_be_read_is_appointed_by_nobody() -> None:
    class Odd(status_authority.Authority):
        def responder(self) -> Certificate:
            use = UnrecognizedExtension(ObjectIdentifier("2.5.29.37"), b"\x04\0")
            return status_authority.certificate("responder", "issuer", 3, use)

    good, odd = status_authority.Authority(signer="responder"), Odd(signer="responder")
    holder, issuer = (status_authority.der(each) for each in (good.holder(), good.issuer))
    question, _ = revocation.ocsp_request(holder, issuer)
    said = revocation.judge_ocsp(good.answer(question), holder, issuer, status_authority.NOW)
    assert said.state is RevocationState.GOOD
    with pytest.raises(StatusAnswerForgedError):
        revocation.judge_ocsp(odd.answer(question), holder, issuer, status_authority.NOW)


def test_a_question_without_a_nonce_has_none(authority: Authority) -> None:
    assert revocation.question_in(question_of(authority, 5, 0x77AA, nonce=b"")) == ((5, 0x77AA), b"")
    assert revocation.question_in(question_of(authority, 5)) == ((5,), NONCE)


def test_a_signed_question_holds_the_signature_and_who_made_it(authority: Authority, tbs: bytes) -> None:
    sender = authority.sender
    made = sender.key.sign(tbs, PKCS1v15(), SHA256())
    whole = OCSPRequest.load(revocation.signed_request(tbs, made, Hash.SHA_256, sender.der), strict=True)
    assert whole["tbs_request"].dump() == tbs
    signature = whole["optional_signature"]
    assert signature["signature_algorithm"]["algorithm"].native == "sha256_rsa"
    assert signature["signature"].native == made
    assert [each.dump() for each in signature["certs"]] == [sender.der]
    with pytest.raises(OcspError):
        revocation.signed_request(tbs[:-1], made, Hash.SHA_256, sender.der)
    with pytest.raises(CertificateMalformedError):
        revocation.signed_request(tbs, made, Hash.SHA_256, b"no certificate")
