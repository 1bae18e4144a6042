"""CAdES: what openssl and pyhanko's own validator accept, and neither after one bit has changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp  # noqa: F401  (tsp adds its names to cms's tables)
from asn1crypto.x509 import Certificate
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.validation import async_validate_cms_signature, async_validate_detached_cms
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko_certvalidator import ValidationContext

from signing.errors import DocumentUnusableError, EvidenceError
from signing.formats import Level, SignatureFormat
from signing.formats.cades import Cades, Place
from signing.guard import LOGIN_LENGTHS
from signing.hashes import Hash
from signing.verification.cms import read_cms
from signing.verification.judge import Trust, judge
from signing.verification.report import TimeSource, Verdict
from tests.support.openssl import openssl_program
from tests.support.test_pki import DAY, NOW, SIGNERS, PkiEvidence, pki, sign_with

DOCUMENT = "出院病歷摘要：張測試".encode()
LATER = NOW + 800 * DAY
"""The signers' certificates have expired by then."""


def signed(label: str, form: Cades, document: bytes = DOCUMENT, algorithm: Hash = Hash.SHA_256) -> bytes:
    ready = form.prepare(document, pki().signer(label), algorithm, NOW)
    return ready.finish(sign_with(label, ready.digest, algorithm))


async def at_level(level: Level, label: str = "rsa", evidence: PkiEvidence | None = None) -> bytes:
    form = Cades()
    return await form.augment(signed(label, form), level, evidence or pki().evidence())


@dataclass
class Openssl:
    """`openssl cms -verify -cades` with the root of the PKI alone."""

    folder: Path

    def __post_init__(self) -> None:
        pem = x509.load_der_x509_certificate(pki().root).public_bytes(Encoding.PEM)
        (self.folder / "root.pem").write_bytes(pem)

    def run(self, *words: str, **files: bytes) -> subprocess.CompletedProcess[bytes]:
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        return subprocess.run([openssl_program(), *words], cwd=self.folder, capture_output=True, check=False)

    def verifies(self, message: bytes, document: bytes | None = None) -> bool:
        words = ["cms", "-verify", "-cades", "-inform", "DER", "-in", "message", "-binary", "-CAfile"]
        words += ["root.pem", "-purpose", "any"]
        if document is None:
            done = self.run(*words, message=message)
            return done.returncode == 0 and done.stdout == DOCUMENT
        return self.run(*words, "-content", "document", message=message, document=document).returncode == 0


@pytest.fixture
def openssl(tmp_path: Path) -> Openssl:
    return Openssl(tmp_path)


async def pyhanko_verifies(message: bytes, document: bytes | None = DOCUMENT) -> bool:
    trust = {"trust_roots": [Certificate.load(pki().root)], "allow_fetching": False}
    whole = cms.ContentInfo.load(message)["content"]
    try:
        context = ValidationContext(**trust)
        status = await (
            async_validate_cms_signature(whole, validation_context=context)
            if document is None
            else async_validate_detached_cms(document, whole, context, ValidationContext(**trust))
        )
    except (SignatureValidationError, ValueError):
        return False
    return bool(status.intact and status.valid and status.trusted)


def ours(message: bytes, document: bytes | None = DOCUMENT, **facts: object):  # type: ignore[no-untyped-def]
    trust = Trust((pki().root,), **facts)  # type: ignore[arg-type]
    return judge(read_cms(message, document), message, trust)


@pytest.mark.parametrize("label", ["rsa", "rsa3072", "ec", "ec384"])
@pytest.mark.parametrize("detached", [True, False])
async def test_openssl_and_pyhanko_accept_every_key(label: str, detached: bool, openssl: Openssl) -> None:
    message = signed(label, Cades(detached=detached))
    assert (DOCUMENT in message) is not detached
    assert openssl.verifies(message, DOCUMENT if detached else None)
    assert await pyhanko_verifies(message, DOCUMENT if detached else None)
    other = message.replace(DOCUMENT, DOCUMENT[:-1] + b"\x00")
    assert not openssl.verifies(other, DOCUMENT[:-1] + b"\x00" if detached else None)
    assert not await pyhanko_verifies(other, DOCUMENT[:-1] + b"\x00" if detached else None)


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("algorithm", [Hash.SHA_384, Hash.SHA_512])
async def test_other_hashes_are_accepted_too(label: str, algorithm: Hash, openssl: Openssl) -> None:
    message = signed(label, Cades(), algorithm=algorithm)
    assert openssl.verifies(message, DOCUMENT)
    assert await pyhanko_verifies(message)


