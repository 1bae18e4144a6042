"""What the process of a module does, within this one: its pipes are pipes, its end is an error."""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Any
from unittest.mock import Mock

import pytest

from hca_card.pkcs11 import child, loaded, messages

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and pipes of POSIX")


class EndedError(Exception):
    """The process would end here."""


class Ends:
    """The pipes of a process that serves a module, and what it would do with its descriptors.

    It stands for the module `os` there, but for what `lacks` names.
    """

    def __init__(self, lacks: str = "") -> None:
        self.given, self.asks = os.pipe()
        self.hears, self.answers = os.pipe()
        self.replaced: list[int] = []
        self.exits: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._lacks = lacks

    def __getattr__(self, name: str) -> Any:
        if name == self._lacks:
            raise AttributeError(name)
        return getattr(os, name)

    def dup(self, descriptor: int) -> int:
        return (self.given, self.answers)[descriptor]

    def dup2(self, _descriptor: int, replaced: int) -> None:
        self.replaced.append(replaced)

    def _exit(self, code: int) -> None:
        self.exits.put(code)

    def heard(self) -> messages.Answer | None:
        return messages.read_answer(lambda memory: os.readv(self.hears, [memory]))

    def ask(self, request: Any) -> None:
        os.write(self.asks, messages.frame(request))

    def hang_up(self) -> None:
        """End as the agent does, which ends the process."""
        os.close(self.asks)
        assert self.exits.get(timeout=120) == 0
        for end in (self.given, self.hears, self.answers):
            os.close(end)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    found = Ends()
    monkeypatch.setattr(child, "os", found)
    monkeypatch.setattr(child, "faulthandler", Mock())
    return found


class Serving:
    """A module that answers one request and then is asked no more."""

    def __init__(self, path: str) -> None:
        assert path == "/usr/lib/maker.so"
        self.asked: list[messages.Request] = []

    def handle(self, request: messages.Request) -> messages.Answer:
        self.asked.append(request)
        if len(self.asked) == 2:
            raise EndedError
        return messages.SlotList(())


def test_a_module_is_loaded_said_to_be_ready_and_asked_what_the_agent_asks(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr("resource.setrlimit", lambda *limit: limits.append(limit))
    monkeypatch.setattr(loaded, "LoadedModule", Serving)
    ends.ask(messages.Slots())
    ends.ask(messages.Close(1))
    with pytest.raises(EndedError):
        child.run("/usr/lib/maker.so")
    assert ends.heard() == messages.Ready()
    assert ends.heard() == messages.SlotList(())
    ends.hang_up()
    assert ends.replaced == [0, 1]  # whatever the module reads or prints meets nothing of ours
    assert [limit for _, limit in limits] == [(0, 0)]


def test_a_file_that_is_no_module_is_told_and_the_process_ends(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_path: str) -> None:
        raise OSError("no such file")

    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    monkeypatch.setattr(loaded, "LoadedModule", none)
    assert child.run("/usr/lib/none.so") == 1
    assert ends.heard() == messages.Unusable("OSError: no such file")
    ends.hang_up()


def test_where_pipes_are_not_read_into_memory_they_are_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = Ends(lacks="readv")
    monkeypatch.setattr(child, "os", ends)
    requests: queue.SimpleQueue[messages.Request] = queue.SimpleQueue()
    ends.ask(messages.Login(1, bytearray(b"123456")))
    listening = threading.Thread(target=child._listen, args=(ends.given, requests))
    listening.start()
    assert requests.get(timeout=120) == messages.Login(1, bytearray(b"123456"))
    ends.hang_up()
    listening.join(30)
