"""Whose process is at the other end of a connection: loopback is open to every user of this machine.

Each system is asked in its own way, behind one function: `Lookup`. A system that cannot even tell that a
connection of this very process is this user's is not asked again: then origin and token alone decide, and
the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

from agent.processes import Address, connected, user_of
from agent.server import peer_linux

log = logging.getLogger(__name__)

Lookup = Callable[[Address, Address], bool]
"""Whether the socket bound to the first address and connected to the second is this user's.

Raises:
    OSError: the system knows no such socket, or does not tell.
"""


class Peers:
    """Who is at the other end.

    Args:
        lookup: how this system is asked; None admits everybody.
    """

    def __init__(self, lookup: Lookup | None) -> None:
        self._lookup = lookup

    async def ours(self, peer: Address, here: Address) -> bool:
        """Return whether the process that connected from `peer` to `here` is this user's; unknown is no."""
        if self._lookup is None:
            return True
        try:
            if self._lookup in _AT_ONCE:
                return self._lookup(peer[:2], here[:2])
            return await asyncio.to_thread(self._lookup, peer[:2], here[:2])
        except (OSError, ValueError) as error:
            log.info("a connection has no owner: %s", error)
            return False


def system() -> Peers:
    """Return this system's way, tried on a connection of our own first; blocks for some milliseconds."""
    for lookup in _LOOKUPS.get(sys.platform, ()):
        try:
            if _knows_ourselves(lookup):
                return Peers(lookup)
        except (OSError, ValueError) as error:
            log.info("%s does not tell whose a connection is: %s", lookup.__name__, error)
    log.warning("this system does not tell whose a connection is; other users of it are not told apart")
    return Peers(None)


def _knows_ourselves(lookup: Lookup) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()
        with socket.create_connection(here) as client:
            return lookup(client.getsockname(), here)


def by_process(peer: Address, here: Address) -> bool:
    """Find the process that holds the socket, and compare its user with ours."""
    pid = connected(peer, here)
    if sys.platform == "win32":
        from agent.win32.users import sid_of

        return sid_of(pid) == sid_of()
    return user_of(pid) == os.getuid()


_AT_ONCE: Final = frozenset((peer_linux.by_sock_diag,))
"""Ways that answer sooner than a thread could begin."""
_LOOKUPS: Final[dict[str, tuple[Lookup, ...]]] = {
    "linux": (peer_linux.by_sock_diag, peer_linux.by_table),
    "darwin": (by_process,),
    "win32": (by_process,),
}
