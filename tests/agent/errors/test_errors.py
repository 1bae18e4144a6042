from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent
import hca_card
import pcsc
import signing
from agent.errors import AgentError, ErrorId, ErrorRow, describe, error_id, facts, row_for, table
from agent.errors.table import JsonRpc, read_table
from hca_card.errors import PinWrongError

# The simulator's faults are a card's, and the command line and __main__ act when imported.
_LEFT_OUT = re.compile(r"agent\.(__main__|cli|demo)|tray")


def _import_all() -> None:
    for package in (pcsc, hca_card, signing, agent):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not _LEFT_OUT.match(module.name):
                importlib.import_module(module.name)


def _all_exceptions() -> set[type[BaseException]]:
    _import_all()
    found: set[type[BaseException]] = set()
    waiting: list[type[BaseException]] = [Exception]
    while waiting:
        for sub in waiting.pop().__subclasses__():
            if sub not in found:
                found.add(sub)
                waiting.append(sub)
    return {
        item for item in found if item.__module__.split(".")[0] in ("pcsc", "hca_card", "signing", "agent")
    }


def test_every_exception_that_carries_an_id_has_a_row() -> None:
    ids = {
        item.__dict__["error_id"]: item
        for item in _all_exceptions()
        if isinstance(item.__dict__.get("error_id"), str)
    }
    assert len(ids) > 30
    missing = {error: where.__name__ for error, where in ids.items() if error not in table()}
    assert not missing


def test_every_id_the_agent_raises_by_name_has_a_row() -> None:
    _import_all()
    import inspect
    import sys

    named = set()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("agent.") and module.__file__:
            named.update(re.findall(r"\bErrorId\.([A-Z_]+)", inspect.getsource(module)))
    assert {"BUSY", "PIN_CANCELLED", "CONSENT_TIMEOUT"} <= named
    assert named <= {each.name for each in table()}


def test_a_member_is_named_like_its_id() -> None:
    for each in ErrorId:
        assert each.name == each.value.upper().replace(".", "_").replace("-", "_"), each


PRODUCT = Path(agent.__file__).parents[1]
# The demo portal has ids of its own; these are other things that bear the same words.
_OTHER_WORDS = {
    "agent/cli/cards.py": {"busy"},
    "agent/native/api.py": {"card.changed"},
    "agent/native/messages.py": {"busy"},
    "agent/native/schema.py": {"card.changed"},
    "agent/operations/messages.py": {"busy"},
    "tray/icon_states.py": {"busy"},
}


def _product_files() -> Iterator[tuple[str, str]]:
    for room in ("agent", "tray"):
        for file in (PRODUCT / room).rglob("*.py"):
            name = file.relative_to(PRODUCT).as_posix()
            if name != "agent/errors/ids.py" and not name.startswith("agent/demo/"):
                yield name, file.read_text("utf-8")


def _texts(node: ast.AST) -> set[str]:
    constants = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return {each for each in constants if isinstance(each, str)}


def test_nothing_of_the_agent_writes_an_id_as_plain_text() -> None:
    ids = set(map(str, ErrorId))
    for name, text in _product_files():
        if any(each in text for each in ids):  # to take a file apart takes long
            assert _texts(ast.parse(text)) & ids <= _OTHER_WORDS.get(name, set()), name


def test_nothing_of_the_agent_compares_an_id_with_a_text() -> None:
    compared = 0
    for name, text in _product_files():
        for node in ast.walk(ast.parse(text)) if "error_id" in text else ():
            if isinstance(node, ast.Compare) and "error_id" in ast.unparse(node):
                compared += 1
                assert not _texts(node), f"{name}:{node.lineno}"
    assert compared > 5


ROW = """
[next.again]
zh = "再試。"
en = "Try again."
"""


def _written(**changes: str) -> str:
    """A table of every id; `changes` are whole entries instead of the usual one."""
    usual = 'zh = "壞了。"\nen = "Broken."\nnext = "again"\nservisign = 5001\nfamily = "card"'
    return ROW + "\n".join(f'["{each}"]\n{changes.get(each.name, usual)}' for each in ErrorId)


