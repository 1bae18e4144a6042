"""Logging a card in: the token is validated, and the card must be of the kind that the person chose."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.demo.errors import PortalError


class Role(StrEnum):
    """選擇身分: as whom the person logs in."""

    PERSONNEL = "personnel"
    INSTITUTION = "institution"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates the portal believes, as DER: in demo mode the simulator's CA alone."""

    roots: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who logged in, and with which certificate (DER); `certificate_serial` is hexadecimal."""

    role: Role
    name: str
    card_number: str
    institution_code: str
    issuer: str
    certificate_serial: str
    valid_until: str
    certificate: bytes = field(repr=False)

    def to_json(self) -> dict[str, str]:
        """What the pages show."""
        return {
            "role": self.role.value,
            "name": self.name,
            "cardNumber": self.card_number,
            "institutionCode": self.institution_code,
            "issuer": self.issuer,
            "certificateSerial": self.certificate_serial,
            "validUntil": self.valid_until,
            "certificate": base64.b64encode(self.certificate).decode("ascii"),
        }


def log_in(token: Mapping[str, object], *, role: Role, origin: str, nonce: str, trust: Trust) -> SignedIn:
    """Who holds the card that made `token` for this portal and nonce.

    Args:
        token: the web-eid:1.0 token as the page posted it.
        role: as whom the person wants to log in.
        origin: the portal's own; `http://localhost` is taken too, since this portal is a demo.
        nonce: what the portal gave this session, already spent.
        trust: whose certificates are believed.

    Raises:
        PortalError: `token.refused`, `certificate.refused`, `card.not_personnel`, `card.not_institution`.
    """
    from signing.errors import CertificateError, SigningError
    from signing.login import validate_token

    try:
        holder = validate_token(
            token,
            origin=origin,
            nonce=nonce,
            trusted_roots=trust.roots,
            intermediates=trust.intermediates,
            allow_loopback_http=True,
        )
    except CertificateError:
        raise PortalError("certificate.refused") from None
    except SigningError:
        raise PortalError("token.refused") from None
    if holder.subject_type != role.value:
        raise PortalError(f"card.not_{role.value}")
    certificate = x509.load_der_x509_certificate(holder.certificate)
    return SignedIn(
        role=role,
        name=holder.common_name,
        card_number=holder.card_number or holder.serial_number,
        institution_code=holder.institution_code or "",
        issuer=_plain(certificate.issuer),
        certificate_serial=f"{certificate.serial_number:X}",
        valid_until=certificate.not_valid_after_utc.date().isoformat(),
        certificate=holder.certificate,
    )


def _plain(name: x509.Name) -> str:
    """The names in a distinguished name, most particular first, as people read them."""
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME)
    return "，".join(str(part.value) for oid in oids for part in name.get_attributes_for_oid(oid))
