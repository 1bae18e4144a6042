"""The HiPKI port: what is served to anybody, what to the popup alone, and what to nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, HipkiSettings, LimitSettings
from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller
from agent.selftest.listeners import ListenerKind, look
from agent.server.http import BODY_BYTES_MAX
from agent.vocabulary import Verb
from tests.support.agent import ANY_PORT, DENIED, PORTAL, RunningAgent, running_agent
from tests.support.hipki import FORM, Popup, ask, package
from tests.support.raw_http import Headers, request, send
from tests.support.waiting import LIMIT

SIGN = package(func="MakeSignature", tbs="hello", signatureType="PKCS7", pin="123456")
EVIL = "https://evil.example"
WORK = ("/sign", "/decrypt", "/pkcs11info", "/pkcs11info?withcert=true")
STRANGE = ("null", "", "http://portal.example.tw", "https://portal.example.tw/", f"{PORTAL}, {EVIL}")


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path) as running:
        yield running


def port(agent: RunningAgent) -> int:
    assert agent.daemon.hipki_port is not None
    return agent.daemon.hipki_port


async def raw(agent: RunningAgent, method: str, path: str, headers: Headers = (), body: bytes = b""):
    own = [("Host", f"localhost:{port(agent)}"), ("Content-Length", str(len(body)))]
    return await send(port(agent), request(method, path, [*own, *headers], body))


async def test_the_popup_may_reach_its_opener_and_nothing_else(agent: RunningAgent) -> None:
    answer = await raw(agent, "GET", "/popupForm")
    assert answer.status == 200
    assert answer.headers["cross-origin-opener-policy"] == "unsafe-none"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in answer.body and b"style=" not in answer.body and b"onclick" not in answer.body
    assert "https://euservice.mohw.gov.tw" in answer.body.decode()
    assert (await raw(agent, "GET", "/ChtPopupForm")).headers == answer.headers
    assert (await raw(agent, "GET", "/popup.js")).headers["cross-origin-opener-policy"] == "same-origin"


async def test_every_popup_has_a_ticket_for_one_request(agent: RunningAgent) -> None:
    popup, other = await Popup.open(agent), await Popup.open(agent)
    assert popup.ticket != other.ticket
    assert (await popup.post("/sign", SIGN))[0] == 200
    assert (await popup.post("/sign", SIGN))[0] == 403
    assert (await other.post("/sign", SIGN))[0] == 200


@pytest.mark.parametrize(("destination", "where"), [("image", "cross-site"), ("iframe", "same-site")])
async def test_a_page_that_embeds_the_popup_gets_no_ticket_and_makes_nobody_elses_worthless(
    agent: RunningAgent, destination: str, where: str
) -> None:
    popup = await Popup.open(agent)
    flood = [("Sec-Fetch-Dest", destination), ("Sec-Fetch-Site", where)]
    for _ in range(257):
        answer = await raw(agent, "GET", "/popupForm", flood)
        assert (answer.status, answer.body) == (403, b"")
    assert (await popup.post("/sign", SIGN))[0] == 200
    window = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "cross-site")]
    assert (await raw(agent, "GET", "/popupForm", window)).status == 200


async def test_nothing_is_done_without_a_ticket_or_for_a_page_of_another_site(agent: RunningAgent) -> None:
    wrong: tuple[dict[str, str | None], ...] = (
        {"X_HCA_Ticket": None},
        {"X_HCA_Ticket": "x" * 32},
        {"Origin": EVIL},
        {"Origin": PORTAL},
        {"Origin": "null"},
        {"Origin": None},
    )
    for headers, path in product(wrong, WORK):
        popup = await Popup.open(agent)
        assert await popup.post(path, SIGN, **headers) == (403, b""), (headers, path)
    assert agent.interaction.questions == []
    assert agent.daemon.operations.activity.cards == ()


async def test_a_form_that_another_site_posts_is_refused_before_its_body_is_read(agent: RunningAgent) -> None:
    head = [("Origin", EVIL), ("Content-Type", FORM)]
    answer = await send(
        port(agent),
        request("POST", "/sign", [("Host", f"localhost:{port(agent)}"), ("Content-Length", "999999"), *head]),
    )
    assert (answer.status, answer.body) == (403, b"")
    assert "access-control-allow-origin" not in answer.headers


async def test_an_address_that_a_page_can_load_tells_nothing(agent: RunningAgent) -> None:
    for path in WORK:
        assert (await raw(agent, "GET", path)).status == 403
        popup = await Popup.open(agent)
        headers = [("Origin", popup.base), ("X-HCA-Ticket", popup.ticket), ("X-HCA-Portal", PORTAL)]
        assert (await raw(agent, "GET", path, headers)).status == 403


def spelled(bitmap: bytes) -> dict[str, Any]:
    """What pages read off the pixels, a character for each octet until a zero."""
    return dict(json.loads(bitmap[54 : bitmap.index(b"\0", 54)].decode("latin-1")))


async def test_a_page_reads_card_and_version_off_an_image_that_only_an_allowed_origin_gets(
    agent: RunningAgent,
) -> None:
    answer = await raw(agent, "GET", "/p11Image.bmp", [("Origin", PORTAL)])
    assert (answer.status, answer.headers["content-type"]) == (200, "image/bmp")
    assert answer.headers["access-control-allow-origin"] == PORTAL
    told = spelled(answer.body)
    assert (told["ret_code"], told["cardSN"]) == (0, "000000335361")
    assert (told["serverVersion"], told["slots"][0]["token"]["serialNumber"]) == (
        "1.3.4.103349",
        told["cardSN"],
    )
    assert "certs" not in told["slots"][0]["token"]


async def test_nobody_else_gets_the_image_whoever_embeds_it(agent: RunningAgent) -> None:
    agent.interaction._consents = {}
    before = agent.daemon.operations.activity.cards
    popup = await Popup.open(agent)
    for origin in (None, DENIED, EVIL, popup.base, *STRANGE):
        answer = await raw(agent, "GET", "/p11Image.bmp", [] if origin is None else [("Origin", origin)])
        assert (answer.status, answer.body) == (403, b""), origin
        assert "access-control-allow-origin" not in answer.headers
    assert agent.daemon.operations.activity.cards == before


async def test_the_version_is_told_to_anybody_and_nothing_else(agent: RunningAgent) -> None:
    for headers in ([], [("Origin", EVIL)]):
        answer = await raw(agent, "GET", "/", headers)
        assert (answer.status, answer.body) == (200, b"version:1.3.4.103349")
        assert "access-control-allow-origin" not in answer.headers


async def test_a_site_that_asks_to_be_added_is_not_and_the_person_reads_how_to_allow_it(
    agent: RunningAgent,
) -> None:
    answer = await raw(agent, "GET", f"/addDomain?domain={EVIL}")
    assert answer.status == 200
    assert "沒有加入任何網站" in answer.body.decode() and "允許的網站" in answer.body.decode()
    assert "script" not in answer.headers["content-security-policy"]
    assert EVIL not in answer.body.decode()
    assert not agent.daemon.operations.allowed(Caller(EVIL), Verb.READ)


async def test_a_refusal_that_a_window_shows_is_a_sentence(agent: RunningAgent) -> None:
    window = [("Origin", EVIL), ("Content-Type", FORM), ("Sec-Fetch-Mode", "navigate")]
    for method, path, status, words in (
        ("POST", "/sign", 403, "不被允許"),
        ("GET", "/nothing", 404, "沒有這個功能"),
    ):
        answer = await raw(agent, method, path, window)
        assert (answer.status, words in answer.body.decode()) == (status, True)
        assert answer.headers["content-type"].startswith("text/html")
    own = [
        ("Host", f"localhost:{agent.daemon.native_port}"),
        ("Origin", DENIED),
        ("Sec-Fetch-Mode", "navigate"),
    ]
    assert agent.daemon.native_port is not None
    answer = await send(agent.daemon.native_port, request("GET", "/schema.json", own))
    assert (answer.status, "不被允許" in answer.body.decode()) == (403, True)


async def test_a_program_of_this_person_needs_its_token_and_no_popup(agent: RunningAgent) -> None:
    token = list(agent.bearer.items())
    for headers, status in (([], 403), ([("Authorization", "Bearer x")], 403), (token, 200)):
        answer = await raw(agent, "GET", "/pkcs11info?withcert=true", headers)
        assert answer.status == status
    assert len(json.loads(answer.body)["slots"][0]["token"]["certs"]) == 5
    answer = await raw(agent, "POST", "/sign", [*token, ("Content-Type", FORM)], SIGN)
    assert json.loads(answer.body)["ret_code"] == 0
    assert (await raw(agent, "GET", "/sign", token)).status == 404
    assert (await raw(agent, "GET", "/p11Image.bmp", token)).status == 403


async def test_another_host_name_is_refused(agent: RunningAgent) -> None:
    headers = [("Host", f"rebound.example:{port(agent)}")]
    answer = await send(port(agent), request("GET", "/popupForm", headers))
    assert answer.status == 403


async def test_the_self_test_address_leads_to_our_own_page(agent: RunningAgent) -> None:
    async with agent.http.get(f"http://localhost:{port(agent)}/selfTest.htm") as response:
        assert (response.status, response.url.port) == (200, agent.daemon.native_port)
        assert "環境檢測 Self-test" in await response.text()


async def test_the_self_test_knows_the_port_for_ours(agent: RunningAgent) -> None:
    assert (await asyncio.to_thread(look, port(agent), tls=False)).answer is ListenerKind.OURS


async def test_our_own_pages_know_the_ports_that_are_theirs(agent: RunningAgent) -> None:
    for base in (agent.clear, agent.tls):
        async with agent.http.get(base) as response:
            page = await response.text()
        assert f'content="{agent.daemon.native_port},{agent.daemon.tls_port}"' in page


async def test_a_portal_that_may_not_is_told_so_in_its_own_numbers(agent: RunningAgent) -> None:
    for portal in (DENIED, *STRANGE):
        for path, func in (("/sign", "sign"), ("/decrypt", "decrypt"), ("/pkcs11info", "pkcs11info")):
            answer = await ask(agent, path, portal=portal, func="")
            assert (answer["func"], answer["ret_code"]) == (func, 0x76000031), portal
    assert agent.daemon.operations.activity.cards == ()


async def test_the_person_is_told_once_that_a_portal_was_turned_away(agent: RunningAgent) -> None:
    before = len(agent.interaction.notices)
    for _ in range(2):
        await ask(agent, "/sign", portal=DENIED)
    told = agent.interaction.notices[before:]
    assert len([zh for zh, _ in told if DENIED in zh]) == 1


async def test_our_own_address_is_no_portal(agent: RunningAgent) -> None:
    own = f"http://localhost:{port(agent)}"
    assert (await ask(agent, "/sign", portal=own, tbs="x"))["ret_code"] == 0x76000031


async def test_too_much_and_too_often_are_answered_so_that_the_page_hears_of_it(tmp_path: Path) -> None:
    config = replace(ANY_PORT, limits=LimitSettings(requests=1, burst=2))
    async with running_agent(tmp_path, config=config) as agent:
        popup = await Popup.open(agent)
        status, body = await popup.post("/sign", b"tbsPackage=" + b"x" * BODY_BYTES_MAX)
        assert (status, json.loads(body)["ret_code"]) == (413, 0x7600000A)
        last = 0, b""
        for _ in range(6):
            popup = await Popup.open(agent)
            last = await popup.post("/sign", package(func="x"))
        assert (last[0], json.loads(last[1])["ret_code"]) == (429, 0x7600000D)


class Waiting(ScriptedInteraction):
    """A person who is still looking for the PIN."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return None


