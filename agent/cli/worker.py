"""`worker` and `submit`: signing with cards in other computers, by way of a message broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli import files, output
from agent.cli.batch import (
    batch_options,
    choice_of,
    interrupted_by_keys,
    opened,
    show_end,
    show_faults,
    shown,
)
from agent.cli.composition import folder as agent_folder
from agent.cli.composition import full_name, run
from agent.cli.options import (
    Command,
    Invocation,
    json_option,
    many_cards_options,
    pin_option,
    session_options,
)

if TYPE_CHECKING:
    from agent.batch.engine import Summary
    from agent.batch.files import FileBatch
    from agent.broker.worker import Worker
    from agent.cli.composition import Work
    from agent.config import BrokerSettings

_CARDS_MAX: Final = 32
_ENDING_SECONDS: Final = 5.0


def _broker_options(command: Command) -> Command:
    """Add the options that say where the broker is and who we are to it."""
    for option in (
        click.option(
            "--ca",
            metavar="FILE",
            type=files.INPUT,
            help="簽發訊息中介憑證的機構（PEM） · The authority of the broker's certificate, PEM.",
        ),
        click.option(
            "--creds",
            metavar="FILE",
            type=files.INPUT,
            help="訊息中介的帳號檔，只有您能讀 · The file of credentials, readable by you alone.",
        ),
        click.option(
            "--server",
            "servers",
            metavar="ADDRESS",
            multiple=True,
            help="訊息中介的位址，如 tls://nats.example.tw:4222；不指定時看設定檔 [broker] · The broker's"
            " address; else as [broker] of the configuration says.",
        ),
    ):
        command = option(command)
    return command


def _settings(servers: tuple[str, ...], creds: Path | None, ca: Path | None) -> BrokerSettings:
    """Return what the configuration says of the broker, with what the command line says in its place."""
    from dataclasses import replace

    from agent.config.values import brokers

    settings = agent_folder()[1].broker
    try:
        if servers:
            settings = replace(settings, servers=brokers(list(servers)))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from None
    if creds is not None:
        settings = replace(settings, credentials=str(creds.resolve()))
    return settings if ca is None else replace(settings, ca=str(ca.resolve()))


def _heard(there: bool) -> None:
    if there:
        output.warn("訊息中介又連上了", "the broker is there again")
    else:
        output.warn("訊息中介斷線，等它回來", "the broker is away; waiting for it")


@click.command()
@session_options
@_broker_options
@pin_option
@many_cards_options
@click.pass_obj
def worker(
    call: Invocation,
    *,
    minutes: int | None,
    signatures: int | None,
    servers: tuple[str, ...],
    creds: Path | None,
    ca: Path | None,
) -> int:
    """用這台電腦的卡片簽署訊息中介送來的文件 · Sign what a message broker has for the cards in this computer.

    每張卡片先問一次 PIN 碼；份數或時間用完、卡片拔出時停止接工作，並再問一次。按 Ctrl-C 結束。

    The PIN is asked once for each card. When its signatures or its time are used up, or the card is pulled,
    that card takes no more jobs, and the PIN is asked again. Ctrl-C ends it. docs/broker.md tells how to set
    the broker up.
    """
    if len(call.readers) > _CARDS_MAX:
        raise click.UsageError(f"最多 {_CARDS_MAX} 台讀卡機 · {_CARDS_MAX} readers at most")
    settings = _settings(servers, creds, ca)
    seconds = None if minutes is None else minutes * 60
    return 0 if run(call, lambda work: _serve(call, work, settings, signatures, seconds)) else 1


async def _serve(
    call: Invocation, work: Work, settings: BrokerSettings, most: int | None, seconds: int | None
) -> bool:
    """Serve the cards; return whether nothing but the person ended that."""
    from agent.broker.connection import open_broker
    from agent.broker.outcomes import Outcomes
    from agent.broker.worker import Worker

    names = [await full_name(work.operations, work.caller, reader) for reader in call.readers] or [None]
    if len(set(names)) < len(names):
        raise click.UsageError("同一台讀卡機寫了兩次 · the same reader is named twice")
    async with open_broker(settings, "hca-agent worker", _heard) as broker:
        await broker.prepare()
        with Outcomes(agent_folder()[0].home) as outcomes:
            at_work = Worker(broker, work.operations, outcomes, output.say, most=most, seconds=seconds)
            with interrupted_by_keys(at_work.stop):
                if len(names) == 1:
                    await at_work.serve(work.caller, names[0])
                    good = [True]
                else:
                    good = await asyncio.gather(*(_card(at_work, work, name) for name in names))
            output.say(f"簽了 {at_work.signed} 份", f"{at_work.signed} documents were signed")
    return all(good)


async def _card(at_work: Worker, work: Work, reader: str | None) -> bool:
    """Serve one card of several; what ends it is said, and ends no other."""
    try:
        await at_work.serve(work.caller, reader)
    except Exception as error:
        output.error(error, subject=reader or "")
        return False
    return True


@click.command()
@click.option(
    "--card",
    "cards",
    metavar="KEY|FILE",
    multiple=True,
    required=True,
    help="由哪張卡片簽：hca-agent worker 顯示的代碼，或其簽章憑證檔；寫幾次就分給幾張 · The card that signs:"
    " what hca-agent worker calls it, or a file with its certificate for signing; several share the work.",
)
@batch_options
@_broker_options
@json_option
@click.pass_obj
def submit(
    call: Invocation,
    /,
    *,
    source: Path,
    cards: tuple[str, ...],
    target: Path | None,
    resume: bool,
    force: bool,
    servers: tuple[str, ...],
    creds: Path | None,
    ca: Path | None,
    **chosen: Any,
) -> int:
    """把整批檔案交給別台電腦的卡片簽 · Have all files of a folder or a manifest signed by cards elsewhere.

    用法與 hca-agent batch 相同，卡片在執行 hca-agent worker 的電腦上。中斷後用 --resume 繼續。

    As hca-agent batch, with cards in computers where hca-agent worker runs. Whatever ends it in the middle,
    --resume goes on with it, and nothing is signed twice.
    """
    from agent.batch.files import FaultyListError

    keys = tuple(dict.fromkeys(_key(card) for card in cards))
    if len(keys) > _CARDS_MAX:
        raise click.UsageError(f"最多 {_CARDS_MAX} 張卡片 · {_CARDS_MAX} cards at most")
    settings = _settings(servers, creds, ca)
    try:
        choice = choice_of(**chosen)
        with opened(source, target, choice, resume=resume, force=force, elsewhere=True) as batch:
            signed, of = batch.counts()
            summary = None
            if signed < of:
                summary = asyncio.run(_submit(call, batch, keys, settings, resumed=resume and not force))
            return show_end(call, batch, summary)
    except FaultyListError as error:
        show_faults(call, source, error)
        return 1


async def _submit(
    call: Invocation, batch: FileBatch, keys: tuple[str, ...], settings: BrokerSettings, *, resumed: bool
) -> Summary:
    """Have what waits signed by the cards of these keys."""
    from agent.audit import AuditLog
    from agent.batch.engine import Engine
    from agent.broker.connection import open_broker
    from agent.broker.submit import RemoteCards, Submitted, submission

    paths, config = agent_folder()
    audit = AuditLog(paths.audit, config.audit)
    cards: RemoteCards | None = None

    def heard(there: bool) -> None:
        _heard(there)
        if there and cards is not None:
            cards.reached()

    async with open_broker(settings, "hca-agent submit", heard) as broker:
        await broker.prepare()
        name = submission(batch.outputs, resumed=resumed)
        async with RemoteCards(broker, name, keys, output.warn, audit) as cards:
            await cards.look()
            with shown(call) as seen:
                done, of = batch.counts()
                submitted = Submitted(batch, cards)
                engine = Engine(submitted, of - done, seen.tell, here=False)

                def end() -> None:
                    engine.stop()
                    cards.withdraw()

                with interrupted_by_keys(end):
                    summary = await engine.run(submitted.lanes(len(keys)))
            if not summary.left:
                await cards.forget()
            return summary


def _key(card: str) -> str:
    """Return the key of a card that is named by it, or by a file with its certificate.

    Raises:
        click.BadParameter: it is neither.
    """
    from agent.broker.messages import CARD_KEY, card_key

    if CARD_KEY.fullmatch(card):
        return card
    if not Path(card).is_file():
        raise click.BadParameter(
            f"不是卡片代碼，也不是檔案 · neither a key nor a file: {card}", param_hint="--card"
        )
    return card_key(files.read_der(Path(card)))
