"""An agent whose home is a small disk of its own, which becomes full, or read-only, and usable again.

    python -m tests.soak.on_disk HOME TIMES

HOME is where the disk is mounted. It writes its table as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.audit import AuditLog
from agent.batch.choice import Choice
from agent.batch.engine import Engine, Outcome, Progress
from agent.batch.files import FileBatch, FileItem
from agent.batch.listing import entries_of_folder
from agent.config import Config
from agent.errors import ErrorId, describe
from agent.interaction import ItemShown
from agent.queue import Order, Records
from agent.vocabulary import SessionEnd
from signing.cms.verify import verify_cms
from tests.bench.tables import Table
from tests.soak.course import course, table
from tests.soak.person import Patient
from tests.support.agent import RunningAgent, running_agent
from tests.support.batches import documents
from tests.support.operations import OWN

_DOCUMENTS: Final = 6
_ANSWERS: Final = 120
"""Objects of four sites that the person allowed: the newest thousand are kept."""
_FILLER: Final = "filler"


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave not a byte on the disk while the body runs."""
    with (disk / _FILLER).open("wb", buffering=0) as filler:
        for size in (65536, 4096, 512, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        (disk / _FILLER).unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Have nothing written while the body runs, as a system does with a disk that fails."""
    _remount(disk, "ro")
    try:
        yield
    finally:
        _remount(disk, "rw")


def _remount(disk: Path, how: str) -> None:
    # Files that are open for writing keep a disk from becoming read-only; ours are closed at once.
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, capture_output=True)


class Trouble(logging.Handler):
    """What was refused or went wrong, by its words; anything without words is a finding."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.met = Counter[str]()
        self.findings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Hear what the agent says in its log; a traceback is nothing that it foresaw."""
        if record.exc_info:
            self.findings.append(self.format(record))

    async def honest(self, what: str, work: Awaitable[object]) -> None:
        """Do what may be refused, and see that a refusal has words."""
        try:
            await work
        except Exception as error:
            text = describe(error)
            self.met[f"{what}: {text.id}"] += 1
            if text.id == ErrorId.INTERNAL:
                self.findings.append(f"{what}: {error!r}\n{''.join(traceback.format_exception(error))}")
        else:
            self.met[f"{what}: done"] += 1


class Home:
    """The agent on this disk, and what is done with it."""

    def __init__(self, disk: Path, agent: RunningAgent) -> None:
        self._disk = disk
        self._agent = agent

    async def sign(self) -> None:
        """Sign a page's document."""
        async with self._agent.page() as page:
            await page.call("sign", document="QQ==")

    async def ask(self, number: int) -> None:
        """Be a site that nobody knows; the person says yes, which is to be kept."""
        async with self._agent.page(f"https://site{number}.example") as page:
            await page.call("pin.status")

    async def batch(self, ward: Path, far: Callable[[int], None] = lambda _done: None) -> None:
        """Sign a folder, or go on with it."""
        outputs = ward / "signed"
        with FileBatch(ward, outputs, "ward") as batch:
            if batch.unfinished():
                batch.resume()
            elif not batch.begun():
                batch.declare(entries_of_folder(ward, Choice(), outputs), _DOCUMENTS)
            done, of = batch.counts()
            items = [ItemShown(each.file, each.size, "cades", each.digest) for each in batch.waiting()]
            session = await self._agent.daemon.operations.open_session(OWN, items=items)

            def counted(_outcome: Outcome[FileItem], progress: Progress) -> None:
                far(progress.done)

            summary = await Engine(batch, of - done, counted).run([session])
            session.end(SessionEnd.CLOSED)
        if summary.stopped is not None:
            raise summary.stopped
        if summary.failed:
            raise AssertionError(f"{summary.failed} documents failed")

    def remembers(self, number: int) -> bool:
        """Whether what the person said of that site is on the disk."""
        return f"site{number}.example" in (self._disk / "home/answers.json").read_text()

    def verify(self, ward: Path) -> None:
        """See that every document has a signature that holds."""
        for path in ward.glob("*.txt"):
            verify_cms((ward / "signed" / f"{path.name}.p7s").read_bytes(), path.read_bytes())

    async def hand_in(self) -> None:
        """Give the record queue a record."""
        with Records(self._disk / "queue.sqlite", 100_000) as records:
            records.add(Order("record.txt"), bytes(100), datetime.now(UTC), timedelta(hours=1))

    async def start(self) -> None:
        """Start another agent there."""
        async with running_agent(self._disk / "second", interaction=Patient()):
            pass

    def clean(self) -> list[str]:
        """Remove what a round left that is meant to be there, and return what is not."""
        for name in ("second", "ward", "other"):
            shutil.rmtree(self._disk / name, ignore_errors=True)
        for file in self._disk.glob("queue.sqlite*"):
            file.unlink()
        return [each.name for each in self._disk.iterdir() if each.name.startswith(".")]


async def _soak(disk: Path, times: int) -> Table:
    into = table("A full and a read-only disk under a running agent")
    trouble = Trouble()
    logging.getLogger().addHandler(trouble)
    async with running_agent(disk / "home", interaction=Patient()) as agent:
        home, audit = Home(disk, agent), AuditLog(disk / "home/audit.jsonl", Config().audit)

        async def all_works(number: int, ward: Path) -> None:
            before = audit.read(1)
            await home.sign()
            assert audit.read(1) != before, "the signature is not in the audit log"
            await home.ask(number)
            assert home.remembers(number), "the answer is not kept"
            await home.batch(ward)
            home.verify(ward)
            await home.hand_in()
            await home.start()

        async def refused(why: str, number: int, ward: Path) -> None:
            """Need no disk, or be told in words that there is none."""
            await home.sign()
            await home.ask(number)
            await home.ask(number)  # the answer holds although it is kept nowhere
            await trouble.honest(f"{why}, a batch", home.batch(ward))
            await trouble.honest(f"{why}, a record for the queue", home.hand_in())
            await trouble.honest(f"{why}, another start", home.start())

        async def one(number: int) -> None:
            ward, other = disk / "ward", disk / "other"
            documents(ward, _DOCUMENTS)
            documents(other, _DOCUMENTS)
            with ExitStack() as stack:

                def far(done: int) -> None:
                    if done == 2:
                        stack.enter_context(full(disk))

                await trouble.honest("full in the middle of a batch", home.batch(ward, far))
                await refused("full", 4 * number, ward)
            await all_works(4 * number + 1, ward)
            with read_only(disk):
                await refused("read-only", 4 * number + 2, other)
            await all_works(4 * number + 3, other)
            if left := home.clean():
                into.broken.append(f"left behind: {left}")

        await course(into, "full and empty, read-only and not", times, one, kept=_ANSWERS)
    into.notes += [f"{what}, {count} times" for what, count in sorted(trouble.met.items())]
    into.broken += trouble.findings[:3]
    return into


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_soak(Path(sys.argv[1]), int(sys.argv[2]))))))  # noqa: T201