@pytest.mark.parametrize("label", SIGNERS)
def test_the_baseline_has_these_signed_attributes_and_no_more(label: str) -> None:
    whole = cms.ContentInfo.load(signed(label, Cades()))["content"]
    [signer] = whole["signer_infos"]
    assert {each["type"].native for each in signer["signed_attrs"]} == {
        "content_type",
        "message_digest",
        "signing_time",
        "signing_certificate_v2",
    }
    assert isinstance(signer["unsigned_attrs"], core.Void)
    certificates = {each.chosen.dump() for each in whole["certificates"]}
    assert certificates == {pki().certificate(label), pki().ca, pki().root}


@pytest.mark.parametrize("place", [Place.FIRST, Place.OVER])
@pytest.mark.parametrize("algorithm", [Hash.SHA_256, Hash.SHA_384, Hash.SHA_512])
def test_what_is_signed_can_never_be_taken_for_a_login(place: Place, algorithm: Hash) -> None:
    document = DOCUMENT if place is Place.FIRST else signed("rsa", Cades())
    ready = Cades(place=place).prepare(document, pki().signer(), algorithm, NOW)
    # Besides: a login begins with the hash of an origin, and this with the tag of a SET OF and its length.
    assert len(ready.signed) > max(LOGIN_LENGTHS)
    assert ready.signed[:2] == b"\x31\x81"


def _flips(message: bytes) -> list[tuple[str, bytes]]:
    """The message with one bit changed, at each place that the signature stands for."""
    whole = cms.ContentInfo.load(message)["content"]
    [signer] = whole["signer_infos"]
    places = {"signature": signer["signature"].contents}
    for each in signer["signed_attrs"]:
        places[each["type"].native] = each["values"][0].dump()
        places[f"type of {each['type'].native}"] = each["type"].contents
    places["signer's number"] = signer["sid"].chosen["serial_number"].contents
    changed = []
    for name, octets in places.items():
        at = message.rindex(octets) + len(octets) - 1
        changed.append((name, message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]))
    return changed


@pytest.mark.parametrize("label", SIGNERS)
async def test_one_bit_changed_at_any_signed_place_is_found_by_each_judge(
    label: str, openssl: Openssl
) -> None:
    flips = _flips(signed(label, Cades()))
    assert len(flips) == 10
    for name, changed in flips:
        assert not openssl.verifies(changed, DOCUMENT), name
        assert not await pyhanko_verifies(changed), name
        assert ours(changed).verdict in (Verdict.INVALID, Verdict.UNDECIDED), name


async def test_bouncy_castle_accepts_what_is_whole_and_no_changed_bit(tmp_path: Path) -> None:
    """Java: one process for all, for starting it takes longer than judging."""
    good = [*(signed(label, Cades()) for label in SIGNERS), await at_level(Level.B_LT)]
    good.append(signed("ec", Cades(place=Place.BESIDE, content=DOCUMENT), good[0]))
    bad = [changed for label in SIGNERS for _, changed in _flips(signed(label, Cades()))]
    assert bouncy_castle([*good, *bad], tmp_path) == [True] * len(good) + [False] * len(bad)


