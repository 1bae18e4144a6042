"""A new PIN: with the old one, or with the PUK of a card that is locked."""

from __future__ import annotations

from tkinter import ttk
from typing import TypeVar

from agent.interaction import NewPinQuestion, UnblockQuestion
from tray.dialogs.parts import show_card, show_site
from tray.dialogs.pin import SecretWindow
from tray.dialogs.pin_field import PinField

QuestionT = TypeVar("QuestionT", NewPinQuestion, UnblockQuestion)


class _NewPinForm(SecretWindow[QuestionT]):
    """A secret that the card checks, and a new PIN typed twice."""

    wish: tuple[str, str]

    def headline(self) -> tuple[str, str]:
        """Return what is to be done."""
        zh, en = self.wish
        return zh, en[0].upper() + en[1:]

    def show_asker(self) -> None:
        """Show who asks, except this person, whose wish the headline says; and the card."""
        if self.content.origin is not None:
            show_site(self, self.content.origin, self.wish)
        show_card(self, self.content.card)

    def show_new_pin(self) -> None:
        """Show the two fields for the new PIN, side by side, and the buttons."""
        pair = ttk.Frame(self.form)
        pair.pack(fill="x", pady=(self.look.gap(10), 0))
        self.fields += tuple(
            PinField(
                self,
                zh,
                en,
                self.content.status,
                changed=self._changed,
                submit=self._submit,
                column=(pair, column),
            )
            for column, (zh, en) in enumerate((("新的 PIN 碼", "New PIN"), ("再輸入一次", "Once more")))
        )
        self.show_buttons()

    def _ready(self) -> bool:
        _checked, new, again = self.fields
        return super()._ready() and new.same_as(again)

    def _changed(self) -> None:
        _checked, new, again = self.fields
        if new.fits and again.fits and not new.same_as(again):
            again.say(self.look.words("兩次不一樣", "Not the same"))
        super()._changed()

    def _submit(self) -> None:
        """Answer if all is right; else Enter goes to the first field that is not."""
        super()._submit()
        if not self._ready():
            checked, new, again = self.fields
            next((field for field in (checked, new) if not field.fits), again).focus()


class NewPinWindow(_NewPinForm[NewPinQuestion]):
    """The PIN, and the new one."""

    wish = ("變更 PIN 碼", "change the PIN")

    def fill(self) -> None:
        """Show who asks, and the fields."""
        self.show_asker()
        self.show_checked("PIN", "目前的 PIN 碼", "Present PIN", self.content.status)
        self.show_new_pin()


class UnblockWindow(_NewPinForm[UnblockQuestion]):
    """The PUK, and a new PIN; most holders have no PUK, and are told where to go."""

    wish = ("解鎖 PIN 碼", "unblock the PIN")

    def fill(self) -> None:
        """Show where to go without a PUK, who asks, and the fields."""
        panel = self.panel("Amber", above=10)
        self.both(
            "沒有 PUK 碼？到 hca.nat.gov.tw 以用戶代碼線上解鎖，或撥 0800-364-422。",
            "No PUK? Unblock at hca.nat.gov.tw with your user code, or call 0800-364-422.",
            on=panel,
        )
        self.show_asker()
        self.show_checked("PUK", "PUK 碼", "", self.content.puk)
        self.show_new_pin()
