"""Read CMS SignedData (RFC 5652 §5) and CAdES (ETSI EN 319 122-1), any number of signers, RSA or EC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hca_card import tlv
from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from hca_card.errors import CardDataError
from signing.asn1 import parsing, reading
from signing.certificate import parsed
from signing.errors import CertificateMalformedError, HashUnsupportedError, SignatureFormatError
from signing.formats import SignatureFormat
from signing.hashes import Hash
from signing.verification.found import Finding, FoundDocument, FoundSignature, FoundStamp, Remark

if TYPE_CHECKING:
    from asn1crypto.algos import SignedDigestAlgorithm
    from asn1crypto.cms import CMSAttributes, SignedData, SignerInfo
    from asn1crypto.x509 import Certificate as X509Certificate

OBJECTS_MAX: Final = 1_000_000
"""Data objects in a message; a revocation list inside it has some for each certificate that it lists."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

SIGNERS_MAX: Final = 64
"""More than that is an attempt to keep the processor busy."""

_SHORT: Final = 64 * 1024
_DIGEST_ATTRIBUTE: Final = bytes.fromhex("06092A864886F70D010904")
_CERTIFICATE_VALUES: Final = "1.2.840.113549.1.9.16.2.23"
_REVOCATION_VALUES: Final = "1.2.840.113549.1.9.16.2.24"
_COMMITMENT: Final = "1.2.840.113549.1.9.16.2.16"
_UTF8_STRING: Final = 0x0C
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

    # asn1crypto takes apart what is asked for and no more: of a short message that is never much.
    with (
        reading(SignatureFormatError)
        if len(message) <= _SHORT
        else parsing(message, SignatureFormatError, objects_max=OBJECTS_MAX)
    ):
        info = cms.ContentInfo.load(message, strict=True)
        if info["content_type"].native != "signed_data":
            raise SignatureFormatError("this CMS message holds no signature")
        signed = info["content"]
        inside = signed["encap_content_info"]["content"]
        if isinstance(inside, core.Void):
            return signed, None
        # A stamp's content has a type of its own, and `native` of it is no longer octets.
        return signed, bytes(inside.parsed.native if isinstance(inside, core.Any) else inside)


