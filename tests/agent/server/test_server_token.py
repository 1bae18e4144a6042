"""The per-user token: private, new at each start, and compared whole."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.server import token


def test_the_token_written_is_the_one_that_admits(tmp_path: Path) -> None:
    user_token = token.create(tmp_path / "token")
    assert user_token.admits(f"Bearer {token.read(tmp_path / 'token')}")
    assert user_token.admits(f"bearer {token.read(tmp_path / 'token')}")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer \udcff"]
)
def test_anything_else_admits_nobody(tmp_path: Path, header: str | None) -> None:
    user_token = token.create(tmp_path / "token")
    assert not user_token.admits(header and header.replace("{}", token.read(tmp_path / "token")))


def test_each_start_makes_a_new_token(tmp_path: Path) -> None:
    token.create(tmp_path / "token")
    old = token.read(tmp_path / "token")
    assert not token.create(tmp_path / "token").admits(f"Bearer {old}")
    assert len(old) >= 43


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has ACLs instead of modes")
def test_nobody_else_can_read_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("an old one, for everybody to read")
    (tmp_path / "token").chmod(0o644)
    token.create(tmp_path / "token")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_missing_token_is_a_worded_refusal(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        token.read(tmp_path / "token")
    assert caught.value.error_id == "token.unreadable"


def test_the_token_is_in_no_repr(tmp_path: Path) -> None:
    user_token = token.create(tmp_path / "token")
    assert token.read(tmp_path / "token") not in repr(user_token)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_is_full_or_read_only_is_no_fault_of_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        token.create(tmp_path / "token")
    assert caught.value.filename == str(tmp_path / "token")
    assert list(tmp_path.iterdir()) == []
