"""The two forms in which cards and modules answer ECDSA signatures."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from hca_card.certificate import curve_bits, describe
from hca_card.ecdsa import agreed, concatenated
from hca_card.errors import CardDataError
from hca_card.model import KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from hca_card.simulator.ec import EcKey
from tests.support.cards import simulated
from tests.support.script import CardChannel

DIGEST = hashlib.sha256(b"document").digest()


@pytest.mark.parametrize("bits", [256, 384, 521])
@given(data=st.data())
def test_both_forms_give_the_same_numbers(bits: int, data: st.DataObject) -> None:
    length = (bits + 7) // 8
    r, s = (data.draw(st.integers(1, 2**bits - 1)) for _ in range(2))
    raw = r.to_bytes(length, "big") + s.to_bytes(length, "big")
    der = encode_dss_signature(r, s)
    assert concatenated(raw, bits) == raw
    assert concatenated(der, bits) == raw or len(der) == len(raw)


@pytest.mark.parametrize(
    "answer",
    [b"", bytes(63), bytes(65), b"\x30", b"\x30\x80", b"\x30\x03\x02\x01\x01", b"\x04\x02\x01\x01",
     encode_dss_signature(1, 2**256), b"\x30\x7f" + bytes(70)],
)  # fmt: skip
def test_an_answer_that_is_neither_is_refused_as_the_cards_fault(answer: bytes) -> None:
    with pytest.raises(CardDataError):
        concatenated(answer, 256)


@pytest.mark.parametrize("form", ["DER", "r ‖ s"])
def test_a_card_may_answer_in_either_form(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = EcKey.sign
    if form != "DER":
        monkeypatch.setattr(EcKey, "sign", lambda key, digest: concatenated(made(key, digest), key.bits))
    with CardChannel(simulated("pkcs15-p384")) as channel:
        card = recognise(channel, channel.atr)
        card.verify(Pin("123456"))
        signature = card.sign(KeyUse.SIGNATURE, DIGEST)
        certificate = card.certificate(1).der
    assert len(signature) == 96
    key = load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = (int.from_bytes(signature[at : at + 48], "big") for at in (0, 48))
    key.verify(encode_dss_signature(*numbers), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_a_directory_that_leaves_the_length_of_an_ec_key_out_is_helped_by_the_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hca_card.pkcs15_directory._key_length", lambda kind: 0)
    with CardChannel(simulated("pkcs15-p521")) as channel:
        card = recognise(channel, channel.atr)
        card.verify(Pin("123456"))
        assert len(card.sign(KeyUse.SIGNATURE, DIGEST)) == 132
    # Nothing is selected between the choice of the key and its use.
    sent = [header[1] for header, _ in channel.trace]
    assert sent[sent.index(0x2A) - 1] == 0x22


def test_an_ec_key_is_chosen_by_the_algorithm_that_the_card_lists() -> None:
    with CardChannel(simulated("pkcs15-p256")) as channel:
        card = recognise(channel, channel.atr)
        assert card.has_key(KeyUse.SIGNATURE)
        assert not card.has_key(KeyUse.ENCRYPTION)
        card.verify(Pin("123456"))
        card.sign(KeyUse.SIGNATURE, DIGEST)
    assert channel.sent(0x22) == [bytes.fromhex("002241B6 06 800121 840101")]


@pytest.mark.parametrize(("kind", "bits"), [("pkcs15-p256", 256), ("pkcs15-p521", 521), ("citizen", 0)])
def test_a_certificate_says_the_length_of_its_curve(kind: str, bits: int) -> None:
    with CardChannel(simulated(kind)) as channel:
        der = recognise(channel, channel.atr).certificate(1).der
    assert curve_bits(der) == bits
    assert describe(der).key_bits == (bits or 2048)


def test_of_a_whole_point_its_x_is_what_was_agreed() -> None:
    x, y = bytes(range(1, 33)), bytes(32)
    assert agreed(b"\x04" + x + y, 32) == agreed(x, 32) == x
    assert agreed(x[-30:], 32) == b"\0\0" + x[-30:]
    for answer in (b"", bytes(33), b"\x03" + x + y):
        with pytest.raises(CardDataError, match="agreed on"):
            agreed(answer, 32)
