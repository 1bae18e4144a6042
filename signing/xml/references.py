"""The references of an XML signature (XML Signature 1.1 §4.4.3, §4.4.4): what each one is over.

Only what stands in the document, or was given, is ever looked at. Transforms are few and known: none of them
is a program. XSLT and free XPath expressions are not run; the two expressions that everybody uses to leave
signatures out are known by their text.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from signing.errors import SigningError
from signing.xml import DS, Element, Tree, name
from signing.xml.canonical import Canonicalization, NodeSet, excise
from signing.xml.parsing import parse, with_identifier

ENVELOPED: Final = f"{DS}enveloped-signature"
BASE64: Final = f"{DS}base64"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XPATH_FILTER_2: Final = "http://www.w3.org/2002/06/xmldsig-filter2"

WITHOUT_SIGNATURES: Final = "/descendant::ds:Signature"
"""What XPath Filter 2.0 subtracts, so that signatures may be added to a document that is signed already."""

TRANSFORMS_MAX: Final = 8

_ID_POINTER: Final = re.compile(r"#xpointer\(id\((['\"])([^'\"]+)\1\)\)")
_SIGNATURE_STEP: Final = re.compile(r"([A-Za-z_][\w.-]*):Signature\)?$")
_PREFIX_LIST: Final = "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces"


class Problem(StrEnum):
    """Why a reference cannot be followed."""

    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    EXTERNAL = "external"
    TRANSFORM = "transform"
    UNREADABLE = "unreadable"


class ReferenceProblemError(SigningError):
    """A reference of the signature cannot be followed."""

    error_id = "signature.format_unknown"

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Referenced:
    """What one reference is over.

    Attributes:
        octets: what is digested.
        element: the apex in the document itself; None for what lies outside of it.
        left_out: signatures inside the apex that are not covered.
        text_only: only the characters of the apex are covered, and neither its elements nor attributes.
    """

    octets: bytes
    element: Element | None
    left_out: tuple[Element, ...] = ()
    text_only: bool = False


def follow(tree: Tree, signature: Element, reference: Element, outside: bytes | None = None) -> Referenced:
    """Return what a reference of a signature is over.

    Args:
        tree: the document that holds the signature.
        signature: the ds:Signature that the reference belongs to.
        reference: ds:Reference.
        outside: what a reference to something outside the document is over.

    Raises:
        ReferenceProblemError: it cannot be followed.
        DocumentUnusableError: what it is over has no canonical form.
    """
    transforms = reference.findall(f"{name('ds', 'Transforms')}/{name('ds', 'Transform')}")
    if len(transforms) > TRANSFORMS_MAX:
        raise ReferenceProblemError(Problem.TRANSFORM, "too many transforms")
    apex = _apex(tree, reference.get("URI"))
    if apex is None:
        if outside is None:
            raise ReferenceProblemError(Problem.EXTERNAL, "the document is not inside the signature")
        return Referenced(_transformed(outside, transforms, signature)[0], None)
    nodes = _Part(apex, apex is tree.getroot(), (reference.get("URI") or "").startswith("#xpointer("))
    octets, text_only = _transformed(nodes, transforms, signature)
    return Referenced(octets, apex, tuple(nodes.left_out), text_only)


def is_outside(reference: Element) -> bool:
    """Whether a reference leads out of its document."""
    uri = reference.get("URI")
    return uri is None or not (uri == "" or uri.startswith("#"))


def _apex(tree: Tree, uri: str | None) -> Element | None:
    """Return the element that a URI names; None where it leads out of the document."""
    if uri is None or not (uri == "" or uri.startswith("#")):
        return None
    if uri in ("", "#xpointer(/)"):
        return tree.getroot()
    pointer = _ID_POINTER.fullmatch(uri)
    if pointer is None and uri.startswith("#xpointer("):
        raise ReferenceProblemError(Problem.TRANSFORM, "an XPointer that is not an identifier")
    identifier = pointer[2] if pointer else uri[1:]
    found = with_identifier(tree, identifier)
    if not found:
        raise ReferenceProblemError(Problem.MISSING, uri[:60])
    if len(found) > 1:
        raise ReferenceProblemError(Problem.AMBIGUOUS, f"{uri[:60]} is there more than once")
    return found[0]


class _Part:
    """A part of the document on its way through the transforms, copied when it has to be.

    Only an XPointer takes comments along (§4.4.3.3).
    """

    def __init__(self, apex: Element, whole: bool, comments: bool) -> None:
        self.apex = apex
        self.whole = whole
        self.comments = comments
        self.left_out: list[Element] = []

    def leave_out(self, signatures: list[Element]) -> None:
        for each in signatures:
            if each is self.apex:
                raise ReferenceProblemError(Problem.TRANSFORM, "nothing is left of what is signed")
            if self.apex in each.iterancestors() and each not in self.left_out:
                self.left_out.append(each)

    def nodes(self) -> NodeSet:
        copied = NodeSet.of_document(self.apex.getroottree()) if self.whole else NodeSet.of_element(self.apex)
        outermost = [each for each in self.left_out if not set(each.iterancestors()) & set(self.left_out)]
        for twin in [_twin(copied.root, self.apex, each) for each in outermost]:
            excise(twin)
        return copied


def _twin(root: Element, apex: Element, element: Element) -> Element:
    """Return the element's place in a copy of the apex."""
    steps: list[int] = []
    while element is not apex:
        steps.append(element.getparent().index(element))
        element = element.getparent()
    for step in reversed(steps):
        root = root[step]
    return root


