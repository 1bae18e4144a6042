"""Making CMS signatures (RFC 5652 §5) with a card: SignedData with one signer and its certificate alone.

What the card signs is not the document's digest but that of the signed attributes, which hold it. These are a
DER SET OF, so its first byte is 0x31; `signing.guard` says why no login can be made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import ObjectMissingError
from hca_card.model import Card, KeyUse
from signing.certificate import curve_bits, parsed, pss_only, signature_key
from signing.guard import check_document
from signing.hashes import Hash
from signing.sign import sign_digest

if TYPE_CHECKING:
    from asn1crypto.cms import CertificateChoices, CMSAttributes, SignerInfo
    from pyhanko.sign.ades.cades_asn1 import CommitmentTypeIndication

CARD_NUMBER: Final = "2.16.886.1.100.2.204"
"""Attribute: the number of the card, as the government's certificates name it too."""

RANDOM_NONCE: Final = "1.2.840.113549.1.9.25.3"
"""Attribute randomNonce (RFC 2985 §5.3.5): OCTET STRING."""

REASON_MAX: Final = 200
"""Characters of a DisplayText (RFC 5126 §5.8.1)."""

_COMMITMENT: Final = "1.2.840.113549.1.9.16.2.16"
_APPROVAL: Final = "1.2.840.113549.1.9.16.6.5"
_NOTICE: Final = "1.2.840.113549.1.9.16.5.2"

# SigningCertificateV2 of one certificate up to its digest. RFC 5035 §4: SHA-256 is the default,
# and DER leaves defaults out. asn1crypto takes 6 ms to write it, as long as for all the rest together.
_BOUND_TO: Final = bytes.fromhex("3026 3024 3022 0420")

# RFC 5652 §11.3: UTCTime through 2049, GeneralizedTime from then on.
_GENERALIZED_FROM: Final = 2050


@dataclass(frozen=True, slots=True)
class CmsForm:
    """What a CMS signature is to hold besides what each one must.

    Attributes:
        detached: without the document itself.
        card_number: with the number of the card as a signed attribute.
        nonce: with these octets as the signed attribute randomNonce; empty for none.
    """

    detached: bool = False
    card_number: bool = False
    nonce: bytes = b""


def sign_cms(
    card: Card,
    document: bytes,
    algorithm: Hash,
    form: CmsForm,
    use: KeyUse = KeyUse.SIGNATURE,
    *,
    certificate: bytes | None = None,
    digest: bytes | None = None,
    when: datetime | None = None,
    allow_sha1: bool = False,
) -> bytes:
    """Return the card's CMS signature over `document`; the PIN must have been verified in this transaction.

    Args:
        card: the card that signs.
        document: what is signed, any length.
        algorithm: the hash of document and attributes.
        form: what the signature is to hold.
        use: which of the card's keys.
        certificate: that key's certificate, DER, where the caller has read it already; else it is read.
        digest: the document's, where the caller has computed it already.
        when: the signing time, aware; now where it is left out.
        allow_sha1: the caller speaks for an old portal that can verify nothing better.

    Returns:
        ContentInfo with SignedData, DER.

    Raises:
        DocumentRefusedError: the document looks like a login (`signing.guard`).
        HashUnsupportedError: SHA-1 without `allow_sha1`.
        SignatureInvalidError: what the card made does not verify with its own certificate.
        CertificateMalformedError: the card's certificate cannot be named.
        hca_card.errors.CardError: the card refused, or has no number where one is wanted.
        pcsc.errors.PcscError: the link failed.
    """
    check_document(document)
    if certificate is None:
        certificate = card.certificate(CERTIFICATE_INDEX[use]).der
    attributes = signed_attributes(
        algorithm.digest(document) if digest is None else digest,
        when or datetime.now(UTC),
        card_number=_number(card) if form.card_number else "",
        nonce=form.nonce,
    )
    signature = sign_digest(
        card,
        algorithm.digest(attributes.dump()),
        algorithm,
        use,
        certificate=certificate,
        allow_sha1=allow_sha1,
    )
    info = signer_info(certificate, attributes, signature, algorithm)
    return signed_data((certificate,), info, algorithm, content=None if form.detached else document)


