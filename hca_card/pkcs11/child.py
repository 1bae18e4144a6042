"""The process that a module lives in: requests on standard input, answers on standard output.

Whatever the module prints goes to standard error. The process ends when the pipe does, even while the module
hangs, so that it never outlives the agent.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Final

from hca_card.pkcs11 import messages

_LOAD_SECONDS: Final = 60


def run(path: str) -> int:
    """Serve the module of that absolute path until nobody asks any more; the exit code."""
    if sys.platform == "win32":
        import msvcrt

        for standard in (0, 1):
            msvcrt.setmode(standard, os.O_BINARY)
    else:
        import resource

        # A module that crashes would leave the PIN in a file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given, answers = os.dup(0), os.dup(1)
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    requests: queue.SimpleQueue[messages.Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(given, requests), name="requests", daemon=True).start()
    # Loading holds Python's lock: should it hang, the end of the pipe would go unheard.
    with Path(os.devnull).open("wb") as nothing:
        faulthandler.dump_traceback_later(_LOAD_SECONDS, exit=True, file=nothing)
        try:
            from hca_card.pkcs11.loaded import LoadedModule

            module = LoadedModule(path)
        except Exception as error:
            _tell(answers, messages.Unusable(f"{type(error).__name__}: {error}"))
            return 1
        finally:
            faulthandler.cancel_dump_traceback_later()
    _tell(answers, messages.Ready())
    while True:
        _tell(answers, module.handle(requests.get()))


def _listen(given: int, requests: queue.SimpleQueue[messages.Request]) -> None:
    def read_into(memory: memoryview) -> int:
        return os.readv(given, [memory]) if hasattr(os, "readv") else _copied(given, memory)

    try:
        while (request := messages.read_request(read_into)) is not None:
            requests.put(request)
    finally:
        # At once, and without asking the module: it may hang, and the agent has ended or wants it to end.
        os._exit(0)


def _copied(given: int, memory: memoryview) -> int:
    octets = os.read(given, len(memory))
    memory[: len(octets)] = octets
    return len(octets)


def _tell(answers: int, answer: messages.Answer) -> None:
    buffer = messages.frame(answer)
    try:
        with memoryview(buffer) as rest:
            done = 0
            while done < len(buffer):
                done += os.write(answers, rest[done:])
    finally:
        messages.wipe(buffer)
