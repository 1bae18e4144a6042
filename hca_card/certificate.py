"""What a certificate says, as HCA and the citizen authorities issue them; the certificate is hostile input.

`parse` is the one loader: it takes a certificate apart and judges none of its texts, so that a name which a
stricter parser refuses (OpenSSL and browsers take them) never hides the public key. Nothing here decides
trust: `signing.trust` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeVar

from hca_card import tlv
from hca_card.big5 import printable
from hca_card.errors import CardDataError
from hca_card.model import CardKind

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

SUBJECT_DIRECTORY_ATTRIBUTES: Final = "2.5.29.9"
SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"
KEY_USAGE: Final = "2.5.29.15"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
CRL_DISTRIBUTION_POINTS: Final = "2.5.29.31"
POLICIES: Final = "2.5.29.32"
SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
AUTHORITY_INFO_ACCESS: Final = "1.3.6.1.5.5.7.1.1"

KEY_USAGES: Final = (
    "digital_signature",
    "non_repudiation",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""RFC 5280 §4.2.1.3, in the order of the bits."""

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
_HASHES: Final = {f"sha{size}": f"SHA-{size}" for size in (1, 224, 256, 384, 512)}
_TIME: Final = re.compile(r"(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d+)?(?:Z|([+-]\d\d)(\d\d))")

_OID_OCTETS_MAX: Final = 64
_BOOLEAN, _INTEGER, _BIT_STRING, _OID, _SEQUENCE = 0x01, 0x02, 0x03, 0x06, 0x30
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_RFC822_NAME: Final = 0x81
# NIST P-256, P-384 and P-521 (FIPS 186-5), by their names in SEC 2.
_CURVES: Final = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}

# ITU-T X.680 §41: UTF8, Universal and BMP; Numeric, Printable, Teletex, IA5, Visible and GeneralString.
_CODECS: Final = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_OCTET_TEXTS: Final = frozenset((0x12, 0x13, 0x14, 0x16, 0x1A, 0x1B))

_Fact = TypeVar("_Fact")


@dataclass(frozen=True, slots=True)
class ParsedCertificate:
    """One certificate taken apart (RFC 5280 §4.1), everything DER and unjudged unless said otherwise.

    Attributes:
        der: the whole.
        signed_part: tbsCertificate, which the issuer signed.
        serial_number: contents octets of the INTEGER.
        issuer: the Name.
        subject: the Name.
        validity: Validity, its two times.
        public_key: SubjectPublicKeyInfo.
        extensions: the contents of extnValue by OID; of one that is there twice the first.
        version: 1 to 3.
        repeated: whether an extension is there twice, which no authority may do (§4.2).
        algorithm: AlgorithmIdentifier of the issuer's signature.
        signed_with: what tbsCertificate says of it, which has to be the same (§4.1.1.2).
        signature: the issuer's signature, its octets.
    """

    der: bytes
    signed_part: bytes
    serial_number: bytes
    issuer: bytes
    subject: bytes
    validity: bytes
    public_key: bytes
    extensions: Mapping[str, bytes]
    version: int
    repeated: bool
    algorithm: bytes
    signed_with: bytes
    signature: bytes

    @property
    def number(self) -> int:
        """The serial number."""
        return int.from_bytes(self.serial_number, "big", signed=True)

    @property
    def period(self) -> tuple[datetime, datetime]:
        """First and last moment of validity, aware UTC. Raise `CardDataError` if they cannot be read."""
        begins, ends = _children(self.validity, 2)
        return moment(begins), moment(ends)

    @property
    def key_usage(self) -> frozenset[str] | None:
        """The names of `KEY_USAGES` whose bits are set; None without the extension or for a damaged one."""
        return _optional(lambda: _key_usage(self.extensions[KEY_USAGE]))

    @property
    def may_issue(self) -> bool | None:
        """What basicConstraints say; None without them. Raise `CardDataError` if they cannot be read."""
        constraints = self.extensions.get(BASIC_CONSTRAINTS)
        if constraints is None:
            return None
        return any(part.tag == _BOOLEAN and part.value != b"\x00" for part in _children(constraints))

    @property
    def authority(self) -> bool | None:
        """Whether keyUsage, or else basicConstraints, makes it an authority's; None where neither says."""
        if self.key_usage is not None:
            return "key_cert_sign" in self.key_usage
        return _optional(lambda: self.may_issue)

    @property
    def email(self) -> str | None:
        """The holder's address for e-mail (rfc822Name, RFC 5280 §4.2.1.6); None without a readable one."""
        return _optional(
            lambda: next(
                printable(name.value.decode("ascii"))
                for name in self.listed(SUBJECT_ALTERNATIVE_NAME)
                if name.tag == _RFC822_NAME and len(name.value) <= TEXT_LIMIT
            )
        )

    @property
    def policies(self) -> tuple[str, ...]:
        """OIDs of the certificate policies. Raise `CardDataError` if they cannot be read."""
        return tuple(oid(policy.children[0]) for policy in self.listed(POLICIES))

    @property
    def extended_key_usage(self) -> tuple[str, ...] | None:
        """OIDs of extendedKeyUsage, None without it. Raise `CardDataError` if they cannot be read."""
        if EXTENDED_KEY_USAGE not in self.extensions:
            return None
        return tuple(oid(purpose) for purpose in self.listed(EXTENDED_KEY_USAGE))

    def listed(self, extension: str) -> tuple[tlv.Tlv, ...]:
        """Return what an extension lists, nothing without it. Raise `CardDataError` if it cannot be read."""
        return _children(self.extensions[extension]) if extension in self.extensions else ()


