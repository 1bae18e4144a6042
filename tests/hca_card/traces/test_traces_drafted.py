"""What goes from a trace into the draft beside plain commands: a directory, two applications, odd places."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card import profile
from hca_card.model import KeyUse
from hca_card.pin import Pin
from hca_card.pkcs15 import Pkcs15Card
from hca_card.probe.draft import KNOWN_MARK, Draft
from hca_card.profile_format import KeyKind
from hca_card.recognise import recognise
from hca_card.simulator import templates
from hca_card.simulator.cards import today
from hca_card.simulator.foreign_card import (
    AID,
    KEYS_AID,
    ForeignApplication,
    ForeignCard,
    ForeignWire,
    Signs,
)
from hca_card.simulator.persons import current_validity
from hca_card.traces.imported import import_traces
from hca_card.traces.report import report
from pcsc.winscard import VirtualCard
from signing.sign import ecdsa_der
from tests.support import trace_writers as write
from tests.support.cards import simulated, simulator_ca
from tests.support.script import CardChannel
from tests.support.traced_profiles import INFO, PIN, nowhere

DIGEST = hashlib.sha256(b"document").digest()


def drafted(folder: Path, recorded: write.Recorded) -> Draft:
    (folder / "trace").write_bytes(write.opensc(recorded))
    with import_traces([folder / "trace"], "0") as imported:
        made = report(imported).drafted
    nowhere(PIN, made.text)
    return made


def signs(text: str, card: VirtualCard) -> None:
    """The profile drives that card, and a judge finds no fault with the signature."""
    with CardChannel(card) as channel:
        known = recognise(channel, channel.atr, (profile.parse(text),))
        key = x509.load_der_x509_certificate(known.certificate(1).der).public_key()
        known.verify(Pin(PIN))
        if isinstance(key, EllipticCurvePublicKey):
            made = ecdsa_der(known.sign(KeyUse.SIGNATURE, DIGEST), key.key_size)
            key.verify(made, b"document", ECDSA(SHA256()))
        else:
            assert isinstance(key, RSAPublicKey)
            key.verify(known.sign(KeyUse.SIGNATURE, INFO + DIGEST), b"document", PKCS1v15(), SHA256())


# A program that goes by the card's own directory


def read_by_directory(recorded: write.Recorded, *, verify: bool = False) -> None:
    with CardChannel(recorded) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        card.directory()
        card.certificates()
        if verify:
            card.verify(Pin(PIN))


@pytest.mark.parametrize("kind", ["hpc", "pkcs15-p256"])
def test_a_directory_that_was_read_says_what_nobody_did(tmp_path: Path, kind: str) -> None:
    recorded = write.Recorded(simulated(kind))
    read_by_directory(recorded)
    made = drafted(tmp_path, recorded)
    assert made.complete, made.missing
    assert f"{KNOWN_MARK}: 卡片的 PKCS#15 目錄說的" in made.text
    entry = profile.parse(made.text)
    assert entry.pin.reference == 0x01 and (entry.pin.format.min_length, entry.pin.format.max_length) == (
        6,
        8,
    )
    elliptic = kind == "pkcs15-p256"
    assert [(key.use, key.kind, key.reference) for key in entry.keys][:1] == [
        (KeyUse.SIGNATURE, KeyKind.EC if elliptic else KeyKind.RSA, 1)
    ]
    signs(made.text, simulated(kind))


def test_the_reference_of_a_pin_that_was_sent_is_seen_and_its_form_is_the_directorys(tmp_path: Path) -> None:
    recorded = write.Recorded(simulated("hpc"))
    read_by_directory(recorded, verify=True)
    made = drafted(tmp_path, recorded)
    assert made.complete, made.missing
    lines = [line for line in made.text.splitlines() if line.startswith(("reference = 0x01", "format"))]
    reference, form, *_ = lines
    assert reference.endswith("# 已見 seen") and form.endswith(KNOWN_MARK)
    signs(made.text, simulated("hpc"))


# The certificate in one application, PIN and keys in another


def two_applications(signs: Signs) -> ForeignCard:
    number = "000000336003"
    own = simulator_ca().identities([*templates.personnel(number, current_validity(today()))])
    identity = b"211" + number.encode()
    public = ForeignApplication({0x0A: own[0].certificate}, {(0x0101, b""): identity})
    applications = {AID: public, KEYS_AID: ForeignApplication()}
    return ForeignCard(ForeignWire(signs=signs), applications, (own[0].card_key(),))


def traced(folder: Path, signs: Signs) -> Draft:
    recorded = write.Recorded(two_applications(signs))

    def say(command: str) -> bytes:
        return recorded.transmit(bytes.fromhex(command))

    say("80A4040C 09 F0464F524549474E01")
    say("80CA0101 00")
    say("80B08A00 C0")
    for offset in range(0xC0, 0x800, 0xC0):
        say(f"80B0{offset:04X} C0")
    say("80A4040C 09 F0464F524549474E02")
    say("80200082")
    say("80200082 08 313233343536FFFF")
    say("802241B6 03 840185")
    if signs is Signs.DIGEST:
        say(f"802A9E9A 20 {DIGEST.hex()}")
    else:
        block = b"\x00\x01" + b"\xff" * 202 + b"\x00" + INFO + DIGEST
        say(f"902A9E9A F0 {block[:240].hex()}")
        say(f"802A9E9A 10 {block[240:].hex()} 00")
    return drafted(folder, recorded)


def test_pin_and_keys_in_another_application_than_the_certificate(tmp_path: Path) -> None:
    made = traced(tmp_path, Signs.DIGEST)
    assert made.complete, made.missing
    entry = profile.parse(made.text)
    assert (entry.aid, entry.pin.aid) == (AID, KEYS_AID)
    signs(made.text, two_applications(Signs.DIGEST))


def test_what_no_profile_can_say_is_said_and_nothing_of_the_trace(tmp_path: Path) -> None:
    made = traced(tmp_path, Signs.BLOCK)
    assert not made.complete
    # Between PIN and signature nobody can look how long the key is: its certificate is elsewhere.
    assert all("needs bits" in each for each in made.missing)
    entry = profile.parse(made.text)
    assert entry.draft and entry.aid == bytes.fromhex("F000000000")
    assert KEYS_AID.hex(" ").upper() not in made.text
