"""A word that needs no answer, in the corner of the screen; it takes no key from anybody."""

from __future__ import annotations

from contextlib import suppress
from tkinter import TclError

from agent.interaction.window_messages import TellNotice
from tray.windows.frame import Window, printable
from tray.windows.look import Look
from tray.windows.process import Pipe


class NoticeWindow(Window):
    """The window for `TellNotice`."""

    shows_time = False

    def __init__(self, look: Look, pipe: Pipe, message: TellNotice) -> None:
        super().__init__(look, pipe, message, "通知", "Notice")
        self.label(self.body, printable(message.zh), above=10)
        self.label(self.body, printable(message.en), "Muted.TLabel", above=6)
        self.button("知道了 OK", "o", self.close)

    def _place(self) -> None:
        with suppress(TclError):
            self.root.attributes("-type", "notification")
        # Outside the window manager's care: such a window is never given the keyboard.
        self.root.overrideredirect(True)
        margin = self.look.px(24)
        across = self.root.winfo_screenwidth() - self.root.winfo_reqwidth() - margin
        down = self.root.winfo_screenheight() - self.root.winfo_reqheight() - 2 * margin
        self.root.geometry(f"+{max(0, across)}+{max(0, down)}")

    def _take_focus(self) -> None:
        self.root.lift()
