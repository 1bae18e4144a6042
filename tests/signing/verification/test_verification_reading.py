"""Which reader a file goes to, by its first octets, and whose signature it has to be."""

from __future__ import annotations

import json

import pytest

from signing.cms.build import CmsForm, sign_cms
from signing.formats.fhir import FhirForm
from signing.formats.jws import JwsForm, Serialization
from signing.formats.xml_signature import XmlForm
from signing.hashes import Hash
from signing.verification.findings import Finding
from signing.verification.reading import is_fhir, is_jws, is_pdf, is_signed, is_xml, read
from tests.support.test_pki import pki, sign_with
from tests.support.xml_signatures import signed

RESOURCE = b'{"resourceType":"Bundle"}'


def made(kind: str) -> tuple[bytes, bytes | None]:
    """A document, and the signature beside it."""
    form = {"xml": XmlForm(xades=False), "jws": JwsForm(), "fhir": FhirForm()}.get(kind)
    if kind == "cms":
        return sign_cms(pki().card(), b"record", Hash.SHA_256, CmsForm()), None
    if kind == "pkcs1":
        return b"record", sign_with("rsa", Hash.SHA_256.digest(b"record"), Hash.SHA_256)
    assert form is not None
    return (RESOURCE, signed(form, RESOURCE)) if kind == "fhir" else (signed(form, b"<record/>"), None)


@pytest.mark.parametrize("kind", ["cms", "xml", "jws", "fhir", "pkcs1"])
def test_a_file_goes_to_the_reader_of_its_kind_and_is_of_who_was_named(kind: str) -> None:
    document, signature = made(kind)
    found = read(document, signature, certificate=pki().certificate("rsa"))
    assert found.kind == kind
    [one] = found.signatures
    assert (one.intact, one.certificate) == (True, pki().certificate("rsa"))


@pytest.mark.parametrize("kind", ["cms", "xml", "jws", "fhir"])
def test_a_signature_of_another_than_who_was_named_is_said_to_be(kind: str) -> None:
    document, signature = made(kind)
    [one] = read(document, signature, certificate=pki().certificate("institution")).signatures
    assert one.remarks[-1].finding is Finding.CERTIFICATE_OTHER
    assert one.remarks[-1].detail == "not the one that was named"
    [unnamed] = read(document, signature).signatures
    assert Finding.CERTIFICATE_OTHER not in {each.finding for each in unnamed.remarks}


def test_what_no_reader_knows_is_said_to_be_unknown() -> None:
    found = read(b"record", b"\x01" * 10, certificate=pki().certificate("rsa"))
    assert (found.kind, found.signatures) == ("unknown", ())
    assert [each.finding for each in found.remarks] == [Finding.FORMAT_UNKNOWN]
    assert not is_signed(b"record")


def test_a_pdf_goes_to_its_reader_and_what_only_begins_as_one_is_unreadable() -> None:
    found = read(b"\n%PDF-1.7")
    assert (found.kind, [each.finding for each in found.remarks]) == ("pdf", [Finding.DOCUMENT_UNREADABLE])


@pytest.mark.parametrize(
    ("looks_like", "document", "told"),
    [
        (is_xml, b"\xef\xbb\xbf \r\n<a/>", True),
        (is_xml, "<a/>".encode("utf-16"), True),
        (is_xml, "<a/>".encode("utf-16-be"), False),
        (is_xml, b"\xfe\xff" + "<a/>".encode("utf-16-be"), True),
        (is_xml, b"a<", False),
        (is_pdf, bytes(1019) + b"%PDF-", True),
        (is_pdf, bytes(1020) + b"%PDF-", False),
        (is_jws, b"eyJhbGciOiJSUzI1NiJ9.e30.AA", True),
        (is_jws, b"eyJhbGciOiJSUzI1NiJ9.e30", False),
        (is_jws, b'{"protected":"","signature":""}', True),
        (is_jws, b'{"payload":""}', False),
        (is_jws, b"<a/>..", False),
        (is_fhir, b' {"resourceType":"Provenance","signature":[{"sigFormat":""}]}', True),
        (is_fhir, b'{"resourceType":"Bundle","sigFormat":""}', False),
        (is_fhir, b'["Provenance","sigFormat"]', False),
    ],
)  # fmt: skip
def test_it_is_told_by_how_a_document_begins(looks_like: object, document: bytes, told: bool) -> None:
    assert looks_like(document) is told  # type: ignore[operator]
    assert not told or is_signed(document)


def test_a_provenance_that_holds_a_jws_in_json_is_no_jws_itself() -> None:
    message = signed(JwsForm(serialization=Serialization.JSON), RESOURCE).decode()
    whole = {"resourceType": "Provenance", "signature": [{"sigFormat": "", "data": message}]}
    assert read(json.dumps(whole).encode()).kind == "fhir"
    assert read(message.encode()).kind == "jws"
