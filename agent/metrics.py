"""Counters for monitoring, in the Prometheus text format (version 0.0.4): how much, never who.

No origin, name, card or reader is ever a label; every label's value is one of a few words of ours.
"""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import __version__
from agent.audit import OK
from agent.errors import ErrorId
from agent.operations.messages import Caller
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agent.operations import Operations
    from agent.operations.messages import ReaderView
    from agent.update.state import State

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

DIALECT: Final[ContextVar[str]] = ContextVar("dialect", default="agent")
"""In whose words the request under way came; `agent` is this program itself, from its tray for example."""

_MONITOR: Final = Caller(None, "monitor")
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
    update: State | None = None
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
        """Look for the readers before the watcher has told of any change."""
        try:
            self._readers = await self._operations.readers(_MONITOR)
        except Exception as error:
            log.info("the readers cannot be counted yet: %s", error)

    def _changed(self, readers: tuple[ReaderView, ...]) -> None:
        self._readers = readers


Sample = tuple[Mapping[str, str], float]


def exposition(counters: Counters, now: MetricsSnapshot) -> bytes:
    """Everything, as a scraper reads it."""
    counted = counters.operations.items()
    signatures: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for (dialect, verb, outcome), count in counted:
        if outcome == OK and verb in _SIGNATURES:
            signatures[dialect] += count
        if outcome == _WRONG_PIN:
            wrong[dialect] += count
    states = Counter(view.condition.value for view in now.readers)
    build = {"version": __version__, "python": platform.python_version(), "system": sys.platform}
    families = [
        _family("build_info", "gauge", "This program.", [(build, 1)]),
        _family("start_time_seconds", "gauge", "When it started, Unix time.", [({}, counters.started)]),
        _family(
            "http_requests_total",
            "counter",
            "HTTP requests answered, WebSocket upgrades included, by status.",
            [({"status": str(code)}, count) for code, count in counters.answers.items()],
        ),
        _family(
            "operations_total",
            "counter",
            "Work with cards that ended, by dialect, kind, and ok or the id of an error.",
            [({"dialect": name, "verb": verb, "outcome": out}, n) for (name, verb, out), n in counted],
        ),
        _family(
            "signatures_total", "counter", "Signatures made, logins included.", _by("dialect", signatures)
        ),
        _family("wrong_pins_total", "counter", "Wrong PINs.", _by("dialect", wrong)),
        _family(
            "refused_origins_total",
            "counter",
            "Requests of pages that were turned away.",
            [({}, counters.refused_origins)],
        ),
        _family("readers", "gauge", "Card readers, by state.", _by("state", states)),
        _family(
            "smart_card_service_up",
            "gauge",
            "Whether the smart card service answers.",
            [] if now.service_running is None else [({}, now.service_running)],
        ),
        _family(
            "tls_certificate_not_after_seconds",
            "gauge",
            "When the TLS certificate ends, Unix time.",
            [({}, now.certificate_ends.timestamp())],
        ),
        _family(
            "port_conflicts", "gauge", "Ports of ours that another program holds.", [({}, now.conflicts)]
        ),
        *_update(now),
    ]
    return "".join(families).encode()


def _update(now: MetricsSnapshot) -> Iterable[str]:
    if now.update is None:
        return
    yield _family(
        "update_check_time_seconds",
        "gauge",
        "When a newer version was last looked for, Unix time.",
        [({}, now.update.checked.timestamp())],
    )
    yield _family("update_available", "gauge", "Whether one is there.", [({}, now.update_newer)])
    yield _family("update_check_failed", "gauge", "Whether that failed.", [({}, bool(now.update.error))])


def _by(label: str, counted: Mapping[str, int]) -> list[Sample]:
    return [({label: name}, count) for name, count in counted.items()]


def _family(name: str, kind: str, told: str, samples: Iterable[Sample]) -> str:
    """One family; nothing where it has no sample yet."""
    full = f"hca_agent_{name}"
    lines = sorted(f"{full}{_labels(labels)} {_number(value)}" for labels, value in samples)
    return "\n".join((f"# HELP {full} {told}", f"# TYPE {full} {kind}", *lines, "")) if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
