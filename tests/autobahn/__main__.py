"""Runs the published cases of Autobahn's suite; fails where one is neither good nor listed with a reason.

Most cases want back what they send, which the native API does not do. So they run twice. First against an
agent whose sessions send back what they get; ports, gate, frames, limits and ends of a session are the
product's. Then against an agent as it is: there each case must end as it did before.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp.http import WSCloseCode, WSMsgType

from agent.config import LimitSettings
from agent.native import session
from tests.autobahn import suite
from tests.autobahn.suite import Result
from tests.support.agent import ANY_PORT, PORTAL, running_agent

REPORTS: Final = Path("dist", "autobahn")
# The suite is one origin and faster than any page.
CONFIG: Final = replace(ANY_PORT, limits=LimitSettings(requests=10_000, burst=10_000))

ALL: Final = ("*",)
SLOW_WITHOUT_ECHO: Final = ("9.*", "12.*", "13.*")
"""Each waits for what does not come back, minutes some of them; the first run has them all."""

UNIMPLEMENTED: Final[Mapping[str, str]] = {
    "12.": "no compression is agreed: nothing here needs it, and a few bytes can unpack to megabytes",
    "13.": "likewise",
}
"""Cases of what this program does not do, by how their numbers begin, and why; any other has to be good."""


class Echo(session.NativeSession):
    """A session that sends back every message."""

    async def read(self) -> None:
        """Send back each message; end at text that is none, as the native API does."""
        async for message in self.socket:
            with suppress(ConnectionError):
                if message.type is WSMsgType.TEXT:
                    try:
                        text = message.data.decode("utf-8")
                    except UnicodeDecodeError:
                        await self.socket.close(code=WSCloseCode.INVALID_TEXT)
                        return
                    await self.socket.send_str(text)
                elif message.type is WSMsgType.BINARY:
                    await self.socket.send_bytes(message.data)


async def _echo(cases: tuple[str, ...]) -> Mapping[str, Result]:
    usual = session.NativeSession
    session.NativeSession = Echo  # type: ignore[misc]  # where the native API looks for it
    try:
        return await _run((), "echo", cases)
    finally:
        session.NativeSession = usual  # type: ignore[misc]


async def _run(without: tuple[str, ...], name: str, cases: tuple[str, ...]) -> Mapping[str, Result]:
    reports = REPORTS / (name if cases == ALL else f"{name}-again")
    with tempfile.TemporaryDirectory(prefix="hca-agent-autobahn-") as home:
        async with running_agent(Path(home), config=CONFIG) as agent:
            url = f"ws://127.0.0.1:{agent.daemon.native_port}/v1"
            return await asyncio.to_thread(suite.run, url, PORTAL, cases, without, reports)


def _is_known(number: str, result: Result) -> bool:
    return number.startswith(tuple(UNIMPLEMENTED)) and result.behavior == "UNIMPLEMENTED"


def _say(title: str, results: Mapping[str, Result], bad: Mapping[str, str]) -> None:
    counts = Counter(f"{each.behavior}, ended {each.close}" for each in results.values())
    print(f"{title}: {len(results)} cases")  # noqa: T201
    for words, count in counts.most_common():
        print(f"  {count:4} {words}")  # noqa: T201
    for number, words in bad.items():
        print(f"  ✘ {number}: {words}")  # noqa: T201


async def _twice(
    run: Callable[[tuple[str, ...]], Awaitable[Mapping[str, Result]]],
    bad: Callable[[Mapping[str, Result]], Mapping[str, str]],
) -> Mapping[str, Result]:
    """Run all cases, and once more those that ended badly: on a busy machine the suite gives up on some."""
    first = await run(ALL)
    again = tuple(bad(first))
    if not again:
        return first
    print(f"Once more: {', '.join(again)}")  # noqa: T201
    return {**first, **await run(again)}


def _bad(echo: Mapping[str, Result]) -> Mapping[str, str]:
    return {
        number: str(result)
        for number, result in echo.items()
        if not result.good and not _is_known(number, result)
    }


async def _main() -> int:
    echo = await _twice(_echo, _bad)
    bad = _bad(echo)
    _say("Sent back", echo, bad)
    for begin, why in UNIMPLEMENTED.items():
        print(f"  {sum(number.startswith(begin) for number in echo):4} of them {begin}*: {why}")  # noqa: T201

    def differs(agent: Mapping[str, Result]) -> Mapping[str, str]:
        return {
            number: f"{result}, but {echo[number]} where it is sent back"
            for number, result in agent.items()
            if result.close not in ("OK", "INFORMATIONAL") or result.code != echo[number].code
        }

    agent = await _twice(partial(_run, SLOW_WITHOUT_ECHO, "agent"), differs)
    differing = differs(agent)
    _say("The agent as it is (no message comes back: their first words are FAILED)", agent, differing)
    return bool(bad or differing)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
