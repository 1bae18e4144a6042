"""`pin`: how it stands, changing it, unblocking it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from agent.cli import output
from agent.cli.cards import pin_rows
from agent.cli.options import Preferences, card_options, json_option, pin_option
from agent.cli.setup import run

if TYPE_CHECKING:
    from agent.cli.setup import Work
    from agent.native import messages
    from hca_card.pin import Pin

F = TypeVar("F", bound=Callable[..., object])


@click.group()
def pin() -> None:
    """PIN 碼 · The PIN."""


@pin.command("status")
@card_options
@json_option
@click.pass_obj
def status(preferences: Preferences, simulate: tuple[str, ...], reader: str | None) -> None:
    """還可以試幾次（查詢不會用掉次數）· How many tries are left; asking spends none."""
    from agent.native import conversion

    async def task(work: Work) -> messages.PinState:
        return conversion.pin(await work.operations.pin_status(work.caller, work.reader))

    found = run(task, simulate, reader)
    if preferences.as_json:
        output.as_json(found)
    else:
        output.facts(pin_rows(found))


def _two_lines(first: str) -> Callable[[F], F]:
    return click.option(
        "--pin-stdin",
        is_flag=True,
        help=f"從標準輸入讀兩行：{first}、新的 PIN 碼 · Two lines on standard input: {first}, new PIN.",
    )


@pin.command("change")
@_two_lines("PIN")
@card_options
def change(pin_stdin: bool, simulate: tuple[str, ...], reader: str | None) -> None:
    """變更 PIN 碼 · Change the PIN."""

    async def task(work: Work) -> None:
        with _Given(pin_stdin) as given:
            await work.operations.change_pin(
                work.caller, old=given.first, new=given.second, reader=work.reader
            )

    run(task, simulate, reader)
    output.say("✔ 已變更 PIN 碼", "the PIN is changed")


@pin.command("unblock")
@_two_lines("PUK")
@card_options
def unblock(pin_stdin: bool, simulate: tuple[str, ...], reader: str | None) -> None:
    """用 PUK 碼解鎖並設定新的 PIN 碼 · Unblock with the PUK and set a new PIN.

    沒有 PUK 碼請到 hca.nat.gov.tw 以用戶代碼解鎖，或撥 0800-364-422。 No PUK: unblock at hca.nat.gov.tw
    with your user code, or call 0800-364-422.
    """

    async def task(work: Work) -> None:
        with _Given(pin_stdin) as given:
            await work.operations.unblock_pin(
                work.caller, puk=given.first, new=given.second, reader=work.reader
            )

    run(task, simulate, reader)
    output.say("✔ 已解鎖，PIN 碼是新的", "unblocked, with the new PIN")


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
def remember(
    origins_: tuple[str, ...],
    folders: tuple[str, ...],
    pin_stdin: bool,
    simulate: tuple[str, ...],
    reader: str | None,
) -> None:
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

    async def task(work: Work) -> str:
        return await work.operations.remember_pin(work.caller, None, grant, reader=work.reader)

    serial = run(task, simulate, reader, pin_stdin=pin_stdin)
    output.say(f"✔ 卡號 {serial} 的 PIN 碼已存進系統鑰匙圈", f"the PIN of card {serial} is in the keyring")


@pin.command("forget")
@click.option(
    "--serial", metavar="NUMBER", help="卡號；不指定就是讀卡機裡的卡片 · Else the card in the reader."
)
@card_options
@click.pass_context
def forget(context: click.Context, serial: str | None, simulate: tuple[str, ...], reader: str | None) -> None:
    """從系統鑰匙圈刪除 PIN 碼 · Delete the PIN from the system's keyring."""

    async def task(work: Work) -> bool:
        number = serial or (await work.operations.card(work.caller, work.reader)).metadata.serial
        return await work.operations.forget_remembered_pin(number)

    if run(task, simulate, reader):
        output.say("✔ 已刪除", "deleted")
        return
    output.warn("✘ 鑰匙圈裡沒有這張卡片的 PIN 碼", "the keyring holds no PIN of this card")
    context.exit(1)


class _Given:
    """Two lines of standard input, wiped afterwards; nothing of it where the person is asked instead."""

    def __init__(self, wanted: bool) -> None:
        self.first: Pin | None = None
        self.second: Pin | None = None
        if wanted:
            self._read()

    def _read(self) -> None:
        from agent.interaction.scripted import read_pin

        try:
            self.first = read_pin(sys.stdin.buffer)
            self.second = read_pin(sys.stdin.buffer)
        except ValueError:
            self.__exit__()
            raise click.UsageError(
                "標準輸入要有兩行，後一行是新的 PIN 碼 · standard input needs two lines, new PIN last"
            ) from None

    def __enter__(self) -> _Given:
        return self

    def __exit__(self, *_details: object) -> None:
        for each in (self.first, self.second):
            if each is not None:
                each.wipe()