def bouncy_castle(messages: list[bytes], folder: Path) -> list[bool]:
    """Whether Bouncy Castle takes each detached message over the document."""
    if not Path("/usr/share/java/bcpkix.jar").exists() and sys.platform != "linux":
        pytest.skip("Bouncy Castle comes with Debian")
    (folder / "document").write_bytes(DOCUMENT)
    for number, message in enumerate(messages):
        (folder / f"{number}.p7s").write_bytes(message)
    path = ":".join(f"/usr/share/java/{name}.jar" for name in ("bcpkix", "bcprov", "bcutil"))
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", path]
    command += [str(Path(__file__).parents[2] / "support" / "BouncyCastle.java"), "document"]
    command += [f"{number}.p7s" for number in range(len(messages))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == len(messages)
    return [each == "valid" for each in said]


@pytest.mark.parametrize("label", SIGNERS)
async def test_a_time_stamp_is_over_the_signature_and_openssl_agrees(label: str, openssl: Openssl) -> None:
    message = await at_level(Level.B_T, label)
    assert openssl.verifies(message, DOCUMENT)
    assert await pyhanko_verifies(message)
    [signer] = cms.ContentInfo.load(message)["content"]["signer_infos"]
    [token] = [value for each in signer["unsigned_attrs"] for value in each["values"]]
    words = ("ts", "-verify", "-token_in", "-in", "token", "-data", "value", "-CAfile", "root.pem")
    value = signer["signature"].native
    assert openssl.run(*words, token=token.dump(), value=value).returncode == 0
    assert openssl.run(*words, token=token.dump(), value=value + b"\0").returncode != 0
    stamped = cms.ContentInfo.load(token.dump())["content"]
    [stamper] = stamped["signer_infos"]
    inside = stamped["encap_content_info"]["content"].contents
    for place in (inside, stamper["signed_attrs"].contents, stamper["signature"].native):
        at = token.dump().index(place) + len(place) - 1
        wrong = token.dump()[:at] + bytes((token.dump()[at] ^ 1,)) + token.dump()[at + 1 :]
        assert openssl.run(*words, token=wrong, value=value).returncode != 0
    [report] = ours(message).signatures
    assert (report.level, report.time, report.time_source) == ("B-T", NOW, TimeSource.STAMP)


@pytest.mark.parametrize("answers", ["ocsp", "crl"])
@pytest.mark.parametrize("label", SIGNERS)
async def test_b_lt_is_valid_without_a_network_long_after_the_certificate_has_expired(
    label: str, answers: str, openssl: Openssl
) -> None:
    message = await at_level(Level.B_LT, label, pki().evidence(answers=answers))
    assert openssl.verifies(message, DOCUMENT)
    assert await pyhanko_verifies(message)
    report = ours(message, now=LATER)
    assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, "B-LT"), report
    basic = ours(signed(label, Cades()), now=LATER)
    assert basic.verdict is not Verdict.VALID


async def test_a_message_that_is_stamped_already_is_not_stamped_again() -> None:
    evidence = pki().evidence()
    stamped = await at_level(Level.B_T)
    assert await Cades().augment(stamped, Level.B_T, evidence) == stamped
    await Cades().augment(stamped, Level.B_LT, evidence)
    assert "timestamp" not in evidence.asked


@pytest.mark.parametrize("stamps", ["down", "refuses", "wrong", "forged", "tsa-purpose", "tsa-expired"])
async def test_a_bad_stamp_never_gets_into_a_message(stamps: str) -> None:
    with pytest.raises(EvidenceError):
        await at_level(Level.B_T, evidence=pki().evidence(stamps=stamps))


async def test_without_an_answer_there_is_no_b_lt() -> None:
    with pytest.raises(EvidenceError):
        await at_level(Level.B_LT, evidence=pki().evidence(answers="down"))


@pytest.mark.parametrize("detached", [True, False])
async def test_a_second_signature_stands_beside_the_first_and_both_hold(
    detached: bool, openssl: Openssl
) -> None:
    first = signed("institution", Cades(detached=detached))
    content = DOCUMENT if detached else None
    both = signed("ec", Cades(place=Place.BESIDE, content=content), first)
    assert openssl.verifies(both, content)
    assert not openssl.verifies(both, DOCUMENT + b" ")
    report = ours(both, content, hard=False)
    assert (report.verdict, len(report.signatures)) == (Verdict.REMARK, 2)
    assert all(each.unchanged for each in report.signatures)


@pytest.mark.parametrize("labels", [("rsa", "ec"), ("ec", "rsa")])
def test_signatures_are_told_in_the_order_in_which_they_were_made(labels: tuple[str, str]) -> None:
    message = DOCUMENT
    for number, label in enumerate(labels):
        form = Cades(detached=False, place=Place.BESIDE if number else Place.FIRST)
        ready = form.prepare(message, pki().signer(label), Hash.SHA_256, NOW + number * timedelta(hours=1))
        message = ready.finish(sign_with(label, ready.digest, Hash.SHA_256))
    found = read_cms(message).signatures
    assert [each.certificate for each in found] == [pki().certificate(label) for label in labels]


async def test_signatures_of_two_levels_come_to_the_same(openssl: Openssl) -> None:
    first = await at_level(Level.B_LT, "institution")
    both = signed("ec", Cades(place=Place.BESIDE, content=DOCUMENT), first)
    both = await Cades().augment(both, Level.B_LT, pki().evidence(at=NOW + DAY))
    assert openssl.verifies(both, DOCUMENT)
    report = ours(both, now=LATER)
    assert [each.level for each in report.signatures] == ["B-LT", "B-LT"]
    assert report.verdict is Verdict.VALID
    assert {each.time for each in report.signatures} == {NOW, NOW + DAY}


