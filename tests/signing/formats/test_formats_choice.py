"""Which format a document is signed in, and which options each format has."""

from __future__ import annotations

from typing import Any

import pytest

from signing.formats import Level, SignatureFormat
from signing.formats.cades import Cades, Place
from signing.formats.choice import Options, form_for, format_of, highest_level
from signing.formats.emr import EmrForm, packaged
from signing.formats.fhir import FhirForm
from signing.formats.jws import JwsForm, Serialization
from signing.formats.pades import Pades
from signing.formats.xml_signature import Packaging, XmlForm
from signing.xml.parsing import serialise
from tests.support.medical_records import RECORD

F = SignatureFormat
PLAIN = "病歷摘要".encode()
SIGNED = bytes.fromhex("3080 06092A864886F70D010702 A080") + PLAIN


@pytest.mark.parametrize(
    ("document", "name", "expected"),
    [
        (b"%PDF-1.7", "", F.PADES),
        (b"", "record.PDF", F.PADES),
        (b"<?xml version='1.0'?><a/>", "", F.XADES),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "", F.XADES),
        (b"<a/>", "record.xml", F.XADES),
        (b"<?xml version='1.0'?><ContentPackage", "", F.XADES),
        (b"<?xml version='1.0'?><ContentPackage/>", "", F.EMR),
        (PLAIN, "record.txt", F.CADES),
        (PLAIN, "", F.CADES),
    ],
)
def test_a_document_says_by_its_beginning_or_name_what_fits_it(
    document: bytes, name: str, expected: SignatureFormat
) -> None:
    assert format_of(document, name) is expected


def test_an_exchange_package_of_records_is_signed_as_one() -> None:
    assert format_of(serialise(packaged(RECORD))) is F.EMR


def chosen(format: SignatureFormat, document: bytes = PLAIN, **options: Any) -> Any:  # noqa: A002
    return form_for(format, document, Options(**options))


def test_cms_is_beside_the_document_unless_somebody_wants_it_inside() -> None:
    form = chosen(F.CADES)
    assert isinstance(form, Cades)
    assert form.detached and form.place is Place.FIRST
    assert not chosen(F.CADES, detached=False).detached
    assert chosen(F.CADES, SIGNED).place is Place.BESIDE
    assert chosen(F.CADES, SIGNED, over=True).place is Place.OVER
    with pytest.raises(ValueError, match="no signature to countersign"):
        chosen(F.CADES, over=True)


@pytest.mark.parametrize(
    ("options", "packaging"),
    [
        ({}, Packaging.ENVELOPED),
        ({"enveloping": True}, Packaging.ENVELOPING),
        ({"detached": True}, Packaging.DETACHED),
    ],
)
def test_xml_is_packed_as_somebody_wants_it(options: dict[str, bool], packaging: Packaging) -> None:
    for format_ in (F.XADES, F.XMLDSIG):
        form = chosen(format_, **options)
        assert isinstance(form, XmlForm)
        assert (form.packaging, form.xades) == (packaging, format_ is F.XADES)


def test_every_other_format_has_its_own_form() -> None:
    assert chosen(F.EMR, reason="出院") == EmrForm("出院")
    assert chosen(F.JWS) == JwsForm(False, Serialization.COMPACT)
    assert chosen(F.JWS, detached=True, serialization="json") == JwsForm(True, Serialization.JSON)
    assert chosen(F.FHIR, serialization="xml", reason="出院") == FhirForm(True, "出院")
    assert not chosen(F.FHIR).xml
    seen = chosen(F.PADES, field="Signature1", page=-1)
    assert isinstance(seen, Pades)
    assert (seen.field, seen.stamp.page if seen.stamp else 0) == ("Signature1", -1)
    assert chosen(F.PADES).stamp is None


@pytest.mark.parametrize(
    ("format_", "options", "words"),
    [
        (F.JWS, {"reason": "x"}, "has no option reason"),
        (F.XMLDSIG, {"reason": "x"}, "has no option reason"),
        (F.EMR, {"detached": True}, "has no option detached"),
        (F.CADES, {"page": 1}, "has no option page"),
        (F.FHIR, {"serialization": "compact"}, "is not written as compact"),
        (F.JWS, {"serialization": "xml"}, "is not written as xml"),
    ],
)
def test_what_a_format_does_not_have_is_refused(
    format_: SignatureFormat, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        chosen(format_, **options)


def test_what_is_no_format_of_documents_is_refused() -> None:
    others = [each for each in F if each not in (F.CADES, F.XADES, F.XMLDSIG, F.EMR, F.PADES, F.JWS, F.FHIR)]
    for each in others:
        with pytest.raises(ValueError, match="no format of documents"):
            chosen(each)


@pytest.mark.parametrize(
    ("format_", "level"),
    [(F.CADES, Level.B_LT), (F.PADES, Level.B_LTA), (F.JWS, Level.B_B), (F.FHIR, Level.B_B)],
)
def test_how_far_a_format_can_be_brought(format_: SignatureFormat, level: Level) -> None:
    assert highest_level(format_) is level
