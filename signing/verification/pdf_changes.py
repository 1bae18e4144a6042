"""Say where a PDF was changed between a signature and now: on which pages, in which fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from signing.verification.pdf_contents import entry

if TYPE_CHECKING:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

_PAGES_MAX: Final = 5000
_OBJECTS_MAX: Final = 200_000
"""Compared for one signature; a document that has more is not named page by page."""

_DEPTH_MAX: Final = 40
_UPWARDS: Final = frozenset(("/Parent", "/P", "/Popup", "/IRT", "/Dest", "/A"))
"""Entries that lead away from what a page shows."""


def only_signatures(reader: PdfFileReader, names: Iterable[str]) -> bool:
    """Return whether all these form fields are for signatures."""
    from pyhanko.sign.fields import enumerate_sig_fields

    signatures = {name for name, _, _ in enumerate_sig_fields(reader)}
    return all(name in signatures for name in names)


def changed_pages(reader: PdfFileReader, signature: EmbeddedPdfSignature) -> str:
    """Return which pages look otherwise than when they were signed; empty where it cannot be told."""
    from pyhanko.pdf_utils.misc import PdfError

    try:
        before = list(_pages(reader.get_historical_root(signature.signed_revision)))
        now = list(_pages(reader.root))
        comparison = _Comparison()
        changed = [
            number
            for number, (old, new) in enumerate(zip(before, now, strict=False), start=1)
            if not comparison.same(old, new)
        ]
    except (PdfError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    words = []
    if changed:
        words.append(f"第 {_ranges(changed)} 頁 page {_ranges(changed)}")
    if len(now) != len(before):
        words.append(f"{len(before)} → {len(now)} 頁 pages")
    return ", ".join(words)


def _ranges(numbers: list[int]) -> str:
    """Return "1-3, 7", and no more than fits a line."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    words = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    return ", ".join(words[:8]) + (" …" if len(words) > 8 else "")


def _pages(root: Any) -> Iterator[Any]:
    """Give the pages in their order, each once."""
    waiting = [root["/Pages"]]
    seen = 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > _PAGES_MAX:
            raise ValueError("too many pages")
        if "/Kids" in node:
            waiting += [each.get_object() for each in reversed(list(node["/Kids"]))]
        else:
            yield node


def _resolved(found: Any) -> Any:
    from pyhanko.pdf_utils import generic

    if isinstance(found, generic.IndirectObject):
        return found.get_object()  # type: ignore[no-untyped-call]
    return found


def _octets(found: Any) -> bytes | None:
    """Return a stream's content as it stands in the file; None of a dictionary."""
    from pyhanko.pdf_utils import generic

    return bytes(found.encoded_data) if isinstance(found, generic.StreamObject) else None


class _Comparison:
    """Compares what two revisions show, to a bounded number of objects."""

    def __init__(self) -> None:
        self._left = _OBJECTS_MAX
        self._seen: set[tuple[int, int]] = set()

    def same(self, old: Any, new: Any, depth: int = 0) -> bool:
        """Return whether both show the same."""
        from pyhanko.pdf_utils import generic

        self._left -= 1
        if self._left < 0 or depth > _DEPTH_MAX:
            raise ValueError("too much to compare")
        old, new = _resolved(old), _resolved(new)
        if (id(old), id(new)) in self._seen:
            return True
        if isinstance(old, generic.DictionaryObject) and isinstance(new, generic.DictionaryObject):
            self._seen.add((id(old), id(new)))
            if _octets(old) != _octets(new):
                return False
            if entry(old, "/FT") == "/Sig" or entry(new, "/FT") == "/Sig":
                return True
            keys = (old.keys() | new.keys()) - _UPWARDS
            return all(
                self._same_annotations(old, new, depth)
                if key == "/Annots"
                else key in old and key in new and self.same(old.raw_get(key), new.raw_get(key), depth + 1)
                for key in keys
            )
        if isinstance(old, generic.ArrayObject) and isinstance(new, generic.ArrayObject):
            return len(old) == len(new) and all(
                self.same(old.raw_get(at), new.raw_get(at), depth + 1) for at in range(len(old))
            )
        return bool(old == new)

    def _same_annotations(self, old: Any, new: Any, depth: int) -> bool:
        """Compare what lies on two pages, but for signatures."""
        kept = [
            [each for each in entry(page, "/Annots") or () if entry(_resolved(each), "/FT") != "/Sig"]
            for page in (old, new)
        ]
        return len(kept[0]) == len(kept[1]) and all(
            self.same(one, other, depth + 1) for one, other in zip(*kept, strict=True)
        )
