"""Which of several cards?"""

from __future__ import annotations

import tkinter
from tkinter import ttk

from agent.interaction import CardChoiceQuestion
from agent.interaction.dialog_messages import Picked
from tray.dialogs.frame import Window
from tray.dialogs.parts import card_words, show_site


class ChooseWindow(Window[CardChoiceQuestion]):
    """The cards; arrows move, Enter takes the marked one."""

    def headline(self) -> tuple[str, str]:
        """Return the question."""
        return "要用哪一張卡片？", "Which card?"

    def fill(self) -> None:
        """Show who asks, and a button for each card."""
        look = self.look
        show_site(self, self.content.origin, ("使用卡片", "use a card"))
        look.make_radio_button()
        self._picked = tkinter.IntVar(self.root, 0)
        self._rows: list[ttk.Radiobutton] = []
        for number, card in enumerate(self.content.cards):
            holder, place = card_words(card, look)
            row = ttk.Radiobutton(self.body, text=holder, value=number, variable=self._picked)
            row.pack(anchor="w", fill="x", pady=(look.gap(14), 0))
            row.bind("<Up>", lambda _event, to=number - 1: self._move(to))  # type: ignore[misc]
            row.bind("<Down>", lambda _event, to=number + 1: self._move(to))  # type: ignore[misc]
            for key in ("<Return>", "<KP_Enter>"):
                row.bind(key, lambda _event: self._submit())
            below = ttk.Label(
                self.body,
                text=look.wrap(place, "Muted.TLabel", look.width - look.px(32)),
                style="Muted.TLabel",
            )
            below.pack(anchor="w", padx=(look.px(31), 0))
            below.bind("<Button-1>", lambda _event, to=number: self._move(to))  # type: ignore[misc]
            self._rows.append(row)
        self.button("使用 Use", "o", self._submit, main=True)
        self.button("取消 Cancel", "c", self.close)
        self.first = self._rows[0]

    def _move(self, to: int) -> None:
        number = to % len(self._rows)
        self._picked.set(number)
        self._rows[number].focus_set()

    def _submit(self) -> None:
        self.finish(Picked(index=self._picked.get()))
