"""Exchange packages of medical records: what hospitals send each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from signing.errors import DocumentUnsafeError, DocumentUnusableError
from signing.formats import Level, SignatureFormat
from signing.formats.emr import EmrForm, packaged
from signing.formats.xml_signature import XmlForm
from signing.verification.findings import Finding
from signing.verification.report import Verdict
from signing.xml.canonical import Canonicalization
from signing.xml.parsing import parse, serialise
from signing.xml.references import ENVELOPED
from tests.support.medical_records import RECORD
from tests.support.test_pki import EC_SIGNER, NOW, RSA_SIGNER, pki
from tests.support.xml_signatures import by_identifier, judged, signed, xmlsec_agrees


@pytest.mark.parametrize(("first", "second"), [("institution", RSA_SIGNER), ("institution-ec", EC_SIGNER)])
async def test_the_institution_signs_and_then_the_person(first: str, second: str, tmp_path: Path) -> None:
    package = signed(EmrForm(), RECORD, first, when=NOW - timedelta(minutes=5))
    package = await EmrForm().augment(package, Level.B_LT, pki().evidence())
    package = signed(EmrForm(reason="主治醫師確認"), package, second)
    assert xmlsec_agrees(package, tmp_path, 1)
    assert xmlsec_agrees(package, tmp_path, 2)
    report = judged(package)
    assert report.kind == "emr"
    assert [each.format for each in report.signatures] == [SignatureFormat.EMR] * 2
    assert [each.unchanged for each in report.signatures] == [True, True]
    assert [each.reason for each in report.signatures] == ["", "主治醫師確認"]
    assert [each.level for each in report.signatures] == [Level.B_LT, Level.B_B]
    assert report.verdict is Verdict.REMARK
    # The person's signature gets its stamp without breaking anything before it.
    lasting = await EmrForm().augment(package, Level.B_LT, pki().evidence())
    assert judged(lasting, hard=True).verdict is Verdict.VALID
    assert xmlsec_agrees(lasting, tmp_path, 2)


@pytest.mark.parametrize("identified", [False, True], ids=["whole document", "root by identifier"])
def test_a_package_that_others_signed_whole_takes_a_person_too(identified: bool, tmp_path: Path) -> None:
    package = serialise(packaged(RECORD))
    institution = signed(XmlForm(xades=False), package, "institution")
    if identified:
        tree = parse(package)
        tree.getroot().set("Id", "package")
        institution = by_identifier(serialise(tree), "package", (ENVELOPED, Canonicalization.INCLUSIVE))
    made = signed(EmrForm(reason="確認"), institution, EC_SIGNER)
    assert xmlsec_agrees(made, tmp_path, 1)
    assert xmlsec_agrees(made, tmp_path, 2)
    report = judged(made)
    assert [each.unchanged for each in report.signatures] == [True, True], report
    assert report.verdict is Verdict.REMARK
    changed = judged(made.replace("肺炎".encode(), "肺癌".encode()))
    assert [each.unchanged for each in changed.signatures] == [False, False]


def test_one_changed_character_is_found_and_named(tmp_path: Path) -> None:
    package = signed(EmrForm(), signed(EmrForm(), RECORD, "institution"))
    changed = package.replace("肺炎".encode(), "肺癌".encode())
    assert not xmlsec_agrees(changed, tmp_path)
    report = judged(changed)
    assert report.verdict is Verdict.INVALID
    remarks = [each for signature in report.signatures for each in signature.remarks]
    assert [each.detail for each in remarks if each.finding == Finding.CONTENT_CHANGED] == [
        "ContentContainer #ContentContainer"
    ] * 2


def test_it_has_the_shape_that_is_published() -> None:
    package = signed(EmrForm(), RECORD)
    for part in (
        b"<cdp:ContentPackage ",
        b"<cdp:StructuredContent><ClinicalDocument ",
        b'<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>',
        b'<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>',
        b'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>',
    ):
        assert part in package
    assert package.count(b"<ds:X509Certificate>") == 1


@pytest.mark.parametrize(
    "document",
    [
        b"<other/>",
        b"no XML",
        RECORD[:-20],
        b'<ContentPackage xmlns="urn:x"><ContentContainer/></ContentPackage>',
        b'<p:ContentPackage xmlns:p="urn:p">'
        + 2 * b'<p:ContentContainer><ClinicalDocument xmlns="urn:hl7-org:v3"/></p:ContentContainer>'
        + b"</p:ContentPackage>",
    ],
)
def test_what_is_no_record_is_not_packed(document: bytes) -> None:
    with pytest.raises(DocumentUnusableError):
        signed(EmrForm(), document)


def test_a_record_with_a_document_type_is_not_signed() -> None:
    with pytest.raises(DocumentUnsafeError):
        signed(EmrForm(), RECORD.replace(b"<ClinicalDocument", b"<!DOCTYPE x><ClinicalDocument", 1))


def test_the_form_says_its_format_and_its_files_ending() -> None:
    assert (EmrForm().format, EmrForm().suffix) == (SignatureFormat.EMR, ".signed.xml")


def test_a_container_without_an_identifier_gets_one_and_one_that_is_there_twice_names_nothing() -> None:
    package = serialise(packaged(RECORD))
    assert package.count(b' Id="ContentContainer"') == 1
    made = signed(EmrForm(), package.replace(b' Id="ContentContainer"', b""))
    assert b'<cdp:ContentContainer Id="ContentContainer">' in made
    assert judged(made).signatures[0].unchanged
    twice = package.replace(b"<title>", b'<title Id="ContentContainer">', 1)
    with pytest.raises(DocumentUnusableError, match="more than once"):
        signed(EmrForm(), twice)