@dataclass(frozen=True, slots=True)
class CertificateDescription:
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


# A card in use is looked at in each visit, and a certificate never changes.
@lru_cache(maxsize=64)
def parse(der: bytes) -> ParsedCertificate:
    """Return the parts of the X.509 certificate.

    Raises:
        CardDataError: it is not one certificate of version 1 to 3 with nothing after it.
    """
    tlv.check(der)
    try:
        signed_part, algorithm, signature = _split(der)
        fields = _split(signed_part)
        version = tlv.find(fields.pop(0), 0xA0, _INTEGER) if fields[0][0] == 0xA0 else b"\x00"
        serial, signed_with, issuer, validity, subject, key, *rest = fields
        octets = tlv.read(serial)[0].value
        bits = tlv.read(signature)[0].value
        listed = [tlv.read(part)[0].children[0].children for part in rest if part[0] == 0xA3]
        extensions = [(oid(each.children[0]), each.children[-1].value) for part in listed for each in part]
    except (ValueError, IndexError) as error:
        raise CardDataError("this is no certificate that can be read") from error
    structures = (der, signed_part, algorithm, signed_with, issuer, validity, subject, key)
    if (
        any(part[0] != _SEQUENCE for part in structures)
        or (serial[0], signature[0]) != (_INTEGER, _BIT_STRING)
        or not octets
        or version not in (b"\x00", b"\x01", b"\x02")
    ):
        raise CardDataError("this is no certificate that can be read")
    first: dict[str, bytes] = {}
    for kind, value in extensions:
        first.setdefault(kind, value)
    return ParsedCertificate(
        der=der,
        signed_part=signed_part,
        serial_number=octets,
        issuer=issuer,
        subject=subject,
        validity=validity,
        public_key=key,
        extensions=MappingProxyType(first),
        version=version[0] + 1,
        repeated=len(first) < len(extensions),
        algorithm=algorithm,
        signed_with=signed_with,
        signature=bits[1:],
    )


