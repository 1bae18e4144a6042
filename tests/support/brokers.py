"""A worker in this process at a real broker, and jobs for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agent.batch.choice import Choice
from agent.broker.connection import Broker, lasting, open_broker
from agent.broker.messages import Job, Outcome, card_key, now, packed, read_outcome
from agent.broker.outcomes import Outcomes
from agent.broker.worker import Worker
from agent.config import BrokerSettings
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.model import KeyUse
from signing.formats import SignatureFormat
from tests.support.operations import OWN, World
from tests.support.waiting import until_async

BATCH = "0123456789abcdef" * 2
PLAIN = Choice(format=SignatureFormat.PKCS1)


def job(number: int = 1, **changes: Any) -> Job:
    members: dict[str, Any] = {
        "batch": BATCH,
        "number": number,
        "name": f"record {number}.txt",
        "choice": PLAIN,
        "made": now(),
        "document": b"record %d" % number,
    }
    return Job(**{**members, **changes})


async def key_of(world: World) -> str:
    """What the world's card is known by."""
    index = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
    return card_key((await world.operations.certificate(OWN, index, world.reader.name)).der)


@dataclass
class Working:
    """A worker at its work.

    Attributes:
        told: what it told its person, in English.
        task: ends when it takes no more jobs.
    """

    worker: Worker
    broker: Broker
    card: str
    told: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def put(self, *jobs: Job) -> None:
        for each in jobs:
            put = partial(self.broker.put_job, self.card, each.batch, each.item, packed(each))
            await lasting(self.broker, put)  # a busy machine's broker is slow to answer

    async def outcome(self, item: str, batch: str = BATCH) -> Outcome:
        """What stands for an item, as soon as something does."""
        found: list[bytes] = []

        async def there() -> bool:
            found[:] = [(await lasting(self.broker, lambda: self.broker.result(batch, item)))[1]]
            return bool(found[0])

        await until_async(there, "no outcome came")
        return read_outcome(found[0])

    async def says(self, pattern: str) -> None:
        """Return when the worker has told its person something like this."""
        await until_async(lambda: any(re.search(pattern, each) for each in self.told), str(self.told))

    async def idle(self) -> None:
        """Return when no job of the card is left."""

        async def empty() -> bool:
            info = await self.broker._stream.stream_info(self.broker._jobs)
            return info.state.messages == 0

        await until_async(empty, "jobs are left")


@asynccontextmanager
async def working(
    world: World,
    settings: BrokerSettings,
    *,
    most: int | None = None,
    through: Callable[[Broker], Broker] = lambda broker: broker,
) -> AsyncIterator[Working]:
    """A worker that serves the world's only card."""
    async with open_broker(settings, "worker") as broker:
        await broker.prepare()
        with Outcomes(world.paths.home) as outcomes:
            told: list[str] = []
            worker = Worker(
                through(broker), world.operations, outcomes, lambda _zh, en: told.append(en), most=most
            )
            running = Working(worker, broker, await key_of(world), told)
            running.task = asyncio.create_task(worker.serve(OWN, None))
            try:
                yield running
            finally:
                worker.stop()
                running.task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await running.task
