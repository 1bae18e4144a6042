"""The administrators' guide against the code: every key with its default, every metric, every file named."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent import metrics
from agent.config import SECTIONS, load
from agent.errors import table
from agent.paths import Paths
from agent.update.state import LastCheck
from tests.support.platforms import not_on_windows

sys.path.insert(0, str(Path(__file__).parents[2] / "installer" / "linux"))

from policy_example import NONE, example  # type: ignore[import-not-found]

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "it-guide.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)\.(\w+)`( ★)? \| `([^`]*)` \| (\S.*) \|$", re.MULTILINE)


def as_toml(value: Any) -> Any:
    return (
        sorted(map(str, value))
        if isinstance(value, frozenset)
        else list(value)
        if isinstance(value, tuple)
        else value
    )


def test_every_key_of_the_configuration_is_told_with_its_default_and_whose_it_is() -> None:
    told = {
        (section, key): (tomllib.loads(f"value = {default}")["value"], bool(star))
        for section, key, star, default, _ in ROW.findall(GUIDE)
    }
    there = {
        (name, item.name): (as_toml(item.default), bool(item.metadata.get("administrator")))
        for name, section in SECTIONS.items()
        for item in fields(section)
    }
    # The ports of macOS differ, and the guide says so beside them.
    for key in (("servisign", "ports"), ("nhi_component", "ports")):
        told.pop(key)
        there.pop(key)
    assert told == there


def test_the_example_for_administrators_has_every_key_with_a_comment_and_its_default(tmp_path: Path) -> None:
    written = example(GUIDE)
    lines = written.splitlines()
    section, found, chosen = "", {}, []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("["):
            section = line.strip("[]")
            chosen.append(line)
        elif given := re.fullmatch(r"# (\w+) = (.*)", line):
            assert before.startswith("# ") and " = " not in before, f"{section}.{given[1]} has no comment"
            found[section, given[1]] = tomllib.loads(f"value = {given[2]}")["value"]
            chosen.append(line.removeprefix("# "))
    assert set(found) == {(name, item.name) for name, each in SECTIONS.items() for item in fields(each)}
    told = {
        (name, key): tomllib.loads(f"v = {default}")["v"] for name, key, _, default, _ in ROW.findall(GUIDE)
    }
    assert found == told | {key: tomllib.loads(f"v = {value}")["v"] for key, value in NONE.items()}
    assert not any(tomllib.loads(written).values())  # nothing is decided by copying it
    (tmp_path / "policy.toml").write_text("\n".join(chosen), "utf-8")
    load(Paths(tmp_path / "home", tmp_path))


def test_each_key_is_explained_in_both_languages() -> None:
    for section, key, _, _, meaning in ROW.findall(GUIDE):
        assert re.search(r"[\u4e00-\u9fff]", meaning) or key == "level", f"{section}.{key}"
        assert re.search(r"[a-z]{3}", meaning), f"{section}.{key}"


def test_every_metric_is_told_and_no_other() -> None:
    now = datetime.now(UTC)
    families = metrics._families(
        metrics.Counters(), metrics.MetricsSnapshot((), True, now, 0, LastCheck(checked=now))
    )
    served = {name for name, _, _ in families}
    assert len(served) > 10
    assert set(re.findall(r"`hca_agent_(\w+)`", GUIDE)) == served


@not_on_windows("whole paths of POSIX are among them")
@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL))
def test_an_example_is_a_policy_that_loads(block: str, tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    paths = Paths(tmp_path, tmp_path / "machine")
    commands = [line for line in block.splitlines() if line.startswith("install_command")]
    for text in [f"[update]\n{line}" for line in commands if "C:" not in line] or [block]:
        paths.policy.write_text(text if not commands or text != block else "", "utf-8")
        load(paths)


def test_every_error_id_and_row_of_the_self_test_named_is_one() -> None:
    for name in re.findall(r"`((?:port|session|update)\.[a-z_]+)`", GUIDE):
        section, _, key = name.partition(".")
        is_key = section in SECTIONS and key in {item.name for item in fields(SECTIONS[section])}
        assert name in table() or is_key, name
    rows = (DOCS / "selftest.md").read_text("utf-8")
    for name in re.findall(r"`((?:host|basic)\.[a-z_]+)`", GUIDE):
        assert f"`{name}`" in rows, name


def test_links_inside_the_guide_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in GUIDE.splitlines()
        if line.startswith("#")
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", GUIDE):
        assert anchor in headings
    # The packages' own pages come with the packages.
    for name in set(re.findall(r"\]\(([\w./-]+\.md)", GUIDE)) - {"packages-linux.md", "packages-windows.md"}:
        assert (DOCS / name).is_file(), name
