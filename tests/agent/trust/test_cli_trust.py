"""`hca-agent trust` as people and programs meet it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import agent.cli.trust
from agent import tls
from agent.cli.program import program
from agent.errors import AgentError, ErrorId
from agent.trust import FoundAuthority, Machine, TrustStore
from agent.trust.nss import NssDatabase
from tests.support.command_line import answer
from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.trust import Programs, Shelf, current, machine, made, real_machine

Trust = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCA_AGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def trust(home: Path, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Run `hca-agent trust` with these words over these stores."""

    def run(*words: str, stores: tuple[TrustStore, ...]) -> Result:
        monkeypatch.setattr(agent.cli.trust, "_stores", lambda **_: stores)
        return CliRunner().invoke(program, ["trust", *words])

    return run


@pytest.mark.slow
@not_on_windows(LINUX_STORES)
def test_from_nothing_to_accepted_to_nothing(trust: Trust, home: Path, tmp_path: Path) -> None:
    database = NssDatabase(real_machine(tmp_path), tmp_path / "nssdb", "Chromium", ("Chromium",))
    first = trust("status", stores=(database,))
    assert first.exit_code == 1 and "還沒有憑證" in first.stdout and "trust install" in first.stdout
    assert not (home / "tls").exists()
    installed = trust("install", stores=(database,))
    assert installed.exit_code == 0 and "✔ 接受" in installed.stdout and "請關閉再開" in installed.stdout
    again = trust("install", stores=(database,))
    assert again.exit_code == 0 and "請關閉再開" not in again.stdout
    assert trust("status", stores=(database,)).exit_code == 0
    removed = trust("remove", stores=(database,))
    assert removed.exit_code == 0 and "已移除" in removed.stdout
    assert trust("status", stores=(database,)).exit_code == 1
    nothing = trust("remove", stores=(database,))
    assert nothing.exit_code == 0 and "本來就沒有" in nothing.stdout


def test_programs_get_every_fact_as_json(trust: Trust, home: Path) -> None:
    made(home / "tls")
    broken = Shelf("broken", "there", blind=AgentError(ErrorId.TRUST_TOOL_FAILED, detail="certutil: no"))
    system = Shelf("Linux", "/usr", ("curl",), browsers=False)
    result = trust("install", "--json", stores=(Shelf(asks=True), broken, system))
    told = answer(result)
    authority = current(made(home / "tls"))
    assert told["certificate"] == {
        "name": authority.name,
        "sha256": authority.sha256,
        "notAfter": f"{authority.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "file": str(home / "tls" / "ca.pem"),
    }
    shelf, failed, other = told["stores"]
    assert shelf == {
        "name": "shelf",
        "location": "memory",
        "programs": ["Browser"],
        "browser": True,
        "state": "trusted",
        "accepted": True,
        "changed": True,
        "others": [],
    }
    assert failed["state"] == "unknown" and failed["error"]["id"] == "trust.tool_failed"
    assert failed["error"]["detail"] == "certutil: no" and failed["error"]["nextEn"]
    assert other["browser"] is False
    assert "will ask to add" in result.stderr
    assert result.exit_code == 1


def test_a_new_certificate_is_made_where_the_person_says_so(trust: Trust, home: Path) -> None:
    shelf = Shelf()
    trust("install", stores=(shelf,))
    before = (home / "tls" / tls.CA).read_bytes()
    trust("install", stores=(shelf,))
    assert (home / "tls" / tls.CA).read_bytes() == before
    assert trust("install", "--renew", stores=(shelf,)).exit_code == 0
    assert (home / "tls" / tls.CA).read_bytes() != before
    assert len(shelf.held) == 1  # the one before it went


