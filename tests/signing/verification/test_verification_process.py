"""What the process does that reads a signed document, within this one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, BinaryIO

import msgspec
import pytest

from signing.hashes import Hash
from signing.verification import child
from signing.verification.child import ReadRequest
from signing.verification.findings import Finding
from signing.verification.found import FoundDocument


def answered(monkeypatch: pytest.MonkeyPatch, request: ReadRequest) -> FoundDocument:
    """What the process answers, and that its limits were set before."""
    target, limits = io.BytesIO(), []

    @contextmanager
    def answer_alone() -> Iterator[BinaryIO]:
        assert limits == [(child._SECONDS, child._MEMORY)]
        yield target

    given = io.BytesIO(msgspec.msgpack.encode(request))
    monkeypatch.setattr(child, "limit_process", lambda *limit: limits.append(limit))
    monkeypatch.setattr(child, "answer_alone", answer_alone)
    monkeypatch.setattr(child, "sys", SimpleNamespace(stdin=SimpleNamespace(buffer=given)))
    assert child.run() == 0
    return msgspec.msgpack.decode(target.getvalue(), type=FoundDocument)


def test_a_document_is_read_with_what_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def read(*given: object, **more: object) -> FoundDocument:
        asked.extend((given, more))
        return FoundDocument("cms", ())

    monkeypatch.setattr(child, "read", read)
    found = answered(monkeypatch, ReadRequest(b"document", b"signature", b"certificate", Hash.SHA_384))
    assert found == FoundDocument("cms", ())
    assert asked == [(b"document", b"signature"), {"certificate": b"certificate", "algorithm": Hash.SHA_384}]


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_a_document_that_takes_too_much_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def dear(*_given: object, **_more: object) -> FoundDocument:
        raise error

    monkeypatch.setattr(child, "read", dear)
    found = answered(monkeypatch, ReadRequest(b"x", None, None, Hash.SHA_256))
    assert [remark.finding for remark in found.remarks] == [Finding.STRUCTURE_REFUSED]
    assert found.remarks[0].detail == error.__name__
