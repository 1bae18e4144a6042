"""RSA-PSS: keys that are for nothing else, and authorities that sign with it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import algos, keys, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import BasicConstraints, CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID

from hca_card.simulator import templates
from hca_card.simulator.persons import current_validity
from signing.certificate import (
    is_issued_by,
    pss_allows,
    pss_only,
    public_key,
    require_pss_hash,
    signature_key,
)
from signing.errors import HashUnsupportedError, KeyUnsupportedError, SignatureInvalidError
from signing.hashes import Hash
from signing.login import ALGORITHMS, LoginToken, validate_token
from signing.sign import sign_digest
from signing.trust import validate_chain
from signing.verify import verify
from tests.support.cards import simulator_ca

DOCUMENT = b"document"


@pytest.fixture(scope="module")
def certificate() -> bytes:
    validity = current_validity(datetime.now(UTC).date())
    certificates = templates.personnel("000000335387", validity)
    return simulator_ca().identities(templates.of_key(certificates, 2048, pss=True))[0].certificate


def test_a_key_for_pss_alone_is_none_for_pkcs1(certificate: bytes):
    assert pss_only(certificate)
    assert signature_key(certificate).key_size == 2048
    with pytest.raises(KeyUnsupportedError, match="RSA-PSS alone"):
        public_key(certificate)


def test_a_pkcs1_signature_of_such_a_key_does_not_verify(certificate: bytes):
    validity = current_validity(datetime.now(UTC).date())
    certificates = templates.personnel("000000335387", validity)
    identity = simulator_ca().identities(templates.of_key(certificates, 2048, pss=True))[0]
    key = identity.card_key()
    pkcs1 = key.sign(Hash.SHA_256.digest_info(hashlib.sha256(DOCUMENT).digest()))
    with pytest.raises(SignatureInvalidError):
        verify(certificate, DOCUMENT, pkcs1, Hash.SHA_256)
    made = identity.load().sign(DOCUMENT, PSS(MGF1(hashes.SHA256()), 32), hashes.SHA256())
    verify(certificate, DOCUMENT, made, Hash.SHA_256)
    with pytest.raises(SignatureInvalidError):
        verify(certificate, DOCUMENT + b".", made, Hash.SHA_256)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if not name.startswith("PS")])
def test_a_token_of_such_a_key_names_no_other_algorithm(certificate: bytes, name: str):
    token = LoginToken(certificate, name, bytes(256))
    with pytest.raises(Exception, match="another kind of key"):
        validate_token(
            token,
            origin="https://portal.example.tw",
            nonce="A" * 44,
            trusted_roots=simulator_ca().roots,
            intermediates=simulator_ca().intermediates,
        )


def test_a_key_that_names_its_hash_signs_with_no_other(certificate: bytes):
    restricted = x509.Certificate.load(certificate)
    restricted["tbs_certificate"]["subject_public_key_info"]["algorithm"] = keys.PublicKeyAlgorithm(
        {
            "algorithm": "rsassa_pss",
            "parameters": algos.RSASSAPSSParams({"hash_algorithm": {"algorithm": "sha384"}}),
        }
    )
    der = restricted.dump(force=True)
    assert pss_only(der)
    require_pss_hash(der, "SHA-384")
    for name in ("SHA-256", "SHA-512"):
        with pytest.raises(HashUnsupportedError, match=name):
            require_pss_hash(der, name)
    with pytest.raises(HashUnsupportedError):
        sign_digest(None, bytes(32), Hash.SHA_256, certificate=der)  # type: ignore[arg-type]
    require_pss_hash(certificate, "SHA-512")
    # XML and JOSE take one hash for all of it; this key's MGF1 is of SHA-1, as where nothing is said.
    assert pss_allows(certificate, Hash.SHA_384)
    assert not pss_allows(der, Hash.SHA_384)


def test_an_authority_may_sign_certificates_with_pss():
    key, begins = generate_private_key(65537, 2048), datetime(2026, 1, 1, tzinfo=UTC)
    root, holder = (
        Name([NameAttribute(NameOID.ORGANIZATION_NAME, name)]) for name in ("PSS authority", "holder")
    )

    def made(subject: Name, *, authority: bool) -> bytes:
        builder = CertificateBuilder(root, subject, key.public_key(), 1 + authority)
        builder = builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=36500))
        builder = builder.add_extension(BasicConstraints(ca=authority, path_length=None), critical=True)
        padding = PSS(MGF1(hashes.SHA384()), PSS.DIGEST_LENGTH)
        return builder.sign(key, hashes.SHA384(), rsa_padding=padding).public_bytes(Encoding.DER)

    issuer, issued = made(root, authority=True), made(holder, authority=False)
    assert is_issued_by(issued, issuer)
    assert validate_chain(issued, (issuer,)) == (issuer, issued)
    changed = issued[:-1] + bytes((issued[-1] ^ 1,))
    assert not is_issued_by(changed, issuer)
