"""PINs that a trace holds: recognised by their shape, and searched for in all that is written.

Nothing here returns a PIN or a part of one. What is kept of them is kept in one object, which hides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from hca_card.pin_block import PinEncoding

MASK: Final = "•"
SHORTEST: Final = 4
"""The fewest characters that are taken for a PIN."""

_WINDOW: Final = 6
"""HCA PINs have six to eight characters: of longer texts (old PIN and new one) every six in a row count."""
_FULL: Final = 8
"""The most characters of an HCA PIN: one of that length shows no padding."""

_PREFIX_MOST: Final = 4
_DIGITS_MOST: Final = 12
_NEEDLES_MAX: Final = 512
_BLOCK_MOST: Final = 128
_PADS: Final = (0xFF, 0x00, 0x20)
_SEPARATORS: Final = " :-"
_NO_SEPARATORS: Final = dict.fromkeys(map(ord, _SEPARATORS))


@dataclass(frozen=True, slots=True)
class PinShape:
    """How a PIN was written into a command, without the PIN.

    Attributes:
        encoding: how characters became bytes.
        stored_length: bytes that the block was padded to; 0 where it has no padding.
        pad: the padding byte.
        full: the characters fill the block, so that nothing can be said about padding.
        prefix: bytes before the PIN that say nothing of it.
    """

    encoding: PinEncoding
    stored_length: int
    pad: int
    full: bool = False
    prefix: bytes = b""


def shape_of(block: bytes) -> PinShape | None:
    """Return how the one PIN in `block` is written; None where it is none of the ways that are known."""
    found = _read(block)
    if found is not None:
        return found[0]
    for size in range(1, min(_PREFIX_MOST, len(block) - SHORTEST) + 1):
        if 0x20 <= block[size - 1] < 0x7F:
            break  # a character, of the PIN perhaps
        found = _read(block[size:])
        # A prefix that counts the characters cannot be said of every PIN.
        if found is not None and found[0].encoding is PinEncoding.ASCII and len(found[1]) not in block[:size]:
            stored = found[0].stored_length
            return replace(found[0], prefix=block[:size], stored_length=stored and stored + size)
    return None


class Secrets:
    """What has been seen of PINs, to be found again wherever it stands."""

    def __init__(self) -> None:
        self._needles: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return "Secrets(…)"

    def learn(self, block: bytes) -> None:
        """Take note of a PIN block, or of two PINs one after the other."""
        block = block[:_BLOCK_MOST]
        for text in _texts(block):
            for window in _windows(text):
                for needle in _spellings(window):
                    if len(self._needles) < _NEEDLES_MAX:
                        self._needles.setdefault(needle)
        if len(block) >= SHORTEST and len(set(block)) > 1:
            self._needles.setdefault(bytes(block))

    def hidden_in(self, data: bytes) -> bool:
        """Return whether a PIN stands in `data`."""
        return bool(data) and any(needle in data for needle in self._needles)

    def clean(self, text: str) -> str:
        """Return `text` with every PIN in it, as characters or as hexadecimal bytes, replaced by dots."""
        lowered = text.lower()
        if len(lowered) != len(text):  # a character that grows, of no hexadecimal digit
            lowered = "".join(one.lower() if one.isascii() else one for one in text)
        plain = [one.decode("ascii").lower() for one in self._needles if one.isascii() and one.isalnum()]
        covered = set(_covered(lowered, plain))
        compact, hexadecimal = lowered.translate(_NO_SEPARATORS), [one.hex() for one in self._needles]
        if any(one in compact for one in hexadecimal):
            places = [place for place, one in enumerate(lowered) if one not in _SEPARATORS]
            covered |= {places[at] for at in _covered(compact, hexadecimal)}
        if not covered:
            return text
        return "".join(MASK if place in covered else one for place, one in enumerate(text))

    def forget(self) -> None:
        """Drop everything; nothing is hidden afterwards."""
        self._needles.clear()


def _covered(text: str, wanted: Iterable[str]) -> Iterator[int]:
    """Yield every place in `text` that one of the texts stands on."""
    for one in wanted:
        at = text.find(one)
        while at >= 0:
            yield from range(at, at + len(one))
            at = text.find(one, at + 1)


def _read(block: bytes) -> tuple[PinShape, str] | None:
    """Return the shape and the characters, by the first way that fits."""
    size = len(block)
    if not SHORTEST <= size <= _BLOCK_MOST:
        return _bcd(block) if size else None
    nibbles = block.hex()
    count = int(nibbles[1], 16)
    digits, rest = nibbles[2 : 2 + count], nibbles[2 + count :]
    if size == 8 and nibbles[0] == "2" and count >= SHORTEST and digits.isdecimal() and not rest.strip("f"):
        return PinShape(PinEncoding.ISO_9564, 0, 0xFF), digits
    for pad in _PADS:
        start = block.rstrip(bytes((pad,)))
        padded = PinShape(
            PinEncoding.ASCII, size if len(start) < size else 0, pad, len(start) == size >= _FULL
        )
        if len(start) >= SHORTEST and start.isascii() and start.isalnum():
            return padded, start.decode("ascii")
        if len(start) >= SHORTEST and all(0xF0 <= octet <= 0xF9 for octet in start):
            half = PinShape(PinEncoding.HALF_NIBBLE_BCD, padded.stored_length, pad, padded.full)
            return half, "".join(str(octet & 0x0F) for octet in start)
    return _bcd(block)


def _bcd(block: bytes) -> tuple[PinShape, str] | None:
    size = len(block)
    for pad in _PADS[:2]:
        start = block.rstrip(bytes((pad,)))
        digits = start.hex().removesuffix("f" if pad == 0xFF else "")
        if SHORTEST <= len(digits) <= _DIGITS_MOST and digits.isdecimal():
            stored = size if len(start) < size else 0
            return PinShape(PinEncoding.BCD, stored, pad, len(digits) >= _FULL and not stored), digits
    return None


def _texts(block: bytes) -> Iterator[str]:
    """Every run of characters or digits in the block that could be a PIN."""
    found = _read(block)
    if found is not None:
        yield found[1]
    for run in "".join(
        chr(octet) if chr(octet).isalnum() and octet < 0x80 else " " for octet in block
    ).split():
        yield run
    for run in "".join(one if one.isdecimal() else " " for one in block.hex()).split():
        yield run
        yield run[2:]  # ISO 9564: after 2 and the length
    if all(octet >= 0xF0 for octet in block):
        yield "".join(str(octet & 0x0F) for octet in block if octet < 0xFA)


def _windows(text: str) -> Iterator[str]:
    if len(text) >= SHORTEST:
        for start in range(max(1, len(text) - _WINDOW + 1)):
            yield text[start : start + _WINDOW]


def _spellings(text: str) -> Iterator[bytes]:
    """Yield the bytes that tell a PIN, one way or another."""
    yield text.encode("ascii")
    yield text.encode("utf-16-le")
    if text.isdecimal():
        yield bytes(0xF0 | int(digit) for digit in text)
        yield bytes(int(digit) for digit in text)
        even = text if len(text) % 2 == 0 else text + "f"
        # 00 00 00 and 11 11 11 stand in application identifiers, and nobody can tell that they are PINs.
        if len(set(text)) > 1:
            yield bytes.fromhex(even)
