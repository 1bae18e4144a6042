"""Read CMS SignedData (RFC 5652 §5) and CAdES (ETSI EN 319 122-1), any number of signers, RSA or EC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from hca_card import tlv
from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from signing.asn1 import parsing, reading
from signing.certificate import parsed
from signing.errors import CertificateMalformedError, HashUnsupportedError, SignatureFormatError
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.found import Finding, FoundDocument, FoundSignature, FoundStamp, Remark

if TYPE_CHECKING:
    from asn1crypto.cms import CMSAttributes, SignedData, SignerInfo

SIGNERS_MAX: Final = 64
"""More than that is an attempt to keep the processor busy."""

_DIGEST_ATTRIBUTE: Final = bytes.fromhex("06092A864886F70D010904")
_CERTIFICATE_VALUES: Final = "1.2.840.113549.1.9.16.2.23"
_REVOCATION_VALUES: Final = "1.2.840.113549.1.9.16.2.24"
_OCSP_RESPONSE: Final = "1.3.6.1.5.5.7.16.2"
_BASIC_OCSP: Final = "1.3.6.1.5.5.7.48.1.1"


def read_cms(
    message: bytes, document: bytes | None = None, certificate: bytes | None = None
) -> FoundDocument:
    """Return the signatures of a CMS message.

    Args:
        message: ContentInfo with SignedData, DER or BER.
        document: what should have been signed; None for the content that is inside.
        certificate: of the signer where it is not inside, DER.
    """
    changed: tuple[Remark, ...] = ()
    try:
        signed, content = signed_data_in(message)
        kind = signed["encap_content_info"]["content_type"].native
        if document is not None and content is not None and content != document:
            changed = (Remark(Finding.CONTENT_CHANGED, "the document given is not the one inside"),)
        found = tuple(signatures_of(signed, content if document is None else document, kind, certificate))
    except SignatureFormatError as error:
        return FoundDocument("cms", (), (Remark(Finding.DOCUMENT_UNREADABLE, str(error)[:80]),))
    if changed:
        found = tuple(replace(each, remarks=each.remarks + changed, intact=False) for each in found)
    return FoundDocument("cms", found, () if found else (Remark(Finding.NO_SIGNATURE),))


def signed_data_in(message: bytes) -> tuple[SignedData, bytes | None]:
    """Return the SignedData of a ContentInfo, and the content inside it.

    Raises:
        SignatureFormatError: it is none.
    """
    from asn1crypto import cms, core, tsp  # noqa: F401  (tsp adds its names to cms's tables)

    with parsing(message, SignatureFormatError):
        info = cms.ContentInfo.load(message, strict=True)
        if info["content_type"].native != "signed_data":
            raise SignatureFormatError("this CMS message holds no signature")
        signed = info["content"]
        _ = signed["signer_infos"].native
        inside = signed["encap_content_info"]["content"]
        if isinstance(inside, core.Void):
            return signed, None
        # A stamp's content has a type of its own, and `native` of it is no longer octets.
        return signed, bytes(inside.parsed.native if isinstance(inside, core.Any) else inside)


def signatures_of(
    signed: SignedData, content: bytes | None, content_type: str, certificate: bytes | None = None
) -> Iterator[FoundSignature]:
    """Give each signature of a SignedData, then its countersignatures.

    Args:
        signed: it.
        content: what it should be over; None where it is not at hand.
        content_type: asn1crypto's name of the type that the signed attributes must name.
        certificate: of the signer where it is not inside, DER.

    Raises:
        SignatureFormatError: what stands beside the signers cannot be read.
    """
    with reading(SignatureFormatError):
        inside = _Inside.of(signed, certificate)
        signers = list(signed["signer_infos"])
    if len(signers) > SIGNERS_MAX:
        yield FoundSignature(
            SignatureFormat.CMS, None, intact=False, remarks=(Remark(Finding.STRUCTURE_REFUSED),)
        )
        return
    digests: dict[Hash, bytes] = {}
    number = 0
    for signer in signers:
        number += 1
        over = number
        yield _read_signer(signer, inside, content, content_type, digests)
        for counter in list(_countersignatures(signer))[:SIGNERS_MAX]:
            number += 1
            found = _read_signer(counter, inside, bytes(signer["signature"].native), None, {})
            yield replace(found, over=over)


@dataclass(frozen=True, slots=True)
class _Inside:
    """What a message carries beside its signers."""

    certificates: tuple[bytes, ...]
    ocsp: tuple[bytes, ...]
    crls: tuple[bytes, ...]

    @classmethod
    def of(cls, signed: SignedData, certificate: bytes | None) -> _Inside:
        from asn1crypto import core

        certificates, crls = signed["certificates"], signed["crls"]
        found = [] if certificate is None else [certificate]
        if not isinstance(certificates, core.Void):
            found += [each.chosen.dump() for each in certificates if each.name == "certificate"]
        lists: list[bytes] = []
        answers: list[bytes] = []
        for each in () if isinstance(crls, core.Void) else crls:
            if each.name == "crl":
                lists.append(each.chosen.dump())
            elif each.chosen["other_rev_info_format"].dotted == _OCSP_RESPONSE:
                answers.append(each.chosen["other_rev_info"].dump())
        return cls(tuple(found), tuple(answers), tuple(lists))


def _read_signer(
    signer: SignerInfo,
    inside: _Inside,
    content: bytes | None,
    content_type: str | None,
    digests: dict[Hash, bytes],
) -> FoundSignature:
    """Return one SignerInfo as a finding, whatever it holds."""
    try:
        with reading(SignatureFormatError):
            return _signature(signer, inside, content, content_type, digests)
    except SignatureFormatError as error:
        return FoundSignature(
            SignatureFormat.CMS,
            None,
            intact=False,
            remarks=(Remark(Finding.SIGNATURE_UNREADABLE, str(error)[:80]),),
        )


def _signature(
    signer: SignerInfo,
    inside: _Inside,
    content: bytes | None,
    content_type: str | None,
    digests: dict[Hash, bytes],
) -> FoundSignature:
    attributes = _attributes(signer["signed_attrs"])
    unsigned = _attributes(signer["unsigned_attrs"])
    binds = bool({"signing_certificate", "signing_certificate_v2"} & attributes.keys())
    extra = _values(unsigned)
    found = FoundSignature(
        SignatureFormat.CADES if binds else SignatureFormat.CMS,
        _certificate_of(signer, inside.certificates),
        intact=False,
        claimed_time=_claimed_time(attributes),
        binds_certificate=binds,
        certificates=(*inside.certificates, *extra.certificates),
        ocsp=(*inside.ocsp, *extra.ocsp),
        crls=(*inside.crls, *extra.crls),
        stamps=tuple(_stamps(signer, unsigned)),
    )
    try:
        algorithm = Hash.of_asn1_name(signer["digest_algorithm"]["algorithm"].native)
    except HashUnsupportedError:
        name = signer["digest_algorithm"]["algorithm"].native
        finding = Finding.ALGORITHM_WEAK if name in ("md5", "md2") else Finding.ALGORITHM_UNKNOWN
        return replace(found, remarks=(Remark(finding, str(name)),))
    found = replace(found, hash=algorithm)
    if found.certificate is None:
        return replace(found, intact=content is not None, remarks=(Remark(Finding.CERTIFICATE_MISSING),))
    if content is None:
        return replace(found, remarks=(Remark(Finding.CONTENT_MISSING),))
    if algorithm not in digests:
        digests[algorithm] = algorithm.digest(content)
    covered = _Covered(content, content_type, digests[algorithm])
    remarks = _checked(signer, found.certificate, attributes, covered)
    return replace(found, intact=not remarks, remarks=remarks)


@dataclass(frozen=True, slots=True)
class _Covered:
    """What a signer should have signed: the content, its type (None for a countersignature) and digest."""

    content: bytes
    kind: str | None
    digest: bytes


def _checked(
    signer: SignerInfo, certificate: bytes, attributes: dict[str, list[Any]], covered: _Covered
) -> tuple[Remark, ...]:
    """Return why the signature does not hold (RFC 5652 §5.4, §5.6); nothing where it does."""
    from asn1crypto import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from pyhanko.sign.validation.errors import SignatureValidationError
    from pyhanko.sign.validation.generic_cms import validate_sig_integrity

    if not attributes:
        if covered.kind not in (None, "data"):
            return (Remark(Finding.STRUCTURE_AMBIGUOUS, "signed attributes are missing"),)
        # Without this, the attributes under somebody's signature could be passed off as what they signed.
        if covered.content[:1] == b"\x31" and _DIGEST_ATTRIBUTE in covered.content:
            return (Remark(Finding.STRUCTURE_AMBIGUOUS, "signed attributes are presented as a document"),)
    repeated = [name for name, values in attributes.items() if len(values) != 1 and name in _ONCE]
    if repeated:
        return (Remark(Finding.STRUCTURE_AMBIGUOUS, f"{repeated[0]} is there more than once"),)
    if attributes and "message_digest" not in attributes:
        return (Remark(Finding.STRUCTURE_AMBIGUOUS, "the digest of the content is missing"),)
    if covered.kind is None and attributes and "content_type" in attributes:
        # RFC 5652 §11.4: a countersignature has none.
        return (Remark(Finding.STRUCTURE_AMBIGUOUS, "a countersignature names a content type"),)
    if covered.kind is None:
        return _countersignature_checked(signer, certificate, attributes, covered.digest)
    try:
        intact, valid = validate_sig_integrity(
            signer, x509.Certificate.load(certificate), covered.kind, covered.digest
        )
    except SignatureValidationError as error:
        return (Remark(_finding_of(str(error)), str(error)[:80]),)
    except (UnsupportedAlgorithm, NotImplementedError) as error:
        return (Remark(Finding.ALGORITHM_UNKNOWN, str(error)[:80]),)
    if attributes and not intact:
        return (Remark(Finding.CONTENT_CHANGED),)
    if not valid:
        return (Remark(Finding.SIGNATURE_WRONG if attributes else Finding.CONTENT_CHANGED),)
    return ()


def _countersignature_checked(
    signer: SignerInfo, certificate: bytes, attributes: dict[str, list[Any]], digest: bytes
) -> tuple[Remark, ...]:
    """As `_checked`, for RFC 5652 §11.4: over the value of another signature, without a content type."""
    from asn1crypto import x509
    from cryptography.exceptions import InvalidSignature
    from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator, SignatureValidationContext

    covered = digest
    if attributes:
        if bytes(attributes["message_digest"][0].native) != digest:
            return (Remark(Finding.CONTENT_CHANGED, "it countersigns something else"),)
        covered = b"\x31" + signer["signed_attrs"].dump()[1:]
    try:
        DefaultSignatureValidator().validate_signature(
            signer["signature"].native,
            covered,
            x509.Certificate.load(certificate).public_key,
            signer["signature_algorithm"],
            context=SignatureValidationContext(
                contextual_md_algorithm=signer["digest_algorithm"]["algorithm"].native,
                prehashed=not attributes,
            ),
        )
    except InvalidSignature:
        return (Remark(Finding.SIGNATURE_WRONG),)
    return ()


def _finding_of(message: str) -> Finding:
    """Return what a refusal of pyhanko's stands for: it tells them apart by their words alone."""
    return (
        Finding.CERTIFICATE_OTHER if "signing certificate" in message.lower() else Finding.STRUCTURE_AMBIGUOUS
    )


