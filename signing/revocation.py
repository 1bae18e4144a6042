"""Whether an authority has revoked a certificate, judged from what somebody else fetched.

A CRL (RFC 5280 §5, §6.3) or an OCSP answer (RFC 6960) counts only when the certificate's issuer stands behind
it, when it is about this certificate, and while it is in time. Nothing here knows a network.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from signing.certificate import load
from signing.errors import StatusAnswerForgedError, StatusAnswerStaleError, StatusAnswerUnusableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import Certificate, CertificateRevocationList, Extensions
    from cryptography.x509.ocsp import OCSPResponse, OCSPSingleResponse

SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock and the authority's may differ."""

UNDATED_MAX: Final = timedelta(hours=24)
"""How old an OCSP answer without nextUpdate may be (RFC 6960 §4.2.2.1 leaves it to the client)."""

_NONCE_BYTES: Final = 16
_HASHES: Final = frozenset(("sha256", "sha384", "sha512", "sha224"))


class State(StrEnum):
    """What the authority says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The OCSP responder does not know the certificate."""


class Source(StrEnum):
    """By what the authority said it."""

    OCSP = "OCSP"
    CRL = "CRL"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the authority says of one certificate.

    Attributes:
        said: when it said so (thisUpdate), aware UTC.
        until: when it will say anew (nextUpdate); None where it does not say.
        revoked: since when it is revoked.
        reason: CRLReason of RFC 5280 §5.3.1, for example `keyCompromise`; empty where none is given.
    """

    state: State
    source: Source
    said: datetime
    until: datetime | None
    revoked: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a certificate says its standing can be asked; taken from it as they are, not checked.

    Attributes:
        ocsp: responders (authorityInfoAccess, RFC 5280 §4.2.2.1).
        crl: revocation lists (cRLDistributionPoints, RFC 5280 §4.2.1.13).
    """

    ocsp: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()


def addresses(der: bytes) -> Addresses:
    """Where the certificate says its standing can be asked.

    Raises:
        CertificateMalformedError: it cannot be read. Extensions that cannot be read name no address.
    """
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

    certificate = load(der)
    responders: list[str] = []
    lists: list[str] = []
    try:
        for extension in certificate.extensions:
            if extension.oid == ExtensionOID.AUTHORITY_INFORMATION_ACCESS:
                described = extension.value
                if isinstance(described, x509.AuthorityInformationAccess):
                    responders += [
                        each.access_location.value
                        for each in described
                        if each.access_method == AuthorityInformationAccessOID.OCSP
                        and isinstance(each.access_location, x509.UniformResourceIdentifier)
                    ]
            elif isinstance(extension.value, x509.CRLDistributionPoints):
                lists += [uri for point in extension.value for uri in _uris(point.full_name)]
    except (ValueError, x509.DuplicateExtension):
        return Addresses()
    return Addresses(tuple(responders), tuple(lists))


def ocsp_request(der: bytes, issuer: bytes) -> tuple[bytes, bytes]:
    """A question for an OCSP responder, and the nonce in it (RFC 6960 §4.1, §4.4.1).

    Raises:
        CertificateMalformedError: one of the two cannot be read.
    """
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import OCSPNonce
    from cryptography.x509.ocsp import OCSPRequestBuilder

    nonce = secrets.token_bytes(_NONCE_BYTES)
    # SHA-1 names the issuer here, it protects nothing; it is the one hash that every responder knows.
    request = (
        OCSPRequestBuilder()
        .add_certificate(load(der), load(issuer), SHA1())  # noqa: S303
        .add_extension(OCSPNonce(nonce), critical=False)
        .build()
    )
    return request.public_bytes(Encoding.DER), nonce


