"""From a trace to a profile that drives another card of the same kind, and no byte of the PIN anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card import profile
from hca_card.hca import HcaCard
from hca_card.model import KeyUse
from hca_card.pin import Pin
from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.script import CardChannel

PIN = "123456"
INFO = bytes.fromhex("3031300D060960864801650304020105000420")

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


@pytest.fixture(scope="module")
def recorded() -> write.Recorded:
    one = write.Recorded(simulated("hpc"))
    write.vendors_program(one.transmit, PIN.encode())
    return one


@pytest.mark.parametrize("writer", WRITERS)
def test_a_trace_becomes_a_profile_for_another_card(
    invoke, recorded: write.Recorded, tmp_path: Path, writer: str
) -> None:
    trace, target = tmp_path / "trace", tmp_path / "made"
    trace.write_bytes(WRITERS[writer](recorded))
    result = invoke("card", "import-trace", trace, "-o", target)
    assert result.exit_code == 0, result.output
    assert "設定檔草稿已完整" in result.stdout
    signs_with((target / "profile.toml").read_text("utf-8"), "hop")
    trace.unlink()
    nowhere(PIN, result.output, *everything_in(tmp_path))


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
