"""PAdES: what was there stays, judges of other makers agree on RSA and EC, and every level can be reached."""

from __future__ import annotations

import asyncio
import tracemalloc
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigFieldSpec
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner

from signing.errors import DocumentUnusableError, EvidenceError
from signing.formats import Level, SignatureFormat
from signing.formats.pades import Pades
from signing.guard import check_document
from signing.hashes import Hash
from tests.support.pdf_judges import (
    pdfsig,
    pyhanko_status,
    valid_stamps,
    valid_to_pdfsig,
    valid_to_pyhanko,
    valid_with_what_is_inside,
)
from tests.support.pdfs import pdf, updated, written
from tests.support.test_pki import DAY, NOW, SIGNERS, pki, sign_with


@cache
def signed(
    document: bytes, label: str = "rsa", form: Pades | None = None, algorithm: Hash = Hash.SHA_256
) -> bytes:
    """Level B-B, by that holder."""
    ready = (form or Pades()).prepare(document, pki().signer(label), algorithm, NOW)
    return ready.finish(sign_with(label, ready.digest, algorithm))


@cache
def augmented(document: bytes, level: Level, **facts: Any) -> bytes:
    return asyncio.run(Pades().augment(document, level, pki().evidence(**facts)))


@pytest.mark.parametrize(
    ("label", "algorithm"),
    [("rsa", Hash.SHA_256), ("rsa3072", Hash.SHA_512), ("ec", Hash.SHA_256), ("ec384", Hash.SHA_384)],
)
def test_a_signed_pdf_is_valid_to_other_judges(label: str, algorithm: Hash, tmp_path: Path) -> None:
    document = signed(pdf(), label, algorithm=algorithm)
    assert valid_to_pdfsig(document, tmp_path)
    assert valid_to_pyhanko(document, pki().root)


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "tables"])
def test_what_was_there_before_is_not_touched(streams: bool) -> None:
    before = pdf("one", "two", streams=streams)
    assert signed(before).startswith(before)


@pytest.mark.parametrize("label", SIGNERS)
def test_the_signed_attributes_are_what_the_baseline_wants_and_nothing_more(label: str) -> None:
    signature = PdfFileReader(BytesIO(signed(pdf(), label))).embedded_regular_signatures[0]
    names = {each["type"].native for each in signature.signer_info["signed_attrs"]}
    assert names == {"content_type", "message_digest", "signing_certificate_v2"}
    assert signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert signature.self_reported_timestamp == NOW


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("level", list(Level))
def test_every_level_is_valid_to_other_judges(level: Level, label: str, tmp_path: Path) -> None:
    document = augmented(signed(pdf(), label), level)
    status = pyhanko_status(document, pki().root)
    assert status.bottom_line
    assert (status.timestamp_validity is not None) == level.reaches(Level.B_T)
    assert "Signature is Valid." in pdfsig(document, tmp_path)
    stamps = PdfFileReader(BytesIO(document)).embedded_timestamp_signatures
    assert bool(stamps) == level.reaches(Level.B_LTA)


@pytest.mark.parametrize(
    ("label", "level", "answers"),
    [("expired", Level.B_LT, "crl"), ("expired-ec", Level.B_LT, "ocsp"), ("expired-ec", Level.B_LTA, "crl")],
)
def test_with_evidence_inside_it_holds_without_network_when_the_certificate_has_expired(
    label: str, level: Level, answers: str
) -> None:
    then = NOW - 60 * DAY
    document = augmented(signed(pdf(), label), level, at=then, answers=answers)
    assert valid_with_what_is_inside(document, pki().root, stamped=then)


def test_without_evidence_inside_it_does_not_hold() -> None:
    document = augmented(signed(pdf()), Level.B_T)
    assert not valid_with_what_is_inside(document, pki().root, stamped=NOW)


@pytest.mark.parametrize("label", SIGNERS)
def test_an_archive_time_stamp_can_be_renewed_again_and_again(label: str) -> None:
    once = augmented(signed(pdf(), label), Level.B_LTA, at=NOW - 2 * DAY)
    twice = augmented(once, Level.B_LTA, at=NOW - DAY, stamps="tsa-archive")
    assert twice.startswith(once)
    assert valid_stamps(twice, pki().root) == [True, True]
    assert valid_with_what_is_inside(twice, pki().root, stamped=NOW - 2 * DAY)


def test_several_people_sign_one_after_the_other(tmp_path: Path) -> None:
    document = pdf()
    for label in ("institution", "rsa", "ec"):
        document = augmented(signed(document, label), Level.B_T)
    assert pdfsig(document, tmp_path).count("Signature is Valid.") == 3
    assert [valid_to_pyhanko(document, pki().root, each) for each in range(3)] == [True] * 3


