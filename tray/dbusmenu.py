"""`com.canonical.dbusmenu`, version 3: the menu as StatusNotifierItem hosts read it over D-Bus.

Items keep their number for as long as the menu has an item of that key, so that a menu that is open while it
changes stays whole. Numbers that are not in the menu any more are answered with nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Annotated, Any, Final

from dbus_fast import Variant
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32, DBusVariant
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from tray.dbus_members import Nothing, constant
from tray.menus import Item, Menu

PATH: Final = "/MenuBar"

Properties = dict[str, Variant]
Layout = list[Any]  # (ia{sv}av): number, properties, children as variants

_ROOT: Final = 0
_NUMBERS_MAX: Final = 2**31 - 1
_LIST_MAX: Final = 256
"""How many of a list that somebody sends are looked at: more than a menu of ours has."""


class DbusMenu(ServiceInterface):
    """One menu.

    Args:
        choose: called with the item that was clicked.
        opening: awaited before the menu is shown; the answer waits for it.
    """

    def __init__(self, choose: Callable[[Item], None], opening: Callable[[], Awaitable[None]]) -> None:
        super().__init__("com.canonical.dbusmenu")
        self._choose = choose
        self._opening = opening
        self._menu: Menu = ()
        self._items: dict[int, Item] = {}
        self._numbers: dict[str, int] = {}
        self._last_number = _ROOT
        self._revision = 1

    def show(self, menu: Menu) -> None:
        """Replace the menu, and tell hosts if it is another one."""
        if menu == self._menu:
            return
        self._menu = menu
        items = {item.key: item for item in _every_item(menu)}
        self._numbers = {key: self._numbers.get(key) or self._next_number() for key in items}
        self._items = {self._numbers[key]: item for key, item in items.items()}
        self._revision += 1
        self.layout_updated(self._revision, _ROOT)

    def _next_number(self) -> int:
        self._last_number = self._last_number % _NUMBERS_MAX + 1
        return self._last_number

    def _has(self, number: int) -> bool:
        return number == _ROOT or number in self._items

    def _layout(self, number: int, depth: int, names: Collection[str]) -> Layout:
        children: list[Variant] = []
        if depth:
            for item in self._menu if number == _ROOT else self._items[number].items:
                child = self._layout(self._numbers[item.key], depth - 1, names)
                children.append(Variant("(ia{sv}av)", child))
        return [number, self._properties(number, names), children]

    def _properties(self, number: int, names: Collection[str]) -> Properties:
        """Return those asked for, all where none are named, without defaults, as the interface allows."""
        if number == _ROOT:
            all_of_them = {"children-display": Variant("s", "submenu")}
        else:
            all_of_them = _properties(self._items[number])
        return {name: value for name, value in all_of_them.items() if not names or name in names}

    def _event(self, number: int, event: str) -> None:
        item = self._items.get(number)
        if event == "clicked" and item is not None and item.chosen is not None:
            self._choose(item)

    @dbus_method(name="GetLayout")
    def get_layout(
        self,
        parent: DBusInt32,
        depth: DBusInt32,
        names: Annotated[list[str], DBusSignature("as")],
    ) -> Annotated[tuple[int, Layout], DBusSignature("u(ia{sv}av)")]:
        """Return part of the menu; a depth of -1 is all of it."""
        if not self._has(parent):
            return self._revision, [parent, {}, []]
        return self._revision, self._layout(parent, depth, names)

    @dbus_method(name="GetGroupProperties")
    def get_group_properties(
        self,
        numbers: Annotated[list[int], DBusSignature("ai")],
        names: Annotated[list[str], DBusSignature("as")],
    ) -> Annotated[list[list[Any]], DBusSignature("a(ia{sv})")]:
        """Return properties of several items; no number is all of them."""
        wanted = dict.fromkeys(numbers[:_LIST_MAX]) or (_ROOT, *self._items)
        return [[number, self._properties(number, names)] for number in wanted if self._has(number)]

    @dbus_method(name="GetProperty")
    def get_property(self, number: DBusInt32, name: DBusStr) -> DBusVariant:
        """Return one property; empty text where there is none."""
        known = self._has(number)
        properties = self._properties(number, (name,)) if known else {}
        return properties.get(name, Variant("s", ""))

    @dbus_method(name="Event")
    def event(self, number: DBusInt32, event: DBusStr, _data: DBusVariant, _time: DBusUInt32) -> Nothing:
        """Take what the person did with an item."""
        self._event(number, event)

    @dbus_method(name="EventGroup")
    def event_group(
        self, events: Annotated[list[list[Any]], DBusSignature("a(isvu)")]
    ) -> Annotated[list[int], DBusSignature("ai")]:
        """Take several events; return the numbers that are not in the menu."""
        taken = events[:_LIST_MAX]
        for number, event, *_ in taken:
            self._event(number, event)
        return [number for number, *_ in taken if not self._has(number)]

    @dbus_method(name="AboutToShow")
    async def about_to_show(self, number: DBusInt32) -> DBusBool:
        """Return whether what was read of a menu that is about to be shown is out of date."""
        return await self._refreshed(number)

    @dbus_method(name="AboutToShowGroup")
    async def about_to_show_group(
        self, numbers: Annotated[list[int], DBusSignature("ai")]
    ) -> Annotated[tuple[list[int], list[int]], DBusSignature("aiai")]:
        """Return which of several are out of date, and which are not in the menu."""
        wanted = tuple(dict.fromkeys(numbers[:_LIST_MAX]))
        stale = [number for number in wanted if await self._refreshed(number)]
        return stale, [number for number in wanted if not self._has(number)]

    async def _refreshed(self, number: int) -> bool:
        if number != _ROOT:
            return False
        before = self._revision
        await self._opening()
        return self._revision != before

    version = constant("Version", "u", 3)
    text_direction = constant("TextDirection", "s", "ltr")
    status = constant("Status", "s", "normal")
    icon_theme_path = constant("IconThemePath", "as", [])

    @dbus_signal(name="LayoutUpdated")
    def layout_updated(self, revision: int, parent: int) -> Annotated[list[int], DBusSignature("ui")]:
        """Tell hosts that the menu below `parent` is another one."""
        return [revision, parent]

    @dbus_signal(name="ItemsPropertiesUpdated")
    def items_properties_updated(self) -> Annotated[list[Any], DBusSignature("a(ia{sv})a(ias)")]:
        """Send nothing: every change is a new layout."""
        return [[], []]

    @dbus_signal(name="ItemActivationRequested")
    def item_activation_requested(self) -> Annotated[list[int], DBusSignature("iu")]:
        """Send nothing: only the person opens the menu."""
        return [0, 0]


def _every_item(menu: Menu) -> Iterator[Item]:
    for item in menu:
        yield item
        yield from _every_item(item.items)


def _properties(item: Item) -> Properties:
    if item.is_separator:
        return {"type": Variant("s", "separator")}
    # An underscore marks the key of an item; two are one that is shown.
    properties = {"label": Variant("s", item.label.replace("_", "__"))}
    if not item.enabled:
        properties["enabled"] = Variant("b", False)
    if item.items:
        properties["children-display"] = Variant("s", "submenu")
    return properties
