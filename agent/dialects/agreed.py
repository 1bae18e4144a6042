"""Old pages where their PINs are not taken: what one PIN of the person is good for serves their signatures.

A page of these protocols opens and closes its session with the card for each signature, and some load a new
page or popup for each. So a signing session here belongs to the origin: it serves whatever the origin's pages
sign, and ends, besides its own limits, when none of them has signed for a while or the last one has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final
from weakref import WeakValueDictionary

from agent.operations import Caller, Operations, SigningSession
from hca_card.model import CardKind

IDLE_SECONDS: Final = 600.0
"""After which a page that has not signed again is taken for gone; nothing tells of it."""


class AgreedSessions:
    """The signing sessions of old pages.

    Args:
        operations: open them.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._open: dict[str | None, SigningSession] = {}
        self._turns = WeakValueDictionary[str | None, asyncio.Lock]()

    async def get(
        self, caller: Caller, reader: str | None, kinds: Collection[CardKind] = ()
    ) -> SigningSession:
        """Return the origin's session with the card in the reader, or a new one that the person agrees to.

        Raises:
            AgentError: as `Operations.open_session`.
        """
        origin = caller.origin
        turn = self._turns.setdefault(origin, asyncio.Lock())
        async with turn:  # two popups at once are asked about once
            session = self._open.get(origin)
            if session is None or session.ended or reader not in {None, session.card.reader}:
                session = await self._operations.open_session(caller, reader=reader, kinds=kinds)
                self._open = {of: each for of, each in self._open.items() if not each.ended}
                self._open[origin] = session
        session.let_go(IDLE_SECONDS)
        return session

    def left(self, origin: str) -> None:
        """Have the origin's session end in a minute: its last page has left, or is being loaded again."""
        session = self._open.get(origin)
        if session is not None and not session.ended:
            session.let_go()
