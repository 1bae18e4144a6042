"""What each reference of an XML signature is over, and references that are not followed."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from signing.xml import DS
from signing.xml.canonical import Canonicalization
from signing.xml.parsing import parse
from signing.xml.references import (
    BASE64,
    ENVELOPED,
    TRANSFORMS_MAX,
    XPATH,
    XPATH_FILTER_2,
    Problem,
    Referenced,
    ReferenceProblemError,
    follow,
    is_outside,
    prefixes_of,
)

SUBTRACT = f'<f:XPath xmlns:f="{XPATH_FILTER_2}" xmlns:s="{DS}" Filter="%s">%s</f:XPath>'
WITHOUT = f'<x:XPath xmlns:x="{DS}">not(ancestor-or-self::x:Signature)</x:XPath>'
BODY = "<part Id='p'>one<!--words--><q/></part><part Id='twice'/><part Id='twice'/>"


def transform(algorithm: str, inside: str = "") -> str:
    return f'<Transform Algorithm="{algorithm}">{inside}</Transform>'


def referenced(
    uri: str | None, *transforms: str, body: str = BODY, outside: bytes | None = None, inside: str = ""
) -> Referenced:
    """What the reference is over, of a signature at the end of a document."""
    named = "" if uri is None else f' URI="{uri}"'
    reference = f"<Reference{named}><Transforms>{''.join(transforms)}</Transforms></Reference>"
    document = f'<a>{body}<Signature xmlns="{DS}">{inside}{reference}</Signature></a>'
    tree = parse(document.encode())
    signature = tree.getroot()[-1]
    return follow(tree, signature, signature.find(f"{{{DS}}}Reference"), outside)


def problem(*given: Any, **more: Any) -> Problem:
    with pytest.raises(ReferenceProblemError) as caught:
        referenced(*given, **more)
    return caught.value.problem


def test_the_enveloped_signature_is_left_out_of_the_document() -> None:
    found = referenced("", transform(ENVELOPED))
    assert found.octets == (
        b'<a><part Id="p">one<q></q></part><part Id="twice"></part><part Id="twice"></part></a>'
    )
    assert found.element is not None and found.element.tag == "a"
    assert [each.tag for each in found.left_out] == [f"{{{DS}}}Signature"]
    assert not found.text_only


@pytest.mark.parametrize(
    ("uri", "octets"),
    [
        ("#p", b'<part Id="p">one<q></q></part>'),
        ("#xpointer(id('p'))", b'<part Id="p">one<q></q></part>'),
        ("#xpointer(/)", None),
    ],
)
def test_a_part_is_found_by_its_identifier(uri: str, octets: bytes | None) -> None:
    found = referenced(uri)
    if octets is None:
        assert found.octets.startswith(b"<a><part") and b"Signature" in found.octets
    else:
        assert found.octets == octets


def test_an_xpointer_takes_comments_along_where_the_method_writes_them() -> None:
    method = transform(Canonicalization.INCLUSIVE_COMMENTS)
    assert b"<!--words-->" in referenced("#xpointer(id('p'))", method).octets
    assert b"<!--words-->" not in referenced("#p", method).octets


@pytest.mark.parametrize(
    "expression",
    [
        transform(XPATH_FILTER_2, SUBTRACT % ("subtract", " /descendant::s:Signature ")),
        transform(XPATH_FILTER_2, SUBTRACT % ("subtract", "//s:Signature")),
        transform(XPATH, WITHOUT),
    ],
)
def test_the_expressions_that_leave_all_signatures_out_are_known(expression: str) -> None:
    inner = f'<Signature xmlns="{DS}"><Signature/></Signature>behind'
    found = referenced("", expression, body=f"<b>{inner}</b>")
    assert found.octets == b"<a><b>behind</b></a>"
    assert len(found.left_out) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        transform(XPATH_FILTER_2, SUBTRACT % ("union", "//s:Signature")),
        transform(XPATH_FILTER_2, SUBTRACT % ("subtract", "//s:Other")),
        transform(XPATH_FILTER_2, SUBTRACT % ("subtract", "//t:Signature")),
        transform(XPATH_FILTER_2, SUBTRACT % ("subtract", "//s:Signature") * 2),
        transform(XPATH, WITHOUT.replace("not", "count")),
        transform(XPATH, "<other/>"),
        transform("http://www.w3.org/TR/1999/REC-xslt-19991116"),
        transform(""),
    ],
)
def test_no_other_expression_and_no_program_is_run(wrong: str) -> None:
    assert problem("", wrong) is Problem.TRANSFORM


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("#nowhere", Problem.MISSING),
        ("#twice", Problem.AMBIGUOUS),
        ("#xpointer(//q)", Problem.TRANSFORM),
        ("other.xml", Problem.EXTERNAL),
        (None, Problem.EXTERNAL),
    ],
)
def test_what_is_not_there_once_is_not_followed(uri: str | None, expected: Problem) -> None:
    assert problem(uri) is expected


def test_a_signature_that_leaves_itself_out_of_itself_signs_nothing() -> None:
    tree = parse(f'<Signature xmlns="{DS}"><Reference URI=""><Transforms>{transform(ENVELOPED)}'
                 "</Transforms></Reference></Signature>".encode())  # fmt: skip
    root = tree.getroot()
    with pytest.raises(ReferenceProblemError) as caught:
        follow(tree, root, root[0])
    assert caught.value.problem is Problem.TRANSFORM


def test_a_signature_outside_of_what_is_signed_is_not_missing_there() -> None:
    found = referenced("#p", transform(ENVELOPED))
    assert found.octets == b'<part Id="p">one<q></q></part>'
    assert found.left_out == ()


def test_more_transforms_than_anybody_needs_are_refused() -> None:
    assert problem("", *[transform(ENVELOPED)] * (TRANSFORMS_MAX + 1)) is Problem.TRANSFORM


def test_of_base64_the_octets_count_and_the_text_alone_is_covered() -> None:
    text = b64encode(bytes(range(60))).decode()
    found = referenced("#p", transform(BASE64), body=f"<part Id='p'>{text[:40]}\n <q>{text[40:]}</q></part>")
    assert found.octets == bytes(range(60))
    assert found.text_only
    assert problem("#p", transform(BASE64)) is Problem.UNREADABLE


def test_something_outside_is_taken_as_it_is_or_as_its_transforms_make_it() -> None:
    assert referenced("file.bin", outside=b"\x00octets") == Referenced(b"\x00octets", None)
    assert referenced("file.b64", transform(BASE64), outside=b" AAEC\n").octets == bytes(range(3))
    canonical = transform(Canonicalization.EXCLUSIVE)
    assert referenced("file.xml", canonical, outside=b"<b  z='1' />").octets == b'<b z="1"></b>'
    assert problem("file.xml", transform(ENVELOPED), outside=b"<b/>") is Problem.TRANSFORM


def test_the_prefixes_of_an_exclusive_method_are_read() -> None:
    inside = f'<InclusiveNamespaces xmlns="{Canonicalization.EXCLUSIVE}" PrefixList="b  c"/>'
    method = parse(transform(Canonicalization.EXCLUSIVE, inside).encode()).getroot()
    assert prefixes_of(method) == ("b", "c")
    assert prefixes_of(parse(transform(Canonicalization.EXCLUSIVE).encode()).getroot()) == ()


@pytest.mark.parametrize(("uri", "outside"), [("", False), ("#p", False), ("a.xml", True), (None, True)])
def test_whether_a_reference_leads_out_of_its_document(uri: str | None, outside: bool) -> None:
    reference = parse(b"<Reference/>").getroot()
    if uri is not None:
        reference.set("URI", uri)
    assert is_outside(reference) is outside
