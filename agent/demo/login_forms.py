"""The log-ins of the imitated sites, as their servers see them: what a page posts, and who that is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agent.demo.errors import PortalError, wrong_card
from agent.demo.people import (
    ACCOUNTS,
    INSURED,
    PASSWORD,
    Account,
    CardRead,
    ImitatedSite,
    LoginRole,
    LoginWay,
    SignedIn,
    duty_of,
    needs_nhi_card,
)
from agent.demo.sessions import PortalSession, PortalSessions, same_secret

if TYPE_CHECKING:
    from hca_card.certificate import CertificateDescription

TEXT_CHARACTERS_MAX: Final = 100
PROOF_CHARACTERS_MAX: Final = 16 * 1024
_SIGNING: Final = frozenset((LoginWay.SERVISIGN, LoginWay.NHI_READER, LoginWay.HIPKI))
_READING: Final = frozenset((LoginWay.NHI_COMPONENT, LoginWay.NATIVE_READ))
_NHI_SITES: Final = frozenset((ImitatedSite.EUSERVICE, ImitatedSite.VPN))

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class TrustedIssuers:
    """Whose certificates the portal believes, as DER: in demo mode the simulator's CA alone.

    Attributes:
        revocation_lists: what those authorities have revoked; without one, nothing is looked up.
    """

    roots: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()
    revocation_lists: tuple[bytes, ...] = ()


def challenge_text(origin: str, nonce: str) -> str:
    """Return what a card signs where the old components sign a document: no other site's text, used once."""
    return f"登入示範網站 Log in to the demo portal\n{origin}\n{nonce}"


class LoginForms:
    """What the portal's pages can post before anybody is logged in.

    Args:
        origin: the portal's own.
        trusted: whose certificates log in.
        sessions: where nonces are kept.
    """

    def __init__(self, origin: str, trusted: TrustedIssuers, sessions: PortalSessions) -> None:
        self._origin = origin
        self._trusted = trusted
        self._sessions = sessions

    def native(self, session: PortalSession, body: Mapping[str, Any]) -> SignedIn:
        """Log in with the web-eid:1.0 token of the native API, made for this portal and its nonce.

        `http://localhost` is taken as origin too, since this portal is a demo.

        Raises:
            PortalError: `nonce.unknown`, `request.malformed`, `token.refused`, `certificate.…`, `card.not_…`
                or `person.unknown`.
        """
        from signing.login import validate_token

        nonce = self._sessions.take_nonce(session)
        token, role = body.get("token"), _chosen(LoginRole, body.get("role"))
        if not isinstance(token, dict) or role is LoginRole.INSURED:
            raise PortalError("request.malformed")
        with _portal_refusals():
            holder = validate_token(
                token,
                origin=self._origin,
                nonce=nonce,
                trusted_roots=self._trusted.roots,
                intermediates=self._trusted.intermediates,
                allow_loopback_http=True,
            )
        return self._known(ImitatedSite.EUSERVICE, LoginWay.NATIVE, role, holder.certificate)

    def challenge(self, session: PortalSession) -> dict[str, str]:
        """Return the text that the card is to sign next, where the old components sign a document."""
        return {"challenge": challenge_text(self._origin, self._sessions.issue_nonce(session))}

    def signed(self, session: PortalSession, body: Mapping[str, Any]) -> SignedIn:
        """Log in with the signature of the challenge: `certificate` and `signature`, or `cms`, in base64.

        Raises:
            PortalError: `nonce.unknown`, `request.malformed`, `token.refused`, `certificate.…`, `card.…`,
                `person.…` or `account.…`.
        """
        from signing.hashes import Hash
        from signing.verify import verify

        document = challenge_text(self._origin, self._sessions.take_nonce(session)).encode()
        site, way = _chosen(ImitatedSite, body.get("site")), _chosen(LoginWay, body.get("way"))
        role, proof = _chosen(LoginRole, body.get("role")), body.get("proof")
        if way not in _SIGNING or role is LoginRole.INSURED or not isinstance(proof, dict):
            raise PortalError("request.malformed")
        with _portal_refusals():
            if "cms" in proof:
                certificate = verified_signer(_decoded(proof["cms"]), document)
            else:
                certificate = _decoded(proof.get("certificate"))
                verify(certificate, document, _decoded(proof.get("signature")), Hash.SHA_256)
        return self._known(site, way, role, certificate, session.account)

    def account(self, session: PortalSession, body: Mapping[str, Any]) -> dict[str, str]:
        """Check 帳號, 密碼 and 圖形驗證碼 before any card is used: a slip here must not cost a PIN try.

        Raises:
            PortalError: `captcha.wrong`, `account.wrong` or `account.other_kind`.
        """
        session.account = None
        self._sessions.take_captcha(session, body.get("captcha"))
        account = ACCOUNTS.get(_text(body.get("account")))
        if account is None or not same_secret(_text(body.get("password")), PASSWORD):
            raise PortalError("account.wrong")
        if account.role is not _chosen(LoginRole, body.get("role")):
            raise PortalError("account.other_kind")
        session.account = account
        return {}

    def card_read(self, session: PortalSession, body: Mapping[str, Any]) -> dict[str, str]:
        """Take an NHI card that the page says it read; it proves nothing, so the password is asked next.

        Raises:
            PortalError: `id.not_of_card`, `person.unknown` or `person.not_added`.
        """
        session.card_read = None
        site, way = _chosen(ImitatedSite, body.get("site")), _chosen(LoginWay, body.get("way"))
        card = body.get("card")
        if site not in _NHI_SITES or way not in _READING or not isinstance(card, dict):
            raise PortalError("request.malformed")
        number, id_number = _text(card.get("number")), _text(card.get("idNumber"))
        if "idNumber" in body and _text(body["idNumber"]).upper() != id_number:
            raise PortalError("id.not_of_card")
        person = INSURED.get(id_number)
        if person is None:
            raise _unknown_person(site)
        session.card_read = CardRead(person, number, site, way)
        return {"name": person.name}

    def password(self, session: PortalSession, body: Mapping[str, Any]) -> SignedIn:
        """Log the holder of the card that was read in, by 健保卡網路服務註冊密碼.

        Raises:
            PortalError: `password.wrong`; `session.expired` if no card was read in this session.
        """
        read = session.card_read
        if read is None:
            raise PortalError("session.expired")
        person = read.person
        if not same_secret(_text(body.get("password")), person.password):
            raise PortalError("password.wrong")
        return SignedIn(read.site, read.way, LoginRole.INSURED, person.name, person.duty, read.card_number)

    def _known(
        self,
        site: ImitatedSite,
        way: LoginWay,
        role: LoginRole,
        certificate: bytes,
        account: Account | None = None,
    ) -> SignedIn:
        """Return the holder of a certificate, whom the site must know as what they chose to be."""
        from hca_card.certificate import describe

        self._require_trusted(certificate)
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
            issuer=_issuer(certificate),
            certificate_serial=facts.serial_hex,
            valid_until=facts.not_after.date().isoformat(),
            certificate=certificate,
        )

    def _require_trusted(self, certificate: bytes) -> None:
        """Return if the certificate is for logging in, in time, from a trusted authority, and not revoked."""
        from signing.certificate import check_login_use
        from signing.errors import StatusAnswerUnusableError
        from signing.revocation import RevocationState, judge_crl
        from signing.trust import validate_chain

        now, trusted = datetime.now(UTC), self._trusted
        with _portal_refusals():
            check_login_use(certificate)
            *_, issuer, _holder = validate_chain(certificate, trusted.roots, trusted.intermediates, now)
        for listed in trusted.revocation_lists:
            try:
                standing = judge_crl(listed, certificate, issuer, now)
            except StatusAnswerUnusableError:
                continue  # another authority's list
            if standing.state is RevocationState.REVOKED:
                raise PortalError("certificate.revoked")


