"""Another user of the machine opens sockets without end and says nothing: the owner does not notice."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import psutil
import pytest

from tests.support.agent import Page
from tests.support.ports import free_ports
from tests.support.waiting import until_async

if sys.platform == "win32":
    pytest.skip("becoming another user takes root", allow_module_level=True)

import resource

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="becoming another user takes root"
    ),
]
NOBODY: Final = 65534
PORTAL: Final = "https://portal.example.tw"
SOCKETS: Final = 2000

_ATTACKER: Final = """
import resource, socket, sys
import os
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
port, many, held = int(sys.argv[1]), int(sys.argv[2]), []
print("ready", flush=True)
sys.stdin.readline()
opened = 0
while opened < many:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    held.append(one)
    opened += 1
print("open", flush=True)
sys.stdin.readline()
"""


class Attack:
    """A process of another user that opens sockets and holds them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await asyncio.wait_for(self._process.stdout.readline(), 60)

    async def begin(self) -> None:
        assert self._process.stdin is not None
        assert await self._line() == b"ready\n"
        self._process.stdin.write(b"\n")

    async def all_open(self) -> None:
        assert await self._line() == b"open\n"


@asynccontextmanager
async def attack(port: int, many: int = SOCKETS) -> AsyncIterator[Attack]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ATTACKER, str(port), str(many), stdin=pipe, stdout=pipe
    )
    try:
        yield Attack(process)
    finally:
        process.kill()
        await process.wait()


class Agent:
    """`hca-agent run` as a process of its own."""

    def __init__(self, pid: int, native: int, tls: int, home: Path, error: Path) -> None:
        self.process = psutil.Process(pid)
        self.native, self.tls, self.home, self.error = native, tls, home, error

    @property
    def resident(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def log_lines(self) -> int:
        written = [self.error, *self.home.glob("hca-agent.log*")]
        return sum(len(path.read_bytes().splitlines()) for path in written)


@contextmanager
def limited(descriptors: int | None) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /status HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
    answer = await reader.readline()
    writer.close()
    return b" 200 " in answer


def _configured(home: Path, native: int, tls: int) -> Path:
    home.mkdir()
    (home / "config.toml").write_text(
        f'[origins]\nallow = ["{PORTAL}"]\n[ports]\nnative = {native}\n[servisign]\nports = [{tls}]\n'
        "[hipki]\nenabled = false\n"
    )
    return home / "stderr"


@asynccontextmanager
async def running(home: Path, descriptors: int | None = None) -> AsyncIterator[Agent]:
    native, tls = free_ports(2)
    error = _configured(home, native, tls)
    with limited(descriptors), error.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", "--headless", "--simulate", "hpc",
            env=os.environ | {"HCA_AGENT_HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL, stderr=stream,
        )  # fmt: skip
    try:
        agent = Agent(process.pid, native, tls, home, error)

        async def answers() -> bool:
            if await _answers(native):
                return True
            assert process.returncode is None, error.read_text()
            return False

        await until_async(answers, error.read_text, 60)
        yield agent
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


async def log_in(agent: Agent, times: int) -> list[float]:
    """Ask as an allowed portal's page, each time by a connection of its own; return the seconds of each."""
    context = ssl.create_default_context(cafile=str(agent.home / "tls" / "ca.pem"))
    loop, took = asyncio.get_running_loop(), []
    for _ in range(times):
        begin = loop.time()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
            http.ws_connect(
                f"https://localhost:{agent.tls}/v1", headers={"Origin": PORTAL}, ssl=context
            ) as page,
        ):
            await Page(page).call("card.read")
        took.append(loop.time() - begin)
    return took


@pytest.mark.parametrize("door", ["tls", "native"])
async def test_two_thousand_sockets_that_never_speak_are_not_noticed(tmp_path: Path, door: str) -> None:
    async with running(tmp_path / "home") as agent:
        await log_in(agent, 5)
        quiet = agent.resident
        async with attack(agent.tls if door == "tls" else agent.native) as sockets:
            await sockets.begin()
            during = await log_in(agent, 5)
            await sockets.all_open()
            during += await log_in(agent, 5)
            at_most = agent.resident
        assert len(during) == 10  # none was refused
        await log_in(agent, 1)
        assert agent.resident < quiet * 1.1, (quiet, at_most, agent.resident)
        assert at_most < quiet * 1.3, (quiet, at_most)
        assert agent.log_lines < 100
        await until_async(lambda: len(agent.process.net_connections()) < 40, "it keeps what is gone")


async def test_with_few_descriptors_the_owner_is_still_known_for_the_owner(tmp_path: Path) -> None:
    async with running(tmp_path / "home", descriptors=160) as agent:
        await log_in(agent, 2)
        async with attack(agent.tls) as sockets:
            await sockets.begin()
            assert len(await log_in(agent, 8)) == 8
            await sockets.all_open()
        # The owner's own silent sockets take what there is, and are let go of for a new one.
        silent = [socket.create_connection(("127.0.0.1", agent.native)) for _ in range(150)]
        try:
            assert len(await log_in(agent, 3)) == 3
        finally:
            for each in silent:
                each.close()
        assert agent.log_lines < 100
