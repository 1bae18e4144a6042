"""The elliptic curve key of a simulated card: ECDSA over the digest that the card is handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hca_card.simulator.der import DIGESTS, octets, tlv

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CURVES: Final = {256: "SECP256R1", 384: "SECP384R1", 521: "SECP521R1"}
"""P-256, P-384 and P-521 (FIPS 186-5) by their length in bits; no RSA key is that short."""


@dataclass(frozen=True, slots=True, repr=False)
class EcKey:
    """A private key on one of the NIST curves."""

    private: EllipticCurvePrivateKey

    @property
    def bits(self) -> int:
        """Length of the curve's numbers."""
        return self.private.curve.key_size

    def public(self) -> bytes:
        """Return the point as DER: ECPoint, an OCTET STRING (RFC 5480 §2.2 without its BIT STRING)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return octets(self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def sign(self, digest: bytes) -> bytes:
        """Signature over `digest`: Ecdsa-Sig-Value, DER, as IsoApplet answers it.

        Raises:
            ValueError: `digest` has the length of no hash.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        name = DIGESTS.get(len(digest))
        if name is None:
            raise ValueError("as long as no digest")
        return self.private.sign(digest, ECDSA(Prehashed(getattr(hashes, name)())))

    def decipher(self, cipher: bytes) -> bytes:
        """Return the secret of ECDH with the point in A6{7F49{86}} (ISO/IEC 7816-8 §11.12).

        Raises:
            ValueError: it is none, or not on the curve.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import ECDH, EllipticCurvePublicKey

        size = 2 * ((self.bits + 7) // 8) + 1
        point = cipher[-size:]
        public = tlv(0x49, tlv(0x86, point))
        if cipher != tlv(0xA6, b"\x7f" + public):
            raise ValueError("no template with a point of this curve")
        other = EllipticCurvePublicKey.from_encoded_point(self.private.curve, point)
        return self.private.exchange(ECDH(), other)
