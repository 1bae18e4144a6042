"""`pin`: how it stands, changing it, unblocking it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from agent.cli import output
from agent.cli.cards import pin_rows
from agent.cli.composition import pin_input, run
from agent.cli.options import Invocation, card_options, json_option, pin_option, two_pins_option

if TYPE_CHECKING:
    from agent.cli.composition import Work
    from hca_card.pin import Pin


@click.group()
def pin() -> None:
    """PIN 碼 · The PIN."""


@pin.command("status")
@card_options
@json_option
@click.pass_obj
def status(call: Invocation) -> None:
    """還可以試幾次（查詢不會用掉次數）· How many tries are left; asking spends none."""
    from agent.native import conversion

    found = conversion.pin(run(call, lambda work: work.operations.pin_status(work.caller, work.reader)))
    if call.as_json:
        output.as_json(found)
    else:
        output.facts(pin_rows(found))


@pin.command("change")
@two_pins_option("PIN")
@card_options
@click.pass_obj
def change(call: Invocation, pin_stdin: bool) -> None:
    """變更 PIN 碼 · Change the PIN."""

    async def task(work: Work) -> None:
        with _two_pins(pin_stdin) as (old, new):
            await work.operations.change_pin(work.caller, old=old, new=new, reader=work.reader)

    run(call, task, done=("✔ 已變更 PIN 碼", "the PIN is changed"))


@pin.command("unblock")
@two_pins_option("PUK")
@card_options
@click.pass_obj
def unblock(call: Invocation, pin_stdin: bool) -> None:
    """用 PUK 碼解鎖並設定新的 PIN 碼 · Unblock with the PUK and set a new PIN.

    沒有 PUK 碼請到 hca.nat.gov.tw 以用戶代碼解鎖，或撥 0800-364-422。 No PUK: unblock at hca.nat.gov.tw
    with your user code, or call 0800-364-422.
    """

    async def task(work: Work) -> None:
        with _two_pins(pin_stdin) as (puk, new):
            await work.operations.unblock_pin(work.caller, puk=puk, new=new, reader=work.reader)

    run(call, task, done=("✔ 已解鎖，PIN 碼是新的", "unblocked, with the new PIN"))


@pin.command("remember")
@click.option(
    "--origin",
    "origins_",
    metavar="ORIGIN",
    multiple=True,
    help="可不問而簽章的網站 · A site that may sign without asking; can be repeated.",
)
@click.option(
    "--folder",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="其中的檔案可不問而簽章的資料夾 · A folder whose files are signed without asking; can be repeated.",
)
@pin_option
@card_options
@click.pass_obj
def remember(call: Invocation, origins_: tuple[str, ...], folders: tuple[str, ...]) -> None:
    """把 PIN 碼存進系統鑰匙圈，供無人值守簽章 · Keep the PIN in the system's keyring, to sign unattended.

    只給指名的網站或資料夾；要先在設定檔的 [unattended] 寫 enabled = true。 For named sites or folders only,
    and only with enabled = true under [unattended] in the configuration.
    """
    from agent.cli.origins import check_origin
    from agent.pins.unattended import Grant

    if not origins_ and not folders:
        raise click.UsageError("請指名網站或資料夾 · name a site or a folder")
    for origin in origins_:
        check_origin(origin)
    grant = Grant(origins_, folders)
    serial = run(
        call, lambda work: work.operations.remember_pin(work.caller, None, grant, reader=work.reader)
    )
    output.say(f"✔ 卡號 {serial} 的 PIN 碼已存進系統鑰匙圈", f"the PIN of card {serial} is in the keyring")


@pin.command("forget")
@click.option(
    "--serial", metavar="NUMBER", help="卡號；不指定就是讀卡機裡的卡片 · Else the card in the reader."
)
@card_options
@click.pass_obj
def forget(call: Invocation, serial: str | None) -> int:
    """從系統鑰匙圈刪除 PIN 碼 · Delete the PIN from the system's keyring."""

    async def task(work: Work) -> bool:
        number = serial or (await work.operations.card(work.caller, work.reader)).metadata.serial
        return await work.operations.forget_remembered_pin(number)

    if run(call, task):
        output.say("✔ 已刪除", "deleted")
        return 0
    output.warn("✘ 鑰匙圈裡沒有這張卡片的 PIN 碼", "the keyring holds no PIN of this card")
    return 1


@contextmanager
def _two_pins(given: bool) -> Iterator[tuple[Pin | None, Pin | None]]:
    """Run the body with two PINs of standard input, wiped afterwards, or with none where none are given."""
    from agent.interaction.scripted import read_pin

    if not given:
        yield None, None
        return
    with ExitStack() as stack:
        pins = []
        stream = stack.enter_context(pin_input())
        for _ in range(2):
            try:
                pins.append(read_pin(stream))
            except ValueError:
                raise click.UsageError(
                    "標準輸入要有兩行，後一行是新的 PIN 碼 · standard input needs two lines, new PIN last"
                ) from None
            stack.callback(pins[-1].wipe)
        yield pins[0], pins[1]
