"""Reading hostile DER with asn1crypto, which parses late and complains in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hca_card import tlv
from hca_card.errors import CardDataError
from signing.errors import SigningError

MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    OSError,
    RecursionError,
)
"""What readers that trust their input raise over one that is not as they expect."""


@contextmanager
def parsing(der: bytes, wrong: type[SigningError], *, objects_max: int = tlv.MAX_OBJECTS) -> Iterator[None]:
    """Run the body, and raise `wrong` for what it finds malformed in `der`.

    Lengths, nesting and the number of objects are checked before it runs (`hca_card.tlv`).
    """
    with reading(wrong):
        tlv.check(der, objects_max)
        yield


@contextmanager
def reading(wrong: type[SigningError]) -> Iterator[None]:
    """Run the body, and raise `wrong` for what it finds malformed in DER that has been checked already."""
    try:
        yield
    except MALFORMED as error:
        raise wrong from error
    except CardDataError as error:
        raise wrong(str(error)) from error
