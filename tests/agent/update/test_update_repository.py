"""A repository over real HTTP, whole and with every lie that a server, or somebody on the way, could tell."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohappyeyeballs
import pytest

from agent.config import UpdateSettings
from agent.errors import AgentError
from agent.paths import Paths
from agent.update import is_newer, open_repository, package_of
from installer import release
from tests.support.ports import free_port
from tests.support.update_site import PACKAGE, UpdateSite, update_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[UpdateSite]:
    with update_site(tmp_path) as running:
        running.publish("0.2.0")
        yield running


@pytest.fixture
def paths(site: UpdateSite, tmp_path: Path) -> Paths:
    return site.paths(tmp_path / "home")


def refused(work: Callable[[], object]) -> AgentError:
    with pytest.raises(AgentError) as caught:
        work()
    return caught.value


def test_a_newer_release_is_found_and_its_package_comes_checked(site: UpdateSite, paths: Paths) -> None:
    repository = open_repository(site.settings(), paths)
    offered = repository.release()
    assert offered.version == "0.2.0"
    assert is_newer(offered, "0.1.0")
    file = repository.download(package_of(offered))
    assert file.read_bytes() == PACKAGE
    assert file.parent == paths.update / "packages"


@pytest.mark.slow
def test_a_package_that_is_there_is_not_fetched_again_but_one_that_was_changed_is(
    site: UpdateSite, paths: Paths
) -> None:
    repository = open_repository(site.settings(), paths)
    name = package_of(repository.release())
    file = repository.download(name)
    (file.parent / "an-older-package.deb").write_bytes(b"old")
    site.asked.clear()
    repository.download(name)
    assert site.asked == []
    assert [each.name for each in file.parent.iterdir()] == [name]
    file.write_bytes(b"changed here")
    assert repository.download(name).read_bytes() == PACKAGE


@pytest.mark.slow
def test_the_look_of_tomorrow_sees_what_was_published_in_between(site: UpdateSite, paths: Paths) -> None:
    assert open_repository(site.settings(), paths).release().version == "0.2.0"
    site.publish("0.3.0", b"later still")
    assert open_repository(site.settings(), paths).release().version == "0.3.0"
    release.refresh(site.folder, site.keys)
    assert open_repository(site.settings(), paths).release().version == "0.3.0"


@pytest.mark.parametrize("role", ["timestamp", "*.snapshot", "*.targets"])
def test_tampered_metadata_is_refused(site: UpdateSite, paths: Paths, role: str) -> None:
    file = site.metadata(f"{role}.json")
    content = json.loads(file.read_bytes())
    content["signed"]["expires"] = "2099-01-01T00:00:00Z"
    file.write_text(json.dumps(content))
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.refused"


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 100, b'{"signed": {}, "signatures": []}'])
def test_metadata_that_is_none_is_refused(site: UpdateSite, paths: Paths, content: bytes) -> None:
    site.metadata("timestamp.json").write_bytes(content)
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.refused"


def test_a_tampered_release_file_is_refused(site: UpdateSite, paths: Paths) -> None:
    file = site.target("release.json")
    file.write_bytes(file.read_bytes().replace(b"0.2.0", b"9.2.0"))
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.refused"


@pytest.mark.parametrize(
    "changed", [PACKAGE[:-1] + b"!", PACKAGE + b"and more", PACKAGE[:-5], b""], ids=range(4)
)
def test_a_tampered_package_is_refused_and_leaves_nothing(
    site: UpdateSite, paths: Paths, changed: bytes
) -> None:
    repository = open_repository(site.settings(), paths)
    name = package_of(repository.release())
    site.target(name).write_bytes(changed)
    assert refused(lambda: repository.download(name)).error_id == "update.refused"
    assert list((paths.update / "packages").iterdir()) == []


def test_the_server_put_back_to_an_older_state_is_refused(site: UpdateSite, paths: Paths) -> None:
    older = site.folder.parent / "older"
    shutil.copytree(site.folder, older)
    site.publish("0.3.0")
    assert open_repository(site.settings(), paths).release().version == "0.3.0"
    shutil.rmtree(site.folder)
    shutil.copytree(older, site.folder)
    error = refused(open_repository(site.settings(), paths).release)
    assert error.error_id == "update.rolled_back"


@pytest.mark.slow
def test_an_older_list_of_files_under_a_new_stamp_is_refused(site: UpdateSite, paths: Paths) -> None:
    """The stamp's key was stolen: it alone cannot bring an old list back."""
    older = site.metadata("1.snapshot.json").read_bytes()
    site.publish("0.3.0")
    open_repository(site.settings(), paths).release()
    release._stamp(site.folder / "metadata", site.keys, 1, 10)
    site.metadata("1.snapshot.json").write_bytes(older)
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.rolled_back"


@pytest.mark.parametrize("role", ["timestamp_days", "snapshot_days", "targets_days"])
def test_expired_metadata_is_refused(site: UpdateSite, paths: Paths, role: str) -> None:
    site.publish("0.3.0", **{role: -0.01})
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.expired"


