"""A card that takes PIN and key commands in the plain, as ISO/IEC 7816-4 and 7816-8 have them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from hca_card import iso7816, rsa_blocks
from hca_card.certificate import describe
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.ecdsa import agreed, concatenated
from hca_card.errors import CardDataError, ObjectMissingError, UnsupportedError
from hca_card.model import Card, Channel, Keypad, KeyUse, PinStatus
from hca_card.pin import Pin
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from hca_card.profile_format import ChosenBy, Form, KeyHandling, Operation
from pcsc.status import StatusError, StatusWord

_SIGNATURE: Final = 0xB6
_CONFIDENTIALITY: Final = 0xB8
_AUTHENTICATION: Final = 0xA4
_SET: Final = 0x41
_RESTORE: Final = 0xF3
_PSO: Final = 0x2A
_INTERNAL_AUTHENTICATE: Final = 0x88


class KeyReference(NamedTuple):
    """How a private key is named in MANAGE SECURITY ENVIRONMENT, and what it is.

    Attributes:
        reference: tag 84; None where the card does not say.
        algorithm: tag 80; None sends none.
        bits: the length of its modulus or of its curve's numbers; 0 where the card does not say.
        elliptic: an EC key, given a digest where RSA is given a DigestInfo.
        pss: tag 80 with which it makes RSA-PSS of a digest; None where it cannot.
        handling: what else is different from the standard.
    """

    reference: int | None
    algorithm: int | None
    bits: int = 0
    elliptic: bool = False
    pss: int | None = None
    handling: KeyHandling = KeyHandling()

    @property
    def makes_pss(self) -> bool:
        """Whether it can make RSA-PSS: the card does, or leaves all padding to this program."""
        return not self.elliptic and (self.pss is not None or self.handling.form is Form.BLOCK)


class Iso7816Card(Card):
    """What such cards share; a kind of card says which PIN, PUK and keys it has."""

    _channel: Channel

    @property
    @abstractmethod
    def _pin(self) -> PinUse:
        """The holder's PIN. Raise `UnsupportedError` if there is none that can be sent."""

    @abstractmethod
    def _puk_form(self) -> PinFormat:
        """Return the form of the PUK. Raise `UnsupportedError` if there is none that can be sent."""

    @abstractmethod
    def _find_key(self, use: KeyUse) -> KeyReference | None:
        """Return the private key for that use, None if there is none."""

    def _require_in_use(self) -> None:
        """Raise `TerminatedError` if it is known that the card is terminated."""

    def _why_refused(self) -> None:
        """Raise the card's own reason after 6984 or 6985, if it gives one."""

    def pin_status(self) -> PinStatus:  # noqa: D102
        return self._usable_pin.status()

    def verify(self, pin: Pin) -> None:  # noqa: D102
        self._usable_pin.verify(pin)

    def takes_keypad(self) -> bool:  # noqa: D102
        return self._pin.takes_keypad

    def verify_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._usable_pin.verify_on_keypad(keypad)

    def change_pin(self, old: Pin, new: Pin) -> None:  # noqa: D102
        self._usable_pin.change(old, new)

    def change_pin_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._usable_pin.change_on_keypad(keypad)

    def puk_status(self) -> PinStatus:  # noqa: D102
        form = self._puk_form()
        return PinStatus(None, form.min_length, form.max_length)

    def unblock_pin(self, puk: Pin, new: Pin) -> None:  # noqa: D102
        self._usable_pin.unblock(puk, self._puk_form(), new)

    def has_key(self, use: KeyUse) -> bool:  # noqa: D102
        return self._find_key(use) is not None

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:  # noqa: D102
        key = self._require_key(use)
        if key.elliptic:
            return concatenated(self._operate(key, key.algorithm, digest_info), self._bits(key, use))
        data = digest_info
        if key.handling.form is Form.DIGEST or key.handling.hashes:
            name, digest = rsa_blocks.digest_of(digest_info)
            _require_hash(key, name)
            data = digest if key.handling.form is Form.DIGEST else digest_info
        if key.handling.form is Form.BLOCK:
            data = rsa_blocks.signature_block(digest_info, _octets(self._bits(key, use)))
        return _as_long_as(self._operate(key, key.algorithm, data), key.bits)

    def sign_pss(self, use: KeyUse, digest: bytes) -> bytes:  # noqa: D102
        key = self._require_key(use)
        if not key.makes_pss:
            raise UnsupportedError("this card makes no signature of RSA-PSS")
        _require_hash(key, rsa_blocks.hash_of_length(len(digest)))
        if key.handling.form is Form.BLOCK:
            digest = rsa_blocks.pss_block(digest, self._bits(key, use))
        return _as_long_as(self._operate(key, key.pss, digest), key.bits)

    def agree(self, use: KeyUse, point: bytes) -> bytes:  # noqa: D102
        key = self._require_key(use)
        if not key.elliptic:
            raise UnsupportedError("this key is RSA, and agrees on no keys")
        with self._refusals_explained():
            self._choose(key, None, _CONFIDENTIALITY)
            secret = iso7816.agree(self._channel, point)
        return agreed(secret, len(point) // 2)

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:  # noqa: D102
        key = self._require_key(use)
        if key.elliptic:
            raise UnsupportedError("this key is on an elliptic curve, and deciphers nothing")
        handling = key.handling
        with self._refusals_explained():
            self._choose(key, key.algorithm, _CONFIDENTIALITY)
            plain = iso7816.decipher(
                self._channel,
                cipher,
                p1=0x80 if handling.p1 is None else handling.p1,
                p2=0x86 if handling.p2 is None else handling.p2,
                indicator=handling.indicator,
            )
        return rsa_blocks.message_of(plain) if handling.form is Form.BLOCK else plain

    @property
    def _usable_pin(self) -> PinUse:
        self._require_in_use()
        return self._pin

    def _require_key(self, use: KeyUse) -> KeyReference:
        """Return the key, once everything is known that would make the card refuse it."""
        self._require_in_use()
        key = self._find_key(use)
        if key is None:
            raise ObjectMissingError(f"this card has no {use} key")
        if key.reference is None and key.handling.chosen_by is ChosenBy.SET and not key.handling.environment:
            raise UnsupportedError("the card's directory does not say how its key is named")
        self._pin.require_verified()
        return key

    def _operate(self, key: KeyReference, algorithm: int | None, data: bytes) -> bytes:
        """Have the key sign `data`, whatever that is."""
        handling, channel = key.handling, self._channel
        authenticates = handling.operation is Operation.INTERNAL_AUTHENTICATE
        ins, p1, p2 = (_INTERNAL_AUTHENTICATE, 0, 0) if authenticates else (_PSO, 0x9E, 0x9A)
        p1, p2 = (
            given if usual is None else usual for given, usual in ((p1, handling.p1), (p2, handling.p2))
        )
        with self._refusals_explained():
            self._choose(key, algorithm, _AUTHENTICATION if authenticates else _SIGNATURE)
            if handling.operation is Operation.HASH_PSO:
                iso7816.hash_given(channel, data)
                data = b""
            return iso7816.signature(channel, ins, p1, p2, data)

    def _choose(self, key: KeyReference, algorithm: int | None, template: int) -> None:
        handling = key.handling
        if handling.chosen_by is ChosenBy.NOTHING:
            return
        p1, p2, data = _SET, template, handling.environment
        if handling.chosen_by is ChosenBy.RESTORE:
            p1, p2 = _RESTORE, key.reference or 0
        elif not data:
            data = iso7816.key_references(key.reference or 0, algorithm)
        p1 = p1 if handling.environment_p1 is None else handling.environment_p1
        p2 = p2 if handling.environment_p2 is None else handling.environment_p2
        iso7816.manage_security_environment(self._channel, p1, p2, data)

    @contextmanager
    def _refusals_explained(self) -> Iterator[None]:
        try:
            yield
        except StatusError as error:
            if error.sw in (StatusWord.DATA_UNUSABLE, StatusWord.CONDITIONS):
                self._why_refused()
            raise

    def _bits(self, key: KeyReference, use: KeyUse) -> int:
        """Return the length of the key, from its certificate where the card does not say it by itself.

        Raises:
            CardDataError: the certificate does not say it either.
        """
        bits = key.bits or describe(self.certificate(CERTIFICATE_INDEX[use]).der).key_bits
        if not bits:
            raise CardDataError("neither card nor certificate says how long the key is")
        return bits


def _require_hash(key: KeyReference, name: str) -> None:
    allowed = key.handling.hashes
    if allowed and name not in allowed:
        raise UnsupportedError(f"the key of this card signs {', '.join(allowed)} only")


def _octets(bits: int) -> int:
    return (bits + 7) // 8


def _as_long_as(signature: bytes, bits: int) -> bytes:
    if bits and len(signature) != _octets(bits):
        raise CardDataError(f"the card answered {len(signature)} bytes for a {bits}-bit signature")
    return signature
