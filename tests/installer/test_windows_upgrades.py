"""What the Windows packages do with agents that run while a newer version is installed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "installer" / "windows"))

import admx  # type: ignore[import-not-found]
import msi  # type: ignore[import-not-found]
import nsis  # type: ignore[import-not-found]
from product import PROPERTIES, Product  # type: ignore[import-not-found]

DOCS = (Path(__file__).parents[2] / "docs" / "packages-windows.md").read_text("utf-8")


@pytest.fixture
def product(tmp_path: Path) -> Any:
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    for name in ("hca-agent.exe", "hca-agentw.exe"):
        (frozen / name).touch()
    return Product("1.2.3", "", frozen, tmp_path / "hca-agent.ico")


@pytest.mark.parametrize(("machine", "words", "rights"), [(True, " --machine", "no"), (False, "", "yes")])
def test_what_an_upgrade_ended_is_started_again_for_whoever_wants_it_at_login(
    product: Any, tmp_path: Path, machine: bool, words: str, rights: str
) -> None:
    source = msi.source(product, admx.write(tmp_path / "PolicyDefinitions"), tmp_path, machine=machine)
    action = re.search(r'<CustomAction Id="Start"[^>]*/>', source)
    assert action is not None and f'ExeCommand="windows-setup start{words}"' in action[0]
    assert f'Impersonate="{rights}"' in action[0] and 'Return="ignore"' in action[0]
    condition = "NOT Installed AND WIX_UPGRADE_DETECTED AND AUTOSTART=1"
    assert f'<Custom Action="Start" After="Apply">{condition}</Custom>' in source
    assert any("Sequence = 5950" in line and "'Start'" in line for line in msi.corrections())


def test_the_setup_program_starts_again_what_it_ended(product: Any, tmp_path: Path) -> None:
    source = nsis.source(product, admx.write(tmp_path / "PolicyDefinitions"), tmp_path / "setup.exe")
    ended, applied = source.index("windows-setup end"), source.index("windows-setup apply")
    assert ended < applied < source.index("windows-setup start $Scope")
    assert source.index("Var Upgrade") < ended


def test_every_property_of_the_packages_is_told() -> None:
    for name in ("AUTOSTART", "REMOVE_DATA", "INSTALLDIR", *(name for name, _ in PROPERTIES)):
        assert f"| `{name}`" in DOCS
    for code in (0, 1602, 1603, 1618, 1625, 1638, 1641, 3010):
        assert f"| {code} |" in DOCS
