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

_ZOOMS: Final = (1.0, 0.85, 0.72, 0.6)


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
    """Return the window that shows `opening`, smaller where the screen has not enough room.

    Raises:
        tkinter.TclError: there is no screen.
    """
    from tray.dialogs.frame import open_screen

    show = _window_for(opening.kind)
    for zoom in _ZOOMS:
        window = show(open_screen(zoom), pipe, opening)
        if window.fits:
            break
        window.root.destroy()
    else:
        window = show(open_screen(_ZOOMS[-1]), pipe, opening)
    return window


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
