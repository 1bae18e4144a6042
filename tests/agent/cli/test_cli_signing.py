"""`sign`, `verify`, `encrypt`, `decrypt` on simulated cards; openssl is the independent judge."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from agent.cli import composition
from tests.support.command_line import answer
from tests.support.openssl import openssl_program

PIN = "123456\n"
HPC = ("--simulate", "hpc")
PKCS1 = (*HPC, "--format", "pkcs1")


def certificate(invoke, index: int) -> bytes:
    listed = answer(invoke("certs", *HPC, "--json"))["certificates"]
    return base64.b64decode(listed[index]["certificate"])


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "出生通報.txt"
    file.write_text("出生通報 birth report\n", encoding="utf-8")
    return file


def signature_of(document: Path) -> Path:
    return document.with_name(document.name + ".sig")


def test_a_signature_is_what_openssl_verifies(invoke, document: Path, tmp_path: Path):
    result = invoke("sign", document, *PKCS1, "--pin-stdin", input=PIN)
    assert result.exit_code == 0, result.output
    assert "✔" in result.stdout and "模擬卡" in result.stdout
    pem = (
        x509.load_der_x509_certificate(certificate(invoke, 1))
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "key.pem").write_bytes(pem)
    command = [
        openssl_program(),
        "dgst",
        "-sha256",
        "-verify",
        "key.pem",
        "-signature",
        signature_of(document),
        document,
    ]
    judged = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified OK" in judged.stdout, judged.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("words", "suffix"), [((), ".p7m"), (("--detached",), ".p7s")])
def test_a_cms_signature_is_what_openssl_verifies(
    invoke, document: Path, tmp_path: Path, words: tuple[str, ...], suffix: str
):
    result = invoke("sign", document, *HPC, "--format", "cms", *words, "--pin-stdin", input=PIN)
    assert result.exit_code == 0, result.output
    signer = x509.load_der_x509_certificate(certificate(invoke, 1))
    (tmp_path / "signer.pem").write_bytes(signer.public_bytes(serialization.Encoding.PEM))
    command = [openssl_program(), "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any"]
    command += ["-partial_chain", "-CAfile", "signer.pem", "-in", document.with_name(document.name + suffix)]
    command += ["-content", document] if words else []
    judged = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (judged.returncode, judged.stdout) == (0, document.read_bytes()), judged.stderr


def test_several_files_need_one_pin(invoke, tmp_path: Path):
    documents = [tmp_path / f"{number}.txt" for number in range(3)]
    for file in documents:
        file.write_text(file.name, encoding="utf-8")
    result = invoke("sign", *documents, *PKCS1, "--pin-stdin", "--hash", "SHA-512", input=PIN)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("✔") == 3
    key = x509.load_der_x509_certificate(certificate(invoke, 1)).public_key()
    for file in documents:
        key.verify(signature_of(file).read_bytes(), file.read_bytes(), padding.PKCS1v15(), hashes.SHA512())


def test_a_wrong_pin_costs_one_try_however_many_files_there_are(
    invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from pcsc.virtual import VirtualWinscard
    from tests.support.cards import simulated

    winscard, card = VirtualWinscard(), simulated("hpc")
    winscard.add_reader("Simulator").insert(card)
    monkeypatch.setattr(composition, "_simulated", lambda kinds, paths: winscard)
    documents = [tmp_path / f"{number}.txt" for number in range(3)]
    for file in documents:
        file.write_text(file.name, encoding="utf-8")
    result = invoke("sign", *documents, *PKCS1, "--pin-stdin", input="999999\n")
    assert result.exit_code == 1
    assert "(pin.wrong)" in result.stderr and result.stderr.count("未簽署") == 3
    assert not any(signature_of(file).exists() for file in documents)
    status = answer(invoke("pin", "status", *HPC, "--json"))
    assert status["triesLeft"] == 2


def test_a_refused_document_does_not_stop_the_others(invoke, document: Path, tmp_path: Path):
    login = tmp_path / "login"
    login.write_bytes(bytes(range(128, 192)))
    result = invoke("sign", login, document, *PKCS1, "--pin-stdin", input=PIN)
    assert result.exit_code == 1
    assert f"{login}" in result.stderr and "(document.refused)" in result.stderr
    assert signature_of(document).exists() and not signature_of(login).exists()


@pytest.mark.parametrize("pin", ["", "\n", "x" * 100, "密碼密碼密碼\n"])
def test_standard_input_without_a_pin_is_a_wrong_call(invoke, document: Path, pin: str):
    result = invoke("sign", document, *PKCS1, "--pin-stdin", input=pin)
    assert result.exit_code == 2
    assert not signature_of(document).exists()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("hpc-locked", "pin.locked"),
        ("hpc-last-try", "pin.last_try"),
        ("hpc-not-activated", "card.not_activated"),
        ("hpc-terminated", "card.terminated"),
        ("nhi", "card.unsupported"),
        ("hpc-mute", "card.mute"),
    ],
)
def test_a_card_that_cannot_sign_says_why(invoke, document: Path, kind: str, error: str):
    result = invoke("sign", document, "--format", "pkcs1", "--simulate", kind, "--pin-stdin", input=PIN)
    assert result.exit_code == 1
    assert f"({error}" in result.stderr
    assert not signature_of(document).exists()


def test_without_terminal_and_standard_input_nobody_can_give_the_pin(invoke, document: Path):
    result = invoke("sign", document, *PKCS1)
    assert result.exit_code == 1
    assert "pin.unavailable" in result.stderr


def test_a_signature_that_exists_is_kept_unless_forced(invoke, document: Path):
    signature_of(document).write_bytes(b"precious")
    result = invoke("sign", document, *PKCS1, "--pin-stdin", input=PIN)
    assert result.exit_code == 2
    assert signature_of(document).read_bytes() == b"precious"
    assert invoke("sign", document, *PKCS1, "--pin-stdin", "--force", input=PIN).exit_code == 0
    assert len(signature_of(document).read_bytes()) == 256
    assert {file.name for file in document.parent.iterdir()} == {
        "home",
        document.name,
        signature_of(document).name,
    }


def test_results_go_where_they_are_sent(invoke, document: Path, tmp_path: Path):
    assert invoke("sign", document, *PKCS1, "--pin-stdin", "-o", tmp_path / "x.sig", input=PIN).exit_code == 0
    folder = tmp_path / "results"
    folder.mkdir()
    assert invoke("sign", document, *PKCS1, "--pin-stdin", "-o", folder, input=PIN).exit_code == 0
    assert (folder / signature_of(document).name).read_bytes() == (tmp_path / "x.sig").read_bytes()


def test_two_results_in_one_file_are_a_wrong_call(invoke, document: Path, tmp_path: Path):
    other = tmp_path / "other.txt"
    other.write_text("x")
    assert invoke("sign", document, other, *PKCS1, "-o", tmp_path / "one.sig").exit_code == 2
    assert invoke("sign", document, document, *PKCS1).exit_code == 2
    assert invoke("sign", document, *PKCS1, "-o", tmp_path / "none" / "x.sig").exit_code == 2


def test_a_signature_verifies_with_the_certificate_in_either_form(invoke, document: Path, tmp_path: Path):
    invoke("sign", document, *PKCS1, "--pin-stdin", input=PIN)
    der = certificate(invoke, 1)
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    for content in (der, pem, b"subject=x\n" + pem):
        (tmp_path / "certificate").write_bytes(content)
        words = ("verify", document, *HPC, "--certificate", tmp_path / "certificate")
        result = invoke(*words)
        assert result.exit_code == 0, result.output
        assert "有效" in result.stdout and "測試人員卡" in result.stdout
        told = answer(invoke(*words, "--json"))
        assert told["valid"] is True
        assert [each["verdict"] for each in told["documents"]] == ["valid"]


def test_without_a_certificate_the_one_of_the_card_is_taken(invoke, document: Path):
    invoke("sign", document, *PKCS1, "--pin-stdin", input=PIN)
    assert invoke("verify", document, *HPC).exit_code == 0


@pytest.mark.parametrize("change", ["document", "signature", "hash", "certificate"])
def test_what_was_changed_does_not_verify(invoke, document: Path, tmp_path: Path, change: str):
    invoke("sign", document, *PKCS1, "--pin-stdin", input=PIN)
    (tmp_path / "certificate").write_bytes(certificate(invoke, 2 if change == "certificate" else 1))
    signature = signature_of(document)
    if change == "document":
        document.write_text("another")
    elif change == "signature":
        signature.write_bytes(signature.read_bytes()[::-1])
    hash_name = "SHA-512" if change == "hash" else "SHA-256"
    words = ("verify", document, *HPC, "--certificate", tmp_path / "certificate", "--hash", hash_name)
    result = invoke(*words)
    assert result.exit_code == 1
    assert "簽章無效" in result.stdout
    told = answer(invoke(*words, "--json"))
    assert told["valid"] is False and told["documents"][0]["signatures"][0]["unchanged"] is False


def test_a_simulated_card_is_never_valid_where_no_simulation_was_asked_for(invoke, document: Path):
    invoke("sign", document, *HPC, "--format", "cms", "--pin-stdin", input=PIN)
    told = answer(invoke("verify", document, "--json"))
    assert told["valid"] is False
    assert "chain.simulated" in {each["finding"] for each in told["documents"][0]["signatures"][0]["remarks"]}


@pytest.fixture
def signed(invoke, document: Path):
    """Signs the document as CMS on the simulated card; gives the signature's file."""

    def sign(*words: str) -> Path:
        result = invoke("sign", document, *HPC, "--format", "cms", *words, "--pin-stdin", input=PIN)
        assert result.exit_code == 0, result.output
        return document.with_name(document.name + (".p7s" if words else ".p7m"))

    return sign


