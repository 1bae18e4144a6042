"""The login token: web-eid:1.0, made by a card for a page and validated by the portal's own server.

The card signs `H(origin) ‖ H(nonce)`, so that a token made for one portal says nothing to another, and a
token seen once is worth nothing a second time (as long as the portal takes every nonce once).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Final

from hca_card.errors import CardDataError
from hca_card.model import Card, KeyUse
from signing.certificate import check_login_use, curve_bits, pss_only, signature_key
from signing.errors import (
    CertificateMalformedError,
    HashUnsupportedError,
    SignatureInvalidError,
    TokenInvalidError,
)
from signing.hashes import Hash
from signing.json_members import RepeatedMemberError, once
from signing.origin import check_nonce, check_origin
from signing.sign import ecdsa_der, ecdsa_numbers, sign_digest
from signing.trust import validate_chain
from signing.verify import verify

FORMAT: Final = "web-eid:1.0"
ALGORITHMS: Final = {
    (family + size): algorithm
    for family in ("RS", "PS", "ES")
    for size, algorithm in (("256", Hash.SHA_256), ("384", Hash.SHA_384), ("512", Hash.SHA_512))
}
"""JOSE names: RSA with PKCS#1 v1.5 (RFC 7518 §3.3), with PSS where the certificate's key is for nothing else
(§3.5), and ECDSA (§3.4), whose hash goes with the curve."""
TOKEN_CHARACTERS_MAX: Final = 32768

_RSA, _PSS = (
    {algorithm: name for name, algorithm in ALGORITHMS.items() if name.startswith(family)}
    for family in ("RS", "PS")
)
_EC: Final = {256: "ES256", 384: "ES384", 521: "ES512"}
_MEMBERS: Final = ("unverifiedCertificate", "algorithm", "signature", "format", "appVersion")


@cache
def app_version() -> str:
    """Return the URL that names this program and its version, as the format asks.

    Nobody fetches it, and ".invalid" can never become somebody's (RFC 2606 §2).
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"https://hca-agent.invalid/releases/{version('hca-agent')}"
    except PackageNotFoundError:
        return "https://hca-agent.invalid/"


