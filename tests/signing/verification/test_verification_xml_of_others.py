"""XML signatures that xmlsec1 and signxml make, in the shapes that they have in the field."""

from __future__ import annotations

import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
    XMLSigner,
)
from signxml.xades import XAdESSigner

from signing.formats import Level, SignatureFormat
from signing.formats.emr import CDP
from signing.verification.findings import Finding
from signing.verification.reading import read
from signing.verification.report import Verdict
from signing.xml import DS
from signing.xml.canonical import Canonicalization
from tests.support.medical_records import RECORD
from tests.support.test_pki import SIGNERS, key, pki
from tests.support.xml_signatures import ODD, findings, judged

ENVELOPED = f'<Transform Algorithm="{DS}enveloped-signature"/>'
NOT_SIGNATURES = (
    '<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    f'<XPath xmlns:d="{DS}"> not( ancestor-or-self::d:Signature ) </XPath></Transform>'
)
SUBTRACT = (
    '<Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2">'
    '<XPath xmlns="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract"'
    f' xmlns:ds="{DS}">/descendant::ds:Signature</XPath></Transform>'
)


def _pem(label: str) -> bytes:
    return key(label).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificate(label: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(pki().certificate(label))


def _template(uri: str, transforms: str, method: str, info: str = Canonicalization.INCLUSIVE) -> str:
    chain = "".join(
        f"<X509Certificate>{b64encode(der).decode()}</X509Certificate>"
        for der in (pki().certificate(method), pki().ca)
    )
    algorithm = "rsa-sha256" if method == "rsa" else "ecdsa-sha256"
    return (
        f'<Signature xmlns="{DS}"><SignedInfo><CanonicalizationMethod Algorithm="{info}"/>'
        f'<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{algorithm}"/>'
        f'<Reference URI="{uri}"><Transforms>{transforms}</Transforms>'
        '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference>'
        f"</SignedInfo><SignatureValue/><KeyInfo><X509Data>{chain}</X509Data></KeyInfo></Signature>"
    )


def _by_xmlsec(document: bytes, label: str, folder: Path) -> bytes:
    """The document with the value that xmlsec1 puts into its template."""
    program = shutil.which("xmlsec1")
    if program is None and sys.platform == "win32":
        pytest.skip("xmlsec1 is not brought by Windows")
    assert program is not None, "tools/setup test installs xmlsec1"
    (folder / "key.pem").write_bytes(_pem(label))
    (folder / "template.xml").write_bytes(document)
    command = [program, "--sign", "--privkey-pem", "key.pem", "--output", "signed.xml"]
    command += ["--id-attr:Id", f"{CDP}:ContentContainer", "template.xml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "signed.xml").read_bytes()


def _before_the_end(document: bytes, template: str) -> bytes:
    head, end, rest = document.rpartition(b"</")
    return head + template.encode() + end + rest


@pytest.mark.parametrize(
    ("label", "info", "transforms"),
    [
        ("rsa", Canonicalization.INCLUSIVE, ENVELOPED),
        ("ec", Canonicalization.INCLUSIVE_COMMENTS, ENVELOPED),
        ("ec", Canonicalization.EXCLUSIVE, ENVELOPED),
        ("rsa", Canonicalization.EXCLUSIVE_COMMENTS, ENVELOPED),
        ("ec", Canonicalization.INCLUSIVE, NOT_SIGNATURES),
        ("rsa", Canonicalization.EXCLUSIVE, NOT_SIGNATURES),
        ("rsa", Canonicalization.INCLUSIVE, SUBTRACT),
        ("ec", Canonicalization.EXCLUSIVE, SUBTRACT),
    ],
)
def test_xmlsec1_signs_documents_with_odd_names(
    label: str, info: str, transforms: str, tmp_path: Path
) -> None:
    chosen = transforms + f'<Transform Algorithm="{info}"/>'
    made = _by_xmlsec(_before_the_end(ODD, _template("", chosen, label, info)), label, tmp_path)
    report = judged(made)
    assert report.verdict is Verdict.REMARK, report
    assert report.signatures[0].format == SignatureFormat.XMLDSIG
    changed = judged(made.replace("王小明".encode(), "王大明".encode()))
    assert changed.verdict is Verdict.INVALID
    assert Finding.CONTENT_CHANGED in findings(changed)


def test_xmlsec1_signs_an_exchange_package(tmp_path: Path) -> None:
    transforms = f'<Transform Algorithm="{Canonicalization.INCLUSIVE}"/>'
    record = RECORD[RECORD.index(b"<ClinicalDocument") :].decode()
    package = (
        f'<cdp:ContentPackage xmlns:cdp="{CDP}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{CDP} CDocumentPayload.xsd" xml:lang="zh-TW">\n'
        '<cdp:ContentContainer Id="病歷">'
        f"<cdp:StructuredContent>{record}</cdp:StructuredContent></cdp:ContentContainer>\n"
        f"{_template('#病歷', transforms, 'rsa')}</cdp:ContentPackage>"
    )
    made = _by_xmlsec(package.encode(), "rsa", tmp_path)
    report = judged(made)
    assert (report.kind, report.verdict) == ("emr", Verdict.REMARK), report
    assert report.signatures[0].signs == "#病歷"


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("method", SignatureConstructionMethod)
def test_signxml_makes_every_shape(method: SignatureConstructionMethod, label: str) -> None:
    signer = XMLSigner(
        method=method,
        signature_algorithm=(SignatureMethod.RSA_SHA256 if label == "rsa" else SignatureMethod.ECDSA_SHA256),
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_1,
    )
    data = etree.fromstring(b'<record xmlns="urn:test:r"><dose>5</dose></record>')
    chain = [_certificate(label), _certificate("ca")]
    uri = "a.xml" if method is SignatureConstructionMethod.detached else None
    made = signer.sign(data, key=key(label), cert=chain, reference_uri=uri)
    outside = None
    if method is SignatureConstructionMethod.detached:
        outside = etree.tostring(data, method="c14n")
    found = read(etree.tostring(made)) if outside is None else read(outside, etree.tostring(made))
    assert [each.intact for each in found.signatures] == [True], found


def test_signxml_makes_pss_and_xades() -> None:
    data = etree.fromstring(b'<record xmlns="urn:test:r"><dose>5</dose></record>')
    chain = [_certificate("rsa"), _certificate("ca")]
    pss = XMLSigner(
        signature_algorithm=SignatureMethod.SHA512_RSA_MGF1, digest_algorithm=DigestAlgorithm.SHA384
    )
    assert read(etree.tostring(pss.sign(data, key=key("rsa"), cert=chain))).signatures[0].intact
    made = etree.tostring(XAdESSigner().sign(data, key=key("rsa"), cert=chain))
    report = judged(made)
    assert report.signatures[0].unchanged, report
    assert (report.signatures[0].format, report.signatures[0].level) == (SignatureFormat.XADES, Level.B_B)
