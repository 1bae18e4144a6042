"""The tray on a real desktop: a real panel shows it, and somebody with a mouse and a keyboard uses it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

if sys.platform == "win32":
    pytest.skip("a desktop of Linux", allow_module_level=True)

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.support.agent import PORTAL, Page
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.desktop import Desktop, missing, private_desktop
from tests.support.ports import free_ports
from tests.support.waiting import LIMIT, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}"),
]

SECONDS = 30.0
ICON = (16, 16)
AWAY = (900, 600)
ICON_PART = "26x26+3+3"
MENU_PART = "300x300+0+40"
MENU_PART = "600x400+0+0"

WATCHER = "org.kde.StatusNotifierWatcher"
LABELS = ("自我檢測", "允許的網站", "最近的活動", "開啟記錄資料夾", "重新啟動", "結束")


class GoneError(Exception):
    """There is no tray on the bus, or none any more."""


def wait_for(what: str, condition: Callable[[], object]) -> None:
    def holds() -> object:
        # A tray that lost its connection to the bus connects again; of one that ended the panel may still
        # have the name.
        with suppress(GoneError):
            return condition()
        return False

    until(holds, f"{what}: not within {SECONDS:.0f} s", SECONDS, pause=0.1)


@dataclass
class Item:
    """An item of the menu as the panel reads it."""

    number: int
    label: str
    enabled: bool
    items: list[Item]


@dataclass
class Running:
    """An agent on the desktop."""

    desktop: Desktop
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    closed: bytes = b""

    def ask(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> list[Any]:
        """What the tray answers on the bus."""

        async def call() -> list[Any]:
            bus = await MessageBus(self.desktop.bus).connect()
            try:
                get = Message(
                    WATCHER,
                    "/StatusNotifierWatcher",
                    "org.freedesktop.DBus.Properties",
                    "Get",
                    signature="ss",
                    body=[WATCHER, "RegisteredStatusNotifierItems"],
                )
                registered = await bus.call(get)
                assert registered is not None
                names = registered.body[0].value if isinstance(registered.body[0], Variant) else []
                if not names:
                    raise GoneError
                name = names[0].split("/")[0]
                reply = await bus.call(
                    Message(name, path, interface, member, signature=signature, body=list(body))
                )
                assert reply is not None
                if reply.message_type is not MessageType.METHOD_RETURN:
                    raise GoneError(reply.body)
                return list(reply.body)
            finally:
                bus.disconnect()

        return asyncio.run(call())

    def menu(self) -> list[Item]:
        """The whole menu."""

        def item(layout: Any) -> Item:
            number, told, children = layout
            label = told["label"].value.strip() if "label" in told else ""
            enabled = told["enabled"].value if "enabled" in told else True
            return Item(number, label, enabled, [item(child.value) for child in children])

        _, layout = self.ask("/MenuBar", "com.canonical.dbusmenu", "GetLayout", "iias", 0, -1, [])
        return item(layout).items

    def labels(self, within: str = "") -> str:
        """Every label of the menu, or of the one within it that is called so; one a line."""
        items = self.menu()
        if within:
            (items,) = [one.items for one in items if within in one.label]
        return "\n".join(one.label for one in items)

    def await_icon(self) -> None:
        """Return when the panel shows the icon and the daemon has told the tray something."""
        wait_for("the menu on the bus", lambda: "自我檢測" in self.labels())
        picture = self.log.with_name("icon.png")
        wait_for("the icon in the panel", lambda: len(set(self.desktop.shoot(picture, ICON_PART))) > 200)
        time.sleep(0.5)  # nothing may be clicked while the panel still moves

    def choose(self, wanted: str) -> None:
        """Open the menu with the right button, and go down to an item with the keyboard."""
        self.open_menu()
        can_be_chosen = [one for one in self.menu() if one.label and one.enabled]
        steps = next(place for place, one in enumerate(can_be_chosen, 1) if wanted in one.label)
        self.desktop.screen.key(*["Down"] * steps, "Return")

    def open_menu(self) -> None:
        """Open the menu with the right button of the mouse; it is the panel's, and drawn when it stays."""
        self.closed = self.below_the_panel()
        self.desktop.screen.xdotool("mousemove", *map(str, ICON))
        self.desktop.screen.xdotool("click", "3")
        wait_for("the menu", lambda: self.closed != self.below_the_panel() == self.below_the_panel())

    def close_menu(self) -> None:
        """Close it, and put the mouse away."""
        self.desktop.screen.key("Escape", "Escape")
        self.desktop.screen.xdotool("mousemove", *map(str, AWAY))
        wait_for("its end", lambda: self.below_the_panel() == self.closed)

    def below_the_panel(self) -> bytes:
        """What is seen where the menu opens."""
        return self.desktop.shoot(self.log.with_name("menu.png"), MENU_PART)

    def close_only_window(self, part: str) -> None:
        """Wait for the one window whose title holds `part`, and close it by keyboard."""

        def there() -> list[str]:
            return [title for title in self.desktop.screen.titles() if part in title]

        self.desktop.screen.await_window(part)
        time.sleep(1.0)  # no second window may come meanwhile
        assert len(there()) == 1, there()
        self.desktop.screen.key("Escape")
        wait_for(f"{part} to close", lambda: not there())

    def trays(self) -> list[int]:
        """The processes of the tray."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                home = f"HCA_AGENT_HOME={self.desktop.home / 'agent'}".encode()
                if words[-2:-1] == [b"tray"] and home in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def answers(self) -> bool:
        """Whether the daemon serves."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=LIMIT) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


