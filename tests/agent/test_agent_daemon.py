"""The daemon from its start to its end: ports, notices, signals, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import Config, OriginSettings, PortSettings, ServiSignSettings
from agent.daemon import Daemon, serve
from agent.errors import AgentError
from agent.interaction.scripted import ScriptedInteraction
from agent.paths import Paths
from agent.server import ports, token
from hca_card.pin import Pin
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from tests.support.agent import ANY_PORT, running_agent
from tests.support.operations import PORTAL, until
from tests.support.platforms import WINDOWS, is_private
from tests.support.ports import free_ports
from tests.support.waiting import LIMIT


def nothing_inserted() -> Service:
    winscard = VirtualWinscard()
    winscard.add_reader("Virtual Reader")
    return Service(winscard)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    taken: list[int] = []

    def ready(daemon: Daemon) -> None:
        taken.extend((daemon.native_port, daemon.tls_port))
        os.kill(os.getpid(), number)

    before, handler = threading.active_count(), signal.getsignal(number)
    async with asyncio.timeout(LIMIT):
        await serve(
            ANY_PORT, nothing_inserted(), ScriptedInteraction(), Paths(tmp_path, tmp_path), ready=ready
        )
    assert signal.getsignal(number) is handler
    for port in taken:
        ports.listen([port]).close()
    left = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")]
    assert len(left) <= before, left


async def test_a_second_agent_is_refused_and_does_not_touch_the_first(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as first:
        secret, port = token.read(first.paths.token), first.daemon.native_port
        second = Daemon(
            Config(ports=PortSettings(port), servisign=ServiSignSettings(ports=(0,))),
            nothing_inserted(),
            ScriptedInteraction(),
            first.paths,
        )
        with pytest.raises(AgentError) as caught:
            await second.start()
        assert caught.value.error_id == "port.taken"
        assert token.read(first.paths.token) == secret
        async with first.http.get(f"{first.clear}/status") as response:
            assert response.status == 200


@pytest.mark.slow
async def test_the_next_port_is_taken_and_the_person_is_told_of_the_conflict(tmp_path: Path) -> None:
    taken, free = free_ports(2)
    other = ports.listen([taken])
    config = Config(ports=PortSettings(0), servisign=ServiSignSettings(ports=(taken, free)))
    try:
        async with running_agent(tmp_path, config=config) as agent:
            assert agent.daemon.tls_port == free
            assert [conflict.port for conflict in agent.daemon.conflicts] == [taken]
            await agent.notices_shown()
            assert [en for _, en in agent.interaction.notices if str(taken) in en]
    finally:
        other.close()


async def test_a_new_certificate_is_announced_once(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        async with running_agent(tmp_path) as agent:
            await agent.notices_shown()
            told.append([en for _, en in agent.interaction.notices if "certificate" in en])
    assert [len(each) for each in told] == [1, 0]


async def test_a_stopped_agent_can_be_started_again_on_the_same_ports(tmp_path: Path) -> None:
    native, tls = free_ports(2)
    config = Config(ports=PortSettings(native), servisign=ServiSignSettings(ports=(tls,)))
    for _ in range(2):
        async with running_agent(tmp_path, config=config) as agent:
            assert (agent.daemon.native_port, agent.daemon.tls_port) == (native, tls)
            async with agent.page() as page:
                await page.call("card.read")


async def test_it_runs_without_a_smart_card_service_and_serves_when_there_is_one(tmp_path: Path) -> None:
    winscard = VirtualWinscard()
    winscard.stop_service()
    paths = Paths(tmp_path, tmp_path)
    async with Daemon(ANY_PORT, Service(winscard), ScriptedInteraction(), paths) as daemon:
        assert daemon.native_port


async def test_the_folder_holds_no_secret_that_others_can_read(tmp_path: Path) -> None:
    async with running_agent(tmp_path / "home") as agent:
        async with agent.page() as page:
            await page.call("sign", document="dGV4dA==")
        files = [path for path in agent.paths.home.rglob("*") if path.is_file()]
        assert {"token", "leaf.key", "audit.jsonl"} <= {path.name for path in files}
        # On Windows files are as the folder says, but Wine does not know that.
        assert all(map(is_private, [agent.paths.home] if WINDOWS else files))
        for path in files:
            assert b"123456" not in path.read_bytes(), path


async def test_a_locked_screen_ends_every_kept_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks: list[Callable[[], None]] = []

    @asynccontextmanager
    async def watched(locked: Callable[[], None]) -> AsyncIterator[None]:
        locks.append(locked)
        yield

    monkeypatch.setattr("agent.pins.screen_lock.watched", watched)
    config = replace(ANY_PORT, origins=OriginSettings(allow=frozenset({PORTAL.origin or ""})))
    async with running_agent(tmp_path, config=config) as agent:
        assert agent.daemon.operations is not None
        assert locks == []
        kept = await agent.daemon.operations.keep_pin(PORTAL, Pin("123456"))
        await until(lambda: bool(locks), "nobody listens")
        assert not kept.wiped
        [lock] = locks
        lock()
        assert kept.wiped


@pytest.mark.slow
async def test_forgetting_a_site_on_the_command_line_takes_effect_at_once(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    site = "https://new.example.tw"
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(site) as page:
        await page.call("readers.list")
        await page.call("readers.list")
        assert len(person.questions) == 1
        words = [sys.executable, "-m", "agent", "origins", "forget", site]
        child = await asyncio.create_subprocess_exec(
            *words, env={**os.environ, "HCA_AGENT_HOME": str(tmp_path)}, stdout=subprocess.DEVNULL
        )
        assert await child.wait() == 0
        await page.call("readers.list")
        assert len(person.questions) == 2
