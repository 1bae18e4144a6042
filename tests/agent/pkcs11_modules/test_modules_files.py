from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.config import Pkcs11Settings, load
from agent.errors import AgentError, error_id
from agent.paths import Paths
from agent.pkcs11_modules.files import require_safe
from hca_card.pkcs11.errors import ModuleUnsafeError, ModuleUnusableError
from tests.support.platforms import not_on_windows

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows protects its program folders itself")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "lib"
    folder.mkdir(mode=0o755)
    file = folder / "module.so"
    file.write_bytes(b"")
    file.chmod(0o755)
    return file


def test_a_file_of_ones_own_is_taken(module: Path) -> None:
    assert require_safe(module) == module.resolve()


@posix
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_file_that_others_can_write_is_refused(module: Path, mode: int) -> None:
    module.chmod(mode)
    with pytest.raises(ModuleUnsafeError) as caught:
        require_safe(module)
    assert error_id(caught.value) == "module.unsafe"
    assert str(module) in str(caught.value)


@posix
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
def test_a_file_in_a_folder_that_others_can_write_is_refused(module: Path, mode: int) -> None:
    module.parent.chmod(mode)
    with pytest.raises(ModuleUnsafeError):
        require_safe(module)


@posix
def test_a_folder_further_up_that_others_can_write_is_refused_unless_what_is_in_it_stays(
    module: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ModuleUnsafeError):
        require_safe(module)
    tmp_path.chmod(0o1777)
    require_safe(module)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_refused(module: Path, what: str) -> None:
    os.chown(module if what == "file" else module.parent, 65534, 65534)
    with pytest.raises(ModuleUnsafeError):
        require_safe(module)


@posix
def test_a_link_is_followed_and_both_ends_looked_at(module: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir(mode=0o755)
    link = links / "module.so"
    link.symlink_to(module)
    assert require_safe(link) == module.resolve()
    links.chmod(0o777)
    with pytest.raises(ModuleUnsafeError):
        require_safe(link)
    links.chmod(0o755)
    module.parent.chmod(0o777)
    with pytest.raises(ModuleUnsafeError):
        require_safe(link)


@posix
@pytest.mark.parametrize("whole_folder", [False, True])
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_every_link_of_a_chain_is_looked_at(
    module: Path, tmp_path: Path, whole_folder: bool, mode: int
) -> None:
    first, middle = tmp_path / "first", tmp_path / "middle"
    for folder in (first, middle):
        folder.mkdir(mode=0o755)
    target = module.parent if whole_folder else module
    (middle / "link").symlink_to(target)
    (first / "link").symlink_to(Path("..", "middle", "link"))
    path = first / "link" / module.name if whole_folder else first / "link"
    assert require_safe(path) == module.resolve()
    middle.chmod(mode)
    with pytest.raises(ModuleUnsafeError):
        require_safe(path)


@posix
def test_links_that_lead_in_a_circle_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(ModuleUnusableError):
        require_safe(tmp_path / "one")


def test_what_is_missing_or_no_file_is_unusable(module: Path) -> None:
    for path in (module.parent, module.with_name("missing.so")):
        with pytest.raises(ModuleUnusableError):
            require_safe(path)


@not_on_windows("whole paths of POSIX")
def test_the_administrator_lists_modules_by_their_whole_paths(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home", tmp_path / "machine")
    paths.machine.mkdir()
    paths.policy.write_text('[pkcs11]\nmodules = ["/usr/lib/softhsm/libsofthsm2.so"]\nknown = false\n')
    assert load(paths).pkcs11 == Pkcs11Settings((Path("/usr/lib/softhsm/libsofthsm2.so"),), known=False)
    paths.policy.write_text('[pkcs11]\nmodules = ["libsofthsm2.so"]\n')
    with pytest.raises(AgentError, match="the whole path"):
        load(paths)
