"""What several windows show in the same way: who asks, which card, which document, how many tries."""

from __future__ import annotations

from tkinter import ttk
from typing import Any

from agent.expiry import Expiry
from agent.interaction import CardShown, DocumentShown
from agent.origins.portals import KNOWN
from agent.vocabulary import KIND_WORDS
from tray.dialogs.frame import SIMULATED, Window, printable
from tray.dialogs.look import Look
from tray.dialogs.preview import kind_words, show_preview

_DIGEST_GROUP = 32
_DIGEST_END = 12


def show_site(window: Window[Any], origin: str | None, wish: tuple[str, str] | None = None) -> None:
    """Show who asks: the proper name where it is known, and always the whole origin, wrapped and never cut.

    Args:
        window: where.
        origin: None for this person's own command.
        wish: what is wanted, in both languages, where the headline does not say it.
    """
    panel = window.panel()
    zh, en = ("", "") if wish is None else wish
    if origin is None:
        words = f"Your own program wants to {en}" if en else "Your own program"
        window.both(f"您自己的程式{f'要{zh}' if zh else ''}", words, "Strong", on=panel)
        return
    portal = KNOWN.get(origin)
    if portal is not None:
        window.both(portal.zh, portal.en, on=panel)
    window.label(printable(origin), "Strong", above=6 if portal is not None else 0, on=panel)
    if wish is not None:
        window.label(window.look.words(f"要{zh}", f"wants to {en}"), "Muted", above=4, on=panel)
    if "xn--" in origin:
        words = window.look.words(
            "網址含有非英文字母（xn--），可能在模仿別的網站。",
            "The address holds letters beyond English (xn--) and may imitate another site.",
            "\n",
        )
        window.label(words, "Hint", above=4, on=panel)


def show_card(window: Window[Any], card: CardShown) -> None:
    """Show which card, in which reader."""
    panel = window.panel(above=10)
    holder, place = card_words(card, window.look)
    window.label(holder, "Strong", on=panel)
    window.label(place, "Muted", above=3, on=panel)
    show_expiry(window, card.expiry, on=panel)


def show_expiry(window: Window[Any], told: Expiry | None, *, on: ttk.Frame | None = None) -> None:
    """Show that a certificate ends soon or has ended, and where to renew it; nothing as long as it lasts."""
    if told is not None:
        zh, en = f"{told.zh}{told.next_zh}", f"{told.en} {told.next_en}"
        window.label(window.look.words(zh, en, "\n"), "Hint", above=6, on=on)


def card_words(card: CardShown, look: Look) -> tuple[str, str]:
    """Return a card as two paragraphs: whose and of which kind, then number and reader."""
    zh, en = KIND_WORDS[card.kind]
    mark = f"【{SIMULATED}】 " if card.simulated else ""
    holder = printable(card.holder) or zh
    kind, reader = look.words(zh, en, " "), look.words("讀卡機", "Reader", " ")
    return f"{mark}{holder}", f"{kind} · {printable(card.serial)}\n{reader}: {printable(card.reader)}"


def show_document(window: Window[Any], document: DocumentShown | None) -> None:
    """Show what is going to be signed: its name, what it is, size and digest, and beside it how it looks."""
    if document is None:
        return
    show_preview(window, document.preview)
    kind = kind_words(document.preview, window.look)
    name = printable(document.name)
    if name or kind:
        window.label(" · ".join(filter(None, (name, kind))), "Strong", above=10)
    size = "" if document.size is None else f"{document.size:,} bytes · "
    digest = document.digest.hex()
    groups = " ".join(digest[at : at + _DIGEST_GROUP] for at in range(0, len(digest), _DIGEST_GROUP))
    if window.look.terse:
        groups = f"{digest[:_DIGEST_END]}…{digest[-_DIGEST_END:]}"
    title = window.look.words("文件", "Document", " ")
    above = 2 if name or kind else 10
    window.label(f"{title}: {size}{printable(document.hash)}", "Muted", above=above)
    window.label(groups, "Muted", above=1)


def tries_words(left: int | None, look: Look) -> str:
    """Return how many tries are left; empty where the card does not say."""
    if left is None:
        return ""
    return look.words(f"還可以試 {left} 次", f"{left} {'try' if left == 1 else 'tries'} left")
