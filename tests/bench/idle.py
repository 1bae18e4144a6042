"""What an agent takes that nobody uses, with one card in the reader of a real pcscd, and what runs beside it.

Memory, processor time and wake-ups of the processes, as Linux counts them. The minute begins a few seconds
after the start, as it does for people.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench.cards import PIN, card_in
from tests.bench.starts import write_ports
from tests.bench.tables import Table
from tests.support.agent import PORTAL
from tests.support.nats_server import PROGRAM as NATS
from tests.support.nats_server import NatsServer
from tests.support.pcscd import PrivatePcscd, private_pcscd, why_not
from tests.support.waiting import until

_SETTLED_SECONDS: Final = 10.0
_START_SECONDS: Final = 60.0
_PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED of a process, <linux/posix-timers.h>
_PAGE: Final = """
import asyncio, sys, aiohttp
async def page(url, origin):
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers={"Origin": origin}) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "agent.hello", "params": {}})
        async for message in socket:
            if "result" in message.json():  # a notification may come first, and many come later
                print("greeted", flush=True)
asyncio.run(page(*sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may take in a minute.

    Attributes:
        megabytes: resident.
        seconds: of the processor.
        wakeups: of all its threads.
    """

    megabytes: float
    seconds: float
    wakeups: int


BOUNDS: Final = {
    "an agent, and nothing else": Bounds(50.0, 0.005, 12),
    "an agent with its tray": Bounds(65.0, 0.005, 12),
    "its tray": Bounds(40.0, 0.005, 12),
    "an agent to which a page is connected": Bounds(60.0, 0.005, 12),
    "an agent with a queue": Bounds(60.0, 0.02, 30),
    "a worker of a broker": Bounds(80.0, 0.08, 110),
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours."""

    pid: int

    @property
    def _folder(self) -> Path:
        return Path("/proc", str(self.pid))

    def memory(self) -> tuple[float, float]:
        """Return what is in memory, and that with what it shares in shares; in MB of 1024 × 1024 bytes."""
        told = (self._folder / "smaps_rollup").read_text()
        resident, proportional = (
            int(found[1]) / 1024
            for name in ("Rss", "Pss")
            if (found := re.search(rf"^{name}:\s+(\d+) kB$", told, re.MULTILINE))
        )
        return resident, proportional

    def seconds(self) -> float:
        """Return the processor time of all its threads, to the nanosecond (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.pid << 3 | _PROCESS_CLOCK)

    def wakeups(self) -> int:
        """Return how often one of its threads has waited and gone on."""
        told = "".join((task / "status").read_text() for task in (self._folder / "task").iterdir())
        return sum(
            int(count) for count in re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", told, re.MULTILINE)
        )

    def took(self) -> tuple[float, int]:
        """Return seconds of the processor and wake-ups so far."""
        return self.seconds(), self.wakeups()

    def child(self) -> Process:
        """Return the one process it has started; waits for it."""

        def children() -> list[str]:
            tasks = (self._folder / "task").iterdir()
            return [pid for task in tasks for pid in (task / "children").read_text().split()]

        until(lambda: len(children()) == 1, "there is no process beside it", _START_SECONDS)
        return Process(int(children()[0]))


def minute(seconds: int) -> Table:
    """Watch them for so many seconds, side by side; the bounds are of a minute."""
    table = Table(
        f"Processes that nobody uses, one card in the reader, for {seconds} s",
        ("what", "resident", "proportional", "processor", "wake-ups a minute"),
    )
    if reason := why_not():
        return table.left_out(reason)
    with TemporaryDirectory(prefix="hca-agent-bench-") as folder, private_pcscd() as pcscd, card_in(pcscd):
        idlers = _Idlers(pcscd, Path(folder))
        try:
            names, processes = zip(*idlers.start(), strict=True)
            time.sleep(_SETTLED_SECONDS)
            before = [process.took() for process in processes]
            time.sleep(seconds)
            after = [process.took() for process in processes]
            memory = [process.memory() for process in processes]
        finally:
            idlers.end()
    for name, (resident, proportional), then, now in zip(names, memory, before, after, strict=True):
        worked, woke = ((b - a) * 60 / seconds for a, b in zip(then, now, strict=True))
        table.rows.append(
            (name, f"{resident:.1f} MB", f"{proportional:.1f} MB", f"{worked:.4f} s", f"{woke:.0f}")
        )
        bounds = BOUNDS[name]
        if resident > bounds.megabytes:
            table.broken.append(f"{name}: {resident:.1f} MB are more than {bounds.megabytes:.0f}")
        if worked > bounds.seconds:
            table.broken.append(f"{name}: it worked for {worked:.4f} s, more than {bounds.seconds:g}")
        if woke > bounds.wakeups:
            table.broken.append(f"{name}: it woke {woke:.0f} times, more than {bounds.wakeups}")
    table.notes.append("They share what is proportional: of one alone it is more.")
    return table


class _Idlers:
    """The processes that are watched.

    Args:
        pcscd: the service that they have to do with.
        folder: where theirs are.
    """

    def __init__(self, pcscd: PrivatePcscd, folder: Path) -> None:
        self._pcscd = pcscd
        self._folder = folder
        self._running: list[Popen[bytes]] = []

    def start(self) -> Iterator[tuple[str, Process]]:
        """Start them one after the other."""
        agent = self._agent("tray", bus=self._bus())
        yield "an agent with its tray", agent
        yield "its tray", agent.child()
        yield "an agent to which a page is connected", self._agent_with_page()
        records = self._folder / "records"
        records.mkdir()
        queue = f'[queue]\nenabled = true\nfolders = ["{records}"]\n'
        yield "an agent with a queue", self._agent("queue", settings=queue)
        yield "a worker of a broker", self._worker()
        yield "an agent, and nothing else", self._agent("alone")

    def end(self) -> None:
        """End them, the last first."""
        while self._running:
            _end(self._running.pop())

    def _popen(self, words: Sequence[str], home: Path, **environment: str) -> Popen[bytes]:
        environment = {**os.environ, "HCA_AGENT_HOME": str(home), "LC_ALL": "C.UTF-8", **environment}
        running = self._pcscd.popen(words, env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        self._running.append(running)
        return running

    def _bus(self) -> str:
        """Run a session bus; no panel is there, and a tray waits for one."""
        bus = self._popen(["dbus-daemon", "--session", "--nofork", "--print-address"], self._folder)
        return str(bus.stdout.readline().decode().strip())

    def _agent(self, name: str, bus: str = "", settings: str = "") -> Process:
        """Run an agent; with its tray where there is a session bus."""
        home = self._folder / name
        home.mkdir()
        write_ports(home)
        with (home / "config.toml").open("a") as file:
            file.write(settings)
        words = [sys.executable, "-m", "agent", "run", *([] if bus else ["--headless"])]
        environment = {"DBUS_SESSION_BUS_ADDRESS": bus, "DISPLAY": ":nobody"} if bus else {}
        inventory = home / "inventory.json"

        def run() -> Process:
            running = self._popen(words, home, **environment)
            until(inventory.exists, f"{name} did not start", _START_SECONDS)
            return Process(running.pid)

        run()  # the first start makes keys and certificates, and stays larger for it
        _end(self._running.pop())
        inventory.unlink()
        return run()

    def _agent_with_page(self) -> Process:
        agent = self._agent("page")
        told = json.loads((self._folder / "page" / "inventory.json").read_bytes())
        [port] = told["ports"]["native"]
        page = self._popen([sys.executable, "-c", _PAGE, f"http://localhost:{port}/v1", PORTAL], self._folder)
        if b"greeted" not in page.stdout.readline():
            raise RuntimeError("the page was not answered")
        return agent

    def _worker(self) -> Process:
        server = NatsServer(self._folder / "broker")
        self._popen([NATS, "-c", str(server.folder / "nats.conf")], self._folder)
        home = self._folder / "worker"
        home.mkdir()
        words = ["worker", "--pin-stdin", "--server", *server.settings.servers]
        worker = self._popen([sys.executable, "-m", "agent", *words], home)
        worker.stdin.write(f"{PIN}\n".encode())
        worker.stdin.flush()
        while b"takes jobs" not in (line := worker.stdout.readline()):
            if not line:
                raise RuntimeError("the worker did not start")
        return Process(worker.pid)


def _end(running: Popen[bytes]) -> None:
    running.terminate()
    running.communicate(timeout=_START_SECONDS)
