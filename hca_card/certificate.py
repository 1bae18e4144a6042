"""What a certificate says, as HCA and the citizen authorities issue them; the certificate is hostile input.

Nothing here decides trust: `signing.trust` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar

from asn1crypto import core, x509

from hca_card import tlv
from hca_card.big5 import printable
from hca_card.errors import CardDataError

SIMULATOR: Final = "HCA-AGENT SIMULATOR"
"""Organisation of every issuer of simulated cards' certificates."""

TEXT_LIMIT: Final = 1024
"""The longest name or attribute read; RFC 5280's upper bounds are far below."""

SUBJECT_TYPES: Final = {
    "2.16.886.1.100.3.1.7": "personnel",
    "2.16.886.1.100.3.2.21": "institution",
    "2.16.886.1.100.3.1.1": "natural-person",
    "2.16.886.1.100.3.2.2.1.1": "company",
}

_ATTRIBUTES: Final = "2.16.886.1.100.2."
_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
}
# INTEGER, and the string types of ITU-T X.680 §41: UTF8, Numeric, Printable, Teletex, IA5, Visible, General,
# Universal and BMP.
_TEXTS: Final = frozenset((0x02, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1B, 0x1C, 0x1E))
_HASHES: Final = {f"sha{size}": f"SHA-{size}" for size in (1, 224, 256, 384, 512)}

