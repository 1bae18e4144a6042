"""Blocks as long as an RSA modulus, for cards that leave the padding to others (RFC 8017)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, NamedTuple

from hca_card import tlv
from hca_card.errors import CardDataError

_OIDS: Final = {
    bytes.fromhex("2B0E03021A"): "SHA-1",
    bytes.fromhex("608648016503040201"): "SHA-256",
    bytes.fromhex("608648016503040202"): "SHA-384",
    bytes.fromhex("608648016503040203"): "SHA-512",
}

_LENGTHS: Final = {20: "SHA-1", 32: "SHA-256", 48: "SHA-384", 64: "SHA-512"}


class HashedWith(NamedTuple):
    """A digest and the name of its hash, as `SHA-256`."""

    name: str
    digest: bytes


def digest_of(digest_info: bytes) -> HashedWith:
    """Return what a DigestInfo says (RFC 8017 §9.2).

    Raises:
        ValueError: it is none; it is this program that makes them.
    """
    try:
        algorithm, digest = tlv.read(digest_info)[0].children
        return HashedWith(_OIDS[algorithm.children[0].value], digest.value)
    except (CardDataError, ValueError, KeyError, IndexError) as error:
        raise ValueError("no DigestInfo of a hash that is known") from error


def signature_block(digest_info: bytes, octets: int) -> bytes:
    """Return EMSA-PKCS1-v1_5 (RFC 8017 §9.2).

    Raises:
        ValueError: the key is too short for it.
    """
    filler = octets - len(digest_info) - 3
    if filler < 8:
        raise ValueError("the key is too short for this digest")
    return b"\x00\x01" + b"\xff" * filler + b"\x00" + digest_info


def message_of(block: bytes) -> bytes:
    """Return the message in a block of type 2 (RFC 8017 §7.2.2 step 3), which came from the card itself.

    Raises:
        CardDataError: it is no such block.
    """
    # Some cards leave out the first octet, as a number would.
    whole = block if block[:1] == b"\x00" else b"\x00" + block
    end = whole.find(b"\x00", 2)
    if whole[:2] != b"\x00\x02" or end < 10:
        raise CardDataError("the card deciphered no block of PKCS #1")
    return whole[end + 1 :]


def hash_of_length(octets: int) -> str:
    """Return the hash that makes digests of that length, as `SHA-256`.

    Raises:
        ValueError: none does.
    """
    name = _LENGTHS.get(octets)
    if name is None:
        raise ValueError("as long as no digest")
    return name


def pss_block(digest: bytes, bits: int) -> bytes:
    """Return EMSA-PSS of a digest for a modulus of that length (RFC 8017 §9.1.1).

    The mask is MGF1 with the same hash, the salt as long as the digest, as RFC 7518 §3.5 wants it.

    Raises:
        ValueError: the key is too short for it, or it is as long as no digest.
    """
    octets = (bits + 6) // 8  # of a number of one bit fewer than the modulus
    filler = octets - 2 * len(digest) - 2
    if filler < 0:
        raise ValueError("the key is too short for this digest")
    hashed = hash_of_length(len(digest)).replace("-", "").lower()
    salt = secrets.token_bytes(len(digest))
    value = hashlib.new(hashed, bytes(8) + digest + salt).digest()
    data = bytes(filler) + b"\x01" + salt
    mask = b"".join(
        hashlib.new(hashed, value + counter.to_bytes(4, "big")).digest()
        for counter in range(-(-len(data) // len(digest)))
    )
    masked = bytearray(left ^ right for left, right in zip(data, mask, strict=False))
    masked[0] &= 0xFF >> (8 * octets - (bits - 1))
    return (bytes(masked) + value + b"\xbc").rjust((bits + 7) // 8, b"\x00")
