"""When unknown sites are refused unasked: after too many questions in a row that came to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.config import ConsentSettings
from agent.origins.sites import site_of


@dataclass(slots=True)
class _Row:
    at: float
    refused: int = 0
    until: float = 0.0
    in_a_row: bool = True


class Silence:
    """Which unknown sites are not asked about for now.

    Whoever holds a domain has as many origins as they like: its origins are one site, and what one site used
    up is not charged to others. Only when that many different sites in a row came to nothing, or the person
    says so, all unknown ones are silent. Sites that the person knows are never looked at here.

    Args:
        settings: how many in a row, and for how long.
        clock: seconds that only grow.
    """

    def __init__(self, settings: ConsentSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = settings.silence_after
        self._seconds = settings.silence_minutes * 60.0
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._all_until = 0.0

    @property
    def begun(self) -> bool:
        """Whether any site is refused unasked now."""
        return self._clock() < max((self._all_until, *(row.until for row in self._rows.values())))

    @property
    def minutes(self) -> int:
        """For how long, from its beginning."""
        return round(self._seconds / 60)

    def left(self, origin: str) -> float:
        """Return for how many seconds an unknown `origin` is still refused unasked."""
        row = self._rows.get(site_of(origin))
        return max(0.0, max(self._all_until, row.until if row else 0.0) - self._clock())

    def whose(self, origin: str) -> str | None:
        """Return the site that the silence of `origin` is about; None when it is about all."""
        return None if self._clock() < self._all_until else site_of(origin)

    def said_yes(self, origin: str) -> None:
        """Begin to count anew: the person wanted this one."""
        self._rows.pop(site_of(origin), None)
        now = self._clock()
        self._rows = {site: row for site, row in self._rows.items() if now < row.until}
        for row in self._rows.values():
            row.in_a_row = False

    def came_to_nothing(self, origin: str, *, refused: bool) -> bool:
        """Count a question that was shown; return whether it was one too many, and a silence began.

        Args:
            origin: whose it was.
            refused: the person said no or nothing; otherwise the page took it back, which a page that is
                loaded again does too: that counts for its site only once.
        """
        now = self._clock()
        self._rows = {
            site: row for site, row in self._rows.items() if now < max(row.at + self._seconds, row.until)
        }
        row = self._rows.setdefault(site_of(origin), _Row(now))
        row.at, row.in_a_row = now, True
        row.refused += refused
        if sum(each.in_a_row for each in self._rows.values()) >= self._after:
            self.begin()
        elif row.refused >= self._after:
            row.refused, row.until = 0, now + self._seconds
        else:
            return False
        return True

    def begin(self) -> None:
        """Refuse all unknown sites for a while."""
        self._rows.clear()
        self._all_until = self._clock() + self._seconds

    def end(self) -> None:
        """Ask about every site again."""
        self._rows.clear()
        self._all_until = 0.0
