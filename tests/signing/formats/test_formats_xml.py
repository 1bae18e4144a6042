"""XML-DSig and XAdES as others read them: xmlsec1, signxml, and this program's own reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import signxml.xades
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from signxml import XMLVerifier
from signxml.exceptions import InvalidInput, InvalidSignature
from signxml.xades import XAdESVerifier

from signing.errors import DocumentUnusableError, EvidenceError
from signing.formats import Level, RevocationEvidence, SignatureFormat, Signer
from signing.formats.xml_signature import Packaging, XmlForm
from signing.hashes import Hash
from signing.verification.findings import Finding
from signing.verification.report import TimeSource, Verdict
from signing.xml import DS, XADES
from tests.support.test_pki import DAY, EC_SIGNER, NOW, RSA_SIGNER, SIGNERS, PkiEvidence, pki
from tests.support.vectors import certificate
from tests.support.xml_signatures import ODD, by_identifier, findings, judged, signed, xmlsec_agrees

PLAIN = b'<record xmlns="urn:test:r"><name>Wang</name></record>'


def _judged(document: bytes, form: XmlForm, made: bytes) -> object:
    return judged(document, made) if form.packaging is Packaging.DETACHED else judged(made)


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("packaging", Packaging)
@pytest.mark.parametrize("xades", [True, False], ids=["xades", "xmldsig"])
def test_every_shape_is_valid_here_and_with_xmlsec1(
    xades: bool, packaging: Packaging, label: str, tmp_path: Path
) -> None:
    (tmp_path / "病歷.xml").write_bytes(ODD)
    form = XmlForm(xades=xades, packaging=packaging, name="病歷.xml")
    made = signed(form, ODD, label)
    assert xmlsec_agrees(made, tmp_path)
    report = _judged(ODD, form, made)
    assert report.verdict is Verdict.REMARK, report  # type: ignore[attr-defined]
    [signature] = report.signatures  # type: ignore[attr-defined]
    assert findings(report) <= {  # type: ignore[arg-type]
        Finding.REVOCATION_UNCHECKED,
        Finding.TIME_ONLY_CLAIMED,
        Finding.CERTIFICATE_NOT_BOUND,
    }
    assert (signature.format, signature.level) == (
        (SignatureFormat.XADES, Level.B_B) if xades else (SignatureFormat.XMLDSIG, "")
    )


@pytest.mark.parametrize("label", [*SIGNERS, "rsa3072", "ec384"])
def test_signxml_takes_them_on_its_default_settings(label: str) -> None:
    signer = x509.load_der_x509_certificate(pki().certificate(label))
    XMLVerifier().verify(signed(XmlForm(xades=False), PLAIN, label), x509_cert=signer)
    XAdESVerifier().verify(signed(XmlForm(), PLAIN, label, algorithm=Hash.SHA_512), x509_cert=signer)


def test_what_is_no_xml_is_signed_inside_or_beside(tmp_path: Path) -> None:
    inside = XmlForm(packaging=Packaging.ENVELOPING)
    made = signed(inside, b"\x00\xff binary")
    assert xmlsec_agrees(made, tmp_path)
    assert judged(made).signatures[0].unchanged
    with pytest.raises(DocumentUnusableError):
        signed(XmlForm(), b"\x00\xff binary")


def test_a_detached_signature_without_its_document_decides_nothing_and_with_another_is_invalid() -> None:
    made = signed(XmlForm(packaging=Packaging.DETACHED, name="a.xml"), PLAIN)
    assert judged(made).verdict is Verdict.UNDECIDED
    assert Finding.CONTENT_MISSING in findings(judged(made))
    other = judged(PLAIN + b"\n", made)
    assert other.verdict is Verdict.INVALID
    assert Finding.CONTENT_CHANGED in findings(other)


def test_a_second_and_a_third_signature_leave_the_first_one_valid_and_say_their_order(tmp_path: Path) -> None:
    made = ODD
    for number, label in enumerate((RSA_SIGNER, EC_SIGNER, "institution")):
        made = signed(XmlForm(), made, label, when=NOW - timedelta(minutes=9 - number))
    assert all(xmlsec_agrees(made, tmp_path, number) for number in (1, 2, 3))
    report = judged(made)
    assert [each.unchanged for each in report.signatures] == [True] * 3
    assert [each.time for each in report.signatures] == sorted(
        each.time for each in report.signatures if each.time
    )
    # Whoever takes the first signature away is found out by the later ones.
    start, end = made.index(b"<ds:SignatureValue"), made.index(b"</ds:SignatureValue>")
    changed = made[: start + 80] + bytes((made[start + 80] ^ 1,)) + made[start + 81 :]
    assert start + 80 < end
    assert [each.unchanged for each in judged(changed).signatures] == [False] * 3


@pytest.mark.parametrize("label", SIGNERS)
async def test_a_stamp_and_what_authorities_said_make_it_last(label: str, tmp_path: Path) -> None:
    evidence = pki().evidence()
    made = signed(XmlForm(), ODD, label)
    stamped = await XmlForm().augment(made, Level.B_T, evidence)
    lasting = await XmlForm().augment(made, Level.B_LT, evidence)
    assert xmlsec_agrees(lasting, tmp_path)
    assert judged(stamped).signatures[0].level == Level.B_T
    report = judged(lasting, hard=True)
    assert report.verdict is Verdict.VALID, report
    [signature] = report.signatures
    assert (signature.level, signature.time_source, signature.time) == (Level.B_LT, TimeSource.STAMP, NOW)
    # The certificate has expired by then, and nobody is asked.
    later = judged(lasting, hard=True, now=NOW + 500 * DAY)
    assert later.verdict is Verdict.VALID, later
    assert judged(made, now=NOW + 500 * DAY).verdict is not Verdict.VALID


@pytest.mark.parametrize(("label", "answers"), [("rsa", "crl"), ("ec", "ocsp")])
async def test_what_lies_beside_a_signature_is_as_etsi_s_schema_has_it(label: str, answers: str) -> None:
    form = XmlForm(reason="確認")
    lasting = await form.augment(signed(form, PLAIN, label), Level.B_LT, pki().evidence(answers=answers))
    assert judged(lasting, hard=True).verdict is Verdict.VALID
    signer = x509.load_der_x509_certificate(pki().certificate(label))
    XAdESVerifier().verify(lasting, x509_cert=signer)
    file = Path(signxml.xades.__file__).parent / "schemas" / "XAdES01903v141-201601.xsd"
    schema = etree.XMLSchema(etree.parse(str(file)))
    [properties] = list(etree.fromstring(lasting).iter(f"{{{XADES}}}QualifyingProperties"))
    assert schema.validate(etree.fromstring(etree.tostring(properties))), schema.error_log


@pytest.mark.parametrize("stamps", ["down", "wrong", "refuses"])
async def test_no_usable_stamp_is_an_error_and_no_signed_document(stamps: str) -> None:
    made = signed(XmlForm(), PLAIN)
    with pytest.raises(EvidenceError):
        await XmlForm().augment(made, Level.B_T, pki().evidence(stamps=stamps))


async def test_xml_dsig_has_no_levels_and_xades_none_above_b_lt() -> None:
    plain = signed(XmlForm(xades=False), PLAIN)
    with pytest.raises(DocumentUnusableError):
        await XmlForm(xades=False).augment(plain, Level.B_T, pki().evidence())
    with pytest.raises(DocumentUnusableError):
        await XmlForm().augment(signed(XmlForm(), PLAIN), Level.B_LTA, pki().evidence())


@pytest.mark.parametrize("label", SIGNERS)
def test_signxml_takes_no_changed_bit(label: str) -> None:
    signer = x509.load_der_x509_certificate(pki().certificate(label))
    made = signed(XmlForm(), PLAIN, label)
    XAdESVerifier().verify(made, x509_cert=signer)
    places = [b"<name>", b"<ds:DigestValue>", b"<xades:SigningTime>", b"<ds:SignatureValue"]
    for place in places:
        at = made.index(b">", made.index(place)) + 3
        changed = made[:at] + bytes((made[at] ^ 1,)) + made[at + 1 :]
        # Where it is no longer base64, the schema refuses it first.
        with pytest.raises((InvalidInput, InvalidSignature, etree.DocumentInvalid)):
            XAdESVerifier().verify(changed, x509_cert=signer)


@pytest.mark.parametrize("label", SIGNERS)
def test_one_bit_changed_at_any_signed_place_is_noticed_here_and_by_xmlsec1(
    label: str, tmp_path: Path
) -> None:
    made = signed(XmlForm(reason="同意"), ODD, label)
    places = {
        "name": "王小明",
        "element": "p:姓名 ",
        "attribute": "編號",
        "instruction": 'href="a.xsl"',
        "value": "<ds:SignatureValue Id",
        "digest": "<ds:DigestValue>",
        "time": "<xades:SigningTime>",
        "reason": "同意",
        "certificate": "<ds:X509Certificate>",
    }
    for place, text in places.items():
        position = made.index(text.encode()) + (0 if len(text) < 15 and "<" not in text else len(text))
        position = made.index(b">", position) + 5 if place == "value" else position
        for bit in (1, 2):
            changed = bytearray(made)
            changed[position + 1] ^= bit
            assert judged(bytes(changed)).verdict in (Verdict.INVALID, Verdict.UNDECIDED), place
            assert not xmlsec_agrees(bytes(changed), tmp_path), place


def test_a_form_says_its_format_and_its_files_ending() -> None:
    assert (XmlForm().format, XmlForm().suffix) == (SignatureFormat.XADES, ".signed.xml")
    assert XmlForm(xades=False).format is SignatureFormat.XMLDSIG


def test_a_reason_has_its_place_in_xades_alone_and_no_control_characters() -> None:
    with pytest.raises(DocumentUnusableError, match="no place for a reason"):
        XmlForm(xades=False, reason="出院").prepare(b"<a/>", pki().signer(), Hash.SHA_256, NOW)
    with pytest.raises(DocumentUnusableError, match="control characters"):
        XmlForm(reason="\x01").prepare(b"<a/>", pki().signer(), Hash.SHA_256, NOW)


def test_xml_that_cannot_be_read_is_not_wrapped_as_if_it_were_something_else() -> None:
    with pytest.raises(DocumentUnusableError):
        XmlForm(packaging=Packaging.ENVELOPING).prepare(b"<a>", pki().signer(), Hash.SHA_256, NOW)


async def test_the_lowest_level_is_what_was_signed() -> None:
    assert await XmlForm().augment(b"<a/>", Level.B_B, pki().evidence()) == b"<a/>"


def test_a_key_of_no_kind_that_xml_signatures_have_is_refused() -> None:
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    public = edwards.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for key in (public, bytes.fromhex("3003 020101")):
        with pytest.raises(DocumentUnusableError, match="cannot be used"):
            XmlForm().prepare(b"<a/>", Signer(certificate(key), ()), Hash.SHA_256, NOW)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (lambda: PLAIN, "no XML signature"),
        (lambda: signed(XmlForm(xades=False), PLAIN), "no XAdES signature"),
        (
            lambda: re.sub(rb"<ds:X509Certificate>[^<]+", b"<ds:X509Certificate>", signed(XmlForm(), PLAIN)),
            "holds no certificate",
        ),
    ],
    ids=["not signed", "without properties", "without a certificate"],
)
async def test_what_is_no_xades_signature_is_not_raised(document: Callable[[], bytes], words: str) -> None:
    with pytest.raises(DocumentUnusableError, match=words):
        await XmlForm().augment(document(), Level.B_LT, pki().evidence())


async def test_where_authorities_say_nothing_only_certificates_are_added() -> None:
    class Silent(PkiEvidence):
        async def revocation(self, certificate: bytes, issuer: bytes) -> RevocationEvidence:
            return RevocationEvidence()

    made = await XmlForm().augment(signed(XmlForm(), PLAIN), Level.B_LT, Silent(pki()))
    assert b"<xades:CertificateValues" in made
    assert b"RevocationValues" not in made
    assert judged(made).signatures[0].unchanged


def test_a_second_signature_stands_beside_one_over_a_part_and_inside_one_over_all(tmp_path: Path) -> None:
    of_a_part = by_identifier(b'<r><part Id="p">x</part></r>', "p")
    of_all = signed(XmlForm(xades=False), PLAIN)
    for number, first in enumerate((of_a_part, of_all)):
        both = signed(XmlForm(), first, EC_SIGNER)
        assert [each.unchanged for each in judged(both).signatures] == [True, True]
        assert xmlsec_agrees(both, tmp_path, 2)
        *_, inner = etree.fromstring(both).iter(f"{{{DS}}}Signature")
        assert etree.QName(inner.getparent()).localname == ("r", "Object")[number]