_ONCE: Final = frozenset(
    (
        "content_type",
        "message_digest",
        "signing_time",
        "signing_certificate",
        "signing_certificate_v2",
        "cms_algorithm_protection",
    )
)
"""Signed attributes of which there is one, with one value (RFC 5652 §11; RFC 5035 §3)."""


def _attributes(attributes: CMSAttributes) -> dict[str, list[Any]]:
    """Return the values by the attribute's name, those of attributes that are there twice together."""
    from asn1crypto import core

    found: dict[str, list[Any]] = {}
    for each in () if isinstance(attributes, core.Void) else attributes:
        found.setdefault(each["type"].native, []).extend(each["values"])
    return found


def _values(unsigned: dict[str, list[Any]]) -> _Inside:
    """Return the evidence in unsigned attributes (ETSI EN 319 122-1 annex A.1.1)."""
    certificates: list[bytes] = []
    ocsp: list[bytes] = []
    crls: list[bytes] = []
    for value in unsigned.get(_CERTIFICATE_VALUES, ()):
        certificates += [item.encode() for item in tlv.read(value.dump())[0].children]
    for value in unsigned.get(_REVOCATION_VALUES, ()):
        for part in tlv.read(value.dump())[0].children:
            items = [item.encode() for each in part.children for item in each.children]
            if part.tag == 0xA0:
                crls += items
            elif part.tag == 0xA1:
                ocsp += [_ocsp_response(item) for item in items]
    return _Inside(tuple(certificates), tuple(ocsp), tuple(crls))


