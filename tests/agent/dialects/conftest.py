from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.config import Config
from agent.dialects.servisign import ServiSignDialect, SessionLimits
from tests.support.outside_world import outside_world
from tests.support.servisign_operations import FakeOperations
from tests.support.servisign_page import Page
from tests.support.servisign_shop import Shop
from tests.support.servisign_wire import Place, served
from tests.support.time_zone import in_taiwan


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
async def dialect(operations: FakeOperations, clock: Clock) -> AsyncIterator[ServiSignDialect]:
    limits = SessionLimits(per_origin=4, in_all=8, waiting=3)
    dialect = ServiSignDialect(operations, Config(), limits=limits, clock=clock)  # type: ignore[arg-type]
    yield dialect
    dialect.close()


@pytest.fixture
async def page(dialect: ServiSignDialect) -> Page:
    page = Page(dialect.handle)
    assert await page.echo() == "0"
    return page


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One agent for all tests of single methods: each has a session of its own in it."""
    with (
        outside_world(tmp_path_factory.mktemp("outside")) as outside,
        in_taiwan(),
        served(tmp_path_factory.mktemp("agent"), outside) as place,
    ):
        yield place


@pytest.fixture
def shop(place: Place, tmp_path: Path) -> Shop:
    if place.card.kind != "hpc" or place.card.pin_tries != 3:
        place.put("hpc")
    return Shop(place, tmp_path)
