"""The hashes that a signature of these cards may use, and how PKCS#1 wraps their digests."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from signing.errors import HashUnsupportedError


class Hash(StrEnum):
    """SHA-1 (old portals only) and SHA-2, by the names of FIPS 180-4."""

    SHA_1 = "SHA-1"
    SHA_224 = "SHA-224"
    SHA_256 = "SHA-256"
    SHA_384 = "SHA-384"
    SHA_512 = "SHA-512"

    @classmethod
    def named(cls, name: str) -> Hash:
        """Return the hash of that exact name.

        Raises:
            HashUnsupportedError: there is none.
        """
        try:
            return cls(name)
        except ValueError:
            raise HashUnsupportedError(f"no hash is called {name[:20]!r}") from None

    @classmethod
    def of_digest_info(cls, info: bytes) -> tuple[Hash, bytes] | None:
        """Return the hash and the digest in a DER DigestInfo (RFC 8017 §9.2); None if it is none."""
        for algorithm in cls:
            digest = info[-algorithm.length :]
            if info == _PREFIXES[algorithm] + digest and len(digest) == algorithm.length:
                return algorithm, digest
        return None

    @classmethod
    def of_asn1_name(cls, name: str) -> Hash:
        """Return the hash that asn1crypto calls `sha256`. Raise `HashUnsupportedError` if it is another."""
        return cls.named(name.upper().replace("SHA", "SHA-", 1))

    @property
    def asn1_name(self) -> str:
        """What asn1crypto calls it, `sha256`."""
        return self.lower().replace("-", "")

    @property
    def length(self) -> int:
        """Bytes in a digest."""
        return _LENGTHS[self]

    def digest(self, data: bytes) -> bytes:
        """Return the digest of `data`."""
        return _HASHLIB[self](data, usedforsecurity=False).digest()

    def digest_info(self, digest: bytes) -> bytes:
        """Return the DER DigestInfo that a signature covers (RFC 8017 §9.2, note 1).

        Raises:
            HashUnsupportedError: `digest` has not the length of this hash.
        """
        if len(digest) != self.length:
            raise HashUnsupportedError(
                f"a {self} digest has {self.length} bytes, and these are {len(digest)}"
            )
        return _PREFIXES[self] + digest


_HASHLIB: Final = {
    Hash.SHA_1: hashlib.sha1,
    Hash.SHA_224: hashlib.sha224,
    Hash.SHA_256: hashlib.sha256,
    Hash.SHA_384: hashlib.sha384,
    Hash.SHA_512: hashlib.sha512,
}
_LENGTHS: Final = {
    Hash.SHA_1: 20,
    Hash.SHA_224: 28,
    Hash.SHA_256: 32,
    Hash.SHA_384: 48,
    Hash.SHA_512: 64,
}
_PREFIXES: Final = {
    Hash.SHA_1: bytes.fromhex("3021300906052b0e03021a05000414"),
    Hash.SHA_224: bytes.fromhex("302d300d06096086480165030402040500041c"),
    Hash.SHA_256: bytes.fromhex("3031300d060960864801650304020105000420"),
    Hash.SHA_384: bytes.fromhex("3041300d060960864801650304020205000430"),
    Hash.SHA_512: bytes.fromhex("3051300d060960864801650304020305000440"),
}
