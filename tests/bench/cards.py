"""Recognising a card and signing with it through pcscd, against OpenSC's pkcs11-tool with the same card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.tables import Table, milliseconds, ratio, timed
from tests.support.pcscd import PrivatePcscd, private_pcscd, why_not
from tests.support.waiting import until

PIN: Final = "123456"
MODULES: Final = ("/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so", "/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so")
_CARD_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Signing:
    """One signature.

    Attributes:
        commands: sent to the card.
        card: seconds from the first command to the end of the last.
        program: seconds in all, with the program's start where it was started for it.
    """

    commands: int
    card: float
    program: float


def signing(rounds: int) -> Table:
    """A signature of each program, in turn."""
    table = Table(
        f"Recognise the card and sign once, through pcscd (median of {rounds}, interleaved)",
        ("program", "commands", "first to last command", "in all"),
    )
    module = next((module for module in MODULES if Path(module).exists()), None)
    reason = why_not() or ("" if module and shutil.which("pkcs11-tool") else "it needs OpenSC")
    if reason or module is None:
        return table.left_out(reason)
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as folder, private_pcscd() as pcscd:
        document = Path(folder, "document")
        document.write_bytes(b"a document")
        with card_in(pcscd) as report, _running_agent(pcscd, Path(folder)) as agent:
            programs = {
                "agent, running already": lambda: _measured(report, agent),
                "hca-agent sign": lambda: _measured(report, _command_line(pcscd, Path(folder), document)),
                "pkcs11-tool --sign": lambda: _measured(report, _opensc(pcscd, document, module)),
            }
            for program in programs.values():
                program()  # keys are read and files written for the first time
            turns = [[program() for program in programs.values()] for _ in range(rounds)]
    middles = [_middle(of_one) for of_one in zip(*turns, strict=True)]
    *_, theirs = middles
    for name, each in zip(programs, middles, strict=True):
        cells = (each.commands / theirs.commands, each.card / theirs.card, each.program / theirs.program)
        table.rows.append(
            (
                name,
                f"{each.commands} ({ratio(cells[0])})",
                f"{milliseconds(each.card)} ({ratio(cells[1])})",
                f"{milliseconds(each.program)} ({ratio(cells[2])})",
            )
        )
    table.notes.append(
        "In brackets: against pkcs11-tool. The card computes in Python, 5 ms or so of each time."
    )
    return table


def _command_line(pcscd: PrivatePcscd, folder: Path, document: Path) -> Callable[[], None]:
    out = str(document.with_suffix(".sig"))
    how = ["--format", "pkcs1", "-o", out, "--force", "--pin-stdin"]  # as pkcs11-tool signs
    command = [sys.executable, "-m", "agent", "sign", str(document), *how]
    home = os.environ | {"HCA_AGENT_HOME": str(folder / "home")}
    return lambda: _run(pcscd, command, env=home, input=f"{PIN}\n".encode())


def _opensc(pcscd: PrivatePcscd, document: Path, module: str) -> Callable[[], None]:
    files = ["--input-file", str(document), "--output-file", str(document.with_suffix(".theirs"))]
    which = ["--mechanism", "SHA256-RSA-PKCS", "--id", "01"]
    command = ["pkcs11-tool", "--module", module, "--login", "--pin", PIN, "--sign", *which, *files]
    return lambda: _run(pcscd, command)


def _run(pcscd: PrivatePcscd, command: Sequence[str], **how: object) -> None:
    done = pcscd.run(command, capture_output=True, **how)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')}")


def _measured(report: Callable[[], dict[str, float]], sign: Callable[[], None]) -> Signing:
    report()
    seconds = timed(sign)
    told = report()
    return Signing(int(told["commands"]), told["seconds"], seconds)


def _middle(all_of: Sequence[Signing]) -> Signing:
    return Signing(
        round(median(each.commands for each in all_of)),
        median(each.card for each in all_of),
        median(each.program for each in all_of),
    )


@contextmanager
def _running_agent(pcscd: PrivatePcscd, folder: Path) -> Iterator[Callable[[], None]]:
    """An agent beside the card; gives what makes it sign once."""
    command = [sys.executable, "-m", "tests.bench.pcscd_agent", str(folder / "running")]
    with pcscd.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:

        def sign() -> None:
            agent.stdin.write(b"\n")
            agent.stdin.flush()
            if agent.stdout.readline() != b"signed\n":
                raise RuntimeError("the running agent did not sign")

        try:
            yield sign
        finally:
            agent.kill()


@contextmanager
def card_in(pcscd: PrivatePcscd, seconds: float = 0.0) -> Iterator[Callable[[], dict[str, float]]]:
    """A personnel card in the first reader; gives what asks it for its report.

    Args:
        pcscd: whose reader.
        seconds: what a signature takes at least, as in a card of plastic.
    """
    command = [sys.executable, "-m", "tests.bench.vpcd_card", "hpc", str(pcscd.ports[0]), str(seconds)]
    holder = pcscd.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdin is not None and holder.stdout is not None
        if holder.stdout.readline() != b"held\n":
            raise RuntimeError("the simulated card did not come up")
        until(
            lambda: not pcscd.run(["opensc-tool", "--atr"], capture_output=True).returncode,
            lambda: f"no card in the reader: {pcscd.log}",
            _CARD_SECONDS,
        )

        def report() -> dict[str, float]:
            holder.stdin.write(b"\n")
            holder.stdin.flush()
            told: dict[str, float] = json.loads(holder.stdout.readline())
            return told

        yield report
    finally:
        holder.kill()
        holder.communicate()
