"""The smart card service of this machine, or one that exists only in this process."""

from __future__ import annotations

from typing import Self

from pcsc.binding import system
from pcsc.context import Context
from pcsc.errors import ServiceUnavailableError
from pcsc.trace import Observe
from pcsc.winscard import Winscard


class Service:
    """Where contexts come from; cheap to make, and nothing is loaded or opened until `context`.

    Args:
        winscard: the functions to use; None for the system's own.
        observe: called with every exchange in a transaction, in the thread it is made in.
        only: what a reader's name must hold for its contexts to see it; None for all readers.
    """

    def __init__(
        self, winscard: Winscard | None, observe: Observe | None = None, only: str | None = None
    ) -> None:
        self._winscard = winscard
        self._observe = observe
        self._only = only

    @property
    def virtual(self) -> bool:
        """Whether its readers exist only in this process, and no other program can see them."""
        return bool(getattr(self._winscard, "virtual", False))

    @classmethod
    def system(cls) -> Self:
        """Return the system's own service, whether it is running or not."""
        return cls(None)

    def context(self) -> Context:
        """Return a new context, to be used by one thread and closed by it.

        Raises:
            ServiceUnavailableError: the service is not running, or this system has no PC/SC at all.
        """
        if self._winscard is None:
            try:
                self._winscard = system()
            except (ImportError, OSError) as trouble:
                raise ServiceUnavailableError(detail=f"PC/SC cannot be loaded: {trouble}") from trouble
        return Context(self._winscard, self._observe, self._only)
