"""Counters for monitoring, in the Prometheus text format (version 0.0.4): how much, never who.

No origin, name, card or reader is ever a label; every label's value is one of a few words of ours.
"""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import __version__
from agent.audit import OK
from agent.errors import ErrorId
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agent.operations import Operations
    from agent.operations.messages import ReaderView
    from agent.update.state import LastCheck

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

DIALECT: Final[ContextVar[str]] = ContextVar("dialect", default="agent")
"""In whose words the request under way came; `agent` is this program itself, from its tray for example."""

_SIGNATURES: Final = (Verb.LOGIN, Verb.SIGN)
_WRONG_PIN: Final = ErrorId.PIN_WRONG


class Counters:
    """What was counted since the start; every method is called on the event loop."""

    def __init__(self) -> None:
        self.started = time.time()
        self.answers: Counter[int] = Counter()
        self.operations: Counter[tuple[str, str, str]] = Counter()
        self.refused_origins = 0

    def answered(self, status: int) -> None:
        """Count a request that was answered with this HTTP status."""
        self.answers[status] += 1

    def operated(self, verb: Verb, outcome: str) -> None:
        """Work ended: `ok` or the stable id of an error."""
        self.operations[DIALECT.get(), verb.value, outcome] += 1

    def refused(self) -> None:
        """Count an origin that was turned away."""
        self.refused_origins += 1


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """How things stand at the moment that somebody asks.

    Attributes:
        readers: as last seen.
        service_running: whether the smart card service answers; None until it was looked for.
        certificate_ends: when the TLS certificate ends, aware.
        conflicts: ports of ours that another program holds.
        update: the last update check; None where there was none.
        update_newer: whether it offered something newer.
    """

    readers: Sequence[ReaderView]
    service_running: bool | None
    certificate_ends: datetime
    conflicts: int
    update: LastCheck | None = None
    update_newer: bool = False


class Monitor:
    """Counts what operations do, and keeps at hand what a scraper asks for.

    Args:
        operations: started.
        update: the folder of what is known about newer versions.
    """

    def __init__(self, operations: Operations, update: Path) -> None:
        self.counters = Counters()
        self._operations = operations
        self._update = update
        self._readers: Sequence[ReaderView] | None = None
        operations.on_outcome(self.counters.operated)
        self._end: Callable[[], None] = operations.on_change(self._changed)

    def close(self) -> None:
        """Hear of readers no more."""
        self._end()

    async def page(self, certificate_ends: datetime, conflicts: int) -> bytes:
        """Return what is served; no card is sent a command for it."""
        from agent.update.release import Release, is_newer
        from agent.update.state import read

        if self._readers is None and self._operations.activity.service_running is not False:
            await self._look_once()
        last = read(self._update)
        now = MetricsSnapshot(
            self._readers or (),
            self._operations.activity.service_running,
            certificate_ends,
            conflicts,
            last,
            update_newer=last is not None and is_newer(Release(last.version, {}), __version__),
        )
        return exposition(self.counters, now)

    async def _look_once(self) -> None:
        """Look for the readers before the watcher has reported any change."""
        from agent.operations.messages import Caller

        try:
            self._readers = await self._operations.readers(Caller(None, "monitor"))
        except Exception as error:
            log.info("the readers cannot be counted yet: %s", error)

    def _changed(self, readers: tuple[ReaderView, ...]) -> None:
        self._readers = readers


Samples = Iterable[tuple[Mapping[str, str], float]]


def exposition(counters: Counters, now: MetricsSnapshot) -> bytes:
    """Write everything as a scraper reads it."""
    return "".join(_family(*each) for each in _families(counters, now)).encode()


def _families(counters: Counters, now: MetricsSnapshot) -> Iterator[tuple[str, str, Samples]]:
    """Yield each family's name, what it is, and its samples; a counter's name ends in `_total`."""
    counted = counters.operations.items()
    signatures: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for (dialect, verb, outcome), count in counted:
        if outcome == OK and verb in _SIGNATURES:
            signatures[dialect] += count
        if outcome == _WRONG_PIN:
            wrong[dialect] += count
    operations = [({"dialect": name, "verb": verb, "outcome": out}, n) for (name, verb, out), n in counted]
    states = Counter(view.condition.value for view in now.readers)
    build = {"version": __version__, "python": platform.python_version(), "system": sys.platform}
    service = now.service_running
    yield "build_info", "This program.", [(build, 1)]
    yield "start_time_seconds", "When it started, Unix time.", _one(counters.started)
    answers = {str(status): count for status, count in counters.answers.items()}
    yield (
        "http_requests_total",
        "HTTP requests answered, WebSocket upgrades included, by status.",
        _by("status", answers),
    )
    yield (
        "operations_total",
        "Work with cards that ended, by dialect, kind, and ok or the id of an error.",
        operations,
    )
    yield "signatures_total", "Signatures made, logins included.", _by("dialect", signatures)
    yield "wrong_pins_total", "Wrong PINs.", _by("dialect", wrong)
    yield "refused_origins_total", "Requests of pages that were turned away.", _one(counters.refused_origins)
    yield "readers", "Card readers, by state.", _by("state", states)
    if service is not None:
        yield "smart_card_service_up", "Whether the smart card service answers.", _one(service)
    ends = now.certificate_ends.timestamp()
    yield "tls_certificate_not_after_seconds", "When the TLS certificate ends, Unix time.", _one(ends)
    yield "port_conflicts", "Ports of ours that another program holds.", _one(now.conflicts)
    if now.update is not None:
        checked = now.update.checked.timestamp()
        yield (
            "update_check_time_seconds",
            "When a newer version was last looked for, Unix time.",
            _one(checked),
        )
        yield "update_available", "Whether one is there.", _one(now.update_newer)
        yield "update_check_failed", "Whether that failed.", _one(bool(now.update.error))


def _one(value: float) -> Samples:
    return [({}, value)]


def _by(label: str, counted: Mapping[str, int]) -> Samples:
    return [({label: name}, count) for name, count in counted.items()]


def _family(name: str, about: str, samples: Samples) -> str:
    """Return the lines of one family; none where it has no sample yet."""
    full, kind = f"hca_agent_{name}", "counter" if name.endswith("_total") else "gauge"
    lines = sorted(f"{full}{_labels(labels)} {_number(value)}" for labels, value in samples)
    return "\n".join((f"# HELP {full} {about}", f"# TYPE {full} {kind}", *lines, "")) if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
