"""Paths of certificates that others published: NIST's PKITS, the BSI's paths, Botan's constrained names.

PKITS comes with S/MIME messages, so that each case is a signed file as a person has it verified; of the
others only the path is there, under a signature that holds.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from cryptography.x509.ocsp import load_der_ocsp_response

from hca_card.errors import CardDataError
from signing.certificate import parsed
from signing.errors import CertificateError, SigningError
from signing.formats import SignatureFormat
from signing.revocation import RevocationState, judge_ocsp
from signing.revocation.status import RevocationPolicy
from signing.trust import validate_chain
from signing.verification.findings import Finding
from signing.verification.found import FoundDocument, FoundSignature
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict
from tests.support.vectors import Counted, Record, archive

pytestmark = pytest.mark.timeout(600)  # seconds of work each, on a machine that may be busy

POLICY: Final = "2.16.840.1.101.3.2.1.48."
NOT_ASKED: Final = ("InitialPolicyMappingInhibit", "InitialExplicitPolicy", "InitialAnyPolicyInhibit")


def refusals(report: DocumentReport) -> set[Finding]:
    return {Finding(each.finding) for part in (report, *report.signatures) for each in part.remarks}


def accepted(report: DocumentReport) -> bool:
    return report.verdict in (Verdict.VALID, Verdict.REMARK)


# Good paths that this program does not take, and why; by the number of the case.
CAUTION: Final = {
    "an authority's own certificate signs no documents": r"4\.6\.(8|14)|4\.8\.6|4\.14\.13",
    "DSA is not known": r"4\.1\.[45]",
    "a revocation list by another key of the authority proves nothing": (
        r"4\.4\.19|4\.5\.[1346]|4\.6\.1[57]|4\.9\.6|4\.11\.7|4\.12\.[79]|4\.13\.19"
    ),
    "a revocation list of a part, of others, or of a place named by no address proves nothing": (
        r"4\.14\.(1|4|5|7|18|19|22|24|25|28|29|30|33)"
    ),
    "what is on hold stays so, whatever a delta list says": r"4\.15\.5",
}


def test_signed_messages_of_pkits(record_property: Record):
    files, count = archive("pkits"), Counted()
    for case in json.loads(files["cases.json"]):
        number, name = case["Name"].split(" ", 1)
        if any(case[each] for each in NOT_ASKED):
            count["left out: demands upon policies that nobody can make here"] += 1
            continue
        message = re.sub(r"\W", "", name.split("(Subpart")[0]).lower()
        trust = Trust(
            roots=(files["TrustAnchorRootCertificate.crt"],),
            intermediates=tuple(files[each] for each in case["CertPath"][1:-1]),
            crls=tuple(files[each] for each in case["CRLPath"]),
            policies=frozenset(POLICY + each[-1] for each in case["InitialPolicySet"] if each != "anyPolicy"),
            now=datetime(2012, 1, 1, tzinfo=UTC),
        )
        found = read(files[f"{message}.txt"], files[f"{message}.p7s"])
        report = judge(found, files[f"{message}.txt"], trust)
        assert refusals(report), case["Name"]
        if not case["ShouldValidate"]:
            assert not accepted(report), (case["Name"], report.verdict)
            count["bad, refused"] += 1
        elif accepted(report):
            count["good, accepted"] += 1
        else:
            reason = [each for each, cases in CAUTION.items() if re.fullmatch(cases, number.rstrip("."))]
            assert reason, (case["Name"], refusals(report))
            count[f"good, refused: {reason[0]}"] += 1
    count.tell("PKITS", record_property)
    assert count["good, accepted"] > 70
    assert count["bad, refused"] > 120


def certificates(pem: bytes) -> list[bytes]:
    found = re.findall(rb"-----BEGIN (?:CERTIFICATE|X509 CRL)-----(.+?)-----END", pem, re.DOTALL)
    return [b64decode(each) for each in found]


def expected(folder: str, separator: str) -> Iterator[tuple[str, bool]]:
    for line in archive("botan")[f"{folder}/expected.txt"].decode().splitlines():
        name, _, result = line.partition(separator)
        if result and not line.startswith("#"):
            yield name, result.strip() == "Verified"


# The BSI calls these bad; RFC 5280 asks readers to put up with both (§4.1.2.2, appendix A.1).
PUT_UP_WITH: Final = {
    "common_06": "a number below zero",
    "common_12": "a name longer than the bound of 1988",
}


def test_paths_of_the_bsi(record_property: Record):
    files, count = archive("botan"), Counted()
    for name, good in expected("bsi", "$"):
        parts: dict[str, list[bytes]] = {"TC": [], "TA": [], "ca": [], "crl": []}
        for path, content in files.items():
            kind = re.fullmatch(rf"bsi/{name}/(?:crls/)?[^/]+?\.(?:(TC|TA|ca)\.)?pem\.(crt|crl)", path)
            if kind:
                parts[kind[1] or "crl"] += certificates(content)
        (holder,) = parts["TC"]
        signature = FoundSignature(SignatureFormat.CMS, holder, intact=True, remarks=())
        trust = Trust(
            roots=tuple(parts["TA"]),
            intermediates=tuple(parts["ca"]),
            crls=tuple(parts["crl"]),
            hard=name.startswith("CRL"),
            now=datetime(2017, 8, 1, tzinfo=UTC),
        )
        report = judge(FoundDocument("cms", (signature,)), b"", trust)
        assert refusals(report), name
        if name in PUT_UP_WITH:
            assert accepted(report), (name, refusals(report))
            count[f"bad, accepted: {PUT_UP_WITH[name]}"] += 1
        else:
            assert accepted(report) == good, (name, refusals(report))
            count["good, accepted" if good else "bad, refused"] += 1
    count.tell("BSI paths", record_property)
    assert count["bad, refused"] > 40


# Names of directories are what a verdict goes by; this one is only written in another order than DER's.
ANOTHER_ORDER: Final = "dn-multi-ava-rdn-set-non-canonical-order-invalid-rfc5280"


def test_constrained_names(record_property: Record):
    files, count = archive("botan"), Counted()
    (root,) = certificates(files["name_constraints/root.pem"])
    for name, good in expected("name_constraints", ":"):
        holder, *between = certificates(files[f"name_constraints/{name}.pem"])
        try:
            begins, ends = parsed(holder).period
            validate_chain(holder, (root,), between, begins + (ends - begins) / 2)
            taken = True
        except (CertificateError, CardDataError):
            taken = False
        said = f"{'good' if good else 'bad'}, {'accepted' if taken else 'refused'}"
        if name.startswith(("directory-name", "dn-")):
            assert taken == good or name == ANOTHER_ORDER, (name, said)
            count[f"names of holders: {said}"] += 1
        else:
            # Of servers and mailboxes: no verdict here is about them, and none may be an exception.
            count[f"other names: {said}"] += 1
    count.tell("Botan's constrained names", record_property)
    assert count["names of holders: bad, refused"] > 5


# What OpenSSL's own test says of these answers (80-test_ocsp.t), by the beginning of their names.
OCSP_BAD: Final = {
    "ISOP": "the answer's signature is wrong",
    "ISDOSC": "the responder's certificate is signed wrongly",
    "WRID": "another responder is named",
    "WINH": "the issuer's name is another",
    "WIKH": "the issuer's key is another",
    "WKDOSC": "the responder's key is another",
}


OCSP_OTHER_ISSUER: Final = {
    "WSNIC": "the issuer's certificate has another name",
    "WKIC": "the issuer's certificate has another key",
}


def test_ocsp_answers_of_openssl(record_property: Record):
    files, count = archive("openssl-ocsp"), Counted()

    def one(beginning: str) -> bytes:
        (found,) = (content for path, content in files.items() if path.startswith(beginning))
        return certificates(found)[0]

    def good(name: str, chain: str, issuer: str) -> bool:
        answer = b64decode(files[f"{name}.ors"])
        try:
            status = judge_ocsp(
                answer,
                one(f"{chain}_Cert"),
                one(f"{issuer}_Issuer"),
                load_der_ocsp_response(answer).this_update_utc,  # they are of 2012, and each held for days
                policy=RevocationPolicy(allow_sha1=True),
            )
        except SigningError:
            return False
        return status.state is RevocationState.GOOD

    for name in sorted(each.removesuffix(".ors") for each in files if each.endswith(".ors")):
        kind, _, chain = name.rpartition("_")
        assert good(name, chain, chain) == (not kind), name
        count[f"bad, refused: {OCSP_BAD[kind]}" if kind else "good, accepted"] += 1
        for other, words in OCSP_OTHER_ISSUER.items() if not kind else ():
            assert not good(name, chain, f"{other}_{chain}"), (other, chain)
            count[f"bad, refused: {words}"] += 1
    count.tell("OpenSSL's OCSP answers", record_property)
    assert count.total() > 40
