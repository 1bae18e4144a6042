"""A menu as plain data, whatever desktop shows it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.tray.messages import Chosen


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a menu.

    Attributes:
        key: the same for the same item in every version of the menu; ids on the bus follow it.
        label: plain text; each desktop escapes it as it must.
        chosen: what choosing it says; None for a line that only informs.
        default: what a double click on the icon chooses.
        items: a menu of its own.
    """

    key: str
    label: str
    chosen: Chosen | None = None
    default: bool = False
    items: tuple[Item, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether it can be chosen or opened."""
        return self.chosen is not None or bool(self.items)

    @property
    def is_separator(self) -> bool:
        """Whether it is a line between groups."""
        return not self.label


Menu = tuple[Item, ...]


def separator(key: str) -> Item:
    """Return a line between groups."""
    return Item(key, "")


def default_of(menu: Menu) -> Item | None:
    """Return what a double click chooses."""
    return next((item for item in menu if item.default), None)
