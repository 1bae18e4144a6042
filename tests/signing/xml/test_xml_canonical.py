"""Canonical XML of parts of a document, by examples of the recommendations and what they say in words."""

from __future__ import annotations

import pytest

from signing.errors import DocumentUnusableError
from signing.xml.canonical import Canonicalization, NodeSet, canonical, excise
from signing.xml.parsing import parse

C = Canonicalization
DOCUMENT = (
    b'<?style x?><a xmlns="urn:a" xmlns:b="urn:b" xmlns:c="urn:c"'
    b' xml:lang="zh" xml:space="preserve" xml:id="i">'
    b'<b:e z="1" a="2"><!--words--><f/></b:e> tail</a>'
)


@pytest.mark.parametrize(
    ("method", "exclusive", "comments", "inherited"),
    [
        (C.INCLUSIVE, False, False, {"*"}),
        (C.INCLUSIVE_COMMENTS, False, True, {"*"}),
        (C.INCLUSIVE_11, False, False, {"lang", "space", "base"}),
        (C.INCLUSIVE_11_COMMENTS, False, True, {"lang", "space", "base"}),
        (C.EXCLUSIVE, True, False, set()),
        (C.EXCLUSIVE_COMMENTS, True, True, set()),
    ],
)
def test_what_each_method_writes(
    method: Canonicalization, exclusive: bool, comments: bool, inherited: set[str]
) -> None:
    assert (method.exclusive, method.comments, method.inherited) == (exclusive, comments, inherited)


@pytest.mark.parametrize(
    ("method", "prefixes", "expected"),
    [
        (
            C.INCLUSIVE,
            (),
            b'<b:e xmlns="urn:a" xmlns:b="urn:b" xmlns:c="urn:c" a="2" z="1"'
            b' xml:id="i" xml:lang="zh" xml:space="preserve"><f></f></b:e>',
        ),
        (
            C.INCLUSIVE_11_COMMENTS,
            (),
            b'<b:e xmlns="urn:a" xmlns:b="urn:b" xmlns:c="urn:c" a="2" z="1"'
            b' xml:lang="zh" xml:space="preserve"><!--words--><f></f></b:e>',
        ),
        (C.EXCLUSIVE, (), b'<b:e xmlns:b="urn:b" a="2" z="1"><f xmlns="urn:a"></f></b:e>'),
        (
            C.EXCLUSIVE,
            ("c",),
            b'<b:e xmlns:b="urn:b" xmlns:c="urn:c" a="2" z="1"><f xmlns="urn:a"></f></b:e>',
        ),
    ],
)
def test_an_element_takes_over_what_the_method_wants_of_its_ancestors(
    method: Canonicalization, prefixes: tuple[str, ...], expected: bytes
) -> None:
    [element] = parse(DOCUMENT).getroot()
    assert canonical(element, method, prefixes) == expected
    assert canonical(element, method, prefixes) == expected  # the document is as it was


def test_what_an_element_says_itself_is_not_taken_from_above_and_the_nearest_ancestor_counts() -> None:
    tree = parse(b'<a xml:lang="zh"><b xml:lang="en"><c/></b><d xml:lang="ja"/></a>')
    [inner], outer = tree.getroot()
    assert canonical(inner, C.INCLUSIVE) == b'<c xml:lang="en"></c>'
    assert canonical(outer, C.INCLUSIVE) == b'<d xml:lang="ja"></d>'


def test_of_a_document_what_stands_outside_its_root_belongs_to_it() -> None:
    tree = parse(b"<?style x?><!--before--><a/><!--after-->")
    nodes = NodeSet.of_document(tree)
    assert nodes.canonical(C.INCLUSIVE) == b"<?style x?>\n<a></a>"
    assert nodes.canonical(C.INCLUSIVE_COMMENTS) == b"<?style x?>\n<!--before-->\n<a></a>\n<!--after-->"
    assert nodes.canonical(C.INCLUSIVE_COMMENTS, comments=False) == b"<?style x?>\n<a></a>"
    nodes.root.tag = "changed"
    assert tree.getroot().tag == "a"


def test_what_has_no_canonical_form_that_is_certain_is_refused() -> None:
    relative = parse(b'<a xmlns:x="relative/address"><x:b/></a>').getroot()
    with pytest.raises(DocumentUnusableError, match="canonical form"):
        canonical(relative, C.INCLUSIVE)
    [based] = parse(b'<a xml:base="http://example.tw/"><b/></a>').getroot()
    with pytest.raises(DocumentUnusableError, match="xml:base"):
        canonical(based, C.INCLUSIVE_11)
    assert canonical(based, C.EXCLUSIVE) == b"<b></b>"


@pytest.mark.parametrize(
    ("document", "left"),
    [
        (b"<a>one<b/>two</a>", b"<a>onetwo</a>"),
        (b"<a><b/>two</a>", b"<a>two</a>"),
        (b"<a><x/>one<b/>two</a>", b"<a><x></x>onetwo</a>"),
        (b"<a><x/><b/>two</a>", b"<a><x></x>two</a>"),
        (b"<a>one<b/></a>", b"<a>one</a>"),
    ],
)
def test_the_text_behind_an_element_stays_when_it_is_taken_out(document: bytes, left: bytes) -> None:
    root = parse(document).getroot()
    excise(root.find("b"))
    assert canonical(root, C.INCLUSIVE) == left
