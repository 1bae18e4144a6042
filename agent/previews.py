"""How documents look, for whoever is asked to sign them; each is drawn in a process of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from agent.document_processes import DocumentProcesses
from agent.environment import Child
from signing.preview import Preview
from signing.preview.child import ANSWER_MAX, DOCUMENT_MAX, decoded

log = logging.getLogger(__name__)

_SECONDS: Final = 10.0


class Previews:
    """Makes previews, a few at a time.

    Args:
        command: gives the words that start the process.
        seconds: how long one may take; the question is then shown without.
    """

    def __init__(
        self, command: Callable[[], Sequence[str]] | None = None, *, seconds: float = _SECONDS
    ) -> None:
        self._processes = DocumentProcesses(
            "preview", Child.DOCUMENT, seconds=seconds, answer_max=ANSWER_MAX, command=command
        )

    async def of(self, document: bytes) -> Preview:
        """Return how a document looks; nothing where that cannot be told in time."""
        if len(document) > DOCUMENT_MAX:
            return Preview()
        try:
            return decoded(await self._processes.ask(document))
        except (TimeoutError, OSError, ValueError) as error:
            log.warning("a document has no preview: %s", type(error).__name__)
            return Preview()
