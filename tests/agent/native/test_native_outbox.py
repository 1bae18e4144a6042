"""A page that does not read is left, rather than given news of long ago."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import WSCloseCode

from agent.native.session import _OUTBOX_MAX, NativeSession
from tests.support.agent import running_agent


async def test_a_page_whose_news_are_too_many_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[NativeSession] = []
    read = NativeSession.read

    async def known(self: NativeSession) -> None:
        sessions.append(self)
        await read(self)

    monkeypatch.setattr(NativeSession, "read", known)
    async with running_agent(tmp_path) as agent, agent.page() as page:
        await page.call("agent.hello")
        (session,) = sessions
        for _ in range(_OUTBOX_MAX + 1):  # nothing is written meanwhile: the event loop does not turn
            session.notify([b'{"jsonrpc":"2.0","method":"card.changed","params":{}}'])
        assert await page.end() == WSCloseCode.TRY_AGAIN_LATER
