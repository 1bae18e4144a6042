"""XML as untrusted input: no DTD, no entity, nothing fetched, bounded."""

from __future__ import annotations

from collections import Counter
from typing import Final

from signing.errors import DocumentUnsafeError, DocumentUnusableError
from signing.xml import Element, Tree

BYTES_MAX: Final = 64 << 20
MARKUP_MAX: Final = 1_000_000
"""Opening angle brackets: what a document costs in memory is its nodes more than its bytes."""

_ENCODINGS: Final = frozenset(
    ("UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII", "ISO-8859-1", "BIG5")
)


_NAMES: Final = ("Id", "ID", "id")
_IDENTIFIER: Final = " or ".join(f"local-name() = '{each}'" for each in _NAMES)


def parse(document: bytes) -> Tree:
    """Return the document as a tree.

    Raises:
        DocumentUnsafeError: it has a document type, or is larger or deeper than is safe to read.
        DocumentUnusableError: it is not well-formed XML.
    """
    from lxml import etree

    if len(document) > BYTES_MAX or document.count(b"<") > MARKUP_MAX:
        raise DocumentUnsafeError("the XML document is too large")
    try:
        root = etree.fromstring(document, _parser())
    except etree.XMLSyntaxError as error:
        if "limit" in str(error) or "too deep" in str(error).lower() or "depth" in str(error):
            raise DocumentUnsafeError(
                "the XML document is nested too deeply, or a text is too long"
            ) from None
        raise DocumentUnusableError(f"not well-formed XML, line {error.lineno or 1}") from None
    except ValueError:
        raise DocumentUnusableError("not XML") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise DocumentUnsafeError("the XML document has a document type declaration")
    if (tree.docinfo.encoding or "UTF-8").upper() not in _ENCODINGS:
        raise DocumentUnsafeError("the XML document is in an unusual encoding")
    return tree


def reparse(serialised: bytes) -> Element:
    """Return the root of what was written from a tree that `parse` let through."""
    from lxml import etree

    return etree.fromstring(serialised, _parser())


def serialise(tree: Tree) -> bytes:
    """Return the document, UTF-8, with its declaration and what stands outside its root."""
    from lxml import etree

    return bytes(etree.tostring(tree, encoding="UTF-8", xml_declaration=True))


def identifiers(tree: Tree) -> Counter[str]:
    """Return how often each identifier is given, whatever the attribute is called.

    Without a schema nobody can say which attribute is an identifier; one that is there twice under any of the
    usual names can be resolved in two ways.
    """
    return Counter(tree.xpath(f"//@*[{_IDENTIFIER}]", smart_strings=False))


def with_identifier(tree: Tree, identifier: str) -> list[Element]:
    """Return the elements that bear an identifier; more than one where it is ambiguous."""
    return list(tree.xpath(f"//*[@*[{_IDENTIFIER}] = $identifier]", identifier=identifier))


def identifier_of(element: Element) -> str:
    """Return an element's identifier; empty without one."""
    return next((str(value) for key, value in element.items() if _is_identifier(key)), "")


def _is_identifier(attribute: str) -> bool:
    """Whether an attribute is an identifier by its name: `Id`, `xml:id`, `wsu:Id` and their like."""
    return attribute.rpartition("}")[2] in _NAMES


def local_name(element: Element) -> str:
    """Return an element's name without its namespace; empty for comments and instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _parser() -> Element:
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        collect_ids=False,
        strip_cdata=True,
    )
