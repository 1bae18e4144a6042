"""`simulate`: a simulated card in a real smart card service, for other programs to use."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final

import click

from agent.cli import output
from agent.cli.options import check_kinds

if TYPE_CHECKING:
    from pcsc.vpcd import VpcdClient

# Python on Windows sees Ctrl-C only between waits.
_TURN_SECONDS: Final = 0.5


def _address(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        raise click.BadParameter("寫成 HOST:PORT，例如 127.0.0.1:35963 · HOST:PORT, such as 127.0.0.1:35963")
    return host.removeprefix("[").removesuffix("]"), int(port)


class _NamesKinds(click.Command):
    """A command whose help names the kinds of simulated cards."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the kinds."""
        from hca_card.simulator import KINDS

        with formatter.section("KIND"):
            formatter.write_dl(list(KINDS.items()))


@click.command(cls=_NamesKinds)
@click.argument("kind")
@click.option(
    "--vpcd",
    "address",
    metavar="HOST:PORT",
    callback=_address,
    help="vpcd 的位址 · Where the vpcd driver of a pcscd listens; its first reader is 127.0.0.1:35963.",
)
@click.option(
    "--delay",
    metavar="MS",
    type=click.IntRange(0, 10_000),
    default=0,
    help="每個指令多花幾毫秒 · Milliseconds that each command takes longer.",
)
@click.option(
    "--control",
    is_flag=True,
    help="標準輸入不是終端機時也讀指令 · Read the orders from standard input even if it is no terminal.",
)
def simulate(kind: str, address: tuple[str, int] | None, delay: int, control: bool) -> None:
    """把模擬卡放進真的 pcscd · Put a simulated card into a real pcscd.

    之後任何 PC/SC 程式都看得到它。 Any PC/SC program then sees it.

    在終端機輸入 remove、insert、quit。 Type remove, insert or quit.

    本程式自己的指令不需要它，用 --simulate KIND 即可。 This program's own commands take --simulate KIND
    instead.
    """
    check_kinds((kind,))
    if address is None:
        raise click.UsageError(
            "模擬卡要放進 vpcd 讀卡機：安裝 vsmartcard-vpcd、啟動 pcscd，再加 --vpcd 127.0.0.1:35963。"
            "本程式自己的指令不需要，用 --simulate 即可 · a simulated card needs a vpcd reader: install "
            "vsmartcard-vpcd, start pcscd, and add --vpcd 127.0.0.1:35963. This program's own commands need "
            f"none of that: they take --simulate {kind}"
        )
    from agent.cli.composition import folder
    from hca_card.simulator import SimulatorCa, create
    from pcsc.vpcd import VpcdClient

    paths, _ = folder()
    client = VpcdClient(create(kind, ca=SimulatorCa(paths.simulator), delay_ms=delay), *address)
    serving = threading.Thread(target=client.run, name="vpcd", daemon=True)
    serving.start()
    output.say(f"模擬卡 {kind} → vpcd {address[0]}:{address[1]}", "Ctrl-C 結束 ends it")
    try:
        if control or sys.stdin.isatty():
            threading.Thread(target=_obey, args=(client,), name="control", daemon=True).start()
        while serving.is_alive():
            serving.join(_TURN_SECONDS)
    finally:
        client.stop()
        serving.join(_TURN_SECONDS)


def _obey(client: VpcdClient) -> None:
    """Orders from standard input, a line each; its end is `quit`."""
    for line in sys.stdin:
        order = line.strip()
        if order == "remove":
            client.remove()
        elif order == "insert":
            client.insert()
        elif order == "quit":
            break
        elif order:
            output.warn(f"沒有 {order!r} 這個指令", "remove, insert, quit")
            continue
        output.say(f"✔ {order}")
    client.stop()
