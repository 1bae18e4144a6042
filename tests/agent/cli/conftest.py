"""The command line in a home of its own, with the keys of simulated cards that all test runs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.program import program
from agent.interaction.terminal import TerminalInteraction
from tests.support.cards import simulator_ca, simulator_folder

Invoke = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    simulator_ca()
    (folder / "simulator").symlink_to(simulator_folder())
    monkeypatch.setenv("HCA_AGENT_HOME", str(folder))
    return folder


@pytest.fixture
def invoke(home: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the program with these words; nobody sits at a terminal."""
    monkeypatch.setattr(TerminalInteraction, "open", classmethod(lambda cls: None))

    def run(*words: str | Path, input: str | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(program, [str(word) for word in words], input=input)

    return run
