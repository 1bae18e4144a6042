"""A simulated card that takes as long for a signature as real ones do, and knows when it was at work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock

from hca_card.simulator import SimulatedCard

SIGNATURE_SECONDS = 0.150
_SIGN = bytes.fromhex("2A9E9A")  # PSO: COMPUTE DIGITAL SIGNATURE (ISO 7816-8 §11.2), after the class byte


@dataclass
class TimedCard:
    """A card in its sleeve.

    Attributes:
        card: a good one, without a delay of its own.
        seconds: what a signature takes.
        spans: when each command began and ended.
        signatures: the indexes of those in `spans` that signed.
    """

    card: SimulatedCard
    seconds: float = SIGNATURE_SECONDS
    spans: list[tuple[float, float]] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def power_on(self) -> bytes:
        return self.card.power_on()

    def power_off(self) -> None:
        self.card.power_off()

    def transmit(self, command: bytes) -> bytes:
        began = time.perf_counter()
        signs = command[1:4] == _SIGN
        response = self.card.transmit(command)
        if signs and (left := began + self.seconds - time.perf_counter()) > 0:
            time.sleep(left)
        with self._lock:
            if signs:
                self.signatures.append(len(self.spans))
            self.spans.append((began, time.perf_counter()))
        return response

    @property
    def busy(self) -> float:
        """The share of the time in which it was at work, from the first signature to the last."""
        first, last = self.spans[self.signatures[0]][0], self.spans[self.signatures[-1]][1]
        at_work = sum(ended - began for began, ended in self.spans if first <= began and ended <= last)
        return at_work / (last - first)

    @property
    def rate(self) -> float:
        """Signatures a second, from the beginning of the first to the end of the last."""
        first, last = self.spans[self.signatures[0]][0], self.spans[self.signatures[-1]][1]
        return len(self.signatures) / (last - first)

    @property
    def limit(self) -> float:
        """Signatures a second if nothing came between its commands."""
        return self.rate / self.busy