@pytest.mark.parametrize(("first", "second"), [("rsa", "ec"), ("ec", "rsa")])
async def test_a_countersignature_is_over_the_first_signature_and_neither_survives_a_bit(
    first: str, second: str, openssl: Openssl
) -> None:
    message = signed(second, Cades(place=Place.OVER), signed(first, Cades()))
    assert openssl.verifies(message, DOCUMENT)
    assert await pyhanko_verifies(message)
    report = ours(message)
    assert [(each.over, each.unchanged) for each in report.signatures] == [(0, True), (1, True)]
    [signer] = cms.ContentInfo.load(message)["content"]["signer_infos"]
    [counter] = [value for each in signer["unsigned_attrs"] for value in each["values"]]
    assert "content_type" not in {each["type"].native for each in counter["signed_attrs"]}
    attributes = b"\x31" + counter["signed_attrs"].dump()[1:]
    words = ("dgst", "-sha256", "-verify", "key.pem", "-signature", "value", "attributes")
    public = x509.load_der_x509_certificate(pki().certificate(second)).public_key()
    from cryptography.hazmat.primitives.serialization import PublicFormat

    key = {"key.pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)}
    done = openssl.run(*words, attributes=attributes, value=counter["signature"].native, **key)
    assert done.stdout.startswith(b"Verified OK")
    at = message.rindex(counter["signature"].native) + 20
    changed = message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]
    assert [each.unchanged for each in ours(changed).signatures] == [True, False]


async def test_a_countersignature_is_stamped_too() -> None:
    message = signed("ec", Cades(place=Place.OVER), signed("rsa", Cades()))
    message = await Cades().augment(message, Level.B_LT, pki().evidence())
    report = ours(message, now=LATER)
    assert [(each.over, each.level) for each in report.signatures] == [(0, "B-LT"), (1, "B-LT")]
    assert report.verdict is Verdict.VALID


def _not_signed() -> bytes:
    whole = cms.ContentInfo.load(signed("rsa", Cades()))
    whole["content"]["signer_infos"] = cms.SignerInfos([])
    return bytes(whole.dump())


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: DOCUMENT, id="a text"),
        pytest.param(lambda: signed("rsa", Cades())[:-1], id="cut"),
        pytest.param(_not_signed, id="no signature"),
        pytest.param(lambda: b"\x30\x84\xff\xff\xff\xff", id="a length that lies"),
    ],
)
@pytest.mark.parametrize("place", [Place.BESIDE, Place.OVER])
async def test_what_is_no_signature_gets_none_added(given: Callable[[], bytes], place: Place) -> None:
    form = Cades(place=place, content=DOCUMENT)
    with pytest.raises(DocumentUnusableError):
        form.prepare(given(), pki().signer(), Hash.SHA_256, NOW)
    with pytest.raises(DocumentUnusableError):
        await form.augment(given(), Level.B_T, pki().evidence())


@pytest.mark.parametrize(
    ("detached", "content"), [(True, None), (True, DOCUMENT + b" "), (False, DOCUMENT + b" ")]
)
def test_no_signature_is_added_beside_one_over_another_document(
    detached: bool, content: bytes | None
) -> None:
    first = signed("rsa", Cades(detached=detached))
    with pytest.raises(DocumentUnusableError):
        Cades(place=Place.BESIDE, content=content).prepare(first, pki().signer(), Hash.SHA_256, NOW)


@pytest.mark.parametrize("unbound", ["no attributes", "a digest that nobody knows"])
def test_no_signature_is_added_beside_one_that_names_no_document(unbound: str) -> None:
    """It would be over whatever is given beside the message, which nobody who agrees to the message sees."""
    whole = cms.ContentInfo.load(signed("rsa", Cades()))
    signer = whole["content"]["signer_infos"][0]
    if unbound == "no attributes":
        del signer["signed_attrs"]
    else:
        signer["digest_algorithm"] = {"algorithm": "1.2.3.4"}
    form = Cades(place=Place.BESIDE, content=b"quite another document")
    with pytest.raises(DocumentUnusableError, match="names the document"):
        form.prepare(whole.dump(force=True), pki().signer(), Hash.SHA_256, NOW)


