"""Time stamps, judged side by side with OpenSSL, and hostile ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signing import timestamp
from signing.errors import (
    TimestampError,
    TimestampInvalidError,
    TimestampOtherDataError,
    TimestampRefusedError,
)
from signing.hashes import Hash
from tests.support.outside_world import Authority, openssl

DATA = b"what was stamped"


@pytest.fixture(scope="module")
def answer(authority: Authority) -> bytes:
    return authority.stamp(timestamp.request(DATA, 99))


@pytest.mark.parametrize("algorithm", [Hash.SHA_1, Hash.SHA_256, Hash.SHA_512])
def test_a_stamp_holds_for_its_data_alone(authority: Authority, algorithm: Hash) -> None:
    question = timestamp.request(DATA, 5, algorithm)
    response = authority.stamp(question)
    timestamp.check_answer(question, response)
    timestamp.verify(DATA, response)
    assert timestamp.read(response).hash is algorithm
    with pytest.raises(TimestampOtherDataError):
        timestamp.verify(DATA + b"!", response)


def test_the_answer_to_another_question_is_refused(answer: bytes) -> None:
    for question in (timestamp.request(DATA, 98), timestamp.request(b"other", 99)):
        with pytest.raises(TimestampOtherDataError):
            timestamp.check_answer(question, answer)


def test_a_refusal_is_told_apart_from_an_answer_that_cannot_be_read() -> None:
    with pytest.raises(TimestampRefusedError):
        timestamp.read(bytes.fromhex("30053003020102"))
    for wrong in (b"", b"\x30\x00", b"\x30\x02\x30\x00", b"\x02\x01\x00", b"\x30\x80" * 100):
        with pytest.raises(TimestampError):
            timestamp.read(wrong)


def test_a_stamp_made_with_a_certificate_for_something_else_does_not_hold(
    authority: Authority, tmp_path: Path
) -> None:
    """`sender` has no extendedKeyUsage: OpenSSL refuses to make such a stamp, so its own one is re-signed."""
    from asn1crypto.tsp import TimeStampResp
    from asn1crypto.x509 import Certificate

    response = TimestampParts.load(authority.stamp(timestamp.request(DATA, 5)))
    signer = response.signer
    sender = Certificate.load(authority.sender.der)
    signer["sid"] = cms.SignerIdentifier(
        "issuer_and_serial_number",
        cms.IssuerAndSerialNumber({"issuer": sender.issuer, "serial_number": sender.serial_number}),
    )
    content = signer["signed_attrs"].untag().dump()
    signer["signature"] = authority.sender.key.sign(content, padding.PKCS1v15(), SHA256())
    response.signed["certificates"] = [sender]
    assert isinstance(response.whole, TimeStampResp)
    with pytest.raises(TimestampInvalidError, match="not one for time stamps"):
        timestamp.verify(DATA, response.whole.dump())


class TimestampParts:
    """A TimeStampResp taken apart with asn1crypto, to be put together wrongly."""

    def __init__(self, whole: object) -> None:
        self.whole = whole
        self.signed = whole["time_stamp_token"]["content"]
        self.signer = self.signed["signer_infos"][0]

    @classmethod
    def load(cls, der: bytes) -> TimestampParts:
        from asn1crypto.tsp import TimeStampResp

        return cls(TimeStampResp.load(der))


def test_a_stamp_without_the_certificate_that_made_it_does_not_hold(
    authority: Authority, tmp_path: Path
) -> None:
    question = tmp_path / "question"
    openssl("ts", "-query", "-data", _file(tmp_path, DATA), "-sha256", "-out", str(question))
    response = authority.stamp(question.read_bytes())
    assert timestamp.read(response).nonce
    with pytest.raises(TimestampError):
        timestamp.verify(DATA, response)


def _file(folder: Path, content: bytes) -> str:
    path = folder / "data"
    path.write_bytes(content)
    return str(path)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_single_changed_octet_makes_another_stamp_hold(answer: bytes, at: int, flip: int) -> None:
    at %= len(answer)
    changed = answer[:at] + bytes((answer[at] ^ flip,)) + answer[at + 1 :]
    before = timestamp.read(answer)
    try:
        timestamp.verify(DATA, changed)
    except TimestampError:
        return
    # What is not signed (certificates that nobody needs, the status text) may change; the stamp may not.
    assert timestamp.read(changed) == before


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    with pytest.raises(TimestampError):
        timestamp.verify(DATA, octets)


def changed(authority: Authority, answer: bytes, change: Callable[[tsp.TSTInfo], None]) -> bytes:
    """An answer whose stamp says something else, signed anew by the authority."""
    parts = TimestampParts.load(answer)
    stamped = tsp.TSTInfo.load(parts.signed["encap_content_info"]["content"].parsed.dump())
    change(stamped)
    octets = stamped.dump()
    parts.signed["encap_content_info"]["content"] = core.ParsableOctetString(octets)
    for each in parts.signer["signed_attrs"]:
        if each["type"].native == "message_digest":
            each["values"] = [Hash.SHA_256.digest(octets)]
    return resigned(authority, parts)


def resigned(authority: Authority, parts: TimestampParts) -> bytes:
    signed = b"\x31" + parts.signer["signed_attrs"].dump()[1:]
    parts.signer["signature"] = authority.tsa.key.sign(signed, padding.PKCS1v15(), SHA256())
    return bytes(parts.whole.dump())  # type: ignore[attr-defined]


def test_a_stamp_without_the_answer_around_it_says_the_same(authority: Authority, answer: bytes) -> None:
    token = timestamp.token_in(answer)
    stamp = timestamp.verify_token(DATA, token)
    assert stamp.certificate == authority.tsa.der
    assert replace(stamp, certificate=b"") == timestamp.read(answer)
    assert timestamp.verify_token(None, token) == stamp
    assert authority.tsa.der in timestamp.certificates_in(token)
    with pytest.raises(TimestampOtherDataError):
        timestamp.verify_token(DATA + b"!", token)
    with pytest.raises(TimestampRefusedError):
        timestamp.token_in(bytes.fromhex("30053003020102"))
    nothing = cms.ContentInfo({"content_type": "data", "content": b"plain"}).dump()
    for wrong in (nothing, b"", token[:-1]):
        for read in (timestamp.certificates_in, lambda each: timestamp.verify_token(DATA, each)):
            with pytest.raises(TimestampError):
                read(wrong)


def test_a_stamp_says_how_exact_it_is_or_nothing_of_it(authority: Authority, answer: bytes) -> None:
    assert timestamp.read(answer).accuracy == Decimal("1.5001")

    def silent(info: tsp.TSTInfo) -> None:
        del info["accuracy"]

    inexact = changed(authority, answer, silent)
    timestamp.verify(DATA, inexact)
    assert timestamp.read(inexact).accuracy is None


def test_an_imprint_that_is_cut_is_none(authority: Authority, answer: bytes) -> None:
    def cut(info: tsp.TSTInfo) -> None:
        info["message_imprint"]["hashed_message"] = Hash.SHA_256.digest(DATA)[:16]

    with pytest.raises(TimestampError, match="length of its hash"):
        timestamp.read(changed(authority, answer, cut))


@pytest.mark.parametrize("year", [2000, 2099])
def test_a_stamp_of_a_time_at_which_its_certificate_was_not_valid_does_not_hold(
    authority: Authority, answer: bytes, year: int
) -> None:
    def at(info: tsp.TSTInfo) -> None:
        info["gen_time"] = datetime(year, 1, 1, tzinfo=UTC)

    other = changed(authority, answer, at)
    assert timestamp.read(other).time.year == year
    with pytest.raises(TimestampInvalidError, match="not valid at the time"):
        timestamp.verify(DATA, other)


@pytest.mark.parametrize("right", [True, False])
def test_a_stamp_of_before_rfc_5816_names_its_certificate_by_sha_1(
    authority: Authority, answer: bytes, right: bool
) -> None:
    parts = TimestampParts.load(answer)
    named = Hash.SHA_1.digest(authority.tsa.der if right else authority.ca.der)
    for each in parts.signer["signed_attrs"]:
        if each["type"].native == "signing_certificate_v2":
            each["type"] = "signing_certificate"
            each["values"] = [tsp.SigningCertificate({"certs": [{"cert_hash": named}]})]
    older = resigned(authority, parts)
    assert timestamp.read(older) == timestamp.read(answer)
    with nullcontext() if right else pytest.raises(TimestampInvalidError, match="names another"):
        timestamp.verify(DATA, older)
