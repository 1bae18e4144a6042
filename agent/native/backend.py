"""What stands behind the native API."""

from __future__ import annotations

from dataclasses import dataclass

from agent.operations import Operations
from agent.selftest.service import SelfTests


@dataclass(frozen=True, slots=True)
class Backend:
    """What the methods work with.

    Attributes:
        operations: the operations.
        selftests: runs self-tests.
        simulated: whether the cards are simulated ones, which a page must be able to tell.
    """

    operations: Operations
    selftests: SelfTests
    simulated: bool = False
