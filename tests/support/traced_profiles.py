"""What a profile made from a trace has to show: it drives another card, and holds nothing of the PIN."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card import profile
from hca_card.hca import HcaCard
from hca_card.model import KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.script import CardChannel

PIN = "123456"
WRITERS: dict[str, Callable[[write.Recorded], bytes]] = {
    "pcscd": write.pcscd,
    "OpenSC": write.opensc,
    "APDUPlay": write.apduplay,
    "macOS": write.macos,
    "macOS, JSON": write.macos_json,
    "macOS, JSON lines": write.macos_ndjson,
    "arrows": write.arrows,
    "arrows, by PowerShell": lambda one: write.redirected(write.arrows(one)),
    "usbmon, APDUs": lambda one: write.usbmon_pcap(write.by_apdu(one)),
    "usbmon, shorter header": lambda one: write.usbmon_pcap(write.by_apdu(one), mapped=False),
    "usbmon, big-endian": lambda one: write.usbmon_pcap(write.by_apdu(one), order=">"),
    "usbmon, pcapng": lambda one: write.usbmon_pcapng(write.by_apdu(one)),
    "usbmon, extended APDUs": lambda one: write.usbmon_pcap(write.by_extended_apdu(one)),
    "usbmon, blocks of T=1": lambda one: write.usbmon_pcap(write.by_blocks(one)),
    "usbmon, TPDUs of T=0": lambda one: write.usbmon_pcap(write.by_tpdu(one)),
    "USBPcap": lambda one: write.usbpcap_pcapng(write.by_apdu(one)),
    "USBPcap, blocks of T=1": lambda one: write.usbpcap_pcapng(write.by_blocks(one)),
}
"""Every way in which the same dealings with a card may come."""

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
        card = recognise(channel, channel.atr, (profile.parse(text),))
        assert isinstance(card, HcaCard)
        assert card.metadata().holder is not None
        der = card.certificate(1).der
        card.verify(Pin(PIN))
        signature = card.sign(KeyUse.SIGNATURE, INFO + hashlib.sha256(b"document").digest())
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, b"document", PKCS1v15(), SHA256())
