"""JSON and HTML: the published schema, nothing personal, never a PIN, nothing from outside the file."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from agent.errors import ErrorId
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.selftest import html_report, schema, support_bundle
from agent.selftest.model import Bilingual, ResultRow, RowStatus, Trouble, Variant
from agent.selftest.probe_list import plan
from agent.selftest.terminal_report import TerminalReport, summary
from hca_card.simulator import KINDS
from tests.support.selftest import PERSONAL, context_of, rows_of, selftest_world

PIN = "123456"
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SECRETS = (*(text for texts in PERSONAL.values() for text in texts), "0800229", PIN)


async def _rows(folder: Path, kind: str) -> list[ResultRow]:
    async with selftest_world(folder, kind) as world:
        return await rows_of(context_of(world), plan())


def _without_numbers_of_our_own(text: str) -> str:
    """Serial numbers of certificates are random; they may hold any six digits."""
    return re.sub(r"\b[0-9A-F]{16,}\b", "", text)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hpc-slow"])
async def test_masked_reports_hold_no_personal_data_and_no_pin(tmp_path: Path, kind: str) -> None:
    rows = await _rows(tmp_path, kind)
    told = msgspec.json.encode(schema.report(rows, simulated=True, time=NOW)).decode()
    page = html_report.page(rows, simulated=True, time=NOW)
    for text in (told, page):
        assert [secret for secret in SECRETS if secret in _without_numbers_of_our_own(text)] == []


async def test_masked_rows_still_tell_one_card_from_another(tmp_path: Path) -> None:
    rows = {row.id: row.mask() for row in await _rows(tmp_path, "hpc")}
    assert "測○○○卡" in rows["hca.holder"].detail.zh and "B*******61" in rows["hca.holder"].detail.zh
    assert rows["hca.serial"].detail.zh == "********5361"


async def test_unmasked_reports_hold_it_all_and_say_so_and_never_a_pin(tmp_path: Path) -> None:
    rows = await _rows(tmp_path, "hpc")
    report = schema.report(rows, simulated=True, time=NOW, unmasked=True)
    page = html_report.page(rows, simulated=True, time=NOW, unmasked=True)
    told = msgspec.json.encode(report).decode()
    assert report.masked is False and "這份報告含有個人資料" in page
    assert all(text in told and text in page for text in PERSONAL["personnel"])
    assert PIN not in told and PIN not in page


def test_the_published_schema_is_current() -> None:
    assert schema.PATH.read_bytes() == schema.schema(), "run: python -m agent.selftest.schema"


async def test_json_has_the_members_that_are_promised(tmp_path: Path) -> None:
    rows = await _rows(tmp_path, "hpc-expired")
    told = json.loads(msgspec.json.encode(schema.report(rows, simulated=True, time=NOW)))
    assert set(told) == {"ok", "agent", "time", "simulated", "masked", "rows"}
    assert told["ok"] is False and told["masked"] is True
    for row in told["rows"]:
        assert set(row) - {"error", "absent"} == {"id", "title", "status", "detail", "ms"}
        assert set(row["title"]) == {"zh", "en"}
        assert set(row.get("error", {})) - {"same_as"} in (set(), {"id", "zh", "en", "next"})
        assert ("error" in row) or row["status"] in ("pass", "skip")
    assert msgspec.json.decode(json.dumps(told), type=schema.ReportPart).rows[0].id == "basic.os"


@pytest.mark.parametrize("variant", list(Variant))
def test_ids_are_stable_names_and_needs_come_first(variant: Variant) -> None:
    seen: set[str] = set()
    for probe in plan(variant):
        assert re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", probe.id) and probe.id not in seen
        assert set(probe.needs) <= seen, probe.id
        assert probe.title.zh and probe.title.en
        assert probe.group
        seen.add(probe.id)


class _Outside(HTMLParser):
    """Everything in a page that would fetch or run something."""

    found: list[str]

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base"):
            self.found.append(tag)
        self.found += [
            f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "style") or name[:2] == "on"
        ]


async def test_the_page_is_one_file_that_fetches_and_runs_nothing(tmp_path: Path) -> None:
    page = html_report.page(await _rows(tmp_path, "hop"), simulated=True, time=NOW)
    assert _Outside(page).found == []
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page and "@media print" in page
    assert "模擬卡" in page and 'lang="en"' in page


def test_what_a_card_says_is_text_in_the_page_and_nothing_else() -> None:
    hostile = Bilingual("<script>alert(1)</script>", '"><img src=x>')
    row = ResultRow(
        "hca.holder", Bilingual("卡片基本資料", "Basic data"), RowStatus.PASS, hostile, hostile, 1
    )
    page = html_report.page([row], simulated=False, time=NOW, unmasked=True)
    assert _Outside(page).found == [] and "&lt;script&gt;" in page


async def test_a_failed_row_says_what_happened_what_to_do_and_its_id(tmp_path: Path) -> None:
    rows = await _rows(tmp_path, "hpc-locked")
    page = html_report.page(rows, simulated=True, time=NOW)
    trouble = Trouble.of(ErrorId.PIN_LOCKED)
    assert all(part in page for part in (trouble.text.zh, trouble.text.en, trouble.next.zh, trouble.next.en))
    assert "<code>pin.locked</code>" in page
    screen = Console(file=io.StringIO(), width=200)
    with TerminalReport(screen, plan(), masked=True) as shown:
        for row in rows:
            shown.show(row)
    assert isinstance(screen.file, io.StringIO)
    told = screen.file.getvalue()
    assert trouble.next.zh in told and "(pin.locked)" in told and "因第 3 列未通過而未執行" in told
    assert not any(secret in told for secret in SECRETS)


def test_the_summary_counts_rows_of_the_results_and_the_others_apart() -> None:
    def row(name: str, status: RowStatus) -> ResultRow:
        return ResultRow(name, Bilingual("一"), status, Bilingual(""), Bilingual(""), 0)

    good = [row(f"hca.{name}", RowStatus.PASS) for name in "abc"]
    assert summary(good) == ("檢測結果 3 列全部通過。", "All 3 rows of the results passed.")
    zh, en = summary([*good, row("hca.d", RowStatus.SKIP), row("host.x", RowStatus.FAIL)])
    assert "4 列中通過 3 列" in zh and "另有 1 列" in zh
    assert en.startswith("3 of 4 rows passed") and "1 more row needs" in en


async def test_the_file_for_the_help_desk_holds_everything_and_nobody(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", interaction=ScriptedInteraction(pins=[PIN])) as world:
        context = context_of(world)
        rows = await rows_of(context, plan())
        context.computer.paths.log.write_text(f"{context.computer.home}/x was said\n")
        context.computer.paths.profiles.mkdir(parents=True)
        (context.computer.paths.profiles / "odd.toml").write_text("odd = 1\n")
        packed = support_bundle.pack(rows, context.computer, simulated=True, time=NOW)
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        contents = {name: file.read(name).decode() for name in file.namelist()}
    assert set(contents) == {
        "selftest.html", "selftest.json", "versions.json", "computer.json", "configuration.json",
        "profiles.json",
        "hca-agent.log", "audit.jsonl",
    }  # fmt: skip
    assert json.loads(contents["versions.json"])["hca-agent"]
    computer = json.loads(contents["computer.json"])
    assert computer["system"]["build"] and set(computer["vendor"]) == {"installed", "running"}
    assert set(computer) == {"system", "readerDrivers", "vendor", "screen"}
    assert json.loads(contents["configuration.json"])["servisign"]["ports"] == [56445, 56545, 56645]
    (profile,) = json.loads(contents["profiles.json"])["profiles"]
    assert profile["used"] is False and "odd" in profile["trouble"]
    assert contents["hca-agent.log"] == "~/x was said\n"
    assert '"sign"' in contents["audit.jsonl"]
    everything = _without_numbers_of_our_own("".join(contents.values()))
    assert [secret for secret in SECRETS if secret in everything] == []
    assert str(context.computer.home) not in everything


async def test_a_home_folder_in_the_configuration_is_masked(tmp_path: Path) -> None:
    from agent.config import CertificateSettings, Config

    async with selftest_world(tmp_path, "", interaction=Headless()) as world:
        home = tmp_path / "home" / "wang.daming"
        config = Config(certificates=CertificateSettings(roots=(home / "root.pem",)))
        told = support_bundle.configuration(context_of(world, config=config, home=home).computer)
    assert told["certificates"]["roots"] == [f"~{os.sep}root.pem"]
