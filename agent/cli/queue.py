"""`queue add | list | export | sign`: records that wait for a person's signature."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli import files, output
from agent.cli.composition import folder, run
from agent.cli.options import (
    Invocation,
    card_options,
    force_option,
    json_option,
    output_option,
    pin_option,
    session_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from agent.cli.composition import Work
    from agent.config import Config
    from agent.native.queue_messages import QueueRecord
    from agent.paths import Paths
    from agent.queue import Counts, Record, Records, RecordState
    from agent.vocabulary import SessionEnd

_FORMATS: Final = ("cades", "xades", "pades", "emr")
_LEVELS: Final = ("B-B", "B-T", "B-LT", "B-LTA")
_STATES: Final = ("waiting", "signed", "signed-by-institution", "completed", "failed")
_NOT_DELIVERED: Final = "尚未放進資料夾 not in its folder yet"
_FORMULA: Final = ("=", "+", "-", "@", *"\uff1d\uff0b\uff0d\uff20")
"""With the wide forms, which spreadsheets of East Asia take for the same."""

_state_option: Final = click.option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="只看這些狀態 · Only records in these states.",
)
_full_option: Final = click.option(
    "--full",
    is_flag=True,
    help="不遮蔽檔名、簽署人與卡號 · File names, signers and card numbers in full, not masked.",
)


@click.group()
def queue() -> None:
    """待簽病歷：交付、列出、匯出、簽署 · Records that wait for a person's signature.

    管理者在設定檔開啟（[queue] enabled）。執行中的本程式會自監看的資料夾收病歷，到期前由醫事機構卡先簽。
    The administrator turns it on. The agent takes records in from the watched folders and has the
    institution's card sign what no person has signed in time.
    """


@queue.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--signer",
    default="",
    metavar="NUMBER",
    help="簽署人：醫事人員卡號，或憑證主體的 serialNumber · Whose signature: the card's number, or the"
    " serialNumber in the certificate's subject; else whichever person signs.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(_FORMATS),
    help="簽章格式；不指定時看檔案 · The kind of signature; by the file where it is left out.",
)
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    default=_LEVELS[0],
    show_default=True,
    help="簽章等級；B-T 起要時戳 · How long it is to last; from B-T on with time stamps.",
)
@click.option("--reason", default="", metavar="TEXT", help="簽署原因 · What the signature is for.")
@click.option(
    "--key",
    default="",
    metavar="TEXT",
    help="這份病歷在您系統中的識別碼：重複交付不會重複簽署 · What your system calls the record: handing it in"
    " again changes nothing.",
)
@json_option
@click.pass_obj
def add(
    call: Invocation,
    *,
    documents: tuple[Path, ...],
    signer: str,
    kind: str | None,
    level: str,
    reason: str,
    key: str,
) -> None:
    """交付病歷等待簽署 · Hand in records; the files stay where they are."""
    from datetime import UTC, datetime, timedelta

    from agent.queue.model import Order
    from signing.formats import Level, SignatureFormat

    if key and len(documents) > 1:
        raise click.UsageError("--key 只能用於一個檔案 · --key is for one file")
    paths, config = folder()
    _require_enabled(config)
    found = []
    with _records(paths, config) as records:
        for document in documents:
            order = Order(
                document.name,
                signer,
                SignatureFormat(kind) if kind else None,
                Level(level),
                reason,
                f"program:{key}" if key else "",
                str(document.resolve().parent),
            )
            time = timedelta(hours=config.queue.hours)
            record = records.add(order, files.read(document), datetime.now(UTC), time)
            found.append(record)
            if not call.as_json:
                output.say(
                    f"✔ {document} → {record.number}，{_local(record.due)} 前簽署",
                    f"to be signed by {_local(record.due)}",
                )
    if call.as_json:
        _as_json(found, full=True)


@queue.command("list")
@_state_option
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="最多幾筆 · How many at most, the newest.",
)
@_full_option
@json_option
@click.pass_obj
def list_(call: Invocation, *, states: tuple[str, ...], count: int, full: bool) -> None:
    """列出病歷與期限 · The records, and by when they must be signed."""
    from datetime import UTC, datetime, timedelta

    paths, config = folder()
    with _records(paths, config) as records:
        found = records.newest(count, _wanted(states))
        counts = records.counts(datetime.now(UTC), timedelta(minutes=config.queue.warn_minutes))
    if call.as_json:
        _as_json(found, full=full, counts=counts)
        return
    if found:
        output.table(
            ("編號 No.", "狀態 state", "期限 due", "簽署人 signer", "檔案 file", "說明 note"),
            (_row(each) for each in _shown(found, full=full)),
        )
    output.say(
        f"待簽 {counts.waiting}（逾期 {counts.overdue}）、待補簽 {counts.owed}、無法簽署 {counts.failed}",
        f"{counts.waiting} waiting ({counts.overdue} overdue), {counts.owed} owed, {counts.failed} failed",
    )


@queue.command()
@_state_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(("csv", "jsonl")),
    default="csv",
    show_default=True,
    help="一筆一行：CSV（UTF-8，試算表可開啟）或 JSON · One line each: CSV or JSON Lines.",
)
@output_option("結果檔；不指定時印出 · The file; else standard output.")
@force_option
@_full_option
def export(*, states: tuple[str, ...], kind: str, target: Path | None, force: bool, full: bool) -> None:
    """匯出全部病歷的狀態，供院內報表 · What became of every record, for the hospital's own reports."""
    if target is not None:
        files.check_free([target], force=force)
    paths, config = folder()
    with _records(paths, config) as records:
        lines = _exported(_shown(records.all(_wanted(states)), full=full), kind)
        if target is None:
            for line in lines:
                click.echo(line, nl=False)
        else:
            mark = "\ufeff" if kind == "csv" else ""  # without it spreadsheets take Chinese for Latin-1
            files.write(target, (mark + "".join(lines)).encode(), force=force, private=True)


