"""`verify` with what HiPKI's component, P12Sign and old portals make: PKCS7, PKCS#1 with a certificate."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signing.cms.build import CmsForm, sign_cms
from signing.hashes import Hash
from tests.agent.cli.conftest import Invoke
from tests.support.command_line import answer
from tests.support.openssl import openssl_program
from tests.support.test_pki import key, pki, sign_with

DOCUMENT = "健保申報 王測試".encode()
CHANGED = DOCUMENT.replace("王".encode(), "李".encode())


@pytest.fixture
def trusting(home: Path) -> None:
    """An administrator who trusts the root of the test PKI, and asks nobody about revocation."""
    (home / "root.pem").write_bytes(pem("root"))
    (home / "ca.pem").write_bytes(pem("ca"))
    (home / "config.toml").write_text(
        "[certificates]\n"
        f'roots = ["{home / "root.pem"}"]\nonline = false\n'
        f'[verification]\nintermediates = ["{home / "ca.pem"}"]\nrevocation = "preferred"\n'
    )


def pem(label: str) -> bytes:
    return x509.load_der_x509_certificate(pki().certificate(label)).public_bytes(Encoding.PEM)


def hipki() -> bytes:
    """As the component answers `PKCS7`: the document inside, card number and the portal's nonce signed."""
    form = CmsForm(card_number=True, nonce=b"0123456789abcdef")
    return sign_cms(pki().card(), DOCUMENT, Hash.SHA_256, form)


def p12sign(folder: Path, *words: str) -> bytes:
    """As programs with a .p12 file make it: PKCS #7 by the certificate's software key."""
    private = key("rsa").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, content in (("key", private), ("signer", pem("rsa")), ("document", DOCUMENT)):
        (folder / name).write_bytes(content)
    command = [openssl_program(), "smime", "-sign", "-binary", "-in", "document", "-signer", "signer"]
    command += ["-inkey", "key", "-md", "sha256", "-out", "made", *words]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return (folder / "made").read_bytes()


MADE: dict[str, Callable[[Path], bytes]] = {
    "HiPKI's PKCS7": lambda _: hipki(),
    "P12Sign's PKCS7": lambda folder: p12sign(folder, "-nodetach", "-outform", "DER"),
    "P12Sign's PKCS7 without attributes": lambda folder: p12sign(
        folder, "-nodetach", "-noattr", "-outform", "DER"
    ),
    "P12Sign's PKCS7 as text": lambda folder: p12sign(folder, "-nodetach", "-outform", "PEM"),
}


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("what", MADE)
def test_a_pkcs7_of_somebody_else_is_verified_and_one_character_changed_is_found(
    invoke: Invoke, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "signed.p7m"
    file.write_bytes(MADE[what](tmp_path))
    done = invoke("verify", file, "--json")
    assert done.exit_code == 0, done.output
    [signature] = answer(done)["documents"][0]["signatures"]
    assert (signature["format"], signature["signer"]["name"]) == ("cms", "王測試")
    assert len(signature["chain"]) == 3
    der = file.read_bytes()
    if DOCUMENT in der:
        file.write_bytes(der.replace(DOCUMENT, CHANGED))
        assert "被改過" in invoke("verify", file).stdout


@pytest.mark.usefixtures("trusting")
def test_a_detached_pkcs7_is_verified_beside_its_document(invoke: Invoke, tmp_path: Path) -> None:
    signature = p12sign(tmp_path, "-outform", "DER")
    (tmp_path / "document.p7s").write_bytes(signature)
    assert invoke("verify", tmp_path / "document").exit_code == 0
    (tmp_path / "document").write_bytes(CHANGED)
    assert invoke("verify", tmp_path / "document").exit_code == 1


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("label", ["rsa", "ec"])
def test_a_bare_value_is_verified_with_its_certificate(invoke: Invoke, tmp_path: Path, label: str) -> None:
    document, certificate = tmp_path / "old.txt", tmp_path / "signer.pem"
    certificate.write_bytes(pem(label))
    for algorithm, code in ((Hash.SHA_256, 0), (Hash.SHA_1, 3)):
        document.write_bytes(DOCUMENT)
        value = sign_with(label, algorithm.digest(DOCUMENT), algorithm)
        (tmp_path / "old.txt.sig").write_bytes(value)
        words = ("verify", document, "--certificate", certificate, "--hash", algorithm.value)
        assert invoke(*words).exit_code == code
        document.write_bytes(CHANGED)
        assert invoke(*words).exit_code == 1
