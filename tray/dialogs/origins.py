"""The sites with an answer kept: what each may do, until when, and a button to forget it."""

from __future__ import annotations

import tkinter
from tkinter import ttk
from typing import Final

from agent.interaction.dialog_messages import Allow, Forget, SiteList, SiteShown, read_opening
from agent.origins.portals import KNOWN
from agent.vocabulary import VERB_WORDS
from hca_card.decoding import UNREADABLE
from tray.dialogs.frame import Window, printable
from tray.dialogs.look import Look

_HEIGHT: Final = 400
_LEAST_HEIGHT: Final = 90
_ADDRESS_MAX: Final = 2048


class OriginsWindow(Window[SiteList]):
    """The sites; the agent forgets one, and sends the list anew."""

    asks = False

    def headline(self) -> tuple[str, str]:
        """Return what is listed."""
        return "允許的網站", "Sites that may use the card"

    def fill(self) -> None:
        """Show the list."""
        look = self.look
        look.make_scrollbar()
        self._height = look.px(_HEIGHT)
        holder = ttk.Frame(self.body)
        holder.pack(fill="both", expand=True, pady=(look.gap(12), 0))
        self._canvas = tkinter.Canvas(
            holder,
            width=look.px(560),
            height=self._height,
            background=look.colour.paper,
            highlightthickness=0,
        )
        self._bar_beside = ttk.Scrollbar(holder, style="Bar.Vertical.TScrollbar", command=self._canvas.yview)
        self._canvas.configure(yscrollcommand=self._bar_beside.set)
        self._canvas.pack(side="left", fill="both", expand=True)
        self._rows = ttk.Frame(self._canvas)
        self._canvas.create_window(0, 0, anchor="nw", window=self._rows, width=look.px(560))
        self._rows.bind("<Configure>", lambda _event: self._measure())
        for event, step in (("<Button-4>", -1), ("<Button-5>", 1), ("<Prior>", -6), ("<Next>", 6)):
            self.root.bind(event, lambda _event, by=step: self._scroll(by))  # type: ignore[misc]
        self.root.bind("<MouseWheel>", lambda event: self._scroll(-1 if event.delta > 0 else 1))
        self.first = self.button("關閉 Close", "c", self.close, main=True)
        self._ask_for_address()
        self.root.update_idletasks()
        rest = self.root.winfo_reqheight() - self._height
        self._height = max(look.px(_LEAST_HEIGHT), min(self._height, self.room - rest))
        self._list(self.content.sites)

    def _ask_for_address(self) -> None:
        """Show a field for the address of a site that is to be allowed without having asked."""
        look = self.look
        self.label(
            look.words("允許一個網站：貼上它的網址", "Allow a site: paste its address"), "Muted", above=12
        )
        row = ttk.Frame(self.form)
        row.pack(fill="x", pady=(look.gap(3), 0))
        self._address = ttk.Entry(row, style="Pin.TEntry", font=look.font(14), width=1)
        self._address.pack(side="left", fill="x", expand=True)
        allow = ttk.Button(
            row, text=look.words("允許", "Allow", " "), style="Small.Plain.TButton", command=self._allow
        )
        allow.pack(side="right", padx=(look.px(8), look.px(4)))
        for key in ("<Return>", "<KP_Enter>"):
            self._address.bind(key, lambda _event: self._allow())
        self._said = ttk.Label(self.form)
        self._said.pack(anchor="w", fill="x", pady=(look.gap(2), 0))
        self._say(
            "不再詢問就可以讀卡、登入與簽章；PIN 碼仍由本程式詢問",
            "It may read the card, log in and sign unasked; the PIN is still asked for",
            "Muted.TLabel",
        )

    def _say(self, zh: str, en: str, style: str) -> None:
        words = self.look.wrap(printable(self.look.words(zh, en)), style, self.look.px(560))
        self._said.configure(text=words, style=style)

    def _allow(self) -> None:
        if address := self._address.get().strip():
            self.pipe.say(Allow(address=address[:_ADDRESS_MAX]))

    def heard(self, text: bytes) -> None:
        """Show the list as it is now."""
        try:
            content = read_opening("origins", text).content
        except UNREADABLE:
            self.close()
            return
        if isinstance(content, SiteList):
            self._list(content.sites)
            if content.taken:
                self._address.delete(0, "end")
            if content.zh:
                self._say(content.zh, content.en, "Muted.TLabel" if content.taken else "Hint.TLabel")

    def _list(self, sites: tuple[SiteShown, ...]) -> None:
        for child in self._rows.winfo_children():
            child.destroy()
        if not sites:
            self.both(
                "還沒有任何網站；第一次使用時會詢問您。",
                "No site yet: you are asked at the first use of each.",
                above=20,
                on=self._rows,
            )
        for site in sites:
            self._row(site)
        self.guard(self._rows)
        self.begin_moment()
        if self.first is not None:
            self.first.focus_set()

    def _row(self, site: SiteShown) -> None:
        look = self.look
        row = ttk.Frame(self._rows)
        row.pack(fill="x", pady=(0, look.px(2)))
        words = ttk.Frame(row)
        words.pack(side="left", fill="x", expand=True, pady=look.px(10))
        width = look.px(400)
        portal = KNOWN.get(site.origin)
        if portal is not None:
            self.label(portal.zh, on=words, width=width)
        self.label(printable(site.origin), "Strong", on=words, width=width)
        self.label(_what(site, look), "Muted", above=2, on=words, width=width)
        if site.verbs:
            forget = ttk.Button(
                row,
                text=look.words("移除", "Remove", " "),
                style="Small.Plain.TButton",
                command=lambda: self.pipe.say(Forget(origin=site.origin)),
            )
            forget.bind("<FocusIn>", lambda _event: self._reveal(row))
            forget.pack(side="right", padx=(look.px(8), look.px(4)))
        tkinter.Frame(self._rows, height=look.px(1), background=look.colour.line).pack(fill="x")

    def _measure(self) -> None:
        self._canvas.configure(scrollregion=self._canvas.bbox("all"))
        needed, most = self._rows.winfo_reqheight(), self._height
        self._canvas.configure(height=min(needed, most))
        if needed > most:
            self._bar_beside.pack(side="right", fill="y")
        else:
            self._bar_beside.pack_forget()

    def _scroll(self, by: int) -> None:
        if self._rows.winfo_height() > self._canvas.winfo_height():
            self._canvas.yview_scroll(by, "units")

    def _reveal(self, row: ttk.Frame) -> None:
        """Scroll to a row that the Tab key has reached."""
        whole, shown = max(1, self._rows.winfo_height()), self._canvas.winfo_height()
        top, bottom = row.winfo_y(), row.winfo_y() + row.winfo_height()
        above = self._canvas.canvasy(0)
        if top < above:
            self._canvas.yview_moveto(top / whole)
        elif bottom > above + shown:
            self._canvas.yview_moveto((bottom - shown) / whole)


def _what(site: SiteShown, look: Look) -> str:
    zh, en = ("允許", "allowed") if site.allowed else ("拒絕", "refused")
    if not site.verbs or site.until is None:
        english = f"{en.capitalize()} by the configuration file; change it there"
        return look.words(f"設定檔{zh}，請改設定檔", english, "\n")
    verbs = "、".join(VERB_WORDS[verb][0] for verb in site.verbs)
    english = ", ".join(VERB_WORDS[verb][1] for verb in site.verbs)
    until = f"{site.until.astimezone():%Y-%m-%d %H:%M}"
    what = look.words(f"{zh}：{verbs}", f"{en.capitalize()}: {english}", "\n")
    return f"{what}\n{look.words('到', 'until', ' ')} {until}"
