"""Blocks that are padded here, for cards that leave it to others; `cryptography` takes them or not."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from hca_card import rsa_blocks
from hca_card.errors import CardDataError
from hca_card.simulator.rsa import RsaKey

SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")  # RFC 8017 §9.2, note 1


@pytest.mark.parametrize("bits", [1024, 1025, 1031, 1032])
def test_blocks_fit_a_modulus_of_any_length(bits: int):
    """A modulus of one bit more than whole octets leaves its first octet empty (RFC 8017 §8.1.1 step 1)."""
    key = generate_private_key(65537, bits)
    card = RsaKey(key)
    digest = hashlib.sha256(b"document").digest()
    made = card.raw(rsa_blocks.pss_block(digest, bits))
    key.public_key().verify(made, b"document", PSS(MGF1(hashes.SHA256()), 32), hashes.SHA256())
    block = rsa_blocks.signature_block(SHA256_INFO + digest, (bits + 7) // 8)
    key.public_key().verify(card.raw(block), b"document", PKCS1v15(), hashes.SHA256())
    cipher = key.public_key().encrypt(b"secret", PKCS1v15())
    assert rsa_blocks.message_of(card.raw(cipher)) == b"secret"


def test_a_salt_is_used_once():
    assert rsa_blocks.pss_block(bytes(32), 1024) != rsa_blocks.pss_block(bytes(32), 1024)


def test_a_block_without_its_first_octet_is_read_as_a_number_would_be_written():
    assert rsa_blocks.message_of(b"\x02" + b"\x55" * 8 + b"\x00secret") == b"secret"


@pytest.mark.parametrize(
    "block",
    [b"", b"\x00", b"\x00\x02", b"\x00\x02" + b"\x55" * 7 + b"\x00x", b"\x00\x01" + b"\xff" * 8 + b"\x00x",
     b"\x00\x02" + b"\x55" * 60, bytes(64)],
    ids=["nothing", "short", "type only", "seven octets of padding", "type 1", "no end", "zeros"],
)  # fmt: skip
def test_what_is_no_block_is_the_cards_fault(block: bytes):
    with pytest.raises(CardDataError):
        rsa_blocks.message_of(block)


@pytest.mark.parametrize("info", [b"", b"digest", SHA256_INFO, b"\x30\x00", b"\x30\x04\x30\x00\x04\x00"])
def test_what_is_no_digest_info_is_this_programs_fault(info: bytes):
    with pytest.raises(ValueError, match="no DigestInfo"):
        rsa_blocks.digest_of(info)


def test_a_key_that_is_too_short_signs_nothing():
    for work in (
        lambda: rsa_blocks.pss_block(bytes(64), 1024 - 16),
        lambda: rsa_blocks.signature_block(bytes(83), 90),
        lambda: rsa_blocks.pss_block(bytes(33), 2048),
    ):
        with pytest.raises(ValueError, match=r"too short|no digest"):
            work()