def signatures_of(
    signed: SignedData, content: bytes | None, content_type: str, certificate: bytes | None = None
) -> Iterator[FoundSignature]:
    """Give each signature, the earliest first by the signers' clocks, and then its countersignatures.

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
        signers = sorted(signed["signer_infos"], key=_made)
    if len(signers) > SIGNERS_MAX:
        yield FoundSignature(
            SignatureFormat.CMS, None, intact=False, remarks=(Remark(Finding.STRUCTURE_REFUSED),)
        )
        return
    expected = _Expected(inside, content, content_type)
    number = 0
    for signer in signers:
        number += 1
        over = number
        yield _read_signer(signer, expected)
        with reading(SignatureFormatError):
            counters = list(_countersignatures(signer))[:SIGNERS_MAX]
            value = _Expected(inside, bytes(signer["signature"].native), None) if counters else expected
        for counter in counters:
            number += 1
            yield replace(_read_signer(counter, value), over=over)


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


@dataclass(frozen=True, slots=True)
class _Expected:
    """What signers should have signed, and what came beside them.

    Attributes:
        content: None where it is not at hand.
        kind: asn1crypto's name of the type that signed attributes must name; None for a countersignature.
    """

    inside: _Inside
    content: bytes | None
    kind: str | None
    _digests: dict[Hash, bytes] = field(default_factory=dict)

    def digest(self, algorithm: Hash, content: bytes) -> bytes:
        """Return the digest of the content, made once for all signers."""
        if algorithm not in self._digests:
            self._digests[algorithm] = algorithm.digest(content)
        return self._digests[algorithm]


def _read_signer(signer: SignerInfo, expected: _Expected) -> FoundSignature:
    """Return one SignerInfo as a finding, whatever it holds."""
    try:
        with reading(SignatureFormatError):
            return _signature(signer, expected)
    except SignatureFormatError as error:
        return FoundSignature(
            SignatureFormat.CMS,
            None,
            intact=False,
            remarks=(Remark(Finding.SIGNATURE_UNREADABLE, str(error)[:80]),),
        )


def _signature(signer: SignerInfo, expected: _Expected) -> FoundSignature:
    inside, content = expected.inside, expected.content
    # First of all: asn1crypto writes anew what it has taken apart, and the octets that were signed are these.
    octets = _signed_octets(signer)
    attributes = _attributes(signer["signed_attrs"])
    unsigned = _attributes(signer["unsigned_attrs"])
    binds = not attributes.keys().isdisjoint(_BINDING)
    extra = _values(unsigned)
    certificate = _certificate_of(signer, inside.certificates)
    algorithm, remarks = _digest_algorithm(signer)
    if certificate is None and not remarks:
        remarks = (Remark(Finding.CERTIFICATE_MISSING),)
    elif content is None and not remarks:
        remarks = (Remark(Finding.CONTENT_MISSING),)
    intact = False
    if content is not None and algorithm is not None and certificate is not None:
        covered = _Covered(content, expected.kind, expected.digest(algorithm, content), octets)
        remarks = _checked(signer, certificate, attributes, covered)
        intact = not remarks
    return FoundSignature(
        SignatureFormat.CADES if binds else SignatureFormat.CMS,
        certificate,
        intact=intact,
        remarks=remarks,
        hash=algorithm,
        claimed_time=_claimed_time(attributes),
        reason=_reason(signer["signed_attrs"]),
        binds_certificate=binds,
        certificates=(*inside.certificates, *extra.certificates),
        ocsp=(*inside.ocsp, *extra.ocsp),
        crls=(*inside.crls, *extra.crls),
        stamps=tuple(_stamps(signer, unsigned)),
    )


def _digest_algorithm(signer: SignerInfo) -> tuple[Hash | None, tuple[Remark, ...]]:
    name = signer["digest_algorithm"]["algorithm"].native
    try:
        return Hash.of_asn1_name(name), ()
    except HashUnsupportedError:
        finding = Finding.ALGORITHM_WEAK if name in ("md5", "md2") else Finding.ALGORITHM_UNKNOWN
        return None, (Remark(finding, str(name)),)


@dataclass(frozen=True, slots=True)
class _Covered:
    """What a signer should have signed.

    Attributes:
        content: what it is over.
        kind: asn1crypto's name of its type; None for a countersignature.
        digest: of the content.
        attributes: the signed attributes as they were signed; empty without any.
    """

    content: bytes
    kind: str | None
    digest: bytes
    attributes: bytes


def _checked(
    signer: SignerInfo, certificate: bytes, attributes: dict[str, list[Any]], covered: _Covered
) -> tuple[Remark, ...]:
    """Return why the signature does not hold (RFC 5652 §5.4, §5.6, §11.4); nothing where it does."""
    if not attributes:
        if covered.kind not in (None, "data"):
            return (Remark(Finding.STRUCTURE_AMBIGUOUS, "signed attributes are missing"),)
        # Without this, the attributes under somebody's signature could be passed off as what they signed.
        if covered.content[:1] == b"\x31" and _DIGEST_ATTRIBUTE in covered.content:
            return (Remark(Finding.STRUCTURE_AMBIGUOUS, "signed attributes are presented as a document"),)
    repeated = [name for name, values in attributes.items() if len(values) != 1 and name in _ONCE]
    if repeated:
        return (Remark(Finding.STRUCTURE_AMBIGUOUS, f"{repeated[0]} is there more than once"),)
    certified = _certified(certificate)
    if attributes and (wrong := _wrong_attributes(signer, attributes, covered, certified)):
        return (wrong,)
    return _value_checked(signer, certified, covered)


@lru_cache(maxsize=64)
def _certified(der: bytes) -> X509Certificate:
    from asn1crypto import x509

    return x509.Certificate.load(der)


def _wrong_attributes(
    signer: SignerInfo, attributes: dict[str, list[Any]], covered: _Covered, certificate: X509Certificate
) -> Remark | None:
    """Return what of the signed attributes is not as it must be."""
    from pyhanko.sign.general import check_ess_certid
    from pyhanko.sign.validation.errors import CMSAlgorithmProtectionError
    from pyhanko.sign.validation.generic_cms import validate_algorithm_protection

    kinds = [each.native for each in attributes.get("content_type", ())]
    # RFC 5652 §11.4: a countersignature names no type.
    if kinds != ([] if covered.kind is None else [covered.kind]):
        return Remark(Finding.STRUCTURE_AMBIGUOUS, "another type of content is named, or none")
    if "message_digest" not in attributes:
        return Remark(Finding.STRUCTURE_AMBIGUOUS, "the digest of the content is missing")
    # RFC 5035 §4: the first names the signer's certificate, whatever others stand there.
    named = [value["certs"][0] for name in _BINDING for value in attributes.get(name, ())]
    if not all(check_ess_certid(certificate, each) for each in named):
        return Remark(Finding.CERTIFICATE_OTHER)
    if "cms_algorithm_protection" in attributes:
        try:
            algorithms = signer["digest_algorithm"], signer["signature_algorithm"]
            validate_algorithm_protection(signer["signed_attrs"], *algorithms, None)
        except CMSAlgorithmProtectionError as error:
            return Remark(Finding.STRUCTURE_AMBIGUOUS, str(error)[:80])
    if bytes(attributes["message_digest"][0].native) != covered.digest:
        return Remark(Finding.CONTENT_CHANGED)
    return None


def _value_checked(signer: SignerInfo, certificate: X509Certificate, covered: _Covered) -> tuple[Remark, ...]:
    """Return why the signature value is not the certificate's."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from pyhanko_certvalidator.errors import AlgorithmNotSupported, DSAParametersUnavailable
    from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator, SignatureValidationContext

    method = signer["signature_algorithm"]
    if not _same_hash(method, signer["digest_algorithm"]["algorithm"].native):
        return (Remark(Finding.STRUCTURE_AMBIGUOUS, "two hashes are named"),)
    if not _key_fits(method, certificate.public_key.algorithm):
        return (Remark(Finding.SIGNATURE_WRONG, "the method is not for the certificate's key"),)
    try:
        DefaultSignatureValidator().validate_signature(
            signer["signature"].native,
            covered.attributes or covered.digest,
            certificate.public_key,
            signer["signature_algorithm"],
            context=SignatureValidationContext(
                contextual_md_algorithm=signer["digest_algorithm"]["algorithm"].native,
                prehashed=not covered.attributes,
            ),
        )
    except (
        AlgorithmNotSupported,
        DSAParametersUnavailable,  # a kind of InvalidSignature there, and nothing was verified
        UnsupportedAlgorithm,
        NotImplementedError,
    ) as error:
        return (Remark(Finding.ALGORITHM_UNKNOWN, str(error)[:80]),)
    except InvalidSignature:
        return (Remark(Finding.SIGNATURE_WRONG if covered.attributes else Finding.CONTENT_CHANGED),)
    return ()