@pytest.mark.slow
def test_another_repositorys_keys_are_refused(site: UpdateSite, paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    release.make_keys(tmp_path / "other" / "keys")
    for role in release.ROLES:
        shutil.copy(tmp_path / "other" / "keys" / f"{role}.pem", site.keys / f"{role}.pem")
    site.publish("0.3.0")  # signed by keys that root.json does not name
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.refused"


@pytest.mark.slow
def test_a_stolen_stamp_key_cannot_sign_files(site: UpdateSite, paths: Paths) -> None:
    shutil.copy(site.keys / "timestamp.pem", site.keys / "targets.pem")
    site.publish("0.3.0")
    assert refused(open_repository(site.settings(), paths).release).error_id == "update.refused"


def test_nothing_is_asked_when_it_is_off_and_without_keys(site: UpdateSite, paths: Paths) -> None:
    for settings, error_id in (
        (UpdateSettings(), "update.off"),
        (site.settings(enabled=False), "update.off"),
        (site.settings(url=""), "update.off"),
        (site.settings(root=str(paths.home / "none.json")), "update.no_root"),
    ):
        assert refused(lambda used=settings: open_repository(used, paths)).error_id == error_id
    (paths.machine / "update-root.json").write_text("not a root")
    assert refused(lambda: open_repository(site.settings(), paths)).error_id == "update.refused"
    assert site.asked == []


@pytest.mark.slow
def test_no_host_but_the_configured_one_is_connected(
    site: UpdateSite, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[tuple[Any, ...]] = []
    connect = aiohappyeyeballs.start_connection

    async def watched(addr_infos: Sequence[Any], **more: Any) -> socket.socket:
        connected.extend(info[4] for info in addr_infos)
        return await connect(addr_infos, **more)

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", watched)
    repository = open_repository(site.settings(), paths)
    repository.download(package_of(repository.release()))
    assert {f"http://{host}:{port}/" for host, port in connected} == {site.url}
    assert {path.split("/")[1] for path in site.asked} == {"metadata", "targets"}


@pytest.mark.slow
def test_a_server_that_sends_on_to_another_is_not_followed(
    site: UpdateSite, paths: Paths, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with update_site(tmp_path / "elsewhere") as other:
        site.moved = other.url.rstrip("/")
        error = refused(open_repository(site.settings(), paths).release)
        assert error.error_id == "update.unreachable"
        assert other.asked == []


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_as_such(site: UpdateSite, paths: Paths) -> None:
    settings = site.settings(url=f"http://127.0.0.1:{free_port()}/")
    assert refused(open_repository(settings, paths).release).error_id == "update.unreachable"


@pytest.mark.parametrize(
    "members",
    [
        {"version": "0.9", "packages": {"deb-x86_64": "../../etc/passwd"}},
        {"version": "0.9", "packages": {"deb-x86_64": "C:\\x"}},
        {"version": "0.9", "packages": {"deb-x86_64": "-o"}},
        {"version": "0.9", "packages": {"deb-x86_64": ".bashrc"}},
        {"version": "newest", "packages": {}},
        {"version": 9, "packages": {}},
        {"packages": {}},
    ],
)
def test_even_a_signed_release_file_cannot_name_a_path(members: dict[str, Any]) -> None:
    from agent.update.release import decode

    assert refused(lambda: decode(json.dumps(members).encode())).error_id == "update.refused"


@pytest.mark.parametrize(
    ("offered", "running", "newer"),
    [
        ("0.2.0", "0.1.0", True),
        ("0.10.0", "0.9.9", True),
        ("0.1.0", "0.1.0", False),
        ("0.1", "0.1.0", False),
        ("0.0.9", "0.1.0", False),
        ("1.0", "0.1.0.dev3", True),
    ],
)
def test_only_what_comes_after_the_running_version_is_newer(offered: str, running: str, newer: bool) -> None:
    from agent.update import Release

    assert is_newer(Release(offered, {}), running) is newer


@pytest.mark.parametrize(
    ("system", "processor", "there", "name"),
    [
        ("win32", "AMD64", (), "m"),
        ("darwin", "arm64", (), "p"),
        ("linux", "x86_64", ("/var/lib/dpkg/info",), "d"),
        ("linux", "x86_64", ("/var/lib/dpkg/info", "/var/lib/rpm"), "d"),
        ("linux", "x86_64", ("/usr/lib/sysimage/rpm",), "r"),
        ("linux", "riscv64", (), None),
    ],
)
def test_each_system_takes_its_own_package(
    system: str, processor: str, there: tuple[str, ...], name: str | None
) -> None:
    from agent.update import Release

    offered = Release("1", {"msi-x86_64": "m", "pkg": "p", "deb-x86_64": "d", "rpm-x86_64": "r"})
    if name is None:
        error = refused(lambda: package_of(offered, system, processor, there.__contains__))
        assert error.error_id == "update.no_package"
    else:
        assert package_of(offered, system, processor, there.__contains__) == name
