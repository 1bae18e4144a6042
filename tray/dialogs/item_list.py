"""The documents of a batch: a list of any length, of which only the rows that are seen are drawn."""

from __future__ import annotations

import tkinter
from collections.abc import Callable, Sequence
from tkinter import ttk
from typing import Any, Final, Literal

from agent.interaction import ItemShown
from tray.dialogs.frame import Window, printable

_ROW: Final = 24
_NUMBER_WIDTH: Final = 52
_KIND_WIDTH: Final = 70
_SIZE_WIDTH: Final = 76
_GAP: Final = 8
_WIDTH: Final = 460
_ROWS_WITHIN: Final = 4
_ROWS_BESIDE: Final = 18
_ABOUT: Final = 240
"""Pixels that stand above and below the rows."""
_DIGEST_GROUP: Final = 32
_NAME_LINES: Final = 2
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def size_words(octets: int) -> str:
    """Return a size in three digits or so, with the decimal units that file managers use."""
    size, unit = float(octets), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.95 else f"{size:.1f} {_UNITS[unit]}"


def shortened(text: str, room: int, measure: Callable[[str], int]) -> str:
    """Return a name with as much of its middle left out as it takes; both ends tell names apart.

    Args:
        text: printable.
        room: pixels.
        measure: pixels that a text takes.
    """
    if measure(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # how many characters can be shown
        middle = (low + high + 1) // 2
        if measure(_ends(text, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return _ends(text, low)


def _ends(text: str, count: int) -> str:
    head = (count + 1) // 2
    return f"{text[:head]}…{text[len(text) - (count - head) :]}"


class ItemList:
    """The items, to be scrolled and searched with mouse or keyboard; Enter goes back to what is to be typed.

    Whatever their number there are only as many drawn rows as there is room for.

    Args:
        window: whose look and keys it has.
        on: what it is put on.
        items: in the order in which they are signed.
        width: pixels.
        rows: how many are seen at once.
    """

    def __init__(
        self, window: Window[Any], on: ttk.Frame, items: Sequence[ItemShown], *, width: int, rows: int
    ) -> None:
        self._look = look = window.look
        self._items = items
        self._names = [item.name.casefold() for item in items]
        self._found: Sequence[int] = range(len(items))
        self._rows = rows
        self._width = width - look.px(14)  # beside the bar
        self._height = look.px(_ROW)
        self._top = self._marked = 0
        self._font = look.font(14)
        self._small = look.font(13)
        self._name_room = self._width - look.px(_NUMBER_WIDTH + _KIND_WIDTH + _SIZE_WIDTH + 2 * _GAP)
        look.make_scrollbar()
        self._search_field(window, on)
        holder = ttk.Frame(on)
        holder.pack(fill="x")
        colour = look.colour
        self._canvas = tkinter.Canvas(
            holder,
            width=self._width,
            height=rows * self._height,
            background=colour.paper,
            takefocus=True,
            highlightthickness=look.px(1),
            highlightbackground=colour.line,
            highlightcolor=colour.teal,
        )
        self._canvas.pack(side="left")
        self._bar = ttk.Scrollbar(holder, style="Bar.Vertical.TScrollbar", command=self._bar_moved)
        self._bar.pack(side="right", fill="y")
        self._whole = window.label("", "Muted", above=6, on=on, width=width)
        self._whole_width = width
        self._bind(self._canvas)
        for each in (self._canvas, self._entry):
            for key in ("<Return>", "<KP_Enter>"):
                each.bind(key, lambda _event: window.first.focus_set() if window.first else None)
        self._draw()

    def _search_field(self, window: Window[Any], on: ttk.Frame) -> None:
        look = self._look
        row = ttk.Frame(on)
        row.pack(fill="x", pady=(0, look.gap(6)))
        ttk.Label(row, text=f"{look.words('尋找', 'Find', ' ')} (F)", style="Muted.TLabel").pack(side="left")
        self._count = ttk.Label(row, style="Muted.TLabel")
        self._count.pack(side="right")
        self._wanted = tkinter.StringVar(window.root)
        self._wanted.trace_add("write", lambda *_names: self._search())
        self._entry = ttk.Entry(
            row, style="Small.Pin.TEntry", font=look.font(14), width=1, textvariable=self._wanted
        )
        self._entry.pack(side="left", fill="x", expand=True, padx=look.px(8))
        for key in ("<Down>", "<Next>"):
            self._entry.bind(key, lambda _event: self._canvas.focus_set())
        for letter in "fF":
            window.root.bind(f"<Alt-{letter}>", lambda _event: self._entry.focus_set())

    def _bind(self, canvas: tkinter.Canvas) -> None:
        page = max(1, self._rows - 1)
        for key, by in (("<Up>", -1), ("<Down>", 1), ("<Prior>", -page), ("<Next>", page)):
            canvas.bind(key, lambda _event, by=by: self._mark(self._marked + by))  # type: ignore[misc]
        canvas.bind("<Home>", lambda _event: self._mark(0))
        canvas.bind("<End>", lambda _event: self._mark(len(self._found) - 1))
        canvas.bind("<Button-1>", self._clicked)
        for event, by in (("<Button-4>", -3), ("<Button-5>", 3)):
            canvas.bind(event, lambda _event, by=by: self._show(self._top + by))  # type: ignore[misc]
        canvas.bind("<MouseWheel>", lambda event: self._show(self._top + (-3 if event.delta > 0 else 3)))
        for event in ("<FocusIn>", "<FocusOut>"):
            canvas.bind(event, lambda _event: self._draw())

    def _search(self) -> None:
        wanted = self._wanted.get().strip().casefold()
        self._found = (
            [place for place, name in enumerate(self._names) if wanted in name]
            if wanted
            else range(len(self._items))
        )
        self._top = self._marked = 0
        self._draw()

    def _clicked(self, event: tkinter.Event[tkinter.Misc]) -> None:
        self._canvas.focus_set()
        self._mark(min(self._top + event.y // self._height, self._top + self._rows - 1))

    def _mark(self, place: int) -> str:
        """Mark a row, and bring it in sight."""
        self._marked = max(0, min(place, len(self._found) - 1))
        self._top = max(self._marked - self._rows + 1, min(self._top, self._marked))
        self._draw()
        return "break"

    def _show(self, top: int) -> str:
        """Have this row be the first that is seen."""
        self._top = max(0, min(top, len(self._found) - self._rows))
        self._draw()
        return "break"

    def _bar_moved(self, what: str, amount: str, unit: str = "") -> None:
        if what == "moveto":
            self._show(round(float(amount) * len(self._found)))
        else:
            self._show(self._top + int(amount) * (self._rows - 1 if unit == "pages" else 1))

    def _draw(self) -> None:
        canvas, count = self._canvas, len(self._found)
        canvas.delete("all")
        for row, place in enumerate(range(self._top, min(self._top + self._rows, count))):
            self._draw_row(row, self._found[place], marked=place == self._marked)
        self._bar.set(self._top / max(1, count), min(1.0, (self._top + self._rows) / max(1, count)))
        words = f"{count:,}" if count == len(self._items) else f"{count:,} / {len(self._items):,}"
        self._count.configure(text=words)
        self._whole.configure(text=self._words_of(self._items[self._found[self._marked]]) if count else "")

    def _draw_row(self, row: int, index: int, *, marked: bool) -> None:
        look, canvas, item = self._look, self._canvas, self._items[index]
        top = row * self._height
        if marked:
            canvas.create_rectangle(0, top, self._width, top + self._height, fill=look.colour.panel, width=0)
        middle, gap = top + self._height // 2, look.px(_GAP)
        left, right = look.px(_NUMBER_WIDTH), self._width - look.px(_SIZE_WIDTH)
        name = shortened(printable(item.name) or "—", self._name_room, self._font.measure)
        kind = shortened(printable(item.kind), look.px(_KIND_WIDTH) - gap, self._small.measure)
        canvas.create_text(left, middle, anchor="w", text=name, font=self._font, fill=look.colour.ink)
        beside: tuple[tuple[int, Literal["w", "e"], str], ...] = (
            (left - gap, "e", f"{index + 1:,}"),
            (right - look.px(_KIND_WIDTH), "w", kind),
            (self._width - gap, "e", size_words(item.size)),
        )
        for x, anchor, text in beside:
            canvas.create_text(x, middle, anchor=anchor, text=text, font=self._small, fill=look.colour.muted)

    def _words_of(self, item: ItemShown) -> str:
        """Return the marked item, in as many lines whatever its name is: the window keeps its size."""
        digest = item.digest.hex()
        groups = "\n".join(digest[at : at + _DIGEST_GROUP] for at in range(0, len(digest), _DIGEST_GROUP))
        room = self._whole_width * _NAME_LINES * 9 // 10  # a line is seldom filled to its end
        name = shortened(printable(item.name), room, self._small.measure)
        lines = self._look.wrap(name, "Muted.TLabel", self._whole_width).split("\n")[:_NAME_LINES]
        lines += [""] * (_NAME_LINES - len(lines))
        return "\n".join((*lines, f"{item.size:,} bytes", f"SHA-256: {groups}"))


def show_items(window: Window[Any], items: Sequence[ItemShown]) -> None:
    """Show the documents beside the window; where the screen has no room there, in it, with few rows."""
    look = window.look
    width = look.px(_WIDTH)
    column = window.beside(width)
    total = size_words(sum(item.size for item in items))
    title = look.words(f"{len(items):,} 份文件，共 {total}", f"{len(items):,} documents, {total}")
    if column is None:
        window.label(title, "Strong", above=12)
        ItemList(window, window.body, items, width=look.width, rows=_ROWS_WITHIN)
        return
    window.label(title, "Strong", on=column, width=width)
    rows = min(_ROWS_BESIDE, (window.room - look.px(_ABOUT)) // look.px(_ROW))
    ItemList(window, column, items, width=width, rows=max(_ROWS_WITHIN, rows))
