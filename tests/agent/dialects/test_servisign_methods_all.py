"""Each of the 113 functions stands in one of the tables, and what holds for all of them."""

from __future__ import annotations

import importlib

import pytest

from agent.dialects.servisign import FUNCTIONS

TABLES = [
    importlib.import_module(f"test_servisign_methods_{name}").TABLE
    for name in ("card", "keys", "certificates", "outside", "nhi")
]


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
