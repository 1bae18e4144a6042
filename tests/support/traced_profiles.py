"""What a profile made from a trace has to show: it drives another card, and holds nothing of the PIN."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card import profile
from hca_card.hca import HcaCard
from hca_card.model import KeyUse
from hca_card.pin import Pin
from tests.support.cards import simulated
from tests.support.script import CardChannel

PIN = "123456"
INFO = bytes.fromhex("3031300D060960864801650304020105000420")


def everything_in(folder: Path) -> list[str]:
    return [one.read_text("utf-8") for one in folder.rglob("*") if one.is_file()]


def nowhere(pin: str, *texts: str) -> None:
    """No text holds the PIN: as it is typed, as bytes in hexadecimal, or as packed digits."""
    assert all(texts)
    for text in texts:
        digits = "".join(one for one in text.lower() if one not in " :-,\n")
        for spelling in (pin, pin.encode().hex(), "".join(f"f{one}" for one in pin)):
            assert spelling not in text and spelling not in digits


def signs_with(text: str, kind: str) -> None:
    """The profile drives a card of that kind, and a judge finds no fault with the signature."""
    with CardChannel(simulated(kind)) as channel:
        card = HcaCard.open(channel, profile.parse(text))
        assert card is not None
        assert card.metadata().holder is not None
        der = card.certificate(1).der
        card.verify(Pin(PIN))
        signature = card.sign(KeyUse.SIGNATURE, INFO + hashlib.sha256(b"document").digest())
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, b"document", PKCS1v15(), SHA256())
