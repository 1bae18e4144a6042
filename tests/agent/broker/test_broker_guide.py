"""The configuration of nats-server in docs/broker.md is enough for both, and lets neither do more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.broker.connection import Broker, open_broker
from agent.errors import AgentError, ErrorId
from tests.agent.broker.test_broker_submit import batch_of, submit, world_of
from tests.support.batches import documents
from tests.support.brokers import key_of, working
from tests.support.nats_server import NatsServer, nats_server

GUIDE = (Path(__file__).parents[3] / "docs/broker.md").read_text("utf-8")


def configuration(card: str) -> str:
    [text] = re.findall(r"<!-- a test starts a server with this -->\n```\n(.*?)```", GUIDE, re.DOTALL)
    text = re.sub(r"(?m)^(host|port|jetstream|tls)\b.*\n", "", text)
    return re.sub(r"card-CARD|jobs\.CARD", lambda found: found[0].replace("CARD", card), text)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name, number in (("admin", 1), ("rack", 2), ("ward", 3)):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(f"{name}:PASSWORD-{number}\n")
    yield tmp_path


@asynccontextmanager
async def reached(server: NatsServer, credentials: Path) -> AsyncIterator[Broker]:
    settings = replace(server.settings, credentials=str(credentials))
    async with open_broker(settings, credentials.name) as broker:
        await broker.prepare()
        yield broker


async def refused(word: str, broker: Broker, doing: Awaitable[object]) -> None:
    broker._stream._timeout = 1.0  # the server tells why at once, and never answers
    with pytest.raises(AgentError) as info:
        await doing
    assert info.value.error_id is ErrorId.BROKER_REFUSED, word


async def test_a_batch_goes_through_with_the_permissions_of_the_guide_and_no_more(folder: Path) -> None:
    documents(folder / "records", 12)
    async with world_of(folder, "hpc") as world:
        card = await key_of(world)
        with nats_server(folder / "nats", tls=True, text=configuration(card)) as server:
            async with reached(server, folder / "admin"):
                pass
            rack = replace(server.settings, credentials=str(folder / "rack"))
            async with working(world, rack) as at_work, reached(server, folder / "ward") as ward:
                with batch_of(folder / "records") as (files, named):
                    summary, _ = await submit(files, named, ward, card)
                assert (summary.done, summary.stopped) == (12, None)
                await ward.withdraw(named.batch)
                theirs = at_work.broker
                await refused("another card's jobs", ward, ward.put_job("f" * 32, named.batch, "1", b"x"))
                await refused("jobs of a worker's own", theirs, theirs.put_job(card, named.batch, "1", b"x"))
                await refused("jobs of another card", theirs, theirs.jobs("f" * 32, 4))
                await refused("everybody's results", theirs, theirs.results(named.batch))
