"""What is said again and again is written a few times, then counted: nothing else is rotated away for it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

WRITTEN_MAX: Final = 5
"""Records of one place in the code that are written in one period."""
PERIOD_SECONDS: Final = 60.0
_PLACES_MAX: Final = 512


@dataclass(slots=True)
class _Place:
    name: str
    since: float
    written: int = 0
    left_out: int = 0


class Unrepeated(logging.Filter):
    """Lets a place in the code write so many records a minute; the next one tells how many were left out.

    A place is a logger, a level and the text before anything is put into it: a stranger who varies what is
    put in is still one place.

    Args:
        exempt: the name of a logger whose records all count, if any.
        clock: seconds that only grow.
    """

    def __init__(self, exempt: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._exempt = exempt
        self._clock = clock
        self._places: OrderedDict[tuple[str, int, str], _Place] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record, which has as `left_out` how many were not written before it."""
        if self._exempt and record.name == self._exempt:
            return True
        key = (record.name, record.levelno, str(record.msg))
        now = self._clock()
        place = self._places.pop(key, None) or _Place(record.name, now)
        self._places[key] = place
        if len(self._places) > _PLACES_MAX:
            self._places.popitem(last=False)
        if now - place.since >= PERIOD_SECONDS:
            if place.left_out:
                record.left_out = place.left_out
            place.since, place.written, place.left_out = now, 0, 0
        if place.written >= WRITTEN_MAX:
            place.left_out += 1
            return False
        place.written += 1
        return True

    def uncounted(self) -> Iterator[tuple[str, int]]:
        """Yield each logger whose left out records no line has mentioned yet, and their number."""
        for place in self._places.values():
            if place.left_out:
                yield place.name, place.left_out


def write_seldom(handlers: Iterable[logging.Handler]) -> None:
    """Have each of `handlers` write no more than `Unrepeated` lets through."""
    for handler in handlers:
        handler.addFilter(Unrepeated())
