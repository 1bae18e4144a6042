"""`card trace`: the APDUs of our own dealings with a card, for whoever has to find out what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent import __version__
from agent.cli import output
from agent.cli.options import Invocation, card_options, force_option, output_option, pin_option

if TYPE_CHECKING:
    from agent.cli.composition import Work

DOCUMENT: Final = b"HCA Card Agent: card trace\n"
"""What is signed with --sign; the signature is thrown away."""


@click.command()
@card_options
@click.option(
    "--sign", is_flag=True, help="也輸入 PIN 碼並簽章一次 · Ask the PIN too, and make a signature once."
)
@pin_option
@output_option(
    "記錄的檔案 · The file for the trace.",
    click.Path(dir_okay=False, path_type=Path),
    default="hca-card-trace.jsonl",
)
@force_option
@click.pass_obj
def trace(call: Invocation, *, sign: bool, target: Path, force: bool) -> None:
    """記錄與卡片往來的指令 · Record what is exchanged with the card.

    讀取卡片與憑證，加 --sign 也簽章一次。檔案裡沒有 PIN 碼，個人資料也已遮蔽。

    Reads the card and its certificates, and with --sign makes a signature. The file holds neither a PIN nor
    personal data.
    """
    from agent.cli.composition import run
    from agent.cli.files import check_free, write
    from agent.errors import error_id
    from hca_card.probe.trace import Recorder
    from signing.hashes import Hash

    if call.pin_stdin and not sign:
        raise click.UsageError("--pin-stdin 要和 --sign 一起用 · --pin-stdin goes with --sign")
    check_free([target], force=force)
    recorder = Recorder("hca-agent card trace", __version__)

    async def task(work: Work) -> None:
        recorder.step("card")
        await work.operations.card(work.caller, work.reader)
        recorder.step("certificates")
        await work.operations.certificates(work.caller, work.reader)
        if sign:
            recorder.step("sign")
            await work.operations.sign(work.caller, Hash.SHA_256, document=DOCUMENT, reader=work.reader)

    try:
        run(call, task, recorder.observe)
    except Exception as error:
        recorder.note({"ended": error_id(error)})
        raise
    finally:
        # What went wrong is what a trace is for.
        write(target, recorder.text().encode(), force=force, private=True)
        output.say(f"{recorder.count} 個指令 → {target}", f"{recorder.count} commands")
