"""What of a card's content may be shown to others: its structure. Everything else becomes length and type.

Nothing is shown unless it is on a list here: what a card holds of a person may stand anywhere.
"""

from __future__ import annotations

from typing import Final

from hca_card import tlv
from hca_card.certificate import describe
from hca_card.errors import CardDataError

MASKED: Final = (
    "response data other than of SELECT",
    "file control information other than sizes, identifiers, access rules and an application's name",
    "contents of files: names, ID numbers, dates of birth, card numbers, addresses, labels",
    "certificates: subject, serial numbers, keys, signatures and days",
    "chip data: serial number, batch and dates",
    "PINs: no command that could hold one is told with its data",
)
"""What a trace leaves out, for its head."""

_SHOWN_IN_FCI: Final = frozenset(bytes.fromhex("4F 51 61 62 64 6F 80 81 82 83 84 86 88 8A 8B 8C 8D A5"))
_NAMES: Final = frozenset({0x84, 0x4F, 0x51})
"""A DF's name, an application's identifier and a path; sizes, identifiers and rules are shorter."""
_NAME_MOST: Final = 16
_OTHERS_MOST: Final = 8
_PROPRIETARY: Final = 0xA5
"""What the tags in it mean, a card number for example, is its maker's affair (ISO/IEC 7816-4 §7.4.3)."""
_LABEL: Final = 0x50
_LABEL_MOST: Final = 32
_DIGITS_MOST: Final = 3
_SHORT: Final = {0x01: 1, 0x02: 4, 0x03: 4, 0x05: 0, 0x06: 32, 0x0A: 4}
"""BOOLEAN, INTEGER, BIT STRING, NULL, OID and ENUMERATED are shown up to so many bytes."""
_TREE_DEPTH: Final = 12
_TREE_MOST: Final = 4000
_CPLC_HEAD: Final = b"\x9f\x7f\x2a"
_CPLC_LENGTH: Final = 0x2A
_CPLC_SHOWN: Final = 10
"""Fabricator, type, operating system, its date and level; serial number and batch come later."""


def kind_of(content: bytes) -> str:
    """`15 bytes: ASCII digits`: how long, and what sort of thing, never which."""
    return f"{len(content)} bytes: {_sort(content)}"


def fci(content: bytes) -> str:
    """File control information, or EF.DIR, as `6F{84=A000… 53=<15 bytes: ASCII digits>}`."""
    try:
        return _objects(tlv.objects(content), 0) if content else ""
    except CardDataError:
        return f"<{kind_of(content)}>"


def structure(content: bytes) -> str:
    """Return a PKCS#15 directory file as a tree: tags, numbers, flags and paths are shown, texts never."""
    try:
        shown = " ".join(_asn1(item, 0) for item in tlv.objects(content))
    except CardDataError:
        return f"<{kind_of(content)}>"
    return shown if len(shown) <= _TREE_MOST else shown[:_TREE_MOST] + " ..."


def certificate(der: bytes) -> dict[str, object] | None:
    """Return what a certificate says that is nobody's own; None where it is none."""
    try:
        facts = describe(der)
    except CardDataError:
        return None
    own = facts.subject == facts.issuer
    return {
        "issuer": _authority(facts.issuer) if not own or "key_cert_sign" in (facts.key_usage or ()) else "",
        "keyBits": facts.key_bits,
        "hash": facts.signature_hash,
        "keyUsage": sorted(facts.key_usage or ()),
        "policies": list(facts.policies),
        "subjectType": facts.subject_type,
        "rank": bool(facts.card_rank),
        "directoryAttributes": sorted(facts.directory_attributes),
        "years": [facts.not_before.year, facts.not_after.year],
        "selfSigned": own,
        "simulated": facts.simulated,
    }


def cplc(content: bytes) -> str:
    """Card production life cycle data without what tells one card from another."""
    data = content.removeprefix(_CPLC_HEAD)
    if len(data) != _CPLC_LENGTH:
        return f"<{kind_of(content)}>"  # some cards give their own data whatever is asked for
    return f"{data[:_CPLC_SHOWN].hex(' ').upper()} <{_CPLC_LENGTH - _CPLC_SHOWN} bytes more>"


def _objects(items: tuple[tlv.Tlv, ...], depth: int, *, proprietary: bool = False) -> str:
    return " ".join(_object(item, depth, proprietary) for item in items)


def _object(item: tlv.Tlv, depth: int, proprietary: bool) -> str:
    name, value = f"{item.tag:02X}", item.value
    if item.constructed and depth < _TREE_DEPTH:
        hidden = proprietary or item.tag == _PROPRIETARY
        try:
            return f"{name}{{{_objects(item.children, depth + 1, proprietary=hidden)}}}"
        except CardDataError:
            return f"{name}=<{kind_of(value)}>"
    most = _NAME_MOST if item.tag in _NAMES else _OTHERS_MOST
    if item.tag in _SHOWN_IN_FCI and len(value) <= most and not proprietary:
        return f"{name}={value.hex().upper()}"
    if item.tag == _LABEL and _is_harmless(value):
        return f'{name}="{value.decode("ascii")}"'
    return f"{name}=<{kind_of(value)}>"


def _is_harmless(value: bytes) -> bool:
    """Return whether it is an application's name: short printable ASCII with no number of anything in it."""
    digits = sum(0x30 <= octet <= 0x39 for octet in value)
    printable = all(0x20 <= octet < 0x7F and octet not in b'"{}<>' for octet in value)
    return printable and len(value) <= _LABEL_MOST and digits <= _DIGITS_MOST


def _asn1(item: tlv.Tlv, depth: int) -> str:
    name, value = f"{item.tag:02X}", item.value
    if item.constructed:
        if depth >= _TREE_DEPTH:
            return f"{name}=<{kind_of(value)}>"
        return f"{name}{{{' '.join(_asn1(child, depth + 1) for child in item.children)}}}"
    short = 2 if item.tag == 0x04 or 0x80 <= item.tag <= 0x8F else _SHORT.get(item.tag, -1)
    if len(value) <= short or _is_path(item):
        return f"{name}={value.hex().upper()}"
    return f"{name}=<{kind_of(value)}>"


def _authority(issuer: str) -> str:
    """Return the organisation that issued it."""
    parts = [part for part in issuer.split(", ") if part.startswith(("C=", "O=", "OU="))]
    return ", ".join(parts)


def _is_path(item: tlv.Tlv) -> bool:
    return item.tag in (0x04, 0x51) and len(item.value) in (4, 6, 8) and item.value[:2] == b"\x3f\x00"


def _sort(content: bytes) -> str:
    if not content:
        return "nothing"
    if len(set(content)) == 1:
        return f"{content[0]:02X} throughout" if content[0] in (0x00, 0xFF, 0x20) else "one byte repeated"
    text = content.rstrip(b"\x00 \xff")
    if text.isdigit():
        return "ASCII digits"
    if all(0x20 <= octet < 0x7F for octet in text):
        return "ASCII text"
    if certificate(content) is not None:
        return "an X.509 certificate"
    try:
        return f"BER-TLV, {len(tlv.objects(content))} objects"
    except CardDataError:
        pass
    try:
        text.decode("cp950")
    except UnicodeDecodeError:
        return "binary"
    return "Big5 text, perhaps"
