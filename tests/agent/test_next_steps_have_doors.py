"""Every next step that names a line of the command line has a door for who has no terminal."""

from __future__ import annotations

import re
from pathlib import Path

from agent.errors.table import ErrorRow, table
from agent.tray.messages import TrayQueue
from agent.vocabulary import ERRAND_LINES, ERRAND_WORDS, Errand
from tests.support.tray import tray_state
from tray.icon_states import face

ROOT = Path(__file__).parents[2]

_LINE = re.compile(r"hca-agent ((?:trust|autostart|origins|update|pin|queue) [a-z]+|[a-z]+)")
_BESIDE = re.compile(r"（管理者：(hca-agent [^）]+)）|\(administrators: (hca-agent [^)]+)\)")

OTHER_DOORS = {
    "hca-agent selftest": "自我檢測",
    "hca-agent readers": "讀卡機 Reader",
}
"""What the menu of the icon has besides errands."""

MENU_OF_APPLICATIONS = {"hca-agent run"}
ADMINISTRATORS_ALONE = {("update.needs_administrator", "hca-agent update install")}


def next_steps(row: ErrorRow) -> dict[str, str]:
    """What a person is told to do, and the name of the errand as that sentence would call it."""
    zh, en = ERRAND_WORDS[Errand(row.errand)] if row.errand else ("", "")
    return {row.next_zh: zh, row.next_en: en, row.selftest_zh: zh, row.selftest_en: en}


def doors() -> str:
    """Every line of the menu."""
    menu = face(tray_state("A", updates=True, queue=TrayQueue(waiting=1, owed=0))).menu
    return "\n".join(item.label for item in menu)


def test_every_line_in_a_next_step_stands_beside_a_door_that_the_menu_has() -> None:
    menu = doors()
    for row in table().values():
        for sentence, errand in next_steps(row).items():
            lines = [f"hca-agent {words}" for words in _LINE.findall(sentence)]
            lines = [line for line in lines if (row.id.value, line) not in ADMINISTRATORS_ALONE]
            beside = ["".join(found) for found in _BESIDE.findall(sentence)]
            assert len(lines) == len(beside), f"{sentence}: a line is for administrators, beside a door"
            for line in lines:
                if line in MENU_OF_APPLICATIONS:
                    assert "應用程式選單" in sentence or "applications menu" in sentence
                elif line in OTHER_DOORS:
                    assert OTHER_DOORS[line] in menu
                else:
                    assert row.errand, f"{row.id}: {line} has no errand"
                    assert line.split()[1] == ERRAND_LINES[Errand(row.errand)].split()[1]
                    assert errand in sentence, f"{sentence}: does not name the door {errand}"
                    assert errand in menu


def test_every_errand_has_an_entry_in_the_menu_and_a_button_on_the_self_test_page() -> None:
    from agent.server import pages

    menu, page = doors(), pages.index("/", "token", 1, 2).body.decode()
    for zh, en in ERRAND_WORDS.values():
        assert f"{zh} · {en}" in menu
        assert zh in page and en in page


def test_the_self_test_gives_no_advice_for_a_terminal() -> None:
    for row in table().values():
        assert "hca-agent" not in "".join(row.on_page), row.id


_COMMANDS = "trust|autostart|origins|update|pin|queue|report|selftest|run"
_IN_CODE = re.compile(rf'"[^"\n]*hca-agent (?:{_COMMANDS})\b[^"\n]*"')
_FOR_TERMINALS = ("agent/cli/", "agent/vocabulary.py", "agent/trust/all_users.py")


def test_no_sentence_in_the_code_sends_a_person_to_a_terminal() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for folder in ("agent", "tray", "signing", "hca_card", "pcsc")
        for path in (ROOT / folder).rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(_FOR_TERMINALS)
        for match in _IN_CODE.finditer(path.read_text("utf-8"))
        if not match.group().startswith('"""') and not _BESIDE.search(match.group())
    ]
    assert found == []


def test_pages_name_the_door_first_and_the_line_for_administrators_alone() -> None:
    for folder in ("agent/web", "agent/demo/site"):
        for path in (ROOT / folder).iterdir():
            if path.suffix not in (".js", ".html"):
                continue
            for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
                if text.lstrip().startswith(("//", "*", "/*")):
                    continue
                lines = _LINE.findall(text)
                assert len(lines) == len(_BESIDE.findall(text)), f"{path.name}:{number}: {text.strip()}"
