"""No document is a login."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing.errors import DocumentRefusedError
from signing.guard import LOGIN_LENGTHS, check_document, is_text
from signing.hashes import Hash
from signing.login import ALGORITHMS, signed_value

lengths = st.sampled_from(sorted(LOGIN_LENGTHS))


@given(origin=st.text(min_size=1), nonce=st.text(min_size=1), algorithm=st.sampled_from(sorted(ALGORITHMS)))
def test_what_a_login_signs_is_refused_as_a_document(origin: str, nonce: str, algorithm: str):
    origin, nonce = (text.encode("utf-8", "replace").decode() for text in (origin, nonce))
    with pytest.raises(DocumentRefusedError):
        check_document(signed_value(origin, nonce, ALGORITHMS[algorithm]))


def test_every_algorithm_of_a_login_has_its_length_guarded():
    assert {len(signed_value("o", "n", algorithm)) for algorithm in ALGORITHMS.values()} == LOGIN_LENGTHS
    assert Hash.SHA_1 not in ALGORITHMS.values()


@given(st.binary(max_size=300).filter(lambda document: len(document) not in LOGIN_LENGTHS))
def test_a_document_of_another_length_passes(document: bytes):
    check_document(document)


@given(lengths.flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_at_a_login_length_only_text_passes(document: bytes):
    """The judge is Python's own Unicode data, not the code under test."""
    try:
        characters = document.decode("utf-8")
        text = all(unicodedata.category(c) != "Cc" or c in "\t\r\n" for c in characters)
    except UnicodeDecodeError:
        text = False
    if text:
        check_document(document)
    else:
        with pytest.raises(DocumentRefusedError):
            check_document(document)


@given(
    lengths,
    st.text(
        st.one_of(
            st.sampled_from("\t\r\n ~\xa0"),  # the characters beside the controls, and those of layout
            st.characters(exclude_categories=("Cs", "Cc")),
        ),
        max_size=128,
    ),
)
def test_text_padded_to_a_login_length_passes(length: int, text: str):
    while len(text.encode()) > length:
        text = text[:-1]
    document = text.encode()
    document += b"." * (length - len(document))
    assert is_text(document)
    check_document(document)


@given(lengths, st.data())
def test_one_control_character_makes_text_binary(length: int, data: st.DataObject):
    document = bytearray(b"a" * length)
    document[data.draw(st.integers(0, length - 1))] = data.draw(
        st.sampled_from([*(c for c in range(0x20) if c not in b"\t\r\n"), 0x7F])
    )
    with pytest.raises(DocumentRefusedError):
        check_document(bytes(document))


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (True, "病歷摘要\r\n\t姓名\n".encode()),
        (True, b""),
        (False, b"\xff\xfe"),
        (False, b"\xc0\x80"),
        (False, b"\xed\xa0\x80"),
        (False, b"\x00"),
        (True, b" ~"),
        (False, b"\x1f"),
        (False, b"\x7f"),
        (False, "\x80".encode()),
        (False, "\x85".encode()),
        (False, "\x9f".encode()),
        (True, "\xa0".encode()),
        (False, "病歷".encode("big5")),
    ],
)
def test_text_is_utf_8_without_controls(text: bool, document: bytes):
    assert is_text(document) is text
