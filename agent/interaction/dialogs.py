"""The person at the screen: each question is a window in a short-lived process of its own.

The agent writes what the window shows to its standard input and reads one line from its standard output.
The window ends when its asker stops waiting, and when the agent ends, which closes the pipe.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import FileIO
from typing import Any, Final, cast

from agent import __version__
from agent.config import ConsentSettings
from agent.dark_mode import prefers_dark
from agent.desktop import converse, has_screen, own_command
from agent.environment import Child
from agent.interaction import (
    AnswerT,
    CardChoiceQuestion,
    CardQuestion,
    ConsentQuestion,
    ConsentReply,
    ErrandQuestion,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.interaction import dialog_messages as messages
from agent.interaction.dialog_messages import (
    Allow,
    CardThere,
    Closed,
    Content,
    Decided,
    Expired,
    Forget,
    Opening,
    Picked,
    SiteShown,
    Typed,
    WindowAnswer,
    take_pin,
)
from agent.vocabulary import Errand
from hca_card.decoding import UNREADABLE

log = logging.getLogger(__name__)

COMPATIBLE: Final = "HCAServiSign 1.0.23.1227"
"""What users of the old component are told to look for in the window that a double click opens."""

_NOTICE_SECONDS: Final = 12.0
_OFFER_SECONDS: Final = 45.0
_NOTICES_MAX: Final = 4
_END_SECONDS: Final = 2.0


def can_open(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Whether windows can be shown: there is a screen that Tk can draw on, and there is Tk.

    Args:
        environment: `os.environ` when None.
        platform: as `sys.platform`.
    """
    known = os.environ if environment is None else environment
    # Tk draws on X11 alone; desktops of Wayland have an X server for such programs.
    screen = has_screen(known, platform) and (platform in ("win32", "darwin") or bool(known.get("DISPLAY")))
    return screen and all(importlib.util.find_spec(name) is not None for name in ("tkinter", "_tkinter"))


class Dialogs:
    """An `Interaction` by windows. `agent.interaction.asking` sees to it that questions come one at a time.

    Args:
        settings: how long a question waits, and how long a yes holds.
        simulated: every card of this agent is a simulated one, which each window then says.
        command: gives the words that start the window of a kind.

    Attributes:
        do: does the errand that a notice offers; without it notices offer none.
    """

    def __init__(
        self,
        settings: ConsentSettings,
        *,
        simulated: bool = False,
        command: Callable[[str], Sequence[str]] = lambda kind: own_command("window", kind),
    ) -> None:
        self._settings = settings
        self._simulated = simulated
        self._command = command
        self.do: Callable[[Errand], Awaitable[object]] | None = None
        self._notice_turn = asyncio.Lock()
        self._notices: set[asyncio.Task[None]] = set()
        self._cards: frozenset[str] | None = None
        self._about_cards: dict[_Window, str] = {}

    @property
    def available(self) -> bool:
        """Always: there is a screen."""
        return True

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Show the question's window until it is answered, or this is cancelled."""
        seconds = None if isinstance(question, KeypadQuestion) else self._settings.seconds
        reader = question.card.reader if isinstance(question, CardQuestion) else None
        answer = await self._answer(await self._opening(cast(Content, question), seconds), reader)
        return cast("AnswerT | None", _result(question, answer))

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Show a notice in the corner of the screen for some seconds, without waiting for it."""
        if len(self._notices) >= _NOTICES_MAX:
            log.info("too many notices at once; not shown: %s", en)
            return
        task = asyncio.create_task(self._notice(zh, en, errand))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Tell the windows that ask about a card whether it is there."""
        before, self._cards = self._cards, readers
        for window, reader in self._about_cards.items():
            if (reader in readers) is not (before is None or reader in before):
                window.tell(CardThere(there=reader in readers))

    async def show_about(self) -> None:
        """Show the window with the version until the person closes it."""
        await self._answer(await self._opening(messages.About(version=__version__, compatible=COMPATIBLE)))

    async def confirm_end(self, *, again: bool) -> bool:
        """Return whether the person wants this program to end, or with `again` to begin anew."""
        answer = await self._answer(await self._opening(messages.Ending(again=again), self._settings.seconds))
        return isinstance(answer, Decided) and bool(answer.reply)

    async def show_origins(
        self,
        sites: Callable[[], tuple[SiteShown, ...]],
        forget: Callable[[str], object],
        allow: Callable[[str], tuple[bool, str, str]],
    ) -> None:
        """Show the window of allowed sites until the person closes it.

        Args:
            sites: gives the list as it is now.
            forget: forgets every answer for an origin.
            allow: allows the site of an address that the person typed; returns whether, and what to say.
        """
        window = _Window(self._command, await self._opening(messages.SiteList(sites=sites())))
        try:
            while isinstance(answer := await window.answer(), Forget | Allow):
                taken, zh, en = False, "", ""
                if isinstance(answer, Forget):
                    forget(answer.origin)
                else:
                    taken, zh, en = allow(answer.address)
                window.tell(await self._opening(messages.SiteList(sites=sites(), zh=zh, en=en, taken=taken)))
        finally:
            window.end()

    async def notices_read(self) -> None:
        """Return when the person has closed every notice, or its time is over."""
        while self._notices:
            await asyncio.wait(self._notices)

    async def close(self) -> None:
        """Close the notices that are still on the screen."""
        for task in tuple(self._notices):
            task.cancel()
        await asyncio.gather(*self._notices, return_exceptions=True)

    async def _notice(self, zh: str, en: str, errand: Errand | None) -> None:
        notice = messages.Notice(zh=zh, en=en, errand=errand if self.do else None)
        seconds = _NOTICE_SECONDS if notice.errand is None else _OFFER_SECONDS
        async with self._notice_turn:
            answer = await self._answer(await self._opening(notice, seconds))
        if notice.errand is not None and self.do and isinstance(answer, Decided) and answer.reply:
            await self.do(notice.errand)

    async def _opening(self, content: Content, seconds: float | None = None) -> Opening:
        simulated = self._simulated or (isinstance(content, CardQuestion) and content.card.simulated)
        return Opening(
            content=content,
            simulated=simulated,
            seconds=seconds,
            days=self._settings.days,
            silence_minutes=self._settings.silence_minutes,
            dark=await prefers_dark(),
        )

    async def _answer(self, opening: Opening, reader: str | None = None) -> WindowAnswer:
        """Return what the window answers; one that ends without an answer, or cannot start, is closed.

        Args:
            opening: what it shows.
            reader: where the card is that it asks about.
        """
        try:
            window = _Window(self._command, opening)
        except OSError as error:
            log.error("a window cannot be started: %s", error)  # noqa: TRY400  (the error says it all)
            return Closed()
        if reader is not None:
            self._about_cards[window] = reader
            if self._cards is not None and reader not in self._cards:
                window.tell(CardThere(there=False))
        try:
            return await window.answer() or Closed()
        finally:
            self._about_cards.pop(window, None)
            window.end()


