"""What a page's signing session costs beside its card: a hundred records on a card of 150 ms a signature.

A real Chromium with agent.js where there is one, and a client without a browser: everything between them and
the card is ours. The card's own time is that in which it is at work: with the signatures, and with the few
commands that each of them takes besides.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

from agent.config import OriginSettings
from agent.demo.environment import PortalAddress, demo_environment
from agent.demo.scripted_person import ScriptedPerson
from agent.demo.steps import ANY_PORT
from tests.bench.tables import Table, milliseconds, ratio
from tests.bench.timed_card import SIGNATURE_SECONDS, TimedCard
from tests.support.agent import Page, running_agent
from tests.support.cards import simulated
from tests.support.chromium import chromium, make_home, why_not
from tests.support.ports import free_port

BOUND: Final = 1.1
"""Times the card's own time."""

FORMATS: Final = ("pkcs1", "cades")
_RECORD_BYTES: Final = 4096
_AT_ONCE: Final = 4
"""As agent.js has them."""
_READER: Final = "Bench"
_SIGN: Final = """async ([tls, plain, count, size, format]) => {
  const { HcaAgent } = await import("/static/agent.js");
  const agent = new HcaAgent({ tlsPorts: [tls], plainPort: plain });
  const { session } = await agent.sessionOpen({ signatures: count });
  const records = [...Array(count).keys()].map((number) => new Uint8Array(size).fill(number + 1));
  const began = performance.now();
  await Promise.all(records.map((document) => agent.sessionSign({ session, document, format })));
  return (performance.now() - began) / 1000;
}"""


_BATCH: Final = """async ([tls, plain, count, size, format]) => {
  const { HcaAgent } = await import("/static/agent.js");
  const agent = new HcaAgent({ tlsPorts: [tls], plainPort: plain });
  const items = [...Array(count).keys()].map((number) => {
    return { document: new Uint8Array(size).fill(number + 1), format, name: `${number}` };
  });
  const began = performance.now();
  const { done } = await agent.signBatch(items);
  if (done !== count) throw new Error(`${done} of ${count}`);
  return (performance.now() - began) / 1000;
}"""
_BUSY: Final = 0.97
"""The share of a batch in which the card is at work, at least."""


def sessions(rounds: int) -> Table:
    """Measure so many records in each format, through a browser and without one."""
    table = Table(
        f"{rounds} records of a page's session, {SIGNATURE_SECONDS * 1000:.0f} ms for a signature",
        ("through", "each", "times the card's own time", "card busy"),
    )
    ways = (
        [("WebSocket", _client)] if why_not() else [("agent.js in Chromium", _page), ("WebSocket", _client)]
    )
    if not why_not():
        card = TimedCard(simulated("hpc"))
        seconds = asyncio.run(_page(card, rounds, "cades", _BATCH))
        table.rows.append(
            ("signBatch in Chromium, cades", milliseconds(seconds / rounds), "", f"{card.busy:.1%}")
        )
        if card.busy < _BUSY:
            table.broken.append(f"signBatch in Chromium: the card is busy for {card.busy:.1%}")
    for name, way in ways:
        for form in FORMATS:
            card = TimedCard(simulated("hpc"))
            seconds = asyncio.run(way(card, rounds, form))
            own = sum(ended - began for began, ended in card.spans)
            table.rows.append(
                (f"{name}, {form}", milliseconds(seconds / rounds), ratio(seconds / own), f"{card.busy:.1%}")
            )
            if seconds > BOUND * own:
                table.broken.append(f"{name}, {form}: {seconds / own:.2f} times the card's own time")
    return table


async def _page(card: TimedCard, count: int, form: str, script: str = _SIGN) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder, cards, port = Path(name), {_READER: ""}, free_port()
        listed = OriginSettings(allow=frozenset((f"http://localhost:{port}",)))
        config = dataclasses.replace(ANY_PORT, origins=listed)
        async with (
            demo_environment(
                ScriptedPerson(), config, folder / "agent", PortalAddress(port=port), cards
            ) as stage,
            chromium(make_home(folder / "browser", [stage.daemon.identity.ca])) as window,
        ):
            stage.readers[_READER].insert(card)
            page, daemon = window.pages[0], stage.daemon
            await page.goto(f"{stage.origin}/euservice")
            arguments = [daemon.tls_port, daemon.native_port, count, _RECORD_BYTES, form]
            return float(await page.evaluate(script, arguments))


async def _client(card: TimedCard, count: int, form: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        async with running_agent(Path(name), [""]) as agent, agent.page() as page:
            agent.readers[0].insert(card)
            session = (await page.call("session.open", signatures=count))["session"]
            records = [base64.b64encode(os.urandom(_RECORD_BYTES)).decode() for _ in range(count)]
            began, under_way = perf_counter(), []
            for record in records:
                if len(under_way) == _AT_ONCE:
                    await _answered(page, under_way.pop(0))
                request = await page.send("session.sign", session=session, document=record, format=form)
                under_way.append(request)
            for request in under_way:
                await _answered(page, request)
            return perf_counter() - began


async def _answered(page: Page, request: int) -> None:
    answer = await page.answer(request)
    if "result" not in answer:
        raise AssertionError(answer)
