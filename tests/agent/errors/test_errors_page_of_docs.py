"""docs/errors.md has every error that a page can meet, as the tables have it."""

from __future__ import annotations

from agent.errors import ErrorId
from tests.support.error_page import PAGE, page


def test_the_list_for_portal_developers_is_that_of_the_tables() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.support.error_page writes it anew"


def test_it_has_what_agent_js_says_itself_and_what_people_and_cards_give() -> None:
    told = page()
    for each in ("agent.blocked", "agent.disconnected", *ErrorId):
        family = each.partition(".")[0]
        if family in ("agent", "busy", "card", "consent", "pin", "puk", "reader", "origin"):
            assert f"\n| `{each}` |" in told, each
    assert told.count("\n| `agent.") == 5
