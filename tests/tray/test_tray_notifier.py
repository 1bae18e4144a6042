"""The icon on a session bus of its own, read as a panel reads it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import pytest

if sys.platform == "win32":
    pytest.skip("needs D-Bus", allow_module_level=True)

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method

from agent.tray.messages import NO_TRAY, Choice, Chosen, Opened, ProblemKind, TrayProblem, TrayState
from tests.support.desktop import session_bus
from tests.support.log import Log
from tests.support.operations import until
from tests.support.tray import tray_state
from tests.support.waiting import LIMIT
from tray.icon_states import Face, face
from tray.notifier import WATCHER, WATCHER_PATH, Notifier

pytestmark = pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="needs D-Bus")

ITEM, MENU = "org.kde.StatusNotifierItem", "com.canonical.dbusmenu"
ITEM_PATH, MENU_PATH = "/StatusNotifierItem", "/MenuBar"


def state(*names: str, answers: int = 0, problem: bool = False) -> TrayState:
    problems = (TrayProblem(kind=ProblemKind.TRUST),) if problem else ()
    return tray_state(*names, answers=answers, problems=problems)


class ScriptedLink:
    """A daemon by script."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[TrayState | None] = asyncio.Queue()
        self.choices: list[Chosen] = []
        self.openings: list[int] = []
        self.answer: TrayState | None = None

    def send(self, message: Chosen | Opened) -> None:
        if isinstance(message, Chosen):
            self.choices.append(message)
            return
        self.openings.append(message.number)
        if self.answer is not None:
            readers = tuple(reader.name for reader in self.answer.readers)
            self.told.put_nowait(state(*readers, answers=message.number))

    async def states(self) -> AsyncIterator[tuple[TrayState, Face]]:
        while (one := await self.told.get()) is not None:
            yield one, face(one)


class Watcher(ServiceInterface):
    """The part of a panel that items register with."""

    def __init__(self) -> None:
        super().__init__(WATCHER)
        self.registered: list[str] = []

    @dbus_method(name="RegisterStatusNotifierItem")
    def register(self, service: DBusStr) -> Annotated[None, DBusSignature("")]:
        self.registered.append(service)


