"""From a trace to a profile that drives another card of the same kind, and no byte of the PIN anywhere."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.foreign import makers_program
from tests.support.openssl import openssl_program
from tests.support.traced_profiles import PIN, everything_in, nowhere, signs_with

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


def test_a_card_that_nobody_knows_works_once_its_makers_program_was_recorded(
    invoke, home: Path, tmp_path: Path
) -> None:
    card = ("--simulate", "hpc-foreign")
    unknown = invoke("card", *card)
    assert unknown.exit_code == 1 and "card.unknown" in unknown.stderr
    recorded = write.Recorded(simulated("hpc-foreign"))
    makers_program(recorded.transmit, PIN.encode())
    trace, target = tmp_path / "trace.pcap", tmp_path / "made"
    trace.write_bytes(write.usbmon_pcap(write.by_blocks(recorded)))
    assert invoke("card", "import-trace", trace, "-o", target).exit_code == 0
    (home / "profiles").mkdir(mode=0o700)
    shutil.move(target / "profile.toml", home / "profiles")
    assert invoke("card", "profiles").exit_code == 0
    shown = invoke("card", *card)
    assert shown.exit_code == 0 and "測試人員卡" in shown.stdout, shown.output
    judged_by_openssl(invoke, tmp_path, *card)
    trace.unlink()
    nowhere(PIN, *everything_in(tmp_path))


def judged_by_openssl(invoke, folder: Path, *card: str) -> None:
    document, certificate, signature = (folder / name for name in ("document", "signer.pem", "document.sig"))
    document.write_text("document")
    assert invoke("certs", *card, "--index", "1", "-o", certificate).exit_code == 0
    words = ("sign", document, "--format", "pkcs1", "--pin-stdin", *card, "-o", signature)
    signed = invoke(*words, input=f"{PIN}\n")
    assert signed.exit_code == 0, signed.output
    openssl = openssl_program()
    key = subprocess.run(
        [openssl, "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True
    ).stdout
    (folder / "key.pem").write_bytes(key)
    words = ("dgst", "-sha256", "-verify", folder / "key.pem", "-signature", signature, document)
    assert b"Verified OK" in subprocess.run([openssl, *words], capture_output=True, check=False).stdout
    signature.unlink()
