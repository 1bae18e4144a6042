"""JWS and FHIR: what José (in C) and joserfc accept, and what none of them does after one bit has changed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, RSAKey

from signing.errors import (
    CertificateMalformedError,
    DocumentRefusedError,
    DocumentUnusableError,
    HashUnsupportedError,
)
from signing.formats import Form, Level, SignatureFormat, Signer
from signing.formats.fhir import FhirForm, canonical, resource_in
from signing.formats.jws import JwsForm, Serialization, encoded
from signing.hashes import Hash
from signing.verification.judge import Trust, judge
from signing.verification.reading import is_signed, read
from signing.verification.report import DocumentReport, Verdict
from tests.support.software_card import rewritten, signature_certificate
from tests.support.test_pki import NOW, SIGNERS, pki, sign_with
from tests.support.vectors import sequence

DOCUMENT = '{"病歷":"張測試","劑量":1.10}'.encode()
TRUST = Trust(roots=(pki().root,), now=NOW, hard=False)
RESOURCE = """{
  "resourceType": "Bundle", "id": "emr-1", "type": "document",
  "entry": [{"resource": {"resourceType": "Observation", "valueQuantity": {"value": 1.10, "unit": "mg"}}}],
  "identifier": {"value": "測試"}
}""".encode()


def signed(
    form: Form, label: str = "rsa", document: bytes = DOCUMENT, algorithm: Hash = Hash.SHA_256
) -> bytes:
    ready = form.prepare(document, pki().signer(label), algorithm, NOW)
    return ready.finish(sign_with(label, ready.digest, ready.hash))


def told(message: bytes, document: bytes | None = None) -> DocumentReport:
    found = read(message) if document is None else read(document, message)
    return judge(found, message, TRUST)


def jwk(label: str) -> dict[str, Any]:
    pem = (
        x509.load_der_x509_certificate(pki().certificate(label))
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    kind = RSAKey if label.startswith("rsa") else ECKey
    return dict(kind.import_key(pem).as_dict(private=False))


def jose_accepts(message: bytes, label: str, folder: Path, document: bytes | None = None) -> bool:
    program = shutil.which("jose")
    assert program, "tools/setup installs it"
    (folder / "message").write_bytes(message)
    (folder / "key.jwk").write_text(json.dumps(jwk(label)))
    command = [program, "jws", "ver", "-i", str(folder / "message"), "-k", str(folder / "key.jwk")]
    if document is not None:
        (folder / "document").write_bytes(document)
        command += ["-I", str(folder / "document")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("label", [*SIGNERS, "ec384", "rsa3072"])
@pytest.mark.parametrize("serialization", list(Serialization))
@pytest.mark.parametrize("detached", [False, True])
def test_jose_in_c_and_this_program_accept_it(
    label: str, serialization: Serialization, detached: bool, tmp_path: Path
) -> None:
    message = signed(JwsForm(detached=detached, serialization=serialization), label)
    beside = DOCUMENT if detached else None
    assert jose_accepts(message, label, tmp_path, beside)
    report = told(message, beside)
    assert report.verdict is Verdict.REMARK  # nobody was asked about revocation
    assert report.kind == "jws"
    [signature] = report.signatures
    assert (signature.level, signature.unchanged) == ("B-B", True)
    assert signature.time == NOW
    assert len(signature.chain) == 3
    changed = DOCUMENT.replace("張".encode(), "李".encode())
    if detached:
        assert not jose_accepts(message, label, tmp_path, changed)
        assert told(message, changed).verdict is Verdict.INVALID
        assert told(message).verdict is Verdict.UNDECIDED
    else:
        wrong = message.replace(encoded(DOCUMENT).encode(), encoded(changed).encode())
        assert not jose_accepts(wrong, label, tmp_path)
        assert told(wrong).verdict is Verdict.INVALID


@pytest.mark.parametrize("label", SIGNERS)
def test_one_bit_changed_in_header_payload_or_value_is_noticed_by_both(label: str, tmp_path: Path) -> None:
    parts = signed(JwsForm(), label).decode().split(".")
    for number, part in enumerate(parts):
        octets = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        octets[len(octets) // 2] ^= 1
        wrong = ".".join([*parts[:number], encoded(bytes(octets)), *parts[number + 1 :]]).encode()
        assert told(wrong).verdict in (Verdict.INVALID, Verdict.UNDECIDED)
        assert not jose_accepts(wrong, label, tmp_path)


def test_the_institution_signs_first_and_a_person_beside_it(tmp_path: Path) -> None:
    form = JwsForm(serialization=Serialization.JSON)
    first = signed(form, "institution")
    both = signed(form, "ec", first)
    report = told(both)
    assert next(each.signer.name for each in report.signatures if each.signer) == "測試聯合診所"
    assert [each.unchanged for each in report.signatures] == [True, True]
    assert jose_accepts(both, "ec", tmp_path)


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("label", SIGNERS)
def test_a_provenance_holds_over_the_resource_in_any_layout(xml: bool, label: str, tmp_path: Path) -> None:
    message = signed(FhirForm(xml=xml, reason="補簽"), label, RESOURCE)
    assert is_signed(message)
    provenance = json.loads(message)
    assert provenance["target"] == [{"reference": "Bundle/emr-1"}]
    data = base64.b64decode(provenance["signature"][0]["data"])
    if not xml:
        assert jose_accepts(data, label, tmp_path, canonical(resource_in(RESOURCE)))
    report = told(message, RESOURCE)
    assert report.kind == "fhir"
    assert report.verdict is Verdict.REMARK
    assert report.signatures[0].reason == "補簽"
    relaid = b"  " + RESOURCE.replace(b"\n", b"\r\n").replace(b": ", b":")
    assert told(message, relaid).signatures[0].unchanged
    for old, new in (("1.10", "1.1"), ("測試", "試測"), ("mg", "g")):
        assert told(message, RESOURCE.replace(old.encode(), new.encode())).verdict is Verdict.INVALID


async def test_the_xml_signature_of_a_provenance_takes_a_time_stamp() -> None:
    form = FhirForm(xml=True)
    stamped = await form.augment(signed(form, "rsa", RESOURCE), Level.B_LT, pki().evidence())
    assert told(stamped, RESOURCE).signatures[0].level == "B-LT"
    with pytest.raises(DocumentUnusableError):
        await replace(form, xml=False).augment(
            signed(FhirForm(), "rsa", RESOURCE), Level.B_T, pki().evidence()
        )


@pytest.mark.parametrize(
    "document",
    [b"[]", b"{}", b"\xff", b'{"resourceType":"A","a":1,"a":2}', b'{"resourceType":' + b"[" * 5000],
)
def test_what_is_no_resource_is_refused_in_words(document: bytes) -> None:
    with pytest.raises(DocumentUnusableError):
        signed(FhirForm(), document=document)


def test_a_login_in_disguise_is_signed_in_no_format() -> None:
    with pytest.raises(DocumentRefusedError):
        signed(JwsForm(), document=bytes(range(200, 232)) * 2)


@pytest.mark.parametrize(
    ("form", "format_", "suffix"),
    [
        (JwsForm(), SignatureFormat.JWS, ".jws"),
        (JwsForm(serialization=Serialization.JSON), SignatureFormat.JWS, ".jws.json"),
        (FhirForm(), SignatureFormat.FHIR, ".provenance.json"),
    ],
)
async def test_a_form_says_its_format_and_ending_and_its_lowest_level_is_what_was_signed(
    form: Form, format_: SignatureFormat, suffix: str
) -> None:
    assert (form.format, form.suffix) == (format_, suffix)
    assert await form.augment(b"signed", Level.B_B, pki().evidence()) == b"signed"


def test_a_jws_has_no_hash_that_its_standard_has_not() -> None:
    with pytest.raises(HashUnsupportedError, match="SHA-224"):
        JwsForm().prepare(b"document", pki().signer("rsa"), Hash.SHA_224, NOW)


@pytest.mark.parametrize("document", [b"{no JSON", b'{"a": 1}', b"[]"])
def test_what_is_no_jws_is_a_document(document: bytes) -> None:
    ready = JwsForm(serialization=Serialization.JSON).prepare(
        document, pki().signer("rsa"), Hash.SHA_256, NOW
    )
    assert ready.signed.partition(b".")[2] == encoded(document).encode()


def test_a_jws_of_another_form_is_not_signed_again() -> None:
    other = json.dumps({"payload": "", "signatures": [], "more": 1}).encode()
    with pytest.raises(DocumentUnusableError, match="another form"):
        JwsForm(serialization=Serialization.JSON).prepare(other, pki().signer("rsa"), Hash.SHA_256, NOW)


def test_a_resource_nested_without_end_is_refused() -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(DocumentUnusableError, match="nested too deeply"):
        canonical({"resourceType": "Patient", "x": value})


async def test_a_jws_has_no_higher_level() -> None:
    with pytest.raises(DocumentUnusableError, match="no place for time stamps"):
        await JwsForm().augment(signed(JwsForm()), Level.B_T, pki().evidence())


async def test_what_others_wrote_into_a_provenance_stays_when_its_signature_is_stamped() -> None:
    provenance = json.loads(signed(FhirForm(xml=True), "ec", RESOURCE))
    provenance["extension"] = [{"url": "urn:test", "valueDecimal": 1.25, "valueInteger": 7}]
    written = json.dumps(provenance).encode()
    stamped = json.loads(await FhirForm(xml=True).augment(written, Level.B_T, pki().evidence()))
    data = [each["signature"][0].pop("data") for each in (provenance, stamped)]
    assert stamped == provenance
    assert b"SignatureTimeStamp" in base64.b64decode(data[1])


def test_a_holder_whose_certificate_cannot_be_described_is_named_in_no_provenance() -> None:
    """Of a validity that cannot be read: the key is there and signs, but nobody can be named."""
    certificate = rewritten(signature_certificate(), "ca", times=sequence(b"\x17\x01x", b"\x17\x01x"))
    ready = FhirForm().prepare(RESOURCE, Signer(certificate), Hash.SHA_256, NOW)
    with pytest.raises(CertificateMalformedError):
        ready.finish(bytes(256))
