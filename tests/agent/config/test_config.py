from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.config import Config, ConfigError, load
from agent.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "machine").mkdir()
    return Paths(tmp_path / "home", tmp_path / "machine").make()


def test_without_any_file_the_defaults_hold(paths: Paths) -> None:
    assert load(paths) == Config()
    assert Config().ports.native == 56440


def test_the_persons_file_is_read(paths: Paths) -> None:
    paths.config.write_text('[origins]\nallow = ["https://a.example"]\n[ports]\nnative = 50000\n')
    config = load(paths)
    assert config.origins.allow == {"https://a.example"}
    assert config.ports.native == 50000


def test_the_administrator_wins_key_by_key(paths: Paths) -> None:
    paths.config.write_text('[origins]\nallow = ["https://a.example"]\ndeny = ["https://b.example"]\n')
    paths.policy.write_text('[origins]\nallow = ["https://c.example"]\n')
    origins = load(paths).origins
    assert origins.allow == {"https://c.example"}
    assert origins.deny == {"https://b.example"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[origin]\nallow = ["https://a.example"]', "origin"),
        ('[origins]\ndenied = ["https://a.example"]', "origins.denied"),
        ('[origins]\nallow = "https://a.example"', "origins.allow"),
        ('[origins]\nallow = ["https://a.example/"]', "origins.allow"),
        ('[origins]\nallow = ["https://*.example"]', "origins.allow"),
        ('[origins]\nallow = ["https://A.example"]', "origins.allow"),
        ('[origins]\nallow = ["http://a.example"]', "origins.allow"),
        ('[origins]\nallow = ["null"]', "origins.allow"),
        ("[origins]\nallow = [1]", "origins.allow"),
        ("[ports]\nnative = 0", "ports.native"),
        ("[ports]\nnative = 65536", "ports.native"),
        ("[ports]\nnative = true", "ports.native"),
        ('[ports]\nnative = "56440"', "ports.native"),
        ("[servisign]\nports = []", "servisign.ports"),
        ("[servisign]\nports = [1, 1]", "servisign.ports"),
        ("[servisign]\nenabled = 1", "servisign.enabled"),
        ('[servisign]\nserver_version = "1.0"', "servisign.server_version"),
        ("[consent]\ndays = 0", "consent.days"),
        ("origins = 3", "origins"),
    ],
)
def test_what_is_not_known_or_of_the_wrong_type_names_file_and_key(paths: Paths, text: str, key: str) -> None:
    paths.config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(paths)
    assert caught.value.key == key
    assert caught.value.file == paths.config
    assert key in str(caught.value)


@pytest.mark.parametrize("content", [b"[origins", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_names_the_file(paths: Paths, content: bytes) -> None:
    paths.policy.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(paths)
    assert caught.value.file == paths.policy


def test_the_variable_moves_every_file_to_one_folder(tmp_path: Path) -> None:
    paths = Paths.of({"HCA_AGENT_HOME": str(tmp_path / "x")})
    assert {paths.config.parent, paths.policy.parent, paths.audit.parent, paths.tls.parent} == {
        tmp_path / "x"
    }


def test_without_the_variable_person_and_machine_have_folders_of_their_own() -> None:
    paths = Paths.of({})
    assert paths.home.is_absolute()
    assert paths.home != paths.machine


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_persons_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    Paths(home, tmp_path).make()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
