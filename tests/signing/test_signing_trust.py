"""Chains to trusted roots, without network; openssl is the independent judge."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from signing.errors import (
    CertificateExpiredError,
    CertificateMalformedError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    SigningError,
)
from signing.trust import check_period, validate_chain
from tests.support.openssl import openssl_program
from tests.support.software_card import NOW, issue, root, rsa_key


def intermediate(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "key": rsa_key("intermediate"),
        "subject": "測試下屬憑證中心",
        "usages": ("key_cert_sign", "crl_sign"),
        "ca": True,
    }
    return issue(**{**arguments, **changes})  # type: ignore[arg-type]


def leaf(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "key": rsa_key("signature"),
        "issuer": "測試下屬憑證中心",
        "issuer_key": rsa_key("intermediate"),
    }
    return issue(**{**arguments, **changes})  # type: ignore[arg-type]


def openssl_believes(der: bytes, between: list[bytes], at: datetime, folder: Path) -> bool:
    def pem(name: str, certificates: list[bytes]) -> str:
        texts = [
            x509.load_der_x509_certificate(one).public_bytes(serialization.Encoding.PEM)
            for one in certificates
        ]
        (folder / name).write_bytes(b"".join(texts))
        return name

    command = [openssl_program(), "verify", "-attime", str(int(at.timestamp())), "-no-CApath", "-no-CAstore"]
    command += ["-CAfile", pem("root", [root()])]
    if between:
        command += ["-untrusted", pem("between", between)]
    return (
        subprocess.run(
            [*command, pem("leaf", [der])], cwd=folder, capture_output=True, check=False
        ).returncode
        == 0
    )


CASES: dict[str, tuple[bytes, list[bytes], datetime, type[SigningError] | None]] = {
    "through an intermediate": (leaf(), [intermediate()], NOW, None),
    "directly under the root": (issue(key=rsa_key("signature")), [], NOW, None),
    "intermediate missing": (leaf(), [], NOW, CertificateUntrustedError),
    "intermediate that is no authority": (
        leaf(),
        [intermediate(ca=False, usages=("digital_signature",))],
        NOW,
        CertificateUntrustedError,
    ),
    "intermediate expired": (
        leaf(),
        [intermediate(ends=NOW - timedelta(days=1))],
        NOW,
        CertificateExpiredError,
    ),
    "intermediate not yet valid": (
        leaf(),
        [intermediate(begins=NOW + timedelta(days=1))],
        NOW,
        CertificateNotYetValidError,
    ),
    "signed by a holder": (
        leaf(issuer="測試人員卡", issuer_key=rsa_key("holder")),
        [issue(key=rsa_key("holder"))],
        NOW,
        CertificateUntrustedError,
    ),
    "before its time": (leaf(), [intermediate()], NOW - timedelta(days=400), CertificateNotYetValidError),
    "after its time": (leaf(), [intermediate()], NOW + timedelta(days=400), CertificateExpiredError),
}


@pytest.mark.parametrize("case", CASES)
def test_a_chain_is_believed_when_openssl_believes_it(case: str, tmp_path: Path):
    der, between, at, error = CASES[case]
    assert openssl_believes(der, between, at, tmp_path) is (error is None)
    if error is None:
        validate_chain(der, [root()], between, at)
        return
    with pytest.raises(error) as caught:
        validate_chain(der, [root()], between, at)
    assert type(caught.value) is error


def test_a_certificate_is_in_time_from_its_first_second_to_its_last():
    ends, second = NOW + timedelta(days=1), timedelta(seconds=1)
    der = leaf(begins=NOW, ends=ends)
    check_period(der, NOW)
    check_period(der, ends)
    with pytest.raises(CertificateNotYetValidError):
        check_period(der, NOW - second)
    with pytest.raises(CertificateExpiredError):
        check_period(der, ends + second)


def test_an_expired_certificate_is_called_that_whoever_issued_it():
    with pytest.raises(CertificateExpiredError):
        validate_chain(leaf(ends=NOW - timedelta(days=1)), [], [], NOW)


def test_an_intermediate_needs_no_trust_but_gives_none():
    with pytest.raises(CertificateUntrustedError):
        validate_chain(leaf(), [], [intermediate(), root()], NOW)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch):
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier("http://crl.example.tw/1.crl")], None, None, None
    )
    ocsp = x509.AccessDescription(
        x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example.tw/")
    )
    extensions = [x509.CRLDistributionPoints([point]), x509.AuthorityInformationAccess([ocsp])]
    validate_chain(leaf(extensions=extensions), [root()], [intermediate()], NOW)


def test_a_chain_is_validated_inside_a_running_event_loop_too():
    async def portal() -> None:
        validate_chain(leaf(), [root()], [intermediate()], NOW)

    asyncio.run(portal())


def test_a_loop_of_authorities_ends():
    first = intermediate(issuer="乙", issuer_key=rsa_key("holder"), subject="甲")
    second = intermediate(
        key=rsa_key("holder"), issuer="甲", issuer_key=rsa_key("intermediate"), subject="乙"
    )
    with pytest.raises(CertificateUntrustedError):
        validate_chain(leaf(issuer="甲"), [root()], [first, second], NOW)


@pytest.mark.parametrize("rubbish", [b"", b"x", b"\x30\x00", b"\x30\x80\x00\x00", b"\x30\x02\x05\x00"])
def test_rubbish_anywhere_in_a_chain_is_named(rubbish: bytes):
    with pytest.raises(CertificateMalformedError):
        validate_chain(rubbish, [root()], [], NOW)
    with pytest.raises(CertificateMalformedError):
        validate_chain(leaf(), [rubbish], [], NOW)
    with pytest.raises(CertificateMalformedError):
        validate_chain(leaf(), [root()], [rubbish], NOW)