@lru_cache(maxsize=64)
def describe(der: bytes) -> CertificateDescription:
    """Return what the X.509 certificate says (RFC 5280 §4; subjectDirectoryAttributes §4.2.1.8).

    Raises:
        CardDataError: it is no certificate, or its names or validity cannot be taken apart.
    """
    certificate = parse(der)
    subject, issuer = name_attributes(certificate.subject), name_attributes(certificate.issuer)
    not_before, not_after = certificate.period
    attributes = (
        _optional(lambda: _directory_attributes(certificate.extensions[SUBJECT_DIRECTORY_ATTRIBUTES])) or {}
    )
    types = attributes.get(_ATTRIBUTES + "1", ())

    def attribute(arc: int) -> str | None:
        return next(iter(attributes.get(f"{_ATTRIBUTES}{arc}", ())), None)

    return CertificateDescription(
        subject=written_name(subject),
        common_name=_first(subject, "2.5.4.3"),
        serial_number=_first(subject, "2.5.4.5"),
        issuer=written_name(issuer),
        serial_hex=f"{certificate.number:X}",
        not_before=not_before,
        not_after=not_after,
        key_usage=certificate.key_usage,
        key_bits=_optional(lambda: _key_bits(certificate.public_key)),
        signature_hash=_optional(lambda: signature_algorithm(certificate)[1]),
        policies=_optional(lambda: certificate.policies) or (),
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


def card_kind(facts: CertificateDescription) -> CardKind:
    """Return the kind of card that a certificate is of, by whom it names as its subject."""
    match facts.subject_type:
        case "personnel":
            return CardKind.PERSONNEL
        case "institution":
            secondary = "secondary" in (facts.card_rank or "").casefold()
            return CardKind.INSTITUTION_SECONDARY if secondary else CardKind.INSTITUTION
        case "natural-person":
            return CardKind.CITIZEN
    return CardKind.PKCS15


def name_attributes(name: bytes) -> list[tuple[str, str]]:
    """Return the attributes of a Name as (OID, text) in their order; what cannot be decoded is U+FFFD.

    Raises:
        CardDataError: the Name cannot be taken apart.
    """
    pairs = []
    for relative in _children(name):
        for item in relative.children:
            if len(item.children) != 2:
                raise CardDataError("a name cannot be read")
            kind, value = item.children
            pairs.append((oid(kind), _optional(lambda value=value: text(value, "replace")) or "\ufffd"))  # type: ignore[misc]
    return pairs


# Each visit compares the names of a card's certificates, which are the same each time.
@lru_cache(maxsize=64)
def compared_name(name: bytes) -> tuple[tuple[str, str], ...] | bytes:
    """Return a Name as it is compared (RFC 5280 §7.1): without case, string type and repeated spaces."""
    try:
        return tuple((kind, " ".join(value.casefold().split())) for kind, value in name_attributes(name))
    except CardDataError:
        return name


def oid(item: tlv.Tlv) -> str:
    """Return an OBJECT IDENTIFIER with dots (ITU-T X.690 §8.19). Raise `CardDataError` if it is none."""
    octets = item.value
    if item.tag != _OID or not 1 <= len(octets) <= _OID_OCTETS_MAX or octets[-1] & 0x80:
        raise CardDataError("an object identifier cannot be read")
    arcs, number = [], 0
    for octet in octets:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(number)
            number = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))


def text(item: tlv.Tlv, errors: str = "strict") -> str:
    """Return an OID, a number or a string of any type as printable text.

    Args:
        item: the value.
        errors: `replace` puts U+FFFD for octets that are no text.

    Raises:
        CardDataError: it is too long or of another type.
        UnicodeDecodeError: octets are no text, with `strict`.
    """
    if len(item.value) > TEXT_LIMIT:
        raise CardDataError("a text is too long")
    if item.tag == _OID:
        return oid(item)
    if item.tag == _INTEGER and item.value:
        return str(int.from_bytes(item.value, "big", signed=True))
    found = string(item, errors)
    if found is None:
        raise CardDataError("a text is of a type that is none")
    return printable(found)


def string(item: tlv.Tlv, errors: str = "replace") -> str | None:
    """Return a string of any type as it is, None for what is of no string type."""
    if item.tag in _CODECS:
        return item.value.decode(_CODECS[item.tag], errors)
    return _octet_text(item.value) if item.tag in _OCTET_TEXTS else None


def moment(item: tlv.Tlv) -> datetime:
    """Return a UTCTime or GeneralizedTime, aware UTC; seconds may be left out, an offset may be there.

    Raises:
        CardDataError: it is no date.
    """
    match = _TIME.fullmatch(item.value.decode("latin-1"))
    digits = {_UTC_TIME: 2, _GENERALIZED_TIME: 4}.get(item.tag)
    if match is None or len(match[1]) != digits:
        raise CardDataError("a time cannot be read")
    year, hours = int(match[1]), match[7]
    if digits == 2:
        year += 2000 if year < 50 else 1900  # RFC 5280 §4.1.2.5.1
    try:
        zone = UTC
        if hours:
            minutes = int(match[8]) * (-1 if hours[0] == "-" else 1)
            zone = timezone(timedelta(hours=int(hours), minutes=minutes))
        month, day, hour, minute, second = (int(part or 0) for part in match.groups()[1:6])
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CardDataError("a time is no date") from error


