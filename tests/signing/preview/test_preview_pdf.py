"""The picture of a PDF is what is signed: as another renderer draws it, with nothing executed or fetched."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import PdfFileWriter, copy_into_new_writer

from signing.preview import Notice, preview
from signing.preview.pdf import HEIGHT, PICTURE_MAX, WIDTH, pdf_preview
from tests.support import pdf_attacks as attacks
from tests.support.pdf_attacks import edited, first_page, number
from tests.support.pdfs import pdf, written
from tests.support.platforms import not_on_windows


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def rows_of(png: bytes) -> list[bytes]:
    """The rows of a picture of ours: RGB, no filters."""
    width, height = size_of(png)
    at, data = 8, b""
    while at < len(png):
        [length] = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    octets = zlib.decompress(data)
    step = 1 + 3 * width
    return [octets[start + 1 : start + step] for start in range(0, height * step, step)]


PARTS = 24
DARK = bytes(value < 160 for value in range(256))


def grid(rows: list[bytes]) -> list[bool]:
    """Where rows of RGB are not white, in a grid of so many parts a side."""
    cells = [False] * PARTS * PARTS
    edges = [len(rows[0]) // 3 * part // PARTS * 3 for part in range(PARTS + 1)]
    for y, row in enumerate(rows):
        dark = row.translate(DARK)
        for part in range(PARTS if any(dark) else 0):
            if any(dark[edges[part] : edges[part + 1]]):
                cells[y * PARTS // len(rows) * PARTS + part] = True
    return cells


def ink(png: bytes) -> list[bool]:
    return grid(rows_of(png))


def poppler(document: bytes, folder: Path, png: bytes) -> list[bool]:
    """The same grid, as Poppler draws it at the same size."""
    width, height = size_of(png)
    file = folder / "judged.pdf"
    file.write_bytes(document)
    words = [
        "pdftoppm",
        "-cropbox",
        "-f",
        "1",
        "-l",
        "1",
        "-scale-to-x",
        str(width),
        "-scale-to-y",
        str(height),
    ]
    drawn = subprocess.run([*words, str(file)], capture_output=True, check=True).stdout
    kind, size, _, octets = drawn.split(b"\n", 3)
    assert (kind, size) == (b"P6", f"{width} {height}".encode())
    return grid([octets[start : start + 3 * width] for start in range(0, 3 * width * height, 3 * width)])


def alike(one: list[bool], other: list[bool]) -> bool:
    """Whether two grids show ink in the same places, but for the edges of letters."""
    return sum(a != b for a, b in zip(one, other, strict=True)) <= max(3, sum(one) // 4)


def text_field(value: str) -> Callable[[Any], None]:
    def fill(writer: Any) -> None:
        attacks.filled(writer)
        field = writer.root["/AcroForm"]["/Fields"][0].get_object()
        field["/V"] = generic.pdf_string(value)
        drawn = generic.StreamObject(stream_data=b"BT /F1 18 Tf 4 12 Td (Pay 9999) Tj ET")
        drawn[pdf_name("/Type")] = pdf_name("/XObject")
        drawn[pdf_name("/Subtype")] = pdf_name("/Form")
        drawn[pdf_name("/BBox")] = generic.ArrayObject(map(number, (0, 0, 200, 40)))
        drawn[pdf_name("/Resources")] = first_page(writer)["/Resources"]
        field["/AP"] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(drawn)})
        writer.update_container(field)

    return fill


def remote_picture(port: int) -> Callable[[Any], None]:
    """A picture whose octets are at an address (ISO 32000-2 §7.3.8.2, /F of a stream)."""

    def add(writer: Any) -> None:
        picture = generic.StreamObject(stream_data=b"")
        for key, value in (
            ("/Type", pdf_name("/XObject")),
            ("/Subtype", pdf_name("/Image")),
            ("/Width", number(1)),
            ("/Height", number(1)),
            ("/ColorSpace", pdf_name("/DeviceGray")),
            ("/BitsPerComponent", number(8)),
        ):
            picture[pdf_name(key)] = value
        picture[pdf_name("/F")] = generic.DictionaryObject(
            {
                pdf_name("/FS"): pdf_name("/URL"),
                pdf_name("/F"): generic.pdf_string(f"http://127.0.0.1:{port}/"),
            }
        )
        first = first_page(writer)
        first["/Resources"]["/XObject"] = generic.DictionaryObject(
            {pdf_name("/Im1"): writer.add_object(picture)}
        )
        drawn = generic.StreamObject(stream_data=b"q 400 0 0 400 50 50 cm /Im1 Do Q")
        first["/Contents"] = generic.ArrayObject([first.raw_get("/Contents"), writer.add_object(drawn)])
        writer.update_container(first)

    return add


def unknown_font(writer: Any) -> None:
    first_page(writer)["/Resources"]["/Font"]["/F1"] = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/TrueType"),
            pdf_name("/BaseFont"): pdf_name("/NoSuchFontAnywhere"),
            pdf_name("/Encoding"): pdf_name("/WinAnsiEncoding"),
        }
    )
    writer.update_container(first_page(writer)["/Resources"])


def hidden_layer(writer: Any) -> None:
    """A layer that is off, with the text on it."""
    first = first_page(writer)
    group = writer.root["/OCProperties"]["/OCGs"].raw_get(0)
    first["/Resources"]["/Properties"] = generic.DictionaryObject({pdf_name("/L1"): group})
    drawn = generic.StreamObject(stream_data=b"/OC /L1 BDC BT /F1 60 Tf 60 300 Td (SECRET) Tj ET EMC")
    first["/Contents"] = generic.ArrayObject([first.raw_get("/Contents"), writer.add_object(drawn)])
    writer.update_container(first)
    attacks.layer_off(writer)


PLAIN = pdf("Pay 1000 to the hospital")

TRIES: list[tuple[str, bytes, set[Notice]]] = [
    ("plain", PLAIN, set()),
    ("cross reference tables", pdf("Pay 1000", streams=False), set()),
    ("two pages", pdf("Pay 1000", "small print"), {Notice.FIRST_PAGE}),
    ("a script", edited(PLAIN, attacks.script), {Notice.ACTIVE}),
    ("an overlay", edited(PLAIN, attacks.note("/Stamp")), set()),
    ("a page turned", edited(PLAIN, attacks.turned), set()),
    ("a page cropped", edited(PLAIN, attacks.cropped), set()),
    ("a font that is nowhere", edited(PLAIN, unknown_font), set()),
    ("a layer", attacks.with_layers(PLAIN), {Notice.LAYERS}),
    ("a hidden layer", edited(attacks.with_layers(PLAIN), hidden_layer), {Notice.LAYERS}),
    ("other pages beside", attacks.with_spare_pages(PLAIN), set()),
    ("a form", edited(attacks.with_text_field(PLAIN), text_field("1")), set()),
    ("changed by an editor", edited(PLAIN, attacks.another_amount), set()),
]


@not_on_windows("Poppler, which draws it again, is Linux's")
@pytest.mark.parametrize(("document", "notices"), [each[1:] for each in TRIES], ids=[e[0] for e in TRIES])
def test_the_picture_is_what_another_renderer_draws(
    document: bytes, notices: set[Notice], tmp_path: Path
) -> None:
    found = preview(document).pdf
    assert found is not None
    assert set(found.notices) == notices
    assert alike(ink(found.picture), poppler(document, tmp_path, found.picture))


def test_a_cover_is_in_the_picture_and_what_it_hides_is_not() -> None:
    covered = pdf_preview(edited(PLAIN, attacks.note("/Stamp")))
    assert sum(ink(covered.picture)) < sum(ink(pdf_preview(PLAIN).picture))


def test_the_grid_tells_other_text_apart() -> None:
    """The judge of these tests would notice."""
    turned = pdf_preview(edited(PLAIN, attacks.turned))
    assert not alike(ink(pdf_preview(PLAIN).picture), ink(turned.picture))


def test_nothing_is_fetched() -> None:
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)

        def listen() -> None:
            try:
                asked.append(server.accept())
            except TimeoutError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        found = pdf_preview(edited(PLAIN, remote_picture(server.getsockname()[1])))
        thread.join()
    assert asked == []
    assert Notice.ACTIVE in found.notices
    assert found.picture


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_document_with_a_password_is_not_shown_unless_anybody_may_open_it(password: str) -> None:
    from io import BytesIO

    from pyhanko.pdf_utils.reader import PdfFileReader

    writer = copy_into_new_writer(PdfFileReader(BytesIO(PLAIN)))
    writer.encrypt(owner_pass="owner", user_pass=password)
    found = pdf_preview(written(writer))
    if password:
        assert (found.pages, found.picture, found.notices) == (0, b"", (Notice.ENCRYPTED,))
    else:
        assert alike(ink(found.picture), ink(pdf_preview(PLAIN).picture))


@pytest.mark.parametrize(
    "box",
    [(0, 0, 14400, 14400), (0, 0, 20, 20), (0, 0, 5000, 100), (0, 0, 0, 0), (0, 0, 1, 1_000_000)],
    ids=str,
)
def test_a_page_of_any_size_is_drawn_small_or_not_at_all(box: tuple[int, int, int, int]) -> None:
    def resize(writer: Any) -> None:
        first_page(writer)["/MediaBox"] = generic.ArrayObject(map(number, box))
        writer.update_container(first_page(writer))

    found = pdf_preview(edited(PLAIN, resize))
    assert not found.picture or max(size_of(found.picture)) <= max(WIDTH, HEIGHT) + 1


def test_a_picture_that_cannot_be_made_small_by_packing_is_drawn_smaller() -> None:
    def noise(writer: Any) -> None:
        state, octets = 1, bytearray()
        for _ in range(300 * 300 * 3):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            octets.append(state >> 16 & 0xFF)
        picture = generic.StreamObject(stream_data=bytes(octets))
        for key, value in (
            ("/Type", pdf_name("/XObject")),
            ("/Subtype", pdf_name("/Image")),
            ("/Width", number(300)),
            ("/Height", number(300)),
            ("/ColorSpace", pdf_name("/DeviceRGB")),
            ("/BitsPerComponent", number(8)),
        ):
            picture[pdf_name(key)] = value
        first = first_page(writer)
        first["/Resources"]["/XObject"] = generic.DictionaryObject(
            {pdf_name("/N"): writer.add_object(picture)}
        )
        first["/Contents"] = writer.add_object(
            generic.StreamObject(stream_data=b"q 595 0 0 842 0 0 cm /N Do Q")
        )
        writer.update_container(first)

    assert 1000 < len(pdf_preview(edited(PLAIN, noise)).picture) <= PICTURE_MAX


@pytest.mark.parametrize("document", [b"%PDF-1.7\n", b"%PDF-", PLAIN[:300], b"%PDF-1.7" + bytes(4000)])
def test_a_damaged_document_is_said_to_be_damaged(document: bytes) -> None:
    found = pdf_preview(document)
    assert Notice.DAMAGED in found.notices


def test_a_document_that_was_signed_before_says_so() -> None:
    from signing.formats.pades import Pades
    from signing.hashes import Hash
    from tests.support.test_pki import NOW, pki, sign_with

    ready = Pades().prepare(PLAIN, pki().signer("ec"), Hash.SHA_256, NOW)
    assert pdf_preview(ready.finish(sign_with("ec", ready.digest, Hash.SHA_256))).notices == (Notice.SIGNED,)


def test_a_document_without_pages_has_no_picture() -> None:
    writer = PdfFileWriter()
    assert pdf_preview(written(writer)).picture == b""


def test_a_script_that_has_a_name_is_one_that_the_renderer_counts() -> None:
    def named(writer: Any) -> None:
        action = generic.DictionaryObject(
            {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): generic.pdf_string("app.alert(1)")}
        )
        scripts = generic.ArrayObject([generic.pdf_string("first"), writer.add_object(action)])
        tree = generic.DictionaryObject({pdf_name("/Names"): scripts})
        writer.root["/Names"] = generic.DictionaryObject({pdf_name("/JavaScript"): tree})
        writer.update_root()

    assert pdf_preview(edited(PLAIN, named)).notices == (Notice.ACTIVE,)


@pytest.mark.parametrize("size", [(0.0, 0.0), (100.0, 0.0), (float("nan"), 100.0), (1e9, 1.0)], ids=str)
def test_whatever_size_the_renderer_tells_a_page_without_one_is_damaged(
    size: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pypdfium2.PdfPage.get_size", lambda _page: size)
    found = pdf_preview(PLAIN)
    assert (found.pages, found.picture, found.notices) == (0, b"", (Notice.DAMAGED,))
