"""`card probe`: what an unknown card gives to anybody, a draft of a profile for it, and a trace to send."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent import __version__
from agent.cli import output
from agent.cli.options import Invocation, card_options, force_option, json_option, output_option

if TYPE_CHECKING:
    from hca_card.probe import Draft, Findings
    from hca_card.probe.prober import Progress
    from hca_card.probe.trace import Recorder
    from hca_card.profile_format import Profile
    from pcsc.context import Context
    from pcsc.service import Service

PROFILE: Final = "profile.toml"
TRACE: Final = "trace.jsonl"


@click.command()
@card_options
@output_option(
    "結果的資料夾 · The folder for the results.",
    click.Path(file_okay=False, path_type=Path),
    default="hca-card-probe",
)
@force_option
@json_option
@click.pass_obj
def probe(call: Invocation, target: Path, force: bool) -> None:
    """探測不認得的卡片 · Look at a card that nobody knows.

    只讀取：絕不送出 PIN 碼或寫入。 It only reads: no PIN is sent, nothing is written to the card.

    產生設定檔草稿 profile.toml，以及已遮蔽個人資料、可以交給開發者的 trace.jsonl。

    The results: profile.toml, the draft of a card profile, and trace.jsonl, which holds no personal data and
    may be sent to the developers.
    """
    from agent.cli import composition
    from agent.cli.files import check_free, write
    from agent.profiles import load
    from hca_card.probe.trace import Recorder, tell

    results = {PROFILE: target / PROFILE, TRACE: target / TRACE}
    if target.exists():
        check_free(list(results.values()), force=force)
    elif not target.parent.is_dir():
        raise click.UsageError(f"沒有這個資料夾 · there is no such folder: {target.parent}")
    paths, _ = composition.folder()
    recorder = Recorder("hca-agent card probe", __version__)
    begun = time.monotonic()
    service = composition.open_service(call.simulate, paths)
    known = load(paths)
    with _progress(recorder) as progress:
        name, found, drafted = _probe(service, call.reader, recorder, progress, known)
    tell(recorder, found)
    target.mkdir(exist_ok=True)
    write(results[PROFILE], drafted.text.encode(), force=force, private=True)
    write(results[TRACE], recorder.text().encode(), force=force, private=True)
    seconds = time.monotonic() - begun
    if call.as_json and found.ended is None:
        output.as_json(_members(name, found, drafted, results, seconds))
    elif not call.as_json:
        _show(name, found, drafted, results, seconds)
    if found.ended is not None:
        raise found.ended


def _probe(
    service: Service, reader: str | None, recorder: Recorder, progress: Progress, known: Sequence[Profile]
) -> tuple[str, Findings, Draft]:
    from hca_card.probe import OnlyReads, draft, probe
    from pcsc.connection import Connection
    from pcsc.errors import PcscError

    with service.context() as context, Connection(context, _pick(context, reader)) as connection:
        with connection.transaction():
            # Below the transaction's own pieces: what goes to the card has passed the list, byte for byte.
            channel = OnlyReads(connection.transmit, observe=recorder.observe)
            found = probe(channel, connection.atr, known, progress)
            recorder.step("draft profile, tried on the card")
            drafted = draft(found, channel)
        # What other programs had selected is no longer selected, and a reset is how they notice.
        with suppress(PcscError):
            connection.reset()
        return connection.reader, found, drafted


def _pick(context: Context, wanted: str | None) -> str:
    """Return the reader named, else the only one with a card."""
    from agent.cli.composition import reader_named
    from agent.errors import AgentError, ErrorId
    from pcsc.errors import NoCardError, NoReaderError

    names = context.readers()
    if not names:
        raise NoReaderError
    if wanted is not None:
        return reader_named(wanted, names)
    present = [state.name for state in context.states(names) if state.present]
    if not present:
        raise NoCardError
    if len(present) > 1:
        raise AgentError(ErrorId.CARD_AMBIGUOUS, detail=", ".join(present))
    return present[0]


@contextmanager
def _progress(recorder: Recorder) -> Iterator[Progress]:
    """Show each step on standard error while the body runs: a bar on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:

        def line(number: int, count: int, zh: str, en: str) -> None:
            recorder.step(en)
            output.warn(f"[{number}/{count}] {zh}", en)

        yield line
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("")

        def advance(number: int, count: int, zh: str, en: str) -> None:
            recorder.step(en)
            bar.update(task, total=count, completed=number - 1, description=f"{zh} {en}")

        yield advance


def _show(name: str, found: Findings, drafted: Draft, results: dict[str, Path], seconds: float) -> None:
    for zh, en in found.notes:
        output.warn(zh, en)
    files = sum(len(one.files) + len(one.objects) for one in found.applications) + len(found.objects)
    output.facts(
        [
            ("讀卡機 reader", name),
            ("ATR", found.atr.hex(" ").upper()),
            ("通訊協定 protocols", " ".join(found.atr_facts.protocols)),
            ("歷史位元組 historical bytes", found.atr_facts.text),
            ("晶片 chip", found.chip),
            ("HiCOS", f"{found.hicos}" if found.hicos else ""),
            ("檔案 files", str(files)),
            ("指令 commands", f"{found.commands}（{seconds:.1f} s）"),
        ]
    )
    for application in found.applications:
        output.say(f"  {application.aid.hex(' ').upper()}  {application.name}")
    if drafted.complete:
        output.say("設定檔草稿已完整", "the draft profile is complete")
    else:
        output.say("設定檔草稿還有待填之處", f"the draft profile lacks: {', '.join(drafted.missing)}")
    for path in results.values():
        output.say(f"→ {path}")


def _members(
    name: str, found: Findings, drafted: Draft, results: dict[str, Path], seconds: float
) -> dict[str, object]:
    return {
        "reader": name,
        "atr": found.atr.hex().upper(),
        "protocols": list(found.atr_facts.protocols),
        "chip": found.chip,
        "hicos": found.hicos,
        "applications": [
            {"aid": one.aid.hex().upper(), "name": one.name, "files": len(one.files)}
            for one in found.applications
        ],
        "objects": len(found.objects),
        "commands": found.commands,
        "seconds": round(seconds, 1),
        "complete": drafted.complete,
        "missing": list(drafted.missing),
        "notes": [{"zh": zh, "en": en} for zh, en in found.notes],
        "profile": str(results[PROFILE]),
        "trace": str(results[TRACE]),
    }