@dataclass(frozen=True, slots=True)
class LoginToken:
    """A web-eid:1.0 authentication token.

    Attributes:
        unverified_certificate: the signature certificate, DER; nothing about it has been checked.
        algorithm: one of `ALGORITHMS`.
        signature: over `H(origin) ‖ H(nonce)`: RSA as long as the modulus, ECDSA r ‖ s (RFC 7518 §3.4).
        format: always `web-eid:1.0`.
        app_version: a URL that names the program and version that made the token.
    """

    unverified_certificate: bytes
    algorithm: str
    signature: bytes
    format: str = FORMAT
    app_version: str = field(default_factory=app_version)

    def to_dict(self) -> dict[str, str]:
        """Return the token's JSON members."""
        return {
            "unverifiedCertificate": base64.b64encode(self.unverified_certificate).decode("ascii"),
            "algorithm": self.algorithm,
            "signature": base64.b64encode(self.signature).decode("ascii"),
            "format": self.format,
            "appVersion": self.app_version,
        }

    def to_json(self) -> str:
        """Return the token as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, members: Mapping[str, object]) -> LoginToken:
        """Return the token in a decoded JSON object; exactly the five members, all strings.

        Raises:
            TokenInvalidError: anything else.
        """
        if not isinstance(members, Mapping) or set(members) != set(_MEMBERS):
            raise TokenInvalidError("a token has five members, no more and no fewer")
        texts: dict[str, str] = {}
        for name, value in members.items():
            if not isinstance(value, str) or not value or len(value) > TOKEN_CHARACTERS_MAX:
                raise TokenInvalidError(f"{name} is not a text of a sensible length")
            texts[name] = value
        return cls(
            unverified_certificate=_base64(texts["unverifiedCertificate"]),
            algorithm=texts["algorithm"],
            signature=_base64(texts["signature"]),
            format=texts["format"],
            app_version=texts["appVersion"],
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> LoginToken:
        """Return the token in JSON text, as a page posted it.

        Raises:
            TokenInvalidError: it is not a token.
        """
        if len(text) > TOKEN_CHARACTERS_MAX:
            raise TokenInvalidError("no token is that long")
        try:
            members = json.loads(text, object_pairs_hook=once)
        except RepeatedMemberError as error:
            raise TokenInvalidError(str(error)) from None
        except (ValueError, RecursionError):
            raise TokenInvalidError("the token is not JSON") from None
        return cls.from_dict(members)


@dataclass(frozen=True, slots=True)
class LoginHolder:
    """Who logged in, as the certificate says it.

    Attributes:
        certificate: the certificate, DER, now validated.
        common_name: the subject's CN, "" where there is none.
        serial_number: the subject's serialNumber attribute, "" where there is none.
        subject_type: `personnel`, `institution`, `natural-person`, `company`, or None.
        institution_code: 醫事機構代碼, institutions only.
        card_number: the number of the card the certificate was issued for.
        note: HCA's short text about the holder, None where there is none.
        simulated: issued by the simulator's authority; such a login is worth nothing outside tests.
    """

    certificate: bytes
    common_name: str
    serial_number: str
    subject_type: str | None
    institution_code: str | None
    card_number: str | None
    note: str | None
    simulated: bool


def signed_value(origin: str, nonce: str, algorithm: Hash) -> bytes:
    """Return `H(origin) ‖ H(nonce)` over their UTF-8 text: 64, 96 or 128 bytes."""
    return algorithm.digest(origin.encode()) + algorithm.digest(nonce.encode())


def create_token(
    card: Card,
    certificate_der: bytes,
    origin: str,
    nonce: str,
    *,
    algorithm: Hash = Hash.SHA_256,
    allow_loopback_http: bool = False,
) -> LoginToken:
    """Return the card's login token; the PIN must have been verified in this transaction.

    Args:
        card: the card that signs, with its signature key.
        certificate_der: its signature certificate.
        origin: from the request's Origin header, never from a parameter.
        nonce: the portal's.
        algorithm: SHA-256, SHA-384 or SHA-512; with an EC key its curve decides.
        allow_loopback_http: for a developer's own machine (`signing.origin`).

    Raises:
        OriginNotHttpsError: the origin is not an https origin as a browser reports it.
        NonceInvalidError: the nonce is too weak, too long or no base64.
        HashUnsupportedError: another hash.
        SignatureInvalidError: what the card made does not verify with `certificate_der`.
        CertificateMalformedError: it cannot be read or holds neither an RSA nor an EC key.
        hca_card.errors.CardError: the card refused.
        pcsc.errors.PcscError: the link failed.
    """
    check_origin(origin, allow_loopback_http=allow_loopback_http)
    check_nonce(nonce)
    bits = curve_bits(signature_key(certificate_der))
    name = _EC[bits] if bits else (_PSS if pss_only(certificate_der) else _RSA).get(algorithm)
    if name is None:
        raise HashUnsupportedError(f"a login is not signed with {algorithm}")
    algorithm = ALGORITHMS[name]
    digest = algorithm.digest(signed_value(origin, nonce, algorithm))
    signature = sign_digest(card, digest, algorithm, KeyUse.SIGNATURE, certificate=certificate_der)
    return LoginToken(certificate_der, name, ecdsa_numbers(signature, bits) if bits else signature)


def validate_token(
    token: LoginToken | Mapping[str, object] | str | bytes,
    *,
    origin: str,
    nonce: str,
    trusted_roots: Iterable[bytes],
    now: datetime | None = None,
    intermediates: Iterable[bytes] = (),
    disallowed_policies: Iterable[str] = (),
    allow_loopback_http: bool = False,
) -> LoginHolder:
    """Return who logged in; a portal's server calls it with what the page posted.

    The portal keeps a nonce for one session, a few minutes, and one call of this function; that is its part.
    Revocation (OCSP, CRL) is not looked at here.

    Args:
        token: the token, its JSON object or its JSON text.
        origin: the portal's own origin.
        nonce: the one the portal gave this session.
        trusted_roots: certificates of the authorities whose holders may log in, DER.
        now: the moment that counts, aware; now where None.
        intermediates: certificates between holder and root, DER; they need no trust.
        disallowed_policies: certificate policies (dotted OIDs) that this site does not take.
        allow_loopback_http: for a developer's own machine (`signing.origin`).

    Raises:
        TokenInvalidError: it is no web-eid:1.0 token, or its signature is not over this origin and nonce.
        OriginNotHttpsError: `origin` cannot be a portal's.
        NonceInvalidError: `nonce` cannot be a portal's.
        CertificateMalformedError: the certificate cannot be read or holds neither an RSA nor an EC key.
        CertificateExpiredError: the certificate, or one above it, has expired.
        CertificateNotYetValidError: the certificate, or one above it, is not valid yet.
        CertificateWrongUseError: the certificate is not one to log in with.
        CertificateUntrustedError: no trusted authority stands behind it.
    """
    check_origin(origin, allow_loopback_http=allow_loopback_http)
    check_nonce(nonce)
    if isinstance(token, str | bytes):
        token = LoginToken.from_json(token)
    elif not isinstance(token, LoginToken):
        token = LoginToken.from_dict(token)
    if token.format != FORMAT:
        raise TokenInvalidError(f"the format is not {FORMAT}")
    algorithm = ALGORITHMS.get(token.algorithm)
    if algorithm is None:
        raise TokenInvalidError(f"the algorithm is none of {', '.join(ALGORITHMS)}")
    der, moment = token.unverified_certificate, now or datetime.now(UTC)
    check_login_use(der, frozenset(disallowed_policies))
    validate_chain(der, trusted_roots, intermediates, moment)
    bits = curve_bits(signature_key(der))
    if token.algorithm not in ({_EC[bits]} if bits else (_PSS if pss_only(der) else _RSA).values()):
        raise TokenInvalidError(f"{token.algorithm} is of another kind of key")
    try:
        signature = ecdsa_der(token.signature, bits) if bits else token.signature
        verify(der, signed_value(origin, nonce, algorithm), signature, algorithm)
    except SignatureInvalidError:
        raise TokenInvalidError("the signature is not over this origin and nonce") from None
    return _holder(der)


def _holder(der: bytes) -> LoginHolder:
    from hca_card.certificate import describe

    try:
        facts = describe(der)
    except CardDataError as error:
        raise CertificateMalformedError from error
    return LoginHolder(
        certificate=der,
        common_name=facts.common_name or "",
        serial_number=facts.serial_number or "",
        subject_type=facts.subject_type,
        institution_code=facts.institution_code,
        card_number=facts.card_number,
        note=facts.note,
        simulated=facts.simulated,
    )


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        raise TokenInvalidError("a member is not base64") from None
