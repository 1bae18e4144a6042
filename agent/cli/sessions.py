"""`sessions`: the signing sessions of the running agent, for people whose desktop shows no icon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from agent.cli import output
from agent.cli.options import Invocation, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 10.0
_MESSAGE_BYTES_MAX = 1 << 20


@click.group()
def sessions() -> None:
    """連續簽章：哪些正在進行、停止 · Signing sessions that are open, and stopping them."""


@sessions.command("list")
@json_option
@click.pass_obj
def list_(call: Invocation) -> None:
    """列出正在進行的連續簽章 · List those that are open."""
    rows = _open_ones()
    if call.as_json:
        output.as_json({"sessions": rows})
    elif not rows:
        output.say("沒有進行中的連續簽章", "no signing session is open")
    else:
        titles = ("編號 number", "網站 origin", "還可以簽 left", "分鐘 minutes")
        output.table(
            titles,
            [
                (
                    row["number"],
                    row["origin"] or "本機 this machine",
                    str(row["left"]),
                    str(row["secondsLeft"] // 60),
                )
                for row in rows
            ],
        )


@sessions.command()
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1)
def stop(numbers: tuple[str, ...]) -> int:
    """立刻停止；不指定編號就是全部 · Stop these at once, or all of them."""
    known = [row["number"] for row in _open_ones()]
    missing = [number for number in numbers if number not in known]
    for number in numbers or known:
        if number not in missing:
            asyncio.run(_ask("session.stop", number=number))
            output.say(f"✔ {number}: 已停止", "stopped")
    for number in missing:
        output.warn(f"✘ {number}: 沒有這個連續簽章", "there is no such session")
    if not known and not numbers:
        output.say("沒有進行中的連續簽章", "no signing session is open")
    return 1 if missing else 0


def _open_ones() -> list[dict[str, Any]]:
    answer = asyncio.run(_ask("session.list"))
    return [] if answer is None else list(answer["sessions"])


async def _ask(method: str, **params: str) -> Mapping[str, Any] | None:
    """Return what this person's running agent answers; None where none runs."""
    import aiohttp

    from agent import inventory
    from agent.cli.composition import folder
    from agent.errors import AgentError
    from agent.server import token

    paths, config = folder()
    last = inventory.read(paths.home)
    [port, *_] = (last.ports.get("native") if last and last.ended is None else None) or (config.ports.native,)
    try:
        headers = {"Authorization": f"Bearer {token.read(paths.token)}"}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as http,
            http.ws_connect(
                f"ws://127.0.0.1:{port}/v1", headers=headers, max_msg_size=_MESSAGE_BYTES_MAX
            ) as socket,
        ):
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            while (answer := await socket.receive_json(timeout=_SECONDS)).get("id") != 1:
                pass  # news that nobody asked for
            return dict(answer["result"]) if "result" in answer else None
    except (AgentError, aiohttp.ClientError, OSError, TypeError, ValueError):
        return None  # nobody listens, or somebody else does; or there has never been an agent
