"""Who logged in: the proof that a card gave is verified, and its holder looked up at the imitated site."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.demo.errors import PortalError, wrong_card
from agent.demo.register import Account, Insured, Role, Site, duty_of, needs_nhi_card

if TYPE_CHECKING:
    from hca_card.certificate import CertificateDescription

MOST_PROOF_CHARACTERS = 16 * 1024


class Way(StrEnum):
    """How the page reached the card."""

    NATIVE = "native"
    SERVISIGN = "servisign"
    NHI_READER = "servisign-nhi-reader"
    HIPKI = "hipki"
    NHI_COMPONENT = "nhi-component"
    NATIVE_READ = "native-read"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates the portal believes, as DER: in demo mode the simulator's CA alone.

    Attributes:
        revocation_lists: what those authorities have revoked; without one, nothing is looked up.
    """

    roots: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()
    revocation_lists: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who logged in where, and with which certificate (DER, empty for an NHI card).

    Attributes:
        duty: what they do at the site, in both languages.
        certificate_serial: hexadecimal.
    """

    site: Site
    way: Way
    role: Role
    name: str
    duty: tuple[str, str]
    card_number: str
    institution_code: str = ""
    issuer: str = ""
    certificate_serial: str = ""
    valid_until: str = ""
    certificate: bytes = field(default=b"", repr=False)

    @property
    def home(self) -> str:
        """The page behind the log-in."""
        return "/apply" if self.way is Way.NATIVE else "/welcome"

    def to_json(self) -> dict[str, object]:
        """What the pages show."""
        return {
            "site": self.site.value,
            "way": self.way.value,
            "role": self.role.value,
            "name": self.name,
            "duty": {"zh": self.duty[0], "en": self.duty[1]},
            "cardNumber": self.card_number,
            "institutionCode": self.institution_code,
            "issuer": self.issuer,
            "certificateSerial": self.certificate_serial,
            "validUntil": self.valid_until,
            "certificate": base64.b64encode(self.certificate).decode("ascii"),
            "home": self.home,
        }


def challenge_text(origin: str, nonce: str) -> str:
    """What a card signs where the old components sign a document: no other site's text, and used once."""
    return f"登入示範網站 Log in to the demo portal\n{origin}\n{nonce}"


def log_in(token: Mapping[str, object], *, role: Role, origin: str, nonce: str, trust: Trust) -> SignedIn:
    """Who holds the card that made `token` for this portal and nonce.

    Args:
        token: the web-eid:1.0 token as the page posted it.
        role: as whom the person wants to log in.
        origin: the portal's own; `http://localhost` is taken too, since this portal is a demo.
        nonce: what the portal gave this session, already spent.
        trust: whose certificates are believed.

    Raises:
        PortalError: `token.refused`, `certificate.…`, `card.not_…`, `person.unknown`.
    """
    from signing.login import validate_token

    def validate() -> bytes:
        holder = validate_token(
            token,
            origin=origin,
            nonce=nonce,
            trusted_roots=trust.roots,
            intermediates=trust.intermediates,
            allow_loopback_http=True,
        )
        return holder.certificate

    certificate = _judged(validate)
    _require_trusted(certificate, trust)
    return _known(Site.EUSERVICE, Way.NATIVE, role, certificate)


def log_in_signed(
    proof: Mapping[str, object],
    *,
    site: Site,
    way: Way,
    role: Role,
    challenge: str,
    trust: Trust,
    account: Account | None = None,
) -> SignedIn:
    """Who holds the card that signed `challenge`, as the old components sign: PKCS#1 or PKCS#7, SHA-256.

    Args:
        proof: `certificate` and `signature`, or `cms`, each base64.
        site: where they log in.
        way: through which component.
        role: as whom they want to log in.
        challenge: the text that the portal gave this session, already spent.
        trust: whose certificates are believed.
        account: the account whose password was right, at a site that has accounts.

    Raises:
        PortalError: `request.malformed`, `token.refused`, `certificate.…`, `card.…`, `person.…`, `account.…`.
    """
    from signing.hashes import Hash
    from signing.verify import verify

    document = challenge.encode()

    def check() -> bytes:
        if "cms" in proof:
            from agent.demo.pkcs7 import verified_signer

            return verified_signer(_decoded(proof["cms"]), document)
        der, signature = _decoded(proof.get("certificate")), _decoded(proof.get("signature"))
        verify(der, document, signature, Hash.SHA_256)
        return der

    certificate = _judged(check)
    _require_trusted(certificate, trust)
    return _known(site, way, role, certificate, account)


