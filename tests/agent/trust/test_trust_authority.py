"""Which certificates are ours, and which only look like it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent import tls
from agent.trust import authority, own_authorities, read
from tests.support.trust import current, made


def certificate(
    *,
    serial: int = 0x1234ABCD,
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    basic: tuple[x509.BasicConstraints, bool] | None = (x509.BasicConstraints(ca=True, path_length=0), True),
    names: tuple[x509.NameConstraints, bool] | None = None,
    unlimited: bool = False,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """A certificate like ours in everything that is not said."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or tls.ca_name(serial))
        .issuer_name(issuer or tls.ca_name(serial))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=9))
    )
    if basic is not None:
        builder = builder.add_extension(basic[0], basic[1])
    if not unlimited:
        limits, critical = names or (tls.LOOPBACK.constraints(), True)
        builder = builder.add_extension(limits, critical)
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(Encoding.DER)


def more_names() -> x509.NameConstraints:
    ours = tls.LOOPBACK.constraints().permitted_subtrees
    assert ours is not None
    return x509.NameConstraints([*ours, x509.DNSName("bank.example")], None)


def named(organization: str, common_name: str) -> x509.Name:
    kinds = (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    words = (organization, common_name)
    return x509.Name([x509.NameAttribute(kind, word) for kind, word in zip(kinds, words, strict=True)])


def test_what_the_agent_makes_is_ours(tmp_path: Path) -> None:
    made_one = current(made(tmp_path))
    assert read(made_one.der) == made_one
    assert made_one.name.startswith("HCA Card Agent localhost CA ")
    assert x509.load_pem_x509_certificate(made_one.pem).public_bytes(Encoding.DER) == made_one.der
    loaded = x509.load_der_x509_certificate(made_one.der)
    assert bytes.fromhex(made_one.sha1) == loaded.fingerprint(hashes.SHA1())
    assert bytes.fromhex(made_one.sha256) == loaded.fingerprint(hashes.SHA256())


def test_the_builder_of_these_tests_makes_one_that_is_ours() -> None:
    assert read(certificate()) is not None


OTHERS: dict[str, Callable[[], bytes]] = {
    "another organization": lambda: certificate(
        subject=named("HCA Card Agent Inc", tls.ca_common_name(0x1234ABCD)),
        issuer=named("HCA Card Agent Inc", tls.ca_common_name(0x1234ABCD)),
    ),
    "a name with another serial number": lambda: certificate(
        subject=tls.ca_name(5), issuer=tls.ca_name(5), serial=6
    ),
    "the name alone, issued by somebody else": lambda: certificate(issuer=named("Corporate", "Root")),
    "no constraints": lambda: certificate(unlimited=True),
    "constraints that allow one more name": lambda: certificate(names=(more_names(), True)),
    "constraints that need not be obeyed": lambda: certificate(names=(tls.LOOPBACK.constraints(), False)),
    "no CA": lambda: certificate(basic=(x509.BasicConstraints(ca=False, path_length=None), True)),
    "a CA above other CAs": lambda: certificate(basic=(x509.BasicConstraints(ca=True, path_length=1), True)),
    "no basic constraints": lambda: certificate(basic=None),
    "signed with another key": lambda: certificate(signer=ec.generate_private_key(ec.SECP256R1())),
    "torn": lambda: certificate()[:-9],
    "with something behind it": lambda: certificate() + certificate(),
    "words": lambda: b"HCA Card Agent",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("made_by", OTHERS.values(), ids=OTHERS.keys())
def test_what_only_looks_like_ours_is_not(made_by: Callable[[], bytes]) -> None:
    assert read(made_by()) is None


def test_the_leaf_is_no_authority_of_ours(tmp_path: Path) -> None:
    leaf = x509.load_pem_x509_certificate(tls.ensure(tmp_path).leaf.read_bytes())
    assert read(leaf.public_bytes(Encoding.DER)) is None


def test_an_empty_folder_knows_none_and_stays_empty(tmp_path: Path) -> None:
    nothing = own_authorities(tmp_path / "tls")
    assert nothing.current is None
    assert nothing.former == ()
    assert not (tmp_path / "tls").exists()


def test_a_renewed_authority_is_known_as_a_former_one(tmp_path: Path) -> None:
    generations = []
    for generation in range(3):
        now = datetime.now(UTC) - timedelta(days=4 * 800 - generation * 800)
        tls.ensure(tmp_path, now=now)
        generations.append(current(own_authorities(tmp_path)))
    last = own_authorities(tmp_path)
    assert last.current == generations[2]
    assert last.former == (generations[0], generations[1])


def test_certificates_are_found_between_other_text() -> None:
    first, second = certificate(), certificate(serial=7)
    pem = [x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in (first, second)]
    torn = b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n"
    text = b"# comment\n" + pem[0] + torn + b"\r\n" + pem[1].replace(b"\n", b"\r\n")
    assert list(authority.certificates(text)) == [first, second]


def test_the_components_authority_is_ours_and_told_from_the_usual_one(tmp_path: Path) -> None:
    tls.ensure(tmp_path)
    tls.ensure(tmp_path, tls.NHI_COMPONENT)
    usual, special = current(own_authorities(tmp_path)), current(own_authorities(tmp_path, tls.NHI_COMPONENT))
    assert read(special.der) == special
    assert (usual.scope, special.scope) == (tls.LOOPBACK, tls.NHI_COMPONENT)
    assert special.name.startswith("HCA Card Agent iccert.nhi.gov.tw CA ")


def test_the_name_of_one_scope_with_the_limits_of_another_is_not_ours() -> None:
    mixed = tls.ca_name(0x1234ABCD, tls.NHI_COMPONENT)
    assert read(certificate(subject=mixed, issuer=mixed)) is None
    assert read(certificate(names=(tls.NHI_COMPONENT.constraints(), True))) is None
    assert (
        read(certificate(subject=mixed, issuer=mixed, names=(tls.NHI_COMPONENT.constraints(), True)))
        is not None
    )
