"""What the daemon does by itself, what the commands do, and who may have anything installed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from agent.cli.program import program
from agent.config import UpdateSettings
from agent.errors import AgentError
from agent.paths import HOME_VARIABLE, Paths
from agent.update import administrator, install
from agent.update import state as states
from agent.update.check import Checks
from agent.update.state import LastCheck
from tests.support.agent import ANY_PORT, running_agent
from tests.support.update_site import PACKAGE, UpdateSite, update_site
from tests.support.waiting import LIMIT


@pytest.fixture
def site(tmp_path: Path) -> Iterator[UpdateSite]:
    with update_site(tmp_path) as running:
        running.publish("7.2.0")
        yield running


class Told(list[str]):
    async def __call__(self, zh: str, en: str, errand: object = None) -> None:
        self.append(en)


async def test_the_person_is_told_once_of_each_newer_version(site: UpdateSite, tmp_path: Path) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    for _ in range(2):
        await Checks(site.settings(), paths, told).once()
    site.publish("7.3.0")
    await Checks(site.settings(), paths, told).once()
    assert [line.split()[3] for line in told] == ["7.2.0", "7.3.0"]
    await Checks(site.settings(), paths, told, running="8.0").once()
    assert len(told) == 2


@pytest.mark.slow
async def test_an_agent_asks_nobody_anything_when_it_is_off(site: UpdateSite, tmp_path: Path) -> None:
    config = replace(ANY_PORT, update=site.settings(enabled=False))
    site.paths(tmp_path / "home")
    async with asyncio.timeout(LIMIT):
        await Checks(config.update, Paths(tmp_path, tmp_path), Told()).run()  # ends at once
    async with running_agent(tmp_path / "home", config=config):
        assert site.asked == []
    assert site.asked == []


def test_the_next_look_is_a_day_after_the_last_and_never_years_away(tmp_path: Path) -> None:
    checks = Checks(UpdateSettings(enabled=True, url="https://a.example/"), Paths(tmp_path, tmp_path), Told())
    assert 120 <= checks.pause() <= 600
    now = datetime.now(UTC)
    for ago, least, most in ((1, 22 * 3600, 24 * 3600), (30, 120, 600), (-10_000, 24 * 3600, 25 * 3600)):
        states.write(tmp_path / "update", LastCheck(checked=now - timedelta(hours=ago)))
        assert least <= checks.pause() <= most
    (tmp_path / "update" / states.NAME).write_text("{")
    assert 120 <= checks.pause() <= 600


async def test_what_went_wrong_is_kept_for_the_self_test(site: UpdateSite, tmp_path: Path) -> None:
    paths = site.paths(tmp_path / "home")
    site.publish("7.3.0", timestamp_days=-1)
    with pytest.raises(AgentError):
        await Checks(site.settings(), paths, Told()).once()
    state = states.read(paths.update)
    assert state is not None
    assert state.error == "update.expired"


async def test_what_had_expired_when_a_look_was_last_good_stays_so_although_the_clock_is_set_back(
    site: UpdateSite, tmp_path: Path
) -> None:
    paths = site.paths(tmp_path / "home")
    site.publish("7.4.0")
    checks = Checks(site.settings(), paths, Told())
    await checks.once()
    last = states.read(paths.update)
    assert last is not None and last.good == last.checked
    states.write(paths.update, structs.replace(last, good=last.checked + timedelta(days=30)))
    with pytest.raises(AgentError) as caught:
        await checks.once()
    assert caught.value.error_id == "update.expired"
    now = states.read(paths.update)
    assert now is not None and now.good == last.checked + timedelta(days=30)


@pytest.fixture
def home(site: UpdateSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "machine"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    site.paths(tmp_path / "unused")
    (folder / "policy.toml").write_text(f'[update]\nenabled = true\nurl = "{site.url}"\n')
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(program, ["update", *words])


def test_the_commands_say_what_is_newer_and_fetch_it(home: Path, tmp_path: Path) -> None:
    result = run("check", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"running": "0.1.0", "offered": "7.2.0", "newer": True}
    result = run("download", "--to", str(tmp_path / "here"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "here" / "hca-agent-7.2.0.bin").read_bytes() == PACKAGE


def test_an_older_release_is_neither_offered_nor_fetched(home: Path, site: UpdateSite) -> None:
    site.publish("0.0.9")
    assert "nothing newer" in run("check").stdout
    assert run("download").exit_code == 0
    assert not (home / "update" / "packages").exists()


def test_a_refused_update_ends_with_its_id_and_an_exit_code(home: Path, site: UpdateSite) -> None:
    site.target("release.json").write_bytes(b"{}")
    result = run("download")
    assert result.exit_code == 1
    assert "update.refused" in result.stderr


def test_nothing_is_installed_without_the_administrators_command(home: Path) -> None:
    result = run("install")
    assert result.exit_code == 1
    assert "update.no_command" in result.stderr


def test_the_command_cannot_stand_in_the_persons_own_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").write_text('[update]\ninstall_command = ["/bin/echo", "{file}"]\n')
    result = run("install")
    assert result.exit_code == 1
    assert "config.invalid" in result.stderr


COMMAND = ("/bin/cp", "{file}", "/nowhere")


def test_only_the_administrator_installs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "is_administrator", lambda: False)
    with pytest.raises(AgentError) as caught:
        install.check_may_install(UpdateSettings(install_command=COMMAND), Paths(tmp_path, tmp_path))
    assert caught.value.error_id == "update.needs_administrator"


@pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of POSIX")
def test_what_others_could_change_is_not_rested_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that everybody may write is above it: anybody could put another one in its place."""
    monkeypatch.setattr(install, "is_administrator", lambda: True)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (open_to_all / "policy.toml").write_text("")
    assert not administrator.is_administrators(open_to_all / "policy.toml")
    for paths in (Paths(open_to_all, open_to_all), Paths(tmp_path / "none", tmp_path / "none")):
        with pytest.raises(AgentError) as caught:
            install.check_may_install(UpdateSettings(install_command=COMMAND), paths)
        assert caught.value.error_id == "update.not_safe"
    assert administrator.is_administrators(Path("/bin/sh"))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="owners and modes of POSIX")
