"""`batch`: many files, one list to agree to, one PIN for each card; goes on where it was interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli import output
from agent.cli.composition import folder as agent_folder
from agent.cli.composition import full_name, run
from agent.cli.options import (
    Command,
    Invocation,
    force_option,
    hash_option,
    json_option,
    many_cards_options,
    output_option,
    pin_option,
)
from agent.cli.signing import FORMATS, LEVELS
from agent.errors import ErrorId, error_id

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress as Bar

    from agent.batch.choice import Choice
    from agent.batch.engine import Outcome, Progress, Summary
    from agent.batch.files import FaultyListError, FileBatch, FileItem
    from agent.cli.composition import Work
    from agent.operations import SigningSession

_OUTPUTS: Final = "signed"
_CARDS_MAX: Final = 8
_INTERRUPTED: Final = 130


def batch_options(command: Command) -> Command:
    """Add what is said of a batch: how its documents are signed, where results go, whether it goes on."""
    for option in (
        force_option,
        hash_option(),
        click.option(
            "--resume",
            is_flag=True,
            help="從停下的地方繼續；簽好的不會再簽 · Go on where it stopped; what is signed is not signed"
            " again.",
        ),
        output_option(
            "放結果的資料夾；不指定時是同一處的 signed · The folder for results; else the one called signed"
            " there."
        ),
        click.option("--reason", default="", metavar="TEXT", help="簽署原因 · What the signatures are for."),
        click.option(
            "--detached/--attached",
            "detached",
            default=None,
            help="簽章不含／含文件 · Leave documents out of the signatures, or put them in.",
        ),
        click.option(
            "--level",
            type=click.Choice(LEVELS),
            default=LEVELS[0],
            show_default=True,
            help="簽章等級 · The level; see hca-agent sign.",
        ),
        click.option(
            "--format",
            "kind",
            type=click.Choice(FORMATS),
            help="簽章格式；不指定時看每個檔案 · The kind of signature; by each file where it is left out.",
        ),
        click.argument("source", metavar="FOLDER|MANIFEST", type=click.Path(exists=True, path_type=Path)),
    ):
        command = option(command)
    return command


def choice_of(*, kind: str | None, level: str, hash_name: str, detached: bool | None, reason: str) -> Choice:
    """Return what the options say of how a document is signed."""
    import msgspec

    from agent.batch.choice import Choice

    members = {"format": kind, "level": level, "hash": hash_name, "detached": detached, "reason": reason}
    return msgspec.convert(members, Choice)


@click.command()
@batch_options
@pin_option
@json_option
@many_cards_options
@click.pass_obj
def batch(
    call: Invocation, /, *, source: Path, target: Path | None, resume: bool, force: bool, **chosen: Any
) -> int:
    """簽署整批檔案 · Sign all files of a folder or of a manifest.

    先列出清單，您同意後每張卡片只問一次 PIN 碼。清單檔是 CSV（第一列是欄名）或 JSON Lines，欄位為
    file、format、output、options。

    The list is shown first, and then one PIN is asked for each card. A manifest is CSV (with a line of
    titles) or JSON Lines: file, format, output, options. Results go to one folder, with a journal beside
    them; whatever ends the work in the middle, --resume goes on with it.
    """
    from agent.batch.files import FaultyListError

    if len(call.readers) > _CARDS_MAX:
        raise click.UsageError(f"最多 {_CARDS_MAX} 台讀卡機 · {_CARDS_MAX} readers at most")
    try:
        with opened(source, target, choice_of(**chosen), resume=resume, force=force) as files:
            signed, of = files.counts()
            summary = None
            if signed < of:
                summary = run(call, lambda work: _sign(call, work, files))
            return show_end(call, files, summary)
    except FaultyListError as error:
        show_faults(call, source, error)
        return 1


@contextmanager
def opened(
    source: Path, target: Path | None, choice: Choice, *, resume: bool, force: bool, elsewhere: bool = False
) -> Iterator[FileBatch]:
    """Run the body with the batch: declared now, or found as it was left.

    One that was declared and not begun (the person said no to its list) is declared anew, unless cards
    `elsewhere` may be at work on it.

    Raises:
        FaultyListError: the list cannot be signed as it is.
        AgentError: batch.*, journal.*.
        OSError: a folder or the manifest cannot be used.
    """
    from agent.batch.files import FileBatch
    from agent.batch.listing import entries_of_folder
    from agent.batch.manifest import SUFFIXES, entries_of_manifest

    _, config = agent_folder()
    place = source.resolve()
    manifest = not place.is_dir()
    folder = place.parent if manifest else place
    outputs = (folder / _OUTPUTS if target is None else target).resolve()
    if manifest and place.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"清單檔的副檔名是 · a manifest ends in one of: {', '.join(SUFFIXES)}")
    with FileBatch(folder, outputs, _name_of(place, outputs)) as files:
        if files.unfinished() and not force and (resume or elsewhere or files.begun()):
            files.resume(asked=resume)
        elif not (resume and files.counts()[1]):
            if manifest:
                entries, aside = entries_of_manifest(place, choice), [place]
            else:
                entries, aside = entries_of_folder(folder, choice, outputs), []
            files.declare(entries, config.sessions.items, force=force, aside=aside)
        yield files


def _name_of(place: Path, outputs: Path) -> str:
    """Return what the journal calls the batch: the same wherever the folders are mounted."""
    try:
        name = os.path.relpath(place, outputs)
    except ValueError:  # on another disk of Windows
        name = str(place)
    return name if place.is_dir() else f"{name} {sha256(place.read_bytes()).hexdigest()}"


async def _sign(call: Invocation, work: Work, files: FileBatch) -> Summary:
    """Sign what waits, with one session for each reader that was named."""
    from agent.batch.engine import Engine
    from agent.vocabulary import SessionEnd

    items = files.shown()
    names = [await full_name(work.operations, work.caller, reader) for reader in call.readers]
    if len(set(names)) < len(names):
        raise click.UsageError("同一台讀卡機寫了兩次 · the same reader is named twice")
    sessions: list[SigningSession] = []
    try:
        for name in names or [None]:
            sessions.append(await work.operations.open_session(work.caller, items=items, reader=name))
        del items
        with shown(call) as seen:
            engine = Engine(files, files.counts()[1] - files.counts()[0], seen.tell)
            with interrupted_by_keys(engine.stop):
                return await engine.run(sessions)
    finally:
        for session in sessions:
            session.end(SessionEnd.CLOSED)


@contextmanager
def interrupted_by_keys(stop: Callable[[], None]) -> Iterator[None]:
    """Run the body; the first Ctrl-C lets the card end what it has begun, the second ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def interrupted(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        loop.call_soon_threadsafe(stop)
        output.warn("正在收尾；再按一次立即停止", "ending what the card has begun; once more ends at once")

    for each in before:
        signal.signal(each, interrupted)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Lines:
    """One line for each document."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent

    def tell(self, outcome: Outcome[FileItem], _progress: Progress) -> None:
        """Say what became of one document."""
        item = outcome.item
        if self._silent:
            return
        if outcome.error is None:
            output.say(f"✔ {item.file} → {item.output}")
        else:
            output.error(outcome.error, subject=item.file)


class _Bar:
    """A bar with rate and time left, and a few lines for each document that could not be signed."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("", rate="", left="")

    def tell(self, outcome: Outcome[FileItem], progress: Progress) -> None:
        """Move on by one document."""
        if outcome.error is not None:
            output.error(outcome.error, subject=outcome.item.file)
        left = "" if progress.seconds_left is None else f"剩 {_clock(progress.seconds_left)} left"
        self._bar.update(
            self._task,
            completed=progress.done + progress.failed,
            total=progress.of,
            rate=f"{progress.rate:.1f}/s",
            left=left,
        )


@contextmanager
def shown(call: Invocation) -> Iterator[_Lines | _Bar]:
    """Run the body with what shows how far it is."""
    if call.as_json or not sys.stdout.isatty():
        yield _Lines(silent=call.as_json)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}  {task.fields[left]}")
    with Bar(*columns) as bar:
        yield _Bar(bar)


