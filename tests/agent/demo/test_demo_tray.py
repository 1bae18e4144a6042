"""The card tray of the demo's pages, and the pictures of its captcha."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agent.demo import captcha
from agent.demo.errors import PortalError
from agent.demo.login_forms import TrustedIssuers
from agent.demo.portal import DemoPortal
from agent.demo.simulated_cards import CHOICES, CardTray, create
from hca_card.simulator import KINDS, SimulatedCard
from pcsc.virtual import VirtualWinscard
from tests.support.cards import simulator_ca

ORIGIN = "http://localhost:8480"
ONE, OTHER = "Reader 1", "Reader 2"


@dataclass
class Desk:
    readers: dict[str, Any]
    cards: dict[str, SimulatedCard]
    tray: CardTray


@pytest.fixture
def desk() -> Desk:
    winscard = VirtualWinscard()
    readers = {name: winscard.add_reader(name) for name in (ONE, OTHER)}
    cards = {ONE: create("nhi", simulator_ca())}
    readers[ONE].insert(cards[ONE])
    return Desk(readers, cards, CardTray(readers, cards, simulator_ca()))


def kinds(desk: Desk) -> list[str]:
    told: Any = desk.tray.to_json()["readers"]
    shown = [reader["kind"] for reader in told]
    held = [reader.card.kind if reader.card else "" for reader in desk.readers.values()]
    assert shown == held == [desk.cards[name].kind if name in desk.cards else "" for name in desk.readers]
    return shown


def test_a_card_is_changed_taken_out_and_put_back_the_same(desk: Desk) -> None:
    first = desk.readers[ONE].card
    desk.tray.put(ONE, "nhi-newcomer")
    assert kinds(desk) == ["nhi-newcomer", ""]
    desk.tray.put(ONE, "")
    assert kinds(desk) == ["", ""]
    desk.tray.put(ONE, "nhi")
    assert desk.readers[ONE].card is first


def test_there_is_one_card_of_each_kind_so_it_moves(desk: Desk) -> None:
    card = desk.readers[ONE].card
    desk.tray.put(OTHER, "nhi")
    assert kinds(desk) == ["", "nhi"]
    assert desk.readers[OTHER].card is card


def test_fresh_cards_are_new_and_where_they_were_at_first(desk: Desk) -> None:
    card = desk.readers[ONE].card
    desk.tray.put(OTHER, "nhi")
    desk.tray.renew()
    assert kinds(desk) == ["nhi", ""]
    assert desk.readers[ONE].card is not card


@pytest.mark.parametrize(
    ("reader", "kind"),
    [("Reader 3", "nhi"), (ONE, "root"), (ONE, "../hpc"), (ONE, None), (None, "nhi"), ([], "nhi"), (ONE, {})],
)
def test_what_is_no_reader_or_no_card_changes_nothing(desk: Desk, reader: object, kind: object) -> None:
    with pytest.raises(PortalError):
        desk.tray.put(reader, kind)
    assert kinds(desk) == ["nhi", ""]


def test_the_choices_are_cards_that_there_are() -> None:
    own = {"hpc-nurse", "hpc-newcomer", "nhi-newcomer"}
    assert set(CHOICES) - own <= set(KINDS)
    assert own.isdisjoint(KINDS) and own <= set(CHOICES)


@pytest.fixture
async def visitor(desk: Desk) -> AsyncIterator[TestClient[Any, Any]]:
    client = TestClient(TestServer(DemoPortal(ORIGIN, TrustedIssuers(()), tray=desk.tray).application()))
    await client.start_server()
    yield client
    await client.close()


async def change(visitor: TestClient[Any, Any], body: object, **headers: str) -> int:
    csrf = (await (await visitor.get("/api/session")).json())["csrf"]
    given = {"Origin": ORIGIN, "X-CSRF-Token": csrf} | headers
    return (await visitor.post("/api/tray", json=body, headers=given)).status


async def test_the_portals_own_page_changes_a_card_and_no_other(
    visitor: TestClient[Any, Any], desk: Desk
) -> None:
    body = {"reader": OTHER, "kind": "nhi"}
    assert await change(visitor, body, Origin="https://stranger.example") == 403
    assert await change(visitor, body, **{"X-CSRF-Token": "wrong"}) == 403
    assert await change(visitor, {"reader": OTHER, "kind": "root"}) == 400
    assert kinds(desk) == ["nhi", ""]
    assert await change(visitor, body) == 200
    assert kinds(desk) == ["", "nhi"]
    assert await change(visitor, {"renew": True}) == 200
    assert kinds(desk) == ["nhi", ""]


async def test_without_simulated_readers_there_is_no_tray() -> None:
    client: TestClient[Any, Any] = TestClient(
        TestServer(DemoPortal(ORIGIN, TrustedIssuers(())).application())
    )
    await client.start_server()
    assert (await (await client.get("/api/session")).json())["tray"] is None
    assert await change(client, {"renew": True}) == 404
    await client.close()


async def test_a_captcha_belongs_to_a_session_and_is_a_picture_without_its_answer(
    visitor: TestClient[Any, Any],
) -> None:
    assert (await visitor.get("/api/captcha.svg")).status == 401
    await visitor.get("/api/session")
    answer = await visitor.get("/api/captcha.svg")
    picture = await answer.text()
    assert answer.content_type == "image/svg+xml"
    assert "<text" not in picture and "script" not in picture


async def test_words_for_a_number_are_those_of_the_table(visitor: TestClient[Any, Any]) -> None:
    assert "PIN 碼錯誤" in (await (await visitor.get("/api/words/9039")).json())["zh"]
    for number in ("1", "x", "99999999", "٣"):
        assert (await visitor.get(f"/api/words/{number}")).status == 404


def test_pictures_of_the_same_digits_differ_and_have_one_shape_for_each() -> None:
    pictures = {captcha.picture("01234") for _ in range(5)}
    assert len(pictures) == 5
    assert all(len(re.findall(r"<path[^>]*transform", picture)) == 5 for picture in pictures)


def test_digits_are_five_and_seldom_the_same() -> None:
    drawn = {captcha.digits() for _ in range(50)}
    assert len(drawn) > 40
    assert all(re.fullmatch(r"\d{5}", each) for each in drawn)


def test_the_question_in_words_says_its_sum_in_both_languages() -> None:
    for _ in range(30):
        zh, en, answer = captcha.in_words()
        one, other = re.findall(r"is (\w+) plus (\w+)\?", en)[0]
        assert str(captcha.NUMBERS_EN.index(one) + captcha.NUMBERS_EN.index(other)) == answer
        assert re.fullmatch(r"[一二三四五六七八九]加[一二三四五六七八九]等於多少？請用數字回答。", zh)
