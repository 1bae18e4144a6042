"""The installation's own TLS identity, judged by OpenSSL and by a real handshake."""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent import tls
from agent.tls import certificates
from tests.support.openssl import openssl_program


@pytest.fixture
def identity(tmp_path: Path) -> tls.TlsIdentity:
    return tls.ensure(tmp_path / "agent")


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(
        [openssl_program(), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


def test_openssl_shows_the_constraints_of_the_ca(identity: tls.TlsIdentity) -> None:
    text = openssl("x509", "-in", identity.ca, "-noout", "-text")
    constraints = text[text.index("X509v3 Name Constraints: critical") :]
    assert [line.strip() for line in constraints.splitlines()[1:5]] == [
        "Permitted:",
        "DNS:localhost",
        "IP:127.0.0.1/255.255.255.255",
        "IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF",
    ]
    assert "CA:TRUE, pathlen:0" in text
    assert "ASN1 OID: prime256v1" in text


def test_openssl_shows_a_leaf_for_this_machine_only(identity: tls.TlsIdentity) -> None:
    text = openssl("x509", "-in", identity.leaf, "-noout", "-text")
    assert "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n" in text
    assert "TLS Web Server Authentication\n" in text
    assert "X509v3 Key Usage: critical\n                Digital Signature\n" in text
    assert "CA:FALSE" in text


@pytest.mark.parametrize(
    "name",
    [
        ("-verify_hostname", "localhost"),
        ("-verify_ip", "127.0.0.1"),
        ("-verify_ip", "::1"),
    ],
    ids=lambda name: name[1],
)
def test_openssl_accepts_the_leaf_for_each_of_its_names(
    identity: tls.TlsIdentity, name: tuple[str, str]
) -> None:
    said = openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", *name, "-CAfile", identity.ca, identity.leaf
    )
    assert said.strip() == f"{identity.leaf}: OK"


def test_openssl_refuses_the_leaf_for_another_host(identity: tls.TlsIdentity) -> None:
    said = openssl("verify", "-verify_hostname", "hca.nat.gov.tw", "-CAfile", identity.ca, identity.leaf)
    assert "hostname mismatch" in said.lower()


def test_a_leaf_for_another_host_would_not_pass_under_the_constraints(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    ca = certificates.ca(key, (now - timedelta(hours=1), now + timedelta(days=1)), tls.LOOPBACK)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    stolen = (
        x509.CertificateBuilder(ca.subject, name, key.public_key(), 5, now, now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    for file, certificate in (("ca", ca), ("stolen", stolen)):
        (tmp_path / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    assert "permitted subtree violation" in openssl("verify", "-CAfile", tmp_path / "ca", tmp_path / "stolen")


def test_the_key_identifiers_tie_leaf_and_ca_together(identity: tls.TlsIdentity) -> None:
    ca = x509.load_pem_x509_certificate(identity.ca.read_bytes())
    leaf = x509.load_pem_x509_certificate(identity.leaf.read_bytes())
    subject = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == subject.digest


def test_neither_certificate_lasts_more_than_800_days(identity: tls.TlsIdentity) -> None:
    for path in (identity.ca, identity.leaf):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc + timedelta(seconds=1)
        assert lasts <= timedelta(days=800)


def test_only_the_leaf_key_is_ever_written(identity: tls.TlsIdentity) -> None:
    folder = identity.key.parent
    assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "leaf.key", "leaf.pem"]
    keys = [path for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == [identity.key]
    key = serialization.load_pem_private_key(identity.key.read_bytes(), password=None)
    leaf = x509.load_pem_x509_certificate(identity.leaf.read_bytes())
    assert key.public_key() == leaf.public_key()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has ACLs instead of modes")
def test_nobody_else_can_read_the_key(identity: tls.TlsIdentity) -> None:
    assert stat.S_IMODE(identity.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(identity.key.parent.stat().st_mode) == 0o700


def test_a_good_identity_is_kept(identity: tls.TlsIdentity) -> None:
    before = identity.leaf.read_bytes()
    again = tls.ensure(identity.leaf.parent)
    assert identity.fresh
    assert not again.fresh
    assert again.leaf.read_bytes() == before
    assert again.not_after == identity.not_after


def test_a_new_ca_comes_60_days_before_the_end_and_not_earlier(identity: tls.TlsIdentity) -> None:
    folder, ca = identity.leaf.parent, identity.ca.read_bytes()
    assert not tls.ensure(folder, now=identity.not_after - timedelta(days=60, seconds=1)).fresh
    renewed = tls.ensure(folder, now=identity.not_after - timedelta(days=60))
    assert renewed.fresh
    old, new = x509.load_pem_x509_certificate(ca), x509.load_pem_x509_certificate(renewed.ca.read_bytes())
    assert old.subject != new.subject
    assert old.public_key() != new.public_key()


def test_the_replaced_ca_is_remembered_as_a_certificate_and_nothing_more(identity: tls.TlsIdentity) -> None:
    folder, old = identity.leaf.parent, identity.ca.read_bytes()
    renewed = tls.ensure(folder, now=identity.not_after)
    assert renewed.renewed and not identity.renewed
    assert (folder / "former.pem").read_bytes() == old
    assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "former.pem", "leaf.key", "leaf.pem"]
    tls.ensure(folder, now=renewed.not_after)
    assert len(x509.load_pem_x509_certificates((folder / "former.pem").read_bytes())) == 2


def test_no_key_of_a_ca_is_anywhere_after_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key that is made is caught, and its number is looked for in every file under the folder."""
    made: list[ec.EllipticCurvePrivateKey] = []
    generate = ec.generate_private_key

    def caught(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        made.append(generate(curve))
        return made[-1]

    monkeypatch.setattr(ec, "generate_private_key", caught)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    ensured = tls.ensure(tmp_path / "agent")
    ca = x509.load_pem_x509_certificate(ensured.ca.read_bytes())
    (ca_key,) = (key for key in made if key.public_key() == ca.public_key())
    (leaf_key,) = (key for key in made if key is not ca_key)
    assert is_written(leaf_key, tmp_path)  # so that the search is known to find what is there
    assert not is_written(ca_key, tmp_path)


def is_written(key: ec.EllipticCurvePrivateKey, folder: Path) -> bool:
    """Whether a key's number lies in a file, as bytes, as hexadecimal, or within PEM."""
    number = key.private_numbers().private_value.to_bytes(32, "big")
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            body = b"".join(line for line in content.splitlines() if not line.startswith(b"-----"))
            for form in (content, body, base64.b64decode(body + b"===")):
                if number in form or number.hex().encode() in form.lower():
                    return True
    return False


@pytest.mark.parametrize("name", ["ca.pem", "leaf.pem", "leaf.key"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\xff\x00"])
def test_a_missing_or_damaged_file_is_made_anew(
    identity: tls.TlsIdentity, name: str, content: bytes | None
) -> None:
    path = identity.leaf.parent / name
    path.unlink() if content is None else path.write_bytes(content)
    assert tls.ensure(identity.leaf.parent).fresh
    assert not tls.ensure(identity.leaf.parent).fresh


@pytest.mark.parametrize("name", ["ca.pem", "leaf.pem", "leaf.key"])
def test_parts_of_two_identities_are_not_taken_for_one(
    identity: tls.TlsIdentity, name: str, tmp_path: Path
) -> None:
    other = tls.ensure(tmp_path / "other")
    (identity.leaf.parent / name).write_bytes((other.leaf.parent / name).read_bytes())
    assert tls.ensure(identity.leaf.parent).fresh


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_ca_completes_a_handshake(identity: tls.TlsIdentity, name: str) -> None:
    client = ssl.create_default_context(cafile=str(identity.ca))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = identity.context().wrap_bio(to_server, to_client, server_side=True)
    open_sides = [near, far]
    for _ in range(4):
        for side in tuple(open_sides):
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not open_sides
    assert near.version() == "TLSv1.3"


# ---------------------------------------------------------------- the NHI component's own authority


@pytest.fixture
def component(tmp_path: Path) -> tls.TlsIdentity:
    return tls.ensure(tmp_path / "agent", tls.NHI_COMPONENT)


def under(folder: Path, scope: tls.Scope, name: x509.GeneralName) -> tuple[Path, Path]:
    """A CA of that scope and what it signed for `name` when somebody had its key."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    ca = certificates.ca(key, (now - timedelta(hours=1), now + timedelta(days=1)), scope)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    stolen = (
        x509.CertificateBuilder(ca.subject, subject, key.public_key(), 5, now, now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "stolen.key").write_bytes(private)
    files = folder / "ca.pem", folder / "stolen.pem"
    for file, certificate in zip(files, (ca, stolen), strict=True):
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files


def test_the_components_identity_lies_beside_the_usual_one_with_a_key_and_a_ca_of_its_own(
    identity: tls.TlsIdentity, component: tls.TlsIdentity
) -> None:
    assert component.leaf.parent == identity.leaf.parent / "nhi-component"
    assert sorted(each.name for each in component.leaf.parent.iterdir()) == ["ca.pem", "leaf.key", "leaf.pem"]
    assert component.ca.read_bytes() != identity.ca.read_bytes()
    assert component.key.read_bytes() != identity.key.read_bytes()
    assert (tls.ensure(identity.leaf.parent).fresh, component.fresh, component.scope) == (
        False,
        True,
        tls.NHI_COMPONENT,
    )


def test_openssl_accepts_the_components_leaf_for_its_name_alone(
    identity: tls.TlsIdentity, component: tls.TlsIdentity
) -> None:
    def verify(ca: Path, *name: str) -> str:
        return openssl(
            "verify", "-x509_strict", "-purpose", "sslserver", *name, "-CAfile", ca, component.leaf
        )

    named = ("-verify_hostname", "iccert.nhi.gov.tw")
    assert verify(component.ca, *named).strip() == f"{component.leaf}: OK"
    assert "hostname mismatch" in verify(component.ca, "-verify_hostname", "localhost").lower()
    assert "unable to get local issuer" in verify(identity.ca, *named)


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("localhost"),
        x509.DNSName("bank.example"),
        x509.DNSName("nhi.gov.tw"),
        x509.DNSName("vpn.nhi.gov.tw"),
        x509.IPAddress(tls.LOOPBACK.addresses[0]),
        x509.IPAddress(tls.LOOPBACK.addresses[1]),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    ],
    ids=lambda name: str(name.value),
)
def test_the_components_ca_could_sign_for_nobody_else(tmp_path: Path, name: x509.GeneralName) -> None:
    ca, stolen = under(tmp_path / "c", tls.NHI_COMPONENT, name)
    assert re.search(r"(permitted|excluded) subtree violation", openssl("verify", "-CAfile", ca, stolen))


def test_the_usual_ca_could_not_sign_for_the_component(tmp_path: Path) -> None:
    name = x509.DNSName("iccert.nhi.gov.tw")
    ca, stolen = under(tmp_path / "first", tls.LOOPBACK, name)
    assert "permitted subtree violation" in openssl("verify", "-CAfile", ca, stolen)
    ca, given = under(tmp_path / "second", tls.NHI_COMPONENT, name)
    assert openssl("verify", "-CAfile", ca, given).strip() == f"{given}: OK"


def test_the_components_identity_is_renewed_as_the_usual_one_is(component: tls.TlsIdentity) -> None:
    folder = component.leaf.parents[1]
    before = component.not_after - timedelta(days=60, seconds=1)
    assert not tls.ensure(folder, tls.NHI_COMPONENT, now=before).fresh
    renewed = tls.ensure(folder, tls.NHI_COMPONENT, now=component.not_after - timedelta(days=60))
    assert renewed.renewed and renewed.scope == tls.NHI_COMPONENT
    certificate = x509.load_pem_x509_certificate(renewed.leaf.read_bytes())
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc + timedelta(seconds=1)
    assert lasts <= timedelta(days=800)


def test_the_machines_identity_is_shown_while_this_user_can_read_it_and_it_is_in_time(tmp_path: Path) -> None:
    own, machines = tmp_path / "own", tmp_path / "machine"
    assert tls.in_use(own, machines) == own
    made = tls.ensure(machines)
    shown = tls.shown(own, machines)
    assert (shown.leaf, shown.machines, shown.fresh) == (made.leaf, True, False)
    assert tls.in_use(own, machines) == machines
    assert not own.exists()
    nearly = made.not_after - timedelta(days=1)  # root renews it; until then it serves to its very end
    assert tls.shown(own, machines, now=nearly).machines
    over = made.not_after + timedelta(days=1)
    assert not tls.shown(own, machines, now=over).machines
    (machines / tls.KEY).unlink()
    assert tls.shown(own, machines).leaf == own / tls.LEAF
    assert tls.shown(own, None).leaf == own / tls.LEAF
