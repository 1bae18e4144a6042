"""An agent at a computer whose clock is set ahead, back and right while it runs.

    python -m tests.soak.at_jumping_clock FOLDER CLOCK TIMES

CLOCK is the file that libfaketime reads. It writes its table as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from agent.errors import ErrorId
from agent.interaction import ConsentQuestion, ConsentReply, Question
from tests.bench.tables import Table
from tests.soak.course import course, table
from tests.soak.person import Patient
from tests.support.agent import ANY_PORT, RunningAgent, running_agent
from tests.support.hostile import Portal
from tests.support.waiting import until_async

_YEARS: Final = ("+30y", "-20y", "+1d", "-1d")
_DAY: Final = 86_400
_KNOWN: Final = "https://known.example"
_UNWANTED: Final = "https://unwanted.example"


class Choosy(Patient):
    """Wants no site whose name says so.

    Attributes:
        refused: how often a site was refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    async def ask(self, question: Question[Any]) -> Any:
        """Answer it."""
        if isinstance(question, ConsentQuestion) and question.origin == _UNWANTED:
            self.refused += 1
            return ConsentReply.NO_TO_UNKNOWN
        return await super().ask(question)


class Computer:
    """The computer's clock, and what goes by it."""

    def __init__(self, clock: Path, agent: RunningAgent, person: Choosy) -> None:
        self._clock = clock
        self._agent = agent
        self._person = person
        self.met = Counter[str]()

    async def set(self, by: str) -> None:
        """Set the clock, and return when programs see it so."""
        steady, before = time.monotonic(), datetime.now(UTC)
        changed = self._clock.with_name("changed")
        changed.write_text(by)
        changed.replace(self._clock)  # never half of it
        await until_async(
            lambda: abs(datetime.now(UTC) - before) > timedelta(hours=20), "the clock cannot be set here", 30
        )
        assert 0 <= time.monotonic() - steady < _DAY / 2

    async def at(self, by: str) -> None:
        """Do everything with the clock so far off."""
        unwanted = self._person.refused
        async with self._agent.page() as page:
            opened = await page.call("session.open", signatures=5)
            session = opened["session"]
            await page.call("session.sign", session=session, document="QQ==")
            await self.set(by)
            await self._by_native(page, by, session)
            # Requests go by what only grows: they are not refused for years.
            for _ in range(20):
                await page.call("agent.hello")
            await self._silence(by)
            async with self._agent.page(_KNOWN) as known:
                answer = await known.answer(await known.send("pin.status"))
                self.met[f"{by}, a site that was allowed: {_outcome(answer)}"] += 1
            await self.set("+0")
            answer = await page.answer(await page.send("session.sign", session=session, document="QQ=="))
            self.met[f"after {by}, a session of five minutes: {_outcome(answer)}"] += 1
            # Else it would wait for its page for a minute, and a site has eight.
            await page.answer(await page.send("session.close", session=session))
        assert self._person.refused == unwanted, "a clock that was set ended the silence"
        async with self._agent.page(_KNOWN) as known:
            await known.call("pin.status")

    async def _by_native(self, page: Any, by: str, session: str) -> None:
        for method, params in (
            ("session.sign", {"session": session, "document": "QQ=="}),
            ("sign", {"document": "QQ=="}),
            ("card.read", {}),
        ):
            answer = await page.answer(await page.send(method, **params))
            self.met[f"{by}, {method}: {_outcome(answer)}"] += 1

    async def _silence(self, by: str) -> None:
        async with self._agent.page(_UNWANTED) as page:
            refused = await page.failing("card.read")
            assert refused["data"]["id"] == ErrorId.CONSENT_SILENCED, refused
            assert 0 < refused["data"]["retryAfter"] <= _DAY, (by, refused)


def _outcome(answer: dict[str, Any]) -> str:
    """Return `done` or the error's id, which must have words."""
    if "result" in answer:
        return "done"
    data = answer["error"]["data"]
    assert data["id"] != ErrorId.INTERNAL and data["zh"] and data["en"] and data["nextZh"], answer
    return str(data["id"])


async def _soak(folder: Path, clock: Path, times: int) -> Table:
    into = table("A clock that is set ahead and back under a running agent")
    person = Choosy()
    consent = replace(ANY_PORT.consent, silence_minutes=1440)
    limits = replace(ANY_PORT.limits, requests=1000, burst=1000)
    config = replace(ANY_PORT, consent=consent, limits=limits)
    async with running_agent(folder / "home", interaction=person, config=config) as agent:
        portal, computer = Portal(agent), Computer(clock, agent, person)
        async with agent.page(_KNOWN) as known:
            await known.call("pin.status")
        async with agent.page(_UNWANTED) as unwanted:
            await unwanted.failing("card.read")
        shown = agent.daemon.identity.leaf.read_bytes()

        async def all_four(_number: int) -> None:
            for by in _YEARS:
                await computer.at(by)
            for log_in in portal.log_ins.values():
                await log_in()

        await course(into, "+30 years, -20 years, a day ahead, a day back", times, all_four)
        if agent.daemon.identity.leaf.read_bytes() != shown:
            into.broken.append("the certificate for browsers was renewed")
    into.notes += [f"{what}, {count} times" for what, count in sorted(computer.met.items())]
    return into


if __name__ == "__main__":
    found = asyncio.run(_soak(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps(asdict(found)))  # noqa: T201