def signature_algorithm(certificate: ParsedCertificate) -> tuple[str, str]:
    """Return how the issuer signed: `rsassa_pkcs1v15` or another, and the hash, `SHA-256`.

    Raises:
        KeyError, ValueError: it is not known.
    """
    from asn1crypto.algos import SignedDigestAlgorithm

    algorithm = SignedDigestAlgorithm.load(certificate.algorithm)
    return algorithm.signature_algo, _HASHES[algorithm.hash_algo]


def _octet_text(octets: bytes) -> str:
    """Return a string of a type with one octet for a character, whatever its writer took for its alphabet."""
    with suppress(UnicodeDecodeError):
        return octets.decode("utf-8")
    # Latin-1 gives every octet a character. The frequent characters of Big5 begin with A4 to BF, which are
    # signs in Latin-1 that no name has.
    with suppress(UnicodeDecodeError):
        found = octets.decode("cp950")
        if any("\u4e00" <= each <= "\u9fff" and 0xA4 <= each.encode("cp950")[0] <= 0xBF for each in found):
            return found
    return octets.decode("latin-1")


def _optional(fact: Callable[[], _Fact]) -> _Fact | None:
    """Return the fact, or None where the certificate lacks it or holds nonsense in its place."""
    try:
        return fact()
    except Exception:
        return None


def _split(der: bytes) -> list[bytes]:
    """Return the encodings in a constructed object, as they stand there."""
    content, parts, offset = tlv.read(der)[0].value, [], 0
    while offset < len(content):
        _, end = tlv.read(content, offset)
        parts.append(content[offset:end])
        offset = end
    return parts


def _children(der: bytes, count: int | None = None) -> tuple[tlv.Tlv, ...]:
    """Return the objects in a constructed one. Raise `CardDataError` if they are not `count`."""
    item, end = tlv.read(der)
    children = item.children
    if end != len(der) or count not in (None, len(children)):
        raise CardDataError("a structure of the certificate cannot be read")
    return children


def written_name(name: list[tuple[str, str]], between: str = ", ") -> str:
    """Return the name as one line; a comma inside a value is escaped: no value can pose as an attribute."""
    return between.join(
        f"{_NAMES.get(kind, kind)}={value.replace(chr(92), chr(92) * 2).replace(',', chr(92) + ',')}"
        for kind, value in name
    )


def _first(name: list[tuple[str, str]], wanted: str) -> str | None:
    return next((value for kind, value in name if kind == wanted), None)


def _key_usage(der: bytes) -> frozenset[str]:
    tlv.check(der)
    bits = tlv.read(der)[0]
    if bits.tag != _BIT_STRING or not 1 <= len(bits.value) <= 3:
        raise CardDataError("keyUsage cannot be read")
    octets = bits.value[1:]
    return frozenset(
        name
        for bit, name in enumerate(KEY_USAGES)
        if bit // 8 < len(octets) and octets[bit // 8] & 0x80 >> bit % 8
    )


def curve_bits(der: bytes) -> int:
    """Return the length of the numbers of a certificate's EC key; 0 for other keys, and where it has none."""
    try:
        return _curve_bits(parse(der).public_key)
    except (CardDataError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def _key_bits(der: bytes) -> int:
    from asn1crypto.keys import PublicKeyInfo

    # Of a point asn1crypto counts whole octets: 528 bits for P-521.
    return _curve_bits(der) or int(PublicKeyInfo.load(der).bit_size)


def _curve_bits(public_key: bytes) -> int:
    from asn1crypto.keys import PublicKeyInfo

    key = PublicKeyInfo.load(public_key)
    return _CURVES.get(key.curve[1], 0) if key.algorithm == "ec" else 0


def _directory_attributes(der: bytes) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for attribute in _children(der):
        kind, values = attribute.children
        texts = (_optional(lambda value=value: text(value)) for value in values.children)  # type: ignore[misc]
        found[oid(kind)] = tuple(each for each in texts if each is not None)
    return found
