"""Whatever bytes a file, a window or a repository gives: the one who reads them says so, and goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.access.answers import Answers
from agent.cli import output
from agent.config import ConfigError, UpdateSettings, load
from agent.errors import AgentError
from agent.interaction import dialog_messages
from agent.paths import Paths
from agent.tray import messages as tray_messages
from agent.update import check, release
from agent.update import state as states
from agent.update.check import Checks
from hca_card import profile
from hca_card.decoding import UNREADABLE
from tests.support.log import Log
from tests.support.waiting import LIMIT

PROJECT = Path(__file__).parents[2]
HOSTILE = {
    "invalid UTF-8 in a text": b'{"a":"\xff"}',
    "invalid UTF-8 in a name": b'{"\xff":1}',
    "a surrogate as UTF-8": b'{"a":"\xed\xa0\x80"}',
    "half of an escaped pair": b'{"a":"\\ud800"}',
    "deep nesting": b'{"a":' + b"[" * 100_000,
    "a number of many digits": b'{"a":' + b"9" * 5000 + b"}",
    "a mark at the front": b"\xef\xbb\xbf{}",
    "nothing": b"",
}
each_hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@each_hostile
@pytest.mark.parametrize("kind", [Any, dict[str, str], dialog_messages.WindowAnswer, release.Release])
def test_unreadable_is_all_that_a_decoder_raises(text: bytes, kind: Any) -> None:
    for given in (text, text.decode("utf-8", "surrogateescape")):
        with suppress(*UNREADABLE):
            msgspec.json.decode(given, type=kind)


def test_no_handler_expects_the_decoders_own_errors_alone() -> None:
    handlers = re.compile(r"(?:except|suppress)\b[^\n]*(?:MsgspecError|msgspec\.DecodeError|TOMLDecodeError)")
    found = [
        str(file)
        for room in ("agent", "hca_card", "pcsc", "signing", "tray")
        for file in (PROJECT / room).rglob("*.py")
        if handlers.search(file.read_text("utf-8"))
    ]
    assert found == []


@each_hostile
def test_a_signed_release_that_cannot_be_read_is_refused(text: bytes) -> None:
    member = text.replace(b'"a"', b'"version"')
    for octets in (text, member):
        with pytest.raises(AgentError) as caught:
            release.decode(octets)
        assert caught.value.error_id == "update.refused"


@each_hostile
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / states.NAME).write_bytes(text.replace(b'"a"', b'"version"'))
    assert states.read(tmp_path) is None


@each_hostile
def test_answers_that_cannot_be_read_are_set_aside(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "answers.json"
    file.write_bytes(text)
    assert not Answers(file).of("https://portal.example.tw")
    assert (tmp_path / "answers.json.broken").exists()


@each_hostile
def test_a_tray_that_writes_it_is_refused(text: bytes) -> None:
    for read in (tray_messages.read_from_tray, tray_messages.read_state):
        with pytest.raises(UNREADABLE):
            read(text.replace(b'"a"', b'"type"'))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000, "'\x00'", "1979-99-99"])
def test_a_toml_file_that_cannot_be_read_is_named(tmp_path: Path, value: str) -> None:
    paths = Paths(tmp_path, tmp_path / "machine")
    paths.config.write_text(f"[origins]\nallowed = {value}")
    with pytest.raises(ConfigError) as caught:
        load(paths)
    assert caught.value.file == paths.config
    with pytest.raises(profile.ProfileError):
        profile.load(paths.config)


async def test_a_look_for_updates_that_fails_in_an_unforeseen_way_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    loop, looks = asyncio.get_running_loop(), asyncio.Queue[None]()
    checks = Checks(
        UpdateSettings(enabled=True, hours=0), Paths(tmp_path, tmp_path), lambda _zh, _en: asyncio.sleep(0)
    )

    def look(*_: object) -> None:
        loop.call_soon_threadsafe(looks.put_nowait, None)
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr(checks, "pause", lambda: 0.0)
    monkeypatch.setattr(check, "look", look)
    caplog.set_level(logging.ERROR)
    running = asyncio.create_task(checks.run())
    for _ in range(2):
        await asyncio.wait_for(looks.get(), LIMIT)
    assert not running.done()
    running.cancel()
    assert "the update check failed" in caplog.text


STEERING = "\x9b2J\x85\x7f\u202e\u2066\u200f\u2028\u200b\ufeff\U000e0041\udcff\x1b[2J"


def test_json_on_the_terminal_holds_nothing_that_steers_it(capsys: pytest.CaptureFixture[str]) -> None:
    members: dict[str, object] = {"名稱": STEERING + "王小明", STEERING: [STEERING, 1, None, True, 0.5]}
    output.as_json(members)
    shown = capsys.readouterr().out
    assert shown.endswith("\n") and shown[:-1].isprintable() and "王小明" in shown
    assert json.loads(shown) == members
