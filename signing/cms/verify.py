"""Verifying CMS signatures (RFC 5652 §5.6): SignedData with one signer, RSA or EC.

This says that a certificate's key signed the content. Whether the certificate can be trusted is
`signing.trust`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hca_card import tlv
from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from signing.asn1 import parsing
from signing.certificate import curve_bits, parsed, pss_only, signature_key
from signing.errors import (
    CertificateMalformedError,
    SignatureFormatError,
    SignatureInvalidError,
    SignedContentMissingError,
    SignerMissingError,
)
from signing.hashes import Hash
from signing.verify import verify_digest

DATA: Final = "1.2.840.113549.1.7.1"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"

_PKCS7: Final = bytes.fromhex("06092A864886F70D0107")
"""The object identifier 1.2.840.113549.1.7 but for its last octet."""
_DIGEST_ATTRIBUTE: Final = bytes.fromhex("06092A864886F70D010904")
_HEAD: Final = 6 + len(_PKCS7)


@dataclass(frozen=True, slots=True)
class CmsSignature:
    """A signature that holds.

    Attributes:
        certificate: the signer's, DER; nothing else of it has been checked.
        content: what was signed.
        hash: the hash of the content.
        attributes: by OID the DER of each signed attribute that is there once, with one value.
    """

    certificate: bytes
    content: bytes
    hash: Hash
    attributes: Mapping[str, bytes]


def is_cms(content: bytes) -> bool:
    """Return whether `content` begins as a CMS message of any kind does: its type is one of PKCS#7's."""
    return content[:1] == b"\x30" and _PKCS7 in content[:_HEAD]


def verify_cms(cms: bytes, document: bytes | None = None, certificate: bytes | None = None) -> CmsSignature:
    """Return the signature if it is over the document.

    Args:
        cms: ContentInfo with SignedData, DER.
        document: what should have been signed; None for the content that is inside.
        certificate: the only signer accepted, DER; None for the one that is inside.

    Raises:
        SignatureFormatError: it is no such message, or one whose parts this program does not know.
        SignedContentMissingError: the document is neither inside nor given.
        SignerMissingError: the signer's certificate is neither inside nor given.
        SignatureInvalidError: another content or attribute was signed, or by somebody else.
        HashUnsupportedError: its hash is not known.
        CertificateMalformedError: the signer's certificate cannot be used to tell.
    """
    # tsp adds its names to cms's tables, which are read at the first use and never again.
    from asn1crypto import tsp  # noqa: F401
    from asn1crypto.cms import ContentInfo
    from asn1crypto.core import Void

    with parsing(cms, SignatureFormatError):
        message = ContentInfo.load(cms, strict=True)
        if message["content_type"].native != "signed_data":
            raise SignatureFormatError("this CMS message holds no signature")
        signed = message["content"]
        inside = signed["encap_content_info"]["content"]
        content = None if isinstance(inside, Void) else bytes(inside)
    if document is None:
        document = content
    if document is None:
        raise SignedContentMissingError
    if content not in (None, document):
        raise SignatureInvalidError("another document was signed")
    return verify_signed_data(signed, document, certificate)


def verify_signed_data(signed: Any, content: bytes, certificate: bytes | None = None) -> CmsSignature:
    """Return the one signature of a SignedData over `content`; the one check of a SignerInfo.

    Args:
        signed: asn1crypto's SignedData.
        content: the octets of the content, wherever they were.
        certificate: as for `verify_cms`.

    Raises:
        SigningError: as `verify_cms`.
    """
    with parsing(signed.dump(), SignatureFormatError):
        if len(signed["signer_infos"]) != 1:
            raise SignatureFormatError("only signatures of one signer are understood")
        signer = signed["signer_infos"][0]
        signers = _signers_certificate(signed, signer, certificate)
        algorithm = Hash.of_asn1_name(signer["digest_algorithm"]["algorithm"].native)
        covered, attributes = _covered(signed, signer, content, algorithm)
        signature_hash = _signature_hash(signer["signature_algorithm"], algorithm, signers)
        signature = bytes(signer["signature"])
    verify_digest(signers, signature_hash.digest(covered), signature, signature_hash)
    return CmsSignature(signers, content, algorithm, attributes)


def _signers_certificate(signed: Any, signer: Any, only: bytes | None) -> bytes:
    """Return the certificate that the SignerIdentifier names (§5.3)."""
    from asn1crypto.core import Void

    inside = signed["certificates"]
    choices = () if isinstance(inside, Void) else inside
    known = [each.chosen.dump() for each in choices if each.name == "certificate"] if only is None else [only]
    for der in known:
        if _is_named(signer["sid"], der):
            return der
    if only is not None:
        raise SignatureInvalidError("it was made with another certificate")
    raise SignerMissingError


def _is_named(sid: Any, der: bytes) -> bool:
    try:
        certificate = parsed(der)
    except CertificateMalformedError:
        return False
    if sid.name == "subject_key_identifier":
        return bytes(sid.chosen) == tlv.find(certificate.extensions.get(SUBJECT_KEY_IDENTIFIER, b""), 0x04)
    name, number = sid.chosen["issuer"].dump(), bytes(sid.chosen["serial_number"].contents)
    return number == certificate.serial_number and compared_name(name) == compared_name(certificate.issuer)


def _covered(signed: Any, signer: Any, content: bytes, algorithm: Hash) -> tuple[bytes, Mapping[str, bytes]]:
    """Return what the signature is over (§5.4), and the signed attributes, once they fit the content."""
    from asn1crypto.core import Void

    kind, attributes = signed["encap_content_info"]["content_type"], signer["signed_attrs"]
    if isinstance(attributes, Void):
        if kind.dotted != DATA:
            raise SignatureInvalidError("signed attributes are missing")
        # Without this, the attributes under somebody's signature could be passed off as what they signed.
        if content[:1] == b"\x31" and _DIGEST_ATTRIBUTE in content:
            raise SignatureInvalidError("signed attributes are presented as a document")
        return content, {}
    values: dict[str, list[bytes]] = {}
    for each in attributes:
        values.setdefault(each["type"].dotted, []).extend(value.dump() for value in each["values"])
    single = {oid: found[0] for oid, found in values.items() if len(found) == 1}
    if single.get(CONTENT_TYPE) != kind.dump():
        raise SignatureInvalidError("the signed attributes are of another kind of content")
    if single.get(MESSAGE_DIGEST) != tlv.Tlv(0x04, algorithm.digest(content)).encode():
        raise SignatureInvalidError("the content is another than the one that was signed")
    # What is signed has the tag of SET OF, not the one that stands in the message.
    return b"\x31" + attributes.dump()[1:], single


def _signature_hash(algorithm: Any, digest: Hash, certificate: bytes) -> Hash:
    """Return the hash under the signature: sha256WithRSAEncryption names it, rsaEncryption does not."""
    name = algorithm["algorithm"].native
    rsa = "rsassa_pss" if pss_only(certificate) else "rsassa_pkcs1v15"
    if algorithm.signature_algo != ("ecdsa" if curve_bits(signature_key(certificate)) else rsa):
        raise SignatureFormatError("only PKCS#1 v1.5, PSS and ECDSA by a key of that kind are understood")
    if name == "rsassa_pss":
        mask = algorithm["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native
        if mask != algorithm.hash_algo:
            raise SignatureFormatError("RSA-PSS with two hashes is not understood")
    return digest if name == "rsassa_pkcs1v15" else Hash.of_asn1_name(algorithm.hash_algo)
