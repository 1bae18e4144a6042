"""How a document looks, beside the question whether to sign it: a PDF's first page, or a text to scroll."""

from __future__ import annotations

import struct
import tkinter
from tkinter import ttk
from typing import Any, Final

from signing.preview import NOTICES, Notice, PdfPreview, Preview, RecordKind, TextPreview
from tray.dialogs.frame import Window, printable
from tray.dialogs.look import Look

_KINDS: Final = {
    RecordKind.MEDICAL_RECORD: ("病歷", "Medical record"),
    RecordKind.XML: ("XML", ""),
    RecordKind.TEXT: ("文字", "Text"),
}
_TEXT_WIDTH: Final = 380
_TEXT_HEIGHT: Final = 240
_ABOUT: Final = 120
"""Pixels that stand above and below a picture."""


_Column = tuple[ttk.Frame, int]
"""A column beside the window, and its width in pixels."""


def kind_words(preview: Preview, look: Look) -> str:
    """Return what a document is: how many pages, or which record; empty where nothing is known."""
    if preview.pdf is not None and preview.pdf.pages:
        pages = preview.pdf.pages
        return f"PDF · {look.words(f'{pages} 頁', 'page' if pages == 1 else 'pages', ' ')}"
    if preview.text is not None:
        zh, en = _KINDS[preview.text.kind]
        return printable(preview.text.record_type) or (look.words(zh, en, " ") if en else zh)
    return ""


def show_preview(window: Window[Any], preview: Preview) -> None:
    """Show a document beside the window; where the screen has no room, only what has to be said of it."""
    found = preview.pdf or preview.text
    if found is None:
        return
    shown = _picture(window, preview.pdf) if preview.pdf else _text(window, preview.text)
    column, width = shown or (None, 0)
    for notice in found.notices:
        if column is None and notice in (Notice.FIRST_PAGE, Notice.SHORTENED):
            continue  # nothing is shown of which it could be said
        words = window.look.words(*NOTICES[notice], "\n")
        window.label(words, "Muted", above=6, on=column, width=width)


def _picture(window: Window[Any], pdf: PdfPreview) -> _Column | None:
    """Show the largest picture that there is room for."""
    # On a screen of high density each dot is shown as several.
    dense = max(1, round(window.look.px(100) / 100))
    for octets, times in ((pdf.picture, dense), (pdf.small, dense), (pdf.picture, 1), (pdf.small, 1)):
        if not octets:
            continue
        width, height = (times * each for each in struct.unpack(">II", octets[16:24]))
        if height + window.look.px(_ABOUT) > window.room:
            continue
        column = window.beside(width)
        if column is not None:
            image = tkinter.PhotoImage(master=window.root, data=octets).zoom(times)
            shown = ttk.Label(column, image=image, borderwidth=1, relief="solid")
            shown.image = image  # type: ignore[attr-defined]  # Tk keeps none
            shown.pack(anchor="n")
            return column, width
    return None


def _text(window: Window[Any], preview: TextPreview | None) -> _Column | None:
    """Show a text that can be scrolled."""
    look = window.look
    width = look.px(_TEXT_WIDTH)
    column = window.beside(width)
    if column is None or preview is None:
        return None
    look.make_scrollbar()
    holder = ttk.Frame(column, width=width, height=look.px(_TEXT_HEIGHT))
    holder.pack(fill="both", expand=True)
    holder.pack_propagate(False)
    shown = tkinter.Text(
        holder,
        wrap="word",
        font=look.font(13),
        background=look.colour.paper,
        foreground=look.colour.ink,
        borderwidth=0,
        highlightthickness=1,
        highlightbackground=look.colour.line,
        highlightcolor=look.colour.teal,
        padx=look.px(10),
        pady=look.px(8),
        height=1,
    )
    bar = ttk.Scrollbar(holder, style="Bar.Vertical.TScrollbar", command=shown.yview)
    shown.configure(yscrollcommand=bar.set)
    bar.pack(side="right", fill="y")
    shown.pack(side="left", fill="both", expand=True)
    shown.insert("1.0", "\n".join(preview.lines))
    shown.configure(state="disabled")
    return column, width