@contextmanager
def agent_on(desktop: Desktop) -> Iterator[Running]:
    folder = desktop.home / "agent"
    folder.mkdir(mode=0o700, exist_ok=True)
    simulator_ca()
    if not (folder / "simulator").exists():
        (folder / "simulator").symlink_to(simulator_folder())
    native, tls = free_ports(2)
    (folder / "config.toml").write_text(
        f'[ports]\nnative = {native}\n[servisign]\nports = [{tls}]\n[origins]\nallow = ["{PORTAL}"]\n'
    )
    log = desktop.home / "agent.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--simulate", "hpc"],
            env=desktop.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        running = Running(desktop, process, native, log)
        try:
            wait_for("the daemon", running.answers)
            yield running
        except BaseException:
            print(log.read_text())  # noqa: T201  (pytest shows it where a test failed)
            raise
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert not running.trays(), "no tray outlives its daemon"


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    with private_desktop(tmp_path) as one:
        one.start_panel()
        yield one


def test_the_icon_appears_its_menu_opens_in_chinese_and_its_items_work(
    desktop: Desktop, tmp_path: Path
) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        before = desktop.shoot(tmp_path / "closed.png", MENU_PART)
        agent.open_menu()
        assert desktop.shoot(tmp_path / "open.png", MENU_PART) != before
        agent.close_menu()
        wait_for("the menu closed", lambda: desktop.shoot(tmp_path / "again.png", MENU_PART) == before)

        labels = agent.labels()
        assert all(label in labels for label in LABELS)
        assert "【模擬卡 SIMULATED】有卡片" in labels and "查詢 PIN 碼剩餘次數" in labels

        agent.choose("自我檢測")
        wait_for("the page", lambda: desktop.opened == [f"browser http://localhost:{agent.port}/"])
        agent.choose("開啟記錄資料夾")
        wait_for("the folder", lambda: desktop.opened[1:] == [f"xdg-open {desktop.home / 'agent'}"])

        agent.choose("查詢 PIN 碼剩餘次數")
        wait_for("the tries", lambda: "還可以試 3 次" in agent.labels())
        assert "醫事人員卡 ********5361" in agent.labels()
        wait_for("the activity", lambda: "讀取卡片資料：完成" in agent.labels("最近的活動"))
    assert agent.process.returncode == 0, agent.log.read_text()
    assert "the tray ended" not in agent.log.read_text()


def test_a_double_click_and_the_menu_open_the_windows(desktop: Desktop) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        screen = desktop.screen
        screen.xdotool("mousemove", *map(str, ICON))
        screen.xdotool("click", "--repeat", "2", "--delay", "80", "1")
        agent.close_only_window("開放程式")
        agent.choose("允許的網站")
        agent.close_only_window("允許的網站")


def test_a_person_without_a_terminal_changes_a_pin_and_switches_autostart_on_by_the_menu(
    desktop: Desktop,
) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        screen = desktop.screen
        agent.choose("變更 PIN 碼")
        screen.await_window("變更 PIN 碼")
        for text in ("123456", "654321", "654321"):
            screen.type(text)
            screen.key("Return")
        screen.await_window("通知")
        wait_for("the activity", lambda: "變更或解鎖 PIN 碼：完成" in agent.labels("最近的活動"))
        agent.choose("登入時自動啟動")
        screen.await_window("登入時自動啟動")
        screen.key("alt+y")
        entry = desktop.home / ".config" / "autostart" / "hca-agent.desktop"
        wait_for("the entry", entry.exists)


