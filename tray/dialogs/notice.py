"""A notice that needs no answer, in the corner of the screen; it takes no key from anybody."""

from __future__ import annotations

from contextlib import suppress
from tkinter import TclError

from agent.interaction import ConsentReply
from agent.interaction.dialog_messages import Decided, Notice
from agent.vocabulary import ERRAND_LINES, ERRAND_WORDS
from tray.dialogs.frame import Window, printable


class NoticeWindow(Window[Notice]):
    """A sentence in both languages."""

    shows_time = False
    wants_keys = False
    asks = False

    def headline(self) -> tuple[str, str]:
        """Return what it is."""
        return "通知", "Notice"

    def fill(self) -> None:
        """Show the sentences."""
        self.both(printable(self.content.zh), printable(self.content.en), above=10)
        errand = self.content.errand
        if errand is not None:
            if ERRAND_LINES[errand] not in self.content.zh:
                self.label(
                    f"{self.look.words('管理者', 'Administrators', ' ')}: {ERRAND_LINES[errand]}",
                    "Muted",
                    above=6,
                )
            self.button(
                ERRAND_WORDS[errand][0], "y", lambda: self.finish(Decided(reply=ConsentReply.YES)), main=True
            )
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
        if self._is_shown:
            self.root.lift()