def test_somebody_signs_a_document_that_already_lasts(tmp_path: Path) -> None:
    document = signed(augmented(signed(pdf(), "institution"), Level.B_LTA), "ec")
    document = augmented(document, Level.B_LTA)
    assert pdfsig(document, tmp_path).count("Signature is Valid.") == 2
    assert valid_to_pyhanko(document, pki().root, 0)
    assert valid_to_pyhanko(document, pki().root, 1)


def test_the_only_empty_field_is_the_one_that_is_signed() -> None:
    reader = PdfFileReader(BytesIO(signed(pdf(fields=("Physician",)))))
    assert [each.field_name for each in reader.embedded_signatures] == ["Physician"]


def test_of_several_empty_fields_the_named_one_is_signed() -> None:
    document = signed(pdf(fields=("Physician", "Nurse")), form=Pades(field="Nurse"))
    document = signed(document, "ec", form=Pades(field="Physician"))
    reader = PdfFileReader(BytesIO(document))
    assert [each.field_name for each in reader.embedded_signatures] == ["Nurse", "Physician"]


def test_a_field_that_is_signed_already_is_refused() -> None:
    document = signed(pdf(fields=("Physician",)))
    with pytest.raises(DocumentUnusableError):
        signed(document, "ec", form=Pades(field="Physician"))


def test_reason_and_place_are_kept_in_chinese() -> None:
    document = signed(pdf(), form=Pades(reason="醫師確認病歷", location="臺中"))
    found = PdfFileReader(BytesIO(document)).embedded_regular_signatures[0].sig_object
    assert (found["/Reason"], found["/Location"]) == ("醫師確認病歷", "臺中")


def places(document: bytes) -> dict[str, int]:
    """Where something signed lies: one octet each."""
    signature = PdfFileReader(BytesIO(document)).embedded_regular_signatures[0]
    contents = bytes(signature.pkcs7_content)
    start = int(signature.byte_range[1]) + 1

    def inside(part: bytes, at: int) -> int:
        # Hexadecimal digits: the second of a pair, which stays one when its lowest bit changes.
        return start + 2 * (contents.index(part) + at) + 1

    info = signature.signer_info
    return {
        "the first page": document.index(b"/MediaBox") + 14,
        "the reason": document.index(b"/Reason") + 12,
        "the signing time": document.index(b"/M (D") + 14,
        "the cross references": document.rindex(b"startxref") + 11,
        "the signature": inside(info["signature"].native, 30),
        "the digest": inside(signature.compute_digest(), 5),
        "the certificate": inside(pki().certificate("rsa"), 300),
    }


def test_one_changed_bit_at_every_signed_place_is_found_by_other_judges(tmp_path: Path) -> None:
    document = signed(pdf(), form=Pades(reason="confirmed"))
    assert valid_to_pdfsig(document, tmp_path)
    for name, at in places(document).items():
        spoiled = document[:at] + bytes((document[at] ^ 1,)) + document[at + 1 :]
        assert not valid_to_pdfsig(spoiled, tmp_path), name
        try:
            assert not valid_to_pyhanko(spoiled, pki().root), name
        except AssertionError:
            raise
        except Exception as error:  # unreadable is not valid either
            assert type(error).__module__.startswith(("pyhanko", "asn1crypto", "builtins")), name


@pytest.mark.parametrize("password", ["", "secret"], ids=["owner's password", "user's password"])
def test_an_encrypted_pdf_is_refused_with_a_sentence(password: str) -> None:
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer = copy_into_new_writer(PdfFileReader(BytesIO(pdf())))
    writer.encrypt(owner_pass="owner", user_pass=password)
    with pytest.raises(DocumentUnusableError, match="encrypted"):
        signed(written(writer))


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document[: len(document) // 2],
        lambda document: document.replace(b"startxref", b"startxxxx"),
        lambda document: document.replace(b"/Root", b"/Roof"),
        lambda document: document.replace(b"/Pages", b"/Pagez"),
        lambda _document: b"%PDF-1.7\n",
        lambda _document: b"no PDF at all, but text",
        lambda _document: b"",
    ],
    ids=["cut off", "no start", "no root", "no pages", "header alone", "text", "empty"],
)
def test_a_damaged_pdf_is_refused_with_a_sentence(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(DocumentUnusableError, match="PDF"):
        signed(damage(pdf(streams=False)))


def test_a_pdf_that_its_author_closed_to_further_signatures_is_refused() -> None:
    with pytest.raises(DocumentUnusableError, match="PDF"):
        signed(certified(pdf(), MDPPerm.NO_CHANGES))


def test_a_pdf_that_its_author_certified_can_be_signed_where_the_author_allows_it(tmp_path: Path) -> None:
    assert valid_to_pdfsig(signed(certified(pdf(), MDPPerm.FILL_FORMS), "ec"), tmp_path)


def certified(document: bytes, permission: MDPPerm) -> bytes:
    """As its author's program signs it first."""
    from asn1crypto import keys, x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from pyhanko.sign.signers.pdf_cms import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    from tests.support.test_pki import key

    private = key("rsa").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    author = SimpleSigner(
        signing_cert=x509.Certificate.load(pki().certificate("rsa")),
        signing_key=keys.PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),
    )
    metadata = PdfSignatureMetadata(
        field_name="Author", certify=True, docmdp_permissions=permission, md_algorithm="sha256"
    )
    output = PdfSigner(metadata, signer=author).sign_pdf(updated(document))
    return output.getvalue()


