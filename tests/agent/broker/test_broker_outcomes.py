"""The journal of a worker, whatever the clock says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.broker import outcomes as module
from agent.broker.outcomes import Outcomes


def test_a_start_with_the_clock_ahead_forgets_nothing_that_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outcomes(tmp_path) as outcomes:
        outcomes.add("stored", "batch", b"one")
        outcomes.stored("stored")
        outcomes.add("waiting", "batch", b"two")
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 400 * 86_400)
    with Outcomes(tmp_path) as outcomes:
        assert outcomes.find("waiting") == b"two"
        assert outcomes._journal.rows("SELECT item FROM outcome") == [("waiting",)]
