"""Say what in a PDF can show one thing now and another later: layers, scripts, content from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from signing.verification.findings import Finding, Remark

if TYPE_CHECKING:
    from pyhanko.pdf_utils.reader import PdfFileReader

_OBJECTS_MAX: Final = 50_000
"""Looked at in one document; what lies beyond cannot be spoken for, and is remarked too."""

_DEPTH_MAX: Final = 60

_ACTIONS: Final = {
    "/JavaScript": "JavaScript",
    "/Launch": "Launch",
    "/RichMedia": "RichMedia",
    "/Rendition": "Rendition",
    "/Movie": "Movie",
    "/3D": "3D",
    "/ImportData": "ImportData",
    "/SetOCGState": "SetOCGState",
}
"""/S of an action or /Subtype of an annotation that changes or runs something (ISO 32000-2 §12.6.4)."""


def restless(reader: PdfFileReader) -> Iterator[Remark]:
    """Give what could make a document look otherwise at another time, on paper or in another program."""
    root = reader.root
    layers = entry(root, "/OCProperties")
    if layers is not None:
        count = len(entry(layers, "/OCGs") or ())
        yield Remark(Finding.CONTENT_LAYERS, f"{count} 個圖層 {'layer' if count == 1 else 'layers'}")
    found = sorted(_active(root))
    if found:
        yield Remark(Finding.CONTENT_ACTIVE, ", ".join(found))


def entry(dictionary: Any, key: str) -> Any:
    """Return what an entry is or refers to; None where there is none."""
    if key not in dictionary:
        return None
    return dictionary[key]  # and not get(), which leaves references as they are


def _active(root: Any) -> set[str]:
    """Return what is executed or fetched, by the names of the standard."""
    from pyhanko.pdf_utils import generic

    found: set[str] = set()
    if "/XFA" in (entry(root, "/AcroForm") or {}):
        found.add("XFA")
    if "/JavaScript" in (entry(root, "/Names") or {}):
        found.add("JavaScript")
    waiting: list[tuple[Any, int]] = [(root, 0)]
    seen: set[object] = set()
    looked = 0
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, generic.IndirectObject):
            if each.reference in seen:
                continue
            seen.add(each.reference)
            each = each.get_object()  # type: ignore[no-untyped-call]
        looked += 1
        if looked > _OBJECTS_MAX or depth > _DEPTH_MAX:
            found.add("…")
            break
        if isinstance(each, generic.DictionaryObject):
            for name in (entry(each, "/S"), entry(each, "/Subtype")):
                if isinstance(name, str) and name in _ACTIONS:
                    found.add(_ACTIONS[name])
            if isinstance(each, generic.StreamObject) and "/F" in each:
                found.add("external stream")
            waiting += [(each.raw_get(key), depth + 1) for key in each]
        elif isinstance(each, generic.ArrayObject):
            waiting += [(each.raw_get(at), depth + 1) for at in range(len(each))]
    return found
