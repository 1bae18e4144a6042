"""Judge revocation lists (RFC 5280 §5, §6.3), whole or step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from hca_card.certificate import KEY_USAGE, compared_name
from signing.certificate import parsed
from signing.errors import StatusAnswerForgedError, StatusAnswerUnusableError
from signing.revocation.addresses import addresses, uris
from signing.revocation.status import (
    STRICT,
    CertificateStatus,
    RevocationPolicy,
    RevocationReason,
    RevocationState,
    StatusSource,
    check_times,
    is_signed_by,
)

if TYPE_CHECKING:
    from cryptography.x509 import CertificateRevocationList


def judge_crl(
    answer: bytes, der: bytes, issuer: bytes, at: datetime, policy: RevocationPolicy = STRICT
) -> CertificateStatus:
    """Return what a revocation list says of a certificate.

    Args:
        answer: CertificateList, DER.
        der: the certificate.
        issuer: its issuer's certificate, trusted by the caller.
        at: the moment that counts, aware.
        policy: how strictly it is judged.

    Raises:
        StatusAnswerForgedError: the issuer did not sign it.
        StatusAnswerStaleError: it is out of time.
        StatusAnswerUnusableError: it is no list, another authority's, or does not cover this certificate.
        CertificateMalformedError: one of the certificates cannot be read.
    """
    number = parsed(der).number
    with reading_crl(answer) as crl:
        check_crl_signature(crl, issuer, policy)
        if crl.next_update_utc is None:  # RFC 5280 §5.1.2.5 demands it
            raise StatusAnswerUnusableError("the list does not say how long it holds")
        check_times(crl.last_update_utc, crl.next_update_utc, at)
        _check_covers(crl, der)
        return find_in_crl(crl, number)


@contextmanager
def reading_crl(answer: bytes) -> Iterator[CertificateRevocationList]:
    """Run the body with the list in `answer`; its parts are read only there.

    Raises:
        StatusAnswerUnusableError: it cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        yield x509.load_der_x509_crl(answer)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise StatusAnswerUnusableError("the list cannot be read") from error


def check_crl_signature(
    crl: CertificateRevocationList, authority: bytes, policy: RevocationPolicy = STRICT
) -> None:
    """Return if `authority` issued and signed the list.

    Raises:
        StatusAnswerForgedError: it did not sign it, or may not sign lists.
        StatusAnswerUnusableError: the list is another authority's, or its hash proves nothing.
        CertificateMalformedError: the authority's certificate cannot be read.
    """
    if compared_name(crl.issuer.public_bytes()) != compared_name(parsed(authority).subject):
        raise StatusAnswerUnusableError("the list is another authority's")
    # Not crl.is_signature_valid, which never takes SHA-1.
    signed = crl.signature, crl.tbs_certlist_bytes, crl.signature_hash_algorithm
    if not _may_sign_lists(authority) or not is_signed_by(authority, *signed):
        raise StatusAnswerForgedError("the issuer did not sign this list")
    policy.check_hash(crl.signature_hash_algorithm)


def find_in_crl(crl: CertificateRevocationList, serial_number: int) -> CertificateStatus:
    """Return what the list says of a serial number; its signature and its times are not looked at.

    Whoever is in it is revoked. Whoever is not is good where the list is of all that its authority revoked.

    Raises:
        StatusAnswerUnusableError: it is a delta list or one for some reasons alone, and the number is not in
            it; or it is an indirect list, or of a kind that is not understood.
    """
    from cryptography.x509 import (
        CRLReason,
        DeltaCRLIndicator,
        ExtensionNotFound,
        IssuingDistributionPoint,
    )

    whole = True
    for extension in crl.extensions:
        point = extension.value
        if isinstance(point, DeltaCRLIndicator):  # RFC 5280 §5.2.4
            whole = False
        elif not isinstance(point, IssuingDistributionPoint):
            if extension.critical:
                raise StatusAnswerUnusableError("the list is of a kind that is not understood")
        elif point.indirect_crl or point.relative_name:
            raise StatusAnswerUnusableError("the list does not say all of its authority's certificates")
        elif point.only_some_reasons:
            whole = False
    entry = crl.get_revoked_certificate_by_serial_number(serial_number)
    said = StatusSource.CRL, crl.last_update_utc, crl.next_update_utc
    reason = RevocationReason.UNSPECIFIED
    if entry is not None:
        with suppress(ExtensionNotFound):
            reason = RevocationReason(entry.extensions.get_extension_for_class(CRLReason).value.reason.value)
    if entry is None or reason is RevocationReason.REMOVE_FROM_CRL:
        if not whole:
            raise StatusAnswerUnusableError("the list is of a part, and being in none says nothing")
        if entry is None:
            return CertificateStatus(RevocationState.GOOD, *said)
    return CertificateStatus(RevocationState.REVOKED, *said, entry.revocation_date_utc, reason)


def _may_sign_lists(authority: bytes) -> bool:
    certificate = parsed(authority)
    # Without keyUsage nothing is forbidden; with one that cannot be read, all is.
    return KEY_USAGE not in certificate.extensions or "crl_sign" in (certificate.key_usage or ())


def _check_covers(crl: CertificateRevocationList, certificate: bytes) -> None:
    """Return if the list covers certificates such as this one, an authority's or a holder's."""
    from cryptography.x509 import ExtensionNotFound, IssuingDistributionPoint

    try:
        point = crl.extensions.get_extension_for_class(IssuingDistributionPoint).value
    except ExtensionNotFound:
        return
    others = point.only_contains_user_certs if parsed(certificate).authority else point.only_contains_ca_certs
    if others or point.only_contains_attribute_certs:
        raise StatusAnswerUnusableError("the list does not cover this certificate")
    # One part of a divided list must not be passed off as the part that the certificate is in.
    if point.full_name and not set(uris(point.full_name)) & set(addresses(certificate).crl):
        raise StatusAnswerUnusableError("the list is another part of a divided one")
