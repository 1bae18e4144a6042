from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.config import Config
from agent.dialects.servisign import Limits, ServiSign
from tests.support.servisign_operations import FakeOperations
from tests.support.servisign_page import Page


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operations() -> FakeOperations:
    return FakeOperations()


@pytest.fixture
async def dialect(operations: FakeOperations, clock: Clock) -> AsyncIterator[ServiSign]:
    limits = Limits(per_origin=4, in_all=8, waiting=3)
    dialect = ServiSign(operations, Config(), limits=limits, clock=clock)  # type: ignore[arg-type]
    yield dialect
    dialect.close()


@pytest.fixture
async def page(dialect: ServiSign) -> Page:
    page = Page(dialect.handle)
    assert await page.echo() == "0"
    return page
