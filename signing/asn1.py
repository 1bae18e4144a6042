"""Reading hostile DER with asn1crypto, which parses late and complains in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hca_card import tlv
from hca_card.errors import CardDataError
from signing.errors import CertificateMalformedError, SigningError

if TYPE_CHECKING:
    from asn1crypto.x509 import Certificate


@contextmanager
def parsing(der: bytes, wrong: type[SigningError]) -> Iterator[None]:
    """Whatever the block finds malformed in `der` is a `wrong`.

    Lengths, nesting and the number of objects are checked before the block runs (`hca_card.tlv`).

    Raises:
        SigningError: `wrong`, or what the block itself raises.
    """
    try:
        tlv.check(der)
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, OSError) as error:
        raise wrong from error
    except CardDataError as error:
        raise wrong(str(error)) from error


def certificate(der: bytes) -> Certificate:
    """The certificate in `der`, its fields still unread.

    Raises:
        CertificateMalformedError: it is not one.
    """
    from asn1crypto.x509 import Certificate

    with parsing(der, CertificateMalformedError):
        found = Certificate.load(der, strict=True)
        if found["tbs_certificate"]["subject"] is None:
            raise ValueError("no subject")
        return found
