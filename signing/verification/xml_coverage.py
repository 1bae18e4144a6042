"""What of an XML document a signature is over, and whether something else could pass for it.

A signature names elements by identifiers, and a program that reads the document finds them by their names and
places. An attacker who moves, doubles or renames signed elements plays these against each other, and leaves
every digest right. So what counts here is the document as its reader finds it: everything in it must be
covered, or be said to be not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from signing.verification.findings import Finding, Remark
from signing.xml import XML, Element, Tree, name
from signing.xml.parsing import identifier_of, local_name
from signing.xml.references import Referenced

CLINICAL_DOCUMENT: Final = "{urn:hl7-org:v3}ClinicalDocument"
_PACKAGE: Final = ("ContentPackage", "ContentContainer", "StructuredContent")
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_HARMLESS: Final = ("Id", "ID", "id", f"{{{XML}}}lang", f"{{{XML}}}space")
_PARTS: Final = frozenset(
    name("ds", local) for local in ("SignedInfo", "SignatureValue", "KeyInfo", "Object")
)
_SIGNATURE: Final = name("ds", "Signature")
_ABOUT_ITSELF: Final = frozenset(
    (
        name("ds", "KeyInfo"),
        name("ds", "SignatureValue"),
        name("ds", "SignatureProperties"),
        name("xades", "SignedProperties"),
    )
)


def is_medical_package(tree: Tree) -> bool:
    """Whether the document is an exchange package of electronic medical records."""
    root = tree.getroot()
    return local_name(root) == _PACKAGE[0] and root.find(f".//{CLINICAL_DOCUMENT}") is not None


def coverage(
    tree: Tree, signature: Element, followed: Iterable[Referenced], *, medical: bool
) -> list[Remark]:
    """Return what is to be said of the parts of a document that a signature is not over.

    Args:
        tree: the document.
        signature: it.
        followed: what its references lead to.
        medical: the document is an exchange package.
    """
    found = list(followed)
    outside = any(each.element is None for each in found)
    # A transform to text keeps neither elements nor attributes: it is for binary data in an Object alone.
    elements = [
        each.element
        for each in found
        if each.element is not None
        and not (each.text_only and (len(each.element) or each.element.tag != name("ds", "Object")))
    ]
    content = [each for each in elements if not is_about_signatures(each, signature)]
    remarks = list(_smuggled(signature, elements))
    root = tree.getroot()
    if not content:
        if outside and root is signature:
            return remarks
        if any(each.tag == name("ds", "SignatureValue") for each in elements):
            return remarks
        if not outside:
            return [*remarks, Remark(Finding.STRUCTURE_AMBIGUOUS, "it is over no part of the document")]
    uncovered = list(_uncovered(root, content))
    signed = [*content, *(child for each in content if each.tag == name("ds", "Object") for child in each)]
    remarks += _placed(signed, signature, root, medical=medical)
    names = {local_name(each) for each in signed} | ({"ClinicalDocument"} if medical else set())
    for each in uncovered[:3]:
        inside = {local_name(inner) for inner in each.iter("*")}
        if inside & names:
            remarks.append(Remark(Finding.STRUCTURE_AMBIGUOUS, f"{_words(each)} is there unsigned too"))
        else:
            remarks.append(Remark(Finding.CONTENT_BESIDE, _words(each)))
    if root not in content and root is not signature:
        remarks += _around(content, root, medical=medical)
    return remarks


def is_about_signatures(element: Element, signature: Element) -> bool:
    """Whether a covered element is a part of a signature, and no content."""
    if element.tag == name("ds", "SignatureValue"):
        return True
    return element.tag in _ABOUT_ITSELF and signature in element.iterancestors()


def _smuggled(signature: Element, covered: list[Element]) -> Iterator[Remark]:
    """Give what hides inside a signature without being a part of it."""
    for child in signature.iterchildren("*"):
        if child.tag not in _PARTS:
            yield Remark(Finding.STRUCTURE_AMBIGUOUS, f"{_words(child)} in the signature")
        if child.tag != name("ds", "Object") or child in covered:
            continue
        for inner in child.iterchildren("*"):
            if inner.tag in (name("xades", "QualifyingProperties"), _SIGNATURE) or inner in covered:
                continue
            yield Remark(Finding.STRUCTURE_AMBIGUOUS, f"{_words(inner)} in the signature is not signed")


def _placed(content: list[Element], signature: Element, root: Element, *, medical: bool) -> Iterator[Remark]:
    """Give signed elements that stand where a reader would not look for what was signed."""
    for each in content:
        above = list(each.iterancestors())
        if any(local_name(ancestor) == local_name(each) for ancestor in above):
            yield Remark(Finding.STRUCTURE_AMBIGUOUS, f"{_words(each)} is inside an unsigned one")
        elif medical:
            path = tuple(local_name(step) for step in (*reversed(above), each))
            if path != (*_PACKAGE, "ClinicalDocument")[: len(path)]:
                yield Remark(Finding.STRUCTURE_AMBIGUOUS, f"{_words(each)} is not in its place")
        elif any(ancestor.tag == _SIGNATURE for ancestor in above) and root is not signature:
            yield Remark(Finding.CONTENT_BESIDE, f"{_words(each)} is inside a signature")


def _uncovered(element: Element, content: list[Element]) -> Iterator[Element]:
    """Give the outermost elements that no covered one is, holds or is held by; signatures are not content."""
    if element in content or element.tag == _SIGNATURE:
        return
    holders = {above for each in content for above in each.iterancestors()}
    waiting = [element]
    while waiting:
        each = waiting.pop()
        if each in content or each.tag == _SIGNATURE:
            continue
        if each in holders or (not content and each is element):
            waiting += reversed(list(each.iterchildren("*")))
        else:
            yield each


def _around(content: list[Element], root: Element, *, medical: bool) -> Iterator[Remark]:
    """Give what stands around the covered elements and is not covered: attributes, text, the name itself."""
    around = dict.fromkeys(above for each in content for above in each.iterancestors()) or {root: None}
    for each in around:
        texts = [each.text, *(child.tail for child in each)]
        attributes = [key for key in each.attrib if not key.startswith(_XSI) and key not in _HARMLESS]
        if any(text and text.strip() for text in texts) or attributes:
            yield Remark(Finding.CONTENT_BESIDE, f"{_words(each)}: attributes or text")
        elif not medical:
            yield Remark(Finding.CONTENT_NOT_COVERED, _words(each))
    sibling = root.getprevious()
    while sibling is not None:
        if getattr(sibling, "target", "") == "xml-stylesheet":
            yield Remark(Finding.CONTENT_NOT_COVERED, "xml-stylesheet")
        sibling = sibling.getprevious()


def _words(element: Element) -> str:
    """Return an element's name and identifier."""
    identifier = identifier_of(element)
    return f"{local_name(element)[:40]} #{identifier[:40]}" if identifier else local_name(element)[:40]