_Fact = TypeVar("_Fact")


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate in words. Texts are cleaned of control characters; None is "does not say".

    Attributes:
        subject: the whole name, `C=TW, CN=測試人員卡, serialNumber=…`.
        common_name: CN of the subject.
        serial_number: the serialNumber attribute of the subject: the holder's number, not the certificate's.
        issuer: the whole name of the issuer.
        serial_hex: the certificate's own number, upper-case hexadecimal.
        not_before: first moment, UTC.
        not_after: last moment, UTC.
        key_usage: RFC 5280 names with underscores, `digital_signature`; None without the extension.
        key_bits: length of the modulus or curve.
        signature_hash: `SHA-256`.
        policies: OIDs of the certificate policies.
        directory_attributes: subjectDirectoryAttributes by OID, each value as text.
        subject_type: `personnel`, `institution`, `natural-person` or `company`.
        card_rank: primary or secondary, as the certificate writes it.
        id_last_four: last four characters of the ID number (MOICA).
        note: HCA's short text.
        business_number: 統一編號.
        organisation_oid: OID of the organisation.
        institution_code: 醫事機構代碼.
        card_number: number of the card that the certificate was made for.
        simulated: whether a simulator issued it; it then proves nothing.
    """

    subject: str
    common_name: str | None
    serial_number: str | None
    issuer: str
    serial_hex: str
    not_before: datetime
    not_after: datetime
    key_usage: frozenset[str] | None
    key_bits: int | None
    signature_hash: str | None
    policies: tuple[str, ...]
    directory_attributes: Mapping[str, tuple[str, ...]]
    subject_type: str | None
    card_rank: str | None
    id_last_four: str | None
    note: str | None
    business_number: str | None
    organisation_oid: str | None
    institution_code: str | None
    card_number: str | None
    simulated: bool


# A card in use is described at each visit, and a certificate never changes.
@lru_cache(maxsize=64)
def describe(der: bytes) -> CertificateFacts:
    """What the X.509 certificate says (RFC 5280 §4; subjectDirectoryAttributes §4.2.1.8).

    Raises:
        CardDataError: it is no certificate, or its names, number or validity cannot be read.
    """
    # The recursive reader below is only let loose on what is known to be finite and shallow. It reads lazily,
    # and answers garbage with whatever exception the place happens to raise, UnboundLocalError among them.
    tlv.check(der)
    try:
        certificate = x509.Certificate.load(der, strict=True)
        body = certificate["tbs_certificate"]
        subject, issuer = _name(body["subject"].dump()), _name(body["issuer"].dump())
        serial = body["serial_number"].native
        not_before = _moment(body["validity"]["not_before"].native)
        not_after = _moment(body["validity"]["not_after"].native)
        extensions = _extensions(body)
    except Exception as error:
        raise CardDataError("this is no certificate that can be read") from error
    attributes = _optional(lambda: _directory_attributes(extensions["2.5.29.9"])) or {}
    types = attributes.get(_ATTRIBUTES + "1", ())

    def attribute(arc: int) -> str | None:
        return next(iter(attributes.get(f"{_ATTRIBUTES}{arc}", ())), None)

    return CertificateFacts(
        subject=_written(subject),
        common_name=_first(subject, "2.5.4.3"),
        serial_number=_first(subject, "2.5.4.5"),
        issuer=_written(issuer),
        serial_hex=f"{serial:X}",
        not_before=not_before,
        not_after=not_after,
        key_usage=_optional(lambda: _key_usage(extensions["2.5.29.15"])),
        key_bits=_optional(lambda: int(body["subject_public_key_info"].bit_size)),
        signature_hash=_optional(lambda: _HASHES[certificate["signature_algorithm"].hash_algo]),
        policies=_optional(lambda: _policies(extensions["2.5.29.32"])) or (),
        directory_attributes=MappingProxyType(attributes),
        subject_type=next((SUBJECT_TYPES[value] for value in types if value in SUBJECT_TYPES), None),
        card_rank=attribute(2),
        id_last_four=attribute(51),
        note=attribute(57),
        business_number=attribute(101),
        organisation_oid=attribute(102),
        institution_code=attribute(111),
        card_number=attribute(204),
        simulated=("2.5.4.10", SIMULATOR) in issuer,
    )


def _optional(fact: Callable[[], _Fact]) -> _Fact | None:
    """The fact, or None where the certificate lacks it or holds nonsense in its place."""
    try:
        return fact()
    except Exception:
        return None


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise CardDataError("the validity is no date")
    return value.astimezone(UTC)


def _extensions(body: Any) -> dict[str, bytes]:
    """Extension values by OID, unparsed: one that cannot be read must not hide the others."""
    found: dict[str, bytes] = {}
    for extension in body["extensions"] or ():
        found.setdefault(extension["extn_id"].dotted, extension["extn_value"].contents)
    return found


def _name(der: bytes) -> list[tuple[str, str]]:
    """The attributes of a Name as (OID, text) in their order, values of any string type."""
    pairs = []
    for relative in tlv.read(der)[0].children:
        for item in relative.children:
            kind, value = item.children
            pairs.append((_oid(kind), _optional(lambda value=value: _text(value)) or "\ufffd"))  # type: ignore[misc]
    return pairs


def _written(name: list[tuple[str, str]]) -> str:
    """The name as one line; a comma inside a value is escaped, so that no value can pose as an attribute."""
    return ", ".join(
        f"{_NAMES.get(oid, oid)}={text.replace(chr(92), chr(92) * 2).replace(',', chr(92) + ',')}"
        for oid, text in name
    )


def _first(name: list[tuple[str, str]], oid: str) -> str | None:
    return next((text for kind, text in name if kind == oid), None)


def _key_usage(der: bytes) -> frozenset[str]:
    tlv.check(der)
    return frozenset(x509.KeyUsage.load(der, strict=True).native)


def _policies(der: bytes) -> tuple[str, ...]:
    tlv.check(der)
    return tuple(_oid(policy.children[0]) for policy in tlv.read(der)[0].children)


def _directory_attributes(der: bytes) -> dict[str, tuple[str, ...]]:
    tlv.check(der)
    found: dict[str, tuple[str, ...]] = {}
    for attribute in tlv.read(der)[0].children:
        kind, values = attribute.children
        texts = (_optional(lambda value=value: _text(value)) for value in values.children)  # type: ignore[misc]
        found[_oid(kind)] = tuple(text for text in texts if text is not None)
    return found


def _oid(item: tlv.Tlv) -> str:
    if item.tag != 0x06 or not 1 <= len(item.value) <= 64:
        raise CardDataError("an object identifier cannot be read")
    return str(core.ObjectIdentifier.load(item.encode(), strict=True).dotted)


def _text(item: tlv.Tlv) -> str:
    """An OID, a number or a string of any type as text."""
    if len(item.value) > TEXT_LIMIT:
        raise CardDataError("a text is too long")
    if item.tag == 0x06:
        return _oid(item)
    if item.tag not in _TEXTS:
        raise CardDataError("a text is of a type that is none")
    return printable(str(core.load(item.encode(), strict=True).native))
