"""A flood of windows: sites that ask and ask, a person who answers, cancels, or looks the other way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Final

from agent.errors import ErrorId
from agent.interaction import Question
from tests.bench.tables import Table
from tests.soak.course import course, table
from tests.soak.crowd import crowd, crowded_agent
from tests.soak.person import Patient
from tests.support.agent import ANY_PORT, PORTAL
from tests.support.hostile import Portal
from tests.support.waiting import until_async

SITES, STRANGERS = crowd(20)
_AT_ONCE: Final = 40
_HONEST: Final = frozenset(
    (
        ErrorId.BUSY,
        ErrorId.REQUEST_RATE,
        ErrorId.PIN_CANCELLED,
        ErrorId.CONSENT_REFUSED,
        ErrorId.CONSENT_TIMEOUT,
        ErrorId.CONSENT_SILENCED,
    )
)


class Flooded(Patient):
    """Answers every second window, cancels a quarter, and leaves a quarter for as long as its page does.

    Attributes:
        shown: how many windows there were.
        open: how many there are now.
        most: how many there ever were at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown = self.open = self.most = 0

    async def ask(self, question: Question[Any]) -> Any:
        """Do one of it."""
        self.shown += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(0)
            if question.origin == PORTAL or self.shown % 4 < 2:
                return await super().ask(question)
            if self.shown % 4 == 2:
                return None
            return await asyncio.Event().wait()
        finally:
            self.open -= 1


def flood(times: int) -> Table:
    """Have so many questions put to the person, forty at once."""
    return asyncio.run(_flood(times))


async def _flood(times: int) -> Table:
    into = table(f"A flood of questions, {_AT_ONCE} at once")
    person, met = Flooded(), Counter[str]()
    async with crowded_agent(person, SITES, ANY_PORT, requests=10_000) as agent:
        portal = Portal(agent)

        async def ask(number: int) -> None:
            origin = (SITES, STRANGERS)[number % 2][number // 2 % len(SITES)]
            async with agent.page(origin) as page:
                request = await page.send("sign", document="QQ==")
                answer = asyncio.create_task(page.answer(request))
                # A page whose window nobody looks at goes away some time.
                done, _ = await asyncio.wait((answer,), timeout=0.5)
                if not done:
                    answer.cancel()
                    met["left by its page"] += 1
                    return
            told = await answer
            if "result" in told:
                met["signed"] += 1
                return
            data = told["error"]["data"]
            if data["id"] not in _HONEST or not data["zh"]:
                into.broken.append(json.dumps(told["error"]))
            met[data["id"]] += 1

        async def wave(number: int) -> None:
            asking = [asyncio.create_task(ask(number * _AT_ONCE + each)) for each in range(_AT_ONCE)]
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            await portal.native()  # in the middle of it
            await asyncio.gather(*asking)
            await until_async(lambda: not person.open, "a window stays open", 30)
            await until_async(lambda: not agent.daemon.operations.busy, "work goes on", 30)

        await course(into, "waves", max(times // _AT_ONCE, 2), wave, ways=3)
        for log_in in portal.log_ins.values():
            await log_in()
    into.notes.append(
        f"{person.shown:,} windows, at most {person.most} at once; a portal worked beside each wave"
    )
    into.notes += [f"{what}, {count:,} times" for what, count in met.most_common()]
    if person.most > 1:
        into.broken.append(f"{person.most} windows at once")
    return into