def _ocsp_response(basic: bytes) -> bytes:
    """Return a BasicOCSPResponse as the OCSPResponse around it (RFC 6960 §4.2.1)."""
    from asn1crypto import ocsp

    return bytes(
        ocsp.OCSPResponse(
            {
                "response_status": "successful",
                "response_bytes": {
                    "response_type": "basic_ocsp_response",
                    "response": ocsp.BasicOCSPResponse.load(basic),
                },
            }
        ).dump()
    )


def _stamps(signer: SignerInfo, unsigned: dict[str, list[Any]]) -> Iterator[FoundStamp]:
    for value in unsigned.get("signature_time_stamp_token", ()):
        yield FoundStamp(value.dump(), bytes(signer["signature"].native))


def _countersignatures(signer: SignerInfo) -> Iterator[SignerInfo]:
    yield from _attributes(signer["unsigned_attrs"]).get("counter_signature", ())


def _claimed_time(attributes: dict[str, list[Any]]) -> datetime | None:
    values = attributes.get("signing_time", ())
    return values[0].native if len(values) == 1 else None


def _certificate_of(signer: SignerInfo, certificates: tuple[bytes, ...]) -> bytes | None:
    """Return the certificate that the SignerIdentifier names (§5.3)."""
    sid = signer["sid"]
    for der in certificates:
        try:
            certificate = parsed(der)
        except CertificateMalformedError:
            continue
        if sid.name == "subject_key_identifier":
            if bytes(sid.chosen) == tlv.find(certificate.extensions.get(SUBJECT_KEY_IDENTIFIER, b""), 0x04):
                return der
        elif bytes(sid.chosen["serial_number"].contents) == certificate.serial_number and compared_name(
            sid.chosen["issuer"].dump()
        ) == compared_name(certificate.issuer):
            return der
    return None
