"""The person at the screen: each question is a window in a short-lived process of its own.

The agent writes what the window shows to its standard input and reads one line from its standard output.
Whoever stops waiting ends the window; a window that ends without an answer is a "no"; an agent that ends
closes the pipe, and with it the window.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Final, cast

import msgspec

from agent import __version__
from agent.config import ConsentSettings
from agent.desktop import converse, has_screen, own_command
from agent.interaction import CardShown, ConsentRequest, NewPinRequest, PinRequest, UnblockRequest
from agent.interaction import window_messages as messages
from agent.interaction.window_messages import Answer, Card, Document, Message, Tries
from hca_card.pin import Pin

log = logging.getLogger(__name__)

COMPATIBLE: Final = "HCAServiSign 1.0.23.1227"
"""What users of the old component are told to look for in the window that a double click opens."""

_NOTICE_SECONDS: Final = 12.0
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


class Windows:
    """An `Interaction` by windows. `agent.interaction.asking` sees to it that questions come one at a time.

    Args:
        settings: how long a question waits, and how long a yes holds.
        simulated: every card of this agent is a simulated one, which each window then says.
        command: gives the words that start the window of a kind.
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
        self._notice_turn = asyncio.Lock()
        self._told: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """Always: there is a screen."""
        return True

    async def ask_consent(self, request: ConsentRequest) -> bool | None:
        """Yes, no, or None when nobody answered in time."""
        answer = await self._ask(
            messages.AskConsent(
                origin=request.origin,
                verb=request.verb,
                also=tuple(verb for verb in request.verbs if verb is not request.verb),
                days=self._settings.days,
                once=request.once,
                document=Document.of(request.document),
                simulated=self._simulated,
                seconds=self._settings.seconds,
            )
        )
        if isinstance(answer, messages.Expired):
            return None
        return isinstance(answer, messages.Decided) and answer.allowed

    async def ask_pin(self, request: PinRequest) -> Pin | None:
        """The PIN, or None when the person cancelled or did not answer."""
        answer = await self._ask(self._pin_message(request))
        return messages.take(answer.pin) if isinstance(answer, messages.Typed) else None

    async def show_keypad(self, request: PinRequest) -> None:
        """A window that points to the reader's keypad, until this is cancelled or the person closes it."""
        await self._ask(self._pin_message(request, keypad=True))

    async def ask_new_pin(self, request: NewPinRequest) -> tuple[Pin, Pin] | None:
        """The PIN and the new one, or None when the person cancelled or did not answer."""
        return _pair(
            await self._ask(
                messages.AskNewPin(
                    origin=request.origin,
                    card=Card.of(request.card),
                    tries=Tries.of(request.status),
                    simulated=self._simulated or request.card.simulated,
                    seconds=self._settings.seconds,
                )
            )
        )

    async def ask_unblock(self, request: UnblockRequest) -> tuple[Pin, Pin] | None:
        """The PUK and a new PIN, or None when the person has no PUK, cancelled or did not answer."""
        return _pair(
            await self._ask(
                messages.AskUnblock(
                    origin=request.origin,
                    card=Card.of(request.card),
                    tries=Tries.of(request.status),
                    puk=Tries.of(request.puk),
                    simulated=self._simulated or request.card.simulated,
                    seconds=self._settings.seconds,
                )
            )
        )

    async def choose_card(self, origin: str | None, cards: tuple[CardShown, ...]) -> CardShown | None:
        """The card picked, or None when the person cancelled or did not answer."""
        answer = await self._ask(
            messages.AskCard(
                origin=origin,
                cards=tuple(Card.of(card) for card in cards),
                simulated=self._simulated,
                seconds=self._settings.seconds,
            )
        )
        if isinstance(answer, messages.Picked) and answer.index < len(cards):
            return cards[answer.index]
        return None

    async def notify(self, zh: str, en: str) -> None:
        """A notice in the corner of the screen, for some seconds; this does not wait for it."""
        if len(self._told) >= _NOTICES_MAX:
            log.info("too many notices at once; not shown: %s", en)
            return
        task = asyncio.create_task(self._notice(zh, en))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def show_about(self) -> None:
        """The window with the version, until the person closes it."""
        await self._ask(
            messages.TellAbout(version=__version__, compatible=COMPATIBLE, simulated=self._simulated)
        )

    async def show_origins(
        self, sites: Callable[[], tuple[messages.Site, ...]], forget: Callable[[str], object]
    ) -> None:
        """The window of allowed sites, until the person closes it.

        Args:
            sites: the list as it is now.
            forget: forgets every answer for an origin.
        """
        window = self._open(messages.TellOrigins(sites=sites(), simulated=self._simulated))
        try:
            while isinstance(answer := await window.answer(), messages.Forget):
                forget(answer.origin)
                await window.tell(messages.TellOrigins(sites=sites(), simulated=self._simulated))
        finally:
            window.end()

    async def close(self) -> None:
        """Close the notices that are still on the screen."""
        for task in tuple(self._told):
            task.cancel()
        await asyncio.gather(*self._told, return_exceptions=True)

    def _pin_message(self, request: PinRequest, *, keypad: bool = False) -> messages.AskPin:
        return messages.AskPin(
            origin=request.origin,
            verb=request.verb,
            card=Card.of(request.card),
            tries=Tries.of(request.status),
            document=Document.of(request.document),
            keypad=keypad,
            simulated=self._simulated or request.card.simulated,
            seconds=None if keypad else self._settings.seconds,
        )

    async def _notice(self, zh: str, en: str) -> None:
        async with self._notice_turn:
            await self._ask(
                messages.TellNotice(zh=zh, en=en, simulated=self._simulated, seconds=_NOTICE_SECONDS)
            )

    async def _ask(self, message: Message) -> Answer | None:
        """What the window answers; None when it ended without an answer or could not be started."""
        try:
            window = self._open(message)
        except OSError as error:
            log.error("a window cannot be started: %s", error)  # noqa: TRY400  (the error says it all)
            return None
        try:
            return await window.answer()
        finally:
            window.end()

    def _open(self, message: Message) -> _Window:
        return _Window(self._command(messages.kind_of(message)), message)


