"""Another program of the same session bus against the icon: it decides nothing, and stops nothing."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest

if sys.platform == "win32":
    pytest.skip("needs D-Bus", allow_module_level=True)

from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr
from dbus_fast.constants import NameFlag
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from agent.tray.messages import Choice
from tests.support.log import Log
from tests.support.operations import until
from tests.support.waiting import LIMIT
from tests.tray.test_tray_notifier import (
    ITEM,
    ITEM_PATH,
    MENU,
    MENU_PATH,
    Panel,
    ScriptedLink,
    bus,
    notifier,
    panel_on,
    state,
)
from tray.notifier import WATCHER, WATCHER_PATH

pytestmark = pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="needs D-Bus")

__all__ = ["bus"]

PROPERTIES = "org.freedesktop.DBus.Properties"
NOTIFICATIONS = "org.freedesktop.Notifications"
ANY = Variant("s", "")

Nothing = Annotated[None, DBusSignature("")]
Number = Annotated[int, DBusSignature("u")]
Texts = Annotated[list[str], DBusSignature("as")]
Hints = Annotated[dict[str, Any], DBusSignature("a{sv}")]
Action = Annotated[list[Any], DBusSignature("us")]


@asynccontextmanager
async def stranger_on(address: str) -> AsyncIterator[MessageBus]:
    connection = await MessageBus(address).connect()
    try:
        yield connection
    finally:
        connection.disconnect()


@asynccontextmanager
async def attacked(address: str) -> AsyncIterator[tuple[Panel, ScriptedLink, MessageBus, str]]:
    """A panel, the icon's daemon by script, a program that means harm, and the icon's name on the bus."""
    link = ScriptedLink()
    async with panel_on(address) as panel, notifier(link), stranger_on(address) as stranger:
        link.told.put_nowait(state("R"))
        await panel.shows("讀卡機 Reader: R")
        yield panel, link, stranger, panel.watcher.registered[-1]


def deep(levels: int) -> Variant:
    """A variant within a variant, and so on."""
    inner = Variant("s", "x")
    for _ in range(levels):
        inner = Variant("v", inner)
    return inner


def calls(quit_number: int) -> list[tuple[str, str, str, str, list[Any]]]:
    """Calls that no panel makes."""
    numbers = list(range(-50_000, 50_000))
    menu = (MENU_PATH, MENU)
    return [
        (*menu, "Event", "isvu", [9999, "clicked", ANY, 0]),
        (*menu, "Event", "isvu", [-1, "clicked", ANY, 0]),
        (*menu, "Event", "isvu", [2**31 - 1, "clicked", deep(40), 2**32 - 1]),
        (*menu, "Event", "isvu", [quit_number, "CLICKED", ANY, 0]),
        (*menu, "Event", "isvu", [quit_number, "clicked\n", ANY, 0]),
        (*menu, "Event", "isvu", [quit_number, "opened", ANY, 0]),
        (*menu, "Event", "svu", ["1", ANY, 0]),
        (*menu, "Event", "", []),
        (*menu, "Event", "ssvu", [str(quit_number), "clicked", ANY, 0]),
        (*menu, "EventGroup", "a(isvu)", [[[number, "clicked", ANY, 0] for number in numbers[:20_000]]]),
        (*menu, "GetLayout", "iias", [-1, -1, []]),
        (*menu, "GetLayout", "iias", [0, -(2**31), ["label"] * 10_000]),
        (*menu, "GetGroupProperties", "aias", [numbers, ["label"]]),
        (*menu, "GetGroupProperties", "aias", [[0] * 100_000, []]),
        (*menu, "GetProperty", "is", [0, "x" * 100_000]),
        (*menu, "AboutToShow", "i", [2**31 - 1]),
        (*menu, "AboutToShowGroup", "ai", [numbers]),
        (*menu, "AboutToShowGroup", "ai", [[0] * 100_000]),
        (*menu, "NoSuchMethod", "s", ["x"]),
        (MENU_PATH, PROPERTIES, "Set", "ssv", [MENU, "Version", Variant("u", 9)]),
        (MENU_PATH, PROPERTIES, "Set", "ssv", [MENU, "IconThemePath", Variant("as", ["/tmp"])]),
        (ITEM_PATH, PROPERTIES, "Set", "ssv", [ITEM, "Menu", Variant("o", "/Other")]),
        (ITEM_PATH, PROPERTIES, "Set", "ssv", [ITEM, "Title", Variant("s", "x")]),
        (ITEM_PATH, PROPERTIES, "Set", "s", [ITEM]),
        (ITEM_PATH, PROPERTIES, "Get", "ss", [ITEM, "__class__"]),
        (ITEM_PATH, ITEM, "Activate", "ss", ["x", "y"]),
        (ITEM_PATH, ITEM, "Scroll", "is", [2**31 - 1, "x" * 100_000]),
        (ITEM_PATH, ITEM, "ContextMenu", "ii", [-1, -1]),
        ("/", "org.freedesktop.DBus.Introspectable", "Introspect", "", []),
    ]


async def test_calls_that_no_panel_makes_choose_nothing_change_nothing_and_stop_nothing(bus: str) -> None:
    async with attacked(bus) as (panel, link, stranger, icon):
        items, told = await panel.items(), await panel.properties()
        for path, interface, member, signature, body in calls(items["結束 · Quit"]):
            if member == "EventGroup":
                # Among so many numbers are those of our items: what they choose is counted below.
                continue
            message = Message(icon, path, interface, member, signature=signature, body=body)
            async with asyncio.timeout(LIMIT):
                reply = await stranger.call(message)
            assert reply is not None
            if member in ("Set", "NoSuchMethod") or (member == "Event" and signature != "isvu"):
                assert reply.message_type is MessageType.ERROR, (member, body)
        assert link.choices == []
        assert await panel.items() == items and await panel.properties() == told


async def test_a_flood_of_clicks_chooses_each_thing_a_few_times_only(bus: str) -> None:
    async with attacked(bus) as (panel, link, stranger, icon):
        numbers = list((await panel.items()).values())
        event = [[number, "clicked", ANY, 0] for _ in range(2_000) for number in numbers]
        group = Message(icon, MENU_PATH, MENU, "EventGroup", signature="a(isvu)", body=[event])
        async with asyncio.timeout(LIMIT):
            await stranger.call(group)
            for _ in range(300):
                for number in numbers:
                    await stranger.send(
                        Message(
                            icon,
                            MENU_PATH,
                            MENU,
                            "Event",
                            flags=MessageFlag.NO_REPLY_EXPECTED,
                            signature="isvu",
                            body=[number, "clicked", ANY, 0],
                        )
                    )
                await stranger.call(Message(icon, ITEM_PATH, ITEM, "Activate", signature="ii", body=[1, 1]))
        times = Counter(message.choice for message in link.choices)
        assert set(times) <= set(Choice) and max(times.values()) <= 8, times
        assert "結束 · Quit" in await panel.items()


@pytest.mark.slow
async def test_a_flood_of_openings_asks_the_daemon_a_few_times_only_and_all_are_answered(bus: str) -> None:
    async with attacked(bus) as (panel, link, stranger, icon):
        async with asyncio.timeout(LIMIT):
            # The daemon by script does not answer: each opening would wait.
            for _ in range(20):
                await asyncio.gather(
                    *(
                        stranger.call(Message(icon, MENU_PATH, MENU, "AboutToShow", signature="i", body=[0]))
                        for _ in range(100)
                    )
                )
            link.answer = state("R")
            for _ in range(200):
                await stranger.call(Message(icon, MENU_PATH, MENU, "AboutToShow", signature="i", body=[0]))
        assert len(link.openings) <= 60
        assert "結束 · Quit" in await panel.items()


class DeafWatcher(ServiceInterface):
    """Takes a registration and never answers."""

    def __init__(self) -> None:
        super().__init__(WATCHER)
        self.asked = 0

    @dbus_method(name="RegisterStatusNotifierItem")
    async def register(self, _service: DBusStr) -> Nothing:
        self.asked += 1
        await asyncio.Event().wait()


async def test_a_watcher_that_never_answers_keeps_neither_the_next_one_nor_the_end_away(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tray.notifier._REGISTER_SECONDS", 0.2)
    link = ScriptedLink()
    async with stranger_on(bus) as stranger:
        watcher = DeafWatcher()
        stranger.export(WATCHER_PATH, watcher)
        await stranger.request_name(WATCHER, NameFlag.ALLOW_REPLACEMENT)
        async with notifier(link) as running:
            await until(lambda: watcher.asked == 1)
            await stranger.release_name(WATCHER)
            async with panel_on(bus) as panel:
                await until(lambda: bool(panel.watcher.registered))
            await stranger.request_name(WATCHER)
            await until(lambda: watcher.asked == 2)
            link.told.put_nowait(None)
            assert await asyncio.wait_for(running, LIMIT) == 0


async def test_a_name_that_changes_hands_all_the_time_is_followed_one_registration_after_the_other(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tray.notifier._REGISTER_SECONDS", 0.2)
    async with stranger_on(bus) as stranger, notifier(ScriptedLink()) as running:
        watcher = DeafWatcher()
        stranger.export(WATCHER_PATH, watcher)
        for _ in range(200):
            await stranger.request_name(WATCHER)
            await stranger.release_name(WATCHER)
        await stranger.request_name(WATCHER)
        await until(lambda: watcher.asked > 0)
        assert watcher.asked < 20 and not running.done()


async def test_a_change_of_names_is_believed_of_the_bus_alone(bus: str, caplog: Log) -> None:
    async with attacked(bus) as (panel, _link, stranger, icon):
        bodies: list[tuple[str, list[Any]]] = [
            ("sss", [WATCHER, "", stranger.unique_name]),
            ("s", [WATCHER]),
            ("", []),
        ]
        for signature, body in bodies:
            await stranger.send(
                Message(
                    destination=icon,
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="NameOwnerChanged",
                    message_type=MessageType.SIGNAL,
                    signature=signature,
                    body=body,
                )
            )
        await panel.items()
        assert panel.watcher.registered == [icon]
        assert not [record for record in caplog.records if record.exc_info]


class FalseNotifications(ServiceInterface):
    """A notification service that answers with actions that nobody offered."""

    def __init__(self) -> None:
        super().__init__(NOTIFICATIONS)
        self.shown = 0

    @dbus_method(name="Notify")
    def notify(
        self,
        _app: DBusStr,
        _replaces: Number,
        _icon: DBusStr,
        _summary: DBusStr,
        _body: DBusStr,
        _actions: Texts,
        _hints: Hints,
        _expires: DBusInt32,
    ) -> Number:
        self.shown += 1
        return 1

    @dbus_signal(name="ActionInvoked")
    def action_invoked(self) -> Action:
        return [1, "allow"]


async def test_no_notification_service_is_asked_and_none_is_believed(bus: str) -> None:
    async with stranger_on(bus) as stranger:
        false = FalseNotifications()
        stranger.export("/org/freedesktop/Notifications", false)
        await stranger.request_name(NOTIFICATIONS)
        async with attacked(bus) as (panel, link, _other, icon):
            for action in ("allow", "default", "yes", "quit"):
                await stranger.send(
                    Message(
                        destination=icon,
                        path="/org/freedesktop/Notifications",
                        interface=NOTIFICATIONS,
                        member="ActionInvoked",
                        message_type=MessageType.SIGNAL,
                        signature="us",
                        body=[1, action],
                    )
                )
            false.action_invoked()
            link.told.put_nowait(state("R", problem=True))
            await until(lambda: "NewStatus" in panel.signals)
            assert false.shown == 0 and link.choices == []
