"""A card as its maker's PKCS#11 module shows it."""

from __future__ import annotations

from functools import cached_property

from hca_card.certificate import CertificateDescription, card_kind, curve_bits, describe, parse
from hca_card.certificate_numbers import CERTIFICATE_INDEX, USES, numbered
from hca_card.ecdsa import agreed, concatenated
from hca_card.errors import CardDataError, ObjectMissingError, PinLengthError, UnsupportedError
from hca_card.model import (
    Card,
    CardCertificate,
    CardKind,
    Citizen,
    Keypad,
    KeyUse,
    Metadata,
    PinStatus,
)
from hca_card.pin import Pin
from hca_card.pkcs11 import messages
from hca_card.pkcs11.session import TokenSession, pin_status, puk_status
from pcsc.status import StatusError, StatusWord


class ModuleCard(Card):
    """The token of one visit. Certificates are read when first needed.

    The holder is known from the signature certificate alone: what a module calls data objects is every
    maker's own. Keys are hidden by most modules until the PIN is verified, so a key is taken to be there when
    its certificate is.
    """

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        facts = self._description(KeyUse.SIGNATURE) or self._description(KeyUse.ENCRYPTION)
        token = session.token
        self.kind = CardKind.PKCS15 if facts is None else card_kind(facts)
        self.serial = (facts.card_number if facts else None) or token.serial or token.label

    def metadata(self) -> Metadata:  # noqa: D102
        facts = self._description(KeyUse.SIGNATURE)
        name = facts.common_name if facts else None
        return Metadata(self.kind, version="", serial=self.serial, holder=Citizen(name) if name else None)

    def certificate_indexes(self) -> tuple[int, ...]:  # noqa: D102
        return tuple(self._certificates)

    def certificate(self, index: int) -> CardCertificate:  # noqa: D102
        if index not in self._certificates:
            raise ObjectMissingError(f"this card has no certificate {index}")
        return CardCertificate(index, USES[index], self._certificates[index].der)

    def pin_status(self) -> PinStatus:  # noqa: D102
        return pin_status(self._session.look())

    def verify(self, pin: Pin) -> None:
        """C_Login, once.

        Raises:
            UnsupportedError: the PIN is to be typed on the keypad alone; nothing was sent.
        """
        if self._session.keypad:
            raise UnsupportedError("this token takes its PIN from the reader's keypad only")
        _require_length(pin, pin_status(self._session.token))
        self._session.login(pin)

    def takes_keypad(self) -> bool:  # noqa: D102
        return self._session.keypad

    def verify_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_keypad()
        self._session.login(None)

    def change_pin(self, old: Pin, new: Pin) -> None:  # noqa: D102
        if self._session.keypad:
            raise UnsupportedError("this token takes its PIN from the reader's keypad only")
        status = pin_status(self._session.token)
        _require_length(old, status)
        _require_length(new, status)
        self._session.set_pin(old, new)

    def change_pin_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_keypad()
        self._session.set_pin(None, None)

    def puk_status(self) -> PinStatus:  # noqa: D102
        if self._session.keypad:
            raise UnsupportedError("this token takes its PUK from the reader's keypad only")
        return puk_status(self._session.look())

    def unblock_pin(self, puk: Pin, new: Pin) -> None:
        """C_Login as security officer and C_InitPIN: many modules allow neither."""
        if self._session.keypad:
            raise UnsupportedError("this token takes its PUK from the reader's keypad only")
        _require_length(puk, puk_status(self._session.token))
        _require_length(new, pin_status(self._session.token))
        self._session.unblock(puk, new)

    def has_key(self, use: KeyUse) -> bool:  # noqa: D102
        return CERTIFICATE_INDEX[use] in self._certificates

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:  # noqa: D102
        signature = self._session.sign(self._key(use), digest_info)
        bits = curve_bits(self._certificates[CERTIFICATE_INDEX[use]].der)
        return concatenated(signature, bits) if bits else signature

    def sign_pss(self, use: KeyUse, digest: bytes) -> bytes:  # noqa: D102
        return self._session.sign_pss(self._key(use), digest)

    def agree(self, use: KeyUse, point: bytes) -> bytes:  # noqa: D102
        return agreed(self._session.agree(self._key(use), point), len(point) // 2)

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:  # noqa: D102
        return self._session.decrypt(self._key(use), cipher)

    @cached_property
    def _certificates(self) -> dict[int, messages.Certificate]:
        listed = self._session.certificates()
        return {number: listed[at] for number, at in numbered([one.der for one in listed]).items()}

    def _description(self, use: KeyUse) -> CertificateDescription | None:
        """Return what that certificate says, None where there is none whose text can be taken apart."""
        found = self._certificates.get(CERTIFICATE_INDEX[use])
        try:
            return None if found is None else describe(found.der)
        except CardDataError:
            return None

    def _key(self, use: KeyUse) -> int:
        """Return the handle of the key that belongs to the certificate: by its modulus, else by CKA_ID."""
        if not self._session.logged_in:
            raise StatusError(StatusWord.SECURITY_STATUS)
        certificate = self._certificates.get(CERTIFICATE_INDEX[use])
        if certificate is None:
            raise ObjectMissingError(f"this card has no {use} key")
        keys = self._session.keys()
        modulus, elliptic = _modulus(certificate.der), bool(curve_bits(certificate.der))
        # The modulus is sure where the module tells it; a CKA_ID may be any text, or the same everywhere.
        for key in keys:
            if modulus and key.modulus == modulus:
                return key.handle
        for key in keys:
            if (
                key.elliptic is elliptic
                and certificate.id
                and key.id == certificate.id
                and not (key.modulus and modulus)
            ):
                return key.handle
        raise ObjectMissingError(f"the module shows no key for the {use} certificate")

    def _require_keypad(self) -> None:
        if not self._session.keypad:
            raise UnsupportedError("this token does not take its PIN from a keypad")


def _modulus(der: bytes) -> bytes:
    """Return the modulus of the certificate's RSA key, big-endian; empty for other keys."""
    from asn1crypto.keys import PublicKeyInfo

    try:
        number = int(PublicKeyInfo.load(parse(der).public_key)["public_key"].parsed["modulus"].native)
    except (CardDataError, ValueError, KeyError, TypeError, AttributeError):
        return b""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _require_length(pin: Pin, status: PinStatus) -> None:
    if not status.min_length <= len(pin) <= status.max_length:
        raise PinLengthError(f"this card takes {status.min_length} to {status.max_length} characters")
