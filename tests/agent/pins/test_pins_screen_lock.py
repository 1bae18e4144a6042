from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.pins import screen_lock
from tests.support.waiting import until_async

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is asked on Linux only")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


async def say(address: str, member: str, *arguments: str) -> None:
    words = ["--bus=" + address, "--type=signal", "/org/freedesktop/ScreenSaver", member, *arguments]
    child = await asyncio.create_subprocess_exec("dbus-send", *words)
    assert await child.wait() == 0


async def heard(locks: list[int], count: int) -> None:
    await until_async(lambda: len(locks) >= count)


async def test_a_locked_screen_is_heard_of_and_an_unlocked_one_is_not(bus: str) -> None:
    locks: list[int] = []
    async with screen_lock.watched(lambda: locks.append(1)):
        await say(bus, "org.freedesktop.ScreenSaver.ActiveChanged", "boolean:false")
        await say(bus, "org.example.ScreenSaver.ActiveChanged", "boolean:true")
        await say(bus, "org.freedesktop.ScreenSaver.ActiveChanged", "boolean:true")
        await heard(locks, 1)
        await say(bus, "org.gnome.ScreenSaver.ActiveChanged", "boolean:true")
        await heard(locks, 2)
    await say(bus, "org.freedesktop.ScreenSaver.ActiveChanged", "boolean:true")
    await asyncio.sleep(0.1)  # nothing may be heard meanwhile
    assert len(locks) == 2


async def test_without_a_bus_nothing_is_heard_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all")
    async with screen_lock.watched(lambda: None):
        pass
