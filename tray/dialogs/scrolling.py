"""A part of a window that is scrolled, where the screen has not enough room for all of it."""

from __future__ import annotations

import tkinter
from tkinter import ttk
from typing import Final

from tray.dialogs.look import Look

_STEP: Final = 40


class Scroll:
    """A frame that shows as much of itself as there is room for; wheel and Page keys move it.

    Args:
        on: what it is put on.
        look: of the window.
        width: pixels.

    Attributes:
        inside: what is scrolled.
    """

    def __init__(self, on: ttk.Frame, look: Look, width: int) -> None:
        self._look = look
        look.make_scrollbar()
        holder = ttk.Frame(on)
        holder.pack(fill="both", expand=True)
        self._canvas = tkinter.Canvas(
            holder,
            width=width,
            height=1,
            background=look.colour.paper,
            highlightthickness=0,
            yscrollincrement=look.px(_STEP),
        )
        self._bar = ttk.Scrollbar(holder, style="Bar.Vertical.TScrollbar", command=self._canvas.yview)
        self._canvas.configure(yscrollcommand=self._bar.set)
        self._canvas.pack(side="left", fill="both", expand=True)
        self.inside = ttk.Frame(self._canvas)
        self._canvas.create_window(0, 0, anchor="nw", window=self.inside, width=width)
        self.inside.bind("<Configure>", lambda _event: self._measure())
        for event, steps in (("<Button-4>", -1), ("<Button-5>", 1), ("<Prior>", -4), ("<Next>", 4)):
            look.root.bind(event, lambda _event, by=steps: self._move(by))  # type: ignore[misc]
        look.root.bind("<MouseWheel>", lambda event: self._move(-1 if event.delta > 0 else 1))
        look.root.bind("<FocusIn>", self._reveal, add=True)

    @property
    def height(self) -> int:
        """Pixels that it takes now."""
        return self._canvas.winfo_reqheight()

    def fit(self, room: int) -> None:
        """Take as much of `room`, in pixels, as it needs; show the bar where that is not all."""
        needed = self.inside.winfo_reqheight()
        self._canvas.configure(height=max(self._look.px(2 * _STEP), min(needed, room)))
        if needed > room:
            self._bar.pack(side="right", fill="y", padx=(self._look.px(4), 0))
        self._measure()

    def _measure(self) -> None:
        self._canvas.configure(scrollregion=self._canvas.bbox("all"))

    def _reveal(self, event: tkinter.Event[tkinter.Misc]) -> None:
        """Show what has the keyboard now."""
        widget = event.widget
        if not str(widget).startswith(f"{self.inside}."):
            return
        whole, shown = max(1, self.inside.winfo_height()), self._canvas.winfo_height()
        top = widget.winfo_rooty() - self.inside.winfo_rooty()
        bottom, above = top + widget.winfo_height(), self._canvas.canvasy(0)
        if top < above or bottom > above + shown:
            self._canvas.yview_moveto(max(0, bottom - shown + self._look.px(_STEP)) / whole)

    def _move(self, by: int) -> None:
        if self.inside.winfo_reqheight() > self._canvas.winfo_height():
            self._canvas.yview_scroll(by, "units")
