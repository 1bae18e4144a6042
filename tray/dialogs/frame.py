"""What all windows share: they open on top, wait for a quiet moment, count down, and answer once."""

from __future__ import annotations

import time
import tkinter
import unicodedata
from collections.abc import Callable, Iterator
from queue import Empty
from tkinter import ttk
from typing import ClassVar, Final, Generic, TypeVar, cast

from agent.interaction.dialog_messages import Closed, Expired, Opening, WindowAnswer
from tray.dialogs.drawing import Layer
from tray.dialogs.look import Look
from tray.dialogs.process import Pipe, see_every_dot
from tray.dialogs.scrolling import Scroll
from tray.dialogs.turn import Turn
from tray.shapes import box

ContentT = TypeVar("ContentT")

NAME: Final = "HCA Card Agent"
SIMULATED: Final = "模擬卡 SIMULATED"

_TICK_MS: Final = 100
_QUIET_TICKS: Final = 6
_FOCUS_MS: Final = (1, 150, 500)
_ROOM: Final = 0.86  # a title bar and a panel stand beside it
_ROOM_ACROSS: Final = 0.96
_TEXT_MAX: Final = 400
_MARKS_MAX: Final = 4
_SOON_SHARE: Final = 0.2
_PANEL_PADDING: Final = 14


def printable(text: str) -> str:
    """Text of a card or a page, with nothing in it that could move or hide other text."""
    cut = text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"
    shown, marks = "", 0
    for character in cut:
        # Accents without end would be painted over the lines above and below.
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks <= _MARKS_MAX:
            shown += character if character.isprintable() else "�"
    return shown


def open_screen(*, dark: bool = False, terse: bool = False) -> Look:
    """Return the look of a root window that is not shown yet.

    Args:
        dark: light on dark.
        terse: in Chinese alone, where the screen has not enough room.

    Raises:
        tkinter.TclError: there is no screen.
    """
    see_every_dot()
    root = tkinter.Tk(className=NAME)
    root.withdraw()
    # What is typed is a PIN or a shortcut: no input method may learn it or keep the keys to itself.
    root.tk.call("tk", "useinputmethods", "0")
    return Look(root, dark=dark, terse=terse)


