"""A field for a PIN or PUK: dots only, its own characters only, and hints about the keyboard's state."""

from __future__ import annotations

import sys
import tkinter
from collections.abc import Callable
from tkinter import ttk
from typing import Any, Final

from hca_card.model import PinStatus
from tray.dialogs.frame import Window
from tray.dialogs.parts import tries_words

_LOCK_MASK: Final = 0x0002  # X11 LockMask; Tk says the same everywhere

_FEW: Final = 2
_CAPS: Final = ("大寫鎖定（Caps Lock）開著", "Caps Lock is on")
_AGAIN: Final = ("請從頭輸入", "Please type it from the start")
_NOT_ASCII: Final = ("請切換成英數半形輸入", "Switch the keyboard to plain letters and digits")


class PinField:
    """A PIN that is being typed.

    Args:
        window: where; the field goes below what is in its body.
        zh: what is to be typed.
        en: the same in English; empty where it is the same word.
        status: how long it may be, and how many tries are left.
        changed: called after each change.
        submit: called at Enter.
        column: the frame and the column in it, where two fields stand side by side; they say no tries.
    """

    def __init__(
        self,
        window: Window[Any],
        zh: str,
        en: str,
        status: PinStatus,
        *,
        changed: Callable[[], None],
        submit: Callable[[], None],
        column: tuple[ttk.Frame, int] | None = None,
    ) -> None:
        self._status = status
        self._changed = changed
        self._look = look = window.look
        self._width = look.width
        place = ttk.Frame(window.form if column is None else column[0])
        if column is None:
            place.pack(fill="x", pady=(look.gap(14), 0))
        else:
            frame, number = column
            gap = look.px(12)
            self._width = (look.width - gap) // 2
            frame.columnconfigure(number, weight=1, uniform="columns")
            place.grid(row=0, column=number, sticky="new", padx=(gap // 2, 0) if number else (0, gap // 2))
        head = ttk.Frame(place)
        head.pack(fill="x")
        ttk.Label(head, text=look.words(zh, en, " ")).pack(side="left")
        words = tries_words(status.tries_left, look) if column is None else ""
        if words:
            few = status.tries_left is not None and status.tries_left <= _FEW
            style = "Hint.TLabel" if few else "Muted.TLabel"
            ttk.Label(head, text=words, style=style).pack(side="right")
        check = window.root.register(self._accept)
        self.entry = ttk.Entry(
            place,
            style="Pin.TEntry",
            show="●",
            font=look.font(18),
            width=1,
            exportselection=False,
            validate="key",
            validatecommand=(check, "%P"),
        )
        self.entry.pack(fill="x", pady=(look.gap(3), 0))
        self._hint = ttk.Label(place)
        self._hint.pack(anchor="w", pady=(look.gap(2), 0))
        self.say("")
        self.entry.bind("<KeyPress>", self._look_at_caps, add=True)
        for key in ("<Return>", "<KP_Enter>"):
            self.entry.bind(key, lambda _event: submit())
        self.entry.bind("<Map>", lambda _event: _without_input_method(self.entry))

    @property
    def fits(self) -> bool:
        """Whether it is as long as the card takes it."""
        return self._status.min_length <= len(self.entry.get()) <= self._status.max_length

    @property
    def begun(self) -> bool:
        """Whether anything was typed."""
        return bool(self.entry.get())

    def start_again(self) -> None:
        """Empty it, and say that it is to be typed from the start."""
        self.entry.delete(0, "end")
        self.say(self._look.words(*_AGAIN))

    def same_as(self, other: PinField) -> bool:
        """Whether the same was typed in both."""
        return self.entry.get() == other.entry.get()

    def octets(self) -> list[int]:
        """Return what was typed, as the message takes it."""
        return list(self.entry.get().encode("ascii"))

    def wipe(self) -> None:
        """Wipe what was typed."""
        self.entry.configure(validate="none")
        self.entry.delete(0, "end")

    def focus(self) -> None:
        """Give it the keyboard."""
        self.entry.focus_set()

    def enable(self, yes: bool) -> None:
        """Take keys, or none."""
        self.entry.state(["!disabled"] if yes else ["disabled"])

    def say(self, text: str) -> None:
        """Show a hint below the field; without text, the length that it takes."""
        style = "Hint.TLabel" if text else "Muted.TLabel"
        words = self._look.wrap(text or self._length_words(), style, self._width)
        self._hint.configure(text=words, style=style)

    def _length_words(self) -> str:
        low, high = self._status.min_length, self._status.max_length
        length = f"{low}" if low == high else f"{low}–{high}"
        return self._look.words(f"{length} 個英數字", f"{length} characters")

    def _accept(self, proposed: str) -> bool:
        if not all(0x20 <= ord(character) < 0x7F for character in proposed):
            self.say(self._look.words(*_NOT_ASCII))
            return False
        if len(proposed) > self._status.max_length:
            return False
        self.say("")
        self.entry.after_idle(self._changed)
        return True

    def _look_at_caps(self, event: tkinter.Event[tkinter.Misc]) -> None:
        locked = bool(int(event.state) & _LOCK_MASK)
        if event.keysym == "Caps_Lock":
            locked = not locked  # the state is that of before this key
        elif not event.char.isalpha():
            return
        self.entry.after_idle(lambda: self.say(self._look.words(*_CAPS) if locked else ""))


def _without_input_method(entry: ttk.Entry) -> None:
    """Allow no input method for this field on Windows (X11's is off for the whole program)."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.imm32.ImmAssociateContext(entry.winfo_id(), None)
