"""What the PKI of the tests says is judged right: it stands under the tests of every format."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asn1crypto import tsp
from asn1crypto.ocsp import OCSPRequest
from asn1crypto.x509 import Certificate

from signing import timestamp
from signing.errors import (
    CertificateExpiredError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    EvidenceError,
    StatusAnswerError,
    StatusAnswerForgedError,
    StatusAnswerStaleError,
    TimestampError,
)
from signing.hashes import Hash
from signing.revocation import RevocationState, judge_crl, judge_ocsp, ocsp_request
from signing.trust import validate_chain
from tests.support.test_pki import DAY, NOW, REVOKED_SINCE, pki

DATA = "病歷摘要".encode()


def _whole(token: bytes) -> bytes:
    return bytes(
        tsp.TimeStampResp(
            {"status": {"status": "granted"}, "time_stamp_token": tsp.ContentInfo.load(token)}
        ).dump()
    )


@pytest.mark.parametrize("signer", ["rsa", "rsa3072", "ec", "ec384", "institution"])
def test_every_good_signer_is_trusted(signer: str) -> None:
    path = validate_chain(pki().certificate(signer), [pki().root], [pki().ca], NOW)
    assert path == (pki().root, pki().ca, pki().certificate(signer))


@pytest.mark.parametrize(
    ("signer", "error"),
    [
        ("expired", CertificateExpiredError),
        ("not-yet", CertificateNotYetValidError),
        ("stranger", CertificateUntrustedError),
    ],
)
def test_a_signer_out_of_time_or_of_another_root_is_not_trusted(signer: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        validate_chain(pki().certificate(signer), [pki().root], [pki().ca], NOW)


def test_a_stamp_is_over_what_was_asked() -> None:
    token = asyncio.run(pki().evidence().timestamp(Hash.SHA_256.digest(DATA), Hash.SHA_256))
    timestamp.verify(DATA, _whole(token))
    assert timestamp.read(_whole(token)).time == NOW


@pytest.mark.parametrize("stamps", ["wrong", "forged", "tsa-purpose"])
def test_a_bad_stamp_is_told(stamps: str) -> None:
    evidence = pki().evidence(stamps=stamps)
    token = asyncio.run(evidence.timestamp(Hash.SHA_256.digest(DATA), Hash.SHA_256))
    with pytest.raises(TimestampError):
        timestamp.verify(DATA, _whole(token))


@pytest.mark.parametrize("stamps", ["down", "refuses"])
def test_no_stamp_is_an_error(stamps: str) -> None:
    with pytest.raises(EvidenceError):
        asyncio.run(pki().evidence(stamps=stamps).timestamp(Hash.SHA_256.digest(DATA), Hash.SHA_256))


@pytest.mark.parametrize("answers", ["ocsp", "crl"])
@pytest.mark.parametrize(("signer", "state"), [("rsa", "GOOD"), ("ec", "GOOD"), ("revoked", "REVOKED")])
def test_answers_of_the_authority_are_believed(answers: str, signer: str, state: str) -> None:
    certificate, ca = pki().certificate(signer), pki().ca
    found = asyncio.run(pki().evidence(answers=answers).revocation(certificate, ca))
    at = NOW + timedelta(minutes=1)
    status = (
        judge_ocsp(found.ocsp, certificate, ca, at)
        if found.ocsp
        else judge_crl(found.crl, certificate, ca, at)
    )
    assert status.state is RevocationState[state]
    if state == "REVOKED":
        assert status.revoked_at == REVOKED_SINCE


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ("forged", StatusAnswerForgedError),
        ("forged-crl", StatusAnswerForgedError),
        ("stale", StatusAnswerStaleError),
        ("stale-crl", StatusAnswerStaleError),
    ],
)
def test_bad_answers_are_told(answers: str, error: type[StatusAnswerError]) -> None:
    certificate, ca = pki().certificate("rsa"), pki().ca
    found = asyncio.run(pki().evidence(answers=answers).revocation(certificate, ca))
    with pytest.raises(error):
        if found.ocsp:
            judge_ocsp(found.ocsp, certificate, ca, NOW)
        else:
            judge_crl(found.crl, certificate, ca, NOW)


def test_before_it_was_revoked_a_certificate_was_good() -> None:
    certificate, ca = pki().certificate("revoked"), pki().ca
    early = REVOKED_SINCE - DAY
    found = asyncio.run(pki().evidence(at=early).revocation(certificate, ca))
    assert judge_ocsp(found.ocsp, certificate, ca, early).state is RevocationState.GOOD


def test_ocsp_names_an_intermediate_authority_by_its_own_name_and_not_by_its_issuers() -> None:
    asked = OCSPRequest.load(ocsp_request(pki().certificate("rsa"), pki().ca)[0])
    named = asked["tbs_request"]["request_list"][0]["req_cert"]
    assert named["issuer_name_hash"].native == Certificate.load(pki().ca).subject.sha1
