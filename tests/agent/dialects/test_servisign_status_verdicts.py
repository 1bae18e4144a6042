"""Self-test and ServiSign judge the same answer of an authority alike."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from asn1crypto.ocsp import OCSPRequest, TBSRequest
from cryptography import x509

from agent.certificate_status import StatusChecker
from agent.config import CertificateSettings
from agent.dialects.servisign import ocsp, revocation
from agent.dialects.servisign.codes import LibraryError
from agent.dialects.servisign.functions import FunctionCall
from signing.errors import OcspError, StatusAnswerError, StatusAnswerUnrelatedError
from signing.revocation import CertificateStatus, RevocationReason, RevocationState, to_be_signed
from tests.support.status_authority import DAY, NOW, Authority, der

GOOD = Authority()
ISSUER, HOLDER = der(GOOD.issuer), der(GOOD.holder(ocsp=False, crl=False))
REASONS = {
    reason: RevocationReason(reason.value) for reason in x509.ReasonFlags if reason.name != "unspecified"
}


def words(status: CertificateStatus) -> str:
    if status.state is not RevocationState.REVOKED:
        return status.state.value
    return f"revoked {status.reason.number}"


async def selftest_verdict(folder: Path, **answers: Any) -> str:
    async def fetch(address: str, _limit: int, question: bytes | None = None, /) -> bytes:
        answer = answers[address.rpartition("/")[2]]
        return answer if question is None else answer(question)

    listed = {name: (f"http://a.example/{name}",) for name in answers}
    checker = StatusChecker(folder, CertificateSettings(**listed), fetch=fetch, clock=lambda: NOW)
    try:
        return words(await checker.check(HOLDER, ISSUER))
    except StatusAnswerUnrelatedError:
        return "unrelated"
    except StatusAnswerError as error:
        return error.error_id.rpartition("_")[2]


def ocsp_verdict(authority: Authority) -> str:
    """What the functions of the ServiSign protocol say."""
    tbs = to_be_signed((7,), b"0123456789abcdef", ISSUER)
    answer = authority.replay or authority.answer(OCSPRequest({"tbs_request": TBSRequest.load(tbs)}).dump())
    try:
        judged = ocsp.judge(answer, tbs, ISSUER, der(authority.responder()), NOW)
    except OcspError:
        return "unrelated"
    except StatusAnswerError as error:
        return error.error_id.rpartition("_")[2]
    call = cast(
        "FunctionCall", SimpleNamespace(session=SimpleNamespace(ocsp_answer=judged), numbers={"idx": 0})
    )
    if not judged.certificates:
        return "unusable"
    state = ("good", "revoked", "unknown")[ocsp.certificate_status(call)]
    return f"{state} {ocsp.revocation_reason(call)}" if state == "revoked" else state


def crl_verdict(crl: bytes) -> str:
    """What the functions of the ServiSign protocol say, asked one after the other."""
    call = cast(
        "FunctionCall",
        SimpleNamespace(
            session=SimpleNamespace(last_crl=b""),
            data=lambda _: crl,
            text=lambda _: "07",
            certificate=lambda _: ISSUER,
        ),
    )
    try:
        revocation.verify_signature(call)
        return f"revoked {revocation.reason(call)}" if revocation.status(call) else "good"
    except LibraryError:
        return "refused"


OCSP_ANSWERS: dict[str, tuple[Authority, str]] = {
    "good": (GOOD, "good"),
    **{
        f"revoked, {reason.name}": (replace(GOOD, revoked={7: reason}), f"revoked {mine.number}")
        for reason, mine in REASONS.items()
    },
    "unknown": (replace(GOOD, known=set()), "unknown"),
    "signed by an appointed responder": (replace(GOOD, signer="responder"), "good"),
    "wrong nonce": (replace(GOOD, nonce="other"), "unrelated"),
    "no nonce": (replace(GOOD, nonce="omit"), "good"),
    "no nonce and no end": (replace(GOOD, nonce="omit", until=None), "stale"),
    "no end": (replace(GOOD, until=None), "good"),
    "about another issuer's certificates": (replace(GOOD, names="other"), "unrelated"),
    "ended": (replace(GOOD, said=NOW - 3 * DAY, until=NOW - DAY), "stale"),
    "without end and two days old": (replace(GOOD, said=NOW - 2 * DAY, until=None), "stale"),
    "of tomorrow": (replace(GOOD, said=NOW + DAY, until=NOW + 2 * DAY), "stale"),
    "four minutes early": (replace(GOOD, said=NOW + timedelta(minutes=4)), "good"),
    "responder not authorised": (replace(GOOD, signer="stranger", appointed=False), "forged"),
    "responder's certificate ended": (
        replace(GOOD, signer="responder", responder_ends=NOW - DAY),
        "forged",
    ),
    "the responder says try later": (replace(GOOD, replay=bytes.fromhex("30030a0103")), "unusable"),
    "no answer": (replace(GOOD, replay=b"<html>log in</html>"), "unusable"),
}


@pytest.mark.parametrize(("authority", "verdict"), OCSP_ANSWERS.values(), ids=OCSP_ANSWERS)
async def test_an_ocsp_answer_has_one_verdict(tmp_path: Path, authority: Authority, verdict: str) -> None:
    def answer(question: bytes) -> bytes:
        return authority.replay or authority.answer(question)

    assert (await selftest_verdict(tmp_path, ocsp=answer), ocsp_verdict(authority)) == (verdict, verdict)


def point(**changes: Any) -> tuple[x509.ExtensionType, bool]:
    fields = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False,
        "only_contains_ca_certs": False, "only_some_reasons": None, "indirect_crl": False,
        "only_contains_attribute_certs": False, **changes,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**fields), True


LISTS: dict[str, tuple[bytes, str]] = {
    "good": (GOOD.crl(), "good"),
    **{
        f"revoked, {reason.name}": (replace(GOOD, revoked={7: reason}).crl(), f"revoked {mine.number}")
        for reason, mine in REASONS.items()
    },
    "of the wrong issuer": (replace(GOOD, crl_issuer="other").crl(), "refused"),
    "signed by a stranger": (replace(GOOD, crl_signer="stranger").crl(), "refused"),
    "delta": (GOOD.crl((x509.DeltaCRLIndicator(1), True)), "refused"),
    "indirect": (GOOD.crl(point(indirect_crl=True)), "refused"),
    "for some reasons": (
        GOOD.crl(point(only_some_reasons=frozenset((x509.ReasonFlags.key_compromise,)))),
        "refused",
    ),
    "users' certificates": (GOOD.crl(point(only_contains_user_certs=True)), "good"),
    "not understood": (
        GOOD.crl((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)),
        "refused",
    ),
    "no list": (b"<html>log in</html>", "refused"),
}


@pytest.mark.parametrize(("crl", "verdict"), LISTS.values(), ids=LISTS)
async def test_a_revocation_list_has_one_verdict(tmp_path: Path, crl: bytes, verdict: str) -> None:
    """Pages read a list's times with functions of their own, so its age is not part of the table."""
    said = await selftest_verdict(tmp_path, crl=crl)
    assert ("refused" if said in ("unusable", "forged") else said, crl_verdict(crl)) == (verdict, verdict)


async def test_only_servisign_believes_sha1(tmp_path: Path) -> None:
    old = replace(GOOD, sha1=True)
    assert (await selftest_verdict(tmp_path, ocsp=old.answer), ocsp_verdict(old)) == ("unusable", "good")
    assert (await selftest_verdict(tmp_path, crl=old.crl()), crl_verdict(old.crl())) == ("unusable", "good")


def test_reasons_have_the_numbers_of_rfc_5280() -> None:
    numbers = itertools.chain(range(7), range(8, 11))
    assert [reason.number for reason in RevocationReason] == list(numbers)
