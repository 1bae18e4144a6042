"""When the person locks the screen or the computer goes to sleep: what was kept for them is forgotten.

On Linux the desktop's screen saver and logind say so on D-Bus (org.freedesktop.ScreenSaver and
org.gnome.ScreenSaver `ActiveChanged`, org.freedesktop.login1 `Lock` and `PrepareForSleep`). Windows and macOS
do not say so; there it is looked for (`away`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 3.0
# Interface and member, and whether the signal says yes or no.
_SESSION: Final = {
    ("org.freedesktop.ScreenSaver", "ActiveChanged"): True,
    ("org.gnome.ScreenSaver", "ActiveChanged"): True,
    ("org.kde.screensaver", "ActiveChanged"): True,
}
_SYSTEM: Final = {
    ("org.freedesktop.login1.Session", "Lock"): False,
    ("org.freedesktop.login1.Manager", "PrepareForSleep"): True,
}


@asynccontextmanager
async def watched(locked: Callable[[], None]) -> AsyncIterator[None]:
    """Call `locked` on the event loop at each lock or sleep while the body runs, where the system tells."""
    if sys.platform != "linux":
        yield
        return
    from dbus_fast import BusType

    found = await asyncio.gather(
        _listen(BusType.SESSION, _SESSION, locked), _listen(BusType.SYSTEM, _SYSTEM, locked)
    )
    try:
        yield
    finally:
        for bus in found:
            if bus is not None:
                bus.disconnect()


async def _listen(
    kind: BusType, signals: dict[tuple[str, str], bool], locked: Callable[[], None]
) -> MessageBus | None:
    """Return a connection that calls `locked`; None where there is no such bus."""
    from dbus_fast import Message, MessageType
    from dbus_fast.aio import MessageBus

    def heard(message: Message) -> None:
        says = signals.get((message.interface or "", message.member or ""))
        if message.message_type is MessageType.SIGNAL and says is not None and _is_on(message, says=says):
            log.info("the screen was locked: kept PINs are wiped")
            locked()

    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            bus = await MessageBus(bus_type=kind).connect()
            bus.add_message_handler(heard)
            for interface, member in signals:
                rule = f"type='signal',interface='{interface}',member='{member}'"
                await bus.call(
                    Message(
                        destination="org.freedesktop.DBus",
                        path="/org/freedesktop/DBus",
                        interface="org.freedesktop.DBus",
                        member="AddMatch",
                        signature="s",
                        body=[rule],
                    )
                )
    except Exception as error:
        # No desktop, no bus, or one that this process may not use; all of them are ordinary.
        log.debug("there is no %s bus to hear of a locked screen: %s", kind.name, error)
        return None
    return bus


def _is_on(message: Message, *, says: bool) -> bool:
    return not says or message.body == [True]
