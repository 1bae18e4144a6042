"""The PIN: who asks, for what, which card, how many tries; or where to type it on a reader with a keypad."""

from __future__ import annotations

import tkinter
from tkinter import ttk

from agent.interaction.window_messages import AskPin, Typed
from tray.windows.frame import Window
from tray.windows.look import Look
from tray.windows.parts import show_card, show_document, show_site, tries_words, wish_of
from tray.windows.pin_field import PinField
from tray.windows.process import Pipe


class LastTry:
    """The warning before the last try, and the extra yes it takes.

    Args:
        window: where.
        secret: what is tried, "PIN" or "PUK".
        changed: called when the yes is given or taken back.
    """

    def __init__(self, window: Window, secret: str, changed: object) -> None:
        window.look.make_check_box()
        panel, width = window.panel("Red"), window.panel_width
        window.label(
            panel, f"只剩最後一次機會：{secret} 碼再錯，卡片就會鎖住。", "Red.Warning.TLabel", width=width
        )
        window.label(
            panel,
            f"This is the last try: a wrong {secret} locks the card.",
            "Red.Muted.TLabel",
            above=2,
            width=width,
        )
        self._yes = tkinter.BooleanVar(window.root, False)
        text = "我知道，還是要試 I know, go on (K)"
        self.box = ttk.Checkbutton(
            panel,
            text=text,
            underline=len(text) - 2,
            variable=self._yes,
            command=changed,  # type: ignore[arg-type]
            style="Red.TCheckbutton",
        )
        self.box.pack(anchor="w", pady=(window.look.px(8), 0))
        for letter in "kK":
            window.root.bind(f"<Alt-{letter}>", lambda _event: self.box.invoke())

    @property
    def said_yes(self) -> bool:
        """Whether the extra yes was given."""
        return self._yes.get()


class PinWindow(Window):
    """The window for `AskPin`, with a field."""

    def __init__(self, look: Look, pipe: Pipe, message: AskPin) -> None:
        zh, en = wish_of(message.verb)
        super().__init__(look, pipe, message, f"{zh}：請輸入 PIN 碼", f"Enter the PIN to {en}")
        show_site(self, message.origin)
        show_card(self, message.card)
        show_document(self, message.document)
        self._last = LastTry(self, "PIN", self._agree) if message.tries.last else None
        self._field = PinField(
            self, "PIN 碼", "", message.tries, changed=self._changed, submit=self._submit, shows_tries=True
        )
        self._ok = self.button("確定 OK", "o", self._submit, main=True)
        self.button("取消 Cancel", "c", self.close)
        self.first = self._field.entry
        if self._last is not None:
            self._field.enable(False)
            self.first = self._last.box
        self._changed()

    def forget(self) -> None:
        """Wipe the field."""
        self._field.wipe()

    def _agree(self) -> None:
        agreed = self._last is not None and self._last.said_yes
        self._field.enable(agreed)
        if agreed:
            self._field.focus()
        self._changed()

    def _ready(self) -> bool:
        return self._field.fits and (self._last is None or self._last.said_yes)

    def _changed(self) -> None:
        self._ok.state(["!disabled"] if self._ready() else ["disabled"])

    def _submit(self) -> None:
        if self._ready():
            self.finish(Typed(pin=self._field.octets()))


class KeypadWindow(Window):
    """The window for `AskPin` with a keypad: nothing to type here, and nothing to answer."""

    def __init__(self, look: Look, pipe: Pipe, message: AskPin) -> None:
        zh, en = wish_of(message.verb)
        super().__init__(look, pipe, message, f"{zh}：請看讀卡機", f"To {en}, look at the reader")
        show_site(self, message.origin)
        show_card(self, message.card)
        show_document(self, message.document)
        panel, width = self.panel("Amber"), self.panel_width
        self.label(
            panel,
            "請在讀卡機的鍵盤輸入 PIN 碼。",
            "Amber.Strong.TLabel",
            width=width,
        )
        self.label(
            panel,
            "Type the PIN on the reader's keypad.\n"
            "要取消，請按讀卡機的取消鍵。 To cancel, press the keypad's cancel key.",
            "Amber.Muted.TLabel",
            above=2,
            width=width,
        )
        words = tries_words(message.tries)
        if words:
            self.label(self.body, words, "Muted.TLabel", above=10)
        self.first = self.button("隱藏 Hide", "h", self.close)
