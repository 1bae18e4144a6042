"""A revocation list (RFC 5280 §5, §6.3) as the word of a certificate's issuer."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from signing.certificate import load
from signing.errors import StatusAnswerForgedError, StatusAnswerUnusableError
from signing.revocation.addresses import uris
from signing.revocation.status import Source, Standing, State, check_hash, check_times

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateRevocationList, Extensions


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
        check_hash(crl.signature_hash_algorithm)
        if crl.next_update_utc is None:  # RFC 5280 §5.1.2.5 demands it
            raise StatusAnswerUnusableError("the list does not say how long it holds")
        check_times(crl.last_update_utc, crl.next_update_utc, at)
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
        if point.full_name and not set(uris(point.full_name)) & set(_points(certificate)):
            raise StatusAnswerUnusableError("the list is another part of a divided one")


def _points(certificate: Certificate) -> list[str]:
    from cryptography.x509 import CRLDistributionPoints, ExtensionNotFound

    try:
        points = certificate.extensions.get_extension_for_class(CRLDistributionPoints).value
    except ExtensionNotFound:
        return []
    return [uri for point in points for uri in uris(point.full_name)]


def _reason(extensions: Extensions) -> str:
    from cryptography.x509 import CRLReason, ExtensionNotFound

    try:
        return extensions.get_extension_for_class(CRLReason).value.reason.value
    except ExtensionNotFound:
        return ""
