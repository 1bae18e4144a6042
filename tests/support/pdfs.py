"""PDFs made for the tests, page by page; no text in them is anybody's."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.font.basic import get_courier
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

A4 = (0, 0, 595, 842)


def pdf(*pages: str, fields: tuple[str, ...] = (), streams: bool = True) -> bytes:
    """A PDF with a line of Latin text on each page and empty signature fields.

    Args:
        pages: the lines.
        fields: names of signature fields, on the first page.
        streams: cross references in a stream, as PDF 1.5 has them; else a table.
    """
    writer = PdfFileWriter(stream_xrefs=streams)
    for line in pages or ("Discharge summary: stable",):
        writer.insert_page(page(writer, line))
    for at, field in enumerate(fields):
        append_signature_field(writer, SigFieldSpec(field, box=(40, 40 + 60 * at, 240, 90 + 60 * at)))
    return written(writer)


def page(writer: Any, line: str) -> PageObject:
    text = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    contents = generic.StreamObject(stream_data=f"BT /F1 18 Tf 60 740 Td ({text}) Tj ET".encode("latin-1"))
    resources = generic.DictionaryObject(
        {pdf_name("/Font"): generic.DictionaryObject({pdf_name("/F1"): get_courier(writer)})}
    )
    return PageObject(contents=writer.add_object(contents), media_box=A4, resources=resources)


def updated(document: bytes) -> IncrementalPdfFileWriter:
    """A writer that appends a revision, as an editor does."""
    return IncrementalPdfFileWriter(BytesIO(document))


def written(writer: Any) -> bytes:
    output = BytesIO()
    writer.write(output)
    return output.getvalue()
