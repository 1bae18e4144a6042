"""Signing sessions through the native API: the states of the *Komfortsignatur*, and who tries to get in."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_der_x509_certificate

from agent.audit import AuditLog
from agent.config import Config, OriginSettings, SessionSettings
from agent.interaction import PinQuestion
from agent.operations import signing_sessions
from agent.vocabulary import SESSION_END_WORDS, SessionEnd, Verb
from signing.hashes import Hash
from signing.verify import verify
from tests.support.agent import ANY_PORT, DENIED, PORTAL, Page, RunningAgent, running_agent
from tests.support.desktop import session_bus
from tests.support.operations import until

OTHER = "https://other.example.tw"
CONFIG = dataclasses.replace(
    ANY_PORT,
    origins=OriginSettings(
        allow=frozenset((PORTAL, OTHER)), deny=frozenset((DENIED,)), digest=frozenset((PORTAL, OTHER))
    ),
)


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


RECORD = b64("病歷".encode())


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path, config=CONFIG) as running:
        yield running


def pins_asked(agent: RunningAgent) -> list[PinQuestion]:
    return [each for each in agent.interaction.questions if isinstance(each, PinQuestion)]


async def ended(page: Page) -> tuple[str, str]:
    """The session and the reason of the next `session.ended`; every other notification is passed over."""
    while (told := await page.notification())["method"] != "session.ended":
        pass
    params = told["params"]
    assert (params["zh"], params["en"]) == SESSION_END_WORDS[SessionEnd(params["reason"])]
    return params["session"], params["reason"]


async def refused(page: Page, method: str, **params: Any) -> str:
    """The id of the error."""
    return str((await page.failing(method, **params))["data"]["id"])


async def test_a_page_opens_a_session_and_uses_it_until_the_count_runs_out(agent: RunningAgent) -> None:
    async with agent.page() as page:
        opened = await page.call("session.open", signatures=3, minutes=10)
        assert opened["left"] == 3 and 590 <= opened["secondsLeft"] <= 600
        assert len(base64.urlsafe_b64decode(opened["session"] + "==")) * 8 >= 128
        load_der_x509_certificate(base64.b64decode(opened["certificate"]))
        session = opened["session"]
        signed = await page.call("session.sign", session=session, document=RECORD)
        assert (signed["left"], signed["format"]) == (2, "pkcs1")
        verify(
            base64.b64decode(signed["certificate"]),
            base64.b64decode(RECORD),
            base64.b64decode(signed["signature"]),
            Hash.SHA_256,
        )
        status = await page.call("session.status", session=session)
        assert status["left"] == 2 and 0 < status["secondsLeft"] <= opened["secondsLeft"]
        for left in (1, 0):
            assert (await page.call("session.sign", session=session, document=RECORD))["left"] == left
        assert await ended(page) == (session, "used-up")
        for method in ("session.status", "session.close"):
            assert await refused(page, method, session=session) == "signing_session.ended"
        assert (
            await refused(page, "session.sign", session=session, document=RECORD) == "signing_session.ended"
        )
    [asked] = pins_asked(agent)
    assert asked.verb is Verb.SESSION
    assert asked.terms is not None
    assert (asked.terms.most, asked.terms.seconds, asked.terms.items) == (3, 600, ())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("pkcs1", {"hash": "SHA-512"}),
        ("cms", {"detached": True}),
        ("cades", {"hash": "SHA-384"}),
        ("xades", {"name": "病歷.xml"}),
        ("jws", {}),
    ],
)
async def test_a_session_signs_in_every_format_that_sign_does(
    agent: RunningAgent, form: str, more: dict[str, Any]
) -> None:
    document = b64(b"<record/>")
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        signed = await page.call("session.sign", session=session, document=document, format=form, **more)
        assert (signed["format"], signed["left"]) == (form, 249)
        if form not in ("pkcs1", "jws"):
            detached = {"signature": signed["signature"]} if form in ("cms", "cades", "xades") else {}
            found = await page.call("verify", document=document, **detached)
            assert found["valid"], found
    assert len(pins_asked(agent)) == 1


async def test_the_time_runs_out(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open", minutes=1))["session"]
        grown, wall = signing_sessions.sessions_clock()
        monkeypatch.setattr(signing_sessions, "sessions_clock", lambda: (grown + 61, wall))
        assert (await page.call("session.status", session=session))["secondsLeft"] == 0
        assert (
            await refused(page, "session.sign", session=session, document=RECORD) == "signing_session.ended"
        )
        assert await ended(page) == (session, "time")


async def test_a_card_that_is_pulled_ends_the_session(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        agent.readers[0].remove()
        assert await ended(page) == (session, "card")


async def test_the_person_stops_it_in_the_tray(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        [known] = agent.daemon.operations.sessions.open
        agent.daemon.operations.sessions.stop("another")
        agent.daemon.operations.sessions.stop(known.number)
        assert await ended(page) == (session, "stopped")


async def test_the_persons_own_program_lists_sessions_without_what_uses_them_and_stops_one(
    agent: RunningAgent,
) -> None:
    async with agent.page() as page, agent.page(None) as program:
        session = (await page.call("session.open", signatures=7))["session"]
        answer = await program.call("session.list")
        [known] = answer["sessions"]
        assert (known["origin"], known["left"]) == (PORTAL, 7)
        assert session not in str(answer)
        await program.call("session.stop", number="another")
        assert (await page.call("session.status", session=session))["left"] == 7
        await program.call("session.stop", number=known["number"])
        assert await ended(page) == (session, "stopped")


async def test_the_page_closes_it(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        assert agent.daemon.operations.busy, "no update restarts the agent in the middle of it"
        assert await page.call("session.close", session=session) == {}
        assert await ended(page) == (session, "closed")


@pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is asked on Linux only")
async def test_a_locked_screen_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with session_bus(dict(os.environ)) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        locked = ["/org/gnome/ScreenSaver", "org.gnome.ScreenSaver.ActiveChanged", "boolean:true"]
        async with running_agent(tmp_path, config=CONFIG) as agent, agent.page() as page:
            session = (await page.call("session.open"))["session"]
            [known] = agent.daemon.operations.sessions.open
            while known.ended is None:  # until somebody listens
                telling = await asyncio.create_subprocess_exec(
                    "dbus-send", f"--bus={bus}", "--type=signal", *locked
                )
                assert await telling.wait() == 0
            assert await ended(page) == (session, "locked")


async def test_a_second_workplace_is_refused_while_the_first_is_there(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        async with agent.page() as second:
            for method, more in (
                ("session.status", {}),
                ("session.sign", {"document": RECORD}),
                ("session.close", {}),
            ):
                assert await refused(second, method, session=session, **more) == "signing_session.elsewhere"
        assert (await page.call("session.sign", session=session, document=RECORD))["left"] == 249


async def test_a_page_that_is_loaded_again_goes_on_and_one_that_stays_away_ends_it(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open", signatures=2))["session"]
    [known] = agent.daemon.operations.sessions.open
    await until(lambda: known.holder is None, "the page is still there")
    async with agent.page() as page:
        assert (await page.call("session.sign", session=session, document=RECORD))["left"] == 1
        monkeypatch.setattr(signing_sessions, "_GRACE_SECONDS", 0.05)
    await until(lambda: known.ended is SessionEnd.GONE, "it goes on without its page")
    async with agent.page() as page:
        assert await refused(page, "session.status", session=session) == "signing_session.ended"


@pytest.mark.parametrize("settings", [SessionSettings(enabled=False), SessionSettings(signatures=2)])
async def test_the_administrator_ends_it_or_allows_none(
    agent: RunningAgent, settings: SessionSettings
) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open", signatures=3))["session"]
        agent.daemon.operations.sessions.apply(settings)
        assert await ended(page) == (session, "policy")
        expected = "signing_session.limit" if settings.enabled else "signing_session.disabled"
        assert await refused(page, "session.open", signatures=3) == expected
        assert len(pins_asked(agent)) == 1


async def test_an_agent_that_stops_tells_its_pages(tmp_path: Path) -> None:
    async with running_agent(tmp_path, config=CONFIG) as agent:
        page = Page(await agent.http.ws_connect(f"{agent.clear}/v1", headers={"Origin": PORTAL}))
        session = (await page.call("session.open"))["session"]
        stopping = asyncio.create_task(agent.daemon.stop())
        assert await ended(page) == (session, "agent")
        await page.socket.close()
        await stopping


async def test_many_signatures_under_way_at_once_are_made_one_after_another(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open", signatures=6))["session"]
        asked = [
            await page.send("session.sign", session=session, document=b64(bytes([number])))
            for number in range(6)
        ]
        answers = [await page.answer(each) for each in asked]
        assert sorted(answer["result"]["left"] for answer in answers)[0] == 0
        assert await ended(page) == (session, "used-up")


# Whoever is not the page that opened it


async def test_an_id_of_another_origin_is_as_unknown_as_one_that_never_was(agent: RunningAgent) -> None:
    async with agent.page() as page, agent.page(OTHER) as other, agent.page(None) as program:
        session = (await page.call("session.open"))["session"]
        for stranger in (other, program):
            answers = [
                await stranger.failing(method, session=shown, **more)
                for shown in (session, "A" * len(session), "x", session[:-1], f"{session}=", "連續")
                for method, more in (
                    ("session.status", {}),
                    ("session.sign", {"document": RECORD}),
                    ("session.close", {}),
                )
            ]
            assert {answer["data"]["id"] for answer in answers} == {"signing_session.unknown"}
            assert len({str(answer) for answer in answers}) == 1
        assert (await page.call("session.status", session=session))["left"] == 250
        await page.call("session.close", session=session)
        await ended(page)
        # What was somebody else's stays unknown when it is over.
        assert await refused(other, "session.status", session=session) == "signing_session.unknown"
        assert await refused(page, "session.status", session=session) == "signing_session.ended"


async def test_no_page_lists_or_stops_sessions_and_nobody_else_hears_of_one(agent: RunningAgent) -> None:
    async with agent.page() as page, agent.page(OTHER) as other, agent.page() as same_origin:
        session = (await page.call("session.open"))["session"]
        await page.call("session.close", session=session)
        await ended(page)
        for stranger in (other, same_origin):
            known = (await stranger.call("agent.hello"))["capabilities"]
            assert not {"session.list", "session.stop"} & set(known)
            assert await refused(stranger, "session.list") == "origin.refused"
            assert await refused(stranger, "session.stop", number="1") == "origin.refused"
            assert [each for each in stranger.notifications if each["method"] == "session.ended"] == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"digest": b64(bytes(32))}, "request.unknown_member"),
        ({"document": RECORD, "digest": b64(bytes(32))}, "request.unknown_member"),
        ({}, "request.parameters"),
        ({"document": RECORD, "key": "encryption"}, "request.unknown_member"),
        ({"document": RECORD, "reader": "Virtual Reader 0"}, "request.unknown_member"),
        ({"document": RECORD, "nonce": RECORD}, "request.unknown_member"),
        ({"document": RECORD, "hash": "SHA-1"}, "hash.unsupported"),
        ({"document": RECORD, "format": "pkcs1", "reason": "x"}, "request.parameters"),
        ({"document": RECORD, "format": "jws", "level": "B-T"}, "request.parameters"),
        ({"document": b64(bytes(64))}, "document.refused"),
        ({"document": b64(bytes(96)), "format": "cms"}, "document.refused"),
    ],
)
async def test_what_a_session_does_not_sign_costs_no_signature_and_does_not_end_it(
    agent: RunningAgent, params: dict[str, Any], expected: str
) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open", signatures=1))["session"]
        assert await refused(page, "session.sign", session=session, **params) == expected
        assert (await page.call("session.status", session=session))["left"] == 1


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"signatures": 0}, "request.parameters"),
        ({"signatures": 251}, "request.parameters"),
        ({"minutes": 1441}, "request.parameters"),
        ({"signatures": 1.5}, "request.parameters"),
        ({"origin": OTHER}, "request.unknown_member"),
        ({"purpose": "您的銀行"}, "request.unknown_member"),
        ({"pin": "123456"}, "request.unknown_member"),
        ({"cardKind": ["nhi"]}, "card.wrong_kind"),
    ],
)
async def test_what_cannot_be_agreed_to_is_not_asked(
    agent: RunningAgent, params: dict[str, Any], expected: str
) -> None:
    async with agent.page() as page:
        assert await refused(page, "session.open", **params) == expected
    assert pins_asked(agent) == []


async def test_a_log_in_beside_a_session_asks_for_its_own_pin(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.call("session.open")
        await page.call("authenticate", nonce=b64(bytes(range(32))))
        await page.call("sign", document=RECORD)
    assert [asked.verb for asked in pins_asked(agent)] == [Verb.SESSION, Verb.LOGIN, Verb.SIGN]


async def test_a_page_that_leaves_while_the_person_is_asked_leaves_no_session(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def ask(_question: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(agent.interaction, "ask", ask)
    async with agent.page() as page:
        await page.send("session.open")
        await asked.wait()
    await until(lambda: not agent.daemon.operations.busy, "the question goes on")
    assert agent.daemon.operations.sessions.open == ()


async def test_ids_and_pins_are_in_no_file(agent: RunningAgent) -> None:
    async with agent.page() as page:
        session = (await page.call("session.open"))["session"]
        await page.call("session.sign", session=session, document=RECORD)
        await page.call("session.close", session=session)
        await ended(page)
    rows = AuditLog(agent.paths.audit, Config().audit).read(10)
    assert [(row.verb, row.result) for row in rows] == [
        (Verb.SESSION, "ok"),
        (Verb.SIGN, "ok"),
        (Verb.SESSION, "ended.closed"),
    ]
    assert len({row.session for row in rows}) == 1 and rows[0].session
    for path in agent.paths.home.rglob("*"):
        if path.is_file():
            assert session.encode() not in path.read_bytes() and b"123456" not in path.read_bytes(), path