def test_what_the_card_signs_can_never_be_a_login() -> None:
    ready = Pades().prepare(pdf(), pki().signer("rsa"), Hash.SHA_256, NOW)
    assert ready.signed.startswith(b"\x31\x81")
    assert bytes.fromhex("06092a864886f70d010904") in ready.signed
    check_document(ready.signed)


@pytest.mark.parametrize("stamps", ["down", "refuses"])
def test_without_a_time_stamp_there_is_no_higher_level(stamps: str) -> None:
    with pytest.raises(EvidenceError):
        augmented(signed(pdf()), Level.B_T, stamps=stamps)


def test_without_an_authoritys_answer_there_is_no_lasting_level() -> None:
    with pytest.raises(EvidenceError):
        augmented(signed(pdf()), Level.B_LT, answers="down")


def test_somebody_elses_earlier_signature_does_not_keep_mine_from_lasting() -> None:
    document = signed(signed(pdf(), "stranger"), "rsa")

    class Choosy:
        """Knows the chain of no stranger."""

        def __init__(self) -> None:
            self.real = pki().evidence()
            self.timestamp, self.revocation = self.real.timestamp, self.real.revocation

        async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
            if certificate == pki().certificate("stranger"):
                raise EvidenceError
            return await self.real.chain(certificate)

    lasting = asyncio.run(Pades().augment(document, Level.B_LT, Choosy()))
    assert valid_with_what_is_inside(lasting, pki().root, stamped=NOW)


def test_a_signature_that_is_not_the_last_change_gets_no_time_stamp() -> None:
    writer = updated(signed(pdf()))
    writer.root["/Note"] = generic.pdf_string("added later")
    writer.update_root()
    with pytest.raises(DocumentUnusableError, match="last change"):
        augmented(written(writer), Level.B_T)


def test_a_pdf_without_a_signature_gets_no_time_stamp() -> None:
    with pytest.raises(DocumentUnusableError, match="no signature"):
        augmented(pdf(), Level.B_T)


def test_the_format_says_what_it_is_and_how_its_files_end() -> None:
    assert (Pades().format, Pades().suffix) == (SignatureFormat.PADES, ".signed.pdf")


def test_a_large_pdf_is_signed_in_a_few_times_its_size() -> None:
    writer = updated(pdf())
    ballast = generic.StreamObject(stream_data=bytes(range(256)) * 4096 * 8)
    writer.root["/Ballast"] = writer.add_object(ballast)
    writer.update_root()
    document = written(writer)
    signed(pdf())
    tracemalloc.start()
    try:
        signed(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(document)


def test_a_field_seed_that_names_a_time_stamp_authority_is_never_asked() -> None:
    """A PDF may name an address (SV dictionary); nothing from a document is a URL that is fetched."""
    from pyhanko.sign.fields import SigSeedValFlags, SigSeedValueSpec, append_signature_field

    writer = updated(pdf())
    seed = SigSeedValueSpec(
        flags=SigSeedValFlags.SUBFILTER,
        timestamp_server_url="http://127.0.0.1:9/",
        timestamp_required=True,
    )
    append_signature_field(writer, SigFieldSpec("Seeded", seed_value_dict=seed))
    assert valid_to_pyhanko(signed(written(writer)), pki().root) is not None


def test_a_signature_that_left_no_room_gets_no_time_stamp() -> None:
    document = certified(pdf(), MDPPerm.FILL_FORMS)
    with pytest.raises(DocumentUnusableError, match="no room"):
        augmented(document, Level.B_T)
