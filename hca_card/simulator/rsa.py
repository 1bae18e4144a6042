"""The RSA of a simulated card, as a card does it: PKCS#1 v1.5 padding and the bare private operation.

Signing is the library's, which is ten times faster. What it has no function for is done with plain integers:
a block that somebody else padded or encrypted. The keys guard nothing but invented people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hca_card.simulator.der import DIGESTS, integer, sequence

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class RsaKey:
    """A private key as a simulated card has it, around that of `cryptography`."""

    key: RSAPrivateKey

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return self.key.key_size

    def public(self) -> bytes:
        """Return the public key as DER: RSAPublicKey (RFC 8017 §A.1.1)."""
        numbers = self.key.public_key().public_numbers()
        return sequence(integer(numbers.n), integer(numbers.e))

    @property
    def octets(self) -> int:
        """Length of the modulus in bytes."""
        return (self.bits + 7) // 8

    def sign(self, content: bytes) -> bytes:
        """Signature over `content` with block type 1 (RFC 8017 §9.2 steps 3 to 5; `content` is a DigestInfo).

        Raises:
            ValueError: `content` leaves no room for eight bytes of padding.
        """
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

        return self.key.sign(content, PKCS1v15(), NoDigestInfo())

    def sign_pss(self, digest: bytes) -> bytes:
        """RSA-PSS over a digest: MGF1 with the same hash, the salt as long as it (RFC 8017 §8.1).

        Raises:
            ValueError: `digest` has the length of no hash.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        name = DIGESTS.get(len(digest))
        if name is None:
            raise ValueError("as long as no digest")
        algorithm = getattr(hashes, name)()
        return self.key.sign(digest, PSS(MGF1(algorithm), PSS.DIGEST_LENGTH), Prehashed(algorithm))

    def decipher(self, cipher: bytes) -> bytes:
        """Return the plain text of a block of type 2 (RFC 8017 §7.2.2).

        Raises:
            ValueError: not a block of this key, or the padding is wrong.
        """
        if len(cipher) != self.octets:
            raise ValueError("not as long as the modulus")
        block = self.raw(cipher)
        end = block.find(b"\x00", 2)
        if block[:2] != b"\x00\x02" or end < 10:
            raise ValueError("not a block of type 2")
        return block[end + 1 :]

    def raw(self, block: bytes) -> bytes:
        """RSADP/RSASP1 with the Chinese remainder theorem (RFC 8017 §5.1.2).

        Raises:
            ValueError: the block is no number below the modulus.
        """
        numbers = self.key.private_numbers()
        number = int.from_bytes(block, "big")
        if number >= numbers.public_numbers.n:
            raise ValueError("not smaller than the modulus")
        left, right = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
        result = right + (left - right) * numbers.iqmp % numbers.p * numbers.q
        return result.to_bytes(self.octets, "big")
