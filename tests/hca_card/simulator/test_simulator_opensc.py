"""An independent judge: OpenSC, without any configuration, through a real pcscd and its virtual reader."""

from __future__ import annotations

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
    pytest.mark.skipif(shutil.which("pkcs15-tool") is None, reason="OpenSC is not installed"),
]

HOLD = """
import sys, threading
from pcsc.vpcd import VpcdClient
from tests.support.cards import simulated
from tests.support.waiting import until
client = VpcdClient(simulated(sys.argv[1]), port=int(sys.argv[2]))
threading.Thread(target=client.run, daemon=True).start()
until(lambda: client.connected, "the reader does not take the card")
print("held", flush=True)
sys.stdin.read()
"""
DOCUMENT = "測試文件\n".encode()

Run = Callable[..., str]


pcscd = pcscd_fixture()


@pytest.fixture
def kind() -> str:
    return "hpc"


@pytest.fixture
def run(pcscd: PrivatePcscd, kind: str, tmp_path: Path) -> Iterator[Run]:
    """Runs a program beside a card of `kind`; gives what it printed and fails if it failed."""
    holder = pcscd.popen(
        [sys.executable, "-c", HOLD, kind, str(pcscd.ports[0])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        _wait_for_card(pcscd)

        def run(*argv: str, code: int = 0) -> str:
            result = pcscd.run(["env", "-C", str(tmp_path), *argv], capture_output=True)
            printed: str = (result.stdout + result.stderr).decode(errors="replace")
            assert result.returncode == code, printed
            return printed

        yield run
    finally:
        holder.kill()
        holder.communicate()


def _wait_for_card(pcscd: PrivatePcscd) -> None:
    until(
        lambda: not pcscd.run(["opensc-tool", "--atr"], capture_output=True).returncode,
        lambda: f"no card in the reader:\n{pcscd.log}",
    )


def public_key(run: Run, identifier: str, to: Path) -> None:
    """The public key of a certificate on the card, as openssl reads it from the certificate."""
    certificate = to.with_suffix(".crt")
    run("pkcs15-tool", "--read-certificate", identifier, "--output", str(certificate))
    run("openssl", "x509", "-in", str(certificate), "-pubkey", "-noout", "-out", str(to))


def test_the_directory_names_keys_certificates_and_pin(run: Run) -> None:
    dump = run("pkcs15-tool", "-D")
    for name in (
        "PKCS#15 Card [HCA card]",
        "PIN [PIN]",
        "PIN [PUK]",
        "Private RSA Key [HCA signature key]",
        "Private RSA Key [HCA encryption key]",
        "Public RSA Key [HCA signature key]",
        "X.509 Certificate [HCA signature certificate]",
        "X.509 Certificate [HCA encryption certificate]",
        "X.509 Certificate [HCA CA certificate]",
        "X.509 Certificate [HCA GCA certificate]",
        "X.509 Certificate [HCA GRCA certificate]",
        "Serial number  : 000000335361",
        "Manufacturer ID: HCA-AGENT SIMULATOR",
        "Data object 'Basic data'",
    ):
        assert name in dump


@pytest.mark.parametrize("kind", ["hpc-v1"])
def test_an_old_card_shows_one_key_of_1024_bits(run: Run) -> None:
    # Shows only: OpenSC's driver for the applet signs with no key shorter than 2048 bits.
    dump = run("pkcs15-tool", "-D")
    assert "Private RSA Key [HCA signature key]" in dump
    assert "ModLength      : 1024" in dump
    assert "encryption" not in dump


@pytest.mark.parametrize("kind", ["hop", "citizen"])
def test_other_cards_sign_through_pkcs11(run: Run, tmp_path: Path) -> None:
    sign_and_verify(run, tmp_path, "123456")


def sign_and_verify(run: Run, folder: Path, pin: str) -> None:
    (folder / "document").write_bytes(DOCUMENT)
    run(
        "pkcs11-tool", "--login", "--pin", pin, "--sign", "--mechanism", "SHA256-RSA-PKCS", "--id", "01",
        "--input-file", "document", "--output-file", "signature",
    )  # fmt: skip
    public_key(run, "01", folder / "public")
    assert "Verified OK" in run(
        "openssl", "dgst", "-sha256", "-verify", "public", "-signature", "signature", "document"
    )


def test_what_pkcs11_signs_openssl_verifies(run: Run, tmp_path: Path) -> None:
    sign_and_verify(run, tmp_path, "123456")


def test_what_openssl_encrypts_pkcs11_and_pkcs15_decipher(run: Run, tmp_path: Path) -> None:
    (tmp_path / "document").write_bytes(DOCUMENT)
    public_key(run, "02", tmp_path / "public")
    run("openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "public", "-in", "document", "-out", "cipher")
    run(
        "pkcs11-tool", "--login", "--pin", "123456", "--decrypt", "--mechanism", "RSA-PKCS", "--id", "02",
        "--input-file", "cipher", "--output-file", "plain",
    )  # fmt: skip
    assert (tmp_path / "plain").read_bytes() == DOCUMENT
    run(
        "pkcs15-crypt", "--decipher", "--pkcs1", "--key", "02", "--pin", "123456",
        "--input", "cipher", "--output", "again",
    )  # fmt: skip
    assert (tmp_path / "again").read_bytes() == DOCUMENT


def test_a_wrong_pin_is_refused_and_lowers_the_counter(run: Run) -> None:
    assert "63 C3" in status_of_pin(run)
    assert "PIN code or key incorrect" in run("pkcs15-tool", "--verify-pin", "--pin", "999999", code=255)
    assert "63 C2" in status_of_pin(run)
    run("pkcs15-tool", "--verify-pin", "--pin", "123456")


def status_of_pin(run: Run) -> str:
    """What the card answers to VERIFY without data, in opensc-tool's words with a space between the bytes."""
    printed = run("opensc-tool", "--send-apdu", "00:20:00:01")
    return printed.replace("SW1=0x", "").replace(", SW2=0x", " ")


def test_the_pin_is_changed_and_unblocked(run: Run, tmp_path: Path) -> None:
    run("pkcs15-tool", "--change-pin", "--pin", "123456", "--new-pin", "7654321")
    run("pkcs15-tool", "--verify-pin", "--pin", "7654321")
    for _ in range(3):
        run("pkcs15-tool", "--verify-pin", "--pin", "123456", code=255)
    assert "69 83" in status_of_pin(run)
    run("pkcs15-tool", "--unblock-pin", "--puk", "12345678", "--new-pin", "654321")
    sign_and_verify(run, tmp_path, "654321")


def test_the_test_of_pkcs11_tool_finds_no_fault_with_keys_and_pin(run: Run) -> None:
    # Its one error is OpenSC's own: the driver gives random numbers from no card of this applet version.
    printed = run("pkcs11-tool", "--login", "--pin", "123456", "--test")
    assert "\n1 errors\n" in printed
    assert "C_GenerateRandom failed" in printed
    for mechanism in ("RSA-PKCS: OK", "SHA1-RSA-PKCS: OK", "SHA256-RSA-PKCS: OK"):
        assert mechanism in printed
