"""The icon of Windows and macOS, with a pystray that only remembers what it was told."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from agent.tray.messages import Choice, Chosen, TraySession, TrayState, line, read_from_tray
from tests.support.tray import tray_state
from tests.support.waiting import LIMIT
from tray.daemon_link import DaemonLink
from tray.portable import Portable


@dataclass
class FakeItem:
    text: str
    action: Any
    default: bool = False
    enabled: bool = True


class FakeMenu:
    SEPARATOR = object()

    def __init__(self, *items: Any) -> None:
        self.items = items


@dataclass
class FakeIcon:
    name: str
    icon: Any
    title: str
    menu: FakeMenu
    visible: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    threads: set[str] = field(default_factory=set)

    def run(self, setup: Callable[[Any], None]) -> None:
        thread = threading.Thread(target=setup, args=(self,))
        thread.start()
        assert self.stopped.wait(LIMIT)
        thread.join()

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pystray, pil, image = ModuleType("pystray"), ModuleType("PIL"), ModuleType("PIL.Image")
    pystray.Icon, pystray.Menu, pystray.MenuItem = FakeIcon, FakeMenu, FakeItem  # type: ignore[attr-defined]
    image.frombytes = lambda mode, size, data: (mode, size, data)  # type: ignore[attr-defined]
    pil.Image = image  # type: ignore[attr-defined]
    for module in (pystray, pil, image):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return pystray


def state(name: str = "R&D Reader") -> TrayState:
    return tray_state(name)


def shown(portable: Portable) -> FakeIcon:
    icon = portable._icon
    assert isinstance(icon, FakeIcon)
    return icon


@pytest.mark.usefixtures("toolkit")
def test_it_shows_what_the_daemon_tells_and_ends_with_it() -> None:
    portable = Portable(DaemonLink(io.BytesIO(line(state())), io.BytesIO()), "win32")
    before = shown(portable).icon
    assert portable.run() == 0
    icon = shown(portable)
    assert icon.visible and icon.icon != before
    mode, size, data = icon.icon
    assert (mode, size, len(data)) == ("RGBA", (64, 64), 64 * 64 * 4)
    assert "卡片已就緒" in icon.title and len(icon.title) < 128
    items = [item for item in icon.menu.items if isinstance(item, FakeItem)]
    assert [item.text for item in items if item.default] == ["關於 HCA Card Agent 1 · About"]
    (activity,) = [item for item in items if "最近的活動" in item.text]
    assert isinstance(activity.action, FakeMenu)
    assert FakeMenu.SEPARATOR in icon.menu.items


@pytest.mark.usefixtures("toolkit")
@pytest.mark.parametrize(("platform", "label"), [("win32", "R&&D Reader"), ("linux", "R&D Reader")])
def test_an_ampersand_is_shown_as_one(platform: str, label: str) -> None:
    portable = Portable(DaemonLink(io.BytesIO(line(state())), io.BytesIO()), platform)
    portable.run()
    assert any(label in item.text for item in shown(portable).menu.items if isinstance(item, FakeItem))


@pytest.mark.usefixtures("toolkit")
def test_what_is_chosen_reaches_the_daemon() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as daemon, os.fdopen(theirs, "wb") as outgoing:
        portable = Portable(DaemonLink(io.BytesIO(line(state())), outgoing), "win32")
        portable.run()
        (item,) = [
            item for item in shown(portable).menu.items if isinstance(item, FakeItem) and "結束" in item.text
        ]
        item.action(shown(portable), item)
        assert read_from_tray(daemon.readline()) == Chosen(choice=Choice.QUIT)


@pytest.mark.usefixtures("toolkit")
@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_an_open_session_is_shown_and_its_stop_reaches_the_daemon(platform: str) -> None:
    session = TraySession(number="7f3a90c1", origin="https://a.tw", left=3, until=datetime.now(UTC))
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as daemon, os.fdopen(theirs, "wb") as outgoing:
        told = line(tray_state("Reader", sessions=(session,)))
        portable = Portable(DaemonLink(io.BytesIO(told), outgoing), platform)
        portable.run()
        icon = shown(portable)
        items = [item for item in icon.menu.items if isinstance(item, FakeItem)]
        assert "還可以簽 3 份" in icon.title
        assert any("https://a.tw" in item.text for item in items)
        [stop] = [item for item in items if "停止連續簽章" in item.text]
        stop.action(icon, stop)
        chosen = read_from_tray(daemon.readline())
        assert chosen == Chosen(choice=Choice.STOP_SESSION, session="7f3a90c1")


@pytest.mark.usefixtures("toolkit")
def test_a_daemon_that_speaks_nonsense_ends_it_with_an_error() -> None:
    portable = Portable(DaemonLink(io.BytesIO(b'{"type":"state"}\n'), io.BytesIO()), "win32")
    assert portable.run() == 1


@pytest.mark.usefixtures("toolkit")
def test_on_macos_the_toolkit_is_only_touched_on_its_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    helper, package = ModuleType("PyObjCTools.AppHelper"), ModuleType("PyObjCTools")

    def call_after(act: Callable[[], None]) -> None:
        called.append(getattr(act, "__name__", "show"))
        act()

    helper.callAfter = call_after  # type: ignore[attr-defined]
    package.AppHelper = helper  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyObjCTools", package)
    monkeypatch.setitem(sys.modules, "PyObjCTools.AppHelper", helper)
    portable = Portable(DaemonLink(io.BytesIO(line(state())), io.BytesIO()), "darwin")
    assert portable.run() == 0
    assert called == ["show", "stop"]
