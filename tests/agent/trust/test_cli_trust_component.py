"""`hca-agent trust` and the second certificate: there while the dialect is on, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import agent.cli.trust
from agent import tls
from agent.cli.program import program
from agent.trust import FoundAuthority, own_authorities
from tests.support.command_line import answer
from tests.support.trust import Shelf, current

Trust = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCA_AGENT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def trust(home: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Trust:
    monkeypatch.setattr(agent.cli.trust, "_stores", lambda **_: (shelf,))

    def run(*words: str, on: bool) -> Result:
        (home / "policy.toml").write_text(f"[nhi_component]\nenabled = {'true' if on else 'false'}\n")
        return CliRunner().invoke(program, ["trust", *words])

    return run


def scopes(shelf: Shelf) -> list[tls.Scope]:
    return [each.authority.scope for each in shelf.held]


def test_install_trusts_both_while_the_dialect_is_on_and_takes_the_second_out_when_it_is_off(
    trust: Trust, shelf: Shelf
) -> None:
    first = trust("install", on=True)
    assert first.exit_code == 0, first.output
    assert "健保卡元件的憑證" in first.output and "iccert.nhi.gov.tw" in first.output
    assert scopes(shelf) == [tls.LOOPBACK, tls.NHI_COMPONENT]
    assert trust("status", on=True).exit_code == 0
    turned_off = trust("status", on=False)
    assert turned_off.exit_code == 1 and "不再需要" in turned_off.output
    assert trust("install", on=False).exit_code == 0
    assert scopes(shelf) == [tls.LOOPBACK]
    assert trust("status", on=False).exit_code == 0


def test_without_the_dialect_there_is_no_second_certificate_and_no_word_of_it(
    trust: Trust, shelf: Shelf, home: Path
) -> None:
    result = trust("install", on=False)
    assert result.exit_code == 0 and "健保卡元件" not in result.output
    assert not (home / "tls" / "nhi-component").exists()
    assert "nhiComponent" not in answer(trust("status", "--json", on=False))


def test_status_says_that_the_second_is_missing(trust: Trust) -> None:
    trust("install", on=False)
    result = trust("status", on=True)
    assert result.exit_code == 1 and "trust install" in result.output


@pytest.mark.parametrize("on", [True, False])
def test_remove_takes_both_out_and_nothing_of_anybody_else(trust: Trust, shelf: Shelf, on: bool) -> None:
    trust("install", on=True)
    assert trust("remove", on=on).exit_code == 0
    assert shelf.held == []


def test_remove_finds_a_second_certificate_of_another_folder_too(
    trust: Trust, shelf: Shelf, tmp_path: Path
) -> None:
    tls.ensure(tmp_path / "elsewhere", tls.NHI_COMPONENT)
    shelf.held.append(
        FoundAuthority(current(own_authorities(tmp_path / "elsewhere", tls.NHI_COMPONENT)), trusted=True)
    )
    assert trust("remove", on=False).exit_code == 0
    assert shelf.held == []


def test_programs_are_told_of_the_second_certificate_beside_the_first(trust: Trust, home: Path) -> None:
    told = answer(trust("install", "--json", on=True))
    assert told["certificate"]["name"].startswith("HCA Card Agent localhost CA ")
    second = told["nhiComponent"]
    assert second["certificate"]["file"] == str(home / "tls" / "nhi-component" / "ca.pem")
    assert [each["state"] for each in second["stores"]] == ["trusted"]
    assert [each["others"] for each in (*told["stores"], *second["stores"])] == [[], []]
