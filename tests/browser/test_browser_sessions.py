"""Signing sessions as a portal's page has them, in a real Chromium: the states of the *Komfortsignatur*."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page

from agent.operations import signing_sessions
from agent.vocabulary import SESSION_END_WORDS, SessionEnd, Verb
from signing.hashes import Hash
from signing.verify import verify
from tests.support.desk import Desk, SetDesk
from tests.support.waiting import until_async

CONNECT: Final = """async ([tls, plain]) => {
  const { HcaAgent } = await import("/static/agent.js");
  window.agent = new HcaAgent({ tlsPorts: [tls], plainPort: plain });
  window.ended = [];
  agent.addEventListener("session.ended", ({ detail }) => ended.push(detail));
  await agent.connect();
}"""
CALL: Final = """async ([method, params]) => {
  try { return await agent[method](params); } catch (error) { return { refused: error.id, zh: error.zh }; }
}"""
OPEN: Final = """async (params) => {
  const opened = await agent.sessionOpen(params);
  sessionStorage.setItem("session", opened.session);
  return opened;
}"""
SIGN_ALL: Final = """async ([session, count]) => {
  const documents = [...Array(count).keys()].map((number) => new TextEncoder().encode(`病歷 ${number}`));
  return Promise.all(documents.map((document) => agent.sessionSign({ session, document })));
}"""


async def connected(desk: Desk, page: Page) -> Page:
    """The page with a connection of its own."""
    await page.goto(f"{desk.stage.origin}/euservice")
    daemon = desk.stage.daemon
    await page.evaluate(CONNECT, [daemon.tls_port, daemon.native_port])
    return page


async def call(page: Page, method: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await page.evaluate(CALL, [method, params])
    return answer


async def opened(page: Page, **params: Any) -> str:
    return str((await page.evaluate(OPEN, params))["session"])


async def reason(page: Page) -> str:
    """Why the session ended that ended last."""
    await page.wait_for_function("() => window.ended.length > 0")
    told = await page.evaluate("() => window.ended.shift()")
    assert told["zh"] == SESSION_END_WORDS[SessionEnd(told["reason"])][0]
    return str(told["reason"])


async def test_every_state_of_a_session_in_a_browser(
    set_desk: SetDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with set_desk("hpc") as desk:
        page = await connected(desk, desk.page)
        sessions = desk.stage.daemon.operations.sessions

        session = await opened(page, signatures=12, minutes=5)
        [asked] = desk.person.asked
        assert (asked.verb, asked.origin) == (Verb.SESSION, desk.stage.origin)
        assert asked.terms is not None and (asked.terms.most, asked.terms.seconds) == (12, 300)
        signed = await page.evaluate(SIGN_ALL, [session, 10])
        assert min(each["left"] for each in signed) == 2
        for number, each in enumerate(signed):
            certificate, signature = (base64.b64decode(each[name]) for name in ("certificate", "signature"))
            verify(certificate, f"病歷 {number}".encode(), signature, Hash.SHA_256)

        other_tab = await connected(desk, await page.context.new_page())
        assert (await call(other_tab, "sessionStatus", session=session))[
            "refused"
        ] == "signing_session.elsewhere"
        assert await other_tab.evaluate("() => window.ended.length") == 0
        await other_tab.close()

        await connected(desk, page)  # loaded again
        session = await page.evaluate('() => sessionStorage.getItem("session")')
        status = await call(page, "sessionStatus", session=session)
        assert status["left"] == 2 and status["secondsLeft"] <= 300
        assert len(await page.evaluate(SIGN_ALL, [session, 2])) == 2
        assert await reason(page) == "used-up"
        refused = await call(page, "sessionSign", session=session, document="AAAA")
        assert refused == {"refused": "signing_session.ended", "zh": "連續簽章已結束。"}

        await opened(page)
        [known] = sessions.open
        sessions.stop(known.number)
        assert await reason(page) == "stopped"

        await opened(page)
        desk.pull()
        assert await reason(page) == "card"
        desk.put_back()

        session = await opened(page, minutes=1)
        grown, wall = signing_sessions.sessions_clock()
        with monkeypatch.context() as later:
            later.setattr(signing_sessions, "sessions_clock", lambda: (grown, wall + 61))
            refused = await call(page, "sessionSign", session=session, document="AAAA")
        assert refused["refused"] == "signing_session.ended"
        assert await reason(page) == "time"

        await opened(page, signatures=20)
        policy = _policy(desk)
        await asyncio.to_thread(policy.write_text, "[sessions]\nsignatures = 10\n")
        assert await reason(page) == "policy"
        assert (await call(page, "sessionOpen", signatures=11))["refused"] == "signing_session.limit"
        await asyncio.to_thread(policy.write_text, "[sessions]\nenabled = false\n")
        assert (await call(page, "sessionOpen"))["refused"] == "signing_session.disabled"
        await asyncio.to_thread(policy.unlink)

        monkeypatch.setattr(signing_sessions, "_GRACE_SECONDS", 0.1)
        await opened(page)
        [known] = sessions.open
        await page.goto("about:blank")
        await until_async(lambda: known.ended is SessionEnd.GONE, "it goes on without its page")
        assert [each.verb for each in desk.person.asked] == [Verb.SESSION] * 6


def _policy(desk: Desk) -> Path:
    return desk.stage.daemon._paths.policy
