from __future__ import annotations

import math
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import pytest
from asn1crypto import algos, core, keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.certificate import (
    PssParameters,
    any_public_key,
    can_be_computed,
    check_authority_key,
    check_form,
    check_login_use,
    check_signed_by,
    curve_bits,
    is_issued_by,
    is_self_issued,
    issuers_among,
    parsed,
    pss_allows,
    pss_only,
    pss_parameters,
    public_key,
    require_pss_hash,
    signature_key,
)
from signing.errors import (
    CertificateMalformedError,
    CertificateUntrustedError,
    CertificateWrongUseError,
    HashUnsupportedError,
    KeyUnsupportedError,
    SignatureInvalidError,
)
from signing.hashes import Hash
from tests.support.certificates import BEGINS, Made, authority
from tests.support.software_card import issue, root, rsa_key
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


HOLDER = Made("holder", "issuing")
ISSUING = authority("issuing", "root", ca=True)
ROOT = authority("root", "root", ca=True)


def twice(extension: x509.ExtensionType) -> bytes:
    """A certificate with the same extension two times, which no builder makes."""
    der = Made("holder", "issuing", more=(extension,)).der()
    loaded = asn1.Certificate.load(der)
    listed = loaded["tbs_certificate"]["extensions"]
    listed.append(listed[0])
    return bytes(loaded.dump(force=True))


def policies(*dotted: str) -> x509.UnrecognizedExtension:
    value = asn1.CertificatePolicies([{"policy_identifier": each} for each in dotted]).dump()
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), value)


def test_a_form_that_two_readers_could_take_for_two_things_is_refused() -> None:
    check_form(HOLDER.der())
    constraints = x509.NameConstraints(None, [x509.DirectoryName(x509.Name([]))])
    older = asn1.Certificate.load(HOLDER.der())
    older["tbs_certificate"]["version"] = "v1"
    other = asn1.Certificate.load(HOLDER.der())
    other["signature_algorithm"] = {"algorithm": "sha512_ecdsa"}
    for der, words in (
        (twice(x509.OCSPNoCheck()), "extension is there twice"),
        (older.dump(force=True), "no extensions"),
        (Made("holder", "issuing", more=(policies("1.2.3", "1.2.3"),)).der(), "policy is there twice"),
        (Made("holder", "issuing", more=(constraints,)).der(), "constrains names"),
        (other.dump(force=True), "another method"),
    ):
        with pytest.raises(CertificateMalformedError, match=words):
            check_form(der)


