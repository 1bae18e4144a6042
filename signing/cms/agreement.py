"""Keys that sender and card agree upon by ECDH, in encrypted CMS (RFC 5753 §3.1).

The sender makes a key pair for one message and leaves its point there; card and point give a secret, the
secret a key (ANSI X9.63), and that key unwraps the content's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hca_card import tlv
from hca_card.model import Card
from signing.certificate import signature_key
from signing.cipher import agree
from signing.errors import CertificateError, CipherDamagedError, CipherFormatError, CipherInvalidError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_SCHEMES: Final = {
    "1.3.133.16.840.63.0.2": "SHA1",
    **{
        f"1.3.132.1.11.{number}": name for number, name in enumerate(("SHA224", "SHA256", "SHA384", "SHA512"))
    },
    "1.3.133.16.840.63.0.3": "SHA1",
    **{
        f"1.3.132.1.14.{number}": name for number, name in enumerate(("SHA224", "SHA256", "SHA384", "SHA512"))
    },
}
"""dhSinglePass, standard and with cofactor, which is 1 on these curves, to the hash of the key derivation."""

_WRAPS: Final = {
    bytes.fromhex("0609608648016503040105"): 16,
    bytes.fromhex("0609608648016503040119"): 24,
    bytes.fromhex("060960864801650304012D"): 32,
}
"""id-aes128-wrap, id-aes192-wrap and id-aes256-wrap to the length of their keys (RFC 3565 §2.3.2)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the content's key is wrapped.

    Attributes:
        point: the sender's, uncompressed.
        hash: of the key derivation, as `cryptography` names it.
        wrap_octets: length of the key that wraps.
        shared_info: ECC-CMS-SharedInfo, DER.
    """

    point: bytes
    hash: str
    wrap_octets: int
    shared_info: bytes

    def require_fitting(self, certificate: bytes) -> None:
        """Return if the point is on the curve of the certificate's key.

        A card may not look, and gives parts of its key away to points that are on another curve.

        Raises:
            CipherFormatError: the key is on none.
            CipherDamagedError: the point is not on it.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

        try:
            key = signature_key(certificate)
        except CertificateError:
            raise CipherFormatError("the certificate's key agrees on no keys") from None
        if not isinstance(key, EllipticCurvePublicKey):
            raise CipherFormatError("the certificate's key agrees on no keys")
        _point_on(key, self.point)

    def unwrapped(self, card: Card, certificate: bytes, wrapped: bytes) -> bytes:
        """Return the content's key; the PIN must have been verified in this transaction.

        Raises:
            CipherInvalidError: it was not wrapped for this card.
            hca_card.errors.CardError: the card refused.
            pcsc.errors.PcscError: the link failed.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

        self.require_fitting(certificate)
        secret = agree(card, self.point)
        derived = X963KDF(getattr(hashes, self.hash)(), self.wrap_octets, self.shared_info).derive(secret)
        try:
            return aes_key_unwrap(derived, wrapped)
        except (InvalidUnwrap, ValueError):
            raise CipherInvalidError from None


def agreement_in(info: Any) -> Agreement | str:
    """Return how a KeyAgreeRecipientInfo wraps; where no card undoes that, the algorithm's name.

    Args:
        info: asn1crypto's.

    Raises:
        CardDataError, ValueError, KeyError, IndexError: it is malformed.
    """
    from asn1crypto.core import Void

    algorithm = info["key_encryption_algorithm"]
    name, wrap = algorithm["algorithm"].dotted, algorithm["parameters"].dump()
    originator = info["originator"]
    if name not in _SCHEMES or originator.name != "originator_key":
        return str(name)
    found = tlv.read(wrap)[0].children
    octets = _WRAPS.get(found[0].encode())
    if octets is None:
        return str(name)
    # As its writer has it: with the algorithm's parameters left out, the curve is the recipient's.
    explicit = tlv.read(originator.dump())[0]
    key = explicit if explicit.tag == 0xA1 else explicit.children[0]
    point = key.children[1]
    if key.tag != 0xA1 or point.tag != 0x03 or point.value[:2] != b"\x00\x04":
        return "a compressed point"
    ukm = b"" if isinstance(info["ukm"], Void) else bytes(info["ukm"].native)
    entity = tlv.Tlv(0xA0, tlv.Tlv(0x04, ukm).encode()).encode() if ukm else b""
    length = tlv.Tlv(0xA2, tlv.Tlv(0x04, (octets * 8).to_bytes(4, "big")).encode()).encode()
    shared = tlv.Tlv(0x30, wrap + entity + length).encode()
    return Agreement(point.value[1:], _SCHEMES[name], octets, shared)


def _point_on(key: EllipticCurvePublicKey, point: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    try:
        EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    except ValueError:
        raise CipherDamagedError from None
