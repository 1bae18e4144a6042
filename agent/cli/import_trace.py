"""`card import-trace`: what others recorded of another program at work, and a draft of a profile from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent import __version__
from agent.cli import output
from agent.cli.files import INPUT
from agent.cli.options import Invocation, force_option, json_option, output_option
from agent.cli.probe import PROFILE, TRACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hca_card.traces.explaining import Sentence
    from hca_card.traces.report import Report

_ATR_MOST: Final = 33
_LARGE: Final = 256 * 1024 * 1024


class _Atr(click.ParamType[bytes]):
    name = "atr"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            atr = bytes.fromhex(str(value).replace(":", " "))
        except ValueError:
            atr = b""
        if not 2 <= len(atr) <= _ATR_MOST or atr[0] not in (0x3B, 0x3F):
            self.fail(
                "ATR 是以 3B 或 3F 開頭的十六進位 · an ATR is hexadecimal and begins with 3B or 3F",
                param,
                ctx,
            )
        return atr


@click.command("import-trace")
@click.argument("files", metavar="FILE...", type=INPUT, nargs=-1, required=True)
@output_option(
    "結果的資料夾 · The folder for the results.",
    click.Path(file_okay=False, path_type=Path),
    default="hca-card-trace",
)
@click.option(
    "--card",
    "number",
    type=click.IntRange(1),
    metavar="N",
    help="紀錄裡的第幾張卡片 · Which card of the trace.",
)
@click.option(
    "--atr",
    type=_Atr(),
    metavar="HEX",
    help="卡片的 ATR，紀錄裡沒有時 · The card's answer to reset, where the trace does not tell it.",
)
@force_option
@json_option
@click.pass_obj
def import_trace(
    call: Invocation,
    *,
    files: tuple[Path, ...],
    target: Path,
    number: int | None,
    atr: bytes | None,
    force: bool,
) -> None:
    """從別的程式的紀錄做出設定檔 · From the trace of another program to a card profile.

    讀取 pcscd、OpenSC、macOS、APDUPlay 的紀錄，或讀卡機的 USB 擷取檔；PIN 碼與個人資料在讀取時就遮蔽。

    Reads logs of pcscd, OpenSC, macOS or APDUPlay, and USB captures of readers (pcap, pcapng). PINs and
    personal data are masked while reading. Several files of the same card are read as one. The results:
    profile.toml, the draft of a card profile, and trace.jsonl, the masked copy. No card is touched.
    """
    from agent.cli.files import check_free, write
    from hca_card.traces.imported import import_traces
    from hca_card.traces.report import report

    results = {PROFILE: target / PROFILE, TRACE: target / TRACE}
    if target.exists():
        check_free(list(results.values()), force=force)
    elif not target.parent.is_dir():
        raise click.UsageError(f"沒有這個資料夾 · there is no such folder: {target.parent}")
    if sum(file.stat().st_size for file in files) > _LARGE:
        output.warn("檔案很大，要讀一陣子", "that is a large file; reading it takes a while")
    with import_traces(files, __version__) as imported:
        made = report(imported, number, atr or b"")
    target.mkdir(exist_ok=True)
    write(results[PROFILE], made.drafted.text.encode(), force=force, private=True)
    write(results[TRACE], made.copy.encode(), force=force, private=True)
    if call.as_json:
        output.as_json(_members(made, results))
    else:
        _show(made, results)


def _show(made: Report, results: dict[str, Path]) -> None:
    for zh, en in made.notes:
        output.warn(zh, en)
    for zh, en in made.sentences:
        output.say(zh, en)
    if made.drafted.complete:
        output.say(
            "設定檔草稿已完整，並以紀錄試過；放進 profiles 資料夾前請讀過每一行「推測」",
            "the draft is complete and was tried on the trace; read what is guessed before you use it",
        )
    for missing in made.drafted.missing:
        output.warn("設定檔草稿還缺", missing)
    for path in results.values():
        output.say(f"→ {path}")


def _members(made: Report, results: dict[str, Path]) -> dict[str, object]:
    return {
        "understood": list(_sentences(made.sentences)),
        "notes": list(_sentences(made.notes)),
        "complete": made.drafted.complete,
        "missing": list(made.drafted.missing),
        "profile": str(results[PROFILE]),
        "trace": str(results[TRACE]),
    }


def _sentences(given: Sequence[Sentence]) -> Iterator[dict[str, str]]:
    for zh, en in given:
        yield {"zh": zh, "en": en}
