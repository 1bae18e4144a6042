"""A PIN or PUK in memory: never printed, never compared, wiped after use."""

from __future__ import annotations

from typing import NoReturn, Self


class Pin:
    """The characters of a PIN or PUK, as the bytes a card is sent (ASCII).

    It is a context manager: leaving the block wipes it. Python keeps copies that nobody can reach; this
    wipes the one that could be.

    Raises:
        ValueError: characters other than printable ASCII.
    """

    __slots__ = ("_octets",)

    def __init__(self, characters: str | bytes | bytearray) -> None:
        octets = bytearray(characters, "utf-8") if isinstance(characters, str) else bytearray(characters)
        if not all(0x20 <= octet < 0x7F for octet in octets):
            octets[:] = bytes(len(octets))
            raise ValueError("a PIN has printable ASCII characters only") from None
        self._octets = octets

    def __len__(self) -> int:
        return len(self._octets)

    @property
    def octets(self) -> bytes:
        """The bytes for the card's command; keep them no longer than the call.

        Raises:
            ValueError: the PIN has been wiped.
        """
        if not self._octets:
            raise ValueError("this PIN has been wiped")
        return bytes(self._octets)

    @property
    def wiped(self) -> bool:
        """Whether `wipe` has been called (an empty PIN counts as wiped)."""
        return not self._octets

    def copy(self) -> Pin:
        """Return a PIN of its own, to be wiped on its own."""
        return Pin(self._octets)

    def wipe(self) -> None:
        """Overwrite the characters; safe to call twice."""
        self._octets[:] = bytes(len(self._octets))
        self._octets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "Pin(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("PINs are not compared")

    def __hash__(self) -> NoReturn:
        raise TypeError("PINs are not hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("PINs are not serialised")
