"""A real broker for each test, and no patience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.broker import connection, submit, worker
from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LISTEN_SECONDS", 0.5)
    monkeypatch.setattr(connection, "ACK_SECONDS", 1.0)
    monkeypatch.setattr(connection, "PAUSE", 0.1)
    monkeypatch.setattr(worker, "ACK_SECONDS", 1.0)
    monkeypatch.setattr(submit, "QUIET_SECONDS", 1.0)
    monkeypatch.setattr(submit, "ENDING_SECONDS", 0.3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as started:
        yield started
