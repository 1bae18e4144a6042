"""A module in its own process, seen from this one: started when needed, ended when it crashes or hangs."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final, cast

from hca_card.decoding import UNREADABLE
from hca_card.pkcs11 import messages
from hca_card.pkcs11.errors import (
    ModuleCrashedError,
    ModuleError,
    ModuleTimeoutError,
    ModuleUnusableError,
)
from hca_card.pkcs11.messages import Answer, AnswerT, ModuleQuestion

log = logging.getLogger(__name__)

Start = Callable[[str], "subprocess.Popen[bytes]"]
"""Starts the process for the module of that path, with unbuffered pipes to its standard input and output."""

_END_SECONDS: Final = 2.0


class ModuleProcess:
    """One module; thread-safe, one request at a time.

    Args:
        path: the module's file, absolute.
        start: starts the process.
        seconds: how long a request may take before the process is ended.
        load_seconds: how long loading may take.

    Attributes:
        path: the module's file.
        generation: which process this is, counted from 1; 0 before the first. What one process said of slots
            and sessions means nothing to the next.
    """

    def __init__(self, path: Path, start: Start, *, seconds: float = 30, load_seconds: float = 20) -> None:
        self.path: Final = path
        self.generation = 0
        self._start = start
        self._seconds = seconds
        self._load_seconds = load_seconds
        self._lock = threading.Lock()
        self._running: _Child | None = None
        self._open: set[int] = set()
        self._retired = False

    @property
    def running(self) -> bool:
        """Whether a process is there that has not ended, and is not about to."""
        child = self._running
        return child is not None and child.alive and not self._retired

    def ask(
        self,
        question: ModuleQuestion[AnswerT],
        *,
        generation: int | None = None,
        seconds: float | None = None,
    ) -> AnswerT:
        """Return what the module answers. A request is sent at most once, whatever happens.

        Args:
            question: what is asked; the caller wipes a PIN in it.
            generation: the process that this request goes on with; None takes any, and starts one.
            seconds: how long it may take, where that is not as usual.

        Raises:
            ModuleUnusableError: the file cannot be loaded.
            ModuleCrashedError: the process ended in the middle, or since that generation.
            ModuleTimeoutError: no answer in time; the process is ended.
            ModuleError: the module refused; `code` says why.
        """
        allowed = self._seconds if seconds is None else seconds
        if not self._lock.acquire(timeout=allowed):
            raise ModuleTimeoutError(detail=f"{self.path.name} is busy")
        try:
            child = self._child(generation)
            child.write(question)
            answer = self._hear(child, allowed)
        finally:
            self._lock.release()
        if isinstance(answer, messages.CallRefused):
            raise ModuleError(answer.value, f"{self.path.name}: {answer.detail}")
        if not isinstance(answer, messages.answer_type(question)):
            self.end()
            raise ModuleCrashedError(detail=f"{self.path.name}: another answer than was asked for")
        if isinstance(question, messages.Open):
            self._open.add(question.slot)
        elif isinstance(question, messages.Close):
            self._open.discard(question.slot)
            if self._retired and not self._open:
                self.end()
        return answer

    def end(self, generation: int | None = None) -> None:
        """End the process, even in the middle of a call; the next request starts another.

        Args:
            generation: the process that is meant, whose place another one may have by now; None is any.
        """
        if generation not in (None, self.generation):
            return
        child, self._running = self._running, None
        self._open.clear()
        if child is not None:
            child.end()

    def retire(self) -> None:
        """End the process as soon as no visit is under way; whoever begins one has another process."""
        self._retired = True
        if not self._open:
            self.end()

    def _child(self, generation: int | None) -> _Child:
        child = self._running
        if generation is not None:
            if child is None or not child.alive or generation != self.generation:
                raise ModuleCrashedError(detail=f"{self.path.name} was started anew in the middle")
            return child
        if child is not None and child.alive and not self._retired:
            return child
        self.end()
        self._retired = False
        self.generation += 1
        try:
            self._running = child = _Child(self._start(str(self.path)), self.path.name)
        except OSError as error:
            raise ModuleUnusableError(detail=f"its process cannot be started: {error}") from error
        ready = self._hear(child, self._load_seconds)
        if isinstance(ready, messages.Unusable):
            self.end()
            raise ModuleUnusableError(detail=f"{self.path}: {ready.detail}")
        return child

    def _hear(self, child: _Child, seconds: float) -> Answer:
        try:
            answer = child.answers.get(timeout=seconds)
        except queue.Empty:
            log.error("the PKCS#11 module %s does not answer", self.path.name)  # noqa: TRY400
            self.end()
            raise ModuleTimeoutError(detail=f"{self.path.name}: no answer in {seconds:g} s") from None
        if answer is None:
            self.end()
            log.error("the PKCS#11 module %s ended its process with %s", self.path.name, child.code)
            raise ModuleCrashedError(detail=f"{self.path.name} ended its process with {child.code}")
        return answer


class _Child:
    """The process, and a thread that hears its answers."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._process = process
        self._input = cast(FileIO, process.stdin)
        self._output = cast(FileIO, process.stdout)
        self._heard_all = False
        threading.Thread(target=self._listen, name=f"module {name}", daemon=True).start()

    @property
    def alive(self) -> bool:
        return not self._heard_all and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code; negative is a signal."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_END_SECONDS)
        return None

    def write(self, question: ModuleQuestion[Any]) -> None:
        """Send a question; where the process has ended, the thread that listens notices."""
        buffer = messages.frame(question)
        with suppress(OSError, ValueError), memoryview(buffer) as view:
            done = 0
            while done < len(buffer):
                done += os.write(self._input.fileno(), view[done:])
        messages.wipe(buffer)

    def end(self) -> None:
        """End the process, even in the middle of a call."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def _heard(self, answer: Answer) -> None:
        # Kept until somebody takes it, so that many of them would fill the memory.
        if not self.answers.empty():
            raise ValueError("an answer that nobody asked for")
        self.answers.put(answer)

    def _listen(self) -> None:
        try:
            while (
                answer := messages.read_answer(lambda memory: self._output.readinto(memory) or 0)
            ) is not None:
                self._heard(answer)
        except (OSError, *UNREADABLE):
            log.exception("a PKCS#11 module's process spoke nonsense")
        finally:
            self._heard_all = True
            self.end()
            self._process.wait()
            self.answers.put(None)
            for pipe in (self._input, self._output):
                with suppress(OSError):
                    pipe.close()
