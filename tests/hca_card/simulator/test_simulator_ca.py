"""The simulator's authority: what its certificates say, and that its folder is safe to share."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hca_card.certificate import describe
from hca_card.simulator import SimulatedCard, SimulatorCa, ca, create, templates
from hca_card.simulator.persons import current_validity, past_validity
from hca_card.simulator.templates import ISSUING, ROOT, SIBLING
from tests.support.cards import say, simulated, simulator_ca
from tests.support.openssl import openssl_program


def certificate(card: SimulatedCard, index: int) -> bytes:
    say(card, "00 A4 08 0C 02 50 15")
    response = say(card, f"00 B0 {0x8A + index:02X} 00 00 00 00")
    assert response[-2:] == b"\x90\x00"
    return response[:-2]


@pytest.mark.parametrize("template", [ROOT, ISSUING, SIBLING], ids=lambda template: template.name)
def test_every_authority_names_itself_a_simulator(template: object) -> None:
    identity = simulator_ca().identity(template)  # type: ignore[arg-type]
    parsed = x509.load_der_x509_certificate(identity.certificate)
    for name in (parsed.subject, parsed.issuer):
        assert name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "HCA-AGENT SIMULATOR"
    root = x509.load_der_x509_certificate(simulator_ca().roots[0])
    parsed.verify_directly_issued_by(root)


@pytest.mark.parametrize(
    ("kind", "subject", "subject_type", "rank"),
    [
        ("hpc", "C=TW, CN=測試人員卡, serialNumber=0000000000335361", "personnel", "primary"),
        ("hop", "C=TW, CN=測試機構, serialNumber=0000000000335401", "institution", "primary"),
        ("hop-secondary", "C=TW, CN=測試機構, serialNumber=0000000000335402", "institution", "secondary"),
        ("citizen", "C=TW, CN=測試國民, serialNumber=0000000000000001", "natural-person", None),
    ],
)
def test_certificates_say_what_the_real_ones_say(
    kind: str, subject: str, subject_type: str, rank: str | None
) -> None:
    card = simulated(kind)
    signature, encryption = describe(certificate(card, 1)), describe(certificate(card, 2))
    assert signature.subject == encryption.subject == subject
    assert signature.subject_type == subject_type
    assert signature.card_rank == rank
    assert signature.simulated and encryption.simulated
    assert signature.key_usage == {"digital_signature"}
    assert encryption.key_usage == {"key_encipherment", "data_encipherment"}
    assert signature.policies == ("2.16.886.101.0.3.3",)
    assert (signature.key_bits, signature.signature_hash) == (2048, "SHA-256")


def test_an_institution_certificate_names_code_organisation_and_card() -> None:
    facts = describe(certificate(simulated("hop"), 1))
    assert facts.institution_code == "9900000001"
    assert facts.card_number == "000000335401"
    assert facts.organisation_oid is not None


def test_openssl_accepts_the_chain_of_the_card_and_refuses_the_expired_one(tmp_path: Path) -> None:
    def verify(kind: str) -> int:
        card = simulated(kind)
        for name, index in (("leaf", 1), ("issuing", 0), ("root", 4)):
            pem = x509.load_der_x509_certificate(certificate(card, index)).public_bytes(Encoding.PEM)
            (tmp_path / name).write_bytes(pem)
        return subprocess.run(
            [openssl_program(), "verify", "-CAfile", "root", "-untrusted", "issuing", "leaf"],
            cwd=tmp_path, capture_output=True, check=False,
        ).returncode  # fmt: skip

    assert verify("hpc") == 0
    assert verify("hpc-expired") == 2


def test_an_old_card_has_rsa_1024_and_a_valid_sha_1_signature() -> None:
    der = certificate(simulated("hpc-v1"), 1)
    facts = describe(der)
    assert (facts.key_bits, facts.signature_hash) == (1024, "SHA-1")
    leaf = x509.load_der_x509_certificate(der)
    issuing = x509.load_der_x509_certificate(simulator_ca().intermediates[0]).public_key()
    assert isinstance(issuing, RSAPublicKey)
    issuing.verify(leaf.signature, leaf.tbs_certificate_bytes, PKCS1v15(), SHA1())
    assert leaf.signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.5"


def test_the_revocation_list_names_the_revoked_card_and_no_other() -> None:
    crl = x509.load_der_x509_crl(simulator_ca().crl())
    issuing = x509.load_der_x509_certificate(simulator_ca().intermediates[0])
    assert crl.is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    listed = {entry.serial_number for entry in crl}

    def serials(kind: str) -> set[int]:
        card = simulated(kind)
        return {x509.load_der_x509_certificate(certificate(card, index)).serial_number for index in (1, 2)}

    assert listed == serials("hpc-revoked")
    assert not listed & serials("hpc")


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2026, 1, 1), "1120628", "1220628"),
        (date(2032, 6, 27), "1120628", "1220628"),
        (date(2032, 6, 28), "1170628", "1270628"),
        (date(2051, 1, 1), "1320628", "1420628"),
    ],
)
def test_cards_are_valid_today_whenever_that_is(today: date, first: str, last: str) -> None:
    validity = current_validity(today)
    assert (validity.first_roc, validity.last_roc) == (first, last)
    assert validity.first <= today < validity.last
    assert past_validity(today).last < today


@pytest.mark.slow
def test_a_folder_keeps_the_same_card_for_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "simulator"
    first = certificate(create("hpc", ca=SimulatorCa(folder)), 1)
    assert certificate(create("hpc", ca=SimulatorCa(folder)), 1) == first
    assert certificate(create("hpc", ca=SimulatorCa(tmp_path / "other")), 1) != first


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "simulator"
    SimulatorCa(folder).identity(ROOT)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert files and all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    SimulatorCa(tmp_path).identity(ROOT)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:500])
    with pytest.raises(ValueError, match=r"root-ca-.*damaged"):
        SimulatorCa(tmp_path).identity(ROOT)


@pytest.mark.slow
def test_processes_and_threads_that_begin_at_once_end_with_one_authority(tmp_path: Path) -> None:
    program = (
        "import sys, json, pathlib; from hca_card.simulator import SimulatorCa, create;"
        "ca = SimulatorCa(pathlib.Path(sys.argv[1])); create('hpc', ca=ca);"
        "print(json.dumps([der.hex() for der in ca.roots + ca.intermediates]))"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    results = [json.loads(racer.communicate(timeout=120)[0]) for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    assert all(result == results[0] for result in results)
    card = create("hpc", ca=SimulatorCa(tmp_path))
    leaf = x509.load_der_x509_certificate(certificate(card, 1))
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(bytes.fromhex(results[0][1])))


def test_threads_that_ask_at_once_get_the_same_certificate() -> None:
    ca, ready = SimulatorCa(), threading.Barrier(4)

    def ask(_: int) -> bytes:
        ready.wait()
        return ca.identity(ROOT).certificate

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1


def test_cards_that_name_no_authority_share_one() -> None:
    assert certificate(create("hpc"), 0) == certificate(create("hop"), 0)


def test_the_simulator_is_imported_without_the_certificate_library() -> None:
    program = (
        "import sys, hca_card.simulator;"
        "print([name for name in ('cryptography.x509', 'asn1crypto', 'cryptography') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert result.stdout.strip() == "[]"


def test_the_root_revokes_no_authority() -> None:
    found = x509.load_der_x509_crl(simulator_ca().authorities_crl())
    root = x509.load_der_x509_certificate(simulator_ca().roots[0])
    assert len(list(found)) == 0
    assert found.issuer == root.subject
    assert isinstance(root.public_key(), RSAPublicKey)
    assert found.is_signature_valid(root.public_key())  # type: ignore[arg-type]


def test_a_key_on_a_curve_is_no_rsa_key() -> None:
    issued = templates.of_key(templates.personnel("000000335389", current_validity(date.today())), 256)
    with pytest.raises(TypeError, match="no RSA key"):
        simulator_ca().identities(issued)[0].load()


def test_of_two_processes_the_first_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = SimulatorCa().identity(ROOT), SimulatorCa().identity(ROOT)
    path = tmp_path / "root.pem"
    assert ca._write_once(path, theirs) is theirs
    assert ca._write_once(path, mine).certificate == theirs.certificate

    def no_links(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", no_links)
    assert ca._write_once(path, mine) is mine
    assert ca._read(path).certificate == mine.certificate
    assert [entry.name for entry in tmp_path.iterdir()] == ["root.pem"]