def test_a_link_that_others_could_make_point_elsewhere_is_not_rested_on(tmp_path: Path) -> None:
    """The temporary folder is everybody's, so that the link is made in the administrator's own."""
    folder = Path("/root") / f".hca-agent-test-{os.getpid()}"
    folder.mkdir()
    try:
        link, middle = folder / "link", tmp_path / "middle"
        link.symlink_to("/bin/sh")
        assert administrator.is_administrators(link)
        middle.symlink_to("/bin/sh")
        link.unlink()
        link.symlink_to(middle)
        assert not administrator.is_administrators(middle)
        assert not administrator.is_administrators(link)
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can have it installed")
def test_what_is_installed_never_lies_where_the_person_could_change_it(
    site: UpdateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After sudo that keeps the home folder it is the person's own: refused; the copy is root's anyway."""
    folder = Path("/root") / f".hca-agent-test-{os.getpid()}"
    folder.mkdir()
    site.paths(folder / "home")
    person, told = folder / "person", folder / "told"
    person.mkdir()
    os.chown(person, 65534, 65534)
    (folder / "machine").rename(folder / "policies")
    try:
        words = ["/bin/sh", "-c", f'ls -ldn "$(dirname "$0")" > {told}; cmp "$0" {folder}/package', "{file}"]
        (folder / "package").write_bytes(PACKAGE)
        policy = f'[update]\nenabled = true\nurl = "{site.url}"\ninstall_command = {json.dumps(words)}\n'
        (folder / "policies" / "policy.toml").write_text(policy)
        monkeypatch.setattr(Paths, "of", lambda: Paths(person, folder / "policies"))
        result = run("install")
        assert result.exit_code == 1
        assert "folder.not_yours" in result.output
        assert not told.exists()
        os.chown(person, 0, 0)
        result = run("install")
        assert result.exit_code == 0, result.output
        mode, _, owner = told.read_text().split()[:3]
        assert (mode, owner) == ("drwx------", "0")
        place = Path(told.read_text().split()[-1])
        assert person not in place.parents
        assert not place.exists()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can have it installed")
def test_the_administrators_command_gets_the_checked_file(
    site: UpdateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path("/root") / f".hca-agent-test-{os.getpid()}"
    folder.mkdir()
    site.paths(folder / "home")
    installed = folder / "installed"
    try:
        words = json.dumps(["/bin/cp", "{file}", str(installed)])
        policy = f'[update]\nenabled = true\nurl = "{site.url}"\ninstall_command = {words}\n'
        (folder / "machine" / "policy.toml").write_text(policy)
        monkeypatch.setenv(HOME_VARIABLE, str(folder / "machine"))
        result = run("install")
        assert result.exit_code == 0, result.output
        assert installed.read_bytes() == PACKAGE
        (folder / "machine" / "policy.toml").write_text(policy.replace("/bin/cp", "/bin/false"))
        result = run("install")
        assert result.exit_code == 1
        assert "update.install_failed" in result.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)
