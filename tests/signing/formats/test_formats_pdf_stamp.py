"""What is seen of a signature on a page is readable in Chinese anywhere, and changes nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from signing.errors import DocumentUnusableError
from signing.formats import pdf_stamp
from signing.formats.pades import Pades
from signing.formats.pdf_stamp import Stamp, new_field
from signing.hashes import Hash
from tests.support.pdf_attacks import first_page
from tests.support.pdf_judges import valid_to_pdfsig, valid_to_pyhanko
from tests.support.pdfs import A4, pdf, updated, written
from tests.support.test_pki import NOW, pki, sign_with


def signed(document: bytes, form: Pades) -> bytes:
    ready = form.prepare(document, pki().signer("ec"), Hash.SHA_256, NOW)
    return ready.finish(sign_with("ec", ready.digest, Hash.SHA_256))


def text_of(document: bytes, page: int, folder: Path) -> str:
    """What Poppler reads on a page: shapes with the characters that they stand for."""
    file = folder / "read.pdf"
    file.write_bytes(document)
    words = ["pdftotext", "-f", str(page), "-l", str(page), str(file), "-"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("page", "on", "off"), [(1, 1, 2), (-1, 2, 1), (2, 2, 1)])
def test_a_stamp_is_on_the_page_that_was_chosen(page: int, on: int, off: int, tmp_path: Path) -> None:
    document = signed(pdf("one", "two"), Pades(reason="醫師確認病歷", stamp=Stamp(page=page)))
    assert "王測試" in text_of(document, on, tmp_path)
    assert "醫師確認病歷" in text_of(document, on, tmp_path)
    assert "王測試" not in text_of(document, off, tmp_path)
    assert valid_to_pdfsig(document, tmp_path)
    assert valid_to_pyhanko(document, pki().root)


def test_an_existing_field_that_has_a_place_shows_the_signature_there(tmp_path: Path) -> None:
    document = signed(pdf(fields=("Physician",)), Pades())
    assert "王測試" in text_of(document, 1, tmp_path)


def test_an_existing_field_stays_empty_to_the_eye_where_no_font_has_the_characters(tmp_path: Path) -> None:
    document = signed(pdf(fields=("Physician",)), Pades(reason="\U0010fffd"))
    assert "王測試" not in text_of(document, 1, tmp_path)
    assert valid_to_pdfsig(document, tmp_path)


def test_what_somebody_wrote_is_shown_as_it_is(tmp_path: Path) -> None:
    document = signed(pdf(), Pades(reason="100%(ts)s\n%(signer)s", stamp=Stamp()))
    assert "100%(ts)s %(signer)s" in text_of(document, 1, tmp_path)


@pytest.mark.parametrize("page", [0, 3, -3])
def test_a_page_that_is_not_there_is_refused_with_a_sentence(page: int) -> None:
    with pytest.raises(DocumentUnusableError, match="2 pages"):
        signed(pdf("one", "two"), Pades(stamp=Stamp(page=page)))


def test_a_font_without_the_characters_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnusableError, match="font"):
        signed(pdf(), Pades(stamp=Stamp(font=tmp_path / "none.ttf")))


def test_a_character_that_no_font_has_is_named() -> None:
    with pytest.raises(DocumentUnusableError, match="font"):
        signed(pdf(), Pades(reason="\U0010fffd", stamp=Stamp()))


def test_fonts_are_looked_for_where_each_system_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEMROOT", "C:/Windows")
    assert pdf_stamp._folders("win32") == (Path("C:/Windows/Fonts"),)
    assert Path("/Library/Fonts") in pdf_stamp._folders("darwin")
    assert Path("/usr/share/fonts") in pdf_stamp._folders("linux")


def box_on(document: bytes, stamp: Stamp) -> tuple[int, ...]:
    """Where the field of a signature would be on the first page."""
    field = new_field(updated(document), "Signature", stamp)
    assert field.on_page == 0
    return tuple(field.box)


def test_a_stamp_is_where_somebody_wants_it() -> None:
    assert box_on(pdf(), Stamp(box=(40, 50, 240, 110))) == (40, 50, 240, 110)


def test_a_page_that_does_not_say_how_large_it_is_is_taken_for_a4() -> None:
    writer = updated(pdf())
    page = first_page(writer)
    del page["/MediaBox"]
    writer.update_container(page)
    left, bottom, right, top = box_on(written(writer), Stamp())
    assert (left, bottom, right, top) == box_on(pdf(), Stamp())
    assert 0 < left < right < A4[2]
    assert 0 < bottom < top < A4[3]
