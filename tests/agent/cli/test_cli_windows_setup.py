"""What the installers were told becomes a configuration, or the installation fails."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.cli.windows import browser_policy, setup, task
from agent.cli.windows.setup import InstallerOptions
from agent.cli.windows.toml_text import toml_text
from tests.support.registry import MemoryRegistry

PORTAL = "https://portal.example.tw"


def wishes_of(registry: MemoryRegistry, root: str, **values: str) -> InstallerOptions:
    for name, value in values.items():
        registry.put(root, setup.KEY, name, value)
    return InstallerOptions.of(registry, machine=root == registry.HKEY_LOCAL_MACHINE)


def test_the_machines_and_the_users_wishes_are_read_apart() -> None:
    registry = MemoryRegistry()
    assert wishes_of(registry, "HKLM", Ports="57445", BrowserPolicies="1") == InstallerOptions(
        "57445", browser_policies=True
    )
    assert InstallerOptions.of(registry, machine=False) == InstallerOptions()


def test_ports_and_sites_are_written_and_stay_at_the_next_installation(tmp_path: Path) -> None:
    file, registry = tmp_path / "made" / "policy.toml", MemoryRegistry()
    setup.apply(
        InstallerOptions("57445, 57545", f"{PORTAL};https://b.example.tw"), file, registry, machine=True
    )
    written = tomllib.loads(file.read_text("utf-8"))
    assert written == {
        "servisign": {"ports": [57445, 57545]},
        "origins": {"allow": [PORTAL, "https://b.example.tw"]},
    }
    before = file.read_bytes()
    setup.apply(InstallerOptions(), file, registry, machine=True)
    setup.apply(InstallerOptions("57445 57545"), file, registry, machine=True)
    assert file.read_bytes() == before


def test_a_policy_file_is_taken_as_it_is_and_wishes_win_over_it(tmp_path: Path) -> None:
    source, file = tmp_path / "given.toml", tmp_path / "policy.toml"
    source.write_text("\ufeff# ours\n[consent]\ndays = 7\n[servisign]\nports = [1]\n", "utf-8")
    setup.apply(InstallerOptions(policy_file=str(source)), file, MemoryRegistry(), machine=True)
    assert file.read_text("utf-8") == "# ours\n[consent]\ndays = 7\n[servisign]\nports = [1]\n"
    setup.apply(InstallerOptions("57445", policy_file=str(source)), file, MemoryRegistry(), machine=True)
    written = tomllib.loads(file.read_text("utf-8"))
    assert written == {"consent": {"days": 7}, "servisign": {"ports": [57445]}}


@pytest.mark.parametrize(
    "wishes",
    [
        InstallerOptions(ports="56445 & calc"),
        InstallerOptions(ports="0"),
        InstallerOptions(ports="56445 56445"),
        InstallerOptions(allowed_origins="https://*.example.tw"),
        InstallerOptions(allowed_origins='https://a.example.tw"]\n[unattended]\nenabled=true'),
        InstallerOptions(policy_file="no such file"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_written(tmp_path: Path, wishes: InstallerOptions) -> None:
    file, registry = tmp_path / "policy.toml", MemoryRegistry()
    with pytest.raises(config.ConfigError):
        setup.apply(wishes, file, registry, machine=True)
    assert not file.exists() and not registry.keys


@pytest.mark.parametrize("text", ["[servisgn]\n", "no toml", "[servisign]\nports = ['x']\n"])
def test_a_policy_file_that_the_agent_would_not_read_is_refused(tmp_path: Path, text: str) -> None:
    source, file = tmp_path / "given.toml", tmp_path / "policy.toml"
    source.write_text(text, "utf-8")
    with pytest.raises(config.ConfigError):
        setup.apply(InstallerOptions(policy_file=str(source)), file, MemoryRegistry(), machine=True)
    assert not file.exists()


def test_the_administrators_keys_are_not_for_one_users_installation(tmp_path: Path) -> None:
    source = tmp_path / "given.toml"
    source.write_text("[nhi_component]\nenabled = true\n", "utf-8")
    with pytest.raises(config.ConfigError, match="administrator"):
        setup.apply(
            InstallerOptions(policy_file=str(source)),
            tmp_path / "config.toml",
            MemoryRegistry(),
            machine=False,
        )


def test_browser_policies_are_written_only_when_wished_for(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    setup.apply(InstallerOptions(browser_policies=True), tmp_path / "policy.toml", registry, machine=True)
    assert all(registry.keys["HKLM", path] for path in browser_policy.LISTS)
    setup.apply(InstallerOptions(), tmp_path / "policy.toml", registry, machine=True)
    assert not [path for _, path in registry.keys if "Loopback" in path]


def test_data_is_deleted_with_everything_in_it_and_twice_is_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tls").mkdir(parents=True)
    (home / "tls" / "leaf.key").write_bytes(b"x")
    setup.forget_data(home)
    setup.forget_data(home)
    assert not home.exists()


def test_the_task_names_program_and_words_whatever_is_in_them() -> None:
    from xml.etree import ElementTree

    text = task.xml([r"C:\Program Files\A & B\hca-agentw.exe", "trust", "install", "--machine"])
    root = ElementTree.fromstring(text.partition("?>")[2])
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    assert root.findtext(f".//{space}Command") == r"C:\Program Files\A & B\hca-agentw.exe"
    assert root.findtext(f".//{space}Arguments") == "trust install --machine"


@given(st.dictionaries(st.sampled_from("abc"), st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
), max_size=3))  # fmt: skip
def test_written_toml_reads_as_what_was_written(values: dict[str, object]) -> None:
    assert tomllib.loads(toml_text({"section": values})) == {"section": values}
