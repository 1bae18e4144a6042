"""Canonical XML 1.0 and 1.1, inclusive and exclusive, of a document or of an element with its context.

lxml canonicalises whole documents rightly, and elements without what they inherit. An element is therefore
made the root of a document of its own, with all namespaces in scope and, where the method wants them, the
`xml:` attributes of its ancestors; the result is that of the element as a document subset (Canonical XML 1.0
§2.4).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from signing.errors import DocumentUnusableError
from signing.xml import XML, Element, Tree
from signing.xml.parsing import reparse


class Canonicalization(StrEnum):
    """The methods by their URIs."""

    INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    INCLUSIVE_COMMENTS = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
    INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
    INCLUSIVE_11_COMMENTS = "http://www.w3.org/2006/12/xml-c14n11#WithComments"
    EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
    EXCLUSIVE_COMMENTS = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"

    @property
    def exclusive(self) -> bool:
        """Whether only namespaces that are used are written."""
        return self in (Canonicalization.EXCLUSIVE, Canonicalization.EXCLUSIVE_COMMENTS)

    @property
    def comments(self) -> bool:
        """Whether comments are written."""
        return self.endswith("#WithComments")

    @property
    def inherited(self) -> frozenset[str]:
        """The `xml:` attributes that an element takes over from its ancestors; `*` for all of them."""
        if self.exclusive:
            return frozenset()
        return _INHERITED_11 if "xml-c14n11" in self else frozenset("*")


_INHERITED_11: Final = frozenset(("lang", "space", "base"))


@dataclass(slots=True)
class NodeSet:
    """A part of a document, as a document of its own that may be changed.

    Attributes:
        root: its apex.
        whole: what stands outside the root, such as instructions, belongs to it.
        ancestors: the `xml:` attributes of the apex' ancestors that it has not itself.
    """

    root: Element
    whole: bool
    ancestors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_document(cls, tree: Tree) -> NodeSet:
        """Return a copy of all of it."""
        return cls(deepcopy(tree).getroot(), whole=True)

    @classmethod
    def of_element(cls, element: Element) -> NodeSet:
        """Return a copy of an element with the namespaces in scope."""
        from lxml import etree

        ancestors: dict[str, str] = {}
        for above in element.iterancestors():
            for key, value in above.items():
                if key.startswith(f"{{{XML}}}") and key not in element.attrib:
                    ancestors.setdefault(key, value)
        root = reparse(etree.tostring(element, encoding="UTF-8", with_tail=False))
        return cls(root, whole=False, ancestors=ancestors)

    def canonical(
        self, method: Canonicalization, prefixes: tuple[str, ...] = (), *, comments: bool = True
    ) -> bytes:
        """Return its canonical form.

        Args:
            method: which.
            prefixes: of namespaces that an exclusive method treats as an inclusive one does.
            comments: comments belong to it; a method may leave them out all the same.

        Raises:
            DocumentUnusableError: it has none: a namespace is a relative address, or `xml:base` is inherited.
        """
        from lxml import etree

        added = {
            key: value
            for key, value in self.ancestors.items()
            if "*" in method.inherited or key.rpartition("}")[2] in method.inherited
        }
        if "xml-c14n11" in method and f"{{{XML}}}base" in added:
            raise DocumentUnusableError("xml:base of an ancestor is not supported")
        for key, value in added.items():
            self.root.set(key, value)
        try:
            octets: bytes = etree.tostring(
                self.root.getroottree() if self.whole else self.root,
                method="c14n",
                exclusive=method.exclusive,
                with_comments=method.comments and comments,
                inclusive_ns_prefixes=list(prefixes) or None if method.exclusive else None,
            )
        except etree.C14NError:
            raise DocumentUnusableError("the XML document has no canonical form") from None
        finally:
            for key in added:
                del self.root.attrib[key]
        return octets


def canonical(element: Element, method: Canonicalization, prefixes: tuple[str, ...] = ()) -> bytes:
    """Return the canonical form of an element in its document; as `NodeSet.canonical`."""
    return NodeSet.of_element(element).canonical(method, prefixes)


def excise(element: Element) -> None:
    """Take an element out of its document and leave the text behind it."""
    parent, before = element.getparent(), element.getprevious()
    if element.tail:
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
    parent.remove(element)
