"""Command and response APDUs as ISO/IEC 7816-3 §12 and ISO/IEC 7816-4 §5 encode them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pcsc.status import StatusError, StatusWord

LE_SHORT_MAX: Final = 256
LE_EXTENDED_MAX: Final = 65536
LC_SHORT_MAX: Final = 255
LC_EXTENDED_MAX: Final = 65535


@dataclass(frozen=True, slots=True)
class Command:
    """One command APDU, before anybody has decided between short and extended length.

    Attributes:
        cla: class byte, 0 to 255.
        ins: instruction byte.
        p1: first parameter byte.
        p2: second parameter byte.
        data: command data, 0 to 65535 bytes.
        le: the number of response bytes wanted, 1 to 65536; 256 and 65536 ask for "all there is" in the
            short and the extended form. None asks for none.
        secret: the data holds a PIN or PUK: it never appears in a repr, a trace or an error.
        fits_short: whether Lc and Le both fit the short form.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None
    secret: bool = False
    fits_short: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # All four at once: none has a bit beyond the eighth, nor a sign.
        if not 0 <= self.cla | self.ins | self.p1 | self.p2 <= 0xFF:
            raise ValueError("CLA, INS, P1 and P2 must be one byte each")
        if len(self.data) > LC_EXTENDED_MAX:
            raise ValueError("command data is longer than 65535 bytes")
        if self.le is not None and not 1 <= self.le <= LE_EXTENDED_MAX:
            raise ValueError("Le must be 1 to 65536")
        fits_short = len(self.data) <= LC_SHORT_MAX and (self.le or 0) <= LE_SHORT_MAX
        object.__setattr__(self, "fits_short", fits_short)

    @property
    def header(self) -> bytes:
        """CLA INS P1 P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    def encode(self) -> bytes:
        """Return the bytes to send: short if they fit, else extended (ISO/IEC 7816-3 §12.1.3).

        Returns:
            The command APDU of case 1, 2, 3 or 4.
        """
        if self.fits_short:
            lc = bytes((len(self.data),)) if self.data else b""
            le = b"" if self.le is None else bytes((self.le & 0xFF,))
            return self.header + lc + self.data + le
        lc = b"\x00" + len(self.data).to_bytes(2, "big") if self.data else b""
        if self.le is None:
            le = b""
        else:
            le = (self.le & 0xFFFF).to_bytes(2, "big")
            if not self.data:
                le = b"\x00" + le
        return self.header + lc + self.data + le

    @classmethod
    def decode(cls, raw: bytes) -> Command:
        """Return the command APDU in `raw`, in any of the seven encodings (used by simulated cards).

        Raises:
            ValueError: `raw` is not a command APDU.
        """
        if len(raw) < 4:
            raise ValueError("a command APDU has at least four bytes")
        (cla, ins, p1, p2), body = raw[:4], raw[4:]
        if not body:
            return cls(cla, ins, p1, p2)
        if len(body) == 1:
            return cls(cla, ins, p1, p2, le=body[0] or LE_SHORT_MAX)
        if body[0] != 0:
            lc, rest = body[0], body[1:]
            if len(rest) == lc:
                return cls(cla, ins, p1, p2, data=rest)
            if len(rest) == lc + 1:
                return cls(cla, ins, p1, p2, data=rest[:lc], le=rest[lc] or LE_SHORT_MAX)
            raise ValueError("Lc does not agree with the length")
        if len(body) == 3:
            return cls(cla, ins, p1, p2, le=int.from_bytes(body[1:], "big") or LE_EXTENDED_MAX)
        lc, rest = int.from_bytes(body[1:3], "big"), body[3:]
        if lc and len(rest) == lc:
            return cls(cla, ins, p1, p2, data=rest)
        if lc and len(rest) == lc + 2:
            return cls(
                cla, ins, p1, p2, data=rest[:lc], le=int.from_bytes(rest[lc:], "big") or LE_EXTENDED_MAX
            )
        raise ValueError("extended Lc does not agree with the length")

    def __repr__(self) -> str:
        data = f"<{len(self.data)} secret bytes>" if self.secret else self.data.hex(" ")
        return f"Command({self.header.hex(' ')} | {data} | Le={self.le})"


class Response(NamedTuple):
    """One response APDU.

    Attributes:
        data: response data.
        sw: the status word, SW1 SW2 as one number.
    """

    data: bytes
    sw: int

    @property
    def ok(self) -> bool:
        """Whether the status word is 9000."""
        return self.sw == StatusWord.SUCCESS

    def require(self, *accepted: int) -> bytes:
        """Return the data, if the status word is 9000 or one of `accepted`.

        Raises:
            StatusError: any other status word.
        """
        if self.ok or self.sw in accepted:
            return self.data
        raise StatusError(self.sw)

    @classmethod
    def decode(cls, raw: bytes) -> Response:
        """Return the response APDU in `raw`.

        Raises:
            ValueError: fewer than two bytes: a torn response.
        """
        if len(raw) < 2:
            raise ValueError("a response APDU has at least two bytes")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    def encode(self) -> bytes:
        """Return data followed by SW1 SW2."""
        return self.data + self.sw.to_bytes(2, "big")
