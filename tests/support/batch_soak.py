"""A batch that is interrupted at random moments, again and again, and what must be true when it is done.

python -m tests.support.batch_soak killed 2000 20    # SIGKILL; the form of the issue
python -m tests.support.batch_soak pulled 2000 20    # the card
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.batch.choice import Choice
from agent.batch.engine import Engine, Outcome, Progress
from agent.batch.files import FileBatch, FileItem
from agent.batch.listing import JOURNAL, entries_of_folder
from agent.errors import error_id
from agent.interaction import ItemShown, PinQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.vocabulary import SessionEnd, Verb
from signing.cms.verify import verify_cms
from tests.support.batches import documents
from tests.support.cards import simulated, simulator_ca, simulator_folder
from tests.support.operations import OWN, PIN, agent


@dataclass
class Course:
    """What happened: results as they were first seen, how often it began, signatures that reached no disk."""

    outputs: Path
    seen: dict[str, bytes] = field(default_factory=dict)
    runs: int = 0
    pins: int = 0
    lost: int = 0
    stops: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Whatever is there stays as it is: a result that changes was made twice."""
        for path in self.outputs.glob("*.p7s"):
            digest = hashlib.sha256(path.read_bytes()).digest()
            if self.seen.setdefault(path.name, digest) != digest:
                raise AssertionError(f"{path.name} was written twice")

    def check(self, paths: Sequence[Path]) -> None:
        """Every document has one signature that holds, and nothing else lies about."""
        self.look()
        there = {path.name for path in self.outputs.iterdir() if not path.name.startswith(JOURNAL)}
        wanted = {f"{path.name}.p7s" for path in paths}
        if there != wanted:
            raise AssertionError(
                f"missing {sorted(wanted - there)[:5]}, too many {sorted(there - wanted)[:5]}"
            )
        for path in paths:
            verify_cms((self.outputs / f"{path.name}.p7s").read_bytes(), path.read_bytes())


def _some_of(left: int, times: int, dice: random.Random) -> int:
    """Return after how many of those left to interrupt it, with so many times to come; 0 now and then."""
    return dice.randrange(max(1, 2 * left // (max(times, 0) + 1))) if dice.random() < 0.9 else 0


def killed(folder: Path, count: int, kills: int, dice: random.Random) -> Course:
    """The program itself, with SIGKILL at random moments."""
    home, ward = folder / "home", folder / "ward"
    home.mkdir(mode=0o700)
    simulator_ca()
    (home / "simulator").symlink_to(simulator_folder())
    paths = documents(ward, count)
    course = Course(ward / "signed")
    options = ("--simulate", "hpc", "--pin-stdin", "--resume")
    command = [sys.executable, "-m", "agent", "batch", str(ward), *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"HCA_AGENT_HOME": str(home)}
    while course.runs <= kills + 1:
        # Some die before the list is fixed or the PIN was asked, most while they sign, all over the list.
        lines = _some_of(count - len(course.seen), kills - course.runs, dice)
        seconds = dice.random() * (0.05 if lines else 3)
        course.runs += 1
        with subprocess.Popen(command, env=environment, text=True, **pipes) as running:
            assert running.stdin and running.stdout and running.stderr
            with suppress(BrokenPipeError):
                running.stdin.write(f"{PIN}\n")
                running.stdin.close()
            if course.runs <= kills:
                for _ in range(lines):
                    if not running.stdout.readline():
                        break
                time.sleep(seconds)
                running.send_signal(signal.SIGKILL)
                running.stdout.read()
            else:
                running.stdout.read()
                if running.wait():
                    raise AssertionError(running.stderr.read())
        course.look()
        if running.returncode == 0:
            break
    rows = [json.loads(line) for line in (home / "audit.jsonl").read_text("utf-8").splitlines()]
    course.pins = sum(row["verb"] == "session" and row["result"] == "ok" for row in rows)
    course.lost = sum(row["verb"] == "sign" and row["result"] == "ok" for row in rows) - count
    course.check(paths)
    return course


async def pulled(folder: Path, count: int, pulls: int, dice: random.Random) -> Course:
    """Operations and engine in this process, with the card pulled out at random moments."""
    ward = folder / "ward"
    paths = documents(ward, count)
    course = Course(ward / "signed")
    person = ScriptedInteraction(pins=[PIN] * (pulls + 2))
    async with agent(folder, "hpc", interaction=person) as world:
        while course.runs <= pulls + 1:
            course.runs += 1
            with FileBatch(ward, course.outputs, "ward") as batch:
                if batch.unfinished():
                    batch.resume()
                else:
                    batch.declare(entries_of_folder(ward, Choice(), course.outputs), count)
                done, of = batch.counts()
                items = [ItemShown(each.file, each.size, "cades", each.digest) for each in batch.waiting()]
                session = await world.operations.open_session(OWN, items=items)
                after = _some_of(of - done, pulls - course.runs + 1, dice) if course.runs <= pulls else of + 1
                pull = threading.Timer(dice.random() * 0.02, world.reader.remove)

                def far(
                    _outcome: Outcome[FileItem],
                    progress: Progress,
                    after: int = after,
                    pull: threading.Timer = pull,
                ) -> None:
                    if progress.done == after:
                        pull.start()

                if not after:
                    pull.start()
                summary = await Engine(batch, of - done, far).run([session])
                session.end(SessionEnd.CLOSED)
            course.look()
            if pull.ident is not None:
                pull.join()
            if world.reader.card is None:
                world.reader.insert(simulated("hpc"))
            if summary.stopped is None:
                break
            if not error_id(summary.stopped).startswith(("card.", "signing_session.ended")):
                raise summary.stopped
            course.stops.append(error_id(summary.stopped))
        if world.tries != 3:
            raise AssertionError(f"{world.tries} tries are left")
        course.lost = sum(row.verb is Verb.SIGN and row.result == "ok" for row in world.audit()) - count
    course.pins = sum(isinstance(each, PinQuestion) for each in person.questions)
    course.check(paths)
    return course


def main() -> None:
    """Run one of them in its full form and say what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("killed", "pulled"))
    parser.add_argument("documents", type=int)
    parser.add_argument("times", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    dice = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        if options.how == "killed":
            course = killed(Path(name), options.documents, options.times, dice)
        else:
            course = asyncio.run(pulled(Path(name), options.documents, options.times, dice))
    print(  # noqa: T201
        f"{options.documents} documents, each signed once and whole; {course.runs} runs, {course.pins} PINs,"
        f" {course.lost} signatures that reached no disk;"
        f" {time.monotonic() - began:.0f} s; {sorted(set(course.stops))}"
    )


if __name__ == "__main__":
    main()
