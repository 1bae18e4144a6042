from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
from asn1crypto import core
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.certificate import can_be_computed, check_login_use, parsed
from signing.errors import CertificateMalformedError, CertificateWrongUseError
from tests.support.software_card import root
from tests.support.vectors import certificate


def test_a_certificate_of_a_version_that_there_is_not_is_malformed() -> None:
    der = root()
    version = b"\xa0\x03" + core.Integer(2).dump()
    assert version in der
    with pytest.raises(CertificateMalformedError):
        parsed(der.replace(version, b"\xa0\x03" + core.Integer(3).dump(), 1))


def test_a_key_that_others_can_compute_logs_nobody_in():
    product = math.prod(each for each in range(2, 168) if all(each % other for other in range(2, each)))
    # As the faulty chips made their primes: a power of 65537 modulo every small prime (CVE-2017-15361).
    faulty = pow(65537, 2021, product) + product * (2**2047 // product + 1)
    for modulus, computable in ((faulty, True), (faulty + 2, False)):
        key = rsa.RSAPublicNumbers(65537, modulus).public_key()
        assert can_be_computed(key) is computable
        holder = certificate(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(CertificateWrongUseError, match="2017-15361") if computable else nullcontext():
            check_login_use(holder)
