"""What stands in an XML signature besides its value: certificates, times, evidence, what it confirms."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.formats.xml_signature import Make, Packaging, Part, XmlForm, assemble, new_signature
from signing.hashes import Hash
from signing.verification.findings import Finding, Remark
from signing.verification.found import FoundSignature
from signing.verification.xml import read_xml
from signing.xml import COUNTERSIGNED
from signing.xml.canonical import Canonicalization, canonical
from signing.xml.parsing import parse
from tests.support.test_pki import NOW, pki, sign_with
from tests.support.vectors import certificate as with_key
from tests.support.xml_signatures import by_identifier, signed

ORDER = b'<orders><order Id="o1"><dose>5</dose></order></orders>'
CERTIFICATE = rb"<ds:X509Certificate>[^<]*</ds:X509Certificate>"


@cache
def whole() -> bytes:
    return signed(XmlForm(), ORDER)


@cache
def plain(label: str = "rsa", algorithm: Hash = Hash.SHA_256) -> bytes:
    return signed(XmlForm(xades=False), ORDER, label, algorithm=algorithm)


def one(document: bytes, outside: bytes | None = None) -> FoundSignature:
    [found] = read_xml(document, outside).signatures
    return found


def findings(found: FoundSignature) -> set[Finding]:
    return {each.finding for each in found.remarks}


def element(local: str, octets: bytes, space: str = "xades") -> bytes:
    return f"<{space}:{local}>{b64encode(octets).decode()}</{space}:{local}>".encode()


def test_sha1_is_weak_in_the_value_and_in_each_digest() -> None:
    found = one(plain(algorithm=Hash.SHA_1))
    assert (found.intact, found.hash) == (True, Hash.SHA_1)
    assert Remark(Finding.ALGORITHM_WEAK, "SHA-1") in found.remarks


def test_two_documents_outside_are_not_looked_at() -> None:
    detached = signed(XmlForm(xades=False, packaging=Packaging.DETACHED, name="a.xml"), ORDER)
    assert one(detached, ORDER).intact
    reference = re.search(rb"<ds:Reference .*?</ds:Reference>", detached)
    assert reference is not None
    doubled = detached.replace(reference[0], reference[0] + reference[0].replace(b"a.xml", b"b.xml"))
    found = one(doubled, ORDER)
    assert Remark(Finding.STRUCTURE_REFUSED, "several documents outside") in found.remarks
    assert not found.intact


def test_what_was_changed_outside_is_named_by_its_address() -> None:
    for xades in (False, True):
        detached = signed(XmlForm(xades=xades, packaging=Packaging.DETACHED, name="a.xml"), ORDER)
        assert one(detached, ORDER).remarks == ()
        assert one(detached, ORDER + b"\n").remarks == (Remark(Finding.CONTENT_CHANGED, "a.xml"),)


def unknown_key() -> bytes:
    public = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    return with_key(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).replace(b"+e", b"+x")
    )


@pytest.mark.parametrize("other", [lambda: b"none", unknown_key], ids=["no certificate", "no key"])
def test_a_certificate_that_cannot_be_read_is_passed_over_and_alone_is_unreadable(other: object) -> None:
    octets = element("X509Certificate", other(), "ds")  # type: ignore[operator]
    first = re.search(CERTIFICATE, plain())
    assert first is not None
    found = one(plain().replace(first[0], octets + first[0]))
    assert (found.intact, found.certificate) == (True, pki().certificate("rsa"))
    alone = one(re.sub(rb"(?:%b)+" % CERTIFICATE, octets, plain()))
    assert (alone.intact, findings(alone)) == (False, {Finding.CERTIFICATE_UNREADABLE})


def test_an_ecdsa_value_of_another_length_is_wrong() -> None:
    value = re.search(rb"<ds:SignatureValue[^>]*>([^<]*)<", plain("ec"))
    assert value is not None
    assert one(plain("ec")).intact
    cut = b64encode(bytes(63))
    assert findings(one(plain("ec").replace(value[1], cut))) == {Finding.SIGNATURE_WRONG}


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("\n2026-01-02T03:04:05Z ", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_signers_time_is_told_where_it_is_one(written: str | None, time: datetime | None) -> None:
    assert one(whole()).claimed_time == NOW
    said = "" if written is None else f"<xades:SigningTime>{written}</xades:SigningTime>"
    found = one(re.sub(rb"<xades:SigningTime>.*?</xades:SigningTime>", said.encode(), whole()))
    assert (found.claimed_time, found.intact) == (time, False)


def test_signed_properties_that_say_nothing_of_the_signature_are_signed_all_the_same() -> None:
    pattern = rb"<xades:SignedSignatureProperties>.*?</xades:SignedSignatureProperties>"
    found = one(re.sub(pattern, b"", whole()))
    assert (found.claimed_time, found.binds_certificate) == (None, False)
    assert findings(found) == {Finding.CONTENT_CHANGED}


def test_evidence_and_stamps_are_those_of_the_signature_and_of_no_other_inside_it() -> None:
    methods = {
        b"": Canonicalization.INCLUSIVE,
        b'<ds:CanonicalizationMethod Algorithm="%b"/>' % Canonicalization.EXCLUSIVE.encode(): (
            Canonicalization.EXCLUSIVE
        ),
        b'<ds:CanonicalizationMethod Algorithm="urn:none"/>': None,
    }
    evidence = element("EncapsulatedX509Certificate", b"certificate")
    evidence += element("EncapsulatedOCSPValue", b"answer") + element("EncapsulatedCRLValue", b"list")
    stamps = b"".join(
        b"<xades:SignatureTimeStamp>%b%b</xades:SignatureTimeStamp>"
        % (method, element("EncapsulatedTimeStamp", b"stamp %d" % number))
        for number, method in enumerate(methods)
    )
    inside = b"<ds:Signature>%b</ds:Signature>" % element("EncapsulatedCRLValue", b"of another")
    unsigned = b"<xades:UnsignedSignatureProperties>%b</xades:UnsignedSignatureProperties>"
    unsigned = b"<xades:UnsignedProperties>" + unsigned % (stamps + evidence + inside)
    end = b"</xades:QualifyingProperties>"
    document = whole().replace(end, unsigned + b"</xades:UnsignedProperties>" + end)
    found = max(read_xml(document).signatures, key=lambda each: each.intact)
    assert found.intact
    assert found.certificates[-1] == b"certificate"
    assert (found.ocsp, found.crls) == ((b"answer",), (b"list",))
    value = next(parse(document).iter("{*}SignatureValue"))
    assert [(each.token, each.covered) for each in found.stamps] == [
        (b"stamp %d" % number, b"" if method is None else canonical(value, method))
        for number, method in enumerate(methods.values())
    ]


def countersigned(identifier: str, document: bytes) -> bytes:
    tree = parse(document)
    signature = new_signature()
    tree.getroot().insert(0, signature)  # before what it confirms
    parts = [Part(f"#{identifier}", (Canonicalization.EXCLUSIVE,), type=COUNTERSIGNED)]
    signer = pki().signer("institution")
    ready = assemble(tree, signature, parts, make=Make(), signer=signer, algorithm=Hash.SHA_256, when=NOW)
    return ready.finish(sign_with("institution", ready.digest, ready.hash))


def test_a_countersignature_comes_after_what_it_is_over_and_says_so() -> None:
    document = by_identifier(ORDER, "o1")
    value = next(parse(document).iter("{*}SignatureValue")).get("Id")
    assert value
    first, second = read_xml(countersigned(value, document)).signatures
    assert (first.certificate, first.over) == (pki().certificate("rsa"), 0)
    assert (second.certificate, second.over) == (pki().certificate("institution"), 1)
    assert (first.intact, second.intact) == (True, True)
    # What calls itself one and is over an element of the document confirms nobody.
    assert [each.over for each in read_xml(countersigned("o1", document)).signatures] == [0, 0]


def test_a_stylesheet_before_what_is_signed_in_part_is_not_covered() -> None:
    styled = by_identifier(b'<?xml-stylesheet href="a.xsl"?><?other?><!-- a -->' + ORDER, "o1")
    uncovered = [each.detail for each in one(styled).remarks if each.finding is Finding.CONTENT_NOT_COVERED]
    assert uncovered == ["orders", "xml-stylesheet"]
    assert [each.detail for each in one(by_identifier(ORDER, "o1")).remarks] == ["orders"]
