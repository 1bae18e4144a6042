"""A Provenance as it comes in: over the resource beside it, and all else that stands for a signature."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signing.formats import SignatureFormat
from signing.formats.fhir import FhirForm
from signing.verification.fhir import SIGNATURES_MAX, read_fhir
from signing.verification.findings import Finding
from tests.support.test_pki import pki
from tests.support.xml_signatures import signed

RESOURCE = '{"resourceType": "Bundle", "id": "emr-1", "dose": 1.10, "name": "王測試"}'.encode()


def provenance(*, xml: bool = False, reason: str = "補簽") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(signed(FhirForm(xml=xml, reason=reason), RESOURCE))
    return found


def octets(message: object) -> bytes:
    return json.dumps(message).encode()


@pytest.mark.parametrize("xml", [False, True], ids=["JWS", "XML"])
def test_it_is_over_the_resource_in_any_layout_and_over_no_other(xml: bool) -> None:
    message = octets(provenance(xml=xml))
    relaid = b" " + RESOURCE.replace(b", ", b",\r\n")
    [found] = read_fhir(message, relaid).signatures
    assert (found.format, found.intact, found.reason) == (SignatureFormat.FHIR, True, "補簽")
    assert found.certificate == pki().certificate("rsa")
    [changed] = read_fhir(message, RESOURCE.replace(b"1.10", b"1.1")).signatures
    assert not changed.intact
    assert Finding.CONTENT_CHANGED in {each.finding for each in changed.remarks}
    [alone] = read_fhir(message).signatures
    assert Finding.CONTENT_MISSING in {each.finding for each in alone.remarks}


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        (None, ""),
        ([], ""),
        ("補簽", ""),
        (["補簽"], ""),
        ([{"text": "核對"}, {"text": "補簽"}], "核對"),
        ([{}], ""),
    ],
)
def test_the_first_reason_is_told_where_it_has_words(reasons: object, told: str) -> None:
    [found] = read_fhir(octets({**provenance(), "reason": reasons}), RESOURCE).signatures
    assert (found.intact, found.reason) == (True, told)


@pytest.mark.parametrize(
    ("changes", "finding", "detail"),
    [
        ({"resourceType": "Bundle"}, Finding.NO_SIGNATURE, ""),
        ({"signature": {}}, Finding.NO_SIGNATURE, ""),
        ({"signature": []}, Finding.NO_SIGNATURE, ""),
        ({"signature": [{}] * (SIGNATURES_MAX + 1)}, Finding.STRUCTURE_REFUSED, "65 signatures"),
        ({"resourceType": None}, Finding.DOCUMENT_UNREADABLE, "resourceType is missing"),
    ],
)
def test_what_has_no_signatures_or_too_many_is_said_to(
    changes: dict[str, Any], finding: Finding, detail: str
) -> None:
    found = read_fhir(octets({**provenance(), **changes}), RESOURCE)
    [remark] = found.remarks
    assert (found.signatures, remark.finding) == ((), finding)
    assert detail in remark.detail


def test_a_document_beside_it_that_is_no_resource_is_said_to_be_none() -> None:
    found = read_fhir(octets(provenance()), b"<Bundle/>")
    [remark] = found.remarks
    assert (found.signatures, remark.finding) == ((), Finding.DOCUMENT_UNREADABLE)


JWS = "application/jose"
UNREADABLE: dict[str, tuple[object, Finding]] = {
    "words": ("AAAA", Finding.SIGNATURE_UNREADABLE),
    "no base64": ({"sigFormat": JWS, "data": "A*"}, Finding.SIGNATURE_UNREADABLE),
    "letters that no base64 has": ({"sigFormat": JWS, "data": "簽"}, Finding.SIGNATURE_UNREADABLE),
    "no data": ({"sigFormat": JWS}, Finding.SIGNATURE_UNREADABLE),
    "another format": ({"sigFormat": "image/png", "data": "AAAA"}, Finding.ALGORITHM_UNKNOWN),
    "no format": ({"data": "AAAA"}, Finding.ALGORITHM_UNKNOWN),
    "XML without a signature": (
        {"sigFormat": "application/signature+xml", "data": "PGEvPg=="}, Finding.SIGNATURE_UNREADABLE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_signature_is_one_that_cannot_be_read_and_the_next_one_still_is(what: str) -> None:
    odd, finding = UNREADABLE[what]
    whole = provenance()
    lost, good = read_fhir(octets({**whole, "signature": [odd, *whole["signature"]]}), RESOURCE).signatures
    assert (lost.format, lost.intact, lost.certificate) == (SignatureFormat.FHIR, False, None)
    assert [each.finding for each in lost.remarks] == [finding]
    assert good.intact
