"""What a document says, as text or as a picture of its first page, for whoever agrees to sign it.

Nothing is executed, fetched or styled: text that a stylesheet would hide is shown, a picture that would have
to be fetched is named, characters that cannot be seen are written out. What is not shown is said.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LINES_MAX: Final = 400
LINE_MAX: Final = 400
"""Characters: longer ones are shown as several."""


class RecordKind(StrEnum):
    """What the document is."""

    MEDICAL_RECORD = "medical-record"
    XML = "xml"
    TEXT = "text"


class Notice(StrEnum):
    """What a reader of the preview has to know; `NOTICES` has the sentences."""

    SHORTENED = "shortened"
    INVISIBLE = "invisible"
    PRIVATE_USE = "private-use"
    STYLESHEET = "stylesheet"
    PICTURES = "pictures"
    ATTACHMENT = "attachment"
    STRUCTURED = "structured"
    OUTSIDE_RECORD = "outside-record"
    REVISED = "revised"
    FIRST_PAGE = "first-page"
    SIGNED = "signed"
    LAYERS = "layers"
    ACTIVE = "active"
    DAMAGED = "damaged"
    ENCRYPTED = "encrypted"


NOTICES: Final = {
    Notice.SHORTENED: ("只顯示開頭的部分。", "Only the beginning is shown."),
    Notice.INVISIBLE: (
        "文件裡有看不見或會改變文字順序的字元，這裡以 [U+代碼] 顯示。",
        "Characters that are invisible or change the order of text are shown as [U+code].",
    ),
    Notice.PRIVATE_USE: (
        "文件裡有造字，樣子依電腦的字型而定，這裡以 [U+代碼] 顯示。",
        "Characters whose shape depends on each computer's fonts are shown as [U+code].",
    ),
    Notice.STYLESHEET: (
        "文件指定了樣式表，這裡不套用；其他程式顯示的可能不同。",
        "The document names a stylesheet, which is not applied here; other programs may show it differently.",
    ),
    Notice.PICTURES: ("圖片等多媒體沒有顯示。", "Pictures and other media are not shown."),
    Notice.ATTACHMENT: (
        "病歷的內文是內嵌的檔案，沒有顯示。",
        "The record's body is a file inside, and is not shown.",
    ),
    Notice.STRUCTURED: (
        "另有給電腦讀的結構化資料，沒有顯示。",
        "There is structured data for computers too, which is not shown.",
    ),
    Notice.OUTSIDE_RECORD: (
        "病歷以外還有一起簽署的內容，沒有顯示。",
        "Something besides the record is signed too, and is not shown.",
    ),
    Notice.REVISED: ("有標示為刪除或新增的文字。", "Some text is marked as deleted or inserted."),
    Notice.FIRST_PAGE: ("只顯示第一頁。", "Only the first page is shown."),
    Notice.SIGNED: ("文件裡已經有簽章。", "The document has been signed before."),
    Notice.LAYERS: (
        "文件有可以隱藏的圖層，其他程式顯示的可能不同。",
        "The document has layers that can be hidden; other programs may show it differently.",
    ),
    Notice.ACTIVE: (
        "文件含有程式、動態表單或外部內容，這裡不執行；其他程式顯示的可能不同。",
        "Scripts, dynamic forms and outside content are not used here; other programs may.",
    ),
    Notice.DAMAGED: (
        "文件有損壞，其他程式顯示的可能不同。",
        "The document is damaged; other programs may show it differently.",
    ),
    Notice.ENCRYPTED: ("文件有密碼，無法顯示。", "The document has a password, and cannot be shown."),
}
"""Chinese and English."""


@dataclass(frozen=True, slots=True)
class TextPreview:
    """A document as text.

    Attributes:
        kind: what it is.
        record_type: such as 出院病摘; empty where the document does not say.
        lines: its text, at most `LINES_MAX` lines; safe to be shown as they are.
        notices: what is not shown, or not as it is.
    """

    kind: RecordKind
    record_type: str
    lines: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class PdfPreview:
    """A PDF as its first page.

    Attributes:
        pages: how many there are; 0 where it cannot be opened.
        picture: PNG of the first page, as it is without scripts; empty where it cannot be drawn.
        small: the same for a screen with less room.
        notices: what is not shown, or could be otherwise elsewhere.
    """

    pages: int
    picture: bytes = b""
    small: bytes = b""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """A document as it can be shown; neither where it can only be named."""

    text: TextPreview | None = None
    pdf: PdfPreview | None = None


def preview(document: bytes) -> Preview:
    """Return how a document looks; hostile ones are for a process of its own (`child.py`)."""
    from signing.preview.pdf import is_pdf, pdf_preview

    if is_pdf(document):
        return Preview(pdf=pdf_preview(document))
    return Preview(text=text_preview(document))


def text_preview(document: bytes) -> TextPreview | None:
    """Return a document as text; None where it is neither text nor XML that is safe to read."""
    from signing.errors import DocumentUnsafeError, DocumentUnusableError
    from signing.preview.plain import plain_preview, preview_of
    from signing.preview.record import record_in, record_preview
    from signing.xml.parsing import parse, serialise

    if not document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return plain_preview(document)
    try:
        tree = parse(document)
    except DocumentUnsafeError:
        return None
    except DocumentUnusableError:
        return plain_preview(document)
    record = record_in(tree)
    if record is not None:
        with suppress(RecursionError):
            return record_preview(tree, record)
    # What was read and is signed, in whatever encoding it came.
    return preview_of(serialise(tree).decode().split("\n"), RecordKind.XML)
