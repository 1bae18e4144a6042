"""The administrator's folder on Windows lies where everybody may make folders, and links."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.win32.acl import leads_elsewhere
from tests.support.platforms import not_on_windows


@not_on_windows("making a link needs a right of its own there")
def test_a_link_to_a_folder_of_the_administrators_is_not_that_folder(tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    assert not leads_elsewhere(folder)
    link.symlink_to(folder)
    assert leads_elsewhere(link)
    folder.rmdir()
    assert leads_elsewhere(link)


@pytest.mark.parametrize(("attributes", "elsewhere"), [(0x10, False), (0x410, True)])
def test_nor_is_a_junction_which_is_no_link_to_python(
    monkeypatch: pytest.MonkeyPatch, attributes: int, elsewhere: bool
) -> None:
    """FILE_ATTRIBUTE_DIRECTORY, and FILE_ATTRIBUTE_REPARSE_POINT with it."""
    told = SimpleNamespace(st_mode=stat.S_IFDIR | 0o777, st_file_attributes=attributes)
    monkeypatch.setattr(Path, "lstat", lambda _path: told)
    assert leads_elsewhere(Path("ProgramData", "hca-agent")) is elsewhere