def of_key(public: Any) -> bytes:
    return certificate(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_a_key_is_of_a_kind_and_length_that_nobody_makes_up() -> None:
    p256 = of_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert curve_bits(signature_key(p256)) == 256
    assert not can_be_computed(any_public_key(p256))
    check_authority_key(p256)
    koblitz, short = (
        of_key(ec.generate_private_key(curve()).public_key()) for curve in (ec.SECP256K1, ec.SECP192R1)
    )
    with pytest.raises(KeyUnsupportedError, match="secp256k1"):
        signature_key(koblitz)
    with pytest.raises(CertificateUntrustedError, match="made by others"):
        check_authority_key(short)
    with pytest.raises(KeyUnsupportedError, match="no RSA key"):
        public_key(p256)
    small = of_key(rsa.RSAPublicNumbers(65537, (1 << 1000) + 1).public_key())
    with pytest.raises(CertificateMalformedError, match="1001 bits"):
        public_key(small)
    unreadable = certificate(bytes.fromhex("3003 020101"))
    with pytest.raises(CertificateMalformedError):
        any_public_key(unreadable)
    assert not pss_only(unreadable)


def bound(**parameters: Any) -> bytes:
    """A certificate whose key is for RSA-PSS alone, with these parameters; without any it is free."""
    key = keys.PublicKeyInfo.load(
        rsa_key("signature").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    algorithm: dict[str, Any] = {"algorithm": "rsassa_pss"}
    if parameters:
        algorithm["parameters"] = algos.RSASSAPSSParams(parameters)
    key["algorithm"] = keys.PublicKeyAlgorithm(algorithm)
    return certificate(key.dump(force=True))


def test_a_key_for_pss_says_what_it_is_bound_to_or_nothing() -> None:
    assert pss_parameters(root()) is None
    free = bound()
    with pytest.raises(KeyUnsupportedError, match="PSS alone"):
        public_key(free)
    assert pss_parameters(free) is None
    assert pss_allows(free, Hash.SHA_384)
    require_pss_hash(free, "SHA-384")
    mask = {"algorithm": "mgf1", "parameters": {"algorithm": "sha384"}}
    own = bound(hash_algorithm={"algorithm": "sha384"}, mask_gen_algorithm=mask, salt_length=48)
    assert pss_parameters(own) == PssParameters("sha384", "sha384", 48)
    assert pss_allows(own, Hash.SHA_384) and not pss_allows(own, Hash.SHA_256)
    with pytest.raises(HashUnsupportedError, match="SHA-256"):
        require_pss_hash(own, "SHA-256")
    with pytest.raises(CertificateMalformedError, match="nobody defined"):
        pss_parameters(bound(hash_algorithm={"algorithm": "sha384"}, trailer_field=2))


def test_issuers_are_found_by_name_and_key_nearest_first() -> None:
    chain = ISSUING.der(), ROOT.der()
    namesake = authority("issuing", "root", key="another", ca=True).der()
    assert issuers_among(HOLDER.der(), (ROOT.der(), namesake, ISSUING.der(), HOLDER.der())) == chain
    assert issuers_among(HOLDER.der(), (namesake,)) == ()
    assert is_self_issued(ROOT.der()) and not is_self_issued(HOLDER.der())
    assert is_issued_by(HOLDER.der(), ISSUING.der()) and not is_issued_by(HOLDER.der(), namesake)
    assert not is_issued_by(b"none", ISSUING.der())


def test_a_signature_of_another_kind_than_the_key_is_not_understood() -> None:
    with pytest.raises(HashUnsupportedError, match="another way"):
        check_signed_by(root(), ISSUING.der())
    with pytest.raises(SignatureInvalidError):
        check_signed_by(HOLDER.der(), ROOT.der())
    unknown = asn1.Certificate.load(HOLDER.der())
    for place in (unknown["signature_algorithm"], unknown["tbs_certificate"]["signature"]):
        place["algorithm"] = "1.2.3.4"
    with pytest.raises(HashUnsupportedError, match="another way"):
        check_signed_by(unknown.dump(force=True), ISSUING.der())


@pytest.mark.parametrize("salt", [0, 20, 32])
def test_a_certificate_that_is_signed_with_pss_is_its_authoritys_whatever_the_salt(salt: int) -> None:
    nobody, key = x509.Name([]), rsa_key("ca")
    builder = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1).not_valid_before(BEGINS)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    made = builder.not_valid_after(datetime(2040, 1, 1)).sign(key, hashes.SHA256(), rsa_padding=pss)
    der = made.public_bytes(Encoding.DER)
    check_signed_by(der, root())
    for other, wrong in (
        (der[:-1] + bytes((der[-1] ^ 1,)), SignatureInvalidError),
        (der.replace(b"400101", b"410101"), SignatureInvalidError),
    ):
        with pytest.raises(wrong):
            check_signed_by(other, root())
    with pytest.raises(HashUnsupportedError, match="another way"):
        check_signed_by(der, ISSUING.der())


CLIENT = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
NO_USE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x04\x00")
SERVER = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.mark.parametrize(
    ("der", "words"),
    [
        (Made("holder", "issuing", ("key_agreement",)).der(), "digitalSignature"),
        (Made("holder", "issuing", more=(SERVER,)).der(), "clientAuth"),
        (Made("holder", "issuing", ca=True).der(), "authority's"),
        (Made("holder", "issuing", more=(policies("1.2.3"),)).der(), "policy"),
        (twice(x509.OCSPNoCheck()), "twice"),
        (
            Made(
                "holder",
                "issuing",
                more=(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x04\x00"),),
            ).der(),
            "cannot be read",
        ),
    ],
)
def test_a_certificate_that_was_issued_for_something_else_logs_nobody_in(der: bytes, words: str) -> None:
    with pytest.raises((CertificateWrongUseError, CertificateMalformedError), match=words):
        check_login_use(der, frozenset(("1.2.3",)))


def test_a_certificate_that_was_issued_to_log_in_logs_in() -> None:
    check_login_use(Made("holder", "issuing", more=(CLIENT,)).der())
    with pytest.raises(CertificateWrongUseError, match="2048"):
        check_login_use(issue(key=rsa_key("old", 1024)))
