"""What a stranger can cause again and again does not push anything else out of the log."""

from __future__ import annotations

import logging
from pathlib import Path

from agent.config import LogSettings
from agent.logs import logged
from agent.logs.formats import LogMessage
from agent.logs.repetition import PERIOD_SECONDS, WRITTEN_MAX, Unrepeated
from agent.logs.shipping import AUDIT_ROWS
from agent.paths import Paths


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(text: str, *arguments: object, name: str = "agent.x", level: int = 20) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file", 1, text, arguments, None)


def test_one_place_writes_a_few_records_a_period_whatever_is_put_into_them() -> None:
    clock = Clock()
    repetition = Unrepeated(clock=clock)
    written = [repetition.filter(record("a connection from port %d", port)) for port in range(1000)]
    assert written == [True] * WRITTEN_MAX + [False] * (1000 - WRITTEN_MAX)
    assert repetition.filter(record("something else"))
    assert repetition.filter(record("a connection from port %d", 1, name="agent.y"))
    assert repetition.filter(record("a connection from port %d", 1, level=30))


def test_the_next_period_begins_with_how_many_were_left_out() -> None:
    clock = Clock()
    repetition = Unrepeated(clock=clock)
    for _ in range(WRITTEN_MAX + 7):
        repetition.filter(record("again"))
    clock.now = PERIOD_SECONDS
    first, second = record("again"), record("again")
    assert repetition.filter(first)
    assert repetition.filter(second)
    assert LogMessage().format(first) == "again (and 7 more like it before)"
    assert LogMessage().format(second) == "again"
    assert list(repetition.uncounted()) == []


def test_places_made_up_without_end_take_no_memory_without_end() -> None:
    repetition = Unrepeated()
    for number in range(5000):
        assert repetition.filter(record(f"made up {number}"))
    assert len(repetition._places) <= 512


def test_audit_rows_are_each_their_own() -> None:
    repetition = Unrepeated(exempt=AUDIT_ROWS)
    assert all(repetition.filter(record("%s", "a row", name=AUDIT_ROWS)) for _ in range(1000))


def test_the_log_file_holds_a_few_lines_of_a_flood_and_at_the_end_their_number(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path).make()
    log = logging.getLogger("agent.something")
    with logged(LogSettings(), paths):
        log.warning("the evidence")
        for port in range(3000):
            log.info("a connection from port %d has no owner", port)
    lines = paths.log.read_text("utf-8").splitlines()
    assert len(lines) == 1 + WRITTEN_MAX + 1
    assert lines[0].endswith("the evidence")
    assert lines[-1].endswith(f"{3000 - WRITTEN_MAX} records more, like those before")