def _transformed(given: _Part | bytes, transforms: list[Element], signature: Element) -> tuple[bytes, bool]:
    """Return the octets behind the transforms, and whether only text was kept."""
    data: _Part | bytes = given
    text_only = False
    for transform in transforms:
        algorithm = transform.get("Algorithm", "")
        if algorithm in tuple(Canonicalization):
            data = _canonical(data, Canonicalization(algorithm), _prefixes(transform))
        elif algorithm == BASE64:
            text = data if isinstance(data, bytes) else data.nodes().root.xpath("string()").encode()
            data, text_only = _decoded(text), True
        elif isinstance(data, bytes):
            raise ReferenceProblemError(Problem.TRANSFORM, "a transform of octets that wants a document")
        elif algorithm == ENVELOPED:
            data.leave_out([signature])
        elif _leaves_signatures_out(transform, algorithm):
            data.leave_out(list(data.apex.iter(name("ds", "Signature"))))
        else:
            raise ReferenceProblemError(Problem.TRANSFORM, algorithm[-60:])
    if isinstance(data, bytes):
        return data, text_only
    return _canonical(data, Canonicalization.INCLUSIVE, ()), text_only


def _canonical(data: _Part | bytes, method: Canonicalization, prefixes: tuple[str, ...]) -> bytes:
    if isinstance(data, bytes):
        return NodeSet(parse(data).getroot(), whole=True).canonical(method, prefixes)
    return data.nodes().canonical(method, prefixes, comments=data.comments)


def _decoded(text: bytes) -> bytes:
    try:
        return b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        raise ReferenceProblemError(Problem.UNREADABLE, "not base64") from None


def prefixes_of(method: Element) -> tuple[str, ...]:
    """Return the PrefixList of an exclusive canonicalisation."""
    return _prefixes(method)


def _prefixes(transform: Element) -> tuple[str, ...]:
    listed = transform.find(_PREFIX_LIST)
    return () if listed is None else tuple(listed.get("PrefixList", "").split())


def _leaves_signatures_out(transform: Element, algorithm: str) -> bool:
    """Whether it is one of the two expressions that leave all signatures out."""
    if algorithm == XPATH_FILTER_2:
        parts = list(transform)
        return (
            len(parts) == 1
            and parts[0].tag == f"{{{XPATH_FILTER_2}}}XPath"
            and parts[0].get("Filter") == "subtract"
            and _expression(parts[0]) in ("/descendant::ds:Signature", "//ds:Signature")
        )
    if algorithm == XPATH:
        parts = list(transform)
        return (
            len(parts) == 1
            and parts[0].tag == name("ds", "XPath")
            and _expression(parts[0]) == "not(ancestor-or-self::ds:Signature)"
        )
    return False


def _expression(element: Element) -> str:
    """Return an XPath expression without spaces, the prefix of the signature namespace written `ds`."""
    text = "".join((element.text or "").split())
    found = _SIGNATURE_STEP.search(text)
    if found is None or len(element) or element.nsmap.get(found[1]) != DS:
        return ""
    return text.replace(f"{found[1]}:Signature", "ds:Signature")
