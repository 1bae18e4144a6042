"""Help in columns as a terminal counts them: two for each Chinese character, where click counts one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import click

from agent.terminal_text import hanging, width_of

_GAP: Final = 2


class HelpPage(click.HelpFormatter):
    """What click calls to write a page of help."""

    def write_text(self, text: str) -> None:
        """Write paragraphs, whose own line breaks are the source's and mean nothing."""
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                self.write_paragraph()
            line = " " * self.current_indent + " ".join(paragraph.split())
            self.write(hanging(line, self.width, self.current_indent) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = _GAP) -> None:
        """Write terms and what each means beside it, or below one that is too long."""
        rows = list(rows)
        widest = max((width_of(term) for term, _ in rows), default=0)
        column = self.current_indent + min(widest, col_max) + col_spacing
        for term, meaning in rows:
            lead = " " * self.current_indent + term
            if width_of(lead) + col_spacing > column:
                self.write(lead + "\n")
                lead = ""
            line = lead + " " * (column - width_of(lead)) + meaning
            self.write(hanging(line, self.width, column).rstrip() + "\n")
