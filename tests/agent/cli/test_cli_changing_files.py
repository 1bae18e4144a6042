"""A file that another program changes while it is read is judged and signed as neither of its contents."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import files
from signing.errors import DocumentChangedError
from tests.agent.cli.conftest import Invoke

OLD = b"%PDF-1.7 the whole document"


def _grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b" and more")


def _overwritten(path: Path) -> None:
    """As long as before, by a program that keeps the name."""
    state = path.stat()
    path.write_bytes(OLD.upper())
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def _cut(path: Path) -> None:
    os.truncate(path, 5)


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(OLD)
    other.replace(path)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "report.pdf"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch, document: Path) -> Callable[[Callable[[Path], None]], None]:
    """Have another program do that when the content was read and nobody has looked yet whether it did."""

    def arrange(change: Callable[[Path], None]) -> None:
        real, asked = os.fstat, []

        def fstat(descriptor: int) -> os.stat_result:
            asked.append(descriptor)
            if len(asked) == 2:
                change(document)
            return real(descriptor)

        monkeypatch.setattr(files.os, "fstat", fstat)

    return arrange


@pytest.mark.parametrize("change", [_grown, _overwritten, _cut, _replaced])
def test_what_changes_while_it_is_read_is_an_error_of_its_own(
    change: Callable[[Path], None], document: Path, meanwhile: Callable[[Callable[[Path], None]], None]
) -> None:
    assert files.read(document) == OLD
    meanwhile(change)
    with pytest.raises(DocumentChangedError):
        files.read(document)


@pytest.mark.parametrize("words", [("verify",), ("emr", "verify"), ("emr", "show")])
def test_the_command_line_says_so(
    invoke: Invoke,
    document: Path,
    meanwhile: Callable[[Callable[[Path], None]], None],
    words: tuple[str, ...],
) -> None:
    meanwhile(_grown)
    done = invoke(*words, document)
    assert done.exit_code != 0
    assert "document.changed" in done.stderr and "檔案在讀取時被改變了" in done.stderr
    assert done.stdout == ""
