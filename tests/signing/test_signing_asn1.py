"""Hostile DER: whatever a reader makes of it is one kind of error."""

from __future__ import annotations

import pytest

from hca_card.errors import CardDataError
from signing.asn1 import MALFORMED, parsing, reading
from signing.errors import CertificateMalformedError, SignatureFormatError

SEQUENCE = bytes.fromhex("3003020101")


@pytest.mark.parametrize("raised", [*MALFORMED, CardDataError])
def test_what_a_reader_complains_of_is_the_error_that_was_wanted(raised: type[Exception]) -> None:
    with pytest.raises(SignatureFormatError) as caught, reading(SignatureFormatError):
        raise raised("words")
    assert isinstance(caught.value.__cause__, raised)


def test_any_other_error_goes_on_as_it_is() -> None:
    with pytest.raises(MemoryError), reading(SignatureFormatError):
        raise MemoryError


def test_lengths_and_numbers_are_checked_before_anything_is_read() -> None:
    with parsing(SEQUENCE, SignatureFormatError):
        pass
    for der, most in ((b"\x30\x05\x02", 100), (SEQUENCE, 1), (b"", 100)):
        refused = parsing(der, CertificateMalformedError, objects_max=most)
        with pytest.raises(CertificateMalformedError), refused:
            pytest.fail("it was read")
