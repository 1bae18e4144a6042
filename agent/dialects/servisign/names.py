"""Distinguished names as text, and single attributes found in such a text again.

The layout is ours (docs/servisign.md, "Names"): pages only hand it back to ATL_GetRDNFromDN. It is
RFC 4514's notation; the plain functions keep the certificate's order, the LDAP ones RFC 4514's reverse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hca_card import tlv
from hca_card.certificate import oid, string

# Short names that pages ask for; RFC 4514 §3 and X.520. "Email" is what the portals say for PKCS#9's.
_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.42": "G",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "Email",
}
_SYNONYMS: Final = {"e": "email", "emailaddress": "email", "mail": "email", "s": "st", "title": "t"}

_SPECIAL: Final = re.compile(r'[,+"\\<>;=]|^[ #]| $')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PIECE: Final = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)|(.)", re.DOTALL)
_SEPARATOR: Final = re.compile(r"(?:\\.|[^\\,+])*", re.DOTALL)


def write(name: bytes, *, reverse: bool = False) -> str:
    """`C=TW,O=行政院,CN=…`: attributes joined by commas, those of one RDN by plus signs (RFC 4514 §2).

    Args:
        name: the Name as the certificate has it, DER.
        reverse: the last RDN first, as LDAP writes it.

    Raises:
        CardDataError: the name is no valid DER. What is no text of the type that it claims has U+FFFD in it.
    """
    parts = [relative.children for relative in tlv.read(name)[0].children]
    rdns = ["+".join(_attribute(*pair.children) for pair in pairs) for pairs in parts]
    return ",".join(reversed(rdns) if reverse else rdns)


def find(text: str, wanted: str) -> str:
    """Return the value of the first attribute called `wanted` (any case) in a text of `write`; "" if none."""
    key = _key(wanted)
    for name, value in _attributes(text):
        if _key(name) == key:
            return _unescape(value)
    return ""


def _attribute(kind: tlv.Tlv, value: tlv.Tlv) -> str:
    name, text = oid(kind), string(value)
    return f"{_NAMES.get(name, name)}={'#' + value.encode().hex() if text is None else _escape(text)}"


def _escape(value: str) -> str:
    escaped = _SPECIAL.sub(lambda match: "\\" + match[0], value)
    return _CONTROL.sub(lambda match: f"\\{ord(match[0]):02X}", escaped)


def _unescape(value: str) -> str:
    def plain(match: re.Match[str]) -> str:
        octets, character, other = match.groups()
        if octets:
            return bytes.fromhex(octets.replace("\\", "")).decode("utf-8", "replace")
        return character or other or ""

    return _PIECE.sub(plain, value)


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position <= len(text):
        match = _SEPARATOR.match(text, position)
        end = match.end() if match else len(text)
        name, _, value = text[position:end].partition("=")
        yield name.strip(), value
        position = end + 1


def _key(name: str) -> str:
    lower = name.strip().lower()
    return _SYNONYMS.get(lower, lower)
