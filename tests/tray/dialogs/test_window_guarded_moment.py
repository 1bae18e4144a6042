"""The guarded moment of a window, on a real X server: what was on its way when it came is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agent.config import ConsentSettings
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    PinQuestion,
    Question,
)
from agent.interaction.dialogs import Dialogs
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.screen import Hurry, Screen, private_screen
from tests.support.waiting import LIMIT, until_async

pytestmark = pytest.mark.slow

PORTAL = "https://euservice.mohw.gov.tw"
CARD = CardShown("Reader 0", CardKind.PERSONNEL, "000000123456", "王小明", True)
OTHER = CardShown("Reader 1", CardKind.INSTITUTION, "000000654321", "測試醫院", True)
CONSENT = ConsentQuestion(PORTAL, Verb.LOGIN)
LAST_TRY = PinQuestion(PORTAL, CARD, PinStatus(1, 6, 8), Verb.LOGIN)
ENTRY = PinQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.LOGIN)
CHOICE = CardChoiceQuestion(PORTAL, (CARD, OTHER))
SETTLED = 1.2

_ANOTHER = """
import sys, tkinter
root = tkinter.Tk()
root.title("another program")
root.withdraw()
entry = tkinter.Entry(root)
entry.pack()
def act():
    word = sys.stdin.readline().split()
    if not word:
        root.destroy()
        return
    match word:
        case ["cover", place]:
            root.overrideredirect(True)
            root.geometry(place)
            root.deiconify()
            root.lift()
        case ["lower"]:
            root.withdraw()
        case ["focus", place]:
            root.geometry(place)
            root.deiconify()
            root.update()
            entry.focus_force()
    root.update()
    print("done", flush=True)
    root.after(1, act)