class Panel:
    """A panel on the same bus.

    Attributes:
        signals: the names of the signals heard from the item and its menu.
    """

    def __init__(self, bus: MessageBus, watcher: Watcher) -> None:
        self.bus = bus
        self.watcher = watcher
        self.signals: list[str] = []

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        reply = await self.bus.call(
            Message(
                self.watcher.registered[-1], path, interface, member, signature=signature, body=list(body)
            )
        )
        assert reply is not None and reply.message_type is MessageType.METHOD_RETURN, reply and reply.body
        return list(reply.body)

    async def properties(self) -> dict[str, Any]:
        (told,) = await self.call(ITEM_PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", ITEM)
        return {name: value.value for name, value in told.items()}

    async def menu(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        return await self.call(MENU_PATH, MENU, member, signature, *body)

    async def items(self) -> dict[str, int]:
        """Numbers by label, of the uppermost level."""
        _revision, layout = await self.menu("GetLayout", "iias", 0, 1, [])
        assert layout[0] == 0
        return {
            child.value[1]["label"].value: child.value[0] for child in layout[2] if "label" in child.value[1]
        }

    async def shows(self, label: str) -> None:
        """Return when the menu has an item of that label."""
        await until(lambda: bool(self.watcher.registered))

        async def there() -> bool:
            return label in await self.items()

        await until(there)

    def hear(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.interface in (ITEM, MENU):
            self.signals.append(message.member or "")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with session_bus(dict(os.environ)) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@asynccontextmanager
async def panel_on(address: str) -> AsyncIterator[Panel]:
    connection = await MessageBus(address).connect()
    watcher = Watcher()
    panel = Panel(connection, watcher)
    connection.add_message_handler(panel.hear)
    connection.export(WATCHER_PATH, watcher)
    for interface in (ITEM, MENU):
        await connection.call(
            Message(
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus",
                "AddMatch",
                signature="s",
                body=[f"type='signal',interface='{interface}'"],
            )
        )
    await connection.request_name(WATCHER)
    try:
        yield panel
    finally:
        connection.disconnect()


@asynccontextmanager
async def notifier(link: ScriptedLink) -> AsyncIterator[asyncio.Task[int]]:
    task = asyncio.create_task(Notifier(link).run())  # type: ignore[arg-type]
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_panel_finds_the_icon_its_words_and_its_menu(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("ACS ACR39U", problem=True))
        await panel.shows("讀卡機 Reader: ACS ACR39U")
        told = await panel.properties()
        assert told["Id"] == "hca-agent" and told["Title"] == "HCA Card Agent"
        assert told["Status"] == "NeedsAttention"
        assert told["Menu"] == MENU_PATH and told["ItemIsMenu"] is False
        assert "卡片已就緒" in told["ToolTip"][3] and "尚未信任" in told["ToolTip"][3]
        sizes = [(width, height) for width, height, _ in told["IconPixmap"]]
        assert (22, 22) in sizes and (48, 48) in sizes
        assert all(len(pixels) == width * height * 4 for width, height, pixels in told["IconPixmap"])
        labels = list(await panel.items())
        assert "自我檢測 · Self-test" in labels and "結束 · Quit" in labels


async def test_each_change_is_announced_and_nothing_else_is(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("R"))
        await panel.shows("讀卡機 Reader: R")
        panel.signals.clear()
        link.told.put_nowait(state("R"))
        link.told.put_nowait(state("R", problem=True))
        await until(lambda: {"NewToolTip", "LayoutUpdated"} <= set(panel.signals))
        await panel.properties()  # whose answer comes after all that was announced
        assert sorted(panel.signals) == [
            "LayoutUpdated", "NewIcon", "NewStatus", "NewToolTip",
        ]  # fmt: skip
        panel.signals.clear()
        link.told.put_nowait(state("Q", problem=True))
        await until(lambda: bool(panel.signals))
        await panel.properties()
        assert panel.signals == ["LayoutUpdated"], "another reader is another menu, not another icon"


async def test_what_is_clicked_is_what_the_daemon_is_told(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("R"))
        await panel.shows("讀卡機 Reader: R")
        items = await panel.items()

        async def event(number: int, name: str = "clicked") -> None:
            await panel.menu("Event", "isvu", number, name, Variant("s", ""), 0)

        await event(items["自我檢測 · Self-test"], "hovered")
        await event(items["讀卡機 Reader: R"])
        await event(9999)
        await event(items["自我檢測 · Self-test"])
        (unknown,) = await panel.menu(
            "EventGroup",
            "a(isvu)",
            [[items["結束 · Quit"], "clicked", Variant("i", 0), 0], [9999, "clicked", Variant("i", 0), 0]],
        )
        assert unknown == [9999]
        await panel.call(ITEM_PATH, ITEM, "Activate", "ii", 1, 1)
        assert [message.choice for message in link.choices] == [Choice.SELF_TEST, Choice.QUIT, Choice.ABOUT]


async def test_items_keep_their_numbers_and_come_without_those_that_went(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("first"))
        await panel.shows("讀卡機 Reader: first")
        before = await panel.items()
        link.told.put_nowait(state("other", problem=True))
        await panel.shows("讀卡機 Reader: other")
        after = await panel.items()
        same = before.keys() & after.keys()
        stay = {label for label in same if not label.startswith("\u3000")}
        assert "結束 · Quit" in stay and all(before[label] == after[label] for label in stay)
        gone = before["讀卡機 Reader: first"]
        assert gone not in after.values()
        (group,) = await panel.menu("GetGroupProperties", "aias", [gone, after["結束 · Quit"]], ["label"])
        assert [(number, told["label"].value) for number, told in group] == [
            (after["結束 · Quit"], "結束 · Quit")
        ]
        _, layout = await panel.menu("GetLayout", "iias", gone, -1, [])
        assert list(layout) == [gone, {}, []]
        (nothing,) = await panel.menu("GetProperty", "is", gone, "label")
        assert nothing == Variant("s", "")


async def test_a_menu_within_the_menu_holds_the_activity(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("R"))
        await panel.shows("讀卡機 Reader: R")
        number = (await panel.items())["最近的活動 · Recent activity"]
        (display,) = await panel.menu("GetProperty", "is", number, "children-display")
        assert display.value == "submenu"
        _, layout = await panel.menu("GetLayout", "iias", number, -1, ["label", "enabled"])
        ((_, told, _),) = [child.value for child in layout[2]]
        assert "還沒有紀錄" in told["label"].value and told["enabled"].value is False


async def test_an_underscore_is_shown_as_one(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("a_b"))
        await panel.shows("讀卡機 Reader: a__b")
        assert "讀卡機 Reader: a__b" in await panel.items()


async def test_a_menu_that_opens_waits_for_the_daemons_newest_word(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        link.told.put_nowait(state("old"))
        await panel.shows("讀卡機 Reader: old")
        link.answer = state("new")
        assert await panel.menu("AboutToShow", "i", 0) == [True]
        assert "讀卡機 Reader: new" in await panel.items()
        assert await panel.menu("AboutToShow", "i", 0) == [False]
        number = (await panel.items())["最近的活動 · Recent activity"]
        assert await panel.menu("AboutToShowGroup", "ai", [number, 9999]) == [[], [9999]]
        assert link.openings == [1, 2]


async def test_a_daemon_that_does_not_answer_does_not_keep_the_menu_shut(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link):
        await until(lambda: bool(panel.watcher.registered))
        async with asyncio.timeout(LIMIT):
            assert await panel.menu("AboutToShow", "i", 0) == [False]


async def test_it_waits_for_a_panel_and_registers_with_the_next_one_again(bus: str, caplog: Log) -> None:
    caplog.set_level(logging.INFO)
    link = ScriptedLink()
    async with notifier(link) as running:
        await until(lambda: "no panel that shows icons yet" in caplog.text)
        for _ in range(2):
            async with panel_on(bus) as panel:
                await until(lambda: bool(panel.watcher.registered))
                assert len(panel.watcher.registered) == 1
        assert not running.done()


async def test_a_connection_that_is_lost_is_made_again(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tray.notifier._RECONNECT_SECONDS", 0.05)
    link, connections = ScriptedLink(), []
    connect = MessageBus.connect

    async def connecting(self: MessageBus) -> MessageBus:
        connections.append(self)
        return await connect(self)

    async with panel_on(bus) as panel:
        monkeypatch.setattr("tray.notifier.MessageBus.connect", connecting)
        async with notifier(link) as running:
            link.told.put_nowait(state("R"))
            await panel.shows("讀卡機 Reader: R")
            connections[0]._sock.shutdown(socket.SHUT_RDWR)
            await until(lambda: len(panel.watcher.registered) == 2)
            await panel.shows("讀卡機 Reader: R")
            link.told.put_nowait(state("Q"))
            await panel.shows("讀卡機 Reader: Q")
            link.told.put_nowait(None)
            assert await running == 0


async def test_it_ends_well_with_the_daemon(bus: str) -> None:
    link = ScriptedLink()
    async with panel_on(bus) as panel, notifier(link) as running:
        await until(lambda: bool(panel.watcher.registered))
        link.told.put_nowait(None)
        assert await running == 0


@pytest.mark.parametrize("address", ["unix:path=/nonexistent/bus", "nonsense", ""])
async def test_without_a_session_bus_it_says_that_there_is_no_tray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":4242")
    async with notifier(ScriptedLink()) as running:
        assert await running == NO_TRAY


async def test_a_bus_that_the_environment_does_not_name_is_found_where_systemd_has_it(
    bus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bus").symlink_to(bus.removeprefix("unix:path=").split(",")[0])
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with panel_on(bus) as panel, notifier(ScriptedLink()):
        await until(lambda: bool(panel.watcher.registered))


async def test_before_the_daemon_has_spoken_there_is_an_icon_already(bus: str) -> None:
    async with panel_on(bus) as panel, notifier(ScriptedLink()):
        await until(lambda: bool(panel.watcher.registered))
        told = await panel.properties()
        assert "啟動中" in told["ToolTip"][3]
        assert (await panel.items()).keys() == {"重新啟動 · Restart", "結束 · Quit"}
