"""A medical record (HL7 CDA R2) as its narrative text, which is what its author attests (CDA R2 §1.2.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from signing.formats.emr import CDA, CLINICAL_DOCUMENT
from signing.preview import Notice, RecordKind, TextPreview
from signing.preview.plain import preview_of
from signing.xml import Element, Tree
from signing.xml.parsing import local_name

_BLOCKS: Final = frozenset(("paragraph", "item", "tr", "caption", "table", "list", "br", "footnote"))
_CELLS: Final = frozenset(("td", "th"))
_PLACES: Final = frozenset(("ContentPackage", "ContentContainer", "StructuredContent"))
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_NEW_LINE: Final = "\x00"


def record_in(tree: Tree) -> Element | None:
    """Return the one record that a document is or holds; None where there is none, or more than one."""
    root = tree.getroot()
    if root.tag == CLINICAL_DOCUMENT:
        return root
    found = list(root.iter(CLINICAL_DOCUMENT)) if local_name(root) == "ContentPackage" else []
    return found[0] if len(found) == 1 else None


def record_preview(tree: Tree, record: Element) -> TextPreview:
    """Return the record's heading and its sections in their order."""
    notices: dict[Notice, None] = {}
    for sibling in tree.getroot().itersiblings(preceding=True):
        if getattr(sibling, "target", "") == "xml-stylesheet":
            notices[Notice.STYLESHEET] = None
    if _is_more_than_the_record(record):
        notices[Notice.OUTSIDE_RECORD] = None
    code = record.find(_name("code"))
    title = _text(record.find(_name("title")))
    record_type = title or ("" if code is None else str(code.get("displayName", "")))
    lines = [*_heading(record), *_body(record, notices)]
    return preview_of(lines, RecordKind.MEDICAL_RECORD, record_type, notices)


def _heading(record: Element) -> Iterator[str]:
    """Give what the header says in words: what, when, about whom, by whom."""
    title = _text(record.find(_name("title")))
    if title:
        yield title
    moment = record.find(_name("effectiveTime"))
    if moment is not None and moment.get("value"):
        yield f"日期 Date: {moment.get('value')}"
    for label, path in (
        ("病人 Patient", ("recordTarget", "patientRole", "patient", "name")),
        ("作者 Author", ("author", "assignedAuthor", "assignedPerson", "name")),
        ("機構 Custodian", ("custodian", "assignedCustodian", "representedCustodianOrganization", "name")),
    ):
        for found in record.iterfind("/".join(_name(step) for step in path)):
            yield f"{label}: {_text(found)}"


def _body(record: Element, notices: dict[Notice, None]) -> Iterator[str]:
    if record.find(f"{_name('component')}/{_name('nonXMLBody')}") is not None:
        notices[Notice.ATTACHMENT] = None
    structured = record.find(f"{_name('component')}/{_name('structuredBody')}")
    if structured is not None:
        yield from _sections(structured, notices, 0)


def _sections(parent: Element, notices: dict[Notice, None], depth: int) -> Iterator[str]:
    """Give title and text of each section, and of those inside it."""
    for section in parent.iterfind(f"{_name('component')}/{_name('section')}"):
        yield ""
        title = _text(section.find(_name("title")))
        if title:
            yield f"{'#' * min(depth + 1, 4)} {title}"
        for text in section.iterfind(_name("text")):
            yield from _narrative(text, notices)
        if section.find(_name("entry")) is not None:
            notices[Notice.STRUCTURED] = None
        yield from _sections(section, notices, depth + 1)


def _narrative(text: Element, notices: dict[Notice, None]) -> Iterator[str]:
    """Give the lines of a narrative block; all of its text, whatever its style."""
    joined = "".join(_pieces(text, notices))
    for line in joined.split(_NEW_LINE):
        tidy = _SPACES.sub(" ", line).strip(" ")
        if tidy:
            yield tidy


def _pieces(element: Element, notices: dict[Notice, None]) -> Iterator[str]:
    kind = local_name(element)
    revised = element.get("revised", "") if kind == "content" else ""
    if kind in _BLOCKS:
        yield _NEW_LINE
    if kind == "item":
        yield "• "
    if kind == "renderMultiMedia":
        notices[Notice.PICTURES] = None
        yield f"〔圖 {element.get('referencedObject', '')}〕"
    if revised:
        notices[Notice.REVISED] = None
        yield "〔刪除 deleted: " if revised == "delete" else "〔新增 inserted: "
    if kind:
        yield element.text or ""
        for child in element:
            yield from _pieces(child, notices)
            yield child.tail or ""
    if revised:
        yield "〕"
    if kind == "linkHtml" and element.get("href"):
        yield f" 〔{element.get('href')}〕"
    if kind in _CELLS:
        yield " │ "
    if kind in _BLOCKS:
        yield _NEW_LINE


def _is_more_than_the_record(record: Element) -> bool:
    """Whether what is signed with it holds anything else: other elements, or text between them."""
    inside = record
    for place in record.iterancestors():
        if local_name(place) not in _PLACES:
            return True
        if local_name(place) == "ContentPackage":
            return False
        texts = [place.text, *(child.tail for child in place)]
        if [each for each in place.iterchildren("*") if each is not inside] or any(
            text and text.strip() for text in texts
        ):
            return True
        inside = place
    return False


def _text(element: Element | None) -> str:
    """Return all text of an element in one line; comments and instructions are none."""
    if element is None:
        return ""
    return _SPACES.sub(" ", str(element.xpath("string()"))).strip(" ")


def _name(local: str) -> str:
    return f"{{{CDA}}}{local}"
