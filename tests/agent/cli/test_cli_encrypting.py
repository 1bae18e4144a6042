"""`encrypt` and `decrypt` on simulated cards: whole or nothing, to one or many."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support.command_line import answer
from tests.support.hipki import openssl
from tests.support.platforms import WINDOWS
from tests.support.software_card import encryption_certificate, issue, rsa_key, signature_certificate

PIN = "123456\n"
HPC = ("--simulate", "hpc")
WITH_PIN = (*HPC, "--pin-stdin")
TEXT = "處方 prescription\n".encode() * 5000


def certificate(invoke, kind: str = "hpc") -> bytes:
    listed = answer(invoke("certs", "--simulate", kind, "--json"))["certificates"]
    return base64.b64decode(listed[2]["certificate"])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    file = tmp_path / "處方.txt"
    file.write_bytes(TEXT)
    return file


def left_beside(file: Path) -> set[str]:
    return {each.name for each in file.parent.iterdir() if each.is_file()} - {file.name}


def test_what_is_encrypted_decrypts(invoke, plain: Path, tmp_path: Path):
    assert invoke("encrypt", plain, *HPC).exit_code == 0
    cipher = tmp_path / "處方.txt.p7m"
    refused = invoke("decrypt", cipher, *WITH_PIN, input=PIN)
    assert refused.exit_code == 2 and plain.read_bytes() == TEXT
    target = tmp_path / "decrypted"
    result = invoke("decrypt", cipher, "-o", target, *WITH_PIN, input=PIN)
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == TEXT
    assert WINDOWS or stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "123456" not in result.output


def test_encrypting_to_certificates_needs_no_card_and_each_card_opens_it(invoke, plain: Path, tmp_path: Path):
    for kind in ("hpc", "hop"):
        (tmp_path / kind).write_bytes(certificate(invoke, kind))
    words = ("encrypt", plain, "--to", tmp_path / "hpc", "--to", tmp_path / "hop")
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("recipient") == 2
    assert "does not know the authority" in result.stderr  # simulated cards are trusted nowhere
    assert invoke(*words).exit_code == 2
    assert invoke(*words, "--force").exit_code == 0
    for kind in ("hpc", "hop"):
        target = tmp_path / f"of {kind}"
        found = ("decrypt", tmp_path / "處方.txt.p7m", "-o", target, "--simulate", kind, "--pin-stdin")
        assert invoke(*found, input=PIN).exit_code == 0
        assert target.read_bytes() == TEXT


def test_of_several_cards_the_recipients_is_taken(invoke, plain: Path, tmp_path: Path):
    assert invoke("encrypt", plain, "--simulate", "hop").exit_code == 0
    target = tmp_path / "again"
    words = ("decrypt", tmp_path / "處方.txt.p7m", "-o", target, "--simulate", "hpc,hop", "--pin-stdin")
    result = invoke(*words, input=PIN)
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == TEXT


def test_what_is_for_another_card_asks_no_pin(invoke, plain: Path):
    assert invoke("encrypt", plain, "--simulate", "hop").exit_code == 0
    result = invoke("decrypt", f"{plain}.p7m", "-o", f"{plain}.dec", *WITH_PIN, input="000000\n")
    assert result.exit_code == 1
    assert "(cipher.not_for_card" in result.stderr
    assert left_beside(plain) == {"處方.txt.p7m"}


@pytest.mark.parametrize("change", ["one bit", "cut off"])
def test_a_changed_file_leaves_nothing_behind(invoke, plain: Path, change: str):
    assert invoke("encrypt", plain, *HPC).exit_code == 0
    cipher = Path(f"{plain}.p7m")
    whole = bytearray(cipher.read_bytes())
    whole[-1000] ^= 1
    cipher.write_bytes(whole if change == "one bit" else whole[:-1000])
    result = invoke("decrypt", cipher, "-o", f"{plain}.dec", *WITH_PIN, input=PIN)
    assert result.exit_code == 1
    assert "(cipher.damaged" in result.stderr
    assert left_beside(plain) == {"處方.txt.p7m"}


def test_cbc_of_others_is_opened_where_it_is_asked_for(invoke, plain: Path, tmp_path: Path):
    (tmp_path / "to.der").write_bytes(certificate(invoke))
    cipher = tmp_path / "cbc"
    openssl(
        "cms", "-encrypt", "-binary", "-stream", "-aes256", "-in", str(plain), "-out", str(cipher),
        "-outform", "DER", "-recip", str(tmp_path / "to.der"),
    )  # fmt: skip
    result = invoke("decrypt", cipher, *WITH_PIN, input=PIN)
    assert (result.exit_code, (tmp_path / "cbc.dec").exists()) == (1, False)
    assert "(cipher.unprotected" in result.stderr
    result = invoke("decrypt", cipher, "--unprotected", *WITH_PIN, input=PIN)
    assert (result.exit_code, (tmp_path / "cbc.dec").read_bytes()) == (0, TEXT)
    assert "nothing proves" in result.stderr


def test_one_rsa_block_is_decrypted_too(invoke, tmp_path: Path):
    key = x509.load_der_x509_certificate(certificate(invoke)).public_key()
    (tmp_path / "data.enc").write_bytes(key.encrypt("處方".encode(), padding.PKCS1v15()))
    assert invoke("decrypt", tmp_path / "data.enc", *WITH_PIN, input=PIN).exit_code == 0
    assert (tmp_path / "data").read_text(encoding="utf-8") == "處方"


def test_a_bad_block_leaves_no_file(invoke, tmp_path: Path):
    (tmp_path / "data.enc").write_bytes(bytes(256))
    result = invoke("decrypt", tmp_path / "data.enc", *WITH_PIN, input=PIN)
    assert result.exit_code == 1
    assert "(cipher.invalid" in result.stderr and not (tmp_path / "data").exists()


def test_what_is_not_encrypted_is_told_as_that(invoke, plain: Path):
    result = invoke("decrypt", plain, *WITH_PIN, input=PIN)
    assert (result.exit_code, left_beside(plain)) == (1, set())
    assert "(cipher.format" in result.stderr


@pytest.mark.parametrize(
    ("refused", "told"),
    [("signature", "certificate.wrong_use"), ("expired", "certificate.expired"), ("text", "malformed")],
)
def test_a_certificate_that_is_no_recipients_is_named(
    invoke, plain: Path, tmp_path: Path, refused: str, told: str
):
    certificates = {
        "signature": signature_certificate(),
        "expired": issue(
            key=rsa_key("encryption"),
            usages=("key_encipherment",),
            ends=datetime.now(UTC) - timedelta(days=1),
        ),
        "text": b"text",
    }
    (tmp_path / "good.der").write_bytes(encryption_certificate())
    (tmp_path / "bad.der").write_bytes(certificates[refused])
    words = ("--to", tmp_path / "good.der", "--to", tmp_path / "bad.der")
    result = invoke("encrypt", plain, *words, "--offline")
    assert result.exit_code == 1
    assert told in result.stderr and "bad.der" in result.stderr
    assert left_beside(plain) == {"good.der", "bad.der"}