def log_in_insured(person: Insured, card_number: str, *, site: Site, way: Way) -> SignedIn:
    """Somebody whose NHI card was read, and who knew the registered password."""
    return SignedIn(site, way, Role.INSURED, person.name, person.duty, card_number)


def _judged(check: Callable[[], bytes]) -> bytes:
    """What `check` gives, its refusals in the portal's words."""
    from signing.errors import CertificateError, CertificateExpiredError, SigningError

    try:
        return check()
    except CertificateExpiredError:
        raise PortalError("certificate.expired") from None
    except CertificateError:
        raise PortalError("certificate.refused") from None
    except SigningError:
        raise PortalError("token.refused") from None


def _require_trusted(certificate: bytes, trust: Trust) -> None:
    """Return if the certificate is one to log in with, in time, from a trusted authority, and not revoked."""
    from signing.certificate import check_login_use
    from signing.errors import StatusAnswerUnusableError
    from signing.revocation import State, judge_crl
    from signing.trust import validate_chain

    now = datetime.now(UTC)

    def path() -> bytes:
        check_login_use(certificate)
        *_, issuer, _holder = validate_chain(certificate, trust.roots, trust.intermediates, now)
        return issuer

    issuer = _judged(path)
    for listed in trust.revocation_lists:
        try:
            standing = judge_crl(listed, certificate, issuer, now)
        except StatusAnswerUnusableError:
            continue  # another authority's list
        if standing.state is State.REVOKED:
            raise PortalError("certificate.revoked")


def _known(site: Site, way: Way, role: Role, certificate: bytes, account: Account | None = None) -> SignedIn:
    """The holder of a verified certificate, whom the site must know as what they chose to be."""
    from hca_card.certificate import describe

    facts = describe(certificate)
    if facts.subject_type != role.value:
        raise wrong_card(facts.subject_type, role.value)
    card_number = facts.card_number or facts.serial_number or ""
    return SignedIn(
        site=site,
        way=way,
        role=role,
        name=facts.common_name or "",
        duty=_duty(site, role, facts, card_number, account),
        card_number=card_number,
        institution_code=facts.institution_code or "",
        issuer=_plain(certificate),
        certificate_serial=facts.serial_hex,
        valid_until=facts.not_after.date().isoformat(),
        certificate=certificate,
    )


def _duty(
    site: Site, role: Role, facts: CertificateDescription, card_number: str, account: Account | None
) -> tuple[str, str]:
    if site is Site.HCD:
        if account is None:
            raise PortalError("session.expired")
        if account.role is not role:
            raise PortalError("account.other_kind")
        if card_number not in account.cards:
            raise PortalError("account.other_card")
        return account.duty
    number = (facts.institution_code or "") if role is Role.INSTITUTION else card_number
    duty = duty_of(site, role, number)
    if duty is None:
        if needs_nhi_card(site, number):
            raise PortalError("card.nhi_card_only")
        raise PortalError("person.not_added" if site is Site.VPN else "person.unknown")
    return duty


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or not 0 < len(text) <= MOST_PROOF_CHARACTERS:
        raise PortalError("request.malformed")
    try:
        # The old components break their base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise PortalError("request.malformed") from None


def _plain(certificate: bytes) -> str:
    """The names of the issuer, most particular first, as people read them."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    name = x509.load_der_x509_certificate(certificate).issuer
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME)
    return "，".join(str(part.value) for oid in oids for part in name.get_attributes_for_oid(oid))
