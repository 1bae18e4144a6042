"""The PIN: who asks, for what, which card, how many tries; or where to type it on a reader with a keypad."""

from __future__ import annotations

import tkinter
from tkinter import ttk
from typing import Any

from agent.interaction import CARD_PULLED, KeypadQuestion, PinQuestion, SessionTerms
from agent.interaction.dialog_messages import Typed, read_card_there
from agent.interaction.terms import terms_words
from agent.vocabulary import VERB_WORDS
from hca_card.decoding import UNREADABLE
from hca_card.model import PinStatus
from tray.dialogs.frame import ContentT, Window
from tray.dialogs.item_list import show_items
from tray.dialogs.parts import show_card, show_document, show_site, tries_words
from tray.dialogs.pin_field import PinField


class SecretWindow(Window[ContentT]):
    """Fields of which the card checks the first, and OK when all are filled in.

    Attributes:
        fields: in the order of the keyboard.
    """

    fields: tuple[PinField, ...]
    _card_there = True

    def show_checked(self, secret: str, zh: str, en: str, status: PinStatus) -> None:
        """Show the field of the secret that the card checks, below the warning before a last try.

        Args:
            secret: "PIN" or "PUK".
            zh: what is to be typed.
            en: the same in English.
            status: of the secret.
        """
        self._agreed = tkinter.BooleanVar(self.root, not status.last_try)
        warning = self._warn(secret) if status.last_try else None
        field = PinField(self, zh, en, status, changed=self._changed, submit=self._submit)
        self.fields = (field,)
        self._enable_fields()
        self.first = warning or field.entry

    def show_buttons(self) -> None:
        """Show OK and Cancel, below the fields."""
        self._ok = self.button("確定 OK", "o", self._submit, main=True)
        self.button("取消 Cancel", "c", self.close)
        self._changed()

    def forget(self) -> None:
        """Wipe the fields."""
        for field in self.fields:
            field.wipe()

    def heard(self, text: bytes) -> None:
        """Say that the card was pulled out, and take nothing until it is back."""
        try:
            self._card_there = read_card_there(text).there
        except UNREADABLE:
            self.close()
            return
        self.missed()
        there = self._card_there
        self.show_headline(*(self.headline() if there else CARD_PULLED), alarm=not there)
        self._enable_fields()
        self.begin_moment()
        self._changed()

    def missed(self) -> None:
        """Begin anew: a PIN without the key that was ignored would be a wrong one, and cost a try."""
        for field in self.fields:
            if field.begun:
                field.start_again()

    def _warn(self, secret: str) -> ttk.Checkbutton:
        """Show the warning before the last try, and return the box for the extra yes."""
        self.look.make_check_box()
        panel = self.panel("Red", on=self.form)
        self.both(
            f"只剩最後一次機會：{secret} 碼再錯，卡片就會鎖住。",
            f"This is the last try: a wrong {secret} locks the card.",
            "Warning",
            on=panel,
        )
        text = f"{self.look.words('我知道，還是要試', 'I know, go on', ' ')} (K)"
        box = ttk.Checkbutton(
            panel,
            text=text,
            underline=len(text) - 2,
            variable=self._agreed,
            command=self._agree,
            style="Red.TCheckbutton",
        )
        box.pack(anchor="w", pady=(self.look.gap(8), 0))
        for letter in "kK":
            self.root.bind(f"<Alt-{letter}>", lambda _event: box.invoke())
        return box

    def _agree(self) -> None:
        self._enable_fields()
        self._changed()

    def _enable_fields(self) -> None:
        checked, *others = self.fields
        for field in others:
            field.enable(self._card_there)
        checked.enable(self._card_there and self._agreed.get())
        if self._card_there and self._agreed.get():
            checked.focus()

    def _ready(self) -> bool:
        return self._card_there and self._agreed.get() and all(field.fits for field in self.fields)

    def _changed(self) -> None:
        self._ok.state(["!disabled"] if self._ready() else ["disabled"])

    def _submit(self) -> None:
        if self._ready():
            pin, *new = (field.octets() for field in self.fields[:2])
            self.finish(Typed(pin=pin, new=new[0] if new else None))


class PinWindow(SecretWindow[PinQuestion]):
    """Who asks, for what, which card, and a field."""

    def headline(self) -> tuple[str, str]:
        """Return what to do, and for what."""
        zh, en = VERB_WORDS[self.content.verb]
        return f"{zh}：請輸入 PIN 碼", f"Enter the PIN to {en}"

    def fill(self) -> None:
        """Show who asks, what the PIN is kept for, and the field."""
        _show_request(self, self.content)
        if self.content.terms is not None:
            self._show_terms(self.content.terms)
        self.show_checked("PIN", "PIN 碼", "", self.content.status)
        self.show_buttons()

    def _show_terms(self, terms: SessionTerms) -> None:
        page = self.content.origin is not None
        who = ("這個網站", "this site") if page else ("您自己的程式", "your own program")
        zh, en = terms_words(terms, *who, page=page, icon=True)
        self.both(zh, en, above=12)
        if terms.items:
            show_items(self, terms.items)


class KeypadWindow(Window[KeypadQuestion]):
    """Where to type on a reader with a keypad: nothing to type here, and nothing to answer."""

    def headline(self) -> tuple[str, str]:
        """Return where to look, and for what."""
        zh, en = VERB_WORDS[self.content.verb]
        return f"{zh}：請看讀卡機", f"To {en}, look at the reader"

    def fill(self) -> None:
        """Show who asks, and where to type."""
        _show_request(self, self.content)
        panel = self.panel("Amber")
        self.both("請在讀卡機的鍵盤輸入 PIN 碼。", "Type the PIN on the reader's keypad.", "Strong", on=panel)
        cancel = self.look.words(
            "要取消，請按讀卡機的取消鍵。", "To cancel, press the keypad's cancel key.", " "
        )
        self.label(cancel, "Muted", above=2, on=panel)
        words = tries_words(self.content.status.tries_left, self.look)
        if words:
            self.label(words, "Muted", above=10)
        self.first = self.button("隱藏 Hide", "h", self.close)


def _show_request(window: Window[Any], question: PinQuestion | KeypadQuestion) -> None:
    show_site(window, question.origin)
    show_card(window, question.card)
    show_document(window, question.document)