@queue.command()
@click.option(
    "--institution",
    is_flag=True,
    help="用醫事機構卡簽到期的病歷 · The institution's card, for what nobody has signed in time.",
)
@session_options
@click.option(
    "--wait",
    is_flag=True,
    help="簽完後繼續等新的病歷，直到次數或時間用完 · Then wait for those that come, until count or time is"
    " used up.",
)
@pin_option
@card_options
@click.pass_obj
def sign(
    call: Invocation, *, institution: bool, signatures: int | None, minutes: int | None, wait: bool
) -> int:
    """一次 PIN 碼簽署待簽的病歷 · Sign what waits for your card, with one PIN."""
    paths, config = folder()
    _require_enabled(config)

    async def task(work: Work) -> bool:
        import asyncio

        from agent.queue import open_queue
        from agent.queue.intake import SETTLED_SECONDS

        opened = open_queue(work.operations, config, paths, _nobody_told)
        running = asyncio.create_task(opened.run())
        try:
            if config.queue.folders and not wait:
                await asyncio.sleep(2 * SETTLED_SECONDS)  # what lies in the folders now is taken in
            session = await opened.open(
                institution=institution,
                reader=work.reader,
                most=signatures,
                seconds=None if minutes is None else minutes * 60,
                wait=wait,
            )
            output.say(
                f"開始簽署（{session.card.holder}）", f"signing with the card of {session.card.holder}"
            )
            done = await opened.served(session)
            return _tell_end(done, session.ended)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            opened.forget()

    return 0 if run(call, task) else 1


def _require_enabled(config: Config) -> None:
    from agent.errors import AgentError, ErrorId

    if not config.queue.enabled:
        raise AgentError(ErrorId.QUEUE_DISABLED)


def _records(paths: Paths, config: Config) -> Records:
    """Return the journal, which the agent may have open at the same time."""
    from agent.queue import Records

    return Records(paths.queue, config.queue.records)


def _wanted(states: tuple[str, ...]) -> tuple[RecordState, ...]:
    from agent.queue.model import RecordState

    return tuple(RecordState(state) for state in states)


def _shown(records: Iterable[Record], *, full: bool) -> Iterator[QueueRecord]:
    """Give records as the native API has them; without `full` their file names are masked too."""
    from msgspec.structs import replace

    from agent.masking import mask_file
    from agent.native.queue import record_message

    for record in records:
        shown = record_message(record, full=full)
        yield shown if full else replace(shown, name=mask_file(shown.name), file=mask_file(shown.file))


def _as_json(records: Iterable[Record], *, full: bool, counts: Counts | None = None) -> None:
    known = () if counts is None else ("waiting", "owed", "overdue", "failed")
    output.as_json(
        {"records": list(_shown(records, full=full)), **{name: getattr(counts, name) for name in known}}
    )


def _row(record: QueueRecord) -> tuple[str, ...]:
    from agent.queue.model import RecordState, words_of

    cards = "、".join(each.card for each in record.signatures)
    note = record.error or (_NOT_DELIVERED if record.file and not record.delivered else cards)
    state = words_of(RecordState(record.state))
    return str(record.record), state, _local(record.due), record.signer, record.name, note


def _exported(records: Iterable[QueueRecord], kind: str) -> Iterator[str]:
    """Give the lines of the export: one for each record, below the names of the columns in CSV."""
    import msgspec

    if kind == "jsonl":
        for record in records:
            yield msgspec.json.encode(record).decode() + "\n"
        return
    columns = [*msgspec.structs.fields(_message())]
    names = [each.encode_name for each in columns if each.name != "signatures"]
    signed = ("institutionSigned", "institutionReason", "personSigned", "personReason")
    yield _csv((*names, *signed))
    for record in records:
        members = msgspec.to_builtins(record)
        by = {each.card_kind.startswith("hop"): each for each in record.signatures}
        when = [
            part
            for each in (by.get(True), by.get(False))
            for part in (("", "") if each is None else (each.time.isoformat(), each.reason))
        ]
        yield _csv((*(members[name] for name in names), *when))


def _message() -> type[QueueRecord]:
    from agent.native.queue_messages import QueueRecord

    return QueueRecord


def _csv(cells: Iterable[object]) -> str:
    """Return one line; no cell is a formula to a spreadsheet."""
    line = io.StringIO()
    texts = [str(cell) for cell in cells]
    csv.writer(line, lineterminator="\r\n").writerow(
        f"'{text}" if text.startswith(_FORMULA) else text for text in texts
    )
    return line.getvalue()


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


async def _nobody_told(_zh: str, _en: str, _errand: object = None) -> None:
    """Say nothing: whoever signs at a terminal is at it already."""


def _tell_end(count: int, why: SessionEnd | None) -> bool:
    """Say what was signed and why it ended; return whether that was as it should be."""
    from agent.vocabulary import SESSION_END_WORDS, SessionEnd

    zh, en = SESSION_END_WORDS[why or SessionEnd.CLOSED]
    good = why in (None, SessionEnd.CLOSED, SessionEnd.USED_UP, SessionEnd.TIME)
    if why in (None, SessionEnd.CLOSED):
        output.say(f"✔ 已簽署 {count} 份", f"{count} signed")
    else:
        output.say(f"{'✔' if good else '✘'} 已簽署 {count} 份：{zh}", f"{count} signed: {en}")
    return good
