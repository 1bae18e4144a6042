"""Each of the 113 functions stands in one of the tables, and what holds for all of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agent.dialects.servisign import FUNCTIONS
from tests.support.servisign_page import Text

TABLES = [
    importlib.import_module(f"test_servisign_methods_{name}").TABLE
    for name in ("card", "keys", "certificates", "outside", "nhi")
]

WORD = "hostile7f3a"
HOSTILE = (
    WORD, f"/etc/{WORD}", f"../../{WORD}", f"\\\\{WORD}.example\\share", f"file:///{WORD}",
    f"http://{WORD}.example/", f"; touch {WORD}", f"$(touch {WORD})",
)  # fmt: skip
WATCHED = ("open", "import", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pathlib.", "tempfile.")


@pytest.fixture(scope="module")
def reached() -> Iterator[list[str]]:
    """What of the system was asked with the hostile word: Python's own audit events."""
    seen: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.startswith(WATCHED) and WORD in repr(arguments):
            seen.append(f"{event} {arguments!r}")

    sys.addaudithook(hook)
    yield seen
    watching.clear()


def test_every_function_is_tried_by_wire_with_good_and_with_bad_arguments():
    for called in ("rightly", "wrongly"):
        names = [name for table in TABLES for name in getattr(table, called)]
        assert len(names) == len(set(names)) == 113
        assert set(names) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_a_session_that_is_not_the_pages_own_it_does_nothing(shop, name):
    nhi = not name.startswith("ATL_")
    shop.nhi = nhi
    stranger = shop.place.page(origin="https://other.example.tw", nhi=nhi)
    stranger.session_id = shop.page.session_id
    assert stranger.call(name) == "61012"


@pytest.mark.parametrize("name", [name for name, method in FUNCTIONS.items() if method.numbers])
def test_a_number_that_is_none_is_a_bad_parameter(shop, name):
    for number in FUNCTIONS[name].numbers:
        for wrong in ("1.5", "abc", True, {}, "9" * 40):
            assert shop.page.call(name, **{number: wrong}) == "61005"


@pytest.mark.parametrize("name", [name for name, method in FUNCTIONS.items() if method.texts])
def test_no_word_of_a_page_names_a_file_a_program_or_an_address(shop, reached, name):
    shop.nhi = not name.startswith("ATL_")
    method, handles = FUNCTIONS[name], {}
    if shop.nhi:
        shop.port()
    else:
        handles = shop.session
    for word in HOSTILE:
        numbers = {number: handles.get(number, 0) for number in method.numbers}
        shop.page.call(name, **dict.fromkeys(method.texts, Text(word)), **numbers)
    assert reached == []


def test_such_a_word_would_be_seen(reached, tmp_path):
    (tmp_path / WORD).write_text("")
    assert reached
    reached.clear()
