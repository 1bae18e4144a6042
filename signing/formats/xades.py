"""XAdES baseline signatures (ETSI EN 319 132-1): what the signer says, and what is kept beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from signing.errors import DocumentUnusableError
from signing.formats import Evidence, Level, Signer
from signing.formats.validation_data import ValidationData, gather, stamped
from signing.hashes import Hash
from signing.xml import XADES, XADES_141, Element, name
from signing.xml.algorithms import DIGESTS
from signing.xml.canonical import Canonicalization, canonical
from signing.xml.parsing import parse, serialise

COMMITMENT: Final = "http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"
"""That the signer has approved the content (ETSI TS 119 172-1 annex B), which a reason says in words."""


def signed_properties(
    holder: Element,
    identifier: str,
    *,
    signer: Signer,
    algorithm: Hash,
    when: datetime,
    media_types: Mapping[str, str],
    reason: str,
) -> None:
    """Put QualifyingProperties with what the baseline asks of level B-B into a ds:Object (§6.3).

    Args:
        holder: the ds:Object, in its place.
        identifier: of the signature.
        signer: whose certificate is named by its digest.
        algorithm: of that digest.
        when: the signer's own time, aware.
        media_types: of the data, by the identifier of its reference; nothing is said where one is empty.
        reason: what the signer says it is for; empty for none.
    """
    qualifying = _child(holder, "QualifyingProperties", Target=f"#{identifier}")
    signed = _child(qualifying, "SignedProperties", Id=f"{identifier}-properties")
    about_signature = _child(signed, "SignedSignatureProperties")
    moment = when.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    _child(about_signature, "SigningTime").text = f"{moment.isoformat()}Z"
    named = _child(_child(about_signature, "SigningCertificateV2"), "Cert")
    digest = _child(named, "CertDigest")
    _child(digest, "DigestMethod", "ds", Algorithm=DIGESTS[algorithm])
    _child(digest, "DigestValue", "ds").text = _base64(algorithm.digest(signer.certificate))
    about_data = _child(signed, "SignedDataObjectProperties")
    for reference, media_type in media_types.items():
        if media_type:
            format_ = _child(about_data, "DataObjectFormat", ObjectReference=f"#{reference}")
            _child(format_, "MimeType").text = media_type
    if reason:
        commitment = _child(about_data, "CommitmentTypeIndication")
        type_ = _child(commitment, "CommitmentTypeId")
        _child(type_, "Identifier").text = COMMITMENT
        try:
            _child(type_, "Description").text = reason
        except ValueError:
            raise DocumentUnusableError("the reason holds control characters") from None
        _child(commitment, "AllSignedDataObjects")


async def augment_xades(signed: bytes, level: Level, evidence: Evidence) -> bytes:
    """Return the document with its newest signature, the last one in it, at a higher level (§6.3).

    Raises:
        EvidenceError: what is needed was not to be had.
        DocumentUnusableError: there is no such level, or no signature of this kind.
    """
    if level is Level.B_B:
        return signed
    if level is Level.B_LTA:
        raise DocumentUnusableError("XAdES is made up to level B-LT here")
    tree = parse(signed)
    signature = newest(list(tree.iter(name("ds", "Signature"))))
    unsigned = _unsigned(signature)
    value = signature.find(name("ds", "SignatureValue"))
    stamp = await stamped(canonical(value, Canonicalization.EXCLUSIVE), evidence)
    holder = _child(unsigned, "SignatureTimeStamp")
    _child(holder, "CanonicalizationMethod", "ds", Algorithm=Canonicalization.EXCLUSIVE)
    _child(holder, "EncapsulatedTimeStamp").text = _base64(stamp.token)
    if level.reaches(Level.B_LT):
        certificate = _signer_of(signature)
        _values(unsigned, await gather(certificate, evidence))
        if stamp.certificate:
            validation = _child(unsigned, "TimeStampValidationData", "xades141")
            _values(validation, await gather(stamp.certificate, evidence))
    return serialise(tree)


def newest(signatures: Iterable[Element]) -> Element:
    """Return the signature that was made last: the last one in the document.

    Raises:
        DocumentUnusableError: there is none.
    """
    found = list(signatures)
    if not found:
        raise DocumentUnusableError("there is no XML signature in this document")
    return found[-1]


def _unsigned(signature: Element) -> Element:
    """Return UnsignedSignatureProperties, made where it is missing."""
    properties = signature.find(f"{name('ds', 'Object')}/{name('xades', 'QualifyingProperties')}")
    if properties is None:
        raise DocumentUnusableError("this XML signature is no XAdES signature")
    for local in ("UnsignedProperties", "UnsignedSignatureProperties"):
        found = properties.find(name("xades", local))
        properties = _child(properties, local) if found is None else found
    return properties


def _signer_of(signature: Element) -> bytes:
    from base64 import b64decode

    path = "/".join(name("ds", local) for local in ("KeyInfo", "X509Data", "X509Certificate"))
    text = signature.findtext(path)
    if not text:
        raise DocumentUnusableError("the signature holds no certificate")
    return b64decode("".join(text.split()))


def _values(holder: Element, data: ValidationData) -> None:
    """Write certificates and revocation data (§5.4.1, §5.4.2)."""
    certificates = _child(holder, "CertificateValues")
    for der in data.certificates:
        _child(certificates, "EncapsulatedX509Certificate").text = _base64(der)
    if not data.crls and not data.ocsp:
        return
    revocation = _child(holder, "RevocationValues")
    for outer, inner, values in (
        ("CRLValues", "EncapsulatedCRLValue", data.crls),
        ("OCSPValues", "EncapsulatedOCSPValue", data.ocsp),
    ):
        if values:
            group = _child(revocation, outer)
            for der in values:
                _child(group, inner).text = _base64(der)


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()


def _child(parent: Element, local: str, prefix: str = "xades", **attributes: str) -> Element:
    from lxml import etree

    nsmap = {"xades": XADES} if prefix == "xades" else {"xades141": XADES_141} if prefix != "ds" else None
    child = etree.SubElement(parent, name(prefix, local), nsmap=nsmap)
    for key, value in attributes.items():
        child.set(key, str(value))
    return child