async def test_a_popup_that_is_closed_takes_its_question_back(tmp_path: Path) -> None:
    person = Waiting()
    async with running_agent(tmp_path, interaction=person) as agent:
        popup = await Popup.open(agent)
        asking = asyncio.create_task(popup.post("/sign", package(func="MakeSignature", tbs="x")))
        await asyncio.wait_for(person.asked.wait(), LIMIT)
        asking.cancel()
        await asyncio.wait_for(person.left.wait(), LIMIT)


async def test_a_port_that_another_program_holds_is_left_to_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        config = replace(ANY_PORT, hipki=HipkiSettings(port=holder.getsockname()[1]))
        async with running_agent(tmp_path, config=config) as agent:
            assert agent.daemon.hipki_port is None
            assert agent.daemon.conflicts == ()
            async with agent.http.get(f"{agent.clear}/status") as response:
                assert response.status == 200


async def test_switched_off_it_listens_nowhere(tmp_path: Path) -> None:
    config = replace(ANY_PORT, hipki=HipkiSettings(enabled=False, port=0))
    async with running_agent(tmp_path, config=config) as agent:
        assert agent.daemon.hipki_port is None


def test_it_is_on_at_the_port_that_pages_know() -> None:
    assert (Config().hipki.enabled, Config().hipki.port) == (True, 61161)
