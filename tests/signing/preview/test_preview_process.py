"""What the process does that makes a preview, within this one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from signing.preview import Notice, PdfPreview, Preview, RecordKind, TextPreview, child, preview


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    found: list[bytes] = []
    limits: list[tuple[int, int]] = []

    @contextmanager
    def answer_alone() -> Iterator[BinaryIO]:
        target = io.BytesIO()
        yield target
        assert limits[-1] == (child._SECONDS, child._MEMORY)
        found.append(target.getvalue())

    monkeypatch.setattr(child, "limit_process", lambda *limit: limits.append(limit))
    monkeypatch.setattr(child, "answer_alone", answer_alone)
    return found


def given(monkeypatch: pytest.MonkeyPatch, document: bytes) -> None:
    monkeypatch.setattr(child, "sys", SimpleNamespace(stdin=SimpleNamespace(buffer=io.BytesIO(document))))


def test_a_document_is_answered_with_how_it_looks(
    answers: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, "病歷摘要".encode())
    assert child.run() == 0
    assert child.decoded(answers[0]) == preview("病歷摘要".encode())


def test_what_is_too_large_or_too_dear_has_no_preview(
    answers: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "DOCUMENT_MAX", 10)
    given(monkeypatch, bytes(11))
    child.run()

    def dear(_document: bytes) -> Preview:
        raise MemoryError

    monkeypatch.setattr(child, "preview", dear)
    given(monkeypatch, b"x")
    child.run()
    assert [child.decoded(each) for each in answers] == [Preview()] * 2


def test_a_preview_that_is_too_long_is_shortened_until_it_fits() -> None:
    text = TextPreview(RecordKind.TEXT, "", ("a", "b", "c", "d"))
    shorter = child._shorter(Preview(text, PdfPreview(3, b"picture", b"small")))
    assert shorter.text is not None and shorter.pdf is not None
    assert shorter.text.lines == ("a", "b") and Notice.SHORTENED in shorter.text.notices
    assert (shorter.pdf.pages, shorter.pdf.picture, shorter.pdf.small) == (3, b"", b"")
    assert child._shorter(Preview()) == Preview()


def test_an_answer_is_shortened_before_it_is_given(
    answers: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Preview(TextPreview(RecordKind.TEXT, "", tuple("line" for _ in range(64))))
    monkeypatch.setattr(child, "preview", lambda _document: long)
    monkeypatch.setattr(child, "ANSWER_MAX", 200)
    given(monkeypatch, b"x")
    child.run()
    assert len(answers[0]) <= 200