@pytest.mark.parametrize("words", [(), ("--detached",)])
def test_our_own_cms_signature_is_found_beside_its_document_and_holds(
    invoke, document: Path, tmp_path: Path, signed, words: tuple[str, ...]
):
    signature = signed(*words)
    result = invoke("verify", document, *HPC)
    assert result.exit_code == 0, result.output
    assert "有效" in result.stdout and "測試人員卡" in result.stdout
    assert answer(invoke("verify", document, "--signature", signature, *HPC, "--json"))["valid"] is True
    (tmp_path / "certificate").write_bytes(certificate(invoke, 1))
    assert invoke("verify", document, *HPC, "--certificate", tmp_path / "certificate").exit_code == 0
    (tmp_path / "certificate").write_bytes(certificate(invoke, 2))
    other = invoke("verify", document, *HPC, "--certificate", tmp_path / "certificate")
    assert other.exit_code == 1 and "另一張憑證" in other.stdout
    pem = b"-----BEGIN CMS-----\n" + base64.encodebytes(signature.read_bytes()) + b"-----END CMS-----\n"
    signature.write_bytes(pem)
    assert invoke("verify", document, *HPC).exit_code == 0
    document.write_text("another")
    changed = invoke("verify", document, *HPC)
    assert changed.exit_code == 1 and "被改過" in changed.stdout


