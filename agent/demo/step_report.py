"""How the demo reports its steps: one line for each, with a tick and the milliseconds it took."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.demo.page_client import RefusedError
from agent.terminal_text import hanging_words

if TYPE_CHECKING:
    from rich.console import Console


class StepFailedError(Exception):
    """A step saw something else than it must; the text says what."""


class StepReport:
    """The steps so far.

    Args:
        console: where they are printed.
        clock: seconds.

    Attributes:
        passed: how many passed.
        printed: the error of the last step, which has been printed.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.perf_counter) -> None:
        self._console = console
        self._clock = clock
        self.passed = 0
        self.printed: Exception | None = None

    @contextmanager
    def step(self, zh: str, en: str) -> Iterator[list[str]]:
        """Run the body as a step, and print it with the lines that the body appends; its error is raised."""
        notes: list[str] = []
        begun = self._clock()
        try:
            with self._console.status(f"{zh}  [dim]{en}[/dim]"):
                yield notes
        except Exception as error:
            self.printed = error
            raise
        else:
            self.passed += 1
            self.printed = None
        finally:
            self._print(zh, en, (self._clock() - begun) * 1000, notes)

    def _print(self, zh: str, en: str, milliseconds: float, notes: list[str]) -> None:
        from rich.markup import escape
        from rich.text import Text

        error = self.printed
        mark = "[bold red]✗[/bold red]" if error else "[bold green]✓[/bold green]"
        lines = [f"{mark} [cyan]{milliseconds:4.0f} ms[/cyan]  {zh}  [dim]{en}[/dim]"]
        lines += [f"           [dim]{escape(note)}[/dim]" for note in notes]
        if error is not None:
            lines.append(f"           [red]{escape(f'{type(error).__name__}: {error}')}[/red]")
        width = self._console.width if self._console.is_terminal else 0
        for line in lines:
            self._console.print(hanging_words(Text.from_markup(line), width), highlight=False, soft_wrap=True)


async def refused(work: Awaitable[object], error_id: str = "") -> RefusedError:
    """Return the refusal that `work` must end with.

    Raises:
        StepFailedError: if it ended otherwise.
    """
    try:
        result = await work
    except RefusedError as refusal:
        expect(error_id in ("", refusal.id), f"refused with {refusal}, not {error_id}")
        return refusal
    raise StepFailedError(f"it was not refused but answered {result!r}"[:200])


def expect(condition: bool, otherwise: str) -> None:
    """Fail the step unless `condition` holds.

    Raises:
        StepFailedError: with what was seen otherwise.
    """
    if not condition:
        raise StepFailedError(otherwise)
