"""XML that was tampered with: everything that leaves digests right and shows somebody something else."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache

import pytest
from lxml import etree

from signing.formats.emr import EmrForm
from signing.formats.xml_signature import Packaging, XmlForm
from signing.verification.findings import Finding
from signing.verification.reading import read
from signing.verification.report import Verdict
from signing.xml import DS
from signing.xml.parsing import MARKUP_MAX, parse
from tests.support.medical_records import RECORD
from tests.support.test_pki import pki
from tests.support.xml_signatures import by_identifier, findings, judged, signed

ORDER = b'<orders><order Id="o1"><dose>5</dose></order></orders>'
EVIL = b'<order Id="o2"><dose>500</dose></order>'


@cache
def order() -> bytes:
    return by_identifier(ORDER, "o1")


@cache
def whole() -> bytes:
    return signed(XmlForm(), ORDER)


@cache
def package() -> bytes:
    return signed(EmrForm(reason="確認"), signed(EmrForm(), RECORD, "institution"))


@cache
def enveloping() -> bytes:
    return signed(XmlForm(packaging=Packaging.ENVELOPING), ORDER)


def _part(document: bytes, name: str) -> bytes:
    found = re.search(rb"<((?:\w+:)?%b)[ >].*?</\1>" % name.encode(), document, re.DOTALL)
    assert found is not None
    return found[0]


def _moved(document: bytes, part: bytes, into: Callable[[bytes], bytes], instead: bytes) -> bytes:
    return into(document.replace(part, instead, 1).replace(b"@", part, 1))


def _signature(document: bytes) -> bytes:
    return _part(document, "Signature")


def _in_object(document: bytes, original: bytes, instead: bytes) -> bytes:
    """What was signed, in an Object of the signature; something else in its place."""
    changed = document.replace(original, instead, 1)
    return changed.replace(b"</ds:Signature>", b"<ds:Object>" + original + b"</ds:Object></ds:Signature>", 1)


def test_a_signature_over_one_element_says_what_is_not_covered() -> None:
    report = judged(order())
    assert report.signatures[0].unchanged
    assert findings(report) >= {Finding.CONTENT_NOT_COVERED}
    assert report.signatures[0].signs == "#o1"


WRAPPED: dict[str, Callable[[], bytes]] = {
    "moved into the signature, another in its place": lambda: _in_object(
        order(), _part(order(), "order"), EVIL
    ),
    "moved into the signature, another with its identifier in its place": lambda: _in_object(
        order(), _part(order(), "order"), EVIL.replace(b"o2", b"o1")
    ),
    "moved into a wrapper, another in its place": lambda: order().replace(
        _part(order(), "order"), EVIL + b"<wrapper>" + _part(order(), "order") + b"</wrapper>", 1
    ),
    "moved into another of its name": lambda: order().replace(
        _part(order(), "order"), b'<order Id="o2"><dose>500</dose>' + _part(order(), "order") + b"</order>", 1
    ),
    "doubled before": lambda: order().replace(b"<order ", EVIL + b"<order ", 1),
    "doubled behind": lambda: order().replace(b"</order>", b"</order>" + EVIL, 1),
    "doubled with its identifier": lambda: order().replace(
        b"</order>", b"</order>" + EVIL.replace(b"o2", b"o1"), 1
    ),
    "another with its identifier under another name of the attribute": lambda: order().replace(
        b"</order>", b'</order><order ID="o1"><dose>500</dose></order>', 1
    ),
    "another with its identifier as xml:id": lambda: order().replace(
        b"</order>", b'</order><order xml:id="o1"><dose>500</dose></order>', 1
    ),
    "another with its identifier in another namespace": lambda: order().replace(
        b"</order>", b'</order><order xmlns:u="urn:u" u:Id="o1"><dose>500</dose></order>', 1
    ),
    "moved into the signature, a root of its name around it": lambda: (
        _in_object(order(), _part(order(), "order"), b"")
        .replace(b"<orders>", b'<order dose="500">')
        .replace(b"</orders>", b"</order>")
    ),
    "the root is the signed one's like": lambda: (
        b'<order Id="o0"><dose>500</dose>' + order().partition(b"?>")[2].strip() + b"</order>"
    ),
    "hidden in the signature beside its parts": lambda: order().replace(
        b"</ds:Signature>", EVIL + b"</ds:Signature>", 1
    ),
    "hidden in an Object": lambda: order().replace(
        b"</ds:Signature>", b"<ds:Object>" + EVIL + b"</ds:Object></ds:Signature>", 1
    ),
    "a second record in the package": lambda: package().replace(
        b"</cdp:ContentContainer>",
        b'</cdp:ContentContainer><cdp:Other><ClinicalDocument xmlns="urn:hl7-org:v3"/></cdp:Other>',
        1,
    ),
    "a second container before the first": lambda: package().replace(
        b"<cdp:ContentContainer ",
        b"<cdp:ContentContainer><x/></cdp:ContentContainer><cdp:ContentContainer ",
        1,
    ),
    "the container moved into the signature, another in its place": lambda: _in_object(
        package(),
        _part(package(), "ContentContainer"),
        b'<cdp:ContentContainer><ClinicalDocument xmlns="urn:hl7-org:v3"/></cdp:ContentContainer>',
    ),
    "the container moved into a wrapper": lambda: package().replace(
        _part(package(), "ContentContainer"),
        b"<cdp:Old>" + _part(package(), "ContentContainer") + b"</cdp:Old>",
        1,
    ),
    "the enveloping signature put into a document": lambda: (
        b"<orders>" + EVIL + enveloping().partition(b"?>")[2].strip() + b"</orders>"
    ),
    "signed properties doubled": lambda: whole().replace(
        _part(whole(), "SignedProperties"),
        _part(whole(), "SignedProperties") + _part(whole(), "SignedProperties").replace(b"2026", b"2025"),
        1,
    ),
    "qualifying properties doubled": lambda: whole().replace(
        b"</ds:Signature>",
        b"<ds:Object>"
        + re.sub(rb' Id="[^"]*"', b"", _part(whole(), "QualifyingProperties"))
        + b"</ds:Object></ds:Signature>",
        1,
    ),
    "SignedInfo doubled": lambda: whole().replace(
        b"<ds:SignatureValue", _part(whole(), "SignedInfo") + b"<ds:SignatureValue", 1
    ),
    "SignatureValue doubled": lambda: whole().replace(
        b"<ds:KeyInfo", b"<ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo", 1
    ),
    "DigestValue doubled": lambda: whole().replace(
        b"</ds:DigestValue>", b"</ds:DigestValue><ds:DigestValue>AAAA</ds:DigestValue>", 1
    ),
}


@pytest.mark.parametrize("attack", WRAPPED)
def test_what_was_moved_doubled_or_hidden_never_passes_as_signed(attack: str) -> None:
    report = judged(WRAPPED[attack]())
    assert report.verdict is Verdict.INVALID, report
    assert report.signatures
    assert findings(report) & {
        Finding.STRUCTURE_AMBIGUOUS,
        Finding.SIGNATURE_UNREADABLE,
        Finding.CONTENT_CHANGED,
    }


BESIDE: dict[str, Callable[[], bytes]] = {
    "an element of another name": lambda: order().replace(b"</order>", b"</order><note>stop</note>", 1),
    "text": lambda: order().replace(b"</order>", b"</order>stop", 1),
    "an attribute of the root": lambda: order().replace(b"<orders", b'<orders void="yes"', 1),
    "the root renamed, with an attribute": lambda: (
        order().replace(b"<orders>", b'<cancelled by="x">').replace(b"</orders>", b"</cancelled>")
    ),
    "the signed one moved into the signature": lambda: _in_object(order(), _part(order(), "order"), b""),
    "text in the package": lambda: package().replace(
        b"<cdp:ContentContainer ", b"x<cdp:ContentContainer ", 1
    ),
    "an attribute of the package": lambda: package().replace(
        b"<cdp:ContentPackage", b'<cdp:ContentPackage void="yes"', 1
    ),
}


@pytest.mark.parametrize("attack", BESIDE)
def test_what_stands_unsigned_beside_what_is_signed_leaves_it_undecided(attack: str) -> None:
    report = judged(BESIDE[attack]())
    assert report.verdict is Verdict.UNDECIDED, report
    assert Finding.CONTENT_BESIDE in findings(report)
    assert all(each.unchanged for each in report.signatures)


CHANGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "the value": (lambda: whole().replace(b"<dose>5<", b"<dose>50<"), "content.changed"),
    "an element removed": (lambda: whole().replace(b"<dose>5</dose>", b""), "content.changed"),
    "an element renamed": (lambda: whole().replace(b"dose>", b"does>"), "content.changed"),
    "an attribute": (lambda: whole().replace(b'"o1"', b'"o9"'), "content.changed"),
    "white space": (lambda: whole().replace(b"<dose>", b" <dose>"), "content.changed"),
    "the namespace": (
        lambda: whole().replace(b"<orders>", b'<orders xmlns="urn:other">'),
        "content.changed",
    ),
    "an instruction before the root": (
        lambda: whole().replace(b"<orders>", b'<?xml-stylesheet href="x"?><orders>'),
        "content.changed",
    ),
    "what is inside an enveloping one": (
        lambda: enveloping().replace(b"<dose>5<", b"<dose>50<"),
        "content.changed",
    ),
    "the signed element taken away": (
        lambda: order().replace(_part(order(), "order"), b""),
        "content.changed",
    ),
    "the signing time": (
        lambda: re.sub(rb"(<xades:SigningTime>)\d{4}", rb"\g<1>2019", whole()),
        "content.changed",
    ),
    "the reason": (lambda: package().replace("確認".encode(), "反對".encode()), "content.changed"),
    "a digest and the content": (
        lambda: re.sub(
            rb"(<ds:DigestValue>)[^<]*",
            rb"\g<1>" + b64encode(b"x" * 32),
            whole(),
            count=1,
        ),
        "signature.wrong",
    ),
    "the signature value": (
        lambda: re.sub(rb"(<ds:SignatureValue[^>]*>).", rb"\g<1>@", whole()),
        "signature.unreadable",
    ),
    "the signature value emptied": (
        lambda: re.sub(rb"(<ds:SignatureValue[^>]*>)[^<]*", rb"\g<1>", whole()),
        "signature.wrong",
    ),
    "the algorithm": (
        lambda: whole().replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#rsa-sha512"),
        "signature.wrong",
    ),
    "the certificate": (
        lambda: re.sub(
            rb"(<ds:X509Certificate>)[^<]*",
            rb"\g<1>" + b64encode(pki().certificate("institution")),
            whole(),
            count=1,
        ),
        "certificate.other",
    ),
    "the references": (
        lambda: re.sub(rb"<ds:Reference .*?</ds:Reference>", b"", order(), count=1),
        "signature.wrong",
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_was_changed_is_said(what: str) -> None:
    make, finding = CHANGED[what]
    document = make()
    assert document not in (whole(), order(), package(), enveloping())
    report = judged(document)
    assert report.verdict is Verdict.INVALID, report
    assert finding in findings(report)
    assert not all(each.unchanged for each in report.signatures)


REFUSED: dict[str, Callable[[], bytes]] = {
    "a document type": lambda: whole().replace(b"<orders>", b"<!DOCTYPE orders><orders>"),
    "entities": lambda: whole().replace(
        b"<orders>", b"<!DOCTYPE orders [<!ENTITY a 'b'><!ENTITY c '&a;&a;&a;'>]><orders>&c;"
    ),
    "an entity of a file": lambda: whole().replace(
        b"<orders>", b"<!DOCTYPE o [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><orders>&a;"
    ),
    "an entity of the network": lambda: whole().replace(
        b"<orders>", b"<!DOCTYPE o [<!ENTITY % a SYSTEM 'http://127.0.0.1:1/a.dtd'>%a;]><orders>"
    ),
    "attributes by default": lambda: whole().replace(
        b"<orders>", b"<!DOCTYPE orders [<!ATTLIST order Id ID 'o1'>]><orders>"
    ),
    "more elements than are read": lambda: whole().replace(b"<orders>", b"<orders>" + b"<a/>" * MARKUP_MAX),
    "deeper than is read": lambda: whole().replace(b"<dose>", b"<a>" * 5000 + b"</a>" * 5000 + b"<dose>"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_safe_to_read_is_refused(what: str) -> None:
    report = judged(REFUSED[what]())
    assert report.verdict is Verdict.UNDECIDED
    assert findings(report) <= {Finding.STRUCTURE_REFUSED, Finding.DOCUMENT_UNREADABLE}
    assert not report.signatures


UNKNOWN: dict[str, tuple[Callable[[], bytes], str]] = {
    "a stylesheet as a transform": (
        lambda: whole().replace(
            f"{DS}enveloped-signature".encode(), b"http://www.w3.org/TR/1999/REC-xslt-19991116"
        ),
        "algorithm.unknown",
    ),
    "an expression as a transform": (
        lambda: whole().replace(
            f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'.encode(),
            b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
            b"<ds:XPath>count(//*[count(//*)>1])</ds:XPath></ds:Transform>",
        ),
        "algorithm.unknown",
    ),
    "an expression that leaves out more than signatures": (
        lambda: whole().replace(
            f'<ds:Transform Algorithm="{DS}enveloped-signature"/>'.encode(),
            b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
            b"<ds:XPath>not(ancestor-or-self::ds:Signature or self::dose)</ds:XPath></ds:Transform>",
        ),
        "algorithm.unknown",
    ),
    "a message authentication code": (
        lambda: whole().replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256"),
        "algorithm.unknown",
    ),
    "a digest": (
        lambda: whole().replace(b"xmlenc#sha256", b"xmlenc#ripemd160", 1),
        "algorithm.unknown",
    ),
    "a reference to a file": (
        lambda: whole().replace(b'URI=""', b'URI="file:///etc/passwd"', 1),
        "content.missing",
    ),
    "a reference to the network": (
        lambda: whole().replace(b'URI=""', b'URI="http://127.0.0.1:1/x.xml"', 1),
        "content.missing",
    ),
    "an XPointer": (
        lambda: whole().replace(b'URI=""', b'URI="#xpointer(//order)"', 1),
        "algorithm.unknown",
    ),
    "many transforms": (
        lambda: whole().replace(
            b"<ds:Transforms>",
            b"<ds:Transforms>" + f'<ds:Transform Algorithm="{DS}base64"/>'.encode() * 20,
            1,
        ),
        "algorithm.unknown",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_is_neither_run_nor_fetched_nor_believed(what: str) -> None:
    make, finding = UNKNOWN[what]
    report = judged(make())
    assert report.verdict in (Verdict.INVALID, Verdict.UNDECIDED)
    assert not report.signatures[0].unchanged
    assert finding in findings(report)


def test_a_key_of_another_kind_than_the_method_is_wrong_and_no_error() -> None:
    document = whole().replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#ecdsa-sha256")
    assert Finding.SIGNATURE_WRONG in findings(judged(document))


def test_a_signature_without_certificate_decides_nothing_until_one_is_given() -> None:
    document = re.sub(rb"<ds:KeyInfo.*?</ds:KeyInfo>", b"", signed(XmlForm(xades=False), ORDER))
    assert judged(document).verdict is Verdict.UNDECIDED
    assert Finding.CERTIFICATE_MISSING in findings(judged(document))
    assert read(document, certificate=pki().certificate("rsa")).signatures[0].intact
    assert not read(document, certificate=pki().certificate("institution")).signatures[0].intact


def test_signatures_and_references_without_number_are_not_worked_through() -> None:
    many = b"<a>" + b"<ds:Signature xmlns:ds='%b'/>" % DS.encode() * 65 + b"</a>"
    assert Finding.STRUCTURE_REFUSED in findings(judged(many))
    references = order().replace(b"</ds:Reference>", b"</ds:Reference>" + b"<ds:Reference URI=''/>" * 99, 1)
    assert Finding.STRUCTURE_REFUSED in findings(judged(references))


@pytest.mark.parametrize(
    "octets", [b"<", b"<a", b"<a/>", b"\xff\xfe<\0", b"<a>&undefined;</a>", b"<a xmlns:b=''/>"]
)
def test_xml_without_a_signature_or_that_is_none_is_said_to_be_that(octets: bytes) -> None:
    report = judged(octets)
    assert report.verdict is Verdict.UNDECIDED
    assert findings(report) <= {Finding.NO_SIGNATURE, Finding.DOCUMENT_UNREADABLE}


@pytest.mark.parametrize(
    "part", ["SignedInfo", "SignatureMethod", "DigestMethod", "DigestValue", "SignatureValue"]
)
def test_a_signature_without_a_part_that_each_has_is_unreadable_and_no_error(part: str) -> None:
    tree = parse(whole())
    [element] = list(tree.iter(f"{{{DS}}}{part}"))[:1]
    element.getparent().remove(element)
    report = judged(etree.tostring(tree))
    assert report.verdict is Verdict.INVALID
    assert Finding.SIGNATURE_UNREADABLE in findings(report)


def test_the_value_is_that_of_the_certificate_and_not_of_one_beside_it() -> None:
    # Somebody signs with a key of their own and puts an honest signer's certificate in front of theirs.
    document = signed(XmlForm(xades=False), ORDER, "rsa3072")
    honest = b"<ds:X509Certificate>" + b64encode(pki().certificate("rsa")) + b"</ds:X509Certificate>"
    mixed = document.replace(b"<ds:X509Certificate>", honest + b"<ds:X509Certificate>", 1)
    found = read(mixed).signatures[0]
    assert found.certificate == pki().certificate("rsa3072")
    assert found.intact


def test_no_damage_is_an_error() -> None:
    chance = random.Random(15)
    for document in (whole(), package(), enveloping()):
        for _ in range(60):
            changed = bytearray(document)
            for _ in range(chance.choice((1, 1, 3))):
                start = chance.randrange(len(changed))
                end = start + chance.choice((1, 1, 8, 200))
                changed[start:end] = chance.choice((b"", b"<", b"A", b"#", bytes(changed[start:end][::-1])))
            read(bytes(changed))
