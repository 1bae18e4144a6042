"""The group policy templates say what the configuration says, and the packages' sources what they should."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from agent import config
from agent.win32.policy import KEY

SPACE = "{http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions}"
ALL = {(section, key.name) for section, kind in config.SECTIONS.items() for key in fields(kind)}


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(__file__).resolve().parents[2] / "installer" / "windows"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def admx(windows: Path) -> ModuleType:
    import admx  # type: ignore[import-not-found]

    return admx


def test_every_key_of_the_configuration_is_a_policy_at_the_place_that_is_read(admx: ModuleType) -> None:
    root = ElementTree.fromstring(admx.template().encode())
    found = set()
    for policy in root.iter(f"{SPACE}policy"):
        named = [each for each in policy.iter() if each.get("valueName")]
        assert policy.get("class") == "Machine" and len(named) == 1
        key = policy.get("key", "")
        assert key.startswith(KEY + "\\")
        found.add((key.removeprefix(KEY + "\\"), named[0].get("valueName")))
    assert found == ALL


@pytest.mark.parametrize("language", ["zh-TW", "en-US"])
def test_every_string_and_presentation_exists_in_both_languages(admx: ModuleType, language: str) -> None:
    words = ElementTree.fromstring(admx.words(language).encode())
    strings = {each.get("id"): each.text for each in words.iter(f"{SPACE}string")}
    presentations = {each.get("id") for each in words.iter(f"{SPACE}presentation")}
    asked = 0
    for each in ElementTree.fromstring(admx.template().encode()).iter():
        for value in each.attrib.values():
            if value.startswith("$(string."):
                assert strings[value[9:-1]]
                asked += 1
            if value.startswith("$(presentation."):
                assert value[15:-1] in presentations
    assert asked > 2 * len(ALL)


def test_no_words_are_left_for_keys_that_are_gone(windows: Path) -> None:
    import admx_words  # type: ignore[import-not-found]

    assert set(admx_words.KEYS) == {f"{section}.{key}" for section, key in ALL}
    assert set(admx_words.SECTIONS) == set(config.SECTIONS)


@pytest.mark.parametrize("machine", [True, False])
def test_nothing_that_somebody_types_is_part_of_a_command(
    windows: Path, tmp_path: Path, machine: bool
) -> None:
    import msi  # type: ignore[import-not-found]
    import nsis  # type: ignore[import-not-found]
    from product import PROPERTIES, Product  # type: ignore[import-not-found]

    (tmp_path / "hca-agentw.exe").write_bytes(b"x")
    product = Product("1.2.3", "", tmp_path, tmp_path / "x.ico")
    source = msi.source(product, _template(tmp_path), tmp_path, machine=machine)
    root = ElementTree.fromstring(source.encode())
    for action in root.iter("{http://schemas.microsoft.com/wix/2006/wi}CustomAction"):
        assert "[" not in action.get("ExeCommand", "")
    script = nsis.source(product, _template(tmp_path), tmp_path / "setup.exe")
    commands = [line for line in script.splitlines() if "Exec" in line]
    assert commands and all("$0" not in line and "$1" not in line for line in commands)
    assert all(f"/{name}=" in script for name, _ in PROPERTIES)


@pytest.mark.parametrize("machine", [True, False])
def test_a_repair_which_any_user_may_start_applies_nothing(
    windows: Path, tmp_path: Path, machine: bool
) -> None:
    """Windows gives it the system's rights, and the properties that SecureCustomProperties lists."""
    import msi
    from product import Product

    (tmp_path / "hca-agentw.exe").write_bytes(b"x")
    product = Product("1.2.3", "", tmp_path, tmp_path / "x.ico")
    source = msi.source(product, _template(tmp_path), tmp_path, machine=machine)
    steps = ElementTree.fromstring(source.encode()).iter("{http://schemas.microsoft.com/wix/2006/wi}Custom")
    conditions = {step.get("Action"): step.text or "" for step in steps}
    assert conditions.pop("Apply") == "NOT Installed"
    assert conditions.pop("Start").startswith("NOT Installed AND ")
    assert all(condition.startswith('REMOVE="ALL"') for condition in conditions.values())


def _template(folder: Path) -> list[Path]:
    place = folder / "PolicyDefinitions" / "hca-agent.admx"
    place.parent.mkdir(exist_ok=True)
    place.write_text("x")
    return [place]