def verified_signer(cms: bytes, document: bytes, nonce: bytes = b"") -> bytes:
    """Return the signer's certificate, DER, if it signed `document` with SHA-256 and signed attributes.

    Args:
        cms: ContentInfo with SignedData, DER; the document may be inside or left out.
        document: what should have been signed.
        nonce: what the signed attribute randomNonce must hold; empty where none was asked for.

    Raises:
        SignatureInvalidError: if it did not.
        CertificateMalformedError: if its certificate cannot be used to tell.
    """
    from asn1crypto.core import OctetString

    from signing.cms.build import RANDOM_NONCE
    from signing.cms.verify import verify_cms
    from signing.errors import HashUnsupportedError, SignatureFormatError, SignatureInvalidError
    from signing.hashes import Hash

    try:
        signature = verify_cms(cms, document)
    except (SignatureFormatError, HashUnsupportedError) as error:
        raise SignatureInvalidError(str(error)) from error
    if signature.hash is not Hash.SHA_256 or not signature.attributes:
        raise SignatureInvalidError("it is without signed attributes, or not with SHA-256")
    if nonce and signature.attributes.get(RANDOM_NONCE) != OctetString(nonce).dump():
        raise SignatureInvalidError("another nonce was signed, or none")
    return signature.certificate


@contextmanager
def _portal_refusals() -> Iterator[None]:
    """Run the body with the errors of `signing` raised as the portal's."""
    from signing.errors import CertificateError, CertificateExpiredError, SigningError

    try:
        yield
    except CertificateExpiredError:
        raise PortalError("certificate.expired") from None
    except CertificateError:
        raise PortalError("certificate.refused") from None
    except SigningError:
        raise PortalError("token.refused") from None


def _duty(
    site: ImitatedSite,
    role: LoginRole,
    facts: CertificateDescription,
    card_number: str,
    account: Account | None,
) -> tuple[str, str]:
    if site is ImitatedSite.HCD:
        if account is None:
            raise PortalError("session.expired")
        if account.role is not role:
            raise PortalError("account.other_kind")
        if card_number not in account.cards:
            raise PortalError("account.other_card")
        return account.duty
    number = (facts.institution_code or "") if role is LoginRole.INSTITUTION else card_number
    duty = duty_of(site, role, number)
    if duty is None:
        raise PortalError("card.nhi_card_only") if needs_nhi_card(site, number) else _unknown_person(site)
    return duty


def _unknown_person(site: ImitatedSite) -> PortalError:
    return PortalError("person.not_added" if site is ImitatedSite.VPN else "person.unknown")


def _issuer(certificate: bytes) -> str:
    """Return the names of the issuer, most particular first, as people read them."""
    from hca_card.certificate import name_attributes, parse

    names = name_attributes(parse(certificate).issuer)
    wanted = ("2.5.4.3", "2.5.4.11", "2.5.4.10")  # CN, OU, O
    return "，".join(text for oid in wanted for kind, text in names if kind == oid)


def _chosen(kind: type[_Choice], value: object) -> _Choice:
    if not isinstance(value, str) or value not in set(kind):
        raise PortalError("request.malformed")
    return kind(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        raise PortalError("request.malformed")
    return value.strip()


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or not 0 < len(text) <= PROOF_CHARACTERS_MAX:
        raise PortalError("request.malformed")
    try:
        # The old components break their base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise PortalError("request.malformed") from None
