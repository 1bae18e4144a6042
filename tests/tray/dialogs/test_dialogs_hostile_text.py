"""What a card, a reader or a page says is text in every window, on a real X server."""

from __future__ import annotations

import gc
import os
import tkinter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    DocumentShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    UnblockQuestion,
)
from agent.interaction import dialog_messages as messages
from agent.interaction.dialog_messages import Content, Opening, SiteShown
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.hostile_strings import HOSTILE, squeezed, steering
from tests.support.screen import private_screen
from tray.dialogs.frame import _with_children
from tray.dialogs.main import make
from tray.dialogs.process import Pipe

pytestmark = pytest.mark.slow

STATUS = PinStatus(3, 6, 8)
MOST = 300
"""As much of a string as windows show whole; more is cut, with a mark that it is."""


@pytest.fixture(scope="module", autouse=True)
def display() -> Iterator[None]:
    with private_screen(96, "1600x2000") as screen, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", screen.display)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        yield
        # What Tk left in circles goes now, in its own thread: collected in another one later, while no window
        # is served here any more, it would wait for ever, and some other test with it.
        gc.collect()


def contents(text: str) -> list[Content]:
    card = CardShown(text, CardKind.PERSONNEL, text, text, False)
    document = DocumentShown(1, text, bytes(32))
    until = datetime(2030, 1, 1, tzinfo=UTC)
    site = SiteShown(origin=text, allowed=True, verbs=(Verb.READ,), until=until)
    return [
        ConsentQuestion(text, Verb.SIGN, document),
        PinQuestion(text, card, STATUS, Verb.SIGN, document),
        KeypadQuestion(text, card, STATUS, Verb.SIGN),
        NewPinQuestion(text, card, STATUS),
        UnblockQuestion(text, card, STATUS, STATUS),
        CardChoiceQuestion(text, (card, card)),
        messages.Notice(zh=text, en=text),
        messages.SiteList(sites=(site,)),
    ]


def words_of(widget: tkinter.Misc) -> str:
    """The words of a widget as the toolkit has them."""
    try:
        return str(widget.tk.call(str(widget), "cget", "-text"))
    except tkinter.TclError:
        return ""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_window_is_told_is_shown_as_it_is_and_nothing_of_it_is_done(text: str) -> None:
    shown = text[:MOST]
    source, target = os.pipe()
    try:
        for content in contents(shown):
            window = make(Pipe(source, target), Opening(content=content))
            root: Any = window.root
            try:
                root.deiconify()
                root.update()
                words = "".join(words_of(widget) for widget in _with_children(cast(tkinter.Misc, root)))
                assert squeezed(shown) in squeezed(words), content
                assert steering(words) == [], content
                assert steering(root.title()) == [] and squeezed(shown) not in squeezed(root.title())
                assert str(root.tk.call("info", "exists", "::owned")) == "0"
            finally:
                root.destroy()
    finally:
        os.close(source)
        os.close(target)
