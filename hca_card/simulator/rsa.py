"""The RSA of a simulated card, as a card does it: PKCS#1 v1.5 padding and the bare private operation.

Plain integers on purpose. A card is handed a DigestInfo or a block that is already encrypted, which a
library that hashes and pads by itself has no function for; and the keys guard nothing but invented people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hca_card.simulator.der import DIGESTS, integer, sequence

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass(frozen=True, slots=True, repr=False)
class RsaKey:
    """A private key by its numbers (RFC 8017 §3.2): modulus, public exponent, and the parts for the CRT."""

    n: int
    e: int
    p: int
    q: int
    dp: int
    dq: int
    q_inverse: int

    @classmethod
    def of(cls, key: RSAPrivateKey) -> RsaKey:
        """Return the numbers of a key made by `cryptography`."""
        private = key.private_numbers()
        public = private.public_numbers
        return cls(public.n, public.e, private.p, private.q, private.dmp1, private.dmq1, private.iqmp)

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return self.n.bit_length()

    def public(self) -> bytes:
        """Return the public key as DER: RSAPublicKey (RFC 8017 §A.1.1)."""
        return sequence(integer(self.n), integer(self.e))

    @property
    def octets(self) -> int:
        """Length of the modulus in bytes."""
        return (self.n.bit_length() + 7) // 8

    def sign(self, content: bytes) -> bytes:
        """Signature over `content` with block type 1 (RFC 8017 §9.2 steps 3 to 5; `content` is a DigestInfo).

        Raises:
            ValueError: `content` leaves no room for eight bytes of padding.
        """
        filler = self.octets - len(content) - 3
        if filler < 8:
            raise ValueError("too long for this key")
        return self.raw(b"\x00\x01" + b"\xff" * filler + b"\x00" + content)

    def sign_pss(self, digest: bytes) -> bytes:
        """RSA-PSS over a digest: MGF1 with the same hash, the salt as long as it (RFC 8017 §8.1).

        Raises:
            ValueError: `digest` has the length of no hash.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        name = DIGESTS.get(len(digest))
        if name is None:
            raise ValueError("as long as no digest")
        algorithm = getattr(hashes, name)()
        d = pow(self.e, -1, (self.p - 1) * (self.q - 1))
        public = RSAPublicNumbers(self.e, self.n)
        numbers = RSAPrivateNumbers(self.p, self.q, d, self.dp, self.dq, self.q_inverse, public)
        key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
        return key.sign(digest, PSS(MGF1(algorithm), PSS.DIGEST_LENGTH), Prehashed(algorithm))

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
        number = int.from_bytes(block, "big")
        if number >= self.n:
            raise ValueError("not smaller than the modulus")
        left, right = pow(number, self.dp, self.p), pow(number, self.dq, self.q)
        result = right + (left - right) * self.q_inverse % self.p * self.q
        return result.to_bytes(self.octets, "big")
