"""What a document says, as plain text for the window in which somebody agrees to sign it.

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
