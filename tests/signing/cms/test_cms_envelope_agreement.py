"""Encrypted CMS whose key is agreed upon with a card: messages of openssl, and what is wrong with others."""

from __future__ import annotations

import io
import random
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256K1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hca_card.errors import CardDataError
from hca_card.model import Card, KeyUse
from hca_card.simulator import templates
from hca_card.simulator.ca import SimulatedIdentity
from hca_card.simulator.ec import EcKey
from hca_card.simulator.persons import current_validity
from pcsc.status import StatusError, StatusWord
from signing.cms.envelope import content_key, decrypt_content, read_envelope
from signing.errors import CipherDamagedError, CipherFormatError, CipherInvalidError, CipherNotForCardError
from tests.support.cards import simulator_ca
from tests.support.openssl import openssl_program
from tests.support.software_card import encryption_certificate
from tests.support.vectors import certificate as certificate_of

DOCUMENT = b"birth report"


class CurveCard(Card):
    """A card of this process; `asked` counts what reached it."""

    def __init__(self, key: EcKey, trouble: Exception | None = None) -> None:
        self.asked = 0
        self._key, self._trouble = key, trouble

    def metadata(self):  # type: ignore[no-untyped-def]
        raise self.unsupported()

    def agree(self, use: KeyUse, point: bytes) -> bytes:
        self.asked += 1
        if self._trouble is not None:
            raise self._trouble
        other = EllipticCurvePublicKey.from_encoded_point(self._key.private.curve, point)
        return self._key.private.exchange(ECDH(), other)


@cache
def identity(bits: int = 256) -> SimulatedIdentity:
    certificates = templates.personnel("000000335388", current_validity(datetime.now(UTC).date()))
    return simulator_ca().identities(templates.of_key(certificates, bits, agreeing=True))[1]


def card(trouble: Exception | None = None, bits: int = 256) -> CurveCard:
    key = identity(bits).card_key()
    assert isinstance(key, EcKey)
    return CurveCard(key, trouble)


def message(folder: Path, *words: str, cipher: str = "-aes-256-gcm", bits: int = 256) -> bytes:
    found = x509.load_der_x509_certificate(identity(bits).certificate)
    (folder / "recipient.pem").write_bytes(found.public_bytes(Encoding.PEM))
    (folder / "document").write_bytes(DOCUMENT)
    command = ("cms", "-encrypt", "-binary", "-in", "document", "-outform", "DER", "-out", "message", cipher)
    subprocess.run(
        [openssl_program(), *command, "-recip", "recipient.pem", *words],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    return (folder / "message").read_bytes()


def opened(made: bytes, by: CurveCard, bits: int = 256) -> bytes:
    envelope, target = read_envelope(io.BytesIO(made)), io.BytesIO()
    decrypt_content(envelope, content_key(by, envelope, identity(bits).certificate), target)
    return target.getvalue()


@pytest.mark.parametrize("bits", [256, 384, 521])
def test_messages_of_openssl_are_opened_on_every_curve(tmp_path: Path, bits: int):
    for kdf in ("sha1", "sha256", "sha384", "sha512"):
        made = message(tmp_path, "-keyopt", f"ecdh_kdf_md:{kdf}", bits=bits)
        assert opened(made, card(bits=bits), bits) == DOCUMENT


def test_the_cofactor_and_other_wraps_are_understood(tmp_path: Path):
    made = message(tmp_path, "-keyopt", "ecdh_cofactor_mode:1", cipher="-aes-128-cbc")
    assert opened(made, card()) == DOCUMENT


def test_a_point_that_is_not_on_the_curve_never_reaches_the_card(tmp_path: Path):
    made = message(tmp_path)
    at = made.index(b"\x03\x42\x00\x04") + 4
    elsewhere = read_envelope(io.BytesIO(made[:at] + bytes((made[at] ^ 1,)) + made[at + 1 :]))
    # Before a PIN is asked, and once more where the card is at hand.
    with pytest.raises(CipherDamagedError):
        elsewhere.recipient(identity().certificate)
    by = card()
    with pytest.raises(CipherDamagedError):
        content_key(by, elsewhere, identity().certificate)
    assert by.asked == 0


def test_a_certificate_whose_key_agrees_on_nothing_is_named(tmp_path: Path):
    agreement = read_envelope(io.BytesIO(message(tmp_path))).recipients[0].agreement
    assert agreement is not None
    agreement.require_fitting(identity().certificate)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    of_no_card = certificate_of(generate_private_key(SECP256K1()).public_key().public_bytes(*spki))
    for other in (encryption_certificate(), of_no_card):
        with pytest.raises(CipherFormatError, match="agrees on no keys"):
            agreement.require_fitting(other)


def test_a_recipient_may_be_named_by_the_identifier_of_the_key(tmp_path: Path):
    made = message(tmp_path, "-keyid")
    [recipient] = read_envelope(io.BytesIO(made)).recipients
    assert (recipient.issuer, len(recipient.key_identifier)) == (b"", 20)
    assert opened(made, card()) == DOCUMENT


@pytest.mark.parametrize("trouble", [CardDataError("x"), StatusError(StatusWord.WRONG_DATA)])
def test_what_the_card_thinks_of_it_is_not_told(tmp_path: Path, trouble: Exception):
    made = message(tmp_path)
    with pytest.raises(CipherDamagedError):
        opened(made, card(trouble))
    wrapped = made.index(b"\x04\x28") + 4
    with pytest.raises(CipherDamagedError):
        opened(made[:wrapped] + bytes((made[wrapped] ^ 1,)) + made[wrapped + 1 :], card())
    with pytest.raises(StatusError):
        opened(made, card(StatusError(StatusWord.SECURITY_STATUS)))


def test_other_cards_and_other_agreements_are_words(tmp_path: Path):
    made = message(tmp_path)
    with pytest.raises(CipherNotForCardError):
        read_envelope(io.BytesIO(made)).recipient(identity(384).certificate)
    # A wrap that no standard names.
    wrap = bytes.fromhex("60864801650304012d")
    assert made.count(wrap) == 1
    other = made.replace(wrap, bytes.fromhex("60864801650304012e"))
    with pytest.raises(CipherFormatError, match="cards undo"):
        read_envelope(io.BytesIO(other)).recipient(identity().certificate)


def test_whatever_is_changed_one_kind_of_error_says_so(tmp_path: Path):
    made, chance, by = message(tmp_path), random.Random(17), card()
    refused = 0
    for _ in range(400):
        octets = bytearray(made)
        octets[chance.randrange(len(octets))] = chance.randrange(256)
        try:
            assert opened(bytes(octets), by) == DOCUMENT
        except CipherInvalidError:
            refused += 1
    assert refused > 200
