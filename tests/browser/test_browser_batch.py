"""A batch as a portal's page declares it, in a real Chromium: told one by one, pulled, cancelled."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Final

from tests.support.desk import Desk, SetDesk
from tests.support.waiting import until_async

CONNECT: Final = """async ([tls, plain]) => {
  const { HcaAgent } = await import("/static/agent.js");
  window.agent = new HcaAgent({ tlsPorts: [tls], plainPort: plain });
  await agent.connect();
}"""
SIGN: Final = """async ([count, stopAfter]) => {
  const stop = new AbortController();
  const items = [...Array(count).keys()].map((number) => ({
    name: `病歷 ${number}`,
    document: new TextEncoder().encode(`record ${number}`),
    format: number % 2 ? "cades" : "pkcs1",
  }));
  items[1].format = "pades";  // which it is not
  const told = [], far = [];
  const onItem = (item) => {
    told.push({ index: item.index, error: item.error?.id, zh: item.error?.zh, result: item.result });
    window.told = told.length;
    if (told.length === stopAfter) stop.abort();
  };
  const onProgress = (each) => far.push(each);
  const { stopped, ...done } = await agent.signBatch(items, { onItem, onProgress, signal: stop.signal });
  return { ...done, stopped: stopped && { id: stopped.id, zh: stopped.zh }, told, far };
}"""


async def connect(desk: Desk) -> None:
    await desk.page.goto(f"{desk.stage.origin}/euservice")
    daemon = desk.stage.daemon
    await desk.page.evaluate(CONNECT, [daemon.tls_port, daemon.native_port])


async def sign(desk: Desk, count: int, stop_after: int = 0) -> dict[str, Any]:
    done: dict[str, Any] = await desk.page.evaluate(SIGN, [count, stop_after])
    assert len({each["index"] for each in done["told"]}) == len(done["told"]) == done["done"] + done["failed"]
    return done


async def test_every_state_of_a_batch_in_a_browser(set_desk: SetDesk) -> None:
    async with set_desk("hpc") as desk:
        await connect(desk)
        done = await sign(desk, 20)
        assert (done["done"], done["failed"], done["left"], done["stopped"]) == (19, 1, 0, None)
        by_index = {each["index"]: each for each in done["told"]}
        assert by_index[1]["error"] == "document.unusable" and by_index[1]["zh"]
        assert base64.b64decode(by_index[3]["result"]["signature"])[:1] == b"\x30"
        assert (done["far"][-1]["done"], done["far"][-1]["of"]) == (19, 20)
        [asked] = desk.person.asked
        assert asked.terms is not None and [each.name for each in asked.terms.items][:2] == [
            "病歷 0",
            "病歷 1",
        ]
        assert asked.origin == desk.stage.origin

        both = await desk.page.evaluate(f"(count) => Promise.all([({SIGN})(count), ({SIGN})(count)])", [6, 0])
        assert [(each["done"], len(each["told"])) for each in both] == [(5, 6), (5, 6)]

        done = await sign(desk, 60, stop_after=5)
        assert done["stopped"]["id"] == "batch.cancelled"
        assert done["done"] + done["failed"] + done["left"] == 60 and done["left"]

        await desk.page.evaluate("() => { window.told = 0; }")
        running = asyncio.ensure_future(sign(desk, 200))
        await desk.page.wait_for_function("() => window.told > 3")
        desk.pull()
        done = await running
        assert done["stopped"]["id"].startswith("card.") and done["left"]
        sessions = desk.stage.daemon.operations.sessions
        await until_async(lambda: not sessions.open, "its session is still open")
