"""Read XML signatures (XML Signature 1.1), XAdES (ETSI EN 319 132-1) and packages of medical records.

What a signature is over is what its references lead to, so that moving, doubling or renaming signed elements
must not make something else pass as signed (`xml_coverage.py`). References lead only to what is in the
document or was given, transforms are few and known (`signing.xml.references`), and nothing is fetched.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from signing.certificate import parsed, pss_allows, pss_only
from signing.errors import (
    CertificateMalformedError,
    DocumentUnsafeError,
    DocumentUnusableError,
    HashUnsupportedError,
    SigningError,
)
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.found import Finding, FoundDocument, FoundSignature, FoundStamp, Remark
from signing.verification.xml_coverage import coverage, is_about_signatures, is_medical_package
from signing.xml import COUNTERSIGNED, Element, Tree, name
from signing.xml.algorithms import Scheme, SignatureMethod, digest_named, signature_named
from signing.xml.canonical import Canonicalization, canonical
from signing.xml.parsing import identifier_of, identifiers, local_name, parse
from signing.xml.references import (
    Problem,
    Referenced,
    ReferenceProblemError,
    follow,
    is_outside,
    prefixes_of,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SIGNATURES_MAX: Final = 64
REFERENCES_MAX: Final = 64
WORK_MAX: Final = 2 << 30
"""Octets that references may have digested in all: each may be over the whole document."""

_WEAK: Final = frozenset((Hash.SHA_1,))
_EXTERNAL_MAX: Final = 1

_PROBLEMS: Final = {
    Problem.MISSING: Finding.CONTENT_CHANGED,
    Problem.AMBIGUOUS: Finding.STRUCTURE_AMBIGUOUS,
    Problem.EXTERNAL: Finding.CONTENT_MISSING,
    Problem.TRANSFORM: Finding.ALGORITHM_UNKNOWN,
    Problem.UNREADABLE: Finding.CONTENT_CHANGED,
}


def read_xml(
    document: bytes, outside: bytes | None = None, certificate: bytes | None = None
) -> FoundDocument:
    """Return the signatures of an XML document.

    Args:
        document: it.
        outside: what a detached signature in it is over; None where nothing was given.
        certificate: of the signer where it is not inside, DER.
    """
    try:
        tree = parse(document)
    except DocumentUnsafeError as error:
        return FoundDocument("xml", (), (Remark(Finding.STRUCTURE_REFUSED, str(error)),))
    except DocumentUnusableError as error:
        return FoundDocument("xml", (), (Remark(Finding.DOCUMENT_UNREADABLE, str(error)),))
    medical = is_medical_package(tree)
    kind = "emr" if medical else "xml"
    signatures = list(tree.iter(name("ds", "Signature")))
    if not signatures:
        return FoundDocument(kind, (), (Remark(Finding.NO_SIGNATURE),))
    count = sum(len(list(each.iter(name("ds", "Reference")))) for each in signatures)
    if len(signatures) > SIGNATURES_MAX or count * len(document) > WORK_MAX:
        return FoundDocument(
            kind, (), (Remark(Finding.STRUCTURE_REFUSED, "too many signatures or references"),)
        )
    reader = _Reader(tree, outside, certificate, medical)
    return FoundDocument(kind, tuple(reader.all(signatures)))


@dataclass(slots=True)
class _Checked:
    """What the references of one signature came to."""

    remarks: list[Remark] = field(default_factory=list)
    followed: list[Referenced] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """One document on its way to a report."""

    tree: Tree
    outside: bytes | None
    given: bytes | None
    medical: bool

    def all(self, signatures: list[Element]) -> Iterator[FoundSignature]:
        """Give the signatures in the order in which they were made, as far as they say."""
        ordered = _in_order(signatures)
        doubled = [key for key, count in identifiers(self.tree).items() if count > 1]
        for each in ordered:
            try:
                found = self._signature(each)
            except (SigningError, ValueError, TypeError, AttributeError, KeyError) as error:
                # A part that every signature has is missing or is not what it should be.
                yield _unreadable(self._format(each), str(error))
                continue
            touched = sorted(set(doubled) & _mentioned(each))
            if touched:
                remark = Remark(Finding.STRUCTURE_AMBIGUOUS, f"identifier {touched[0][:40]} is there twice")
                found = replace(found, remarks=(*found.remarks, remark))
            yield replace(found, over=_over(each, ordered))

    def _format(self, signature: Element) -> SignatureFormat:
        if self.medical:
            return SignatureFormat.EMR
        qualifying = signature.find(f"{name('ds', 'Object')}/{name('xades', 'QualifyingProperties')}")
        return SignatureFormat.XMLDSIG if qualifying is None else SignatureFormat.XADES

    def _signature(self, signature: Element) -> FoundSignature:
        info = _only(signature, "SignedInfo")
        method_uri = _only(info, "SignatureMethod").get("Algorithm", "")
        certificates = _certificates(signature)
        if self.given is not None:
            certificates = (*certificates, self.given)
        properties = _Properties.of(signature)
        found = FoundSignature(
            self._format(signature),
            None,
            intact=False,
            certificates=(*certificates, *properties.certificates),
            ocsp=properties.ocsp,
            crls=properties.crls,
        )
        try:
            method = signature_named(method_uri)
        except HashUnsupportedError as error:
            return replace(found, remarks=(Remark(Finding.ALGORITHM_UNKNOWN, str(error)),))
        found = replace(found, hash=method.hash)
        if not certificates:
            return replace(found, remarks=(Remark(Finding.CERTIFICATE_MISSING),))
        checked = self._references(signature, info)
        signed = properties.when_signed([each.element for each in checked.followed if not each.text_only])
        certificate, remarks = self._certificate(signature, info, method, certificates, signed)
        remarks = [*remarks, *checked.remarks]
        if not any(each.finding is Finding.CONTENT_MISSING for each in remarks):
            remarks += coverage(self.tree, signature, checked.followed, medical=self.medical)
        if properties.qualifying is not None and not signed.covered:
            remarks.append(Remark(Finding.STRUCTURE_AMBIGUOUS, "the signed properties are not signed"))
        if method.hash in _WEAK:
            remarks.append(Remark(Finding.ALGORITHM_WEAK, method.hash))
        intact = not any(each.finding in _BROKEN for each in remarks)
        return replace(
            found,
            certificate=certificate,
            intact=intact,
            remarks=tuple(dict.fromkeys(remarks)),
            claimed_time=signed.time,
            binds_certificate=signed.binds(certificate),
            stamps=tuple(properties.stamps(_only(signature, "SignatureValue"))),
            signs=", ".join(checked.signs),
            reason=signed.reason,
        )

    def _references(self, signature: Element, info: Element) -> _Checked:
        """Follow the references and compare digests (§3.2.1)."""
        references = info.findall(name("ds", "Reference"))
        checked = _Checked()
        if not references or len(references) > REFERENCES_MAX:
            checked.remarks.append(Remark(Finding.STRUCTURE_REFUSED, "no references, or too many"))
            return checked
        if sum(is_outside(each) for each in references) > _EXTERNAL_MAX:
            checked.remarks.append(Remark(Finding.STRUCTURE_REFUSED, "several documents outside"))
            return checked
        for reference in references:
            where = str(reference.get("URI") or "")
            try:
                algorithm = digest_named(_only(reference, "DigestMethod").get("Algorithm", ""))
                found = follow(self.tree, signature, reference, self.outside)
            except HashUnsupportedError as error:
                checked.remarks.append(Remark(Finding.ALGORITHM_UNKNOWN, str(error)))
                continue
            except ReferenceProblemError as error:
                checked.remarks.append(Remark(_PROBLEMS[error.problem], str(error)))
                continue
            expected = b64decode("".join((_only(reference, "DigestValue").text or "").split()))
            if algorithm in _WEAK:
                checked.remarks.append(Remark(Finding.ALGORITHM_WEAK, algorithm))
            if algorithm.digest(found.octets) != expected:
                checked.remarks.append(Remark(Finding.CONTENT_CHANGED, _words(found, where)))
            checked.followed.append(found)
            if where and not (found.element is not None and is_about_signatures(found.element, signature)):
                checked.signs.append(where[:80])
        return checked

    def _certificate(
        self,
        signature: Element,
        info: Element,
        method: SignatureMethod,
        certificates: tuple[bytes, ...],
        signed: _SignedProperties,
    ) -> tuple[bytes | None, list[Remark]]:
        """Return whose key made the signature value, and what is wrong with that."""
        canonicalization = _only(info, "CanonicalizationMethod")
        uri = canonicalization.get("Algorithm", "")
        if uri not in tuple(Canonicalization):
            return certificates[0], [Remark(Finding.ALGORITHM_UNKNOWN, uri[-60:])]
        octets = canonical(info, Canonicalization(uri), prefixes_of(canonicalization))
        try:
            value = b64decode("".join((_only(signature, "SignatureValue").text or "").split()), validate=True)
        except ValueError:
            return certificates[0], [Remark(Finding.SIGNATURE_UNREADABLE, "not base64")]
        named = [each for each in certificates if signed.binds(each)]
        if signed.names_certificate and not named:
            return certificates[0], [Remark(Finding.CERTIFICATE_OTHER)]
        candidates = named or list(certificates)
        readable = 0
        for each in candidates:
            try:
                key, allowed = _key(each), _allows(each, method)
            except CertificateMalformedError:
                continue
            readable += 1
            if allowed and _verifies(key, method, value, octets):
                return each, []
        return candidates[0], [
            Remark(Finding.SIGNATURE_WRONG) if readable else Remark(Finding.CERTIFICATE_UNREADABLE)
        ]


_BROKEN: Final = frozenset(
    (
        Finding.CONTENT_CHANGED,
        Finding.CONTENT_MISSING,
        Finding.SIGNATURE_WRONG,
        Finding.SIGNATURE_UNREADABLE,
        Finding.STRUCTURE_AMBIGUOUS,
        Finding.STRUCTURE_REFUSED,
        Finding.ALGORITHM_UNKNOWN,
        Finding.CERTIFICATE_MISSING,
        Finding.CERTIFICATE_UNREADABLE,
        Finding.CERTIFICATE_OTHER,
    )
)


@dataclass(frozen=True, slots=True)
class _SignedProperties:
    """SignedProperties as far as a reference covers them; empty where none does."""

    covered: bool = False
    time: datetime | None = None
    reason: str = ""
    digests: tuple[tuple[Hash, bytes], ...] = ()
    names_certificate: bool = False

    def binds(self, certificate: bytes | None) -> bool:
        """Whether the certificate is the one that is named: the first (§5.2.2)."""
        if certificate is None or not self.digests:
            return False
        algorithm, digest = self.digests[0]
        return algorithm.digest(certificate) == digest


@dataclass(frozen=True, slots=True)
class _Properties:
    """QualifyingProperties of a signature."""

    qualifying: Element | None
    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, signature: Element) -> _Properties:
        qualifying = _qualifying(signature)
        if qualifying is None:
            return cls(None)
        unsigned = qualifying.find(name("xades", "UnsignedProperties"))
        if unsigned is None:
            return cls(qualifying)
        kept: dict[str, list[bytes]] = {local: [] for local in _EVIDENCE}
        for element in unsigned.iter(*(name("xades", local) for local in _EVIDENCE)):
            # A signature inside this one brings evidence of its own.
            if next(element.iterancestors(name("ds", "Signature"))) is signature:
                kept[local_name(element)].append(b64decode("".join((element.text or "").split())))
        certificates, ocsp, crls = (tuple(kept[local]) for local in _EVIDENCE)
        return cls(qualifying, certificates, ocsp, crls)

    def when_signed(self, covered: list[Element | None]) -> _SignedProperties:
        """Return what the signed properties say, where one of the covered elements is or holds them."""
        if self.qualifying is None:
            return _SignedProperties()
        signed = self.qualifying.find(name("xades", "SignedProperties"))
        if signed is None or signed not in covered:
            return _SignedProperties()
        about = signed.find(name("xades", "SignedSignatureProperties"))
        if about is None:
            return _SignedProperties(covered=True)
        lists = [about.find(name("xades", local)) for local in ("SigningCertificateV2", "SigningCertificate")]
        names = [each for each in lists if each is not None]
        digests = [
            (
                digest_named(_only(digest, "DigestMethod").get("Algorithm", "")),
                b64decode("".join((_only(digest, "DigestValue").text or "").split())),
            )
            for each in names
            for digest in each.iter(name("xades", "CertDigest"))
        ]
        return _SignedProperties(
            covered=True,
            time=_time(about.findtext(name("xades", "SigningTime"))),
            reason=_reason(signed),
            digests=tuple(digests),
            names_certificate=bool(names),
        )

    def stamps(self, value: Element) -> Iterator[FoundStamp]:
        """Give the time stamps over the signature value (§5.3), the oldest first."""
        unsigned = None
        if self.qualifying is not None:
            path = "/".join(
                name("xades", each) for each in ("UnsignedProperties", "UnsignedSignatureProperties")
            )
            unsigned = self.qualifying.find(path)
        for stamp in () if unsigned is None else unsigned.iterfind(name("xades", "SignatureTimeStamp")):
            method = stamp.find(name("ds", "CanonicalizationMethod"))
            uri = Canonicalization.INCLUSIVE if method is None else method.get("Algorithm", "")
            covered = (
                canonical(value, Canonicalization(uri), () if method is None else prefixes_of(method))
                if uri in tuple(Canonicalization)
                else b""
            )
            for token in stamp.iterfind(name("xades", "EncapsulatedTimeStamp")):
                yield FoundStamp(b64decode("".join((token.text or "").split())), covered)


_EVIDENCE: Final = ("EncapsulatedX509Certificate", "EncapsulatedOCSPValue", "EncapsulatedCRLValue")


def _qualifying(signature: Element) -> Element | None:
    """Return the QualifyingProperties that belong to this signature, and to no other."""
    found = signature.findall(f"{name('ds', 'Object')}/{name('xades', 'QualifyingProperties')}")
    if len(found) > 1:
        raise ValueError("QualifyingProperties are there twice")
    return found[0] if found else None


def _only(parent: Element, local: str) -> Element:
    """Return the one child of that name. Raise ValueError where there is none, or more than one."""
    found = parent.findall(name("ds", local))
    if len(found) != 1:
        raise ValueError(f"not exactly one {local}")
    return found[0]


def _certificates(signature: Element) -> tuple[bytes, ...]:
    path = "/".join(name("ds", local) for local in ("KeyInfo", "X509Data", "X509Certificate"))
    return tuple(b64decode("".join((each.text or "").split())) for each in signature.findall(path))


def _key(certificate: bytes) -> PublicKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(parsed(certificate).public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateMalformedError from error


def _allows(certificate: bytes, method: SignatureMethod) -> bool:
    """Whether the certificate says nothing against that method for its key."""
    if method.scheme is Scheme.RSA:
        return not pss_only(certificate)
    return method.scheme is not Scheme.PSS or pss_allows(certificate, method.hash)


def _verifies(key: PublicKeyTypes, method: SignatureMethod, value: bytes, octets: bytes) -> bool:
    """Whether the signature value is that key's. The method never decides which kind of key it is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    algorithm: hashes.HashAlgorithm = getattr(hashes, method.hash.replace("-", ""))()
    try:
        if isinstance(key, RSAPublicKey) and method.scheme is Scheme.RSA:
            key.verify(value, octets, padding.PKCS1v15(), algorithm)
        elif isinstance(key, RSAPublicKey) and method.scheme is Scheme.PSS:
            scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            key.verify(value, octets, scheme, algorithm)
        elif isinstance(key, EllipticCurvePublicKey) and method.scheme is Scheme.ECDSA:
            half = (key.key_size + 7) // 8
            if len(value) != 2 * half:
                return False
            numbers = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
            key.verify(encode_dss_signature(*numbers), octets, ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _words(found: Referenced, where: str) -> str:
    """Return which part was changed: the element's name and identifier."""
    if found.element is None:
        return where[:60]
    element = found.element
    shown = local_name(element)
    identifier = identifier_of(element)
    return f"{shown[:40]} #{identifier[:40]}" if identifier else shown[:40]


def _time(text: str | None) -> datetime | None:
    """Return xs:dateTime; without a zone it is taken as UTC, and None where it is none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reason(signed: Element) -> str:
    """Return the description of what the signer commits to, else the role that is claimed."""
    for path in (
        ("SignedDataObjectProperties", "CommitmentTypeIndication", "CommitmentTypeId", "Description"),
        ("SignedDataObjectProperties", "CommitmentTypeIndication", "CommitmentTypeId", "Identifier"),
    ):
        text = signed.findtext("/".join(name("xades", each) for each in path))
        if text:
            return str(text)[:200]
    return ""


def _mentioned(signature: Element) -> set[str]:
    """Return the identifiers that a signature refers to."""
    return {
        str(reference.get("URI"))[1:]
        for reference in signature.iter(name("ds", "Reference"))
        if str(reference.get("URI") or "").startswith("#")
    }


def _in_order(signatures: list[Element]) -> list[Element]:
    """Return the signatures so that each comes after those that it is over; else as in the document."""
    values = {
        value.get("Id"): signature
        for signature in signatures
        for value in signature.iterfind(name("ds", "SignatureValue"))
        if value.get("Id")
    }
    ordered: list[Element] = []
    waiting = list(signatures)
    while waiting:
        ready = [
            each
            for each in waiting
            if not any(values.get(mention) in waiting for mention in _mentioned(each) if mention in values)
        ]
        ordered += ready or waiting
        waiting = [each for each in waiting if ready and each not in ready]
    return ordered


def _over(signature: Element, ordered: list[Element]) -> int:
    """Return the number of the signature that this one countersigns and is over alone; else 0."""
    references = signature.findall(f"{name('ds', 'SignedInfo')}/{name('ds', 'Reference')}")
    own = {f"#{identifier_of(each)}" for each in signature.iter("*")}
    others = [reference for reference in references if reference.get("URI") not in own]
    if not others or any(reference.get("Type") != COUNTERSIGNED for reference in others):
        return 0
    target = str(others[0].get("URI") or "")[1:]
    for number, each in enumerate(ordered, start=1):
        if any(value.get("Id") == target for value in each.iterfind(name("ds", "SignatureValue"))):
            return number
    return 0


def _unreadable(format_: SignatureFormat, detail: str) -> FoundSignature:
    return FoundSignature(
        format_, None, intact=False, remarks=(Remark(Finding.SIGNATURE_UNREADABLE, detail[:80]),)
    )