@not_on_windows(LINUX_STORES)
def test_root_adds_and_removes_the_portals_in_one_line(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "etc/opt").mkdir(parents=True)
    machines = machine(tmp_path, Programs(missing=("trust",)), root=root, user=0)
    monkeypatch.setattr(Machine, "this", lambda: machines)
    run = partial(CliRunner().invoke, program)
    assert run(["trust", "install", "--portals"]).exit_code == 2
    assert run(["trust", "install", "--machine", "--portals"]).exit_code == 0
    said = (root / "etc/opt/chrome/policies/managed/hca-agent.json").read_text()
    assert "PopupsAllowedForUrls" in said and "CACertificates" in said
    assert run(["trust", "remove", "--machine"]).exit_code == 0
    assert [each for each in root.rglob("*") if each.is_file()] == []


def test_a_system_store_that_needs_root_is_no_failure(trust: Trust) -> None:
    line = "sudo install … && sudo update-ca-certificates"
    system = Shelf(
        "Linux", "/usr", ("curl",), browsers=False, fails=AgentError(ErrorId.TRUST_NEEDS_ROOT, detail=line)
    )
    result = trust("install", stores=(Shelf(), system))
    assert result.exit_code == 0
    assert f"    {line}\n" in result.stdout and "browsers do not need it" in result.stdout
    assert result.stderr == ""


def test_the_prompt_of_the_system_is_announced_and_a_no_is_told_with_the_way_back(trust: Trust) -> None:
    result = trust("install", stores=(Shelf(asks=True, fails=AgentError(ErrorId.TRUST_DECLINED)),))
    assert result.exit_code == 1
    assert result.stderr.index("will ask to add") < result.stderr.index("trust.declined")
    assert "hca-agent trust install" in result.stderr


def test_a_certificate_that_was_replaced_is_shown_as_old(trust: Trust, home: Path) -> None:
    tls.ensure(home / "tls", now=datetime.now(UTC) - timedelta(days=790))
    known = made(home / "tls")
    old = FoundAuthority(known.former[0], trusted=True)
    result = trust("status", stores=(Shelf(held=[old]),))
    assert result.exit_code == 1 and "只有舊的憑證" in result.stdout
    both = trust("status", stores=(Shelf(held=[old, FoundAuthority(current(known), trusted=True)]),))
    assert both.exit_code == 0 and "1 more of ours" in both.stdout.replace("\n", " ")


def test_one_trouble_at_several_places_is_told_once(trust: Trust) -> None:
    missing = AgentError(ErrorId.TRUST_TOOL_MISSING, detail="certutil")
    result = trust("install", stores=(Shelf("Chromium", fails=missing), Shelf("Firefox", fails=missing)))
    assert result.stderr.count("trust.tool_missing") == 1
    assert "Chromium、Firefox" in result.stderr and "libnss3-tools" in result.stderr


def test_an_unforeseen_failure_of_one_store_does_not_end_the_command(trust: Trust) -> None:
    result = trust("install", stores=(Shelf("odd", blind=RuntimeError("surprise")), Shelf()))
    assert result.exit_code == 1
    assert "✔ 接受" in result.stdout and "internal" in result.stderr


def test_a_computer_without_browsers_is_told_so(trust: Trust) -> None:
    assert "找不到瀏覽器" in trust("install", stores=()).stdout


def test_what_could_not_be_looked_into_is_not_said_to_be_removed(trust: Trust) -> None:
    result = trust("remove", stores=(Shelf(blind=OSError("disk")),))
    assert result.exit_code == 1 and "無法查看" in result.stdout and "已移除" not in result.stdout


@not_on_windows("Windows keeps other users' profiles closed")
@pytest.mark.parametrize("order", ["install", "remove", "status"])
def test_nobody_works_in_somebody_elses_home(
    trust: Trust, home: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    mine = Machine.this()
    theirs = replace(mine, user=mine.home.stat().st_uid + 1)
    monkeypatch.setattr(Machine, "this", classmethod(lambda cls: theirs))
    shelf = Shelf()
    result = trust(order, stores=(shelf,))
    assert result.exit_code == 1 and "trust.not_yours" in result.stderr and "sudo" in result.stderr
    assert shelf.changes == [] and not home.exists()