def _same_hash(method: SignedDigestAlgorithm, digest: str) -> bool:
    """Whether the method is by the hash of the digest (RFC 5652 §5.3), or names none of its own."""
    try:
        return bool(method.hash_algo == digest)
    except ValueError:
        return True


def _key_fits(method: SignedDigestAlgorithm, key: str) -> bool:
    try:
        kind = method.signature_algo
    except ValueError:
        return True
    return key in _KEYS.get(kind, (key,))


def _signed_octets(signer: SignerInfo) -> bytes:
    from asn1crypto import core

    attributes = signer["signed_attrs"]
    # What is signed has the tag of SET OF, not the one that stands in the message (§5.4).
    return b"" if isinstance(attributes, core.Void) else b"\x31" + bytes(attributes.dump())[1:]


_KEYS: Final = {"rsassa_pkcs1v15": ("rsa",), "rsassa_pss": ("rsa", "rsassa_pss"), "ecdsa": ("ec",)}
"""By method, which keys make such a signature, in asn1crypto's names."""
_BINDING: Final = ("signing_certificate", "signing_certificate_v2")
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


def _made(signer: SignerInfo) -> datetime:
    """Return when a signer says to have signed: a SET OF is sorted by its octets, and says no order."""
    try:
        with reading(SignatureFormatError):
            found = _claimed_time(_attributes(signer["signed_attrs"]))
            return (found or _NEVER).astimezone(UTC)
    except SignatureFormatError:
        return _NEVER


def _claimed_time(attributes: dict[str, list[Any]]) -> datetime | None:
    values = attributes.get("signing_time", ())
    return values[0].native if len(values) == 1 else None


def _reason(attributes: CMSAttributes) -> str:
    """Return what the signer says the signature is for: the words beside a commitment type (§5.2.3)."""
    from asn1crypto import core

    for each in () if isinstance(attributes, core.Void) else attributes:
        if each["type"].dotted != _COMMITMENT:
            continue
        # What others write there is theirs to choose, and no reason to doubt the signature.
        with suppress(CardDataError, IndexError):
            indication, _end = tlv.read(each["values"].contents)
            for qualifier in indication.children[1].children:
                for part in qualifier.children[1].children:
                    if part.tag == _UTF8_STRING:
                        return part.value.decode("utf-8", "replace")[:200]
    return ""


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
        elif bytes(sid.chosen["serial_number"].contents) == certificate.serial_number and _same_name(
            sid.chosen["issuer"].dump(), certificate.issuer
        ):
            return der
    return None


def _same_name(one: bytes, other: bytes) -> bool:
    return one == other or compared_name(one) == compared_name(other)