def signed_attributes(
    digest: bytes,
    when: datetime | None,
    *,
    card_number: str = "",
    nonce: bytes = b"",
    bound_to: bytes = b"",
    counter: bool = False,
    reason: str = "",
) -> CMSAttributes:
    """Return what is signed (RFC 5652 §5.3): `dump()` gives the DER SET OF whose digest the card signs.

    Args:
        digest: of the document.
        when: the signing time, aware; None for none.
        card_number: attribute 2.16.886.1.100.2.204; empty for none.
        nonce: attribute randomNonce; empty for none.
        bound_to: the signer's certificate, DER, for the attribute signing-certificate-v2; empty for none.
        counter: for a countersignature, which has no content type (§11.4).
        reason: what the signer says it is for; empty for none.

    Raises:
        ValueError: the reason is too long.
    """
    # tsp adds its names to cms's tables, which are read at the first use and never again.
    from asn1crypto import cms, core, tsp

    found: list[dict[str, Any]] = [] if counter else [{"type": "content_type", "values": ["data"]}]
    if when is not None:
        moment = when.astimezone(UTC).replace(microsecond=0)
        kind = "utc_time" if moment.year < _GENERALIZED_FROM else "generalized_time"
        found.append({"type": "signing_time", "values": [cms.Time({kind: moment})]})
    found.append({"type": "message_digest", "values": [digest]})
    if card_number:
        text = core.PrintableString if card_number.isascii() and card_number.isalnum() else core.UTF8String
        found.append({"type": CARD_NUMBER, "values": [text(card_number)]})
    if nonce:
        found.append({"type": RANDOM_NONCE, "values": [core.OctetString(nonce)]})
    if bound_to:
        named = tsp.SigningCertificateV2.load(_BOUND_TO + Hash.SHA_256.digest(bound_to))
        found.append({"type": "signing_certificate_v2", "values": [named]})
    if reason:
        # By its number: asn1crypto knows the name only where pyHanko was there first.
        found.append({"type": _COMMITMENT, "values": [_commitment(reason)]})
    return cms.CMSAttributes([cms.CMSAttribute(each) for each in found])


def _commitment(reason: str) -> CommitmentTypeIndication:
    """Return that the signer approved the content, and why, in words (ETSI EN 319 122-1 §5.2.3).

    No qualifier for words is registered; that of a signature policy is (RFC 5126 §5.8.1, SPUserNotice).
    """
    from pyhanko.sign.ades.cades_asn1 import CommitmentTypeIndication, DisplayText, SPUserNotice

    if len(reason) > REASON_MAX:
        raise ValueError(f"a reason has at most {REASON_MAX} characters")
    notice = SPUserNotice({"explicit_text": DisplayText("utf8_string", reason)})
    qualifier = {"commitment_type_identifier": _NOTICE, "qualifier": notice}
    return CommitmentTypeIndication(
        {"commitment_type_id": _APPROVAL, "commitment_type_qualifier": [qualifier]}
    )


def signer_info(
    certificate: bytes, attributes: CMSAttributes, signature: bytes, algorithm: Hash
) -> SignerInfo:
    """Return a SignerInfo (RFC 5652 §5.3), its signer named by issuer and serial number.

    Args:
        certificate: the signer's, DER.
        attributes: what was signed.
        signature: over their DER: RSA, or Ecdsa-Sig-Value.
        algorithm: the hash of document and attributes.

    Raises:
        CertificateMalformedError: the certificate cannot be read.
    """
    from asn1crypto import cms, core, x509

    signer = parsed(certificate)
    name = cms.IssuerAndSerialNumber(
        {"issuer": x509.Name.load(signer.issuer), "serial_number": signer.number}
    )
    made: dict[str, Any] = {"algorithm": "rsassa_pkcs1v15", "parameters": core.Null()}
    if curve_bits(signature_key(certificate)):
        made = {"algorithm": f"{algorithm.asn1_name}_ecdsa"}  # RFC 5758 §3.2: without parameters
    elif pss_only(certificate):
        made = _pss(algorithm)
    return cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier({"issuer_and_serial_number": name}),
            "digest_algorithm": digest_algorithm(algorithm),
            "signed_attrs": attributes,
            "signature_algorithm": made,
            "signature": signature,
        }
    )


def _pss(algorithm: Hash) -> dict[str, Any]:
    """Return RSASSA-PSS with MGF1 of the same hash and a salt as long as it (RFC 4056 §3, RFC 4055 §3.1)."""
    hashed = {"algorithm": algorithm.asn1_name}
    mask = {"algorithm": "mgf1", "parameters": hashed}
    salt = len(algorithm.digest(b""))
    parameters = {"hash_algorithm": hashed, "mask_gen_algorithm": mask, "salt_length": salt}
    return {"algorithm": "rsassa_pss", "parameters": parameters}


def signed_data(
    certificates: Iterable[bytes], info: SignerInfo, algorithm: Hash, *, content: bytes | None
) -> bytes:
    """Return ContentInfo with SignedData (RFC 5652 §5.1) of one signer, DER.

    Args:
        certificates: what is put in, DER.
        info: the signer.
        algorithm: the hash of the document.
        content: the document; None for a detached signature.
    """
    from asn1crypto import cms, core

    inner: dict[str, Any] = {"content_type": "data"}
    if content is not None:
        inner["content"] = core.OctetString(content)
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [digest_algorithm(algorithm)],
            "encap_content_info": inner,
            "certificates": [certificate_choice(each) for each in certificates],
            "signer_infos": [info],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())


def digest_algorithm(algorithm: Hash) -> dict[str, Any]:
    """Return a hash as asn1crypto takes it."""
    from asn1crypto import core

    # NULL parameters: RFC 3370 §3.2 demands them of rsaEncryption, and RFC 5754 §2 lets hashes have them.
    return {"algorithm": algorithm.asn1_name, "parameters": core.Null()}


def certificate_choice(certificate: bytes) -> CertificateChoices:
    """Return a certificate as SignedData has it."""
    from asn1crypto import cms, x509

    return cms.CertificateChoices({"certificate": x509.Certificate.load(certificate)})


def _number(card: Card) -> str:
    if not card.serial:
        raise ObjectMissingError("this card has no number")
    return card.serial
