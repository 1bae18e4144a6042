"""Modules in processes of their own, as tests use them without an agent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.desktop import converse, own_command
from agent.environment import Child
from hca_card.pkcs11 import messages
from hca_card.pkcs11.card import ModuleCard
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.session import TokenSession


@contextmanager
def running(path: Path | None, *, seconds: float = 30) -> Iterator[ModuleProcess]:
    """The module of that file."""
    assert path is not None
    process = ModuleProcess(
        path, lambda path: converse(own_command("module", path), Child.MODULE), seconds=seconds
    )
    try:
        yield process
    finally:
        process.end()


def slots(process: ModuleProcess) -> tuple[messages.Slot, ...]:
    """The slots with a token."""
    return process.ask(messages.Slots()).slots


@contextmanager
def visiting(process: ModuleProcess) -> Iterator[ModuleCard]:
    """The card in the first slot, for one visit."""
    first = slots(process)[0]
    with TokenSession(process, first.id, process.generation) as session:
        yield ModuleCard(session)