def test_a_table_shares_next_steps() -> None:
    row = read_table(_written())[ErrorId.BUSY]
    assert row == ErrorRow(ErrorId.BUSY, "壞了。", "Broken.", "再試。", "Try again.", 5001, JsonRpc.CARD)


@pytest.mark.parametrize(
    "entry",
    [
        'zh = "壞了。"\nen = "Broken."\nnext = "again"\nservisign = 5001',
        'zh = "壞了。"\nen = "Broken."\nservisign = 5001\nfamily = "card"',
        'zh = "壞了。"\nen = "Broken."\nnext = "never"\nservisign = 5001\nfamily = "card"',
        'zh = "壞了。"\nen = "Broken."\nnext = "again"\nservisign = 5001\nfamily = "cards"',
        'zh = "壞了。"\nen = "Broken."\nnext = "again"\nnext_zh = "再試。"\nservisign = 1\nfamily = "card"',
        'zh = "壞了。"\nen = "Broken."\nnext = "again"\nselftest_zh = "測。"\nservisign = 1\nfamily = "card"',
        'zh = "壞了。"\nen = 3\nnext = "again"\nservisign = 5001\nfamily = "card"',
        'zh = "壞了。"\nen = "Broken."\nnext = "again"\nservisign = "5001"\nfamily = "card"',
        'zh = "壞了。"\nen = "Broken."\nde = "Kaputt."\nnext = "again"\nservisign = 5001\nfamily = "card"',
    ],
)
def test_a_table_with_a_wrong_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"sentences\.toml: busy: "):
        read_table(_written(BUSY=entry))


def test_a_table_with_an_id_too_many_or_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match=r"strange\.thing"):
        read_table(_written() + '\n["strange.thing"]\nzh = "怪。"')
    with pytest.raises(ValueError, match="busy"):
        read_table(_written().replace('["busy"]', "[next.other]"))
    with pytest.raises(ValueError):
        read_table(_written() + '\n["busy"]')


def test_a_row_has_both_languages_and_numbers() -> None:
    for row in table().values():
        for chinese in (row.zh, row.next_zh):
            assert re.search(r"[\u4e00-\u9fff]", chinese)
            assert chinese.endswith("。")
        for english in (row.en, row.next_en):
            assert re.match(r"[A-Z]", english)
            assert english.endswith((".", ")"))
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", row.id)
        assert 5001 <= row.servisign <= 9999 or 61001 <= row.servisign <= 61998
        assert -32768 <= row.jsonrpc <= -32000


def test_an_exception_that_nobody_foresaw_is_internal_and_says_nothing_of_itself() -> None:
    told = describe(ValueError("PIN 123456 in /home/somebody"))
    assert told.id == "internal"
    assert "123456" not in repr(told)


def test_an_exception_with_an_id_outside_the_table_is_internal() -> None:
    class StrangeError(Exception):
        error_id = "strange.thing"

    assert error_id(StrangeError()) == "internal"


def test_an_agent_error_needs_a_row() -> None:
    with pytest.raises(ValueError):
        AgentError("no.such.row")  # type: ignore[arg-type]


def test_tries_left_are_part_of_the_sentence_and_of_the_facts() -> None:
    told = describe(PinWrongError(tries_left=2))
    assert told.facts == {"tries_left": 2}
    assert "2" in told.zh
    assert "2 tries are left" in told.en
    assert "1 try is left" in describe(PinWrongError(tries_left=1)).en


def test_what_is_local_stays_out_of_the_facts_for_pages() -> None:
    error = AgentError(ErrorId.CONFIG_INVALID, detail="/home/somebody/config.toml", retry_after=3)
    assert facts(error) == {"retry_after": 3}
    assert "/home/somebody" in str(error)
    assert "/home/somebody" not in repr(describe(error))


def test_wrong_locked_and_short_pins_keep_the_numbers_that_portals_know() -> None:
    from hca_card.errors import PinLengthError, PinLockedError
    from pcsc.errors import NoCardError

    numbers = [
        row_for(error).servisign
        for error in (PinWrongError(), PinLockedError(), PinLengthError(), NoCardError())
    ]
    assert numbers == [9039, 9043, 9041, 9056]
