"""The two things a login signs: the origin that asked, and the portal's nonce (web-eid:1.0)."""

from __future__ import annotations

import binascii
import ipaddress
import re
from functools import lru_cache
from typing import Final

from signing.errors import NonceInvalidError, OriginNotHttpsError

NONCE_CHARACTERS: Final = range(44, 128 + 1)
NONCE_BYTES: Final = 32

LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^:\[\]]+|\[[^\[\]]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)


# The same few pages ask all day; what is kept is bounded, whatever headers are sent.
@lru_cache(maxsize=256)
def is_origin(text: str) -> bool:
    """Return whether `text` is the origin of a web page: https with a canonical host, or http on loopback.

    It is exactly what a browser puts into the Origin header (RFC 6454 §6.2, WHATWG URL): no user information,
    path, trailing dot or slash, upper case, default port, wildcard or `null`; an internationalised name in
    its punycode form.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or not _is_host(match["host"]):
        return False
    port = int(match["port"] or 0)
    if port > 65535 or port == DEFAULT_PORTS[match["scheme"]]:
        return False
    return match["scheme"] == "https" or match["host"] in LOOPBACK_HOSTS


def check_origin(origin: str, *, allow_loopback_http: bool = False) -> None:
    """Return if `origin` is an https origin exactly as a browser reports it.

    Args:
        origin: `scheme://host[:port]`, no trailing slash.
        allow_loopback_http: take `http://localhost`, 127.0.0.1 and [::1] too, for a developer's own machine.

    Raises:
        OriginNotHttpsError: anything else.
    """
    if not is_origin(origin) or not (allow_loopback_http or origin.startswith("https://")):
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


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]" == host and "%" not in host
        except ValueError:
            return False
    if len(host) > 253 or not _NAME.fullmatch(host):
        return False
    # A host whose last label is a number is an IPv4 address, written in one way only (WHATWG URL §3.5).
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host)) == host
        except ValueError:
            return False
    return True
