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


@pytest.mark.parametrize("name", ["config.toml", "policy.toml"])
def test_a_file_that_begins_with_a_byte_order_mark_is_read(paths: Paths, name: str) -> None:
    file = paths.config if name == "config.toml" else paths.policy
    file.write_bytes(b'\xef\xbb\xbf[origins]\r\ndeny = ["https://a.example"]\r\n')
    assert load(paths).origins.deny == {"https://a.example"}


def test_a_file_in_another_encoding_is_told_which_it_is_to_have(paths: Paths) -> None:
    paths.config.write_text("[ports]\n", "utf-16")
    with pytest.raises(ConfigError, match="is not UTF-8: save it"):
        load(paths)


@pytest.mark.skipif(os.name != "posix", reason="links")
@pytest.mark.parametrize("link", ["policy.toml", "config.toml", "the administrator's folder"])
def test_a_link_that_leads_nowhere_is_no_missing_file(tmp_path: Path, link: str) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    paths = Paths(tmp_path / "home", tmp_path / "machine")
    if link == "the administrator's folder":
        paths.machine.symlink_to(tmp_path / "nowhere")
        file = paths.policy
    else:
        paths.machine.mkdir()
        file = paths.config if link == "config.toml" else paths.policy
        file.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is there and cannot be read") as caught:
        load(paths)
    assert caught.value.file == file


@pytest.mark.parametrize("there", ["a folder in its place", "a file in its folder's place"])
def test_an_administrators_file_that_cannot_be_read_stops_the_program(tmp_path: Path, there: str) -> None:
    paths = Paths(tmp_path / "home", tmp_path / "machine").make()
    if there == "a folder in its place":
        paths.policy.mkdir(parents=True)
    else:
        paths.machine.write_text("")
    with pytest.raises(ConfigError, match="is there and cannot be read"):
        load(paths)


@pytest.mark.parametrize(
    ("section", "line", "rule"),
    [
        ("origins", 'allow = ["http://10.1.2.3"]', "any other site needs https://"),
        ("origins", 'allow = ["https://a.example/"]', "no slash at the end"),
        ("origins", 'deny = ["https://*.a.example"]', "no wildcard"),
        ("origins", 'deny = ["https://A.example"]', "lower case"),
        ("origins", 'deny = ["https://a.example:443"]', "the usual port of https is left out"),
        ("origins", 'deny = ["https://a.example:99999"]', "from 1 to 65535"),
        ("origins", 'deny = ["https://a.example."]', "without a dot at the end"),
        ("origins", 'deny = ["https://me@a.example"]', "no user name"),
        ("origins", 'deny = ["https://醫院.example"]', "punycode"),
        ("origins", 'deny = ["a.example"]', "begins with https://"),
        ("origins", 'deny = ["null"]', "begins with https://"),
        ("origins", "deny = [1]", "it is a text"),
        ("origins", 'deny = "https://a.example"', "must be a list"),
        ("servisign", 'timestamp_host = "http://a.example"', "no scheme and no path"),
        ("servisign", 'timestamp_host = "a.example:70000"', "from 1 to 65535"),
        ("servisign", f'ldap_base = "{"a" * 1001}"', "at most 1000 characters"),
        ("certificates", 'ocsp = ["https://a.example/"]', "begins with http://"),
        ("certificates", 'roots = ["ca.pem"]', "the whole path"),
        ("update", 'url = "https://me@a.example/"', "no user name"),
        ("log", 'syslog = "udp://a.example"', '"local"'),
        ("log", 'level = "all"', "one of error"),
        ("card", "seconds = 0", "from 1 to 600"),
        ("card", "keypad = 1", "true or false"),
    ],
)
def test_a_refused_value_is_told_the_rule_that_it_breaks(
    paths: Paths, section: str, line: str, rule: str
) -> None:
    paths.config.write_text(f"[{section}]\n{line}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(paths)
    assert caught.value.key == f"{section}.{line.partition(' ')[0]}"
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("servers", "good"),
    [
        (["tls://nats.example.tw:4222", "tls://nats2.example.tw"], True),
        (["nats://127.0.0.1:4222"], True),
        (["nats://localhost", "nats://[::1]:4222"], True),
        (["nats://nats.example.tw"], False),
        (["nats://127.0.0.1.example.tw"], False),
        (["nats://localhost@nats.example.tw"], False),
        (["tls://user:secret@nats.example.tw"], False),
        (["tls://NATS.example.tw"], False),
        (["tls://nats.example.tw/"], False),
        (["tls://nats.example.tw:0"], False),
        (["tls://nats.example.tw:70000"], False),
        (["tls://a.example", "nats://localhost"], False),
        (["ws://nats.example.tw"], False),
        (["nats.example.tw:4222"], False),
        ("tls://nats.example.tw", False),
    ],
    ids=str,
)
def test_addresses_of_a_broker_have_tls_everywhere_but_here(
    paths: Paths, servers: object, good: bool
) -> None:
    paths.config.write_text(f"[broker]\nservers = {servers!r}".replace("'", '"'))
    if good:
        assert load(paths).broker.servers == tuple(servers)  # type: ignore[arg-type]
        return
    with pytest.raises(ConfigError, match="broker"):
        load(paths)


@pytest.mark.parametrize("prefix", ["", "a.b", "*", ">", "A", "hca agent", "x" * 33])
def test_what_streams_are_called_after_is_one_plain_word(paths: Paths, prefix: str) -> None:
    paths.config.write_text(f'[broker]\nprefix = "{prefix}"')
    with pytest.raises(ConfigError, match="broker"):
        load(paths)
