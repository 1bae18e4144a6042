"""What is odd in how a certificate is written: used all the same, and said where people look for trouble."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum, auto
from typing import Final

from hca_card import tlv
from hca_card.certificate import parse
from hca_card.errors import CardDataError

_PRINTABLE: Final = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")
_PLAIN_TIMES: Final = {0x17: re.compile(rb"\d{12}Z"), 0x18: re.compile(rb"\d{14}Z")}
_GENERALIZED_TIME: Final = 0x18


class CertificateOddity(StrEnum):
    """One thing that a stricter parser may refuse the whole certificate for."""

    PRINTABLE = auto()
    """A PrintableString with signs that it has not (X.680 §41.4): `_ @ & *`, or no ASCII at all."""
    STRING = auto()
    """Another string whose octets are not of its type: NumericString, IA5String, BMPString, UTF8String."""
    TELETEX = auto()
    """A TeletexString with other octets than ASCII, whose alphabet nobody can know."""
    NO_STRING = auto()
    """A name with something that is no string."""
    TIME = auto()
    """A time without seconds, with an offset or a fraction, or a GeneralizedTime before 2050 (RFC 5280
    §4.1.2.5)."""


def oddities(der: bytes) -> tuple[CertificateOddity, ...]:
    """Return what is odd in the names and times of a certificate, each once, in the order of the enumeration.

    Raises:
        CardDataError: it is no certificate.
    """
    certificate = parse(der)
    names = (item for name in (certificate.issuer, certificate.subject) for item in _values(name))
    found = {_of_string(item) for item in names}
    try:
        found |= {_of_time(item) for item in tlv.read(certificate.validity)[0].children}
    except (ValueError, CardDataError):
        found.add(CertificateOddity.TIME)
    return tuple(each for each in CertificateOddity if each in found)


def _values(name: bytes) -> Iterator[tlv.Tlv]:
    try:
        for relative in tlv.read(name)[0].children:
            for attribute in relative.children:
                yield attribute.children[-1]
    except (ValueError, IndexError, CardDataError):
        return


def _of_string(item: tlv.Tlv) -> CertificateOddity | None:
    value = item.value
    match item.tag:
        case 0x13:
            return None if _PRINTABLE.fullmatch(value) else CertificateOddity.PRINTABLE
        case 0x14:
            return None if value.isascii() else CertificateOddity.TELETEX
        case 0x12:
            fits = re.fullmatch(rb"[0-9 ]*", value) is not None
        case 0x16 | 0x1A:
            fits = value.isascii()
        case 0x0C | 0x1C | 0x1E:
            fits = _decodes(value, {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}[item.tag])
        case _:
            return CertificateOddity.NO_STRING
    return None if fits else CertificateOddity.STRING


def _decodes(value: bytes, codec: str) -> bool:
    try:
        value.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _of_time(item: tlv.Tlv) -> CertificateOddity | None:
    plain = _PLAIN_TIMES.get(item.tag)
    early = item.tag == _GENERALIZED_TIME and item.value[:4] < b"2050"
    return CertificateOddity.TIME if plain is None or early or not plain.fullmatch(item.value) else None
