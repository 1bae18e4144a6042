from __future__ import annotations

import json
import logging
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from agent.access.answers import ORIGINS_MAX, Answers
from agent.access.policy import ConsentAnswer
from agent.config import ConsentSettings
from agent.vocabulary import Verb
from tests.support.log import Log

PORTAL = "https://portal.example.tw"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.json"


def test_an_answer_outlives_the_process(file: Path, clock: Clock) -> None:
    answer = ConsentAnswer(True, NOW + timedelta(days=1))
    Answers(file, clock).remember(PORTAL, (Verb.SIGN,), answer)
    assert Answers(file, clock).of(PORTAL) == {Verb.SIGN: answer}


def test_an_answer_ends_when_its_time_is_over(file: Path, clock: Clock) -> None:
    answers = Answers(file, clock)
    answers.remember(PORTAL, (Verb.SIGN,), ConsentAnswer(True, NOW + timedelta(minutes=10)))
    clock.now += timedelta(minutes=10)
    assert not answers.of(PORTAL)
    assert not answers.all()


def test_a_clock_that_was_ahead_for_a_while_forgets_nothing(file: Path, clock: Clock) -> None:
    answers = Answers(file, clock)
    answers.remember(PORTAL, (Verb.SIGN,), ConsentAnswer(True, NOW + timedelta(days=1)))
    clock.now += timedelta(days=3650)
    answers.remember("https://other.example.tw", (Verb.SIGN,), ConsentAnswer(True, NOW))
    assert not answers.of(PORTAL) and not answers.all()
    clock.now = NOW
    assert answers.of(PORTAL) and list(Answers(file, clock).all()) == [PORTAL]


def test_an_answer_given_while_the_clock_was_ahead_holds_no_longer_than_any(file: Path, clock: Clock) -> None:
    answers = Answers(file, clock, settings=ConsentSettings(days=30, refusal_minutes=10))
    clock.now += timedelta(days=3650)
    answers.remember(PORTAL, (Verb.SIGN,), ConsentAnswer(True, clock.now + timedelta(days=30)))
    answers.remember(PORTAL, (Verb.READ,), ConsentAnswer(False, clock.now + timedelta(minutes=10)))
    assert set(answers.of(PORTAL)) == {Verb.SIGN, Verb.READ}
    clock.now = NOW
    assert not answers.of(PORTAL)


def test_answers_are_kept_for_so_many_sites_and_the_oldest_go(file: Path, clock: Clock) -> None:
    answers = Answers(file, clock)
    kept = {f"https://a{number}.example.tw": {Verb.READ: ConsentAnswer(True, NOW + timedelta(days=2))}
            for number in range(ORIGINS_MAX)}  # fmt: skip
    kept["https://first.example.tw"] = {Verb.READ: ConsentAnswer(True, NOW + timedelta(days=1))}
    file.write_bytes(msgspec.json.encode(kept))
    answers.remember(PORTAL, (Verb.READ,), ConsentAnswer(True, NOW + timedelta(days=3)))
    known = answers.all()
    assert len(known) == ORIGINS_MAX and PORTAL in known and "https://first.example.tw" not in known


def test_answers_of_one_origin_say_nothing_of_another(file: Path, clock: Clock) -> None:
    answers = Answers(file, clock)
    answers.remember(PORTAL, (Verb.SIGN,), ConsentAnswer(True, NOW + timedelta(days=1)))
    assert not answers.of(PORTAL + ":8443")


def test_what_another_process_forgot_is_forgotten_here(file: Path, clock: Clock) -> None:
    here, there = Answers(file, clock), Answers(file, clock)
    here.remember(PORTAL, (Verb.READ,), ConsentAnswer(True, NOW + timedelta(days=1)))
    assert there.forget(PORTAL)
    assert not here.of(PORTAL)
    assert not there.forget(PORTAL)


def test_two_processes_keep_each_others_answers(file: Path, clock: Clock) -> None:
    here, there = Answers(file, clock), Answers(file, clock)
    until = NOW + timedelta(days=1)
    here.remember(PORTAL, (Verb.READ,), ConsentAnswer(True, until))
    there.remember(PORTAL, (Verb.SIGN,), ConsentAnswer(False, until))
    assert set(here.of(PORTAL)) == {Verb.READ, Verb.SIGN}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_person_can_read_the_file(file: Path, clock: Clock) -> None:
    Answers(file, clock).remember(PORTAL, (Verb.READ,), ConsentAnswer(True, NOW + timedelta(days=1)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        json.dumps({PORTAL: {"sign": {"allowed": "yes", "until": "2027-01-01T00:00:00Z"}}}).encode(),
        json.dumps({PORTAL: {"sing": {"allowed": True, "until": "2027-01-01T00:00:00Z"}}}).encode(),
        json.dumps({PORTAL: {"sign": {"allowed": True, "until": "2027-01-01T00:00:00"}}}).encode(),
        json.dumps({PORTAL: {"sign": {"allowed": True, "until": "2027-01-01T00:00:00Z", "x": 1}}}).encode(),
        json.dumps({"https://*": {"sign": {"allowed": True, "until": "2027-01-01T00:00:00Z"}}}).encode(),
    ],
)
def test_a_corrupt_file_is_set_aside_with_a_word_and_nothing_is_allowed(
    file: Path, clock: Clock, content: bytes, caplog: Log
) -> None:
    file.write_bytes(content)
    answers = Answers(file, clock)
    with caplog.at_level(logging.WARNING):
        assert not answers.of(PORTAL)
    assert "answers.json.broken" in caplog.text
    assert (file.parent / "answers.json.broken").read_bytes() == content
    answers.remember(PORTAL, (Verb.READ,), ConsentAnswer(True, NOW + timedelta(days=1)))
    assert Answers(file, clock).of(PORTAL)


def test_a_broken_file_that_cannot_be_set_aside_either_is_told_and_holds_nothing(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file.write_text("{")
    monkeypatch.setattr(Path, "replace", refuse)
    assert not Answers(file, clock).of(PORTAL)
    assert "cannot be set aside" in caplog.text
    assert file.exists()