def _result(question: Question[Any], answer: WindowAnswer) -> object:
    """Return what a window's answer says to `question`; an answer to another kind of question is a no."""
    match answer:
        case Typed(pin=pin) if isinstance(question, PinQuestion):
            return take_pin(pin)
        case Typed(pin=pin, new=list(new)) if isinstance(question, NewPinQuestion | UnblockQuestion):
            return take_pin(pin), take_pin(new)
        case Picked(index=index) if isinstance(question, CardChoiceQuestion) and index < len(question.cards):
            return question.cards[index]
        case Decided(reply=reply) if isinstance(question, ConsentQuestion | ErrandQuestion):
            return reply
        case Expired():
            return None
    return ConsentReply.NO if isinstance(question, ConsentQuestion | ErrandQuestion) else None


class _Window:
    """One window process. A thread of its own reads it, into memory that can be wiped, another writes.

    Args:
        command: gives the words that start the window of a kind.
        opening: what it shows first.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Callable[[str], Sequence[str]], opening: Opening) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[WindowAnswer | None] = asyncio.Queue()
        self._ended = False
        self._kind = opening.kind
        self._process = converse(command(self._kind), Child.WINDOW)
        self._input = cast(FileIO, self._process.stdin)
        self._output = cast(FileIO, self._process.stdout)
        self._writer = ThreadPoolExecutor(1, f"to window {self._kind}")
        self.tell(opening)
        threading.Thread(target=self._converse, name=f"window {self._kind}", daemon=True).start()

    def tell(self, message: Opening | CardThere) -> None:
        """Write it a message, after those before, if it still reads; nobody waits for that."""
        with suppress(RuntimeError):  # it has ended
            self._writer.submit(self._write, message)

    async def answer(self) -> WindowAnswer | None:
        """Return its next answer; None when it has ended."""
        return await self._answers.get()

    def end(self) -> None:
        """Close the window, even in the middle of a question; safe to call twice."""
        self._ended = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def _converse(self) -> None:
        buffer = bytearray(messages.ANSWER_MAX)
        filled = 0
        try:
            while filled < len(buffer) and (count := self._read(buffer, filled)):
                filled += count
                while (end := buffer.find(b"\n", 0, filled)) >= 0:
                    self._take(buffer[:end])
                    buffer[: filled - end - 1] = buffer[end + 1 : filled]
                    filled -= end + 1
        finally:
            buffer[:] = bytes(len(buffer))
            self._finish()

    def _read(self, buffer: bytearray, filled: int) -> int:
        with memoryview(buffer) as view, view[filled:] as rest:
            return self._output.readinto(rest) or 0

    def _take(self, text: bytearray) -> None:
        try:
            answer = messages.read_answer(text)
        except UNREADABLE as error:
            log.error("the %s window spoke nonsense and is ended: %s", self._kind, error)  # noqa: TRY400
            self.end()
        else:
            self._give(answer)
        finally:
            text[:] = bytes(len(text))

    def _finish(self) -> None:
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._writer.shutdown()
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()
        if code and not self._ended:
            log.warning("the %s window ended with %d", self._kind, code)
        self._give(None)

    def _give(self, answer: WindowAnswer | None) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    def _write(self, message: Opening | CardThere) -> None:
        with suppress(OSError, ValueError):  # it has ended; the reading notices
            rest = memoryview(messages.line(message))
            while rest:
                rest = rest[os.write(self._input.fileno(), rest) :]
