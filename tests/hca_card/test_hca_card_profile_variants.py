"""Everything that a profile can say, on cards whose commands are those of no other card here.

The cards are made without profiles, and OpenSSL (by way of `cryptography`) judges what they sign.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from hca_card import profile
from hca_card.errors import (
    CardDataError,
    ObjectMissingError,
    PinLengthError,
    PinWrongError,
    UnknownCardError,
    UnsupportedError,
)
from hca_card.hca import HcaCard
from hca_card.model import CardKind, Citizen, KeyUse
from hca_card.pin import Pin
from hca_card.profile import ProfileError
from hca_card.profile_format import Profile
from hca_card.recognise import recognise
from hca_card.simulator.foreign_card import ATR, ForeignBlueprint, ForeignCard, ForeignWire, Signs
from hca_card.simulator.persons import DOCTOR
from pcsc.status import StatusError
from signing.hashes import Hash
from signing.sign import ecdsa_der
from tests.support.cards import simulator_ca
from tests.support.foreign import ONE_KEY, PROFILE, makers_program, profile_with
from tests.support.script import CardChannel

DOCUMENT = b"document"
SHA_256 = Hash.SHA_256.digest_info(hashlib.sha256(DOCUMENT).digest())
SHA_512 = Hash.SHA_512.digest_info(hashlib.sha512(DOCUMENT).digest())
NUMBER = "000000336001"


def foreign(**wire: object) -> ForeignCard:
    return ForeignBlueprint(NUMBER, ForeignWire(**wire)).build(simulator_ca())  # type: ignore[arg-type]


def opened(channel: CardChannel, entry: Profile) -> HcaCard:
    card = recognise(channel, channel.atr, (entry, profile.reference()))
    assert isinstance(card, HcaCard)
    return card


def test_the_foreign_card_is_unknown_without_its_profile():
    with CardChannel(foreign()) as channel, pytest.raises(UnknownCardError):
        recognise(channel, channel.atr)


def test_the_program_of_its_maker_signs_with_the_foreign_card():
    """The card by itself, without a line of the driver."""
    chip = foreign()
    signature = makers_program(chip.transmit, b"123456", DOCUMENT)
    with CardChannel(chip) as channel:
        key = rsa_key(opened(channel, profile.parse(PROFILE)), 1)
    key.verify(signature, DOCUMENT, PKCS1v15(), hashes.SHA256())


def test_a_profile_drives_a_card_whose_commands_are_all_different():
    chip, entry = foreign(), profile.parse(PROFILE)
    with CardChannel(chip) as channel:
        card = opened(channel, entry)
        assert (card.kind, card.version, card.serial) == (CardKind.PERSONNEL, "2", NUMBER)
        assert card.metadata().holder == DOCTOR
        assert card.info().activated and not card.info().terminated
        assert card.certificate_indexes() == (0, 1, 2, 3, 4)
        subjects = [x509.load_der_x509_certificate(each.der).subject for each in card.certificates()]
        assert len(set(subjects)) == 4  # those of the holder are of one name
        assert card.pin_status().tries_left == 3
        with pytest.raises(PinWrongError):
            card.verify(Pin("999999"))
        card.verify(Pin("123456"))
        for info, algorithm in ((SHA_256, hashes.SHA256()), (SHA_512, hashes.SHA512())):
            signature = card.sign(KeyUse.SIGNATURE, info)
            rsa_key(card, 1).verify(signature, DOCUMENT, PKCS1v15(), algorithm)
        cipher = rsa_key(card, 2).encrypt(b"secret", PKCS1v15())
        # The certificate was read in the application of the keys, so that the PIN is still verified.
        assert card.decipher(KeyUse.ENCRYPTION, cipher) == b"secret"
    assert chip.pin.left == 3
    # VERIFY with P1 = FF is not what this card knows: SELECT is, and a question shows that it helped.
    assert not channel.was_reset
    assert [command[1] for command, _ in channel.trace[-2:]] == [0xA4, 0x20]
    assert channel.trace[-1][1] == bytes.fromhex("63C3")
    # No extended length, and no more in one command than the card takes.
    assert max(len(command) for command, _ in channel.trace) <= 4 + 1 + 0xF0 + 1
    assert {command[0] & 0xEF for command, _ in channel.trace} == {0x80}


def test_pin_and_puk_are_padded_as_the_profile_says():
    chip, entry = foreign(), profile.parse(PROFILE)
    with CardChannel(chip) as channel:
        card = opened(channel, entry)
        card.change_pin(Pin("123456"), Pin("7654321"))
        card.verify(Pin("7654321"))
    with CardChannel(chip) as channel:
        card = opened(channel, entry)
        card.unblock_pin(Pin("12345678"), Pin("654321"))
        card.verify(Pin("654321"))
        with pytest.raises(PinLengthError):
            card.verify(Pin("123456789"))
    assert chip.pin.left == 3 and chip.puk.left == 10


def test_what_needs_the_pin_is_not_sent_without_it():
    with CardChannel(foreign()) as channel:
        card = opened(channel, profile.parse(PROFILE))
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, SHA_256)
    assert not channel.sent(0x22) and not channel.sent(0x2A)


@dataclass(frozen=True)
class Variant:
    """A card and what its profile says of its signature key.

    Attributes:
        wire: what is different on the card.
        key: lines of the profile.
        changes: other changes of the profile.
    """

    wire: dict[str, object]
    key: str
    changes: tuple[tuple[str, str], ...] = ()


VARIANTS = {
    "digest-with-one-hash": Variant(
        {"signs": Signs.DIGEST, "environment": (0x41, 0xB6, bytes.fromhex("800142 840185"))},
        'reference = 0x85\nalgorithm = 0x42\nform = "digest"\nhashes = ["SHA-256"]',
    ),
    "hash-first": Variant(
        {"signs": Signs.HASHED},
        'reference = 0x85\nform = "digest"\noperation = "hash-pso"\nhashes = ["SHA-256"]',
    ),
    "environment-as-it-stands": Variant(
        {"environment": (0x81, 0xB6, bytes.fromhex("830185 800102"))},
        'environment = "83 01 85 80 01 02"\nenvironment_p1 = 0x81\nform = "block"',
    ),
    "restored": Variant(
        {"environment": (0xF3, 0x07, b"")}, 'chosen_by = "restore"\nreference = 7\nform = "block"'
    ),
    "chosen-by-itself": Variant({"environment": None}, 'chosen_by = "nothing"\nform = "block"'),
    "authentication": Variant(
        {"signs": Signs.AUTHENTICATION, "environment": (0x41, 0xA4, bytes.fromhex("840185"))},
        'reference = 0x85\noperation = "internal-authenticate"',
    ),
    "rsa-4096": Variant({"bits": 4096}, 'reference = 0x85\nform = "block"\nbits = 4096'),
    **{
        f"p-{bits}": Variant({"bits": bits, "signs": Signs.DIGEST}, 'reference = 0x85\nkind = "ec"', ONE_KEY)
        for bits in (256, 384, 521)
    },
    "p-256-authentication": Variant(
        {"bits": 256, "signs": Signs.AUTHENTICATION, "environment": (0x41, 0xA4, bytes.fromhex("840185"))},
        'reference = 0x85\nkind = "ec"\nbits = 256\noperation = "internal-authenticate"',
        ONE_KEY,
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_key_is_chosen_and_used_as_the_profile_says(name: str):
    variant = VARIANTS[name]
    entry = profile.parse(profile_with(variant.key, *variant.changes))
    with CardChannel(foreign(**variant.wire)) as channel:
        card = opened(channel, entry)
        card.verify(Pin("123456"))
        key = x509.load_der_x509_certificate(card.certificate(1).der).public_key()
        if isinstance(key, EllipticCurvePublicKey):
            made = card.sign(KeyUse.SIGNATURE, hashlib.sha256(DOCUMENT).digest())
            key.verify(ecdsa_der(made, key.key_size), DOCUMENT, ECDSA(hashes.SHA256()))
        else:
            assert isinstance(key, RSAPublicKey)
            key.verify(card.sign(KeyUse.SIGNATURE, SHA_256), DOCUMENT, PKCS1v15(), hashes.SHA256())
        if 'hashes = ["SHA-256"]' in variant.key:
            with pytest.raises(UnsupportedError, match="SHA-256 only"):
                card.sign(KeyUse.SIGNATURE, SHA_512)


@pytest.mark.parametrize(
    ("wire", "key"),
    [
        ({}, 'reference = 0x85\nform = "block"'),
        (
            {"signs": Signs.PSS, "environment": (0x41, 0xB6, bytes.fromhex("800152 840185"))},
            "reference = 0x85\npss = 0x52",
        ),
    ],
    ids=["padded-here", "padded-by-the-card"],
)
def test_pss_is_made_where_the_profile_says_so(wire: dict[str, object], key: str):
    with CardChannel(foreign(**wire)) as channel:
        card = opened(channel, profile.parse(profile_with(key)))
        card.verify(Pin("123456"))
        for name, algorithm in (("SHA-256", hashes.SHA256()), ("SHA-512", hashes.SHA512())):
            digest = hashlib.new(name.replace("-", "").lower(), DOCUMENT).digest()
            made = card.sign_pss(KeyUse.SIGNATURE, digest)
            rsa_key(card, 1).verify(made, DOCUMENT, PSS(MGF1(algorithm), len(digest)), algorithm)


def test_a_key_without_a_word_of_pss_makes_none():
    with CardChannel(foreign()) as channel:
        card = opened(channel, profile.parse(profile_with("reference = 0x85")))
        card.verify(Pin("123456"))
        with pytest.raises(UnsupportedError):
            card.sign_pss(KeyUse.SIGNATURE, bytes(32))


def test_an_hca_application_beside_the_nhi_side_is_the_card():
    """The card answers as an NHI card, too; what its owner has written a profile for comes first."""
    text = PROFILE.replace("select_p2 = 0x0C", "select_p2 = 0")
    for name in ("select", "read", "data"):
        text = text.replace(f"{name}_class = 0x80", f"{name}_class = 0")
    chip = foreign(file_class=0, select_p2=0, beside_nhi=True)
    with CardChannel(chip) as channel:
        assert recognise(channel, channel.atr).kind is CardKind.NHI
    with CardChannel(chip) as channel:
        assert opened(channel, profile.parse(text)).serial == NUMBER


WITHOUT_IDENTITY = PROFILE[: PROFILE.index("[identity]")] + PROFILE[PROFILE.index("[[certificates]]") :]


def test_without_identity_and_records_the_certificate_says_what_card_it_is():
    with CardChannel(foreign()) as channel:
        card = opened(channel, profile.parse(WITHOUT_IDENTITY))
        assert (card.kind, card.serial) == (CardKind.PERSONNEL, NUMBER)
        metadata = card.metadata()
        assert (metadata.holder, metadata.info) == (Citizen(DOCTOR.name), None)
        card.verify(Pin("123456"))
        signature = card.sign(KeyUse.SIGNATURE, SHA_256)
        rsa_key(card, 1).verify(signature, DOCUMENT, PKCS1v15(), hashes.SHA256())


def test_without_identity_only_the_cards_that_are_listed_are_tried():
    other = bytes.fromhex("3B 85 81 31 FE 45 53 54 52 4E 47 C1")
    entry = profile.parse(WITHOUT_IDENTITY)
    assert ATR in entry.atrs
    with CardChannel(foreign()) as channel, pytest.raises(UnknownCardError):
        recognise(channel, other, (entry,))
    assert entry.aid not in [command[5:14] for command in channel.sent(0xA4)]
    with pytest.raises(ProfileError, match="needs atrs"):
        profile.parse(WITHOUT_IDENTITY.replace('atrs = ["', 'atrs = []  # ["'))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("key_class = 0x80", "key_class = 0x84", "secure messaging, whose keys are the maker's"),
        ("key_class = 0x80", "key_class = 0x0C", "secure messaging"),
        ("read_class = 0x80", "read_class = 0x90", "without the bit of chaining"),
        ("read_class = 0x80", "read_class = 0x01", "must be 00 or proprietary"),
        ("read_class = 0x80", "read_class = 0xFF", "secure messaging"),
        ("select_p2 = 0x0C", "select_p2 = 0x02", "select_p2"),
        ("file = { object = 0x0101 }", "fci_tag = 0x53", "stands in the answer to SELECT"),
        ("chain = 0xF0", "chain = 256", "chain at most 255"),
        ("{ object = 0x0101 }", "{ object = 0x0101, sfi = 3 }", "exactly one of sfi"),
        ("{ object = 0x0101 }", "{ object = 0x0101, records = [1, 2] }", "records are those of a file"),
        ("{ object = 0x0101 }", '{ sfi = 3, object_data = "00" }', "object_data belongs to an object"),
        ("{ object = 0x0101 }", "{ object = 0x0101, object_ins = 0xDA }", "the instruction CA or CB"),
        ("{ object = 0x0101 }", "{ object = 0x0101, secret = true }", "unknown key 'secret'"),
        ("records = [1, 255] }\ninfo", "records = [1, 256] }\ninfo", "records end with"),
        ("records = [1, 255] }\ninfo", "records = [0, 2] }\ninfo", "counted from 1"),
        ('compression = "zlib"', 'compression = "lzma"', "must be one of none, zlib, gzip, deflate"),
        ('aid = "F0 46 4F 52 45 49 47 4E 02"\nreference', 'aid = "F0"\nreference', "pin: aid must have"),
        ("pad = 0xFF }", 'pad = 0xFF, prefix = "00 00 00 00 00 00 00 00 00" }', "prefix of at most 8"),
        ("reference = 0x85", "", "needs either reference or environment"),
        ("reference = 0x85", 'reference = 0x85\nenvironment = "840185"', "either reference or environment"),
        (
            "reference = 0x85",
            'reference = 7\nchosen_by = "restore"\nalgorithm = 1',
            "restore takes",
        ),
        ("reference = 0x85", 'reference = 7\nchosen_by = "nothing"', "nothing is chosen"),
        ("reference = 0x85", 'environment = "840185"\nalgorithm = 1', "the algorithm included"),
        ("reference = 0x85", 'reference = 0x85\nkind = "ec"', "an ec key signs bare digests"),
        ("reference = 0x85", "reference = 0x85\npss = 2", "makes PSS itself"),
        ('within = [0x7F21, 0x53], aid = "F0 46 4F 52 45 49 47 4E 02"', "within = [0x53]", "needs bits"),
        ("reference = 0x85", 'reference = 0x85\noperation = "hash-pso"', "form must be digest"),
        ("reference = 0x85", 'reference = 0x85\nhashes = ["MD5"]', "must be one of SHA-1"),
        ('indicator = ""', 'operation = "internal-authenticate"', "deciphering is PSO: DECIPHER"),
    ],
)
def test_what_a_profile_cannot_say_is_a_sentence(old: str, new: str, sentence: str):
    assert old in PROFILE
    with pytest.raises(ProfileError) as caught:
        profile.parse(PROFILE.replace(old, new, 1))
    assert sentence in str(caught.value)


def test_a_part_of_a_part_is_an_unknown_key():
    with pytest.raises(ProfileError, match="unknown key 'parts'"):
        profile.parse(PROFILE.replace("{ object = 0x0101 }", "{ parts = [{ parts = [{ sfi = 1 }] }] }"))


# Hostile content


class Instead:
    """A foreign card that answers GET DATA of its certificate with something else."""

    def __init__(self, content: bytes) -> None:
        self._card, self._content = foreign(), content

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        return self._content if command[1:4] == bytes.fromhex("CA7F21") else self._card.transmit(command)


@pytest.mark.parametrize(
    "content",
    ["", "7F2100", "7F21025300", "7F217F53", "30820400", "7F210453027F21", "7F21035301FF", "53023000"],
)
def test_a_data_object_that_lies_is_an_error_of_the_card(content: str):
    with CardChannel(Instead(bytes.fromhex(content + "9000"))) as channel:
        card = opened(channel, profile.parse(PROFILE))
        with pytest.raises((CardDataError, ObjectMissingError)):
            card.certificate(1)


def rsa_key(card: HcaCard, index: int) -> RSAPublicKey:
    key = x509.load_der_x509_certificate(card.certificate(index).der).public_key()
    assert isinstance(key, RSAPublicKey)
    return key