def test_a_cms_file_that_holds_its_document_is_verified_alone(invoke, document: Path, signed):
    assert invoke("verify", signed(), *HPC).exit_code == 0
    signature = signed("--detached")
    assert invoke("verify", signature, *HPC).exit_code == 0  # the document beside it is found
    moved = signature.rename(signature.with_name("other.p7s"))
    alone = invoke("verify", moved, *HPC)
    assert alone.exit_code == 3 and "沒有附上文件" in alone.stdout


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n-----END PGP SIGNATURE-----\n",
        b"a text that is just as long as a signature ".ljust(256, b"."),
        b'{"signatures": "none of ours"}',
        bytes.fromhex("308006092A864886F70D010702A080") + bytes(300),
        b"\x01" * 128,
    ],
    ids=["OpenPGP", "a text of 256 bytes", "JSON", "CMS in BER", "too short for the key"],
)
def test_a_format_that_is_not_known_is_said_to_be_that(
    invoke, document: Path, tmp_path: Path, content: bytes
):
    (tmp_path / "certificate").write_bytes(certificate(invoke, 1))
    signature_of(document).write_bytes(content)
    words = ("verify", document, *HPC, "--certificate", tmp_path / "certificate")
    result = invoke(*words)
    assert result.exit_code == 3
    assert "無法判定" in result.stdout and "不符" not in result.stdout
    told = answer(invoke(*words, "--json"))
    assert told["valid"] is False and told["documents"][0]["verdict"] == "cannot-be-decided"


def test_what_is_no_certificate_is_named(invoke, document: Path, tmp_path: Path):
    signature_of(document).write_bytes(bytes(256))
    result = invoke("verify", document, "--certificate", document)
    assert result.exit_code == 1
    assert "(certificate.malformed" in result.stderr


def test_a_signature_that_is_not_there_is_a_wrong_call(invoke, document: Path):
    result = invoke("verify", document, "--certificate", document)
    assert result.exit_code == 2
    assert "--signature" in result.stderr


def test_sha_1_verifies_old_documents_and_signs_none(invoke, document: Path):
    assert invoke("sign", document, *PKCS1, "--pin-stdin", "--hash", "SHA-1", input=PIN).exit_code == 2
    signature_of(document).write_bytes(bytes(256))
    assert invoke("verify", document, *HPC, "--hash", "SHA-1").exit_code == 1
