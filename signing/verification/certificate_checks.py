"""What is asked of a signer's certificate: its path, its period, its key, and what it was issued for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from hca_card.certificate import describe
from hca_card.errors import CardDataError
from signing.certificate import EC_BITS_MIN, any_public_key, can_be_computed, parsed
from signing.errors import CertificateError, CertificateExpiredError, CertificateNotYetValidError
from signing.hashes import Hash
from signing.revocation.status import SKEW
from signing.trust import validate_chain
from signing.verification.findings import Finding, Remark
from signing.verification.found import FoundSignature

RSA_BITS_MIN: Final = 2048
"""Shorter ones can be factored by those who pay for it (NIST SP 800-131A)."""

_SIGNS: Final = frozenset(("digital_signature", "non_repudiation"))
_FOR_DOCUMENTS: Final = frozenset(
    (
        "2.5.29.37.0",  # any
        "1.3.6.1.5.5.7.3.2",  # clientAuth: what cards for people have
        "1.3.6.1.5.5.7.3.4",  # emailProtection
        "1.3.6.1.5.5.7.3.36",  # documentSigning, RFC 9336
        "1.3.6.1.4.1.311.20.2.2",  # smart card log-on
        "1.3.6.1.4.1.311.10.3.12",  # document signing, Microsoft
        "1.2.840.113583.1.1.5",  # authentic documents, Adobe
    )
)


# In an archive the same few people sign everything, and what is decided here never changes.
@lru_cache(maxsize=256)
def trusted_path(
    der: bytes,
    roots: tuple[bytes, ...],
    others: tuple[bytes, ...],
    policies: frozenset[str] = frozenset(),
) -> tuple[bytes, ...]:
    """Return the path from one of `roots` to a certificate, judged within its own time; empty without one.

    Everything but time is decided here: names, signatures, constraints (RFC 5280 §6). Whether the
    certificates held at the moment that counts is asked later, and of each for itself.
    """
    try:
        begins, ends = parsed(der).period
    except (CertificateError, CardDataError):
        return ()
    # The middle of its life: an issuer that did not live then could not have issued it properly; unless it
    # was dated back to before all computers, as some are, or has no end (RFC 5280 §4.1.2.5).
    for moment in (begins + (ends - begins) / 2, ends, begins):
        try:
            return validate_chain(der, roots, others, at=moment, policies=policies)
        except (CertificateExpiredError, CertificateNotYetValidError):
            continue
        except CertificateError:
            return ()
    return ()


def in_time(
    path: tuple[bytes, ...], claimed: datetime | None, stamped: datetime | None, now: datetime
) -> Iterator[Remark]:
    """Give what is wrong with the signer's period and those of its issuers (root excepted).

    Args:
        path: from the root to the signer, or the signer alone.
        claimed: the signer's own time.
        stamped: when a trusted authority saw the signature; None without any.
        now: the moment of the verdict.
    """
    for der in path[1:] or path:
        try:
            begins, ends = parsed(der).period
        except CardDataError:
            yield Remark(Finding.CERTIFICATE_UNREADABLE)
            continue
        if stamped is not None:
            if not begins - SKEW <= stamped <= ends:
                yield Remark(Finding.CERTIFICATE_OUT_OF_TIME)
        elif now > ends:
            late = claimed is not None and claimed > ends
            yield Remark(
                Finding.CERTIFICATE_OUT_OF_TIME if late else Finding.CERTIFICATE_EXPIRED, f"{ends:%Y-%m-%d}"
            )
        elif now < begins:
            yield Remark(Finding.CERTIFICATE_NOT_YET, f"{begins:%Y-%m-%d}")


def holds(der: bytes, at: datetime) -> bool:
    """Return whether a certificate is in time at that moment."""
    try:
        begins, ends = parsed(der).period
    except (CardDataError, CertificateError):
        return False
    return begins <= at <= ends


def strength(found: FoundSignature) -> Iterator[Remark]:
    """Give what makes the signature cheap to forge."""
    if found.hash is Hash.SHA_1:
        yield Remark(Finding.ALGORITHM_WEAK, found.hash.value)
    if found.certificate is None:
        return
    kind, bits = key_of(found.certificate)
    if (kind == "RSA" and bits < RSA_BITS_MIN) or (kind == "EC" and bits < EC_BITS_MIN):
        yield Remark(Finding.KEY_SHORT, f"{kind} {bits}")
    if _can_be_computed(found.certificate):
        yield Remark(Finding.KEY_COMPUTABLE)


def purpose(der: bytes) -> Iterator[Remark]:
    """Give why this certificate is not one to sign documents with (RFC 5280 §4.2.1.3, .4 and .12)."""
    try:
        certificate = parsed(der)
        usage, extended = certificate.key_usage, certificate.extended_key_usage
        authority = certificate.authority
    except (CertificateError, CardDataError):
        yield Remark(Finding.CERTIFICATE_UNREADABLE)
        return
    if authority:
        yield Remark(Finding.CERTIFICATE_PURPOSE, "CA")
    elif usage is not None and not usage & _SIGNS:
        yield Remark(Finding.CERTIFICATE_PURPOSE, ", ".join(sorted(usage)))
    elif extended is not None and not _FOR_DOCUMENTS.intersection(extended):
        yield Remark(Finding.CERTIFICATE_PURPOSE, ", ".join(extended)[:80])


def without_policy(der: bytes) -> Remark:
    """Return that none of the demanded policies reaches down to this certificate (RFC 5280 §6.1)."""
    try:
        own = parsed(der).policies
    except (CertificateError, CardDataError):
        own = ()
    return Remark(Finding.CERTIFICATE_POLICY, ", ".join(own)[:80])


@lru_cache(maxsize=256)
def key_of(der: bytes) -> tuple[str, int]:
    """Return the kind of key in a certificate and its bits; empty and 0 where that cannot be told."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = any_public_key(der)
    except CertificateError:
        return "", 0
    if isinstance(key, RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, EllipticCurvePublicKey):
        return "EC", key.key_size
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey"), 0


@lru_cache(maxsize=256)
def _can_be_computed(der: bytes) -> bool:
    try:
        return can_be_computed(any_public_key(der))
    except CertificateError:
        return False


def is_simulated(der: bytes) -> bool:
    """Return whether a simulator issued the certificate."""
    try:
        return describe(der).simulated
    except CardDataError:
        return False
