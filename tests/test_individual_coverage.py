"""Each module of the rooms where a mistake costs most is covered by the tests of its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import individual_coverage as individual


@pytest.mark.slow
def test_each_module_has_tests_of_its_name() -> None:
    modules = individual.modules()
    assert "agent/access/policy.py" in modules
    assert all(individual.mirrors_of(module) for module in modules)
    assert individual.LEFT.keys() <= set(modules)


def test_a_mirror_has_the_modules_name_or_its_familys_or_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(individual, "ROOT", tmp_path)
    monkeypatch.setattr(individual, "ROOMS", ("room",))
    files = ["room/test_room_card", "room/test_room_card_read_hostile", "room/test_room_cards"]
    files += ["room/part/test_part", "room/part/test_part_tlv"]
    for name in files:
        path = tmp_path / "tests" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def mirrors(module: str) -> list[str]:
        return [name.removeprefix("tests/").removesuffix(".py") for name in individual.mirrors_of(module)]

    assert mirrors("room/card_read.py") == ["room/test_room_card_read_hostile"]
    assert mirrors("room/card.py") == mirrors("room/card_write.py") == files[:2]
    assert mirrors("room/part/tlv.py") == files[4:]
    assert mirrors("room/part/files.py") == mirrors("room/part/__init__.py") == files[3:]
    with pytest.raises(SystemExit, match="no file of tests"):
        mirrors("room/reader.py")


def test_a_line_too_many_is_wrong_and_so_is_a_module_that_need_not_be_listed_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(individual, "LEFT", {"a.py": 2, "b.py": 1})
    assert not individual.wrong({"a.py": [1, 2], "b.py": [7], "c.py": []})
    assert individual.wrong({"a.py": [1, 2, 3], "b.py": [], "c.py": [4]}) == {
        "a.py": "not run: lines 1, 2, 3",
        "b.py": "all of it; strike it off `LEFT`",
        "c.py": "not run: lines 4",
    }


def test_lines_that_another_system_alone_runs_are_not_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import sys\ndef ours():\n    if sys.platform == 'win32':\n        return 1\n    return 2\nX = 3\n",
        "utf-8",
    )
    assert individual.lines_of(file) == {5}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="each file of tests runs in a fork")
def test_each_mirror_runs_every_line_of_its_module() -> None:
    """All rooms: `make coverage`."""
    assert not individual.wrong(individual.missed(("agent/access",), jobs=2))
