"""Whether a trusted certification authority stands behind a certificate (RFC 5280 §6), without network."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hca_card.errors import CardDataError
from signing.certificate import check_authority_key, check_form, parsed
from signing.errors import (
    CertificateExpiredError,
    CertificateMalformedError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
)

if TYPE_CHECKING:
    from asn1crypto.x509 import Certificate
    from pyhanko_certvalidator import CertificateValidator
    from pyhanko_certvalidator.path import ValidationPath


def check_period(der: bytes, at: datetime) -> None:
    """Return if the certificate itself is in time.

    Args:
        der: the certificate.
        at: the moment that counts, aware.

    Raises:
        CertificateExpiredError: its end has passed.
        CertificateNotYetValidError: its beginning has not come.
        CertificateMalformedError: it cannot be read.
    """
    try:
        begins, ends = parsed(der).period
    except CardDataError as error:
        raise CertificateMalformedError("the certificate's validity cannot be read") from error
    if at > ends:
        raise CertificateExpiredError(f"the certificate ended on {ends:%Y-%m-%d}")
    if at < begins:
        raise CertificateNotYetValidError(f"the certificate begins on {begins:%Y-%m-%d}")


def validate_chain(
    der: bytes,
    roots: Iterable[bytes],
    intermediates: Iterable[bytes] = (),
    at: datetime | None = None,
    policies: frozenset[str] = frozenset(),
) -> tuple[bytes, ...]:
    """Return the path that leads from one of `roots` to the certificate at that moment.

    Revocation is not looked at: nothing is fetched.

    Args:
        der: the end entity's certificate; one that is itself a root proves nothing and is not trusted.
        roots: trusted certificates, DER.
        intermediates: certificates that may stand between, DER; they need no trust.
        at: the moment that counts, aware; now where None.
        policies: certificate policies (dotted OIDs), as the root's authority calls them, of which all of the
            path must allow one (§6.1.1, with initial-explicit-policy); none for any path.

    Returns:
        The certificates of the path, DER, the root first and the certificate itself last.

    Raises:
        CertificateUntrustedError: no path, or one that breaks a rule on the way.
        CertificateExpiredError: a certificate of the path has expired.
        CertificateNotYetValidError: a certificate of the path is not valid yet.
        CertificateMalformedError: a certificate cannot be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from pyhanko_certvalidator import errors

    from signing.path_search import SearchEndedError

    moment = at or datetime.now(UTC)
    # This comes first, so that a person whose card has expired learns that, whoever issued it.
    check_period(der, moment)
    trusted = tuple(roots)
    if der in trusted:
        raise CertificateUntrustedError("a root is not a holder's certificate")
    try:
        validator = _validator(der, trusted, tuple(intermediates), moment, policies)
        path = _finish(validator.async_validate_path())
        found = tuple(certificate.dump() for certificate in path.iter_certs(include_root=True))
    except errors.ExpiredError as error:
        raise CertificateExpiredError from error
    except errors.NotYetValidError as error:
        raise CertificateNotYetValidError from error
    except (errors.PathError, errors.ValidationError) as error:
        raise CertificateUntrustedError from error
    except AssertionError as error:
        # What certvalidator does where a certificate's method is not for the kind of its issuer's key.
        raise CertificateUntrustedError("a certificate is signed by a method for another key") from error
    except SearchEndedError as error:
        raise CertificateUntrustedError("there are too many ways to look for a root") from error
    except UnsupportedAlgorithm as error:
        raise CertificateUntrustedError("an authority's key is of no kind that is known") from error
    except NotImplementedError as error:
        # Of an authority whose names are constrained in a way that certvalidator does not know (§4.2.1.10).
        raise CertificateUntrustedError("an authority is bound by a rule that is not understood") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        # asn1crypto reads a certificate's parts only when they are asked for: this is where bad ones show.
        raise CertificateMalformedError from error
    for authority in found[:-1]:
        check_authority_key(authority)
    for each in found[1:]:
        check_form(each)
    return found


def _validator(
    der: bytes,
    roots: tuple[bytes, ...],
    intermediates: tuple[bytes, ...],
    moment: datetime,
    policies: frozenset[str],
) -> CertificateValidator:
    from pyhanko_certvalidator import CertificateValidator, ValidationContext
    from pyhanko_certvalidator.policy_decl import PKIXValidationParams

    from signing.path_search import BoundedRegistry

    context = ValidationContext(
        trust_roots=[_tolerant(root) for root in roots],
        certificate_registry=BoundedRegistry.build([_tolerant(other) for other in intermediates]),
        moment=moment,
        time_tolerance=timedelta(0),
        allow_fetching=False,
        revocation_mode="soft-fail",
    )
    demanded = PKIXValidationParams(policies, initial_explicit_policy=True) if policies else None
    return CertificateValidator(_tolerant(der), validation_context=context, pkix_params=demanded)


def _tolerant(der: bytes) -> Certificate:
    """Return the certificate, made comparable where asn1crypto cannot decode a name.

    A path depends on names being equal, not on their being texts of the type that they claim. U+FFFD is in no
    name that it has decoded, so that only names of the same bytes are equal to such a one.
    """
    from asn1crypto import x509

    certificate = x509.Certificate.load(der, strict=True)
    for name in (certificate.subject, certificate.issuer):
        for attribute in (each for relative in name.chosen for each in relative):
            try:
                _ = attribute.prepped_value
            except (ValueError, TypeError):
                attribute._prepped = f" \ufffd{attribute.dump().hex()} "
                name._human_friendly = "\ufffd"
    return certificate


def _finish(validation: Coroutine[Any, Any, ValidationPath]) -> ValidationPath:
    # Without fetching nothing in a validation waits, so one step finishes it, with or without an event loop.
    try:
        validation.send(None)
    except StopIteration as finished:
        path: ValidationPath = finished.value
        return path
    validation.close()
    raise CertificateUntrustedError("the validation wanted to wait for something")