root.after(1, act)
root.mainloop()
"""


class Another:
    """A window of another program, which covers ours and takes the keyboard."""

    def __init__(self, screen: Screen) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ANOTHER],
            env=screen.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def tell(self, words: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        assert await to_thread(self._process.stdout.readline) == "done\n"

    def end(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def another(screen: Screen) -> Iterator[Another]:
    with contextlib.closing(contextlib.ExitStack()) as stack:
        program = Another(screen)
        stack.callback(program.end)
        yield program


@contextlib.asynccontextmanager
async def asking(question: Question[Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """The question being asked; whatever is on the screen afterwards is closed."""
    windows = Dialogs(ConsentSettings(seconds=60))
    asked = asyncio.create_task(windows.ask(question))
    try:
        yield asked
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await windows.close()


def window_of(screen: Screen) -> tuple[int, int, int, int, str]:
    """Left, top, width, height and number of the window."""
    number = screen.xdotool("search", "--onlyvisible", "--name", "HCA Card Agent").split()[0]
    told = dict(
        line.split("=", 1) for line in screen.xdotool("getwindowgeometry", "--shell", number).splitlines()
    )
    return int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"]), number


async def places_of_buttons(screen: Screen, question: Question[Any]) -> list[tuple[int, int]]:
    """Points along the row of buttons, from a window of the same question that came before."""
    async with asking(question):
        await to_thread(screen.await_window, "HCA Card Agent")
        left, top, width, height, _number = await to_thread(window_of, screen)
    await to_thread(screen.await_none)
    return [(left + width - away, top + height - 40) for away in (60, 110, 160, 210, 260)]


def click(screen: Screen, points: list[tuple[int, int]]) -> None:
    words = [word for x, y in points for word in ("mousemove", str(x), str(y), "click", "1")]
    screen.xdotool(*words)


async def answer(screen: Screen, asked: asyncio.Task[Any], *keys: str) -> Any:
    """Press keys once the window takes answers, and again where its moment had begun anew; the answer."""

    async def pressed() -> bool:
        if not asked.done() and await to_thread(screen.taking_answers):
            await to_thread(screen.key, *keys)
            await asyncio.wait([asked], timeout=2)
        return asked.done()

    await until_async(pressed, "there is no answer", 2 * LIMIT)
    return await asked


async def not_taking_answers(screen: Screen) -> None:
    async def none() -> bool:
        return not await to_thread(screen.taking_answers)

    await until_async(none, "it takes answers")


@pytest.mark.parametrize("question", [CONSENT, LAST_TRY, ENTRY, CHOICE], ids=lambda one: type(one).__name__)
async def test_clicks_and_keys_before_during_and_right_after_a_window_comes_are_no_answer(
    screen: Screen, question: Question[Any]
):
    points = await places_of_buttons(screen, question)
    async with asking(question) as asked:
        seen, hurry = None, Hurry()
        while not asked.done() and (seen is None or time.monotonic() < seen + 1.5):
            await hurry(click, screen, points)
            for keys in (("space", "Tab"), ("Return", "alt+k"), ("alt+o", "alt+y", "6")):
                await hurry(screen.key, *keys)
            if seen is None and await to_thread(screen.titles):
                seen = time.monotonic()
        assert not (asked.done() and hurry.kept)


@pytest.mark.parametrize("delay", ["300", "1100"])
async def test_a_key_held_since_before_the_window_came_is_no_answer_however_late_it_is_repeated(
    monkeypatch: pytest.MonkeyPatch, delay: str
):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with private_screen(96, "1600x1400", "-ardelay", delay, "-arinterval", "30") as screen:
        monkeypatch.setenv("DISPLAY", screen.display)
        async with asking(CHOICE) as asked:
            hurry = Hurry()
            while not await to_thread(screen.titles):
                hurry = Hurry()
            await hurry(screen.xdotool, "keydown", "Return")
            await asyncio.sleep(2.5)  # nothing may be answered meanwhile
            assert not (asked.done() and hurry.kept)
            await to_thread(screen.xdotool, "keyup", "Return")
            assert await answer(screen, asked, "Return") == CARD


async def test_a_window_that_is_covered_takes_no_answer_and_begins_its_moment_when_uncovered(
    screen: Screen, another: Another
):
    points = await places_of_buttons(screen, CONSENT)
    async with asking(CONSENT) as asked:
        await to_thread(screen.await_window, "登入")
        left, top, width, height, _number = await to_thread(window_of, screen)
        # Who asks is hidden, the button that allows is not.
        await another.tell(f"cover {width}x{height // 2}+{left}+{top}")
        await not_taking_answers(screen)
        for _ in range(4):
            await to_thread(click, screen, points[-1:])
            await to_thread(screen.key, "alt+y")
            await asyncio.sleep(0.5)  # nothing may be answered meanwhile
        assert not asked.done()
        uncovered = Hurry()
        await another.tell("lower")
        await uncovered(screen.key, "alt+y")
        await uncovered(click, screen, points)
        await asyncio.sleep(0.2)  # nothing may be answered meanwhile
        if uncovered.kept:
            assert not asked.done()
            assert await answer(screen, asked, "alt+y") is ConsentReply.YES


async def test_a_keyboard_that_comes_back_begins_the_moment_anew(screen: Screen, another: Another):
    async with asking(CONSENT) as asked:
        await to_thread(screen.await_window, "登入")
        number = (await to_thread(window_of, screen))[-1]
        await another.tell("focus 50x50+1500+1300")
        await not_taking_answers(screen)
        await to_thread(screen.key, "alt+y")
        await asyncio.sleep(1)  # nothing may be answered meanwhile
        assert not asked.done()
        back = Hurry()
        await back(screen.xdotool, "windowfocus", "--sync", number, "key", "alt+y")
        await asyncio.sleep(0.1)  # nothing may be answered meanwhile
        assert not (asked.done() and back.kept)
        assert await answer(screen, asked, "alt+y") is ConsentReply.YES


async def test_a_window_that_is_moved_under_the_pointer_begins_its_moment_anew(screen: Screen):
    points = await places_of_buttons(screen, CONSENT)
    async with asking(CONSENT) as asked:
        await to_thread(screen.await_window, "登入")
        left, top, *_, number = await to_thread(window_of, screen)
        x, y = points[-2]
        away = ("windowmove", number, str(left + 300), str(top + 300))
        back = ("windowmove", number, str(left), str(top))
        await to_thread(screen.xdotool, *away)
        await asyncio.sleep(SETTLED)  # nothing is done until the guarded moment has passed
        moved = Hurry()
        await moved(screen.xdotool, "mousemove", str(x), str(y), *back, "click", "1", "key", "alt+y")
        await asyncio.sleep(0.3)  # nothing may be answered meanwhile
        assert not (asked.done() and moved.kept)


async def test_a_pin_of_which_a_key_was_ignored_is_typed_anew(screen: Screen, another: Another):
    async with asking(ENTRY) as asked:
        await to_thread(screen.await_window, "PIN")
        number = (await to_thread(window_of, screen))[-1]
        await to_thread(screen.type, "123")
        await another.tell("focus 50x50+1500+1300")
        await not_taking_answers(screen)
        back = Hurry()
        await back(screen.xdotool, "windowfocus", "--sync", number, "key", "4")
        await to_thread(screen.await_window, "PIN")
        await to_thread(screen.type, "567")
        await to_thread(screen.key, "Return")
        await asyncio.sleep(0.3)  # nothing may be answered meanwhile
        if back.kept:  # or the 4 was none that is ignored
            assert not asked.done()
            await to_thread(screen.type, "890")
            await to_thread(screen.key, "Return")
            pin = await asyncio.wait_for(asked, LIMIT)
            assert pin.octets == b"567890"
