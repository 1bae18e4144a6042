"""`sign` and `preserve` in the formats that last: which one a file gets, and signing it again."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms

from signing.formats import Form
from signing.formats.cades import Cades
from signing.formats.pades import Pades
from signing.hashes import Hash
from tests.support.command_line import answer
from tests.support.pdfs import pdf
from tests.support.test_pki import ServedPki, served, sign_with

PIN = "123456\n"
HPC = ("--simulate", "hpc")
RECORD = '<?xml version="1.0" encoding="UTF-8"?><病歷><姓名>張測試</姓名></病歷>'


@pytest.fixture
def note(tmp_path: Path) -> Path:
    file = tmp_path / "同意書.txt"
    file.write_text("本人同意 I agree\n", encoding="utf-8")
    return file


def signed(invoke, *words: object) -> str:
    done = invoke("sign", *words, *HPC, "--pin-stdin", input=PIN)
    assert done.exit_code == 0, done.output
    return done.stdout


def verdicts(invoke, *words: object) -> list[tuple[str, str]]:
    told = answer(invoke("verify", *words, *HPC, "--offline", "--json"))
    [document] = told["documents"]
    return [(each["format"], each["verdict"]) for each in document["signatures"]]


@pytest.mark.parametrize(
    ("name", "content", "result", "kind"),
    [
        ("通知.txt", b"text", "通知.txt.p7s", "cades"),
        ("report.pdf", None, "report.signed.pdf", "pades"),
        ("SCAN.PDF", None, "SCAN.signed.pdf", "pades"),
        ("record.xml", RECORD.encode(), "record.signed.xml", "xades"),
        ("no-ending", RECORD.encode(), "no-ending.signed.xml", "xades"),
        ("page.html", b"<html></html>", "page.html.p7s", "cades"),
    ],
    ids=["text", "PDF", "PDF in capitals", "XML", "XML by its beginning", "HTML"],
)
def test_the_file_decides_which_signature_it_gets(
    invoke, tmp_path: Path, name: str, content: bytes | None, result: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(pdf("a page") if content is None else content)
    said = signed(invoke, tmp_path / name)
    assert f"({kind} B-B" in said
    assert (tmp_path / result).is_file()


@pytest.mark.slow
def test_a_signature_can_be_seen_on_a_page_of_a_pdf_and_of_nothing_else(invoke, tmp_path: Path, note) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(pdf("one", "two"))
    signed(invoke, file, "--page", -1, "--reason", "醫師確認")
    read = ("pdftotext", "-f", "2", "-l", "2", str(tmp_path / "report.signed.pdf"), "-")
    assert "醫師確認" in subprocess.run(read, capture_output=True, text=True, check=True).stdout
    assert verdicts(invoke, tmp_path / "report.signed.pdf") == [("pades", "valid")]
    assert invoke("sign", file, "--page", 9, *HPC, "--pin-stdin", "--force", input=PIN).exit_code == 1
    assert invoke("sign", note, "--page", 1, *HPC, "--pin-stdin", input=PIN).exit_code == 2


def test_what_is_signed_detached_is_verified_beside_its_document(invoke, note: Path) -> None:
    signed(invoke, note)
    assert verdicts(invoke, note) == [("cades", "valid")]
    note.write_text("changed", encoding="utf-8")
    assert verdicts(invoke, note) == [("cades", "invalid")]


@pytest.mark.parametrize(
    ("words", "result", "kind"),
    [
        (("--format", "cades", "--attached"), "同意書.txt.p7m", "cades"),
        (("--format", "cms"), "同意書.txt.p7m", "cms"),
        (("--format", "xades", "--enveloping"), "同意書.txt.enveloping.xml", "xades"),
        (("--format", "jws"), "同意書.txt.jws", "jws"),
        (("--format", "jws", "--serialization", "json"), "同意書.txt.jws.json", "jws"),
    ],
)
def test_another_format_can_be_chosen(
    invoke, note: Path, words: tuple[str, ...], result: str, kind: str
) -> None:
    signed(invoke, note, *words)
    assert verdicts(invoke, note.with_name(result))[0][0] == kind


def test_a_signed_document_is_shown_for_what_it_is_before_it_is_signed_again(invoke, note: Path) -> None:
    assert "簽章" not in signed(invoke, note)
    first = note.with_name("同意書.txt.p7s")
    said = signed(invoke, first)
    assert said.index("測試人員卡") < said.index("→")
    both = note.with_name("同意書.txt.signed.p7s")
    assert verdicts(invoke, note, "--signature", both) == [("cades", "valid")] * 2
    signed(invoke, first, "--over", "--force")
    assert verdicts(invoke, note, "--signature", both) == [("cades", "valid")] * 2
    message = cms.ContentInfo.load(both.read_bytes())["content"]
    assert len(message["signer_infos"]) == 1


def test_a_signature_whose_document_is_not_there_is_not_signed_beside(invoke, note: Path) -> None:
    signed(invoke, note)
    note.unlink()
    done = invoke("sign", note.with_name("同意書.txt.p7s"), *HPC, "--pin-stdin", input=PIN)
    assert done.exit_code == 1
    assert "(document.unusable, the signature is without its document" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "pkcs1", "--attached"),
        ("--format", "pkcs1", "--level", "B-T"),
        ("--format", "cms", "--reason", "x"),
        ("--format", "cades", "--field", "x"),
        ("--format", "pades", "--detached"),
        ("--format", "jws", "--level", "B-T"),
        ("--format", "jws", "--serialization", "xml"),
        ("--format", "cades", "--level", "B-LTA"),
        ("--format", "cades", "--page", "1"),
        ("--format", "emr", "--enveloping"),
        ("--over",),
        ("--format", "none"),
    ],
)
def test_an_option_that_a_format_has_not_is_a_wrong_call(invoke, note: Path, words: tuple[str, ...]) -> None:
    assert invoke("sign", note, *words, *HPC, "--pin-stdin", input=PIN).exit_code == 2


@pytest.mark.parametrize(
    ("name", "content"), [("broken.pdf", b"%PDF-1.7 nothing more"), ("broken.xml", b"<open>")]
)
def test_a_damaged_file_is_named_and_does_not_stop_the_others(
    invoke, tmp_path: Path, note: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    done = invoke("sign", tmp_path / name, note, *HPC, "--pin-stdin", input=PIN)
    assert done.exit_code == 1
    assert name in done.stderr and "(document.unusable" in done.stderr
    assert note.with_name("同意書.txt.p7s").exists()


def test_without_anybody_who_stamps_a_level_is_refused_before_a_pin_is_sent(invoke, note: Path) -> None:
    done = invoke("sign", note, "--level", "B-T", *HPC, "--pin-stdin", input="999999\n")
    assert done.exit_code == 1
    assert "(evidence.unavailable, no authority is listed" in done.stderr
    assert answer(invoke("pin", "status", *HPC, "--json"))["triesLeft"] == 3


@pytest.fixture
def authorities(home: Path) -> Iterator[ServedPki]:
    """The PKI on loopback, and a configuration that lists it."""
    ready, end = threading.Event(), threading.Event()
    here: list[ServedPki] = []

    async def serve() -> None:
        async with served() as there:
            here.append(there)
            ready.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        [there] = here
        there.evidence.at = datetime.now(UTC).replace(microsecond=0)
        base, root = f"{there.pki.address}/pki", home / "root.der"
        root.write_bytes(there.pki.root)
        (home / "config.toml").write_text(
            f'[timestamps]\nauthorities = ["{base}/tsa/down", "{base}/tsa/tsa"]\n'
            f'[certificates]\nroots = ["{root}"]\nocsp = ["{base}/ocsp/ocsp", "{base}/ocsp/ocsp-root"]\n'
        )
        yield there
    finally:
        end.set()
        thread.join()


def made(there: ServedPki, form: Form, document: bytes) -> bytes:
    ready = form.prepare(document, there.pki.signer("ec"), Hash.SHA_256, datetime.now(UTC))
    return ready.finish(sign_with("ec", ready.digest, ready.hash))


def levels(invoke, *words: object) -> list[str]:
    told = answer(invoke("verify", *words, "--offline", "--json"))
    [document] = told["documents"]
    assert [each["verdict"] for each in document["signatures"]] == ["valid"], document
    return [each["level"] for each in document["signatures"]]


@pytest.mark.slow
def test_a_card_signs_with_a_time_stamp_of_the_authority_that_answers(
    invoke, note: Path, authorities: ServedPki
) -> None:
    assert "(cades B-T" in signed(invoke, note, "--level", "B-T")
    assert [each for each in authorities.asked if each.startswith("tsa")] == ["tsa down", "tsa tsa"]
    told = answer(invoke("verify", note, *HPC, "--offline", "--json"))
    assert [each["level"] for each in told["documents"][0]["signatures"]] == ["B-T"]


@pytest.mark.slow
def test_what_was_signed_plainly_is_preserved_with_what_it_takes_to_verify_it_later(
    invoke, note: Path, authorities: ServedPki
) -> None:
    plain = note.with_name("同意書.txt.p7s")
    plain.write_bytes(made(authorities, Cades(), note.read_bytes()))
    done = invoke("preserve", plain)
    assert done.exit_code == 0, done.output
    kept = note.with_name("同意書.txt.preserved.p7s")
    assert levels(invoke, note, "--signature", kept) == ["B-LT"]
    again = invoke("preserve", kept, "--content", note)
    assert again.exit_code == 0 and "B-LT already" in again.stdout
    note.write_text("changed", encoding="utf-8")
    assert invoke("preserve", plain, "--force").exit_code == 1


@pytest.mark.slow
def test_a_pdf_gets_an_archive_time_stamp_each_time_it_is_preserved(
    invoke, tmp_path: Path, authorities: ServedPki
) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(made(authorities, Pades(), pdf("a page")))
    sizes = [file.stat().st_size]
    for _ in range(2):
        done = invoke("preserve", file, "-o", file, "--force")
        assert done.exit_code == 0, done.output
        assert levels(invoke, file) == ["B-LTA"]
        sizes.append(file.stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.slow
def test_nothing_is_preserved_of_what_has_no_signature_or_one_that_does_not_hold(
    invoke, note: Path, authorities: ServedPki
) -> None:
    attached = note.with_name("note.p7m")
    attached.write_bytes(made(authorities, Cades(detached=False), b"a document").replace(b"a doc", b"b doc"))
    for file in (attached, note):
        done = invoke("preserve", file)
        assert done.exit_code == 1
        assert "nothing to preserve" in done.stderr
    assert not list(note.parent.glob("*.preserved*"))


def test_a_resource_and_its_provenance_are_found_beside_one_another(invoke, tmp_path: Path) -> None:
    resource = tmp_path / "obs.json"
    resource.write_text('{"resourceType": "Observation", "id": "o1", "valueInteger": 1}', encoding="utf-8")
    signed(invoke, resource, "--format", "fhir")
    assert verdicts(invoke, resource) == [("fhir", "valid")]
    assert verdicts(invoke, tmp_path / "obs.provenance.json") == [("fhir", "valid")]
