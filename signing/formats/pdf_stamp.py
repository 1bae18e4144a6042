"""What is seen of a signature on a page of a PDF: a few lines, in Chinese too, with the font inside the file.

A font that is only named would look otherwise on each computer, and be nothing where it is missing. So the
shapes of just these characters are taken from a font of this system and put into the document.
"""

from __future__ import annotations

import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signing.errors import DocumentUnusableError

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigFieldSpec
    from pyhanko.stamp import BaseStampStyle

WIDTH: Final = 190
HEIGHT: Final = 80
_MARGIN: Final = 30
"""Points."""

_LINE_MAX: Final = 60

# Where systems keep fonts that have traditional Chinese, those with more characters first.
_FONTS: Final = {
    "win32": ("msjh.ttc", "msjh.ttf", "kaiu.ttf", "mingliu.ttc", "mingliub.ttc", "simsunb.ttf"),
    "darwin": ("PingFang.ttc", "STHeiti Light.ttc", "STHeiti Medium.ttc", "Arial Unicode.ttf"),
    "linux": (
        "NotoSansCJK-Regular.ttc",
        "NotoSansTC-Regular.otf",
        "NotoSerifCJK-Regular.ttc",
        "wqy-zenhei.ttc",
        "wqy-microhei.ttc",
        "ukai.ttc",
        "uming.ttc",
        "DroidSansFallbackFull.ttf",
        "DroidSansFallback.ttf",
    ),
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a signature is seen.

    Attributes:
        page: 1 for the first page, -1 for the last one.
        box: left, bottom, right and top from the page's lower left corner, in points; None for its lower
            right corner.
        font: a TrueType or OpenType file that has the characters; None for one of this system's.
    """

    page: int = 1
    box: tuple[int, int, int, int] | None = None
    font: Path | None = None


def new_field(writer: IncrementalPdfFileWriter, name: str, stamp: Stamp) -> SigFieldSpec:
    """Return the field that a stamp is seen in.

    Raises:
        DocumentUnusableError: there is no such page.
    """
    from pyhanko.sign.fields import SigFieldSpec

    number, box = _place(writer, stamp)
    return SigFieldSpec(name, on_page=number, box=box)


def _place(writer: IncrementalPdfFileWriter, stamp: Stamp) -> tuple[int, tuple[int, int, int, int]]:
    """Return the page, counted from 0, and the box."""
    count = int(writer.root["/Pages"]["/Count"])
    number = stamp.page - 1 if stamp.page > 0 else count + stamp.page
    if not 0 <= number < count:
        raise DocumentUnusableError(
            f"PDF 沒有第 {stamp.page} 頁（共 {count} 頁） · the PDF has {count} pages"
        )
    if stamp.box is not None:
        return number, stamp.box
    reference, _ = writer.find_page_for_modification(number)  # type: ignore[no-untyped-call]
    left, bottom, right, _ = _visible(reference.get_object())
    edge = max(left, right - _MARGIN)
    start = max(left, edge - WIDTH)
    return number, (start, bottom + _MARGIN, edge, bottom + _MARGIN + HEIGHT)


def _visible(page: Any) -> tuple[int, int, int, int]:
    """Return the part of a page that is shown: an entry may stand in what the page belongs to."""
    for name in ("/CropBox", "/MediaBox"):
        node, depth = page, 0
        while node is not None and depth < 40:
            if name in node:
                a, b, c, d = (int(float(each)) for each in node[name])
                return min(a, c), min(b, d), max(a, c), max(b, d)
            node, depth = (node["/Parent"] if "/Parent" in node else None), depth + 1  # noqa: SIM401
    return 0, 0, 595, 842


def style(texts: tuple[str, ...], stamp: Stamp | None) -> BaseStampStyle:
    """Return what pyHanko asks for a drawing of these lines, if the signature has a place on a page.

    Drawing raises `DocumentUnusableError` where no font has all of the characters.
    """
    from pyhanko.pdf_utils import layout
    from pyhanko.pdf_utils.text import TextBoxStyle
    from pyhanko.stamp import BaseStampStyle, TextStamp, TextStampStyle

    class Seen(BaseStampStyle):
        def create_stamp(self, writer: Any, box: Any, text_params: dict[str, str]) -> TextStamp | None:
            text = _lines(texts)
            try:
                font = _subset(text, None if stamp is None else stamp.font)
            except DocumentUnusableError:
                if stamp is None:
                    return None  # nobody asked for it: the field stays empty to the eye
                raise
            lines = TextBoxStyle(font=_factory(font), font_size=9, leading=13)
            # The text is a parameter: what somebody wrote is no template.
            drawn = TextStampStyle(
                stamp_text="%(text)s",
                text_box_style=lines,
                border_width=1,
                inner_content_layout=layout.SimpleBoxLayoutRule(
                    x_align=layout.AxisAlignment.ALIGN_MIN,
                    y_align=layout.AxisAlignment.ALIGN_MID,
                    margins=layout.Margins(6, 6, 6, 6),
                ),
            )
            return drawn.create_stamp(writer, box, {**text_params, "text": text})

    return Seen()


def _lines(texts: tuple[str, ...]) -> str:
    """Return the lines of a stamp, each short enough to be read."""
    shown = ("".join(each if _is_shape(each) else " " for each in text).strip() for text in texts)
    return "\n".join(
        each if len(each) <= _LINE_MAX else f"{each[: _LINE_MAX - 1]}…" for each in shown if each
    )


def _is_shape(character: str) -> bool:
    """Whether fonts have a shape for it; some have their own for private use."""
    return character.isprintable() or unicodedata.category(character) == "Co"


def _factory(font: bytes) -> Any:
    """Return what makes pyHanko's font engine of a font in memory."""
    from pyhanko.pdf_utils.font import FontEngineFactory
    from pyhanko.pdf_utils.font.opentype import GlyphAccumulator

    class Factory(FontEngineFactory):
        def create_font_engine(self, writer: Any, obj_stream: Any = None) -> Any:
            return GlyphAccumulator(writer, BytesIO(font), 10, obj_stream=obj_stream)

    return Factory()


def _subset(text: str, named: Path | None) -> bytes:
    """Return a font of just these characters, with its outlines as they are."""
    from fontTools import subset

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    wanted = {ord(each) for each in text if each != "\n"} | {ord(" ")}
    missing = wanted
    for font in _candidates(named):
        here = wanted - set(font.getBestCmap() or ())
        if here:
            missing = min(missing, here, key=len)
            continue
        options = subset.Options(hinting=False, layout_features=[], name_IDs=["*"], notdef_outline=True)
        maker = subset.Subsetter(options)
        maker.populate(unicodes=wanted)
        maker.subset(font)
        output = BytesIO()
        font.save(output)
        return output.getvalue()
    shown = "".join(sorted(chr(each) for each in missing))[:8]
    raise DocumentUnusableError(f"找不到可以顯示「{shown}」的字型 · no font here has these characters")


def _candidates(named: Path | None) -> Iterator[TTFont]:
    """Give fonts that may have the characters; of a collection the traditional Chinese one."""
    from fontTools.ttLib import TTCollection, TTFont, TTLibError

    for file in _files() if named is None else (named,):
        try:
            if file.suffix.lower() in (".ttc", ".otc"):
                faces = TTCollection(str(file), lazy=True).fonts
                yield next((face for face in faces if "TC" in str(face["name"].getDebugName(4))), faces[0])
            else:
                yield TTFont(str(file), lazy=True)
        except (TTLibError, OSError, KeyError, IndexError):
            continue


def _files() -> Iterator[Path]:
    """Give the files of this system's fonts that have traditional Chinese."""
    kind = sys.platform if sys.platform in _FONTS else "linux"
    known = {name: order for order, name in enumerate(_FONTS[kind])}
    found = [
        Path(folder) / name
        for top in _folders(kind)
        for folder, _, names in os.walk(top)
        for name in names
        if name in known
    ]
    yield from sorted(found, key=lambda file: known[file.name])


def _folders(kind: str) -> tuple[Path, ...]:
    if kind == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "Fonts",)
    if kind == "darwin":
        return (Path("/System/Library/Fonts"), Path("/Library/Fonts"))
    return (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
