"""The demo's step beyond one machine: two workers with a card each share a batch, by way of a real broker."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config import AuditSettings, BrokerSettings
from agent.demo.many_documents import RECORDS, opened, record
from agent.demo.step_report import StepReport, expect
from agent.environment import Child, environment_of
from agent.operations import Caller
from agent.processes import find

if TYPE_CHECKING:
    from agent.demo.environment import DemoEnvironment
    from agent.operations import Operations

_PROGRAM: Final = "nats-server"
_OWN: Final = Caller(None, "demo")
_SIGNATURE: Final = 1
_PATIENCE: Final = 200
_PAUSE: Final = 0.05


async def two_workers(
    environment: DemoEnvironment, report: StepReport, folder: Path, readers: tuple[str, str]
) -> None:
    """Sign a folder with two cards through a broker; nothing is done where no nats-server is installed.

    Args:
        environment: what is running.
        report: where the step is printed.
        folder: for documents and broker; empty.
        readers: the two readers' names.
    """
    program = find(_PROGRAM)
    if program is None:
        return
    with report.step("兩個簽章端、兩張卡片，經由訊息中介", "Two workers, two cards, one broker") as notes:
        ward = folder / "ward"
        ward.mkdir()
        for number in range(RECORDS):
            (ward / f"病歷{number + 1:02}.txt").write_text(record(number), "utf-8")
        async with _broker(program, folder) as settings:
            signed = await _shared(environment.daemon.operations, settings, folder, readers)
        results = len(list((ward / "signed").glob("*.p7s")))
        expect(results == sum(signed) == RECORDS, f"{results} results of {signed} signatures")
        expect(min(signed) > 0, f"one card signed everything: {signed}")
        notes.append(f"{signed[0]} + {signed[1]} 份，各簽一次 · {signed[0]} + {signed[1]}, each signed once")


async def _shared(
    operations: Operations, settings: BrokerSettings, folder: Path, readers: tuple[str, str]
) -> list[int]:
    """Have the batch signed by the cards in these readers; return how many each signed."""
    from agent.audit import AuditLog
    from agent.batch.engine import Engine
    from agent.broker.connection import open_broker
    from agent.broker.messages import card_key
    from agent.broker.outcomes import Outcomes
    from agent.broker.submit import RemoteCards, Submitted, submission
    from agent.broker.worker import Worker

    audit = AuditLog(folder / "audit.jsonl", AuditSettings())
    async with open_broker(settings, "demo") as broker:
        await broker.prepare()
        with Outcomes(folder) as outcomes:
            workers = [Worker(broker, operations, outcomes, _say_nothing) for _ in readers]
            serving = [
                asyncio.create_task(worker.serve(_OWN, reader))
                for worker, reader in zip(workers, readers, strict=True)
            ]
            try:
                certificates = [await operations.certificate(_OWN, _SIGNATURE, name) for name in readers]
                keys = [card_key(each.der) for each in certificates]
                ward = folder / "ward"
                with await asyncio.to_thread(opened, ward, ward / "signed", resume=False) as files:
                    name = submission(files.outputs, resumed=False)
                    async with RemoteCards(broker, name, keys, _say_nothing, audit) as cards:
                        submitted = Submitted(files, cards)
                        await Engine(submitted, RECORDS, _report_nothing, here=False).run(
                            submitted.lanes(len(keys))
                        )
            finally:
                for worker in workers:
                    worker.stop()
                await asyncio.gather(*serving)
    return [worker.signed for worker in workers]


def _say_nothing(_zh: str, _en: str) -> None:
    """Leave out what workers and submitter tell their persons."""


def _report_nothing(_outcome: object, _progress: object) -> None:
    """Leave out what becomes of each document."""


@asynccontextmanager
async def _broker(program: str, folder: Path) -> AsyncIterator[BrokerSettings]:
    """Run the body with a broker of the demo's own, on this machine alone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = {"host": "127.0.0.1", "port": port, "jetstream": {"store_dir": str(folder / "broker")}}
    (folder / "nats.conf").write_text(json.dumps(store), "utf-8")  # JSON is configuration too
    process = await asyncio.create_subprocess_exec(
        *(program, "-c", str(folder / "nats.conf")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment_of(Child.TOOL),
    )
    try:
        for _ in range(_PATIENCE):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            await asyncio.sleep(_PAUSE)
        yield BrokerSettings(servers=(f"nats://127.0.0.1:{port}",))
    finally:
        process.kill()
        await process.wait()
