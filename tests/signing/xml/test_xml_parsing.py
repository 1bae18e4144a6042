"""XML of strangers: read without surprises, or refused."""

from __future__ import annotations

import pytest

from signing.errors import DocumentUnsafeError, DocumentUnusableError
from signing.xml import name, parsing
from signing.xml.parsing import (
    identifier_of,
    identifiers,
    local_name,
    parse,
    reparse,
    serialise,
    with_identifier,
)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param(b"<!DOCTYPE a><a/>", "document type", id="document type"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type", id="entity"),
        pytest.param(b'<?xml version="1.0" encoding="ISO-8859-2"?><a/>', "encoding", id="encoding"),
        pytest.param(b"<a>" * 300 + b"</a>" * 300, "deeply", id="depth"),
    ],
)
def test_what_is_not_safe_to_read_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(DocumentUnsafeError, match=words):
        parse(document)


@pytest.mark.parametrize(
    "document", [b"", b"no XML", b"<a><b></a>", b"<a/><b/>", b"<a>\x00</a>", b"<a>&b;</a>"]
)
def test_what_is_no_xml_is_told_as_that(document: bytes) -> None:
    with pytest.raises(DocumentUnusableError):
        parse(document)


@pytest.mark.parametrize(("limit", "value"), [("BYTES_MAX", 10), ("MARKUP_MAX", 2)])
def test_what_is_too_large_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(parsing, limit, value)
    with pytest.raises(DocumentUnsafeError, match="too large"):
        parse(b"<a><b/><c/></a>")


def test_a_value_that_the_parser_does_not_take_is_no_xml(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise ValueError

    monkeypatch.setattr("lxml.etree.fromstring", refuse)
    with pytest.raises(DocumentUnusableError, match="not XML"):
        parse(b"<a/>")


def test_a_document_is_written_as_it_was_read_with_what_stands_outside_its_root() -> None:
    written = serialise(parse("<?style x?><甲>乙<![CDATA[<丙>]]></甲><!--丁-->".encode()))
    assert written == (
        b"<?xml version='1.0' encoding='UTF-8'?>\n" + "<?style x?><甲>乙&lt;丙&gt;</甲><!--丁-->".encode()
    )
    assert reparse(written).tag == "甲"


def test_identifiers_are_found_under_all_their_usual_names() -> None:
    tree = parse(
        b'<a Id="one" xmlns:w="urn:w"><b ID="two"/><c id="one"/><d xml:id="three"/>'
        b'<e w:Id="four"/><f identity="x"/></a>'
    )
    assert identifiers(tree) == {"one": 2, "two": 1, "three": 1, "four": 1}
    assert [element.tag for element in with_identifier(tree, "one")] == ["a", "c"]
    assert [element.tag for element in with_identifier(tree, "four")] == ["e"]
    assert with_identifier(tree, "' or '1'='1") == []
    assert [identifier_of(element) for element in tree.getroot()] == ["two", "one", "three", "four", ""]


def test_names_are_those_within_their_namespace() -> None:
    root = parse(
        b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><!--x--><?y z?></ds:Signature>'
    ).getroot()
    assert local_name(root) == "Signature"
    assert root.tag == name("ds", "Signature")
    assert [local_name(child) for child in root] == ["", ""]
