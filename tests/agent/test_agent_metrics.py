"""`/metrics`: who may read it, whether a scraper can, and that it says nothing of anybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.config import MetricsSettings
from agent.interaction.scripted import ScriptedInteraction
from agent.metrics import CONTENT_TYPE, Counters, MetricsSnapshot, exposition
from agent.operations.messages import ReaderCondition, ReaderView
from agent.update.state import LastCheck
from agent.vocabulary import Verb
from tests.support.agent import ANY_PORT, DENIED, PORTAL, RunningAgent, running_agent
from tests.support.servisign_page import Page, Text

MEASURED = replace(ANY_PORT, metrics=MetricsSettings(enabled=True))

# The text format, version 0.0.4, as its specification has it; what is not in it is an error here.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\\\|\\n)+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL.pattern}(?:,{LABEL.pattern})*)\}})? ([0-9]+(?:\.[0-9]+)?)")


@dataclass
class Family:
    kind: str
    samples: dict[frozenset[tuple[str, str]], float] = field(default_factory=dict)


def parse(text: bytes) -> dict[str, Family]:
    """The families of an exposition, in which nothing may be out of place."""
    families: dict[str, Family] = {}
    assert text.endswith(b"\n")
    lines = text.decode("utf-8").split("\n")[:-1]
    while lines:
        about = HELP.fullmatch(lines.pop(0))
        kind = TYPE.fullmatch(lines.pop(0))
        assert about and kind
        name = about[1]
        assert kind[1] == name
        assert name not in families, "a family stands in one place"
        assert name.endswith("_total") == (kind[2] == "counter")
        family = families[name] = Family(kind[2])
        while lines and not lines[0].startswith("#"):
            sample = SAMPLE.fullmatch(lines[0])
            assert sample, lines[0]
            assert sample[1] == name
            labels = LABEL.findall(sample[2] or "")
            assert len({label for label, _ in labels}) == len(labels)
            key = frozenset(labels)
            assert key not in family.samples, "a sample stands once"
            family.samples[key] = float(sample[7])
            lines.pop(0)
        assert family.samples
    return families


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    person = ScriptedInteraction(pins=["654321", "123456"])
    async with running_agent(tmp_path, config=MEASURED, interaction=person) as running:
        yield running


async def scrape(agent: RunningAgent) -> tuple[dict[str, Family], str]:
    async with agent.http.get(f"{agent.clear}/metrics", headers=agent.bearer) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == CONTENT_TYPE
        assert "Access-Control-Allow-Origin" not in response.headers
        text = await response.read()
    return parse(text), text.decode()


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    return families[f"hca_agent_{name}"].samples[frozenset(labels.items())]


async def test_work_of_a_page_is_counted_and_nobody_is_named(agent: RunningAgent) -> None:
    async with agent.page() as page:
        assert (await page.failing("sign", document="dGV4dA=="))["data"]["id"] == "pin.wrong"
        await page.call("sign", document="dGV4dA==")
    async with agent.http.get(f"{agent.clear}/v1", headers={"Origin": DENIED}) as response:
        assert response.status == 403
    families, text = await scrape(agent)
    native = {"dialect": "native", "verb": "sign"}
    assert value(families, "operations_total", **native, outcome="ok") == 1
    assert value(families, "operations_total", **native, outcome="pin.wrong") == 1
    assert value(families, "signatures_total", dialect="native") == 1
    assert value(families, "wrong_pins_total", dialect="native") == 1
    assert value(families, "refused_origins_total") == 1
    assert value(families, "http_requests_total", status="403") == 1
    assert value(families, "readers", state="card") == 1
    assert value(families, "smart_card_service_up") == 1
    ends = value(families, "tls_certificate_not_after_seconds")
    assert ends == agent.daemon.identity.not_after.timestamp()
    for word in (PORTAL, DENIED, "portal", "Virtual Reader", "000000", "123456"):
        assert word not in text


async def test_work_of_an_old_page_is_counted_as_such(agent: RunningAgent) -> None:
    async def post(origin: str, body: bytes) -> bytes:
        headers = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        async with agent.http.post(f"{agent.tls}/", data=body, headers=headers) as response:
            return await response.read()

    page = Page(post, PORTAL)
    assert await page.echo() == "0"
    await page.call("ATL_InitModule", module=Text("HCAPKCS11.dll"), initArgs=Text(""))
    families, _ = await scrape(agent)
    dialects = {dict(key)["dialect"] for key in families["hca_agent_operations_total"].samples}
    assert dialects == {"servisign"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PORTAL},
        {"Origin": DENIED},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Host": "evil.example"},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("token", [True, False], ids=["token", "no token"])
async def test_no_page_ever_reads_it(tmp_path: Path, headers: dict[str, str], token: bool) -> None:
    config = replace(ANY_PORT, metrics=MetricsSettings(enabled=True, token=token))
    async with running_agent(tmp_path, config=config) as agent:
        if token:
            headers = headers | agent.bearer
        async with agent.http.get(f"{agent.clear}/metrics", headers=headers) as response:
            assert response.status in (403, 404)
            assert await response.read() == b""
        own = {"Origin": agent.clear}
        async with agent.http.get(f"{agent.clear}/metrics", headers=own) as response:
            assert response.status == 403


async def test_a_program_needs_the_token_unless_the_administrator_says_otherwise(tmp_path: Path) -> None:
    for name, metrics, status in (
        ("a", MetricsSettings(enabled=True), 403),
        ("b", MetricsSettings(enabled=True, token=False), 200),
        ("c", MetricsSettings(enabled=False, token=False), 404),
    ):
        config = replace(ANY_PORT, metrics=metrics)
        async with running_agent(tmp_path / name, config=config) as agent:
            async with agent.http.get(f"{agent.clear}/metrics") as response:
                assert response.status == status, name
            async with agent.http.get(f"{agent.tls}/metrics", headers=agent.bearer) as response:
                assert response.status == 404
            async with agent.http.post(f"{agent.clear}/metrics", headers=agent.bearer) as response:
                assert response.status == 404


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        for headers, status in (({}, 403), (agent.bearer, 404)):
            async with agent.http.get(f"{agent.clear}/metrics", headers=headers) as response:
                assert response.status == status


def test_every_number_and_word_fits_the_format() -> None:
    counters = Counters()
    for _ in range(3):
        counters.operated(Verb.LOGIN, "ok")
    counters.operated(Verb.READ, 'a "strange"\\\n outcome')
    now = datetime(2026, 5, 4, 3, 2, 1, 500_000, UTC)
    readers = [
        ReaderView(str(number), condition, False, False, b"", 0)
        for number, condition in enumerate(
            (ReaderCondition.CARD, ReaderCondition.CARD, ReaderCondition.EMPTY)
        )
    ]
    state = LastCheck(checked=now, version="9.0", error="update.expired")
    told = MetricsSnapshot(readers, False, now, 2, state, update_newer=True)
    families = parse(exposition(counters, told))
    assert value(families, "signatures_total", dialect="agent") == 3
    assert value(families, "readers", state="card") == 2
    assert value(families, "smart_card_service_up") == 0
    assert value(families, "port_conflicts") == 2
    assert value(families, "update_available") == value(families, "update_check_failed") == 1
    assert value(families, "update_check_time_seconds") == now.timestamp()
    empty = parse(exposition(Counters(), MetricsSnapshot((), None, now, 0)))
    assert "hca_agent_operations_total" not in empty
    assert "hca_agent_smart_card_service_up" not in empty


async def test_requests_side_by_side_are_counted_in_their_own_dialect(agent: RunningAgent) -> None:
    async def native() -> None:
        async with agent.page() as page:
            await page.call("card.read")

    await asyncio.gather(*(native() for _ in range(3)))
    families, _ = await scrape(agent)
    assert value(families, "operations_total", dialect="native", verb="read", outcome="ok") == 3
