"""The first page of a PDF as a picture, by PDFium without JavaScript; nothing is fetched.

Forms and annotations are drawn as a viewer draws them, layers as the document has them switched. What could
look otherwise in another program is said.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from signing.preview import Notice, PdfPreview

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

WIDTH: Final = 560
HEIGHT: Final = 700
"""Dots that a page is fitted into."""

SMALL: Final = 0.6
"""How much smaller the other picture is."""

PICTURE_MAX: Final = 400_000
"""Octets of a picture; one that has more is drawn smaller."""

_SMALLEST: Final = 40

_OTHERWISE: Final = {
    "content.layers": Notice.LAYERS,
    "content.active": Notice.ACTIVE,
    "structure.damaged": Notice.DAMAGED,
    "structure.refused": Notice.DAMAGED,
    "document.unreadable": Notice.DAMAGED,
    "document.encrypted": Notice.ENCRYPTED,
}


def is_pdf(document: bytes) -> bool:
    """Whether a PDF begins within the first kilobyte (ISO 32000-1 annex H.3, note 13)."""
    return b"%PDF-" in document[:1024]


def pdf_preview(document: bytes) -> PdfPreview:
    """Return how a PDF looks."""
    import pypdfium2
    from pypdfium2 import raw

    from signing.verification.pdf import look_into

    signatures, remarks = look_into(document)
    notices = dict.fromkeys(
        _OTHERWISE[each.finding.value] for each in remarks if each.finding.value in _OTHERWISE
    )
    try:
        opened = pypdfium2.PdfDocument(document)
    except pypdfium2.PdfiumError:
        known = Notice.ENCRYPTED if Notice.ENCRYPTED in notices else Notice.DAMAGED
        return PdfPreview(0, notices=(known,))
    try:
        if raw.FPDFDoc_GetJavaScriptActionCount(opened) > 0:
            notices[Notice.ACTIVE] = None
        if signatures:
            notices[Notice.SIGNED] = None
        opened.init_forms()
        pages = len(opened)
        if pages > 1:
            notices[Notice.FIRST_PAGE] = None
        picture = _picture(opened[0], 1) if pages else b""
        small = _picture(opened[0], SMALL) if pages else b""
    except (pypdfium2.PdfiumError, ValueError, OSError):
        return PdfPreview(0, notices=tuple({**notices, Notice.DAMAGED: None}))
    finally:
        opened.close()
    return PdfPreview(pages, picture, small, tuple(notices))


def _picture(page: PdfPage, share: float) -> bytes:
    """Return a page as PNG, no larger than that share of what a window has room for."""
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        raise ValueError("a page without size")
    scale = share * min(WIDTH / width, HEIGHT / height)
    # A side of at least one dot, however long and thin the page is.
    if min(width, height) * scale < 1:
        raise ValueError("a page too thin to be drawn")
    while True:
        bitmap = page.render(scale=scale, rev_byteorder=True, may_draw_forms=True, prefer_bgrx=False)
        png = _png(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer))
        if len(png) <= share * PICTURE_MAX or bitmap.width < _SMALLEST:
            return png
        scale *= 0.7


def _png(width: int, height: int, stride: int, octets: bytes) -> bytes:
    """Return RGB rows as PNG (ISO/IEC 15948), without filters."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + octets[at : at + 3 * width] for at in range(0, height * stride, stride))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 6))
        + chunk(b"IEND", b"")
    )
