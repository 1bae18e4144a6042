"""`origins`: which sites may use the card, by configuration and by what the person answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from agent.cli import output

if TYPE_CHECKING:
    from agent.access.answers import Answers
    from agent.config import Config


@click.group()
def origins() -> None:
    """哪些網站可以使用卡片 · Which sites may use the card."""


@origins.command("list")
def list_() -> None:
    """設定檔與您的回答 · What the configuration and your answers say."""
    config, answers = _open()
    rows = [*_configured(config), *_answered(answers)]
    if not rows:
        output.say("還沒有任何網站；第一次使用時會詢問", "no site yet; the first use of each is asked about")
    else:
        output.table(("網站 origin", "動作 verb", "決定 decision", "到期 until"), rows)


@origins.command()
@click.argument("origin")
def allow(origin: str) -> None:
    """不再詢問，直到期限 · Allow everything for a site until the answer expires."""
    from agent.access import allowing

    config, answers = _open()
    check_origin(origin)
    until = allowing.allow(config, answers, origin)
    output.say(f"✔ {origin}: 允許到 {until:%Y-%m-%d}", f"allowed until {until:%Y-%m-%d}")
    if origin in config.origins.deny:
        output.warn("設定檔拒絕這個網站，以設定檔為準", "the configuration denies this site, and it wins")


@origins.command()
@click.argument("origin")
def forget(origin: str) -> int:
    """忘記對一個網站的回答 · Forget every answer for a site."""
    _, answers = _open()
    if answers.forget(origin):
        output.say(f"✔ {origin}: 已忘記", "forgotten")
        return 0
    output.warn(f"✘ {origin}: 沒有記住任何回答", "there was no answer to forget")
    return 1


def _open() -> tuple[Config, Answers]:
    from agent.access.answers import Answers
    from agent.cli.composition import folder

    paths, config = folder()
    return config, Answers(paths.answers, settings=config.consent)


def check_origin(origin: str) -> None:
    """Return if a browser writes `origin` so.

    Raises:
        click.UsageError: if none does.
    """
    from agent.origins.spelling import origin_fault

    if fault := origin_fault(origin):
        raise click.UsageError(
            "網站要寫成瀏覽器的樣子，例如 https://portal.example.tw · "
            f"an origin is written as browsers do, such as https://portal.example.tw: {fault}"
        )


def _configured(config: Config) -> Iterator[tuple[str, str, str, str]]:
    for origin in sorted(config.origins.deny):
        yield origin, "全部 all", "設定檔拒絕 denied by configuration", ""
    for origin in sorted(config.origins.allow - config.origins.deny):
        yield origin, "全部 all", "設定檔允許 allowed by configuration", ""


def _answered(answers: Answers) -> Iterator[tuple[str, str, str, str]]:
    for origin, kept in answers.all().items():
        for verb, answer in kept.items():
            decision = "允許 allowed" if answer.allowed else "拒絕 refused"
            yield origin, verb.value, decision, f"{answer.until.astimezone():%Y-%m-%d %H:%M}"
