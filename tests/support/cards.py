"""Simulated cards for tests, and literal APDU scripts to hold against them.

def test_a_wrong_pin_costs_a_try() -> None:
    play(simulated("hpc"), '''
        > 00 20 00 01 06 39 39 39 39 39 39    VERIFY 999999
        < 63 C2
    ''')
"""

from __future__ import annotations

import getpass
import re
import tempfile
from functools import cache
from pathlib import Path

from hca_card.simulator import SimulatedCard, SimulatorCa, create
from hca_card.simulator.cards import HcaBlueprint, Wire
from hca_card.simulator.persons import DOCTOR
from pcsc.winscard import VirtualCard

_LINE = re.compile(
    r"([<>])((?:\s+[0-9A-Fa-f]{2})+|\s+nothing)?(\s+\.\.\.)?((?:\s+[0-9A-Fa-f]{2})*)(?:\s{2,}.*)?"
)

STRANGE = Wire(
    atr=bytes.fromhex("3B 85 81 31 FE 45 53 54 52 4E 47 C1"),
    aid=bytes.fromhex("D1 58 00 00 02 53 54 52 4E 47"),
    identity_tag=0xC5,
    certificate=(0x4710, 0x14),
    basic=(0x4601, 0x07),
    info=(0x4602, 0x09),
    references=(0x81, 0x83),
    keys=(0x05, 0x0B),
)
"""An HCA card type that no profile knows."""


def simulator_folder() -> Path:
    """Where test runs keep the keys of their cards, so that only the first one makes them."""
    return Path(tempfile.gettempdir()) / f"hca-agent-test-cards-{getpass.getuser()}"


@cache
def simulator_ca() -> SimulatorCa:
    """The authority of all cards in tests; processes that run tests side by side share its folder."""
    folder = simulator_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    return SimulatorCa(folder)


def simulated(kind: str, *, delay_ms: int = 0) -> SimulatedCard:
    """A new card of that kind, certified by `simulator_ca`, with power."""
    return create(kind, ca=simulator_ca(), delay_ms=delay_ms)


class RenewableCard:
    """A card in its reader; another program rewrites its certificates, keys and facts when a test says so.

    Args:
        days_left: how many more days its first certificate lasts; -1 has ended yesterday.
    """

    def __init__(self, days_left: int = 10) -> None:
        chips = [
            HcaBlueprint("000000335373", DOCTOR, days_left=days).build(simulator_ca())
            for days in (days_left, None)
        ]
        before, self._after = (SimulatedCard("hpc", chip, chip) for chip in chips)
        self._files = self._keys = before

    def renew(self, *, files: bool = True, keys: bool = True) -> None:
        """Rewrite what the files hold, the keys, or both."""
        self._files = self._after if files else self._files
        self._keys = self._after if keys else self._keys

    @property
    def pin_tries(self) -> int | None:
        """Tries left for the PIN."""
        return self._keys.pin_tries

    def power_on(self) -> bytes:
        """Cold or warm reset."""
        self._after.power_on()
        self._keys.power_on()
        return self._files.power_on()

    def power_off(self) -> None:
        """Lose power."""

    def transmit(self, command: bytes) -> bytes:
        """Return the response to an APDU: SELECT and READ BINARY go to the files."""
        return (self._files if command[1] in (0xA4, 0xB0) else self._keys).transmit(command)


def say(card: VirtualCard, command: str) -> bytes:
    """The response APDU to a command APDU written in hexadecimal."""
    return card.transmit(bytes.fromhex(command))


def play(card: VirtualCard, script: str) -> None:
    """Send each `> command` and compare what comes back with the `< response` under it.

    Words after two spaces are for the reader. In a response `...` stands for any bytes, and `< nothing` for
    none at all. `reset` on a line of its own is a power-up.

    Raises:
        AssertionError: with the line that was not met.
    """
    response = b""
    for line in filter(None, map(str.strip, script.splitlines())):
        if line.split()[0] == "reset":
            assert card.power_on()
            continue
        found = _LINE.fullmatch(line)
        assert found, f"not a line of a script: {line}"
        direction, begin, anything, end = found.groups(default="")
        if direction == ">":
            response = card.transmit(bytes.fromhex(begin))
            continue
        head, tail = bytes.fromhex(begin.replace("nothing", "")), bytes.fromhex(end)
        met = (
            response.startswith(head) and response.endswith(tail) and len(response) >= len(head + tail)
            if anything
            else response == head
        )
        assert met, f"{line}\nbut the card said {response.hex(' ')}"
