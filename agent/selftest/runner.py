"""Running probes: each isolated from the others, each row handed on at the moment it is finished."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, ErrorId, error_id, where
from agent.selftest.model import Bilingual, Finding, Probe, ResultRow, RowStatus, Trouble, row

if TYPE_CHECKING:
    from agent.selftest.context import ProbeContext

log = logging.getLogger(__name__)

LOSSES: Final = frozenset(
    (
        ErrorId.CARD_REMOVED,
        ErrorId.CARD_NONE,
        ErrorId.CARD_CHANGED,
        ErrorId.CARD_MUTE,
        ErrorId.READER_UNAVAILABLE,
        ErrorId.READER_NONE,
        ErrorId.READER_NAME,
        ErrorId.SERVICE_UNAVAILABLE,
        ErrorId.SERVICE_RESTARTED,
        ErrorId.SERVICE_ENDING,
        ErrorId.SERVICE_BUSY,
        ErrorId.SERVICE_DENIED,
        ErrorId.SERVICE_BINDING,
    )
)
"""After one of these in a row that uses the card, no later row that does could say anything new."""


_ANSWERS_BADLY: Final = frozenset(
    (
        ErrorId.CARD_MALFORMED,
        ErrorId.CARD_STATUS,
        ErrorId.CARD_COMMUNICATION,
        ErrorId.CERTIFICATE_MALFORMED,
    )
)
"""One cause: a card whose answers are damaged; which of them a row meets is chance."""


async def run(probes: Sequence[Probe], context: ProbeContext) -> AsyncGenerator[ResultRow, None]:
    """Yield the rows of `probes`, in their order, each as soon as it is finished.

    Whatever a probe raises becomes its own row and nothing else's. The context is closed at the end, also
    when the iteration is given up half way (use `contextlib.aclosing`).

    Args:
        probes: what to run; a probe comes after those it needs.
        context: what they work with.
    """
    finished: dict[str, ResultRow] = {}
    causes: dict[str, ResultRow] = {}
    failures: dict[str, ResultRow] = {}
    lost: ResultRow | None = None
    try:
        for probe in probes:
            cause = _missing(probe, finished, causes)
            if cause is None and probe.on_card:
                cause = lost
            if cause is None:
                done = await _one(probe, context)
            else:
                causes[probe.id] = cause
                done = row(probe, _not_run(cause), 0)
            if probe.on_card and done.status is RowStatus.FAIL and done.error is not None:
                cause_id = ErrorId.CARD_MALFORMED if done.error.id in _ANSWERS_BADLY else done.error.id
                done = replace(done, repeats=failures.get(cause_id))
                failures.setdefault(cause_id, done)
            finished[probe.id] = done
            if probe.on_card and done.error is not None and done.error.id in LOSSES and lost is None:
                lost = done
            yield done
    finally:
        context.close()


def _missing(probe: Probe, finished: dict[str, ResultRow], causes: dict[str, ResultRow]) -> ResultRow | None:
    """Return the row that keeps `probe` from running: one that failed, not one that was not run."""
    for name in probe.needs:
        needed = finished.get(name)
        if needed is not None and not needed.good:
            return causes.get(name, needed)
    return None


def _not_run(cause: ResultRow) -> Finding:
    name = cause.name
    return Finding(RowStatus.SKIP, Bilingual(f"因{name.zh}未通過而未執行", f"not run because of {name.en}"))


async def _one(probe: Probe, context: ProbeContext) -> ResultRow:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(probe.seconds):
            found = await probe.run(context)
    except TimeoutError:
        found = _failure(
            AgentError(ErrorId.CARD_TIMEOUT if probe.on_card else ErrorId.CHECK_TIMEOUT), context
        )
    except Exception as error:
        if error_id(error) == ErrorId.INTERNAL:
            log.warning("the probe %s failed: %s", probe.id, where(error))
        found = _failure(error, context)
    return row(probe, found, round((time.perf_counter() - began) * 1000))


def _failure(error: BaseException, context: ProbeContext) -> Finding:
    detail = ""
    if isinstance(error, AgentError) and error.error_id == ErrorId.CONFIG_INVALID:
        # Which file and which key: without it nobody could correct the configuration.
        detail = str(error.facts.get("detail", "")).replace(str(context.computer.home), "~")
    return Finding(RowStatus.FAIL, Bilingual(detail), trouble=Trouble.of(error))
