"""The command line and OpenSC at the same card, in one reader of a real PC/SC service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pcscd import PrivatePcscd, pcscd_fixture
from tests.support.waiting import until

pytestmark = [
    pytest.mark.pcscd,
    pytest.mark.skipif(shutil.which("pkcs11-tool") is None, reason="OpenSC is not installed"),
]

AGENT = (sys.executable, "-m", "agent")
PIN = "123456"

Beside = Callable[..., subprocess.CompletedProcess[str]]

pcscd = pcscd_fixture()


@pytest.fixture
def beside(pcscd: PrivatePcscd, home: Path) -> Iterator[Beside]:
    """Runs programs beside `hca-agent simulate hpc --vpcd …`."""
    words = [*AGENT, "simulate", "hpc", "--vpcd", f"127.0.0.1:{pcscd.ports[0]}", "--control"]
    simulating = pcscd.popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def run(*argv: str, code: int = 0, typed: str = "") -> subprocess.CompletedProcess[str]:
        result = pcscd.run(list(argv), capture_output=True, text=True, input=typed)
        assert result.returncode == code, result.stdout + result.stderr
        return result

    try:
        until(
            lambda: pcscd.run(["opensc-tool", "--atr"], capture_output=True).returncode == 0,
            lambda: f"no card in the reader:\n{pcscd.log}",
        )
        yield run
    finally:
        simulating.kill()
        simulating.communicate()


def _pin_status(beside: Beside) -> dict[str, object]:
    status: dict[str, object] = json.loads(beside(*AGENT, "pin", "status", "--json").stdout)
    return status


def test_readers_card_and_sign_work_and_openssl_agrees(beside: Beside, tmp_path: Path):
    (reader, _other) = json.loads(beside(*AGENT, "readers", "--json").stdout)["readers"]
    assert reader["state"] == "card"
    card = json.loads(beside(*AGENT, "card", "--json").stdout)
    assert (card["kind"], card["serial"]) == ("hpc", "000000335361")
    document = tmp_path / "form.txt"
    document.write_text("報備支援\n")
    beside(*AGENT, "sign", str(document), "--format", "pkcs1", "--pin-stdin", typed=f"{PIN}\n")
    certificate, key = tmp_path / "signer.der", tmp_path / "signer.pub"
    beside("pkcs15-tool", "--read-certificate", "01", "--output", str(certificate))
    beside("openssl", "x509", "-in", str(certificate), "-pubkey", "-noout", "-out", str(key))
    verified = beside(
        "openssl", "dgst", "-sha256", "-verify", str(key), "-signature", f"{document}.sig", str(document)
    )
    assert verified.stdout == "Verified OK\n"


def test_a_wrong_pin_through_opensc_lowers_the_counter_that_pin_status_shows(beside: Beside):
    assert _pin_status(beside)["triesLeft"] == 3
    beside("pkcs15-tool", "--verify-pin", "--pin", "654321", code=255)
    assert _pin_status(beside)["triesLeft"] == 2
    beside("pkcs15-tool", "--verify-pin", "--pin", PIN)
    assert _pin_status(beside)["triesLeft"] == 3


def test_right_after_our_signature_another_program_cannot_sign_without_the_pin(
    beside: Beside, tmp_path: Path
):
    document = tmp_path / "form.txt"
    document.write_text("報備支援\n")
    beside(*AGENT, "sign", str(document), "--format", "pkcs1", "--pin-stdin", typed=f"{PIN}\n")
    select, environment = (
        "00:A4:04:00:0A:F0:48:43:41:41:47:45:4E:54:01:00",
        "00:22:41:B6:06:80:01:11:84:01:01",
    )
    digest_info = f"3031300D060960864801650304020105000420{'00' * 32}"
    sign = ":".join(["00:2A:9E:9A:33", *(digest_info[i : i + 2] for i in range(0, 102, 2)), "00"])
    other = beside("opensc-tool", "-s", select, "-s", environment, "-s", sign)
    assert other.stdout.rstrip().endswith("Received (SW1=0x69, SW2=0x82)"), other.stdout
