"""Chains to trusted roots, without network; openssl is the independent judge."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from hca_card.tlv import Tlv, read
from signing.errors import (
    CertificateExpiredError,
    CertificateMalformedError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    SigningError,
)
from signing.trust import check_period, validate_chain
from tests.support.openssl import openssl_program
from tests.support.software_card import NOW, issue, rewritten, root, rsa_key
from tests.support.vectors import sequence


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


def test_a_root_is_nobodys_card():
    with pytest.raises(CertificateUntrustedError, match="root is not a holder's"):
        validate_chain(root(), [root()], [], NOW)


def test_a_validity_that_cannot_be_read_is_none():
    odd = rewritten(leaf(), "ca", times=sequence(b"\x17\x01x", b"\x17\x01x"))
    with pytest.raises(CertificateMalformedError, match="validity"):
        check_period(odd, NOW)


def test_there_is_an_end_to_looking_for_ways(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("signing.path_search.LOOKS", 1)
    assert len(validate_chain(issue(key=rsa_key("signature")), [root()], [], NOW)) == 2
    with pytest.raises(CertificateUntrustedError, match="too many ways"):
        validate_chain(leaf(), [root()], [intermediate()], NOW)


def leaf_by_ecdsa() -> bytes:
    """A certificate that says it was signed by ECDSA, whatever its issuer's key is."""
    ecdsa = sequence(bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
    body, _, value = read(leaf())[0].children
    parts = [each.encode() for each in body.children]
    parts[2] = ecdsa
    return sequence(sequence(*parts), ecdsa, value.encode())


def test_a_method_for_another_kind_of_key_than_the_authoritys_proves_nothing():
    with pytest.raises(CertificateUntrustedError, match="method for another key"):
        validate_chain(leaf_by_ecdsa(), [root()], [intermediate()], NOW)


def test_an_authority_whose_key_nobody_knows_proves_nothing():
    body = [each.encode() for each in read(intermediate())[0].children[0].children]
    curve = sequence(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06052b81040006"))  # secp112r1
    body[6] = sequence(curve, Tlv(0x03, b"\0\x04" + bytes(28)).encode())
    signed = sequence(*body)
    made = rsa_key("ca").sign(signed, padding.PKCS1v15(), hashes.SHA256())
    authority = sequence(signed, read(root())[0].children[1].encode(), Tlv(0x03, b"\0" + made).encode())
    with pytest.raises(CertificateUntrustedError, match="no kind that is known"):
        validate_chain(leaf_by_ecdsa(), [root()], [authority], NOW)


def test_an_authority_that_is_bound_by_a_rule_nobody_here_knows_proves_nothing():
    rule = x509.NameConstraints([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))], None)
    other = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier("1.2.4"))])
    with pytest.raises(CertificateUntrustedError, match="rule that is not understood"):
        validate_chain(leaf(extensions=[other]), [root()], [intermediate(extensions=[rule])], NOW)


def test_a_name_that_cannot_be_decoded_is_equal_to_itself_alone():
    text = bytes.fromhex("1e03 91ab00")  # a BMPString of an octet too many
    odd, other = (
        sequence(sequence(sequence(bytes.fromhex("0603550403"), each), tag=0x31))
        for each in (text, text[:-1] + b"\x01")
    )
    holder = rewritten(issue(key=rsa_key("signature")), "ca", names=odd)
    above = rewritten(root(), "ca", names=odd)
    assert validate_chain(holder, [above], [], NOW) == (above, holder)
    with pytest.raises(CertificateUntrustedError):
        validate_chain(holder, [rewritten(root(), "ca", names=other)], [], NOW)


def test_a_validation_that_would_wait_is_none(monkeypatch: pytest.MonkeyPatch):
    async def waits(_validator: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("pyhanko_certvalidator.CertificateValidator.async_validate_path", waits)
    with pytest.raises(CertificateUntrustedError, match="wait"):
        validate_chain(leaf(), [root()], [intermediate()], NOW)
