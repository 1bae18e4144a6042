"""No format can be talked into signing what a login signs."""

from __future__ import annotations

import pytest

from signing.formats import Form
from signing.formats.cades import Cades, Place
from signing.formats.emr import EmrForm
from signing.formats.fhir import FhirForm
from signing.formats.jws import JwsForm
from signing.formats.pades import Pades
from signing.formats.xml_signature import Packaging, XmlForm
from signing.guard import LOGIN_LENGTHS, check_document
from signing.hashes import Hash
from tests.support.medical_records import RECORD
from tests.support.pdfs import pdf
from tests.support.test_pki import NOW, SIGNERS, pki, sign_with


def _message() -> bytes:
    ready = Cades(detached=False).prepare(b"x", pki().signer(), Hash.SHA_256, NOW)
    return ready.finish(sign_with("rsa", ready.digest, Hash.SHA_256))


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize(
    ("form", "document"),
    [
        pytest.param(Cades(), b"x", id="CAdES"),
        pytest.param(Cades(place=Place.BESIDE), None, id="CAdES beside"),
        pytest.param(Cades(place=Place.OVER), None, id="CAdES over"),
        pytest.param(XmlForm(), b"<x/>", id="XAdES"),
        pytest.param(XmlForm(xades=False), b"<x/>", id="XML-DSig"),
        pytest.param(XmlForm(xades=False, packaging=Packaging.ENVELOPING), b"x", id="enveloping"),
        pytest.param(XmlForm(xades=False, packaging=Packaging.DETACHED, name="x"), b"x", id="detached"),
        pytest.param(EmrForm(), RECORD, id="exchange package"),
        pytest.param(Pades(), pdf("x"), id="PAdES"),
        pytest.param(JwsForm(), b"x", id="JWS"),
        pytest.param(JwsForm(detached=True), b"x", id="JWS detached"),
        pytest.param(FhirForm(), b'{"resourceType":"Basic","id":"1"}', id="FHIR"),
        pytest.param(FhirForm(xml=True), b'{"resourceType":"Basic","id":"1"}', id="FHIR in XML"),
    ],
)
def test_no_login_can_be_made_of_what_any_format_signs(
    form: Form, document: bytes | None, label: str
) -> None:
    given = _message() if document is None else document
    signed = form.prepare(given, pki().signer(label), Hash.SHA_256, NOW).signed
    # A login is as long as two hashes; names, digests and certificates make these inputs longer.
    assert len(signed) > max(LOGIN_LENGTHS)
    # Nor do they begin as a hash does: with a SET OF, an element, or base64 of a JSON object.
    assert signed[:1] == b"\x31" or signed.startswith((b"<ds:SignedInfo", b"<SignedInfo", b"eyJ"))
    check_document(signed)
