"""Certificates: what their fields say. Pure computation on what the page hands in, which is hostile input."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from agent.dialects.servisign import names
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.keys import encoded
from hca_card import tlv
from hca_card.certificate import KEY_USAGE, SUBJECT_DIRECTORY_ATTRIBUTES, ParsedCertificate, oid, parse
from hca_card.certificate import signature_algorithm as issuers_algorithm
from hca_card.errors import CardDataError
from signing.certificate import public_key

_OBJECT_IDENTIFIER: Final = 0x06
_SEQUENCE: Final = 0x30
_SET: Final = 0x31

# ATL_GetHCACertType and HCA_GetCertType, by the hash under the certificate's own signature.
_CERTIFICATE_TYPES: Final = {"SHA-1": 1, "SHA-256": 2}
# RFC 5280 §4.2.1.3, in the order of the bits.
_KEY_USAGES: Final = {
    "digital_signature": "digitalSignature",
    "non_repudiation": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
    "encipher_only": "encipherOnly",
    "decipher_only": "decipherOnly",
}


def serial_number(der: bytes) -> str:
    """ATL_GetSerialNumber: the octets of the INTEGER, a leading zero octet included, in upper-case hex."""
    with reading(der) as fields:
        return fields.serial_number.hex().upper()


def name(der: bytes, field: str, *, reverse: bool = False) -> str:
    """ATL_GetCertSubjectDN and its like: the `subject` or `issuer`; reversed for LDAP's order."""
    with reading(der) as fields:
        return names.write(fields.issuer if field == "issuer" else fields.subject, reverse=reverse)


def date(der: bytes, field: str) -> str:
    """ATL_GetCertNotBefore, ATL_GetCertNotAfter."""
    with reading(der) as fields:
        return ctime(fields.period[field == "not_after"])


def certificate_public_key(der: bytes) -> str:
    """ATL_GetCertPublicKey: the SubjectPublicKeyInfo, base64 of DER."""
    with reading(der) as fields:
        return encoded(fields.public_key)


def key_usage(der: bytes) -> str:
    """ATL_GetCertKeyUsage: the names of RFC 5280 §4.2.1.3, joined by commas."""
    with reading(der) as fields:
        _extension(fields, KEY_USAGE)
        if fields.key_usage is None:
            raise LibraryError(LibraryCode.BAD_CERTIFICATE)
        return ",".join(word for name, word in _KEY_USAGES.items() if name in fields.key_usage)


def signature_algorithm(der: bytes) -> str:
    """ATL_CryptCertGetSignatureAlgorithm: the OID of the certificate's own signature, with dots."""
    with reading(der) as fields:
        return oid(tlv.read(fields.algorithm)[0].children[0])


def extensions(der: bytes) -> str:
    """ATL_GetCertExtension: the OIDs that ATL_GetExtension knows of this certificate, joined by commas."""
    with reading(der) as fields:
        return ",".join(fields.extensions)


def certificate_type(der: bytes) -> int:
    """ATL_GetHCACertType, HCA_GetCertType: 1 where it is signed over SHA-1, 2 over SHA-256.

    Raises:
        LibraryError: 5004, any other hash has no number.
    """
    with reading(der) as fields:
        number = _CERTIFICATE_TYPES.get(issuers_algorithm(fields)[1])
    if number is None:
        raise LibraryError(LibraryCode.NOT_SUPPORTED)
    return number


def key_length(der: bytes) -> int:
    """ATL_GetHCAKeyLength, HCA_GetKeySize: bytes of the modulus."""
    return public_key(der).key_size // 8


def rdn_from_dn(call: FunctionCall) -> str:
    """ATL_GetRDNFromDN: empty where the name has no such part; texts are UTF-8 whatever the code page."""
    return names.find(call.text("dn"), call.text("rdn"))


def extension(call: FunctionCall) -> str:
    """ATL_GetExtension: the DER inside extnValue (RFC 5280 §4.1.2.9)."""
    with reading(call.certificate("b64Cert")) as fields:
        return encoded(_extension(fields, call.text("oid")))


def subject_directory_attribute(call: FunctionCall) -> str:
    """ATL_GetSubjectDirectoryAttributes: the DER of the attribute's first value (RFC 5280 §4.2.1.8).

    Raises:
        LibraryError: 5050, the certificate has no such attribute.
    """
    with reading(call.certificate("b64Cert")) as fields:
        value = tlv.find(_extension(fields, SUBJECT_DIRECTORY_ATTRIBUTES), _SEQUENCE) or b""
        for attribute in tlv.objects(value, padded=False):
            kind, values = attribute.children
            if oid(kind) == call.text("oid") and values.tag == _SET:
                return encoded(values.children[0].encode())
    raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)


def oid_from_der(call: FunctionCall) -> str:
    """ATL_ExtractOIDFromDerCode: the first OBJECT IDENTIFIER in the DER, however deep, with dots."""
    der = call.data("b64DerCode")
    try:
        tlv.check(der)
        waiting = [tlv.read(der)[0]]
        while waiting:
            item = waiting.pop(0)
            if item.tag == _OBJECT_IDENTIFIER:
                return oid(item)
            if item.constructed:
                waiting = [*item.children, *waiting]
    except (CardDataError, ValueError):
        raise LibraryError(LibraryCode.FORMAT) from None
    raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)


# What HCA_GetCertAttr counts through; the order is ours.
ATTRIBUTES: Final[tuple[Callable[[bytes], str], ...]] = (
    serial_number,
    partial(name, field="issuer"),
    partial(name, field="subject"),
    partial(date, field="not_before"),
    partial(date, field="not_after"),
    key_usage,
    certificate_public_key,
    signature_algorithm,
)


@contextmanager
def reading(der: bytes) -> Iterator[ParsedCertificate]:
    """Run the body with the parts of a certificate; whatever is wrong with them there is 5060.

    Raises:
        LibraryError: 5060, or what the block itself raises.
    """
    try:
        yield parse(der)
    except (CardDataError, ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise LibraryError(LibraryCode.BAD_CERTIFICATE) from error


def ctime(moment: datetime) -> str:
    r"""Return a date as C's ctime lays it out: local time, English in every locale, a newline at the end.

    `Sat Dec 27 13:41:07 2014\n` (C17 §7.27.3.2). Python's `time.ctime` takes no locale either.

    Raises:
        OverflowError: if it is no time of this machine.
    """
    return time.ctime(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) + "\n"


def _extension(fields: ParsedCertificate, kind: str) -> bytes:
    if kind not in fields.extensions:
        raise LibraryError(LibraryCode.OBJECT_NOT_FOUND)
    return fields.extensions[kind]
