"""What daemon and tray may say to each other, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from agent.operations.messages import ReaderCondition
from agent.tray.messages import (
    LINE_MAX,
    Choice,
    Chosen,
    Opened,
    ProblemKind,
    TrayActivity,
    TrayCard,
    TrayProblem,
    TrayReader,
    TrayState,
    line,
    read_from_tray,
    read_state,
)
from agent.vocabulary import Verb
from hca_card.model import CardKind

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
STATE = TrayState(
    version="0.1.0",
    simulated=True,
    working=False,
    readers=(TrayReader(name="R", condition=ReaderCondition.CARD, virtual=True),),
    cards=(TrayCard(reader="R", kind=CardKind.NHI, number="***", simulated=True, tries_left=3, asked=NOW),),
    problems=(TrayProblem(kind=ProblemKind.TRUST),),
    activity=(TrayActivity(time=NOW, origin=None, verb=Verb.READ, result="ok", simulated=True),),
    answers=7,
)


def test_a_state_arrives_as_it_was_told() -> None:
    assert read_state(line(STATE)) == STATE
    assert line(STATE).count(b"\n") == 1


@pytest.mark.parametrize(
    "message", [Chosen(choice=Choice.TRIES, reader="R"), Chosen(choice=Choice.QUIT), Opened(number=3)]
)
def test_a_choice_arrives_as_it_was_told(message: Chosen | Opened) -> None:
    assert read_from_tray(line(message)) == message


def test_the_largest_state_fits_a_line() -> None:
    wide = "讀" * 128
    largest = TrayState(
        version=wide,
        simulated=True,
        working=True,
        readers=tuple(TrayReader(name=wide, condition=ReaderCondition.CARD, virtual=True) for _ in range(16)),
        cards=tuple(
            TrayCard(reader=wide, kind=CardKind.NHI, number=wide, simulated=True, tries_left=3, asked=NOW)
            for _ in range(16)
        ),
        problems=tuple(TrayProblem(kind=ProblemKind.PORT, detail=wide) for _ in range(18)),
        activity=tuple(
            TrayActivity(
                time=NOW, origin="https://" + "a" * 1900, verb=Verb.READ, result="ok", simulated=True
            )
            for _ in range(10)
        ),
    )
    assert len(line(largest)) < LINE_MAX


def _without(name: str) -> bytes:
    members = json.loads(line(STATE))
    del members[name]
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"state"}',
        b'{"type":"chosen","choice":"about"}',
        line(STATE).replace(b'"answers"', b'"answer"'),
        line(STATE).replace(b'"working":false', b'"working":0'),
        line(STATE).replace(b'"virtual":true', b'"virtual":true,"more":1'),
        line(STATE).replace(b'"card"', b'"cards"'),
        _without("simulated"),
        line(STATE)[:-10],
        b"\xff\xfe",
    ],
)
def test_the_tray_takes_nothing_but_states(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_state(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"type":"chosen"}',
        b'{"type":"chosen","choice":"format-disk"}',
        b'{"type":"chosen","choice":"about","command":"xterm"}',
        b'{"type":"chosen","choice":"tries","reader":5}',
        b'{"type":"opened"}',
        b'{"type":"opened","number":"1"}',
        b'{"type":"state"}',
        b'{"choice":"about"}',
        line(STATE),
    ],
)
def test_the_daemon_takes_nothing_but_choices(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_from_tray(text)
