"""What the person answered, kept in the agent's folder per origin and verb until it expires."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from agent.access.policy import ConsentAnswer
from agent.config import ConsentSettings
from agent.origins.spelling import is_origin
from agent.private_files import write_private
from agent.vocabulary import Verb
from hca_card.decoding import UNREADABLE

log = logging.getLogger(__name__)

ORIGINS_MAX: Final = 512
"""How many origins have answers; of more, those go whose answers end first."""

_NONE: Final[Mapping[Verb, ConsentAnswer]] = MappingProxyType({})


_Document = dict[str, dict[Verb, ConsentAnswer]]


class Answers:
    """The answers, read again whenever another process (`hca-agent origins forget`) has changed the file.

    A file that cannot be understood is set aside under another name: then everything is asked again, which
    is safe, and nothing is lost.

    Args:
        path: a JSON file, which need not exist; its folder must.
        now: the clock, aware UTC.
        settings: how long an answer may hold: one that would hold longer was given while the clock was wrong,
            and does not count. None takes every answer.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        settings: ConsentSettings | None = None,
    ) -> None:
        self._path = path
        self._now = now
        self._longest = {
            True: timedelta(days=settings.days) if settings else timedelta.max,
            False: timedelta(minutes=settings.refusal_minutes) if settings else timedelta.max,
        }
        self._lock = threading.Lock()
        self._stamped: tuple[int, int, int] | None = None
        self._kept: _Document = {}

    def of(self, origin: str) -> Mapping[Verb, ConsentAnswer]:
        """Return the answers that still hold for `origin`."""
        with self._lock:
            self._refresh()
            kept = self._kept.get(origin)
            return self._holding(kept) if kept else _NONE

    def all(self) -> _Document:
        """Return every answer that still holds, by origin."""
        with self._lock:
            self._refresh()
            return {
                origin: holding
                for origin, kept in sorted(self._kept.items())
                if (holding := self._holding(kept))
            }

    def remember(self, origin: str, verbs: Iterable[Verb], answer: ConsentAnswer) -> None:
        """Keep one answer for each of `verbs`.

        Raises:
            OSError: the file cannot be written; the answer then holds for this process alone.
        """
        with self._lock:
            self._refresh()
            self._kept.setdefault(origin, {}).update(dict.fromkeys(verbs, answer))
            self._write()

    def forget(self, origin: str) -> bool:
        """Forget every answer for `origin`; False when there was none.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            self._refresh()
            kept = self._kept.pop(origin, None)
            if kept is None:
                return False
            self._write()
            return bool(self._holding(kept))

    def _holding(self, kept: Mapping[Verb, ConsentAnswer]) -> dict[Verb, ConsentAnswer]:
        now = self._now()
        return {
            verb: item
            for verb, item in kept.items()
            if now < item.until and item.until - now <= self._longest[item.allowed]
        }

    def _write(self) -> None:
        # What the clock says is over stays in the file: a clock that is wrong for a day forgets nothing.
        ends = {
            origin: max(item.until for item in kept.values()) for origin, kept in self._kept.items() if kept
        }
        for origin in sorted(ends, key=ends.__getitem__, reverse=True)[ORIGINS_MAX:]:
            del self._kept[origin]
        content = msgspec.json.format(msgspec.json.encode(self._kept, order="sorted"), indent=2)
        write_private(self._path, content)
        self._stamped = self._stamp()

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116  (one call gives all three)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _refresh(self) -> None:
        try:
            stamp = self._stamp()
            if stamp == self._stamped:
                return
            self._stamped = stamp
            self._kept = {} if stamp is None else _decode(self._path.read_bytes())
        except (OSError, *UNREADABLE) as error:
            self._kept = {}
            self._set_aside(error)

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name(self._path.name + ".broken")
        try:
            self._path.replace(aside)
        except OSError as trouble:
            log.error(  # noqa: TRY400  (a full disk is no bug)
                "the file of answers cannot be read and cannot be set aside: %s: %s",
                self._path,
                trouble.strerror,
            )
            return
        self._stamped = None
        log.warning(
            "the file of answers was not understood (%s); it is now %s, sites are asked about again",
            error,
            aside,
        )


def _decode(content: bytes) -> _Document:
    document = msgspec.json.decode(content, type=_Document)
    for origin, kept in document.items():
        if not is_origin(origin):
            raise ValueError(f"{origin!r} is no origin")
        if any(item.until.tzinfo is None for item in kept.values()):
            raise ValueError("a time without its zone")
    return document
