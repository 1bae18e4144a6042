"""DigestInfo against `cryptography` and the openssl command line."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import algos, core

from signing.errors import HashUnsupportedError
from signing.hashes import Hash

HASHLIB = {
    "SHA-1": "sha1",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


class _DigestInfo(core.Sequence):
    _fields = [("digest_algorithm", algos.DigestAlgorithm), ("digest", core.OctetString)]  # noqa: RUF012


@pytest.mark.parametrize("algorithm", Hash)
def test_a_digest_info_is_what_an_asn1_reader_writes(algorithm: Hash):
    digest = hashlib.new(HASHLIB[algorithm.value], b"document").digest()
    wanted = _DigestInfo(
        {
            "digest_algorithm": {"algorithm": HASHLIB[algorithm.value], "parameters": core.Null()},
            "digest": digest,
        }
    ).dump()
    assert algorithm.digest(b"document") == digest
    assert algorithm.digest_info(digest) == wanted
    assert algorithm.length == len(digest)


@pytest.mark.parametrize("algorithm", Hash)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_digest_of_another_length_is_refused(algorithm: Hash, by: int):
    with pytest.raises(HashUnsupportedError):
        algorithm.digest_info(bytes(algorithm.length + by))


@pytest.mark.parametrize("name", ["", "sha-256", "SHA256", "MD5", "SHA-3", "SHA-512/256", "SHA-256 "])
def test_an_unknown_name_is_no_hash(name: str):
    with pytest.raises(HashUnsupportedError):
        Hash.named(name)


def test_a_name_of_the_standard_is_a_hash():
    assert Hash.named("SHA-256") is Hash.SHA_256


@pytest.mark.parametrize("algorithm", Hash)
def test_a_digest_info_says_its_hash_and_asn1crypto_names_it(algorithm: Hash):
    digest = algorithm.digest(b"document")
    assert Hash.of_digest_info(algorithm.digest_info(digest)) == (algorithm, digest)
    assert Hash.of_asn1_name(algorithm.asn1_name) is algorithm


@pytest.mark.parametrize("info", [b"", bytes(32), Hash.SHA_256.digest_info(bytes(32))[:-1], bytes(51)])
def test_what_is_no_digest_info_says_nothing(info: bytes):
    assert Hash.of_digest_info(info) is None


def test_a_hash_that_asn1crypto_knows_and_nobody_here_is_none():
    with pytest.raises(HashUnsupportedError):
        Hash.of_asn1_name("md5")
