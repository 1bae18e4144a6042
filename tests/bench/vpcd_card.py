"""A simulated card in a virtual reader of pcscd, that tells what it was asked.

    python -m tests.bench.vpcd_card KIND PORT [SECONDS]

where SECONDS is what a signature takes at least. It prints `held` when it is in its reader. For each line on
its standard input it answers with one line of JSON: how many commands came since the last one, and how many
seconds passed from the first to the end of the last.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from pcsc.vpcd import VpcdClient
from pcsc.winscard import VirtualCard
from tests.bench.timed_card import TimedCard
from tests.support.cards import simulated
from tests.support.waiting import until


class CountingCard:
    """A card that notes when it is asked."""

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self._times: list[float] = []

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        self._times.append(time.perf_counter())
        answer = self._card.transmit(command)
        self._times.append(time.perf_counter())
        return answer

    def report(self) -> str:
        """What came since the last report."""
        times, self._times = self._times, []
        return json.dumps({"commands": len(times) // 2, "seconds": times[-1] - times[0] if times else 0.0})


def main() -> None:
    kind, port, *seconds = sys.argv[1:]
    card = CountingCard(TimedCard(simulated(kind), float(seconds[0]) if seconds else 0.0))
    client = VpcdClient(card, port=int(port))
    threading.Thread(target=client.run, daemon=True).start()
    until(lambda: client.connected, "the reader does not take the card")
    print("held", flush=True)  # noqa: T201
    for _line in sys.stdin:
        print(card.report(), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
