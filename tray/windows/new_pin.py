"""A new PIN: with the old one, or with the PUK of a card that is locked."""

from __future__ import annotations

from tkinter import ttk

from agent.interaction.window_messages import AskNewPin, AskUnblock, Tries, Typed
from tray.windows.frame import Window
from tray.windows.look import Look
from tray.windows.parts import show_card, show_site
from tray.windows.pin import LastTry
from tray.windows.pin_field import PinField
from tray.windows.process import Pipe


class _TwoSecrets(Window):
    """A secret that the card checks, and a new PIN typed twice."""

    def _fill(self, secret: tuple[str, str, str], checked: Tries, new: Tries) -> None:
        """Put the fields: `secret` is its short name and what to call it in both languages."""
        short, zh, en = secret
        self._last = LastTry(self, short, self._agree) if checked.last else None
        self._old = PinField(
            self, zh, en, checked, changed=self._changed, submit=self._next, shows_tries=True
        )
        pair = ttk.Frame(self.body)
        pair.pack(fill="x", pady=(self.look.px(10), 0))
        self._new, self._again = (
            PinField(self, zh, en, new, changed=self._changed, submit=self._next, column=(pair, column))
            for column, (zh, en) in enumerate((("新的 PIN 碼", "New PIN"), ("再輸入一次", "Once more")))
        )
        self._ok = self.button("確定 OK", "o", self._submit, main=True)
        self.button("取消 Cancel", "c", self.close)
        self.first = self._old.entry
        if self._last is not None:
            self._old.enable(False)
            self.first = self._last.box
        self._changed()

    def forget(self) -> None:
        """Wipe the fields."""
        for field in (self._old, self._new, self._again):
            field.wipe()

    def _agree(self) -> None:
        agreed = self._last is not None and self._last.said_yes
        self._old.enable(agreed)
        if agreed:
            self._old.focus()
        self._changed()

    def _ready(self) -> bool:
        agreed = self._last is None or self._last.said_yes
        return agreed and self._old.fits and self._new.fits and self._new.same_as(self._again)

    def _changed(self) -> None:
        differ = self._new.fits and self._again.fits and not self._new.same_as(self._again)
        if differ:
            self._again.say("兩次不一樣 · Not the same")
        self._ok.state(["!disabled"] if self._ready() else ["disabled"])

    def _next(self) -> None:
        """Enter: to the first field that is not right yet, or done."""
        if self._ready():
            self._submit()
            return
        for field in (self._old, self._new):
            if not field.fits:
                field.focus()
                return
        self._again.focus()

    def _submit(self) -> None:
        if self._ready():
            self.finish(Typed(pin=self._old.octets(), new=self._new.octets()))


class NewPinWindow(_TwoSecrets):
    """The window for `AskNewPin`."""

    def __init__(self, look: Look, pipe: Pipe, message: AskNewPin) -> None:
        super().__init__(look, pipe, message, "變更 PIN 碼", "Change the PIN")
        _asked_by(self, message.origin, ("變更 PIN 碼", "change the PIN"))
        show_card(self, message.card)
        self._fill(("PIN", "目前的 PIN 碼", "Present PIN"), message.tries, message.tries)


class UnblockWindow(_TwoSecrets):
    """The window for `AskUnblock`; most holders have no PUK, and are told where to go."""

    def __init__(self, look: Look, pipe: Pipe, message: AskUnblock) -> None:
        super().__init__(look, pipe, message, "解鎖 PIN 碼", "Unblock the PIN")
        _asked_by(self, message.origin, ("解鎖 PIN 碼", "unblock the PIN"))
        show_card(self, message.card)
        panel, width = self.panel("Amber", above=10), self.panel_width
        self.label(
            panel,
            "沒有 PUK 碼？到 hca.nat.gov.tw 以用戶代碼線上解鎖，或撥 0800-364-422。",
            "Amber.TLabel",
            width=width,
        )
        self.label(
            panel,
            "No PUK? Unblock at hca.nat.gov.tw with your user code, or call 0800-364-422.",
            "Amber.Muted.TLabel",
            above=2,
            width=width,
        )
        self._fill(("PUK", "PUK 碼", ""), message.puk, message.tries)


def _asked_by(window: Window, origin: str | None, wish: tuple[str, str]) -> None:
    """Who asks; nobody needs to be told of their own wish, which the headline says."""
    if origin is not None:
        show_site(window, origin, wish)
