"""What a step must see: a fact, or a refusal."""

from __future__ import annotations

from typing import Any

from agent.demo.page import RefusedError
from agent.demo.report import StepFailedError


async def refused(work: Any, error_id: str = "") -> RefusedError:
    """The refusal that `work` must end with.

    Raises:
        StepFailedError: it ended otherwise.
    """
    try:
        result = await work
    except RefusedError as refusal:
        expect(error_id in ("", refusal.id), f"refused with {refusal}, not {error_id}")
        return refusal
    raise StepFailedError(f"it was not refused but answered {result!r}"[:200])


def expect(held: bool, otherwise: str) -> None:
    """Fail the step unless `held`.

    Raises:
        StepFailedError: with what was seen otherwise.
    """
    if not held:
        raise StepFailedError(otherwise)
