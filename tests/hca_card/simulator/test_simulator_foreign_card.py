"""The card whose commands are no other's: byte for byte, its signatures judged by `cryptography`."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card.simulator.foreign_card import ForeignBlueprint, ForeignCard, ForeignWire, Signs
from hca_card.simulator.persons import DOCTOR, personnel_record
from tests.support.cards import play, say, simulator_ca
from tests.support.foreign import makers_program

NUMBER = "000000336001"
DOCUMENT = b"document"
DIGEST = hashlib.sha256(DOCUMENT).digest()
INFO = bytes.fromhex("3031300D060960864801650304020105000420") + DIGEST  # RFC 8017 §9.2, note 1
PUBLIC = "> 80 A4 04 0C 09 F0 46 4F 52 45 49 47 4E 01\n< 90 00\n"
KEYS = "> 80 A4 04 0C 09 F0 46 4F 52 45 49 47 4E 02\n< 90 00\n"
VERIFY = "> 80 20 00 82 08 31 32 33 34 35 36 FF FF\n< 90 00\n"
CHOOSE = "> 80 22 41 B6 03 84 01 85\n< 90 00\n"
AUTHENTICATION = (0x41, 0xA4, bytes.fromhex("840185"))


def foreign(wire: ForeignWire = ForeignWire()) -> ForeignCard:  # noqa: B008
    return ForeignBlueprint(NUMBER, wire).build(simulator_ca())


def public_key(card: ForeignCard) -> RSAPublicKey | EllipticCurvePublicKey:
    """The key in the certificate for signatures, which GET DATA gives in two templates."""
    play(card, KEYS)
    got = say(card, "80 CA 7F 21 01 01 00")
    while got[-2] == 0x61:
        got = got[:-2] + say(card, f"80 C0 00 00 {got[-1]:02X}")
    key = x509.load_der_x509_certificate(got[got.index(b"\x30\x82") : -2]).public_key()
    assert isinstance(key, RSAPublicKey | EllipticCurvePublicKey)
    return key


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(ForeignWire(), id="a block, in a chain"),
        pytest.param(ForeignWire(signs=Signs.DIGEST), id="a digest"),
        pytest.param(ForeignWire(signs=Signs.HASHED), id="a hash first"),
        pytest.param(ForeignWire(signs=Signs.DIGEST, environment=None), id="no environment"),
        pytest.param(
            ForeignWire(signs=Signs.AUTHENTICATION, environment=AUTHENTICATION), id="by authentication"
        ),
        pytest.param(ForeignWire(bits=256, signs=Signs.DIGEST), id="P-256"),
    ],
)
def test_what_the_makers_program_signs_verifies_with_the_cards_certificate(wire: ForeignWire) -> None:
    card = foreign(wire)
    signature = makers_program(card.transmit, b"123456", DOCUMENT, wire)
    key = public_key(card)
    if isinstance(key, EllipticCurvePublicKey):
        key.verify(signature, DOCUMENT, ECDSA(SHA256()))
    else:
        key.verify(signature, DOCUMENT, PKCS1v15(), SHA256())


def test_a_card_for_pss_alone_takes_the_bare_digest() -> None:
    card = foreign(ForeignWire(signs=Signs.PSS, pss=True))
    play(card, KEYS + VERIFY + CHOOSE)
    signature = card.transmit(bytes.fromhex("802A9E9A20") + DIGEST)[:-2]
    key = public_key(card)
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, DOCUMENT, PSS(MGF1(SHA256()), 32), SHA256())
    play(card, KEYS + VERIFY + CHOOSE + "> 80 2A 9E 9A 02 AA BB\n< 6A 80")


def test_the_second_key_takes_a_block_and_gives_it_back_deciphered() -> None:
    card = foreign()
    play(card, KEYS + VERIFY)
    packed = b"".join(
        say(card, f"80 A4 02 0C 02 {file}")[:-2] + read_all(card) for file in ("E1 01", "E1 02")
    )
    inflater = zlib.decompressobj()
    key = x509.load_der_x509_certificate(inflater.decompress(packed)).public_key()
    assert inflater.unused_data == b"\xff" * 20
    assert isinstance(key, RSAPublicKey)
    cipher = key.encrypt(b"secret", PKCS1v15())
    play(card, "> 80 22 41 B8 03 84 01 86\n< 90 00")
    play(card, f"> 90 2A 80 84 F0 {cipher[:240].hex(' ')}\n< 90 00")
    block = card.transmit(bytes.fromhex("802A808410") + cipher[240:])
    assert (block[:2], block[-9:]) == (b"\x00\x02", b"\x00secret\x90\x00")
    whole = b"\xff" * 256
    play(card, f"> 90 2A 80 84 F0 {whole[:240].hex(' ')}\n< 90 00")
    assert card.transmit(bytes.fromhex("802A808410") + whole[240:]) == b"\x6a\x80"


def read_all(card: ForeignCard) -> bytes:
    content = b""
    while chunk := say(card, f"80 B0 {len(content):04X} C0")[:-2]:
        content += chunk
    return content


def test_a_key_on_a_curve_deciphers_nothing() -> None:
    card = foreign(ForeignWire(bits=256, signs=Signs.DIGEST))
    play(card, KEYS + VERIFY + CHOOSE + "> 80 2A 80 84 02 AA BB\n< 69 85")
    play(card, "> 80 2A 9E 9A 02 AA BB\n< 6A 80  no digest is as short")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param("00 A4 04 0C 09 F0464F524549474E01", "6e00", id="another class"),
        pytest.param("80 CA 01 01 00 00 00", "6700", id="extended length"),
        pytest.param("80 B0 85 00 F1" + "00" * 0xF1, "6700", id="more than one APDU takes"),
        pytest.param("80", "6700", id="one byte"),
        pytest.param("80 A4 04 00 09 F0464F524549474E01", "6a86", id="another P2 of SELECT"),
        pytest.param("80 A4 04 0C 09 F0464F524549474E03", "6a82", id="an application that is not there"),
        pytest.param("80 A4 08 0C 02 E101", "6a86", id="SELECT by path"),
        pytest.param("80 A4 02 0C 03 E10100", "6a86", id="three bytes for a file"),
        pytest.param("80 A4 02 0C 02 E103", "6a82", id="a file that is not there"),
        pytest.param("80 11 00 00", "6d00", id="unknown instruction"),
    ],
)
def test_what_this_card_does_not_take_is_refused(raw: str, status: str) -> None:
    card = foreign()
    play(card, KEYS)
    assert say(card, raw).hex() == status


def test_files_are_read_in_pieces_and_records_by_number() -> None:
    card = foreign()
    play(
        card,
        PUBLIC
        + """
        > 80 B0 00 00 10
        < 69 86                    no file is selected
        > 80 B0 86 28 10
        < FF FF FF FF FF FF FF FF 62 82    the end of file 6 comes before Le
        > 80 B0 00 28 08
        < FF FF FF FF FF FF FF FF 90 00    it is the one selected now
        > 80 B0 86 30 01
        < 6B 00
        > 80 B0 86 00 C1
        < 67 00                    more than one READ gives
        > 80 B0 86 00 01 00
        < 67 00                    READ with data
        > 80 B0 85 00 08
        < 69 81                    file 5 has records
        > 80 B2 01 04 00
        < ... 90 00                and is selected all the same
        > 80 B2 03 2C 00
        < 6A 83
        > 80 B2 00 2C 00
        < 6A 83
        > 80 B2 01 34 00
        < 69 81                    file 6 has none
        > 80 B2 01 2D 00
        < 6A 86                    records are read one by one
        > 80 B2 01 4C 00
        < 6A 82
        > 80 CA 01 01 00
        < 30 30 30 30 30 30 33 33 36 30 30 31 2F 32 2F 50 2F 31 90 00
        > 80 CA 01 02 00
        < 6A 88
    """,
    )


def test_the_holder_stands_in_two_records() -> None:
    card = foreign()
    play(card, PUBLIC)
    first, second = (say(card, f"80 B2 {number:02X} 2C 00") for number in (1, 2))
    assert (len(first), first[-2:], second[-2:]) == (142, b"\x90\x00", b"\x90\x00")
    assert first[:-2] + second[:-2] == personnel_record(DOCTOR, "2")


def test_a_power_up_selects_nothing() -> None:
    card = foreign()
    play(card, PUBLIC + "reset\n> 80 CA 01 01 00\n< 6A 88\n> 80 B0 86 00 08\n< 6A 82")


def test_pin_and_keys_are_the_second_applications_alone() -> None:
    play(
        foreign(),
        PUBLIC
        + """
        > 80 20 00 82
        < 69 85
        > 80 22 41 B6 03 84 01 85
        < 69 85
        > 80 2A 9E 9A 02 AA BB
        < 69 85
    """,
    )


def test_a_pin_comes_padded_and_is_dropped_by_select_alone() -> None:
    card = foreign()
    play(
        card,
        KEYS
        + VERIFY
        + """
        > 80 20 00 82
        < 90 00                    it stands as verified
        > 80 20 FF 82
        < 6A 86
        > 80 20 00 82 06 31 32 33 34 35 36
        < 67 00                    without padding; no try is spent
        > 80 20 00 82
        < 90 00
    """
        + KEYS
        + """
        > 80 20 00 82
        < 63 C3
        > 80 20 00 82 08 39 39 39 39 39 39 FF FF
        < 63 C2
        > 80 24 00 82 10 31 32 33 34 35 36 FF FF 36 35 34 33 32 31 FF FF
        < 90 00
        > 80 20 00 82 08 36 35 34 33 32 31 FF FF
        < 90 00
        > 80 2C 00 82 10 31 32 33 34 35 36 37 38 31 32 33 34 35 36 FF FF
        < 90 00
    """
        + VERIFY,
    )
    assert card.pin.left == 3


def test_nothing_is_signed_without_key_or_pin_and_a_selection_forgets_both() -> None:
    play(
        foreign(ForeignWire(signs=Signs.DIGEST)),
        KEYS
        + VERIFY
        + f"> 80 2A 9E 9A 20 {DIGEST.hex(' ')}\n< 69 85\n"
        + CHOOSE
        + KEYS
        + f"> 80 2A 9E 9A 20 {DIGEST.hex(' ')}\n< 69 85\n"
        + CHOOSE
        + f"> 80 2A 9E 9A 20 {DIGEST.hex(' ')}\n< 69 82\n",
    )


@pytest.mark.parametrize(
    ("signs", "command", "status"),
    [
        pytest.param(Signs.BLOCK, f"80 2A 9E 9A 20 {DIGEST.hex(' ')}", "67 00", id="a digest for a block"),
        pytest.param(
            Signs.DIGEST, f"80 2A 9E 9A 33 {INFO.hex(' ')}", "67 00", id="a DigestInfo for a digest"
        ),
        pytest.param(Signs.HASHED, "80 2A 9E 9A 00", "67 00", id="no hash was brought"),
        pytest.param(Signs.HASHED, "80 2A 90 A0 03 90 02 AA", "6A 80", id="a hash whose length lies"),
        pytest.param(Signs.HASHED, "80 2A 90 A0 03 80 01 AA", "6A 80", id="something else for a hash"),
        pytest.param(Signs.DIGEST, "80 2A 90 A0 03 90 01 AA", "6A 86", id="a hash that nobody wants"),
        pytest.param(Signs.DIGEST, "80 88 00 00 02 AA BB", "6D 00", id="authentication"),
        pytest.param(Signs.AUTHENTICATION, "80 2A 9E 9A 02 AA BB", "6A 86", id="PSO on another card"),
        pytest.param(Signs.BLOCK, "80 22 41 B6 03 84 01 01", "6A 88", id="a key that is not there"),
        pytest.param(Signs.BLOCK, "80 22 41 A4 03 84 01 85", "6A 88", id="another template"),
    ],
)
def test_each_kind_takes_its_own_commands_alone(signs: Signs, command: str, status: str) -> None:
    play(foreign(ForeignWire(signs=signs)), f"{KEYS}{VERIFY}{CHOOSE}> {command}\n< {status}")


def test_the_nhi_application_may_stand_beside_its_own() -> None:
    select, number = "80 A4 04 0C 10 D1 58 00 00 01 00 00 00 00 00 00 00 00 00 11 00", b"000000000009"
    assert say(foreign(), select) == b"\x6a\x82"
    card = foreign(ForeignWire(beside_nhi=True))
    play(card, f"> {select}\n< 90 00")
    assert say(card, "80 CA 11 00 02 00 00 00").startswith(number)
