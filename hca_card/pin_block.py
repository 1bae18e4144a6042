"""How the characters of a PIN become the bytes of a command (ISO/IEC 7816-15 §8.9.2, ISO 9564-1 format 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hca_card.errors import PinLengthError
from hca_card.pin import Pin


class PinEncoding(StrEnum):
    """PIN types; the values are written in profiles."""

    ASCII = "ascii"
    ASCII_NUMERIC = "ascii-numeric"
    BCD = "bcd"
    HALF_NIBBLE_BCD = "half-nibble-bcd"
    ISO_9564 = "iso9564-1"


@dataclass(frozen=True, slots=True)
class PinFormat:
    """What a card takes for a PIN.

    Attributes:
        min_length: fewest characters.
        max_length: most characters.
        encoding: how characters become bytes; all but `ascii` take digits only.
        stored_length: bytes that the block is padded to; 0 sends it as long as it is.
        pad: the padding byte, 0 to 255; for `bcd` also the nibble that fills an odd number of digits.
        prefix: bytes before the PIN, which count for `stored_length`.
    """

    min_length: int
    max_length: int
    encoding: PinEncoding = PinEncoding.ASCII
    stored_length: int = 0
    pad: int = 0xFF
    prefix: bytes = b""

    def encode(self, pin: Pin) -> bytes:
        """Return the block to send.

        Raises:
            PinLengthError: the PIN is too short or too long, or has letters where only digits can be sent;
                the card is not asked, so no try is spent.
        """
        octets = pin.octets if len(pin) else b""
        if not self.min_length <= len(octets) <= self.max_length:
            raise PinLengthError(f"this card takes {self.min_length} to {self.max_length} characters")
        if self.encoding is not PinEncoding.ASCII and not octets.isdigit():
            raise PinLengthError("this card takes digits only")
        block = self.prefix + self._packed(octets)
        if len(block) > max(self.stored_length, len(self.prefix) + self.max_length):
            raise PinLengthError("the PIN is longer than the card can hold")
        return block.ljust(self.stored_length, bytes((self.pad,)))

    def _packed(self, octets: bytes) -> bytes:
        digits = [octet & 0x0F for octet in octets]
        match self.encoding:
            case PinEncoding.ASCII | PinEncoding.ASCII_NUMERIC:
                return octets
            case PinEncoding.HALF_NIBBLE_BCD:
                return bytes(0xF0 | digit for digit in digits)
            case PinEncoding.BCD:
                digits += [self.pad & 0x0F] * (len(digits) % 2)
            case PinEncoding.ISO_9564:
                if len(digits) > 14:
                    raise PinLengthError("this card takes at most 14 digits")
                digits = [0x2, len(digits), *digits, *[0xF] * (14 - len(digits))]
        return bytes(high << 4 | low for high, low in zip(digits[::2], digits[1::2], strict=True))
