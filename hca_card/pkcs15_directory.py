"""The structures of ISO/IEC 7816-15 (PKCS#15 v1.1): what a card's directory says that the card holds.

The outer structure is taken apart with `hca_card.tlv`, so that choices this program does not know are skipped
and lengths that lie are refused; the inside of a known choice is read as `hca_card.pkcs15_asn1` specifies it.
Paragraphs are those of ISO/IEC 7816-15:2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from hca_card import pkcs15_asn1 as asn1
from hca_card import tlv
from hca_card.big5 import printable
from hca_card.errors import CardDataError
from hca_card.pin_block import PinEncoding, PinFormat

AID: Final = bytes.fromhex("A000000063504B43532D3135")
PIN_LENGTH_LIMIT: Final = 64

RSA_PKCS: Final = 0x0001
RSA_PSS: Final = 0x000D
ECDSA: Final = 0x1041
"""CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA: AlgorithmInfo names algorithms as PKCS#11 does (§8.10)."""

_SEQUENCE: Final = 0x30
_KEY_CHOICES: Final = ((_SEQUENCE, False), (0xA0, True))
"""RSA keys are the first choice, EC keys choice [0] (§8.4.1, §8.5.1): the tag, and whether it is EC."""


class DirectoryKind(IntEnum):
    """Object classes by their context tag in EF.OD (§8.3); others are skipped."""

    PRIVATE_KEYS = 0
    PUBLIC_KEYS = 1
    CERTIFICATES = 4
    TRUSTED_CERTIFICATES = 5
    USEFUL_CERTIFICATES = 6
    DATA = 7
    AUTHENTICATION = 8


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A place on the card (§8.2.5): file identifiers, and a part of the file where `length` is given."""

    path: bytes
    index: int = 0
    length: int | None = None


class Algorithm(NamedTuple):
    """An AlgorithmInfo (§8.10).

    Attributes:
        number: what keys name it by.
        mechanism: `RSA_PKCS`, `RSA_PSS` or `ECDSA`.
        reference: how MANAGE SECURITY ENVIRONMENT names it.
    """

    number: int
    mechanism: int
    reference: int


@dataclass(frozen=True, slots=True)
class TokenDescription:
    """EF.TokenInfo, or CIAInfo (§8.10).

    Attributes:
        serial: the card's number as hexadecimal text; empty where it has none.
        label: the card's name for people.
        manufacturer: who made it.
        algorithms: PKCS#1 v1.5, RSA-PSS and ECDSA over a digest only, in the card's order.
    """

    serial: str
    label: str
    manufacturer: str
    algorithms: tuple[Algorithm, ...]


@dataclass(frozen=True, slots=True)
class PinObject:
    """A password in EF.AOD (§8.9.2).

    Attributes:
        auth_id: what the objects that it protects name it by.
        reference: P2 of VERIFY.
        form: lengths, encoding and padding.
        unblocking: a resetting code (PUK).
        officer: a security officer's.
        protected: only taken encrypted or with a checksum; never to be sent in the plain.
    """

    auth_id: bytes
    reference: int
    form: PinFormat
    unblocking: bool
    officer: bool
    protected: bool


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An RSA or EC private key in EF.PrKD (§8.4).

    Attributes:
        reference: None where the card names none.
        elliptic: an EC key.
        bits: length of the modulus, or of the curve's numbers; 0 where the card does not say.
        deciphers: or, on a curve, agrees on keys.
    """

    id: bytes
    label: str
    auth_id: bytes
    reference: int | None
    elliptic: bool
    bits: int
    signs: bool
    deciphers: bool
    algorithms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA or EC public key in EF.PuKD (§8.5)."""

    id: bytes
    label: str
    bits: int


@dataclass(frozen=True, slots=True)
class CertificateObject:
    """An X.509 certificate in EF.CD (§8.7): at `place`, or `der` where the directory itself holds it."""

    id: bytes
    label: str
    authority: bool
    place: ObjectPath | None
    der: bytes = b""


@dataclass(frozen=True, slots=True)
class DataObject:
    """An opaque object in EF.DCOD (§8.8)."""

    label: str
    application: str
    place: ObjectPath | None


def application_path(ef_dir: bytes) -> bytes | None:
    """Return the path of the PKCS#15 application in EF.DIR (ISO/IEC 7816-4 §12.2.4), None without one.

    Raises:
        CardDataError: lengths lie.
    """
    for template in tlv.objects(ef_dir):
        if template.tag == 0x61 and tlv.find(template.value, 0x4F) == AID:
            return tlv.find(template.value, 0x51)
    return None


def directory_files(odf: bytes) -> tuple[tuple[DirectoryKind, ObjectPath | bytes], ...]:
    """EF.OD: where the objects of each known class are, or the objects themselves where it holds them.

    Raises:
        CardDataError: lengths lie, or a path is none.
    """
    found: list[tuple[DirectoryKind, ObjectPath | bytes]] = []
    for entry in tlv.objects(odf):
        number = entry.tag - 0xA0
        if number not in list(DirectoryKind):
            continue
        for choice in entry.children:
            if choice.tag == _SEQUENCE:
                found.append((DirectoryKind(number), _path(choice)))
            elif choice.tag == 0xA0:
                found.append((DirectoryKind(number), choice.value))
    return tuple(found)


def token_info(content: bytes) -> TokenDescription:
    """EF.TokenInfo. Raises `CardDataError` where it cannot be read."""
    info = _native(asn1.TokenInfo, _first(content))
    return TokenDescription(
        serial=(info["serial"] or b"").hex().upper(),
        label=printable(info["label"] or "").strip(),
        manufacturer=printable(info["manufacturer"] or "").strip(),
        algorithms=tuple(
            Algorithm(each["reference"], each["algorithm"], _octet(each["alg_ref"]))
            for each in info["algorithms"] or ()
            if each["algorithm"] in (RSA_PKCS, RSA_PSS, ECDSA) and each["alg_ref"] is not None
        ),
    )


def pins(content: bytes) -> tuple[PinObject, ...]:
    """Return the passwords of an EF.AOD. Raise `CardDataError` if one cannot be read."""
    found = []
    for _, own, kind in _objects(content):
        facts = _native(asn1.PinAttributes, kind)
        if facts["type"] is None:
            continue
        flags = facts["flags"]
        found.append(
            PinObject(
                auth_id=_native(asn1.CommonAuthentication, own)["auth_id"] or b"",
                reference=_octet(facts["reference"]),
                form=_pin_format(facts),
                unblocking="unblocking" in flags,
                officer="so" in flags,
                protected=bool({"integrity_protected", "confidentiality_protected"} & flags),
            )
        )
    return tuple(found)


def private_keys(content: bytes) -> tuple[PrivateKey, ...]:
    """Return the RSA and EC keys of an EF.PrKD. Raise `CardDataError` if one cannot be read."""
    return tuple(
        PrivateKey(
            id=key["id"],
            label=label,
            auth_id=auth_id,
            reference=None if key["key_reference"] is None else _octet(key["key_reference"]),
            elliptic=elliptic,
            bits=_key_length(kind),
            signs=bool({"sign", "sign_recover", "non_repudiation"} & key["usage"]),
            deciphers=bool(({"derive"} if elliptic else {"decrypt", "unwrap"}) & key["usage"]),
            algorithms=tuple(key["alg_reference"] or ()),
        )
        for tag, elliptic in _KEY_CHOICES
        for label, auth_id, key, kind in _labelled(content, asn1.CommonKey, tag)
    )


def public_keys(content: bytes) -> tuple[PublicKey, ...]:
    """Return the RSA and EC keys of an EF.PuKD. Raise `CardDataError` if one cannot be read."""
    return tuple(
        PublicKey(key["id"], label, _key_length(kind))
        for tag, _ in _KEY_CHOICES
        for label, _, key, kind in _labelled(content, asn1.CommonKey, tag)
    )


def certificates(content: bytes) -> tuple[CertificateObject, ...]:
    """Return the X.509 certificates of an EF.CD. Raise `CardDataError` if one cannot be read."""
    return tuple(
        CertificateObject(own["id"], label, own["authority"], *_value(kind))
        for label, _, own, kind in _labelled(content, asn1.CommonCertificate)
    )


def data_objects(content: bytes) -> tuple[DataObject, ...]:
    """Return the opaque objects of an EF.DCOD. Raise `CardDataError` if one cannot be read."""
    # OpaqueDO is an ObjectValue itself, not a sequence that begins with one.
    return tuple(
        DataObject(label, printable(own["application_name"] or ""), _path(kind) if _is_path(kind) else None)
        for label, _, own, kind in _labelled(content, asn1.CommonData)
    )


def _labelled(
    content: bytes, spec: Any, choice: int = _SEQUENCE
) -> Iterator[tuple[str, bytes, Any, tlv.Tlv]]:
    """Yield label, authId, class attributes read as `spec`, and type attributes of each object."""
    for common, own, kind in _objects(content, choice):
        facts = _native(asn1.CommonObject, common)
        yield printable(facts["label"] or ""), facts["auth_id"] or b"", _native(spec, own), kind


def _objects(content: bytes, choice: int = _SEQUENCE) -> Iterator[tuple[tlv.Tlv, tlv.Tlv, tlv.Tlv]]:
    """Yield the common, class and type attributes of each object of that choice, the first of all (§8.2.9).

    Other choices (Diffie-Hellman, biometrics, card-verifiable certificates) are skipped.
    """
    for item in tlv.objects(content):
        if item.tag != choice:
            continue
        tlv.check(item.encode())
        parts = item.children
        kinds = [part.children for part in parts[2:] if part.tag == 0xA1]
        if len(parts) < 3 or len(kinds) != 1 or len(kinds[0]) != 1:
            raise CardDataError("an object of the card's directory lacks a part")
        yield parts[0], parts[1], kinds[0][0]


def _native(spec: Any, item: tlv.Tlv) -> Any:
    try:
        return spec.load(item.encode(), strict=True).native
    except Exception as error:  # asn1crypto answers garbage with whatever the place happens to raise
        what = f"{spec.__name__} that cannot be read"
        raise CardDataError(f"the card's directory holds a {what}") from error


def _first(content: bytes) -> tlv.Tlv:
    items = tlv.objects(content)
    if not items:
        raise CardDataError("a file of the card's directory is empty")
    tlv.check(items[0].encode())
    return items[0]


def _value(kind: tlv.Tlv) -> tuple[ObjectPath | None, bytes]:
    """Return the ObjectValue that begins type attributes: a place or a value; neither for a URL (§8.2.8)."""
    for choice in kind.children[:1]:
        if _is_path(choice):
            return _path(choice), b""
        if choice.tag == 0xA0:
            return None, choice.value
    return None, b""


def _is_path(item: tlv.Tlv) -> bool:
    return item.tag == _SEQUENCE and bool(item.children) and item.children[0].tag == 0x04


def _path(item: tlv.Tlv) -> ObjectPath:
    facts = _native(asn1.Path, item)
    index, length = facts["index"] or 0, facts["length"]
    if not 0 <= index <= 0x7FFF or (length is not None and not 0 < length <= 0x7FFF):
        raise CardDataError("the card's directory names a part of a file that cannot be")
    return ObjectPath(facts["path"], index, length)


def _key_length(kind: tlv.Tlv) -> int:
    """Return the INTEGER after the value in key attributes, in bits; 0 where it is missing.

    RSA keys have it (§8.4.2); of EC keys (§8.4.3) only some cards say it, as their keyInfo may be left out.
    """
    for part in kind.children[1:2]:
        if part.tag == 0x02 and 1 <= len(part.value) <= 3:
            return int.from_bytes(part.value, "big", signed=True)
    return 0


def _pin_format(facts: Any) -> PinFormat:
    padded = "needs_padding" in facts["flags"]
    stored, least = facts["stored_length"], facts["min_length"]
    most = stored if facts["max_length"] is None else facts["max_length"]
    pad = facts["pad"]
    # A minimum of 0 must not come about: VERIFY without data would be a question, answered with 9000 where
    # another program left the PIN verified.
    least = max(least, 1)
    if not least <= most <= PIN_LENGTH_LIMIT or not 0 <= stored <= PIN_LENGTH_LIMIT:
        raise CardDataError("the card's directory holds PIN lengths that cannot be")
    if pad is not None and len(pad) != 1:
        raise CardDataError("the card's directory holds a padding character of more than one byte")
    return PinFormat(
        min_length=least,
        max_length=most,
        encoding=PinEncoding(facts["type"]),
        stored_length=stored if padded else 0,
        pad=0xFF if pad is None else pad[0],
    )


def _octet(number: int) -> int:
    """Return a reference as one byte: cards write 81 as INTEGER 81, which is negative, or as 0081."""
    if not -128 <= number <= 255:
        raise CardDataError(f"the card's directory holds the reference {number}")
    return number & 0xFF
