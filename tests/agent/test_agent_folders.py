"""Folders and files that this program makes: never by way of somebody else's link, never somebody else's."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.program import program
from agent.errors import AgentError, ErrorId, describe
from agent.paths import Paths

pytestmark = pytest.mark.slow

if sys.platform == "win32":
    pytest.skip("owners, modes and links are POSIX", allow_module_level=True)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody whom a link could misuse")
USER, STRANGER = 12345, 12346
AGENTS = Path(".local/share/hca-agent")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="hca-agent-folders-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("home", ["/proc/nope", "/etc/passwd", "/etc/passwd/below", "x" * 300])
@pytest.mark.parametrize("words", [("card",), ("audit",), ("trust", "status"), ("selftest", "--no-pin")])
def test_a_folder_that_cannot_be_made_is_told_as_that_to_programs_too(
    home: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCA_AGENT_HOME", home)
    told = CliRunner().invoke(program, [*words, "--json"])
    error = json.loads(told.stdout)["error"]
    assert error["id"] == "folder.unusable" and home in error["detail"]
    assert told.exit_code == 1


def test_a_disk_that_keeps_no_modes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:  # as vfat does to its owner (EPERM)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (tmp_path / "stick").mkdir(mode=0o755)
    monkeypatch.setattr("os.fchmod", refused)
    with pytest.raises(AgentError) as caught:
        Paths(tmp_path / "stick", tmp_path / "stick").make()
    assert caught.value.error_id == ErrorId.FOLDER_NOT_PRIVATE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "/a"), "file.unusable"),
        (OSError(errno.ENOSPC, "No space left on device"), "file.unusable"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "internal"),
        (TimeoutError(), "internal"),
    ],
)
def test_trouble_with_a_file_is_told_as_that_wherever_it_comes_up(error: OSError, expected: str) -> None:
    assert describe(error).id == expected


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


def folder_of(owner: int, path: Path, mode: int = 0o755) -> Path:
    """Make a folder, and those above it, which have the same owner."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True)
    for each in missing:
        os.chown(each, owner, owner)
    path.chmod(mode)
    return path


def link_of(owner: int, path: Path, target: Path) -> None:
    if not path.parent.exists():
        folder_of(owner, path.parent)
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)


def seen(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Owner, mode and last change of everything below a folder."""
    return {
        str(each): (told.st_uid, told.st_mode, told.st_ctime_ns)
        for each in (folder, *folder.rglob("*"))
        for told in (each.lstat(),)
    }


def _systems(place: Path, home: Path) -> None:
    link_of(USER, home / AGENTS, folder_of(0, place / "system"))


def _empty_systems(place: Path, home: Path) -> None:
    link_of(USER, home / ".local", folder_of(0, place / "system"))


def _own_by_link(place: Path, home: Path) -> None:
    link_of(USER, home / AGENTS, folder_of(USER, home / "elsewhere"))


def _nowhere(place: Path, home: Path) -> None:
    link_of(USER, home / AGENTS, folder_of(0, place / "system") / "new")


def _roots_own_agent(place: Path, home: Path) -> None:
    link_of(USER, home / AGENTS, folder_of(0, place / "root" / AGENTS, 0o700))


def _usual(place: Path, home: Path) -> None:
    folder_of(USER, home / AGENTS)


def _no_folder_yet(place: Path, home: Path) -> None:
    folder_of(USER, home / ".local")


HOMES: dict[str, Callable[[Path, Path], None]] = {
    "a link to a folder of the system": _systems,
    "a link on the way to a folder of the system": _empty_systems,
    "a link to a folder of the user's": _own_by_link,
    "a link that leads nowhere": _nowhere,
    "a link to root's own folder": _roots_own_agent,
    "the user's folder": _usual,
    "no folder yet": _no_folder_yet,
}
COMMANDS = (
    "trust status",
    "trust install",
    "selftest --no-pin",
    "report",
    "audit",
    "autostart on",
    "autostart off",
    "run",
    "readers",
)


def run_as_root_at(home: Path, words: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-m", "agent", *words.split()],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@as_root
@pytest.mark.parametrize("made", HOMES.values(), ids=HOMES)
def test_root_at_home_in_a_users_folder_changes_nothing(
    place: Path, made: Callable[[Path, Path], None]
) -> None:
    home = folder_of(USER, place / "home")
    made(place, home)
    before = seen(place)
    done = run_as_root_at(home, "audit")
    assert seen(place) == before
    assert done.returncode == 1 and "folder.not_yours" in done.stderr, done


@as_root
@pytest.mark.parametrize("words", COMMANDS)
def test_no_command_of_roots_changes_anything_at_a_users_home(place: Path, words: str) -> None:
    home = folder_of(USER, place / "home")
    _systems(place, home)
    link_of(USER, home / ".config", place / "system")
    before = seen(place)
    done = run_as_root_at(home, words)
    assert seen(place) == before
    assert done.returncode != 0 and ".not_yours" in done.stderr, done


@as_root
def test_root_at_home_in_its_own_folder_works(place: Path) -> None:
    home = folder_of(0, place / "home")
    done = run_as_root_at(home, "audit")
    assert done.returncode == 0, done
    assert stat.S_IMODE((home / AGENTS).stat().st_mode) == 0o700


@as_root
def test_root_goes_by_no_folder_that_others_can_write(place: Path) -> None:
    home = folder_of(0, folder_of(0, place / "open") / "home")
    (place / "open").chmod(0o777)
    assert "folder.not_yours" in run_as_root_at(home, "audit").stderr
    (place / "open").chmod(0o1777)  # as /tmp is
    assert run_as_root_at(home, "audit").returncode == 0


@as_root
def test_a_users_own_folder_is_closed_and_one_behind_a_link_is_used_as_it_is(place: Path) -> None:
    home = folder_of(USER, place / "home")
    own, linked = folder_of(USER, home / "own"), folder_of(USER, home / "linked")
    link_of(USER, home / "link", linked)
    with acting_as(USER):
        for folder in (own, home / "link", home / "new"):
            Paths(folder, place).make()
    assert [stat.S_IMODE((home / name).stat().st_mode) for name in ("own", "linked", "new")] == [
        0o700, 0o755, 0o700,
    ]  # fmt: skip


@as_root
def test_a_folder_that_is_anothers_or_open_behind_a_link_is_refused_as_it_is(place: Path) -> None:
    home = folder_of(USER, place / "home")
    folder_of(STRANGER, place / "strangers", 0o777)
    link_of(USER, home / "to-strangers", place / "strangers")
    link_of(USER, home / "to-open", folder_of(USER, home / "open", 0o777))
    before = seen(place)
    for folder in (place / "strangers", home / "to-strangers", home / "to-open"):
        with acting_as(USER), pytest.raises(AgentError) as caught:
            Paths(folder, place).make()
        assert caught.value.error_id is ErrorId.FOLDER_NOT_YOURS
    assert seen(place) == before
