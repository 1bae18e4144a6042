"""Cards that go in and out, and a smart card service that is killed, again and again; every one is seen."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.bench.tables import Table
from tests.soak.course import Mark, course, table
from tests.soak.person import Patient
from tests.support.agent import Page, running_agent
from tests.support.cards import simulated
from tests.support.pcscd import PrivatePcscd, private_pcscd, why_not

_NEAR_ITS_END: Final = 0xFFFF - 30
"""Of the reader's count of events, which has 16 bits and begins anew."""
_BURST: Final = 3
_EVENT_SECONDS: Final = 30.0
_OTHER: Final = {"empty": "card", "card": "empty"}
_A_READING: Final = 50
KIND: Final = "hpc"


def in_process(times: int) -> Table:
    """Put a card in and pull it out so often, with a page that is told of each; and in bursts."""
    return asyncio.run(_in_process(times))


class Told:
    """What a page is told of its reader: that a card came, that it went, in turn.

    Attributes:
        state: of the reader, as told last.
        events: how many there were.
        in_turn: whether each must differ from the last; what happens faster than it is looked at is told as
            one change.
    """

    def __init__(self, page: Page) -> None:
        self.state, self.events, self.in_turn = "empty", 0, True
        self._page = page
        self._news = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._page.socket:
            news = message.json()
            state = news["params"]["reader"]["state"]
            assert news["method"] == "card.changed", news
            assert not self.in_turn or state == _OTHER[self.state], news
            self.state = state
            self.events += 1
            self._news.set()

    async def until(self, state: str) -> None:
        """Wait until that is told."""
        async with asyncio.timeout(_EVENT_SECONDS):
            while self.state != state:
                if self._listening.done():
                    self._listening.result()
                    raise AssertionError("the page was cut off")
                self._news.clear()
                await self._news.wait()

    def end(self) -> None:
        """Listen no longer."""
        self._listening.cancel()


async def _in_process(times: int) -> Table:
    into = table("Insertions, in-process, told to a page")
    card = simulated(KIND)
    with tempfile.TemporaryDirectory() as name:
        async with (
            running_agent(Path(name), [""], interaction=Patient()) as agent,
            agent.page() as page,
        ):
            [reader] = agent.readers
            await page.call("agent.hello")
            reader.counter = _NEAR_ITS_END
            told = Told(page)

            async def in_and_out(number: int) -> None:
                reader.insert(card)
                await told.until("card")
                if number % _A_READING == 0:
                    async with agent.page(None) as program:
                        await program.call("card.read")
                reader.remove()
                await told.until("empty")

            async def burst(number: int) -> None:
                for _ in range(_BURST):
                    reader.insert(card)
                    reader.remove()
                await in_and_out(number * _A_READING)

            await course(into, "one after the other", times, in_and_out)
            into.notes.append(f"{told.events:,} events told, none missing, in order")
            if told.events % 2 or told.events < 2 * times:
                into.broken.append(f"only {told.events:,} events were told")
            told.in_turn = False
            await course(into, f"{_BURST + 1} at once", times // 20 + 1, burst)
            told.end()
    return into


class Beside:
    """`tests.soak.beside_pcscd` at work in the namespaces of a private service."""

    def __init__(self, pcscd: PrivatePcscd, home: Path) -> None:
        command = [sys.executable, "-m", "tests.soak.beside_pcscd", str(home), str(pcscd.ports[0]), KIND]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self.process: subprocess.Popen[str] = pcscd.popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seen: list[str] = []

    def say(self, word: str) -> None:
        """Give it an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the agent ended"
        told: dict[str, Any] = json.loads(line)
        if "event" in told:
            self.seen.append(told["event"])
        return told

    def until(self, event: str, *, after: str = "") -> None:
        """Wait for the next change of the reader; nothing else may come before, but for `after`."""
        while (told := self._read().get("event", after)) == after:
            pass
        assert told == event, f"{told} instead of {event}"

    def do(self, word: str) -> dict[str, Any]:
        """Give it an order and return what it answers; changes meanwhile stay in `seen`."""
        self.say(word)
        while (told := self._read()).get("done") != word:
            pass
        assert "failed" not in told, told
        return told

    def mark(self) -> Mark:
        """Return what its process holds."""
        return Mark(**self.do("mark")["mark"])


@contextmanager
def beside(pcscd: PrivatePcscd) -> Iterator[Beside]:
    """Run an agent beside the service, a card in its reader."""
    with tempfile.TemporaryDirectory() as name:
        agent = Beside(pcscd, Path(name))
        try:
            while agent.seen[-1:] != ["card"]:
                agent._read()
            yield agent
            agent.say("quit")
            assert agent.process.wait(30) == 0
        finally:
            agent.process.kill()
            agent.process.wait()


def through_pcscd(times: int) -> Table:
    """Pull a card out of a reader of a real pcscd and put it back, so often."""

    def out_and_in(_pcscd: PrivatePcscd, agent: Beside, number: int) -> None:
        agent.say("remove")
        agent.until("empty")
        agent.say("insert")
        agent.until("card")
        if number % 10 == 0:
            agent.do("sign")

    return _against_pcscd(
        "Insertions through pcscd", "out and in", times, out_and_in, "none missing, in order"
    )


def restarts(times: int) -> Table:
    """Kill a real pcscd and start it so often; after each the card is found and signs."""

    def restart(pcscd: PrivatePcscd, agent: Beside, number: int) -> None:
        if number % 2:
            pcscd.kill()
        else:
            pcscd.stop()
        agent.until("none")
        error = agent.do("fail")["error"]
        assert error == "service.unavailable", error
        pcscd.start()
        agent.until("card", after="empty")  # the card is in its reader first, or the service is
        agent.do("sign")

    words = "a signature after each restart"
    return _against_pcscd("Restarts of pcscd", "killed or ended, started", times, restart, words)


def _against_pcscd(
    title: str, name: str, times: int, deed: Callable[[PrivatePcscd, Beside, int], None], words: str
) -> Table:
    """Do something so often to a real pcscd or the card in its reader, with an agent beside it."""
    into = table(title)
    if reason := why_not():
        return into.left_out(reason)
    with private_pcscd() as pcscd, beside(pcscd) as agent:

        async def step(number: int) -> None:
            deed(pcscd, agent, number)

        asyncio.run(course(into, name, times, step, agent.mark))
        into.notes.append(f"{len(agent.seen) - 1:,} events seen, {words}")
    return into
