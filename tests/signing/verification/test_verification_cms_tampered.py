"""CMS that was tampered with, what lies beside it, and what never happens while it is read.

PDFs, XML and JWS have tables of their own: test_verification_pdf.py, test_verification_xml.py,
test_verification_jws.py; the states of certificates, answers and stamps: test_verification_judge.py.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from signing.formats import Level, RevocationEvidence, Signer
from signing.formats.cades import Cades, Place
from signing.hashes import Hash
from signing.verification.findings import Finding
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict
from tests.support import cms_attacks as attacks
from tests.support.cms_attacks import changed
from tests.support.test_pki import NOW, RSA_SIGNER, PkiEvidence, key, pki, sign_with

DOCUMENT = "處方箋 王測試 每日一錠".encode()
OTHER = "處方箋 王測試 每日十錠".encode()
INVALID, UNDECIDED = Verdict.INVALID, Verdict.UNDECIDED


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which a document makes anybody open a connection or look a name up."""
    asked: list[object] = []

    def refuse(*words: object, **_: object) -> None:
        asked.append(words[1:] or words)
        raise OSError("no test of a reader has a network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert asked == []


@cache
def signed(
    label: str = RSA_SIGNER,
    document: bytes = DOCUMENT,
    level: Level = Level.B_B,
    *,
    detached: bool = False,
    over: bytes | None = None,
    minutes: int = 0,
) -> bytes:
    form = Cades(detached=detached) if over is None else Cades(place=Place.OVER)
    when = NOW + timedelta(minutes=minutes)
    ready = form.prepare(over or document, pki().signer(label), Hash.SHA_256, when)
    done = ready.finish(sign_with(label, ready.digest, Hash.SHA_256))
    return asyncio.run(form.augment(done, level, pki().evidence(at=when)))


def told(message: bytes, document: bytes | None = None, **facts: Any) -> DocumentReport:
    trust = Trust(roots=(pki().root,), **{"now": NOW + timedelta(hours=1), "hard": False, **facts})
    found = read(message) if document is None else read(document, message)
    return judge(found, document or message, trust)


def findings(report: DocumentReport) -> set[str]:
    remarks = [*report.remarks, *(each for one in report.signatures for each in one.remarks)]
    return {each.finding for each in remarks}


def test_untouched_it_is_valid_so_that_each_change_below_is_what_decides() -> None:
    for label in ("rsa", "ec"):
        reports = [told(signed(label)), told(signed("ec", over=signed(label)))]
        reports += [told(signed(label, detached=True), DOCUMENT)]
        reports += [told(changed(signed(label), lambda _signed, _signer: None, key=label))]
        assert {each.verdict for each in reports} == {Verdict.REMARK}  # nobody was asked about revocation


def resigned(change: attacks.Change, label: str = RSA_SIGNER) -> bytes:
    return changed(signed(), change, key=label)


def signer_of(message: bytes) -> Any:
    return cms.ContentInfo.load(message)["content"]["signer_infos"][0]


def _attributes_of(other: bytes) -> attacks.Change:
    def change(_signed: Any, signer: Any) -> None:
        signer["signed_attrs"] = signer_of(other)["signed_attrs"]

    return change


def _signer_of(other: bytes) -> attacks.Change:
    def change(signed: Any, _signer: Any) -> None:
        signed["signer_infos"] = [signer_of(other)]

    return change


def _content(octets: bytes) -> attacks.Change:
    def change(signed: Any, _signer: Any) -> None:
        signed["encap_content_info"] = {"content_type": "data", "content": core.OctetString(octets)}

    return change


def _certificates(*labels: str) -> attacks.Change:
    def change(signed: Any, _signer: Any) -> None:
        signed["certificates"] = [cms.CertificateChoices.load(pki().certificate(each)) for each in labels]

    return change


def _named(label: str) -> attacks.Change:
    """Another certificate of the same key, both in the message and in the signer's identifier."""

    def change(signed: Any, signer: Any) -> None:
        _certificates(label, "ca")(signed, signer)
        certificate = signed["certificates"][0].chosen
        name = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
        signer["sid"] = cms.SignerIdentifier("issuer_and_serial_number", cms.IssuerAndSerialNumber(name))

    return change


def _set(field: str, value: Any) -> attacks.Change:
    def change(_signed: Any, signer: Any) -> None:
        signer[field] = value

    return change


def _unknown_identifier(_signed: Any, signer: Any) -> None:
    signer["sid"] = cms.SignerIdentifier("subject_key_identifier", b"\x01" * 20)


def _no_attributes(signed: Any, signer: Any) -> None:
    signer["signed_attrs"] = None
    signer["unsigned_attrs"] = None


def _attributes_as_document(signed: Any, signer: Any) -> None:
    octets = b"\x31" + signer["signed_attrs"].dump()[1:]
    _no_attributes(signed, signer)
    _content(octets)(signed, signer)


def _signers(count: int) -> attacks.Change:
    def change(signed: Any, signer: Any) -> None:
        octets = signer.dump()
        signed["signer_infos"] = [cms.SignerInfo.load(octets) for _ in range(count)]

    return change


def _countersigned(counter: Callable[[], Any]) -> attacks.Change:
    def change(signed: Any, signer: Any) -> None:
        _certificates("rsa", "ec", "ca")(signed, signer)
        attacks.unsigned(signer, "counter_signature", counter())

    return change


def _counter_of(message: bytes) -> Any:
    [found] = [
        value
        for each in signer_of(message)["unsigned_attrs"]
        if each["type"].native == "counter_signature"
        for value in each["values"]
    ]
    return found


def _flipped(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def _twice_named(signed: Any, signer: Any) -> None:
    """A second certificate named before the signer's own (RFC 5035: the first is the signer's)."""
    named = attacks.attribute(signer, "signing_certificate_v2")["values"][0]
    other = pki().certificate("institution")
    first = {"cert_hash": hashlib.sha256(other).digest()}
    named["certs"] = [first, named["certs"][0]]


def _protection_disagrees(_signed: Any, signer: Any) -> None:
    protection = cms.CMSAlgorithmProtection(
        {
            "digest_algorithm": {"algorithm": "sha512"},
            "signature_algorithm": {"algorithm": "sha512_rsa"},
        }
    )
    kept = [each for each in signer["signed_attrs"] if each["type"].native != "cms_algorithm_protection"]
    made = cms.CMSAttribute({"type": "cms_algorithm_protection", "values": [protection]})
    signer["signed_attrs"] = cms.CMSAttributes([*kept, made])


def _reversed(signed: Any, signer: Any) -> None:
    """Attributes in another order than the one that was signed."""
    signer["signed_attrs"] = core.load(
        b"\xa0" + _lengthed(b"".join(each.dump() for each in reversed(list(signer["signed_attrs"]))))
    )


def _lengthed(body: bytes) -> bytes:
    return core.OctetString(body).dump()[1:]


DIGEST = hashlib.sha256(DOCUMENT).digest()

TAMPERED: dict[str, tuple[Callable[[], bytes], Verdict, Finding]] = {
    # --- the document
    "the document inside": (
        lambda: changed(signed(), _content(OTHER)), INVALID, Finding.CONTENT_CHANGED,
    ),
    "one bit of it": (
        lambda: changed(signed(), _content(_flipped(DOCUMENT, 5))), INVALID, Finding.CONTENT_CHANGED,
    ),
    "nothing left of it": (
        lambda: changed(signed(), _content(b"")), INVALID, Finding.CONTENT_CHANGED,
    ),
    "a document of another type": (
        lambda: signed().replace(
            cms.ContentType("data").dump(), cms.ContentType("1.2.840.113549.1.7.9").dump(), 1
        ), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "taken out": (
        lambda: signed(detached=True), UNDECIDED, Finding.CONTENT_MISSING,
    ),
    # --- attributes
    "attributes swapped with those over another document": (
        lambda: changed(signed(), _attributes_of(signed(document=OTHER))), INVALID, Finding.CONTENT_CHANGED,
    ),
    "attributes swapped with those of another time": (
        lambda: changed(signed(), _attributes_of(signed(minutes=5))), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "the signer swapped with that of another document": (
        lambda: changed(signed(), _signer_of(signed(document=OTHER))), INVALID, Finding.CONTENT_CHANGED,
    ),
    "the signing time": (
        lambda: changed(signed(), attacks.instead(
            "signing_time", cms.Time({"utc_time": NOW.replace(year=2019)})
        )), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "the digest replaced by that of another document": (
        lambda: changed(signed(document=DOCUMENT), lambda one, signer: (
            _content(OTHER)(one, signer),
            attacks.instead("message_digest", hashlib.sha256(OTHER).digest())(one, signer),
        )), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "the certificate's digest taken away": (
        lambda: changed(signed(), attacks.without("signing_certificate_v2")),
        INVALID, Finding.SIGNATURE_WRONG,
    ),
    "all attributes taken away": (
        lambda: changed(signed(), _no_attributes), INVALID, Finding.CONTENT_CHANGED,
    ),
    "all attributes taken away, and a document of another type": (
        lambda: changed(signed(), _no_attributes).replace(
            cms.ContentType("data").dump(), cms.ContentType("1.2.840.113549.1.7.9").dump(), 1
        ), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "the attributes presented as the document": (
        lambda: changed(signed(), _attributes_as_document), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed without the type of the content": (
        lambda: resigned(attacks.without("content_type")), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with another type of content": (
        lambda: resigned(attacks.instead("content_type", "signed_data")),
        INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed without the digest": (
        lambda: resigned(attacks.without("message_digest")), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with the digest twice": (
        lambda: resigned(attacks.doubled("message_digest")), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with two digests, the right one first": (
        lambda: resigned(attacks.told_twice("message_digest", hashlib.sha256(OTHER).digest())),
        INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with an empty digest": (
        lambda: resigned(attacks.instead("message_digest", b"")), INVALID, Finding.CONTENT_CHANGED,
    ),
    "signed with a digest that is cut": (
        lambda: resigned(attacks.instead("message_digest", DIGEST[:16])), INVALID, Finding.CONTENT_CHANGED,
    ),
    "signed with two times": (
        lambda: resigned(attacks.doubled("signing_time")), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with two names of certificates": (
        lambda: resigned(attacks.doubled("signing_certificate_v2")), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "signed with another certificate named first": (
        lambda: resigned(_twice_named), INVALID, Finding.CERTIFICATE_OTHER,
    ),
    "signed with other algorithms under protection": (
        lambda: resigned(_protection_disagrees), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    # --- algorithms
    "another hash named": (
        lambda: changed(signed(), _set("digest_algorithm", {"algorithm": "sha512"})),
        INVALID, Finding.CONTENT_CHANGED,
    ),
    "MD5 named": (
        lambda: changed(signed(), _set("digest_algorithm", {"algorithm": "md5"})),
        UNDECIDED, Finding.ALGORITHM_WEAK,
    ),
    "a hash that nobody knows": (
        lambda: changed(signed(), _set("digest_algorithm", {"algorithm": "1.2.3.4"})),
        UNDECIDED, Finding.ALGORITHM_UNKNOWN,
    ),
    "signed with SHA-1": (
        lambda: resigned(attacks.hashed_with("sha1", hashlib.sha1(DOCUMENT, usedforsecurity=False).digest())),
        UNDECIDED, Finding.ALGORITHM_WEAK,
    ),
    "signed with MD5": (
        lambda: resigned(attacks.hashed_with("md5", hashlib.md5(DOCUMENT, usedforsecurity=False).digest())),
        UNDECIDED, Finding.ALGORITHM_WEAK,
    ),
    "an RSA key's value named as ECDSA's": (
        lambda: changed(signed(), _set("signature_algorithm", {"algorithm": "sha256_ecdsa"})),
        INVALID, Finding.SIGNATURE_WRONG,
    ),
    "an EC key's value named as RSA's": (
        lambda: changed(signed("ec"), _set("signature_algorithm", {"algorithm": "sha256_rsa"})),
        INVALID, Finding.SIGNATURE_WRONG,
    ),
    "another hash named for the value": (
        lambda: changed(signed(), _set("signature_algorithm", {"algorithm": "sha1_rsa"})),
        INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "the value by SHA-1 beside a digest by SHA-256": (
        lambda: _value_by("sha1"), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "the value by MD5 beside a digest by SHA-256": (
        lambda: _value_by("md5"), INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    "a message authentication code instead of a signature": (
        lambda: changed(signed(), _set("signature_algorithm", {"algorithm": "1.2.840.113549.2.9"})),
        UNDECIDED, Finding.ALGORITHM_UNKNOWN,
    ),
    # --- the value
    "a bit of the value": (
        lambda: changed(signed(), lambda _, signer: signer.__setitem__(
            "signature", _flipped(signer["signature"].native, 9)
        )), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "an empty value": (
        lambda: changed(signed(), _set("signature", b"")), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "a value of zero": (
        lambda: changed(signed(), _set("signature", bytes(256))), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "a value of one": (
        lambda: changed(signed(), _set("signature", bytes(255) + b"\1")), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "a value with zeros before it": (
        lambda: changed(signed(), lambda _, signer: signer.__setitem__(
            "signature", b"\0" + signer["signature"].native
        )), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "an EC value of zeros": (
        lambda: changed(signed("ec"), _set("signature", bytes.fromhex("3006020100020100"))),
        INVALID, Finding.SIGNATURE_WRONG,
    ),
    "an EC value with something behind it": (
        lambda: changed(signed("ec"), lambda _, signer: signer.__setitem__(
            "signature", signer["signature"].native + b"\0"
        )), INVALID, Finding.SIGNATURE_WRONG,
    ),
    "an EC value as r and s alone": (
        lambda: changed(signed("ec"), _set("signature", b"\1" * 64)), INVALID, Finding.SIGNATURE_WRONG,
    ),
    # --- certificates
    "no certificate": (
        lambda: changed(signed(), _certificates()), UNDECIDED, Finding.CERTIFICATE_MISSING,
    ),
    "the issuers' certificates alone": (
        lambda: changed(signed(), _certificates("ca", "root")), UNDECIDED, Finding.CERTIFICATE_MISSING,
    ),
    "an identifier that no certificate has": (
        lambda: changed(signed(), _unknown_identifier), UNDECIDED, Finding.CERTIFICATE_MISSING,
    ),
    "no certificate in between": (
        lambda: changed(signed(), _certificates("rsa")), UNDECIDED, Finding.CHAIN_UNKNOWN,
    ),
    "another certificate of the same key": (
        lambda: changed(signed(), _named("revoked")), INVALID, Finding.CERTIFICATE_OTHER,
    ),
    "another person's certificate under the same number": (
        lambda: changed(signed("ec"), _named("rsa")), INVALID, Finding.CERTIFICATE_OTHER,
    ),
    # --- signers
    "no signer": (
        lambda: changed(signed(), _signers(0)), UNDECIDED, Finding.NO_SIGNATURE,
    ),
    "more signers than are worked through": (
        lambda: changed(signed(), _signers(65)), UNDECIDED, Finding.STRUCTURE_REFUSED,
    ),
    "a countersignature of another signature": (
        lambda: changed(signed(), _countersigned(
            lambda: _counter_of(signed("ec", over=signed(document=OTHER)))
        )), INVALID, Finding.CONTENT_CHANGED,
    ),
    "somebody's own signature passed off as a countersignature": (
        lambda: changed(signed(), _countersigned(lambda: signer_of(signed("ec")))),
        INVALID, Finding.STRUCTURE_AMBIGUOUS,
    ),
    # --- the message
    "something behind the message": (
        lambda: signed() + b"more", UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
    "a second message behind the first": (
        lambda: signed() + signed(document=OTHER), UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
    "cut in the middle": (
        lambda: signed()[: len(signed()) // 2], UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
    "cut by one octet": (
        lambda: signed()[:-1], UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
    "a length that lies": (
        lambda: b"\x30\x84\xff\xff\xff\xff" + signed()[4:], UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
    "a message inside a message inside …": (
        lambda: _nested(signed()[:60]), UNDECIDED, Finding.DOCUMENT_UNREADABLE,
    ),
}  # fmt: skip


def _value_by(name: str) -> bytes:
    """Attributes signed by a hash that can be forged, the strong one named beside it."""

    def change(_signed: Any, signer: Any) -> None:
        octets = b"\x31" + signer["signed_attrs"].dump()[1:]
        signer["signature_algorithm"] = {"algorithm": f"{name}_rsa"}
        signer["signature"] = attacks.value(RSA_SIGNER, octets, name)

    return changed(changed(signed(), attacks.without("cms_algorithm_protection")), change)


def _nested(head: bytes) -> bytes:
    body = head
    for _ in range(3000):
        body = b"\xa0" + _lengthed(body)
    oid = cms.ContentType("signed_data").dump()
    return b"\x30" + _lengthed(oid + body)


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_tampered_with_is_judged_right(what: str) -> None:
    make, verdict, finding = TAMPERED[what]
    report = told(make())
    assert (report.verdict, finding in findings(report)) == (verdict, True), findings(report)


# --- time stamps


def stamp(of: str = "tsa", imprint: Hash = Hash.SHA_256, at: datetime = NOW) -> bytes:
    """A token over the value of `signed()`'s signature."""
    octets = imprint.digest(signer_of(signed())["signature"].native)
    return asyncio.run(pki().evidence(stamps=of, at=at).timestamp(octets, imprint))


def stamped(token: bytes) -> bytes:
    def change(_signed: Any, signer: Any) -> None:
        attacks.unsigned(signer, "signature_time_stamp_token", cms.ContentInfo.load(token))

    return changed(signed(), change)


def _by_sha1(signed: Any, signer: Any) -> None:
    inside = signed["encap_content_info"]["content"].contents
    attacks.hashed_with("sha1", hashlib.sha1(inside, usedforsecurity=False).digest())(signed, signer)


def _two_signers(signed: Any, signer: Any) -> None:
    signed["signer_infos"] = [cms.SignerInfo.load(signer.dump()) for _ in range(2)]


def _later(signed: Any, _signer: Any) -> None:
    """Another time inside, under the same signature."""
    info = tsp.TSTInfo.load(signed["encap_content_info"]["content"].parsed.dump())
    info["gen_time"] = NOW - timedelta(days=300)
    octets = core.ParsableOctetString(info.dump())
    inside = {"content_type": "tst_info", "content": octets}
    signed["encap_content_info"] = tsp.EncapsulatedContentInfo(inside)


STAMPS: dict[str, Callable[[], bytes]] = {
    "of another document": lambda: stamp("wrong"),
    "forged": lambda: stamp("forged"),
    "with a certificate for something else": lambda: stamp("tsa-purpose"),
    "with a certificate that had expired": lambda: stamp("tsa-expired"),
    "over a digest by SHA-1": lambda: stamp(imprint=Hash.SHA_1),
    "signed by SHA-1": lambda: changed(stamp(), _by_sha1, key="tsa"),
    "that does not name its certificate": lambda: changed(
        stamp(), attacks.without("signing_certificate", "signing_certificate_v2"), key="tsa"
    ),
    "that claims to be a document": lambda: changed(
        stamp(), attacks.instead("content_type", "data"), key="tsa"
    ),
    "with two signers": lambda: changed(stamp(), _two_signers),
    "without its certificate": lambda: changed(stamp(), _certificates("root")),
    "with another time inside": lambda: changed(stamp(), _later),
    "that is an ordinary signature": signed,
}


def test_a_stamp_as_it_should_be_counts() -> None:
    report = told(stamped(stamp()))
    assert [(each.level, each.time) for each in report.signatures] == [("B-T", NOW)]
    assert Finding.STAMP_WRONG not in findings(report)


@pytest.mark.parametrize("what", STAMPS)
def test_a_bad_stamp_is_named_and_proves_no_time(what: str) -> None:
    report = told(stamped(STAMPS[what]()))
    assert (report.verdict, Finding.STAMP_WRONG in findings(report)) == (Verdict.REMARK, True)
    assert [each.level for each in report.signatures] == ["B-B"]


# --- certificates


def issued(
    by: str,
    name: bytes,
    *,
    holder: str = "ec",
    authority: bool = False,
) -> bytes:
    """A certificate for a holder's key that somebody made, of whatever worth."""
    issuer = x509.load_der_x509_certificate(name).subject
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "林冒名")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key(holder).public_key())
        .serial_number(0x7777)
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(key(by), hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def _by_sha1_certificate() -> bytes:
    certificate = asn1_x509.Certificate.load(issued("ca", pki().ca))
    certificate["signature_algorithm"] = {"algorithm": "sha1_rsa"}
    certificate["tbs_certificate"]["signature"] = {"algorithm": "sha1_rsa"}
    certificate["signature_value"] = attacks.value("ca", certificate["tbs_certificate"].dump(), "sha1")
    return bytes(certificate.dump())


def _method_of_another_key() -> bytes:
    certificate = asn1_x509.Certificate.load(issued("ca", pki().ca))
    certificate["signature_algorithm"] = {"algorithm": "sha256_ecdsa"}
    certificate["tbs_certificate"]["signature"] = {"algorithm": "sha256_ecdsa"}
    return bytes(certificate.dump())


def _two_methods() -> bytes:
    certificate = asn1_x509.Certificate.load(issued("ca", pki().ca))
    certificate["signature_algorithm"] = {"algorithm": "sha512_rsa"}
    return bytes(certificate.dump())


CERTIFICATES: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "issued by a holder": lambda: (issued("rsa", pki().certificate("rsa")), pki().certificate("rsa")),
    "issued by a stranger in the authority's name": lambda: (issued("forger", pki().ca),),
    "issued by nobody but itself, in the root's name": lambda: (issued("ec", pki().root),),
    "signed by SHA-1": lambda: (_by_sha1_certificate(),),
    "signed by a method for another kind of key": lambda: (_method_of_another_key(),),
    "signed by one method and naming another": lambda: (_two_methods(),),
    "of an authority whose key is short": lambda: _short_authority(),  # noqa: PLW0108  defined below
}


def _short_authority() -> tuple[bytes, ...]:
    short = issued("ca", pki().ca, holder="weak", authority=True)
    return issued("weak", short), short


@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_certificate_that_nobody_trusted_made_decides_nothing(what: str) -> None:
    certificate, *others = CERTIFICATES[what]()
    form = Cades(detached=False)
    ready = form.prepare(DOCUMENT, Signer(certificate, (*others, pki().ca)), Hash.SHA_256, NOW)
    report = told(ready.finish(sign_with("ec", ready.digest, Hash.SHA_256)))
    assert (report.verdict, Finding.CHAIN_UNKNOWN in findings(report)) == (UNDECIDED, True), findings(report)


def test_the_same_certificate_rightly_made_is_trusted() -> None:
    signer = Signer(issued("ca", pki().ca), (pki().ca,))
    ready = Cades(detached=False).prepare(DOCUMENT, signer, Hash.SHA_256, NOW)
    report = told(ready.finish(sign_with("ec", ready.digest, Hash.SHA_256)))
    assert report.verdict is Verdict.REMARK, findings(report)


# --- answers


@dataclass
class Answering:
    """The PKI's evidence, with another answer about the signer's certificate."""

    answer: RevocationEvidence
    good: PkiEvidence = field(default_factory=lambda: pki().evidence())

    async def timestamp(self, imprint: bytes, algorithm: Hash) -> bytes:
        return await self.good.timestamp(imprint, algorithm)

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        return await self.good.chain(certificate)

    async def revocation(self, certificate: bytes, issuer: bytes) -> RevocationEvidence:
        if certificate == pki().certificate(RSA_SIGNER):
            return self.answer
        return await self.good.revocation(certificate, issuer)


def loaded(label: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(pki().certificate(label))


def ocsp_answer(
    by: str,
    responder: str,
    *,
    about: str = RSA_SIGNER,
    sends: tuple[str, ...] = (),
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    at: datetime = NOW,
) -> RevocationEvidence:
    """An answer signed with the key `by`, in the name of `responder`."""
    ends = at + timedelta(days=7)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(loaded(about), loaded("ca"), hashes.SHA256(), status, at, ends, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.NAME, loaded(responder))
    )
    if sends:
        builder = builder.certificates([loaded(each) for each in sends])
    made = builder.sign(key(by), hashes.SHA256())
    return RevocationEvidence(ocsp=made.public_bytes(Encoding.DER))


def crl(by: str, extension: x509.ExtensionType | None = None) -> RevocationEvidence:
    """A list in the authority's name that names nobody."""
    made = x509.CertificateRevocationListBuilder().issuer_name(loaded("ca").subject).last_update(NOW)
    made = made.next_update(NOW + timedelta(days=7))
    if extension is not None:
        made = made.add_extension(extension, critical=True)
    return RevocationEvidence(crl=made.sign(key(by), hashes.SHA256()).public_bytes(Encoding.DER))


FORGED, UNKNOWN = Finding.REVOCATION_FORGED, Finding.REVOCATION_UNKNOWN
ANSWERS: dict[str, tuple[Callable[[], RevocationEvidence], Finding]] = {
    "about another certificate": (lambda: ocsp_answer("ocsp", "ocsp", about="ec", sends=("ocsp",)), UNKNOWN),
    "by the signer about itself": (lambda: ocsp_answer("rsa", "rsa", sends=("rsa",)), FORGED),
    "by the responder of another authority": (
        lambda: ocsp_answer("ocsp", "ocsp-root", sends=("ocsp-root",)), FORGED,
    ),
    "of days to come": (
        lambda: ocsp_answer("ocsp", "ocsp", sends=("ocsp",), at=NOW + timedelta(days=2)), UNKNOWN,
    ),
    "that does not know the certificate": (
        lambda: ocsp_answer("ca", "ca", status=ocsp.OCSPCertStatus.UNKNOWN), UNKNOWN,
    ),
    "a list of another authority": (
        lambda: RevocationEvidence(crl=pki().evidence().revocation_list("root")), UNKNOWN,
    ),
    "a list by a stranger": (lambda: crl("forger"), FORGED),
    "a list of what is new alone": (lambda: crl("ca", x509.DeltaCRLIndicator(1)), UNKNOWN),
    "a list of a kind that nobody knows": (
        lambda: crl("ca", x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")), UNKNOWN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", [lambda: ocsp_answer("ca", "ca"), lambda: crl("ca")])
def test_an_answer_as_it_should_be_counts(answer: Callable[[], RevocationEvidence]) -> None:
    message = asyncio.run(Cades().augment(signed(), Level.B_LT, Answering(answer())))
    report = told(message, hard=True)
    assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, "B-LT")


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_none_is_not_believed(what: str) -> None:
    answer, finding = ANSWERS[what]
    message = asyncio.run(Cades().augment(signed(), Level.B_LT, Answering(answer())))
    report = told(message, hard=True)
    assert (report.verdict, finding in findings(report)) == (UNDECIDED, True), report
    assert report.signatures[0].level == "B-T"


# --- what never happens


def test_a_large_document_is_read_in_a_few_times_its_size() -> None:
    large = signed(document=bytes(4 * 1024 * 1024))
    told(signed())
    gc.collect()
    tracemalloc.start()
    try:
        assert told(large).verdict is Verdict.REMARK
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(large)


def test_addresses_in_certificates_and_stamps_are_never_opened_by_a_reader() -> None:
    """Every certificate of the PKI names responders and lists; the fixture above sees who asks."""
    message = stamped(stamp())
    assert b"http://pki.test" in message
    assert Finding.REVOCATION_UNKNOWN in findings(told(message, hard=True))
