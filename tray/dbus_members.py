"""Members that a D-Bus interface demands and that always say the same, or nothing."""

from __future__ import annotations

from re import sub
from typing import Annotated, Any

from dbus_fast import PropertyAccess
from dbus_fast.annotations import DBusInt32, DBusSignature
from dbus_fast.service import dbus_method, dbus_property, dbus_signal

Nothing = Annotated[None, DBusSignature("")]
"""What a method without a result returns: dbus-fast cannot read a bare None that is not evaluated."""


def constant(name: str, signature: str, value: object) -> Any:
    """Return a property that always has the same value, for the attribute of that name in small letters."""

    def read(_self: object) -> object:
        return value

    read.__name__ = sub(r"(?<!^)([A-Z])", r"_\1", name).lower()  # by which dbus-fast finds it again
    read.__annotations__["return"] = signature
    return dbus_property(access=PropertyAccess.READ, name=name)(read)


def signal(name: str) -> Any:
    """Return a signal without arguments."""

    def send(_self: object) -> None: ...

    send.__annotations__["return"] = ""
    return dbus_signal(name=name)(send)


def ignored(name: str) -> Any:
    """Return a method of a point on the screen that does nothing."""

    def ignore(_self: object, _x: DBusInt32, _y: DBusInt32) -> Nothing: ...

    return dbus_method(name=name)(ignore)
