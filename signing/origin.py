"""The two things a login signs: the origin that asked, and the portal's nonce (web-eid:1.0)."""

from __future__ import annotations

import binascii
import re
from typing import Final

from signing.errors import NonceInvalidError, OriginNotHttpsError

NONCE_CHARACTERS: Final = range(44, 128 + 1)
NONCE_BYTES: Final = 32

# RFC 6454 §6.2 as browsers report it: lower-case ASCII host (a name, or IPv6 in brackets), no default port.
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN: Final = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))


def check_origin(origin: str, *, allow_loopback_http: bool = False) -> None:
    """Return if `origin` is an https origin exactly as a browser reports it.

    Args:
        origin: `scheme://host[:port]`, no trailing slash.
        allow_loopback_http: take `http://localhost`, 127.0.0.1 and [::1] too, for a developer's own machine.

    Raises:
        OriginNotHttpsError: anything else.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None or len(match["host"]) > 253:
        raise OriginNotHttpsError
    port = int(match["port"] or 0)
    if port > 65535 or port == _DEFAULT_PORTS[match["scheme"]]:
        raise OriginNotHttpsError
    if match["scheme"] == "http" and not (allow_loopback_http and match["host"] in _LOOPBACK):
        raise OriginNotHttpsError


def check_nonce(nonce: str) -> None:
    """Return if `nonce` can be a portal's: base64 (RFC 4648 §4) of at least 32 bytes, 44 to 128 characters.

    Raises:
        NonceInvalidError: it cannot.
    """
    if len(nonce) not in NONCE_CHARACTERS:
        raise NonceInvalidError
    try:
        octets = binascii.a2b_base64(nonce.encode("ascii"), strict_mode=True)
    except ValueError:
        raise NonceInvalidError from None
    if len(octets) < NONCE_BYTES:
        raise NonceInvalidError
