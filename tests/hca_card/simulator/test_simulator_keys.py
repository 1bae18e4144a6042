"""MSE and PSO, judged by `cryptography` with the certificate on the card."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from hca_card.simulator import SimulatedCard
from tests.support.cards import play, say, simulated

VERIFY = "00 20 00 01 06 31 32 33 34 35 36"
SIGN_WITH_1 = "00 22 41 B6 06 80 01 11 84 01 01"
SIGN_WITH_2 = "00 22 41 B6 06 80 01 11 84 01 02"
DECIPHER_WITH_2 = "00 22 41 B8 06 80 01 11 84 01 02"
SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
SHA1_INFO = bytes.fromhex("3021300906052B0E03021A05000414")
DOCUMENT = "測試".encode()
DIGEST_INFO = SHA256_INFO + hashlib.sha256(DOCUMENT).digest()


def certified(card: SimulatedCard, index: int) -> CertificatePublicKeyTypes:
    say(card, "00 A4 08 0C 02 50 15")
    der = say(card, f"00 B0 {0x8A + index:02X} 00 00 00 00")
    assert der[-2:] == b"\x90\x00"
    return load_der_x509_certificate(der[:-2]).public_key()


def public_key(card: SimulatedCard, index: int) -> RSAPublicKey:
    key = certified(card, index)
    assert isinstance(key, RSAPublicKey)
    return key


def sign(card: SimulatedCard, digest_info: bytes) -> bytes:
    return card.transmit(bytes.fromhex("002A9E9A") + bytes((len(digest_info),)) + digest_info + b"\x00")


@pytest.fixture
def card() -> SimulatedCard:
    return simulated("hpc")


@pytest.mark.parametrize(("environment", "index"), [(SIGN_WITH_1, 1), (SIGN_WITH_2, 2)])
def test_a_signature_verifies_with_the_certificate_of_its_key(
    card: SimulatedCard, environment: str, index: int
) -> None:
    play(card, f"> {environment}\n< 90 00\n> {VERIFY}\n< 90 00")
    response = sign(card, DIGEST_INFO)
    assert len(response) == 258 and response[-2:] == b"\x90\x00"
    public_key(card, index).verify(response[:-2], DOCUMENT, padding.PKCS1v15(), SHA256())


def test_a_version_1_card_signs_with_1024_bits() -> None:
    card = simulated("hpc-v1")
    play(card, f"> {VERIFY}\n< 90 00\n> {SIGN_WITH_1}\n< 90 00")
    response = sign(card, SHA1_INFO + hashlib.sha1(DOCUMENT).digest())
    assert len(response) == 130
    public_key(card, 1).verify(response[:-2], DOCUMENT, padding.PKCS1v15(), SHA1())


def test_a_version_1_card_has_no_encryption_key() -> None:
    play(simulated("hpc-v1"), f"> {DECIPHER_WITH_2}\n< 6A 88")


def test_the_card_deciphers_in_one_extended_command_and_in_a_chain(card: SimulatedCard) -> None:
    cipher = public_key(card, 2).encrypt(DOCUMENT, padding.PKCS1v15())
    play(card, f"> {VERIFY}\n< 90 00\n> {DECIPHER_WITH_2}\n< 90 00")
    block = b"\x00" + cipher
    plain = DOCUMENT + b"\x90\x00"
    assert card.transmit(bytes.fromhex("002A8086 000101") + block + b"\x00\x00") == plain
    assert card.transmit(bytes.fromhex("102A8086 FF") + block[:255]) == b"\x90\x00"
    assert card.transmit(bytes.fromhex("002A8086 02") + block[255:] + b"\x00") == plain


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x01" + bytes(256), id="another padding indicator"),
        pytest.param(b"\x00" + bytes(255), id="too short"),
        pytest.param(b"\x00" + bytes(256), id="a block without padding"),
        pytest.param(b"\x00" + b"\xff" * 256, id="a number that is not smaller than the modulus"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_cipher_that_is_none_is_refused(card: SimulatedCard, block: bytes) -> None:
    play(card, f"> {VERIFY}\n< 90 00\n> {DECIPHER_WITH_2}\n< 90 00")
    lc = b"\x00" + len(block).to_bytes(2, "big") if block else b"\x00"
    assert card.transmit(bytes.fromhex("002A8086") + lc + block + b"\x00\x00") in (b"\x6a\x80", b"\x67\x00")


def test_a_key_on_a_curve_agrees_on_the_secret_that_the_others_key_gives() -> None:
    card = simulated("pkcs15-ecdh")
    theirs, other = certified(card, 2), generate_private_key(SECP256R1())
    assert isinstance(theirs, EllipticCurvePublicKey)
    point = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    play(card, f"> {VERIFY}\n< 90 00\n> 00 22 41 B8 03 84 01 02\n< 90 00")
    agreed = say(card, f"00 2A 80 86 48 A6 46 7F 49 43 86 41 {point.hex()} 00")
    assert agreed == other.exchange(ECDH(), theirs) + b"\x90\x00"
    for template in (
        "A6 02 86 00",
        "86 01 04",
        f"A6 46 7F 49 43 86 41 {point[:-1].hex()}{point[-1] ^ 1:02x}",
    ):
        data = bytes.fromhex(template)
        assert card.transmit(bytes((0, 0x2A, 0x80, 0x86, len(data))) + data + b"\0") == b"\x6a\x80"


def test_nothing_is_signed_without_a_verified_pin(card: SimulatedCard) -> None:
    play(card, f"> {SIGN_WITH_1}\n< 90 00")
    assert sign(card, DIGEST_INFO) == b"\x69\x82"


@pytest.mark.parametrize("drop", ["> 00 20 FF 01\n< 90 00", f"reset\n> {SIGN_WITH_1}\n< 90 00"])
def test_nothing_is_signed_after_the_verified_state_is_dropped(card: SimulatedCard, drop: str) -> None:
    play(card, f"> {SIGN_WITH_1}\n< 90 00\n> {VERIFY}\n< 90 00\n{drop}")
    assert sign(card, DIGEST_INFO) == b"\x69\x82"


def test_nothing_is_signed_without_a_chosen_key_and_a_reset_forgets_the_choice(card: SimulatedCard) -> None:
    play(card, f"> {VERIFY}\n< 90 00")
    assert sign(card, DIGEST_INFO) == b"\x69\x85"
    play(card, f"> {SIGN_WITH_1}\n< 90 00\nreset\n> {VERIFY}\n< 90 00")
    assert sign(card, DIGEST_INFO) == b"\x69\x85"


def test_a_key_chosen_for_deciphering_does_not_sign(card: SimulatedCard) -> None:
    play(card, f"> {VERIFY}\n< 90 00\n> {DECIPHER_WITH_2}\n< 90 00")
    assert sign(card, DIGEST_INFO) == b"\x69\x85"


def test_a_digest_info_that_leaves_no_room_for_padding_is_refused(card: SimulatedCard) -> None:
    play(card, f"> {VERIFY}\n< 90 00\n> {SIGN_WITH_1}\n< 90 00")
    assert sign(card, bytes(245))[-2:] == b"\x90\x00"
    assert sign(card, bytes(246)) == b"\x67\x00"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param("00 22 41 B6 06 80 01 11 84 01 07", "6A 88", id="no such key"),
        pytest.param("00 22 41 B6 03 80 01 11", "6A 88", id="no key at all"),
        pytest.param("00 22 41 B6 06 80 01 13 84 01 01", "6A 81", id="another algorithm"),
        pytest.param("00 22 41 B6 06 80 01 11 84 05 01", "6A 80", id="a length that lies"),
        pytest.param("00 22 41 A4 06 80 01 11 84 01 01", "6A 86", id="authentication template"),
        pytest.param("00 22 81 B6 06 80 01 11 84 01 01", "6A 86", id="verification"),
        pytest.param("00 2A 90 80 00", "6A 86", id="hashing"),
    ],
)
def test_what_the_card_cannot_do_is_refused(card: SimulatedCard, command: str, status: str) -> None:
    play(card, f"> {command}\n< {status}")