def test_unblocking_opens_its_window_where_there_is_a_screen_and_no_terminal(desktop: Desktop) -> None:
    simulator_ca()
    folder = desktop.home / "agent"
    folder.mkdir(mode=0o700)
    (folder / "simulator").symlink_to(simulator_folder())
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "pin", "unblock", "--simulate", "hpc-locked"],
        env=desktop.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # and so without the terminal of whoever runs the tests
    ) as command:
        desktop.screen.await_window("解鎖 PIN 碼")
        for text in ("12345678", "654321", "654321"):
            desktop.screen.type(text)
            desktop.screen.key("Return")
        desktop.screen.await_window("通知")
        assert command.stdout is not None
        assert command.wait(2 * SECONDS) == 0
        assert "已解鎖" in command.stdout.read().decode()


async def sign_in_a_session(agent: Running, shown: Callable[[], None] = lambda: None) -> str:
    """A page opens a session, of which the person types the PIN, signs and is stopped; returns why it ended.

    `shown` is called while the session is open and the menu says so.
    """
    address, headers = f"http://127.0.0.1:{agent.port}/v1", {"Origin": PORTAL}
    async with aiohttp.ClientSession() as http, http.ws_connect(address, headers=headers) as socket:
        page, screen = Page(socket), agent.desktop.screen
        asked = await page.send("session.open", signatures=20, minutes=15)
        title = await asyncio.to_thread(screen.await_window, "連續簽章")
        assert "sign many documents with one PIN" in title
        await asyncio.to_thread(screen.type, "123456")
        await asyncio.to_thread(screen.key, "Return")
        session = (await page.answer(asked))["result"]["session"]
        for _ in range(2):
            await page.call("session.sign", session=session, document="AAAA")

        def told() -> bool:
            labels = agent.labels()
            return "連續簽章 Signing session" in labels and PORTAL in labels and "還可以簽 18 份" in labels

        await asyncio.to_thread(wait_for, "the session in the menu", told)
        await asyncio.to_thread(shown)
        await asyncio.to_thread(agent.choose, "停止連續簽章")
        ended = await page.notification()
        while ended["method"] != "session.ended":
            ended = await page.notification()
        await asyncio.to_thread(wait_for, "its end", lambda: "連續簽章 Signing" not in agent.labels())
        return str(ended["params"]["reason"])


def test_a_pages_session_is_agreed_to_in_a_window_seen_in_the_icon_and_stopped_in_the_menu(
    desktop: Desktop, tmp_path: Path
) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        icon = desktop.shoot(tmp_path / "before.png", ICON_PART)
        signing: list[bytes] = []

        def shown() -> None:
            wait_for("another icon", lambda: desktop.shoot(tmp_path / "open.png", ICON_PART) != icon)
            signing.append((tmp_path / "open.png").read_bytes())

        assert asyncio.run(sign_in_a_session(agent, shown)) == "stopped"
        wait_for(
            "the icon as it was", lambda: desktop.shoot(tmp_path / "after.png", ICON_PART) not in signing
        )
        written = (desktop.home / "agent" / "audit.jsonl").read_text()
        assert '"result":"ended.stopped"' in written


def test_restart_begins_the_daemon_anew_and_quit_ends_it(desktop: Desktop) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        (first,) = agent.trays()
        agent.choose("重新啟動")
        desktop.screen.await_window("要重新啟動")
        desktop.screen.key("alt+r")
        wait_for("the next tray", lambda: agent.trays() not in ([], [first]) and agent.answers())
        assert agent.process.poll() is None, "on this system the process stays the same"
        agent.await_icon()
        agent.choose("結束")
        desktop.screen.await_window("要結束")
        desktop.screen.key("alt+q")
        assert agent.process.wait(SECONDS) == 0
        assert agent.log.read_text().count("已停止") == 2


def test_a_tray_that_is_killed_comes_back_and_so_does_one_whose_panel_restarts(desktop: Desktop) -> None:
    with agent_on(desktop) as agent:
        agent.await_icon()
        (first,) = agent.trays()
        os.kill(first, signal.SIGKILL)
        wait_for("the next tray", lambda: agent.trays() not in ([], [first]))
        assert agent.answers()
        agent.await_icon()
        (second,) = agent.trays()
        desktop.stop_panel()
        assert agent.trays() == [second]
        desktop.start_panel()
        agent.await_icon()
        assert agent.trays() == [second]


def test_a_desktop_without_a_session_bus_has_no_tray_and_the_daemon_goes_on(desktop: Desktop) -> None:
    desktop.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={desktop.home}/no-bus"
    with agent_on(desktop) as agent:
        wait_for("the tray's word", lambda: "no tray icons" in agent.log.read_text())
        assert agent.answers() and not agent.trays()
        assert not re.search(r"Traceback", agent.log.read_text())
