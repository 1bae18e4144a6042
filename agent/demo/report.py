"""How the drive of the main job is told: one line for each step, with a tick and the milliseconds it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


class StepFailedError(Exception):
    """A step did not do what it must; the text says what was seen instead."""


@dataclass(slots=True)
class Step:
    """One step being taken.

    Attributes:
        zh: what is shown, Traditional Chinese.
        en: the same in English.
        notes: lines to be told below it.
    """

    zh: str
    en: str
    milliseconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell something below the step, such as the sentence that the person read."""
        self.notes.append(text)


class Report:
    """The steps so far. `with report.step(zh, en) as step:` times the block; an exception ends the drive.

    Args:
        console: where it is printed.
        clock: seconds.

    Attributes:
        passed: steps that passed.
        told: the error of the last step, which has been printed.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.perf_counter) -> None:
        self._console = console
        self._clock = clock
        self.passed = 0
        self.told: BaseException | None = None

    def step(self, zh: str, en: str) -> _Taking:
        """A step, as a context manager."""
        return _Taking(self, Step(zh, en))

    def spinner(self, step: Step) -> Status:
        """What moves while the step runs."""
        return self._console.status(f"{step.zh}  [dim]{step.en}[/dim]")

    def tell(self, step: Step, error: BaseException | None) -> None:
        """Print a step that has ended."""
        from rich.markup import escape

        mark = "[bold red]✗[/bold red]" if error else "[bold green]✓[/bold green]"
        self.passed += error is None
        self.told = error
        took = f"[cyan]{step.milliseconds:4.0f} ms[/cyan]"
        self._console.print(f"{mark} {took}  {step.zh}  [dim]{step.en}[/dim]", highlight=False)
        for note in step.notes:
            self._console.print(f"           [dim]{escape(note)}[/dim]", highlight=False)
        if error is not None:
            self._console.print(
                f"           [red]{escape(f'{type(error).__name__}: {error}')}[/red]", highlight=False
            )

    def now(self) -> float:
        """The clock, in seconds."""
        return self._clock()


class _Taking:
    def __init__(self, report: Report, step: Step) -> None:
        self._report = report
        self._step = step
        self._status = report.spinner(step)
        self._begun = 0.0

    def __enter__(self) -> Step:
        self._begun = self._report.now()
        self._status.start()
        return self._step

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
        self._step.milliseconds = (self._report.now() - self._begun) * 1000
        self._report.tell(self._step, error)
