"""What came back is what was asked for: in every format, and with nothing of the same card's in its place."""

from __future__ import annotations

import base64
import json

import pytest

from agent.batch.choice import Choice
from agent.broker.results import is_signed_by
from signing.formats import Form, Level, SignatureFormat
from signing.formats.cades import Cades, Place
from signing.formats.emr import EmrForm
from signing.formats.fhir import FhirForm
from signing.formats.jws import JwsForm, Serialization
from signing.formats.pades import Pades
from signing.formats.pdf_stamp import Stamp
from signing.formats.xml_signature import Packaging, XmlForm
from signing.hashes import Hash
from tests.support.medical_records import RECORD
from tests.support.pdfs import pdf
from tests.support.test_pki import NOW, pki, sign_with

CARD = "rsa"
XML = (b"<record><name>Wang</name></record>", b"<record><name>Chen</name></record>")
TEXT = (b"take one a day", b"take ten a day")
FHIR = tuple(
    json.dumps({"resourceType": "Patient", "id": each, "active": True}).encode() for each in ("one", "two")
)
RECORDS = (RECORD, RECORD.replace(b"</", b"<!-- --></", 1).replace(b"2", b"3"))
PDFS = (pdf("one"), pdf("two"))


def signed(form: Form, document: bytes, label: str = CARD) -> bytes:
    ready = form.prepare(document, pki().signer(label), Hash.SHA_256, NOW)
    return ready.finish(sign_with(label, ready.digest, ready.hash))


def good(
    result: bytes,
    document: bytes,
    form: SignatureFormat,
    label: str = CARD,
    level: Level = Level.B_B,
    hash: Hash = Hash.SHA_256,  # noqa: A002  (as it is called in a choice)
) -> bool:
    choice = Choice(format=form, level=level, hash=hash)
    return is_signed_by(result, document, pki().certificate(label), choice)


CASES: list[tuple[str, Form, tuple[bytes, ...]]] = [
    ("cades", Cades(), TEXT),
    ("cades attached", Cades(detached=False), TEXT),
    ("xades", XmlForm(), XML),
    ("xmldsig", XmlForm(xades=False), XML),
    ("xades detached", XmlForm(packaging=Packaging.DETACHED, name="x.xml"), XML),
    ("xades enveloping", XmlForm(packaging=Packaging.ENVELOPING), XML),
    ("xades enveloping text", XmlForm(packaging=Packaging.ENVELOPING), TEXT),
    ("emr", EmrForm(), RECORDS),
    ("pades", Pades(), PDFS),
    ("jws", JwsForm(), TEXT),
    ("jws detached", JwsForm(detached=True), TEXT),
    ("jws json", JwsForm(serialization=Serialization.JSON), TEXT),
    ("fhir", FhirForm(), FHIR),
]


@pytest.mark.parametrize(("form", "documents"), [pytest.param(*each[1:], id=each[0]) for each in CASES])
def test_a_result_is_of_its_own_document_and_of_no_other(form: Form, documents: tuple[bytes, ...]) -> None:
    mine, other = (signed(form, each) for each in documents)
    assert good(mine, documents[0], form.format)
    assert not good(other, documents[0], form.format), "the card signed it, but not for this"
    assert not good(mine, documents[0], form.format, "ec")
    assert not good(documents[0], documents[0], form.format)
    xml = {SignatureFormat.EMR, SignatureFormat.XADES, SignatureFormat.XMLDSIG}
    for asked in SignatureFormat:
        same = asked in (xml if form.format is SignatureFormat.EMR else {form.format})
        assert good(mine, documents[0], asked) is same, "another format was asked for"
    assert not good(mine, documents[0], form.format, hash=Hash.SHA_384), "another hash was asked for"
    assert not good(mine, documents[0], form.format, level=Level.B_T), "it has no time stamp"


@pytest.mark.parametrize(
    ("first", "second", "documents"),
    [
        pytest.param(
            Cades(detached=False), Cades(detached=False, place=Place.BESIDE), TEXT, id="cades beside"
        ),
        pytest.param(Cades(), Cades(place=Place.OVER), TEXT, id="cades over"),
        pytest.param(XmlForm(), XmlForm(), XML, id="xades"),
        pytest.param(EmrForm(), EmrForm(), RECORDS, id="emr"),
        pytest.param(Pades(), Pades(), PDFS, id="pades"),
        pytest.param(
            JwsForm(serialization=Serialization.JSON),
            JwsForm(serialization=Serialization.JSON),
            TEXT,
            id="jws",
        ),
    ],
)
def test_one_signature_more_is_asked_of_a_document_that_has_some(
    first: Form, second: Form, documents: tuple[bytes, ...]
) -> None:
    once, other = (signed(first, each) for each in documents)
    twice = signed(second, once)
    assert good(twice, once, second.format)
    assert not good(once, once, second.format), "the card signed it before, and not again"
    assert not good(signed(second, other), once, second.format)


@pytest.mark.parametrize(
    ("form", "level", "document"),
    [
        pytest.param(Cades(), Level.B_LT, TEXT[0], id="cades"),
        pytest.param(XmlForm(), Level.B_LT, XML[0], id="xades"),
        pytest.param(EmrForm(reason="x"), Level.B_LT, RECORDS[0], id="emr"),
        pytest.param(
            Pades(reason="x", stamp=Stamp(page=1)), Level.B_LTA, PDFS[0], id="pades", marks=pytest.mark.slow
        ),
    ],
)
async def test_time_stamps_and_evidence_change_nothing_of_it(
    form: Form, level: Level, document: bytes
) -> None:
    result = await form.augment(signed(form, document), level, pki().evidence())
    for asked in Level:
        assert good(result, document, form.format, level=asked) is level.reaches(asked)


def test_a_signature_of_another_document_that_is_put_into_this_one_is_none_of_it() -> None:
    enveloping = signed(XmlForm(packaging=Packaging.ENVELOPING), XML[1])
    xades = SignatureFormat.XADES
    assert not good(XML[0].replace(b"</record>", enveloping + b"</record>"), XML[0], xades)
    with_more = enveloping.replace(
        b"</ds:Signature>", b"<ds:Object>" + XML[0] + b"</ds:Object></ds:Signature>"
    )
    assert with_more != enveloping
    assert not good(with_more, XML[0], xades)
    assert not good(with_more, XML[1], xades)


def test_a_record_can_be_asked_for_with_a_plain_xml_signature_in_it() -> None:
    for form in (XmlForm(), XmlForm(xades=False)):
        assert good(signed(form, RECORD), RECORD, form.format)


def test_the_bare_value_is_checked_too() -> None:
    value = sign_with(CARD, Hash.SHA_256.digest(TEXT[0]), Hash.SHA_256)
    assert good(value, TEXT[0], SignatureFormat.PKCS1)
    assert not good(value, TEXT[0], SignatureFormat.CADES)
    assert not good(value, TEXT[1], SignatureFormat.PKCS1)


@pytest.mark.parametrize("junk", [b"", b"x", b"<", b"<a", b"%PDF-1.7", b"{}", b"0\x80", b"eyJ.e30.x"])
def test_what_is_no_result_is_none(junk: bytes) -> None:
    for document in (b"", *TEXT, XML[0], FHIR[0]):
        for asked in SignatureFormat:
            assert not good(junk, document, asked)
            assert not good(base64.b64encode(junk), document, asked)
