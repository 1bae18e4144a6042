"""What a whole self-test says of a card: good, ended, damaged, slow; and how a page says what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.text import Text

from agent.errors import ErrorId, table
from agent.selftest import html_report, schema, terminal_report
from agent.selftest.model import ResultRow, RowStatus, Trouble
from agent.selftest.probes.card import HCA_ROWS, SPEED_ROW
from agent.selftest.probes.certificates import PROBES
from hca_card.simulator import SimulatorCa, create
from tests.support.operations import World
from tests.support.selftest import context_of, row_of, rows_of, selftest_world, short

MALFORMED = table()[ErrorId.CARD_MALFORMED]


async def card_rows(world: World) -> list[ResultRow]:
    return await rows_of(context_of(world, simulated=True), [*HCA_ROWS, *PROBES])


@pytest.mark.parametrize("kind", ["hpc", "hop", "citizen"])
async def test_a_good_card_passes_whatever_its_kind_does_not_have(tmp_path: Path, kind: str) -> None:
    async with selftest_world(tmp_path, kind) as world:
        rows = await card_rows(world)
    assert schema.ok(rows)
    good = sum(row.status is RowStatus.PASS for row in rows if row.number)
    assert terminal_report.summary(rows)[0].startswith(f"檢測結果 {good} 列全部通過")


@pytest.mark.parametrize("kind", ["hpc-revoked", "hpc-expired"])
async def test_a_card_known_to_be_revoked_or_expired_is_never_ready(tmp_path: Path, kind: str) -> None:
    async with selftest_world(tmp_path, kind) as world:
        # The authority of `--simulate`, which keeps its list in the agent's folder.
        authority = SimulatorCa(world.paths.simulator)
        world.reader.remove()
        world.reader.insert(create(kind, ca=authority))
        rows = await card_rows(world)
        (known,) = world.operations.activity.cards
    assert not schema.ok(rows)
    assert "不能再用" in terminal_report.summary(rows)[0]
    assert known.revoked is (kind == "hpc-revoked")
    if kind == "hpc-revoked":
        assert [short(row) for row in rows if row.id.startswith("hca.")] == ["pass"] * 14
        assert short(rows[-1]) == "fail certificate.revoked"


@pytest.mark.parametrize("kind", ["hpc-torn", "hpc-hostile"])
async def test_a_damaged_card_is_told_once_and_then_referred_to(tmp_path: Path, kind: str) -> None:
    async with selftest_world(tmp_path, kind) as world:
        rows = await card_rows(world)
    failed = [row for row in rows if row.status is RowStatus.FAIL]
    assert len(failed) >= 5
    first, *others = failed
    assert first.repeats is None and {row.repeats for row in others} == {first}
    told = Text("\n").join(line for row in rows for line in terminal_report.lines(row)).plain
    written = html_report.page(rows, simulated=True, time=context_time())
    for report in (told, written):
        assert report.count(Trouble.of(MALFORMED.id).next.zh) == 1
        assert report.count(f"原因同第 {first.number} 列") == len(others)
    parts = schema.report(rows, simulated=True, time=context_time()).rows
    assert [part.error.same_as for part in parts if part.status == "fail" and part.error][1:] == [
        first.id
    ] * len(others)


def context_time() -> datetime:
    return datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "expected"), [("hpc-slow", "warn card.slow"), ("hpc", "pass"), ("nhi", "skip")]
)
async def test_a_slow_card_is_named_as_slow(tmp_path: Path, kind: str, expected: str) -> None:
    async with selftest_world(tmp_path, kind) as world:
        row = await row_of(context_of(world), "card.speed", [SPEED_ROW])
    assert short(row) == expected


COMMAND_WORDS = re.compile(
    r"hca-agent|(?<![\w-])--?[a-z]|sudo|systemctl|certutil|標準輸入|standard input|指令"
)


def test_what_a_page_says_to_do_next_names_no_command() -> None:
    for error_id in table():
        told = Trouble.of(error_id).on_page().next
        assert not COMMAND_WORDS.search(f"{told.zh} {told.en}"), told
        assert told.zh.endswith("。") and told.en.rstrip("”").endswith("."), told


def test_a_browser_row_of_the_page_names_no_command() -> None:
    web = Path(schema.PATH).parent
    assert not re.search("hca-agent (?!selftest)[a-z]", (web / "browser-check.js").read_text("utf-8"))