async def test_b_lta_is_refused_by_name() -> None:
    with pytest.raises(DocumentUnusableError, match="B-LT"):
        await at_level(Level.B_LTA)


def test_a_signature_by_openssl_can_be_signed_beside(openssl: Openssl) -> None:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    from tests.support.test_pki import key

    pem = key("rsa").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = x509.load_der_x509_certificate(pki().certificate("rsa")).public_bytes(Encoding.PEM)
    words = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", "document"]
    words += ["-signer", "signer.pem", "-inkey", "key.pem", "-out", "message", "-keyid"]
    done = openssl.run(*words, document=DOCUMENT, **{"signer.pem": certificate, "key.pem": pem})
    assert done.returncode == 0, done.stderr
    message = (openssl.folder / "message").read_bytes()
    both = signed("ec", Cades(place=Place.BESIDE), message)
    assert [each.unchanged for each in ours(both, None).signatures] == [True, True]


REASON = "醫師未能於期限內簽章，由醫院先行簽章"


def test_a_reason_is_in_the_signature_and_openssl_accepts_it(tmp_path: Path) -> None:
    message = signed("ec", Cades(detached=False, reason=REASON))
    [found] = read_cms(message).signatures
    assert (found.reason, found.intact) == (REASON, True)
    words = ("-inform", "DER", "-in", "m", "-CAfile", "root.pem", "-out", "o")
    checked = Openssl(tmp_path).run("cms", "-verify", "-cades", *words, m=message)
    assert checked.returncode == 0, checked.stderr
    other = message.replace("醫院".encode(), "醫師".encode())
    assert other != message
    assert not read_cms(other).signatures[0].intact


def test_a_reason_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DocumentUnusableError):
        signed("rsa", Cades(reason="長" * 201))


async def test_a_form_says_its_format_and_its_files_ending_and_the_lowest_level_is_what_was_signed() -> None:
    form = Cades(True, Place.FIRST)
    assert (form.format, form.suffix) == (SignatureFormat.CADES, ".p7s")
    assert Cades(False, Place.BESIDE).suffix == ".signed.p7m"
    assert await form.augment(b"signed", Level.B_B, pki().evidence()) == b"signed"


def test_cms_that_holds_no_signatures_cannot_be_signed_over() -> None:
    data = cms.ContentInfo({"content_type": "data", "content": b"plain"}).dump()
    with pytest.raises(DocumentUnusableError):
        Cades(True, Place.BESIDE).prepare(data, pki().signer(), Hash.SHA_256, NOW)


def _changed(change: Callable[[cms.SignedData], None]) -> bytes:
    """A message without its document, in which something is written otherwise that nobody signed."""
    whole = cms.ContentInfo.load(signed("rsa", Cades()))
    change(whole["content"])
    return bytes(whole.dump())


def _by_key(data: cms.SignedData) -> None:
    identifier = Certificate.load(pki().certificate("rsa")).key_identifier
    data["signer_infos"][0]["sid"] = cms.SignerIdentifier({"subject_key_identifier": identifier})


def _of_issuers_alone(data: cms.SignedData) -> None:
    data["certificates"] = [each for each in data["certificates"] if each.dump() in (pki().ca, pki().root)]


def _without_certificates(data: cms.SignedData) -> None:
    del data["certificates"]


async def test_a_signature_whose_signer_is_named_by_the_key_can_be_made_to_last() -> None:
    message = await Cades().augment(_changed(_by_key), Level.B_LT, pki().evidence())
    report = ours(message, now=LATER)
    assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, "B-LT"), report


async def test_a_signature_without_its_signers_certificate_cannot_be_made_to_last() -> None:
    with pytest.raises(DocumentUnusableError, match="certificate is not in the message"):
        await Cades().augment(_changed(_of_issuers_alone), Level.B_LT, pki().evidence())


def test_who_signs_beside_brings_certificates_and_the_hash_that_are_not_there_yet() -> None:
    first = _changed(_without_certificates)
    both = signed("ec", Cades(place=Place.BESIDE, content=DOCUMENT), first, Hash.SHA_384)
    data = cms.ContentInfo.load(both)["content"]
    assert {each["algorithm"].native for each in data["digest_algorithms"]} == {"sha256", "sha384"}
    assert {each.chosen.dump() for each in data["certificates"]} == {
        pki().certificate("ec"),
        pki().ca,
        pki().root,
    }
