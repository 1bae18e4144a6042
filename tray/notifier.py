"""The icon on Linux desktops: `org.kde.StatusNotifierItem` on the session bus, without any toolkit.

A panel (the host) finds it through `org.kde.StatusNotifierWatcher`. Panels come and go, at login often after
this program: the item is registered whenever a watcher appears.

Any program on the bus can call what a panel calls. So nothing that comes from it decides anything: it opens
windows, in which the person does, and all of it is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from dbus_fast import BusType, Message, MessageType, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from agent.origins.rate_limits import Buckets
from agent.tray.messages import NO_TRAY, Opened
from tray import dbusmenu
from tray.daemon_link import DaemonLink
from tray.dbus_members import Nothing, constant, ignored, signal
from tray.drawing import SIZES, argb, pixels
from tray.icon_states import TITLE, Face, Picture, starting
from tray.menus import Item, default_of

log = logging.getLogger(__name__)

PATH: Final = "/StatusNotifierItem"
WATCHER: Final = "org.kde.StatusNotifierWatcher"
WATCHER_PATH: Final = "/StatusNotifierWatcher"

_BUS: Final = "org.freedesktop.DBus"
_BUS_PATH: Final = "/org/freedesktop/DBus"
_OPENING_SECONDS: Final = 0.5
_RECONNECT_SECONDS: Final = 1.0
_REGISTER_SECONDS: Final = 3.0
_CHOICES: Final = (0.1, 4)
"""How often the same thing is chosen: a second, and at once."""
_OPENINGS: Final = (4.0, 20)
_WAITING_MAX: Final = 16
_NO_BUS: Final = (OSError, EOFError, ValueError, InvalidAddressError, AuthError, DBusError)


class StatusNotifierItem(ServiceInterface):
    """The icon itself.

    Args:
        activate: called when the icon is clicked or double-clicked, as the panel has it.
        face: what is shown first.
    """

    def __init__(self, activate: Callable[[], None], face: Face) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._activate = activate
        self._face = face

    def show(self, face: Face) -> None:
        """Show another face, and tell hosts what is different."""
        before, self._face = self._face, face
        if _drawn(before) != _drawn(face):
            self.new_icon()
        if before.problem is not face.problem:
            self.new_status(self._status())
        if before.tooltip != face.tooltip:
            self.new_tool_tip()

    def _status(self) -> str:
        return "NeedsAttention" if self._face.problem else "Active"

    @dbus_method(name="Activate")
    def activate(self, _x: DBusInt32, _y: DBusInt32) -> Nothing:
        """Do what the menu's default item does."""
        self._activate()

    secondary_activate = ignored("SecondaryActivate")
    context_menu = ignored("ContextMenu")  # hosts show the menu themselves, by `Menu`

    @dbus_method(name="Scroll")
    def scroll(self, _delta: DBusInt32, _orientation: DBusStr) -> Nothing:
        """Do nothing."""

    category = constant("Category", "s", "Hardware")
    id = constant("Id", "s", "hca-agent")  # the same in every session: panels remember where to show it
    title = constant("Title", "s", TITLE)
    window_id = constant("WindowId", "i", 0)
    icon_name = constant("IconName", "s", "")  # from no theme: the pixmap is the icon
    icon_theme_path = constant("IconThemePath", "s", "")
    overlay_icon_name = constant("OverlayIconName", "s", "")
    # The badge is drawn into the icon: few hosts draw overlays, and the icon serves for attention too.
    overlay_icon_pixmap = constant("OverlayIconPixmap", "a(iiay)", [])
    attention_icon_name = constant("AttentionIconName", "s", "")
    attention_icon_pixmap = constant("AttentionIconPixmap", "a(iiay)", [])
    attention_movie_name = constant("AttentionMovieName", "s", "")
    item_is_menu = constant("ItemIsMenu", "b", False)
    menu = constant("Menu", "o", dbusmenu.PATH)

    @dbus_property(name="Status", access=PropertyAccess.READ)
    def status(self) -> DBusStr:
        """Call for attention while there is a problem."""
        return self._status()

    @dbus_property(name="IconPixmap", access=PropertyAccess.READ)
    def icon_pixmap(self) -> Annotated[list[list[Any]], DBusSignature("a(iiay)")]:
        """Return the icon in all sizes."""
        picture, problem, signing = _drawn(self._face)
        return [[size, size, argb(pixels(picture, problem, size, signing))] for size in SIZES]

    @dbus_property(name="ToolTip", access=PropertyAccess.READ)
    def tool_tip(self) -> Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]:
        """Return title and words."""
        return ["", [], TITLE, "\n".join(self._face.tooltip)]

    new_title = signal("NewTitle")
    new_icon = signal("NewIcon")
    new_attention_icon = signal("NewAttentionIcon")
    new_overlay_icon = signal("NewOverlayIcon")
    new_tool_tip = signal("NewToolTip")

    @dbus_signal(name="NewStatus")
    def new_status(self, status: str) -> DBusStr:
        """Send whether it calls for attention."""
        return status


def _drawn(face: Face) -> tuple[Picture, bool, bool]:
    return face.picture, face.problem, face.signing