def _pair(answer: Answer | None) -> tuple[Pin, Pin] | None:
    if not isinstance(answer, messages.Typed) or answer.new is None:
        return None
    return messages.take(answer.pin), messages.take(answer.new)


class _Window:
    """One window process. A thread of its own reads it, into memory that can be wiped.

    Args:
        command: the words that start it.
        message: what it is told first.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], message: Message) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._ended = False
        self._process = converse(command)
        self._input = cast(FileIO, self._process.stdin)
        self._output = cast(FileIO, self._process.stdout)
        self._kind = messages.kind_of(message)
        threading.Thread(
            target=self._converse, args=(message,), name=f"window {self._kind}", daemon=True
        ).start()

    async def tell(self, message: Message) -> None:
        """Tell it one more thing; nothing happens when it is gone."""
        await asyncio.to_thread(self._write, message)

    async def answer(self) -> Answer | None:
        """Its next answer; None when it has ended."""
        return await self._answers.get()

    def end(self) -> None:
        """Close it, whatever it is doing; safe to call twice."""
        self._ended = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def _converse(self, message: Message) -> None:
        self._write(message)
        buffer = bytearray(messages.ANSWER_MAX)
        filled = 0
        try:
            while filled < len(buffer) and (count := self._read(buffer, filled)):
                filled += count
                while (end := buffer.find(b"\n", 0, filled)) >= 0:
                    self._hear(buffer[:end])
                    buffer[: filled - end - 1] = buffer[end + 1 : filled]
                    filled -= end + 1
        finally:
            buffer[:] = bytes(len(buffer))
            self._finish()

    def _read(self, buffer: bytearray, filled: int) -> int:
        with memoryview(buffer) as view, view[filled:] as rest:
            return self._output.readinto(rest) or 0

    def _hear(self, text: bytearray) -> None:
        try:
            answer = messages.answered(text)
        except msgspec.MsgspecError as error:
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
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()
        if code and not self._ended:
            log.warning("the %s window ended with %d", self._kind, code)
        self._give(None)

    def _give(self, answer: Answer | None) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    def _write(self, message: Message) -> None:
        with suppress(OSError, ValueError):  # it is gone already; the reading notices
            rest = memoryview(messages.line(message))
            while rest:
                rest = rest[os.write(self._input.fileno(), rest) :]