class Window(Generic[ContentT]):
    """A window that gives one answer to its content.

    Args:
        look: of a root window that is not shown yet.
        pipe: the agent.
        opening: what to show; its content is of the subclass's own kind.
        scrolled: "body" for what is shown alone, "all" for what is typed too; empty where all has room.

    Attributes:
        opening: what is shown.
        content: the question or notice in it.
        root: the toolkit's window.
        look: colours, type and measures.
        body: where the subclass puts what it shows; what does not fit on the screen is scrolled.
        form: below it, for what is typed; always seen.
        buttons: the row for buttons, filled from the right.
        first: what has the keyboard first.
        asks: whether it asks: then no other window of ours covers it, and it waits until no other one asks.
    """

    shows_time: ClassVar[bool] = True
    wants_keys: ClassVar[bool] = True
    asks: ClassVar[bool] = True

    def __init__(self, look: Look, pipe: Pipe, opening: Opening, *, scrolled: str = "") -> None:
        self.pipe = pipe
        self.opening = opening
        self.content = cast(ContentT, opening.content)
        self.look = look
        self.root = look.root
        self.first: tkinter.Misc | None = None
        self._answer: WindowAnswer = Closed()
        self._open_until = None if opening.seconds is None else time.monotonic() + opening.seconds
        self._quiet_ticks = 0
        self._said_ready = False
        self._place_seen: tuple[int, int] | None = None
        self._turn = Turn.of_screen()
        self._is_shown = False
        self._on_x11 = str(self.root.tk.call("tk", "windowingsystem")) == "x11"
        self._uncovered = not self._on_x11
        self._down: set[str] = set()
        zh, en = self.headline()
        self.root.title(f"{zh} · {en} · {NAME}")
        self.root.resizable(False, False)
        self._band = tkinter.Canvas(
            self.root, height=self.look.px(6), highlightthickness=0, background=self.look.colour.line
        )
        self._band.pack(fill="x")
        self._bar = self._band.create_rectangle(0, 0, 0, 0, fill=self.look.colour.teal, width=0)
        page = ttk.Frame(
            self.root, padding=(self.look.px(28), self.look.gap(18), self.look.px(28), self.look.gap(22))
        )
        page.pack(fill="both", expand=True)
        self._page = page
        self._heading(page, zh, en)
        ttk.Frame(page, width=self.look.width).pack()
        self._scrolled = Scroll(page, self.look, self.look.width) if scrolled else None
        self.body = self._scrolled.inside if self._scrolled else ttk.Frame(page)
        if self._scrolled is None:
            self.body.pack(fill="both", expand=True)
        self.form = ttk.Frame(self.body if scrolled == "all" else page)
        self.form.pack(fill="x", side="bottom" if scrolled == "all" else "top")
        foot = ttk.Frame(page)
        foot.pack(fill="x", pady=(self.look.gap(20), 0))
        self._clock = ttk.Label(foot, style="Muted.TLabel")
        self._clock.pack(side="left")
        self.buttons = ttk.Frame(foot)
        self.buttons.pack(side="right")
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.root.bind("<Escape>", lambda _event: self.close())
        self.fill()
        if self._scrolled is not None:
            self.root.update_idletasks()
            rest = self.root.winfo_reqheight() - self._scrolled.height
            self._scrolled.fit(self.room - rest)

    def headline(self) -> tuple[str, str]:
        """Return the question in both languages; the window's title too, which screen readers say first."""
        raise NotImplementedError

    def fill(self) -> None:
        """Fill `body` and `buttons`."""
        raise NotImplementedError

    def run(self) -> WindowAnswer:
        """Show the window until it has its answer, and return that."""
        self._guard()
        self.guard(self.root)
        self.root.update_idletasks()
        self._place()
        self._tick()
        self.root.mainloop()
        self.forget()
        self.root.destroy()
        self._turn.end()
        return self._answer

    def _take_turn(self) -> None:
        """Come to the screen when it is this window's turn; one that does not ask goes when another asks."""
        its_turn = self._turn.take() if self.asks else self._turn.is_free()
        if its_turn is self._is_shown:
            return
        self._is_shown = its_turn
        if not its_turn:
            self.root.withdraw()
            return
        if not self.asks and self.opening.seconds is not None:
            self._open_until = time.monotonic() + self.opening.seconds  # nobody could read it before
        self.root.deiconify()
        self.root.attributes("-topmost", True)
        for delay in _FOCUS_MS:
            self.root.after(delay, self._take_focus)

    @property
    def fits(self) -> bool:
        """Whether the screen has room for all of it."""
        self.root.update_idletasks()
        return self.root.winfo_reqheight() <= self.room

    @property
    def room(self) -> int:
        """Pixels that a window can be high on this screen."""
        return round(self.root.winfo_screenheight() * _ROOM)

    def finish(self, answer: WindowAnswer) -> None:
        """Give the answer and close."""
        self._answer = answer
        self.root.quit()

    def close(self) -> None:
        """Answer no: the person wants nothing of this."""
        self.finish(Closed())

    def forget(self) -> None:
        """Wipe what was typed; called when the window closes, however it does."""

    def missed(self) -> None:
        """Learn that a key was ignored."""

    def heard(self, text: bytes) -> None:
        """Take one more line of the agent; most windows expect none, and close."""
        self.close()

    def label(
        self, text: str, style: str = "", *, above: int = 0, on: ttk.Frame | None = None, width: int = 0
    ) -> ttk.Label:
        """Show a paragraph, wrapped: nothing of it is ever cut off.

        Args:
            text: what to show.
            style: "Strong", "Muted" or another of `Look`'s.
            above: distance to what is above.
            on: the panel or frame it is on; `body` when None.
            width: pixels; as wide as the body or panel when 0.
        """
        ground = "" if on is None else str(on.cget("style")).removesuffix("TFrame")
        name = f"{ground}{f'{style}.' if style else ''}TLabel"
        room = width or self.look.width - (2 * self.look.px(_PANEL_PADDING) if ground else 0)
        made = ttk.Label(on or self.body, text=self.look.wrap(text, name, room), style=name)
        made.pack(anchor="w", fill="x", pady=(self.look.gap(above) if above else 0, 0))
        return made

    def both(self, zh: str, en: str, style: str = "", *, above: int = 0, on: ttk.Frame | None = None) -> None:
        """Show a paragraph in both languages."""
        self.label(zh, style, above=above, on=on)
        if not self.look.terse:
            self.label(en, "Muted", above=2, on=on)

    def panel(self, kind: str = "Panel", *, above: int = 14, on: ttk.Frame | None = None) -> ttk.Frame:
        """Show a round-cornered field for what belongs together, and return it."""
        frame = ttk.Frame(
            on or self.body,
            style=f"{kind}.TFrame",
            padding=(self.look.px(_PANEL_PADDING), self.look.gap(_PANEL_PADDING)),
        )
        frame.pack(fill="x", pady=(self.look.gap(above), 0))
        return frame

    def beside(self, width: int) -> ttk.Frame | None:
        """Return a column right of everything else; None where the screen is too narrow for it.

        Args:
            width: pixels of what is put there.
        """
        margin = self.look.px(28)
        if self.look.width + width + 3 * margin > self.root.winfo_screenwidth() * _ROOM_ACROSS:
            return None
        column = ttk.Frame(self.root, padding=(0, self.look.gap(18), margin, self.look.gap(22)))
        column.pack(side="right", fill="y", before=self._page)
        return column

    def button(self, text: str, key: str, command: Callable[[], None], *, main: bool = False) -> ttk.Button:
        """Show a button left of those there are; Alt and `key` press it, and Enter when it has the focus."""
        made = self._button(self.buttons, text, key, command, "Main" if main else "Plain")
        made.pack(side="right", padx=(self.look.px(6), 0))
        return made

    def wide_button(self, text: str, key: str, command: Callable[[], None]) -> ttk.Button:
        """Show a button in a line of its own below the others, for what is seldom wanted."""
        made = self._button(self._page, text, key, command, "Plain")
        made.pack(anchor="e", pady=(self.look.gap(8), 0))
        return made

    def _button(
        self, on: ttk.Frame, text: str, key: str, command: Callable[[], None], style: str
    ) -> ttk.Button:
        zh, _, en = text.partition(" ")
        words = f"{self.look.words(zh, en, ' ')} ({key.upper()})"
        made = ttk.Button(on, text=words, underline=len(words) - 2, command=command, style=f"{style}.TButton")
        for letter in (key.lower(), key.upper()):
            self.root.bind(f"<Alt-{letter}>", lambda _event: made.invoke())
        return made

    def _heading(self, page: ttk.Frame, zh: str, en: str) -> None:
        look = self.look
        row = ttk.Frame(page)
        row.pack(fill="x")
        mark = look.image(
            look.px(20), look.px(20), look.colour.paper, chip(look.px(20), look.colour.teal), alike=False
        )
        ttk.Label(row, image=mark).pack(side="left", padx=(0, look.px(8)))
        ttk.Label(row, text=NAME, style="Muted.TLabel").pack(side="left")
        if self.opening.simulated:
            badge = ttk.Label(row, text=SIMULATED, style="Badge.TLabel", padding=(look.px(10), look.px(3)))
            badge.pack(side="right")
        self.root.iconphoto(
            True, look.image(32, 32, look.colour.paper, chip(32, look.colour.teal), alike=False)
        )
        self._title = self.label(zh, "Title", above=14, on=page)
        self._subtitle = None if look.terse else self.label(en, "Subtitle", above=4, on=page)

    def show_headline(self, zh: str, en: str, *, alarm: bool = False) -> None:
        """Replace the headline; with `alarm` so that nobody misses it."""
        style = "Alarm.TLabel" if alarm else "Title.TLabel"
        self._title.configure(text=self.look.wrap(zh, style, self.look.width), style=style)
        if self._subtitle is not None:
            self._subtitle.configure(text=self.look.wrap(en, "Subtitle.TLabel", self.look.width))
        self.root.title(f"{zh} · {en} · {NAME}")

    def _mark(self, size: int) -> tkinter.PhotoImage:
        """Return the mark of this program."""
        colour = self.look.colour
        return self.look.image(size, size, colour.paper, chip(size, colour.teal), alike=False)

    def _place(self) -> None:
        if self._on_x11:
            # A dialog is put by the window manager where the person works, whichever screen that is.
            self.root.attributes("-type", "dialog")
        else:
            self.root.tk.call("tk::PlaceWindow", ".", "center")

    def _take_focus(self) -> None:
        if not self._is_shown:
            return
        self.root.lift()
        self.root.focus_force()
        if self.first is not None and self.root.focus_get() in (None, self.root):
            self.first.focus_set()

    def guard(self, widget: tkinter.Misc) -> None:
        """Have the guarded moment hold for a widget and all in it; needed for those made later."""
        for each in _with_children(widget):
            if "Guard" in each.bindtags():
                continue
            each.bindtags(("Guard", *each.bindtags()))
            if isinstance(each, ttk.Button):
                for key in ("<Return>", "<KP_Enter>"):
                    each.bind(key, lambda event: event.widget.invoke())

    def _guard(self) -> None:
        """Ignore keys and clicks for what was there before this window, until nobody types for a while.

        The moment begins when the window is seen whole and has the keyboard, and again each time it gets
        back either or is moved. It is counted in ticks and not in seconds: in a process that could not run
        for a second, what a person did in that second is still on its way.
        """
        root = self.root
        for event in ("<KeyPress>", "<ButtonPress>"):
            root.bind_class("Guard", event, self._pressed)
        for event in ("<KeyRelease>", "<ButtonRelease>"):
            root.bind_class("Guard", event, self._released)
        root.bind("<Map>", self._came, add=True)
        root.bind("<FocusOut>", self._lost_keys, add=True)
        if self._on_x11:
            # Only X tells of what covers a window.
            root.bind("<Unmap>", self._went, add=True)
            root.bind("<Visibility>", self._seen, add=True)
        root.bind("<Configure>", self._moved, add=True)

    def begin_moment(self) -> None:
        """Begin the guarded moment anew: what is under the pointer or the keyboard is something else."""
        self._quiet_ticks = 0
        self._down.clear()

    def _came(self, event: tkinter.Event[tkinter.Misc]) -> None:
        if event.widget is self.root:
            self.begin_moment()

    def _lost_keys(self, _event: tkinter.Event[tkinter.Misc]) -> None:
        # Between two fields of this window the keyboard goes too; then it is not lost.
        if not self._has_keys():
            self.begin_moment()

    def _went(self, event: tkinter.Event[tkinter.Misc]) -> None:
        if event.widget is self.root:
            self._uncovered = False

    def _seen(self, event: tkinter.Event[tkinter.Misc]) -> None:
        if event.widget is self.root:
            # Beyond the edge of the screen counts as covered to X; then nothing more is known.
            self._uncovered = str(event.state) == "VisibilityUnobscured" or not self._is_on_screen()
            self.begin_moment()

    def _moved(self, event: tkinter.Event[tkinter.Misc]) -> None:
        place = self.root.winfo_rootx(), self.root.winfo_rooty()
        # Not its size: a hint that takes a second line while a PIN is typed must cost no key.
        if event.widget is self.root and place != self._place_seen:
            self._place_seen = place
            self.begin_moment()

    def _is_on_screen(self) -> bool:
        root = self.root
        left, top = root.winfo_rootx(), root.winfo_rooty()
        right, bottom = left + root.winfo_width(), top + root.winfo_height()
        across, down = root.winfo_screenwidth(), root.winfo_screenheight()
        return min(left, top) >= 0 and right <= across and bottom <= down

    def _is_attended(self) -> bool:
        """Whether it is seen whole and has the keyboard, as far as this system tells."""
        return self._uncovered and (not self.wants_keys or self._has_keys())

    def _takes_answers(self) -> bool:
        """Whether the guarded moment is over."""
        return self._quiet_ticks >= _QUIET_TICKS and self._is_attended()

    def _say_ready(self) -> None:
        """Have the name of its icon tell other programs whether it takes answers: the title, or nothing."""
        ready = self._takes_answers()
        if ready is not self._said_ready:
            self._said_ready = ready
            self.root.iconname(self.root.title() if ready else " ")

    def _has_keys(self) -> bool:
        return str(self.root.tk.call("focus")) != ""

    def _pressed(self, event: tkinter.Event[tkinter.Misc]) -> str | None:
        if self._takes_answers():
            self._down.add(_which(event))
            return None
        self.begin_moment()
        if event.type is tkinter.EventType.KeyPress:
            self.missed()
        return "break"

    def _released(self, event: tkinter.Event[tkinter.Misc]) -> str | None:
        which = _which(event)
        if which in self._down:
            self._down.discard(which)
            return None
        # Pressed before the moment was over. X repeats a key that is held as a release and a press.
        self.begin_moment()
        return "break"

    def _tick(self) -> None:
        self._take_turn()
        self._quiet_ticks = self._quiet_ticks + 1 if self._is_attended() else 0
        self._say_ready()
        self._listen()
        if not self._is_shown and not self.asks:
            pass  # its time begins when it is seen
        elif self._open_until is not None and self.opening.seconds is not None:
            left = self._open_until - time.monotonic()
            if left <= 0:
                self.finish(Expired())
                return
            self._show_time(left, left / self.opening.seconds)
        else:
            self._show_time(None, 1.0)
        self.root.after(_TICK_MS, self._tick)

    def _show_time(self, left: float | None, share: float) -> None:
        width, colours, words = self._band.winfo_width(), self.look.colour, self.look.words
        soon = share <= _SOON_SHARE
        self._band.coords(self._bar, 0, 0, round(width * share), self._band.winfo_height())
        self._band.itemconfigure(self._bar, fill=colours.amber if soon else colours.teal)
        if self.root.winfo_viewable() and not self._uncovered:
            self._clock.configure(text=words("被其他視窗蓋住", "Covered"), foreground=colours.amber)
        elif left is None or not self.shows_time:
            self._clock.configure(text="")
        else:
            whole = int(left) + 1
            self._clock.configure(
                text=words(f"剩 {whole // 60}:{whole % 60:02}", "left", " "),
                foreground=colours.amber if soon else colours.muted,
            )

    def _listen(self) -> None:
        try:
            while (text := self.pipe.next()) is not None:
                self.heard(text)
        except Empty:
            return
        self.close()


def chip(size: int, teal: str) -> list[Layer]:
    """Return the mark of this program: a card with its chip."""
    part = size / 20
    card = box(part, 3 * part, 19 * part, 17 * part, 3 * part)
    contact = box(4 * part, 7 * part, 10 * part, 12 * part, 1.2 * part)
    return [(card, teal), (contact, "#fcd34d")]


def _which(event: tkinter.Event[tkinter.Misc]) -> str:
    """Return which key or button an event is of; the press and the release of one have the same."""
    if event.type in (tkinter.EventType.ButtonPress, tkinter.EventType.ButtonRelease):
        return f"button {event.num}"
    return f"key {event.keycode}"


def _with_children(widget: tkinter.Misc) -> Iterator[tkinter.Misc]:
    yield widget
    for child in widget.winfo_children():
        yield from _with_children(child)