@dataclass(frozen=True, slots=True)
class _Shown:
    """The icon and its menu on one connection to the bus."""

    bus: MessageBus
    item: StatusNotifierItem
    menu: dbusmenu.DbusMenu

    def show(self, face: Face) -> None:
        if self.bus.connected:
            self.item.show(face)
            self.menu.show(face.menu)


class Notifier:
    """The tray of Linux desktops.

    Args:
        link: to the daemon.
    """

    def __init__(self, link: DaemonLink) -> None:
        self._link = link
        self._face = starting()
        self._shown: _Shown | None = None
        self._watcher_came = asyncio.Event()
        self._openings = 0
        self._opened: asyncio.Task[None] | None = None
        self._waiting = 0
        self._answered = asyncio.Event()
        self._choices = Buckets(*_CHOICES)
        self._often = Buckets(*_OPENINGS)

    async def run(self) -> int:
        """Show what the daemon writes until it closes the link; return the exit code."""
        following = asyncio.create_task(self._follow())
        try:
            while True:
                try:
                    bus = await MessageBus(session_bus(), BusType.SESSION).connect()
                except _NO_BUS as error:
                    log.warning("there is no session bus to show an icon on: %s", error)
                    return NO_TRAY
                await self._serve(bus, following)
                if following.done():
                    following.result()
                    return 0
                # A bus that is alive drops those who are slow to read, and dbus-fast gives up where it may
                # not write at once; where the session is over, connecting says so.
                log.warning("the connection to the session bus was lost; connecting again")
                await asyncio.sleep(_RECONNECT_SECONDS)
        finally:
            following.cancel()

    async def _serve(self, bus: MessageBus, following: asyncio.Task[None]) -> None:
        """Show the icon on one connection, until that is lost or the daemon ends it."""
        lost = asyncio.create_task(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
        shown = _Shown(
            bus,
            StatusNotifierItem(self._activated, self._face),
            dbusmenu.DbusMenu(self._chosen, self._opening),
        )
        watching = asyncio.create_task(self._watch(bus))
        try:
            shown.menu.show(self._face.menu)
            bus.export(PATH, shown.item)
            bus.export(dbusmenu.PATH, shown.menu)
            self._shown = shown
            await asyncio.wait((following, lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._shown = None
            bus.disconnect()
            for task in (lost, watching):
                task.cancel()
            await asyncio.gather(lost, watching, return_exceptions=True)

    async def _follow(self) -> None:
        async for state, face in self._link.states():
            self._face = face
            if self._shown is not None:
                self._shown.show(face)
            if state.answers >= self._openings:
                self._answered.set()

    async def _watch(self, bus: MessageBus) -> None:
        """Register now and whenever a watcher appears; one that does not answer is not waited for long."""
        bus.add_message_handler(self._bus_said)
        rule = f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{WATCHER}'"
        with suppress(*_NO_BUS):
            await _call(bus, Message(_BUS, _BUS_PATH, _BUS, "AddMatch", signature="s", body=[rule]))
        while True:
            self._watcher_came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REGISTER_SECONDS):
                    await self._register(bus)
            await self._watcher_came.wait()

    def _bus_said(self, message: Message) -> None:
        # Any program can send a signal of that name; the sender is written by the bus.
        if message.member == "NameOwnerChanged" and message.sender == _BUS:
            name, _before, owner = message.body
            if name == WATCHER and owner:
                self._watcher_came.set()

    async def _register(self, bus: MessageBus) -> None:
        register = Message(
            WATCHER,
            WATCHER_PATH,
            WATCHER,
            "RegisterStatusNotifierItem",
            signature="s",
            body=[bus.unique_name],
        )
        try:
            await _call(bus, register)
            log.info("registered with the panel")
        except _NO_BUS as error:
            log.info("no panel that shows icons yet: %s", error)

    def _activated(self) -> None:
        item = default_of(self._face.menu)
        if item is not None:
            self._chosen(item)

    def _chosen(self, item: Item) -> None:
        if item.chosen is not None and not self._choices.take(item.chosen.session or item.chosen.choice):
            self._link.send(item.chosen)

    async def _opening(self) -> None:
        """Wait for the daemon's newest state, all who ask together, and not oftener than menus are opened."""
        if self._opened is None or self._opened.done():
            if self._often.take(""):
                return
            self._opened = asyncio.create_task(self._ask_daemon())
        if self._waiting < _WAITING_MAX:
            self._waiting += 1
            try:
                await asyncio.shield(self._opened)
            finally:
                self._waiting -= 1

    async def _ask_daemon(self) -> None:
        """Wait for the daemon's answer, but never long: a menu that does not open helps nobody."""
        self._openings += 1
        self._answered.clear()
        self._link.send(Opened(number=self._openings))
        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            log.info("the daemon did not answer in time")


def session_bus() -> str | None:
    """Return the address of the session bus where the environment does not say it; None where it does."""
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return None
    socket = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "bus"
    return f"unix:path={socket}" if socket.exists() else None


async def _call(bus: MessageBus, call: Message) -> None:
    """Call a method whose result does not matter.

    Raises:
        DBusError: it failed.
    """
    reply = await bus.call(call)
    if reply is not None and reply.message_type is MessageType.ERROR:
        raise DBusError(reply.error_name or "", str(reply.body[0]) if reply.body else "")
