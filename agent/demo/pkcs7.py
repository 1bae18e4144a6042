"""Verifying a PKCS#7 signature as a portal's server does: one signer, its certificate inside (RFC 5652 §5.6).

Whether the certificate can be trusted is the caller's to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 16 * 1024
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
RANDOM_NONCE: Final = "1.2.840.113549.1.9.25.3"


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a message says.

    Attributes:
        certificate: the signer's, DER.
        content: the document if it is inside.
        hash: the name of the digest algorithm.
        attributes: the signed attributes by OID, each one DER value.
        covered: what the signature is over.
        signature: PKCS#1 v1.5.
    """

    certificate: bytes
    content: bytes | None
    hash: str
    attributes: Mapping[str, bytes]
    covered: bytes
    signature: bytes


def verified_signer(cms: bytes, document: bytes, nonce: bytes = b"") -> bytes:
    """The signer's certificate, DER, if it signed `document` with SHA-256 and signed attributes.

    Args:
        cms: ContentInfo with SignedData, DER; the document may be inside or left out.
        document: what should have been signed.
        nonce: what the signed attribute randomNonce must hold; empty where none was asked for.

    Raises:
        SignatureInvalidError: it did not.
        CertificateMalformedError: its certificate cannot be used to tell.
    """
    from asn1crypto import core

    from signing.errors import SignatureInvalidError
    from signing.hashes import Hash
    from signing.verify import verify

    said = _read(cms)
    wanted = {
        CONTENT_TYPE: core.ObjectIdentifier("1.2.840.113549.1.7.1").dump(),
        MESSAGE_DIGEST: core.OctetString(Hash.SHA_256.digest(document)).dump(),
    }
    if nonce:
        wanted[RANDOM_NONCE] = core.OctetString(nonce).dump()
    if said.hash != "sha256" or (said.content is not None and said.content != document):
        raise SignatureInvalidError("another document was signed, or not with SHA-256")
    if any(said.attributes.get(oid) != value for oid, value in wanted.items()):
        raise SignatureInvalidError("the signed attributes are not those of this document")
    verify(said.certificate, said.covered, said.signature, Hash.SHA_256)
    return said.certificate


def _read(cms: bytes) -> _Signed:
    """The one signer, and the certificate that it names.

    Raises:
        SignatureInvalidError: it cannot be read.
    """
    from asn1crypto import cms as syntax

    from hca_card import tlv
    from signing.errors import SignatureInvalidError

    try:
        if len(cms) > MOST_BYTES:
            raise ValueError("no log-in is that long")  # noqa: TRY301  (all that cannot be read ends alike)
        tlv.check(cms)
        message = syntax.ContentInfo.load(cms, strict=True)
        if message["content_type"].native != "signed_data":
            raise ValueError("not SignedData")  # noqa: TRY301
        data = message["content"]
        (signer,) = data["signer_infos"]
        wanted = signer["sid"].chosen
        (certificate,) = [
            each.chosen
            for each in data["certificates"]
            if each.chosen.serial_number == wanted["serial_number"].native
            and each.chosen.issuer == wanted["issuer"]
        ]
        attributes: dict[str, bytes] = {}
        for attribute in signer["signed_attrs"]:
            # §11: an attribute is there once, with one value.
            (value,) = attribute["values"]
            if attribute["type"].dotted in attributes:
                raise ValueError("an attribute is there twice")  # noqa: TRY301
            attributes[attribute["type"].dotted] = value.dump()
        return _Signed(
            certificate=certificate.dump(),
            content=data["encap_content_info"]["content"].native,
            hash=signer["digest_algorithm"]["algorithm"].native,
            attributes=attributes,
            # §5.4: what is signed has the tag of SET OF, not the one that stands in the message.
            covered=signer["signed_attrs"].untag().dump(force=True),
            signature=signer["signature"].native,
        )
    except Exception as error:
        # asn1crypto reads lazily, and answers garbage with whatever exception the place happens to raise.
        raise SignatureInvalidError("this is no PKCS#7 signature that can be read") from error