def show_faults(call: Invocation, source: Path, error: FaultyListError) -> None:
    """Show everything that is wrong with a list, and what to do."""
    if call.as_json:
        faults = [
            {
                "line": each.line,
                "file": each.name,
                "zh": each.fault.value[0],
                "en": each.fault.value[1],
                "detail": each.detail,
            }
            for each in error.faults
        ]
        output.as_json({"error": output.error_members(error), "faults": faults})
        return
    for each in error.faults:
        where = f"{source.name}:{each.line}: " if each.line else ""
        zh, en = each.fault.value
        detail = f" ({each.detail})" if each.detail else ""
        output.warn(f"✘ {where}{each.name}: {zh}", f"{en}{detail}")
    output.error(error)


def show_end(call: Invocation, files: FileBatch, summary: Summary | None) -> int:
    """Show how it ended; return the exit code."""
    signed, of = files.counts()
    failures = files.failures()
    stopped = None if summary is None else summary.stopped
    seconds = 0.0 if summary is None else summary.seconds
    left = of - signed - len(failures)
    if stopped is not None:
        output.log_unforeseen(stopped)
    if call.as_json:
        output.as_json(
            {
                "done": signed,
                "failed": len(failures),
                "left": left,
                "of": of,
                "seconds": round(seconds, 3),
                "output": str(files.outputs),
                "failures": [{"file": file, "error": error} for file, error in failures],
                "stopped": None if stopped is None else output.error_members(stopped),
            }
        )
    else:
        rate = f"{summary.done / seconds:.1f}/s" if summary is not None and seconds else ""
        output.table(
            ("已簽 Signed", "失敗 Failed", "未簽 Left", "時間 Time", "速率 Rate"),
            [(str(signed), str(len(failures)), str(left), _clock(seconds), rate)],
        )
        output.say(f"→ {files.outputs}")
        if stopped is not None:
            output.error(stopped)
        if left or failures:
            output.warn(
                "→ 加 --resume 繼續；簽好的不會再簽", "go on by --resume; what is signed is not signed again"
            )
    if stopped is not None and error_id(stopped) == ErrorId.BATCH_CANCELLED:
        return _INTERRUPTED
    return 0 if signed == of else 1


def _clock(seconds: float) -> str:
    """Return a span of time as a person reads it: 4:05, 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
