from __future__ import annotations

import pytest
from asn1crypto import core

from signing.certificate import parsed
from signing.errors import CertificateMalformedError
from tests.support.software_card import root


def test_a_certificate_of_a_version_that_there_is_not_is_malformed() -> None:
    der = root()
    version = b"\xa0\x03" + core.Integer(2).dump()
    assert version in der
    with pytest.raises(CertificateMalformedError):
        parsed(der.replace(version, b"\xa0\x03" + core.Integer(3).dump(), 1))
