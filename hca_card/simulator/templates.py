"""What the simulator's certificates say (RFC 5280), before there is a key to say it of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Final

from hca_card.simulator.der import SET, oid, printable, sequence, tlv, utf8
from hca_card.simulator.ec import CURVES
from hca_card.simulator.persons import (
    CITIZEN,
    CITIZEN_ID_ENDING,
    CLINIC,
    DOCTOR,
    REVOKED_CARD,
    Validity,
    current_validity,
)

ORGANISATION: Final = "HCA-AGENT SIMULATOR"
POLICY_ASSURANCE_3: Final = "2.16.886.101.0.3.3"

_ATTRIBUTES: Final = "2.16.886.1.100.2"
PERSONNEL: Final = "2.16.886.1.100.3.1.7"
INSTITUTION: Final = "2.16.886.1.100.3.2.21"
NATURAL_PERSON: Final = "2.16.886.1.100.3.1.1"


class Use(Enum):
    """What the key of a certificate is for."""

    AUTHORITY = "authority"
    SIGNATURE = "signature"
    ENCRYPTION = "encryption"


@dataclass(frozen=True, slots=True)
class Template:
    """A certificate to be made once and kept.

    Attributes:
        name: what its file is called; no two templates share it.
        subject: X.520 attributes after C=TW, as (short name, value).
        use: decides key usage and basic constraints.
        validity: first and last day.
        issuer: the authority's template; None signs itself.
        bits: length of the RSA modulus; 256, 384 and 521 are the curves P-256, P-384 and P-521.
        legacy: signed with SHA-1, as cards were before about 2015; otherwise SHA-256.
        pss: an RSA key for signatures of RSA-PSS alone (RFC 4055 §1.2).
        directory_attributes: DER of the attributes for subjectDirectoryAttributes (RFC 5280 §4.2.1.8).
    """

    name: str
    subject: tuple[tuple[str, str], ...]
    use: Use
    validity: Validity
    issuer: Template | None
    bits: int = 2048
    legacy: bool = False
    directory_attributes: tuple[bytes, ...] = ()
    pss: bool = field(default=False, repr=False)

    @property
    def serial_number(self) -> int:
        """Follows from what the certificate says, so that a CRL can name it before it exists."""
        return int.from_bytes(hashlib.sha256(self.wording).digest()[:16], "big") >> 1 | 1

    @property
    def wording(self) -> bytes:
        """All that it says; certificates made before there was PSS keep their number and their file."""
        return repr(self).encode() + b" pss" * self.pss


_AUTHORITY_VALIDITY: Final = Validity(date(2010, 1, 1), date(2099, 12, 31))


def _authority(name: str, unit: str, issuer: Template | None) -> Template:
    subject = (("O", ORGANISATION), ("OU", unit))
    return Template(name, subject, Use.AUTHORITY, _AUTHORITY_VALIDITY, issuer)


ROOT: Final = _authority("root-ca", "模擬政府憑證總管理中心", None)
ISSUING: Final = _authority("hca-ca", "模擬醫事憑證管理中心", ROOT)
SIBLING: Final = _authority("gca-ca", "模擬政府憑證管理中心", ROOT)


def personnel(
    number: str, validity: Validity, *, name: str = DOCTOR.name, version: str = "2"
) -> tuple[Template, ...]:
    """Return the signature and, from version 2 on, the encryption certificate of a personnel card."""
    attributes = (
        _attribute(1, oid(PERSONNEL)),
        _attribute(2, printable("primary")),
        _attribute(57, utf8("醫事人員")),
        _attribute(204, printable(number)),
    )
    pair = _pair("personnel", number, name, validity, attributes)
    if version == "2":
        return pair
    # Such cards came without a second key pair.
    return _old(pair)[:1]


def of_key(
    certificates: tuple[Template, ...], bits: int, *, pss: bool = False, agreeing: bool = False
) -> tuple[Template, ...]:
    """Return the certificates for keys of that length: of a curve the first, unless the other agrees on keys.

    Args:
        certificates: of a person, the one for signatures first.
        bits: as in `Template`.
        pss: the key for signatures makes RSA-PSS alone.
        agreeing: the card knows ECDH.
    """
    certificates = certificates[:1] if bits in CURVES and not agreeing else certificates
    return tuple(
        replace(template, bits=bits, pss=pss and template.use is Use.SIGNATURE) for template in certificates
    )


def institution(
    number: str, validity: Validity, *, secondary: bool, version: str = "2"
) -> tuple[Template, ...]:
    """Return the signature and encryption certificates of an institution card, of either version."""
    attributes = (
        _attribute(1, oid(INSTITUTION)),
        _attribute(2, printable("secondary" if secondary else "primary")),
        _attribute(57, utf8("醫事機構")),
        _attribute(102, oid("2.16.886.101.90003.99999")),
        _attribute(111, printable(CLINIC.code)),
        _attribute(204, printable(number)),
    )
    pair = _pair("institution", number, CLINIC.name, validity, attributes)
    return pair if version == "2" else _old(pair)


def citizen(number: str, validity: Validity) -> tuple[Template, ...]:
    """Return the signature and encryption certificates of a citizen card."""
    attributes = _attribute(1, oid(NATURAL_PERSON)), _attribute(51, printable(CITIZEN_ID_ENDING))
    return _pair("citizen", number, CITIZEN.name, validity, attributes)


def revoked(today: date) -> tuple[Template, ...]:
    """Return the certificates that the issuing authority has revoked."""
    return personnel(REVOKED_CARD, current_validity(today))


def _old(certificates: tuple[Template, ...]) -> tuple[Template, ...]:
    """As they were on version 1 cards: RSA 1024 and SHA-1 (before about 2015)."""
    return tuple(replace(template, bits=1024, legacy=True) for template in certificates)


def _attribute(arc: int, value: bytes) -> bytes:
    return sequence(oid(f"{_ATTRIBUTES}.{arc}"), tlv(SET, value))


def _pair(
    kind: str, number: str, name: str, validity: Validity, attributes: tuple[bytes, ...]
) -> tuple[Template, Template]:
    subject = (("CN", name), ("serialNumber", number.zfill(16)))
    signature, encryption = (
        Template(
            f"{kind}-{number}-{use.value}", subject, use, validity, ISSUING, directory_attributes=attributes
        )
        for use in (Use.SIGNATURE, Use.ENCRYPTION)
    )
    return signature, encryption