def judge_ocsp(
    answer: bytes, der: bytes, issuer: bytes, at: datetime, *, nonce: bytes | None = None
) -> Standing:
    """What an OCSP answer says of the certificate.

    Args:
        answer: OCSPResponse, DER.
        der: the certificate.
        issuer: its issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.
        nonce: what the question held; None for an answer that was kept from earlier. An answer without any
            is taken: responders that sign ahead of time cannot repeat it (RFC 6960 §4.4.1).

    Raises:
        StatusAnswerForgedError: nobody whom the issuer appointed signed it, or it answers another question.
        StatusAnswerStaleError: it is out of time.
        StatusAnswerUnusableError: it is no answer, or says nothing of this certificate.
        CertificateMalformedError: one of the certificates cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus, load_der_ocsp_response

    certificate, authority = load(der), load(issuer)
    try:
        response = load_der_ocsp_response(answer)
        if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
            raise StatusAnswerUnusableError(f"the responder says {response.response_status.name}")
        _check_responder(response, authority, at)
        _check_nonce(response, nonce)
        single = _about(response, certificate, authority)
        _check_times(single.this_update_utc, single.next_update_utc, at)
        state = {
            OCSPCertStatus.GOOD: State.GOOD,
            OCSPCertStatus.REVOKED: State.REVOKED,
            OCSPCertStatus.UNKNOWN: State.UNKNOWN,
        }[single.certificate_status]
        reason = single.revocation_reason
        return Standing(
            state,
            Source.OCSP,
            single.this_update_utc,
            single.next_update_utc,
            single.revocation_time_utc,
            reason.value if reason else "",
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise StatusAnswerUnusableError("the OCSP answer cannot be read") from error


def judge_crl(answer: bytes, der: bytes, issuer: bytes, at: datetime) -> Standing:
    """What a revocation list says of the certificate.

    Args:
        answer: CertificateList, DER.
        der: the certificate.
        issuer: its issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.

    Raises:
        StatusAnswerForgedError: the issuer did not sign it.
        StatusAnswerStaleError: it is out of time.
        StatusAnswerUnusableError: it is no list, or not one that covers this certificate.
        CertificateMalformedError: one of the certificates cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    certificate, authority = load(der), load(issuer)
    try:
        crl = x509.load_der_x509_crl(answer)
        if crl.issuer != authority.subject:
            raise StatusAnswerUnusableError("the list is another authority's")
        if not _may_sign_lists(authority) or not crl.is_signature_valid(authority.public_key()):  # type: ignore[arg-type]
            raise StatusAnswerForgedError("the issuer did not sign this list")
        _check_hash(crl.signature_hash_algorithm)
        if crl.next_update_utc is None:  # RFC 5280 §5.1.2.5 demands it
            raise StatusAnswerUnusableError("the list does not say how long it holds")
        _check_times(crl.last_update_utc, crl.next_update_utc, at)
        _check_scope(crl, certificate)
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        said, until = crl.last_update_utc, crl.next_update_utc
        if entry is None:
            return Standing(State.GOOD, Source.CRL, said, until)
        return Standing(
            State.REVOKED, Source.CRL, said, until, entry.revocation_date_utc, _reason(entry.extensions)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise StatusAnswerUnusableError("the list cannot be read") from error


def _uris(names: Iterable[object] | None) -> list[str]:
    from cryptography.x509 import UniformResourceIdentifier

    return [name.value for name in names or () if isinstance(name, UniformResourceIdentifier)]


def _check_times(said: datetime, until: datetime | None, at: datetime) -> None:
    at = at.astimezone(UTC)
    if said > at + SKEW:
        raise StatusAnswerStaleError("the answer is dated in the future")
    if at > (until or said + UNDATED_MAX) + SKEW:
        raise StatusAnswerStaleError(f"the answer held until {until or said + UNDATED_MAX:%Y-%m-%d %H:%M}")


def _check_hash(algorithm: HashAlgorithm | None) -> None:
    if algorithm is None or algorithm.name not in _HASHES:
        raise StatusAnswerUnusableError("the answer is signed with a hash that proves nothing")


def _check_nonce(response: OCSPResponse, nonce: bytes | None) -> None:
    from cryptography.x509 import ExtensionNotFound, OCSPNonce

    if nonce is None:
        return
    try:
        repeated = response.extensions.get_extension_for_class(OCSPNonce).value.nonce
    except ExtensionNotFound:
        return
    if repeated != nonce:
        raise StatusAnswerForgedError("the answer was given to another question")


def _check_responder(response: OCSPResponse, authority: Certificate, at: datetime) -> None:
    """Return if the issuer, or somebody it appointed, signed the answer (RFC 6960 §4.2.2.2)."""
    _check_hash(response.signature_hash_algorithm)
    signers = [authority, *(each for each in response.certificates if _appointed(each, authority, at))]
    named = [each for each in signers if _is_responder(response, each)]
    if not any(_signed(response, each) for each in named):
        raise StatusAnswerForgedError("nobody whom the issuer appointed signed this answer")


def _is_responder(response: OCSPResponse, signer: Certificate) -> bool:
    from cryptography.x509 import SubjectKeyIdentifier

    if response.responder_name is not None:
        return response.responder_name == signer.subject
    return response.responder_key_hash == SubjectKeyIdentifier.from_public_key(signer.public_key()).digest


def _appointed(signer: Certificate, authority: Certificate, at: datetime) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        signer.verify_directly_issued_by(authority)
        use = signer.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except (InvalidSignature, ExtensionNotFound, ValueError, TypeError):
        return False
    in_time = signer.not_valid_before_utc - SKEW <= at <= signer.not_valid_after_utc + SKEW
    return in_time and ExtendedKeyUsageOID.OCSP_SIGNING in use


def _signed(response: OCSPResponse, signer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, PKCS1v15(), algorithm)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _about(response: OCSPResponse, certificate: Certificate, authority: Certificate) -> OCSPSingleResponse:
    from cryptography.x509.ocsp import OCSPRequestBuilder

    for single in response.responses:
        if single.serial_number != certificate.serial_number:
            continue
        asked = (
            OCSPRequestBuilder().add_certificate(certificate, authority, single.hash_algorithm).build()
        )  # only for its two hashes
        if (single.issuer_name_hash, single.issuer_key_hash) == (
            asked.issuer_name_hash,
            asked.issuer_key_hash,
        ):
            return single
    raise StatusAnswerForgedError("the answer is about other certificates")


def _may_sign_lists(authority: Certificate) -> bool:
    from cryptography.x509 import ExtensionNotFound, KeyUsage

    try:
        return authority.extensions.get_extension_for_class(KeyUsage).value.crl_sign
    except ExtensionNotFound:
        return True


def _check_scope(crl: CertificateRevocationList, certificate: Certificate) -> None:
    """Return if the list is a whole one that covers end entities' certificates such as this one."""
    from cryptography.x509 import IssuingDistributionPoint

    for extension in crl.extensions:
        point = extension.value
        if not isinstance(point, IssuingDistributionPoint):
            if extension.critical:  # a delta list among them (RFC 5280 §5.2.4)
                raise StatusAnswerUnusableError("the list is of a kind that is not understood")
            continue
        if (
            point.only_contains_ca_certs
            or point.only_contains_attribute_certs
            or point.indirect_crl
            or point.only_some_reasons
            or point.relative_name
        ):
            raise StatusAnswerUnusableError("the list does not cover this certificate")
        # One part of a divided list must not be passed off as the part that the certificate is in.
        if point.full_name and not set(_uris(point.full_name)) & set(_points(certificate)):
            raise StatusAnswerUnusableError("the list is another part of a divided one")


def _points(certificate: Certificate) -> list[str]:
    from cryptography.x509 import CRLDistributionPoints, ExtensionNotFound

    try:
        points = certificate.extensions.get_extension_for_class(CRLDistributionPoints).value
    except ExtensionNotFound:
        return []
    return [uri for point in points for uri in _uris(point.full_name)]


def _reason(extensions: Extensions) -> str:
    from cryptography.x509 import CRLReason, ExtensionNotFound

    try:
        return extensions.get_extension_for_class(CRLReason).value.reason.value
    except ExtensionNotFound:
        return ""
