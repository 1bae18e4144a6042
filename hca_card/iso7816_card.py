"""A card that takes PIN and key commands in the plain, as ISO/IEC 7816-4 and 7816-8 have them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from hca_card import iso7816
from hca_card.ecdsa import concatenated
from hca_card.errors import CardDataError, ObjectMissingError, UnsupportedError
from hca_card.model import Card, Channel, Keypad, KeyUse, PinStatus
from hca_card.pin import Pin
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from pcsc.status import StatusError, StatusWord

_SIGNATURE: Final = 0xB6
_CONFIDENTIALITY: Final = 0xB8


class KeyReference(NamedTuple):
    """How a private key is named in MANAGE SECURITY ENVIRONMENT.

    Attributes:
        reference: tag 84; None where the card does not say.
        algorithm: tag 80; None sends none.
        bits: the length of its modulus or of its curve's numbers; 0 where the card does not say.
        elliptic: an EC key, given a digest where RSA is given a DigestInfo.
    """

    reference: int | None
    algorithm: int | None
    bits: int = 0
    elliptic: bool = False


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
        with self._key_set(use, _SIGNATURE) as key:
            signature = iso7816.compute_digital_signature(self._channel, digest_info)
        if key.elliptic:
            return concatenated(signature, key.bits)
        if key.bits and len(signature) != (key.bits + 7) // 8:
            raise CardDataError(f"the card answered {len(signature)} bytes for a {key.bits}-bit signature")
        return signature

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:  # noqa: D102
        with self._key_set(use, _CONFIDENTIALITY):
            return iso7816.decipher(self._channel, cipher)

    @property
    def _usable_pin(self) -> PinUse:
        self._require_in_use()
        return self._pin

    @contextmanager
    def _key_set(self, use: KeyUse, template: int) -> Iterator[KeyReference]:
        """Choose the key, once everything is known that would make the card refuse it."""
        self._require_in_use()
        key = self._find_key(use)
        if key is None:
            raise ObjectMissingError(f"this card has no {use} key")
        if key.reference is None:
            raise UnsupportedError("the card's directory does not say how its key is named")
        self._pin.require_verified()
        try:
            iso7816.set_security_environment(self._channel, template, key.reference, key.algorithm)
            yield key
        except StatusError as error:
            if error.sw in (StatusWord.DATA_UNUSABLE, StatusWord.CONDITIONS):
                self._why_refused()
            raise
