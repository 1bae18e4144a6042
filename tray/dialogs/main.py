"""One window from its message to its answer."""

from __future__ import annotations

import sys
from typing import Any, Final

from agent.interaction.dialog_messages import Opening, read_opening
from hca_card.decoding import UNREADABLE
from tray.dialogs.frame import Window
from tray.dialogs.process import Pipe, harden

DONE: Final = 0
NO_SCREEN: Final = 3
MISUSED: Final = 2


def run(kind: str) -> int:
    """Show the window of `kind` for the message on standard input, and answer on standard output.

    Returns:
        The exit code: 0 answered, 2 what came is no message for such a window, 3 there is no screen.
    """
    harden()
    pipe = Pipe.standard()
    text = pipe.first()
    if text is None:
        return MISUSED
    try:
        opening = read_opening(kind, text)
    except UNREADABLE as error:
        print(f"hca-agent window {kind}: {error}", file=sys.stderr)  # noqa: T201  (standard error is the agent's log)
        return MISUSED
    import tkinter

    try:
        window = make(pipe, opening)
    except tkinter.TclError as error:
        print(f"hca-agent window {kind}: {error}", file=sys.stderr)  # noqa: T201
        return NO_SCREEN
    pipe.say(window.run())
    return DONE


def make(pipe: Pipe, opening: Opening) -> Window[Any]:
    """Return the window that shows `opening`.

    Where the screen has not enough room, it is in Chinese alone; where that does not help, it is scrolled.
    Type keeps the size that people read.

    Raises:
        tkinter.TclError: there is no screen.
    """
    from tray.dialogs.frame import open_screen

    show = _window_for(opening.kind)
    for terse in (False, True):
        window = show(open_screen(dark=opening.dark, terse=terse), pipe, opening)
        if window.fits:
            return window
        window.root.destroy()
    if opening.kind == "origins":  # its list is what is scrolled
        return show(open_screen(dark=opening.dark, terse=True), pipe, opening)
    window = show(open_screen(dark=opening.dark, terse=True), pipe, opening, scrolled="body")
    if window.fits:
        return window
    window.root.destroy()
    return show(open_screen(dark=opening.dark, terse=True), pipe, opening, scrolled="all")


def _window_for(kind: str) -> type[Window[Any]]:
    from tray.dialogs.about import AboutWindow
    from tray.dialogs.choose import ChooseWindow
    from tray.dialogs.consent import ConsentWindow
    from tray.dialogs.ending import EndingWindow
    from tray.dialogs.errand import ErrandWindow
    from tray.dialogs.new_pin import NewPinWindow, UnblockWindow
    from tray.dialogs.notice import NoticeWindow
    from tray.dialogs.origins import OriginsWindow
    from tray.dialogs.pin import KeypadWindow, PinWindow

    windows: dict[str, type[Window[Any]]] = {
        "consent": ConsentWindow,
        "pin": PinWindow,
        "keypad": KeypadWindow,
        "change-pin": NewPinWindow,
        "unblock": UnblockWindow,
        "choose": ChooseWindow,
        "errand": ErrandWindow,
        "about": AboutWindow,
        "end": EndingWindow,
        "notice": NoticeWindow,
        "origins": OriginsWindow,
    }
    return windows[kind]
