"""Sessions of pages: who may use which, for how long, and how many there can be.

A session belongs to one origin; its id is a secret of that origin's pages. Its calls run one after another,
and it can be released while one of them is running.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.codes import BUSY, UNKNOWN_SESSION, FrameworkError
from agent.dialects.servisign.framing import PageRequest
from agent.dialects.servisign.heartbeats import Heartbeats
from agent.dialects.servisign.open_objects import OpenObjects
from agent.errors import AgentError
from agent.operations import Caller
from agent.places import Place, Places, Ranking

if TYPE_CHECKING:
    from signing.revocation import OcspAnswer

ID_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long and how many.

    Attributes:
        session_idle_s: a session that no call has used for so many seconds ends. Hospital pages open one
            when they load and sign hours later; a session without a PIN is harmless and small.
        pin_idle_s: a PIN that no call has used for so many seconds is wiped; the next signature asks for it
            in this program's own window.
        per_origin: sessions of one origin; another Echo ends the longest unused one in which nothing is
            open, else the longest unused one.
        in_all: sessions of all origins together; another Echo ends the longest unused one in which nothing
            is open, of a stranger if there is one, and is refused as busy where there is none.
        strangers: sessions of all origins together that nobody has allowed anything.
        waiting: calls of one session that may wait for their turn.
        beat_s: how long a request marked KeepAlive waits before it is answered `heartbeat`.
        patience_s: how long such a call goes on while its page does not ask for it.
    """

    session_idle_s: float = 8 * 3600
    pin_idle_s: float = 600
    per_origin: int = 32
    in_all: int = 256
    strangers: int = 64
    waiting: int = 16
    beat_s: float = 1.0
    patience_s: float = 5.0


@dataclass(slots=True, eq=False)
class PageSession:
    """What one adapter object of a page (or, in tab mode 1, one browser) has opened.

    Attributes:
        last_error: what GetErrorCode answers: the code of the last library call, 0 after a good one.
        tabs: tab mode 1: adapter objects that share the session.
        closed: released or expired; whatever still runs must leave nothing behind.
        loaded_certificate: DER, set by HCA_LoadCert.
        last_crl: DER, the one the last CRL function was given.
        ocsp_answer: what the last OCSP query brought; None before, and after one that failed.
        heartbeats: its calls that outlive their requests.
        caller: who asks the operations for it.
        leave: ends it, where its place is given to another.
    """

    origin: str
    id: str
    touched: float
    heartbeats: Heartbeats
    leave: Callable[[PageSession], None]
    last_error: int = 0
    tabs: int = 1
    waiting: int = 0
    closed: bool = False
    loaded_certificate: bytes = b""
    last_crl: bytes = b""
    ocsp_answer: OcspAnswer | None = None
    objects: OpenObjects = field(default_factory=OpenObjects)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    caller: Caller = field(init=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.origin, self.id)

    @property
    def idle(self) -> bool:
        """Whether nothing is open in it and no call runs."""
        return not self.waiting and not len(self.objects)

    def give_way(self) -> None:
        """End."""
        self.leave(self)

    def clear_if_closed(self) -> None:
        """Forget a PIN that a call kept after its page had left."""
        if self.closed:
            self.close()

    def close(self) -> None:
        """Forget everything, PINs first; safe to call twice."""
        self.closed = True
        self.objects.clear()
        self.loaded_certificate = self.last_crl = b""
        self.ocsp_answer = None


class PageSessions:
    """All sessions, found by origin and id together: another origin's id finds nothing."""

    def __init__(
        self, limits: SessionLimits, rank: Ranking, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._places = Places(rank, total=limits.in_all, strangers=limits.strangers, renew=True)
        self._sessions: dict[tuple[str, str], PageSession] = {}
        self.last_left: Callable[[str], None] = lambda _origin: None
        """Called with an origin when its last session has ended."""
        self._place_of: dict[PageSession, Place] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, origin: str, request: PageRequest) -> PageSession:
        """Return the session an Echo opens: a new one, or in tab mode 1 the one its browser has already.

        Raises:
            FrameworkError: 61010, there are too many.
        """
        self.expire()
        if request.per_browser:
            session = self._sessions.get((origin, _browser(request)))
            if session is not None:
                session.tabs += 1
                self._touch(session)
                return session
            return self._add(origin, _browser(request))
        return self._add(origin, secrets.token_urlsafe(ID_BYTES))

    def find(self, origin: str, request: PageRequest) -> PageSession:
        """Return the session of a call.

        In tab mode 1 the id is no secret, so a browser's session that has expired comes back empty.

        Raises:
            FrameworkError: 61012, none of this origin; 61010, too many.
        """
        self.expire()
        session = self._sessions.get((origin, _session_id(request)))
        if session is not None:
            self._touch(session)
            return session
        if not request.per_browser:
            raise FrameworkError(UNKNOWN_SESSION)
        return self._add(origin, _browser(request))

    def named_by(self, origin: str, request: PageRequest | None) -> tuple[PageSession, ...]:
        """Return the session of a call, if any; of a call that could not be read, all of its origin."""
        if request is None:
            return tuple(session for session in self._sessions.values() if session.origin == origin)
        found = self._sessions.get((origin, _session_id(request)))
        return () if found is None else (found,)

    def release(self, origin: str, request: PageRequest, *, force: bool) -> None:
        """End a session, or in tab mode 1 one tab's part in it; what is not there is released already."""
        session = self._sessions.get((origin, _session_id(request)))
        if session is None:
            return
        session.tabs -= 1
        if force or session.tabs <= 0:
            self._remove(session)

    async def in_turn(self, session: PageSession, work: Callable[[], Awaitable[str]]) -> str:
        """Do `work` once the session's earlier calls are done, and return its result.

        Raises:
            FrameworkError: 61010, too many wait; 61012, the session ended meanwhile.
        """
        if session.waiting >= self._limits.waiting:
            raise FrameworkError(BUSY)
        session.waiting += 1
        try:
            async with session.lock:
                if session.closed:
                    raise FrameworkError(UNKNOWN_SESSION)
                try:
                    return await work()
                finally:
                    session.touched = self._clock()
                    session.clear_if_closed()
        finally:
            session.waiting -= 1

    def expire(self) -> None:
        """End what has been idle too long; wipe PINs, and what was read of cards, sooner."""
        now = self._clock()
        for session in tuple(self._sessions.values()):
            idle = now - session.touched
            if session.waiting:
                continue
            if idle > self._limits.session_idle_s:
                self._remove(session)
            elif idle > self._limits.pin_idle_s:
                session.objects.forget()
                session.last_crl = b""

    def close(self) -> None:
        """End all sessions."""
        for session in tuple(self._sessions.values()):
            self._remove(session)

    def _add(self, origin: str, session_id: str) -> PageSession:
        own = [session for session in self._sessions.values() if session.origin == origin]
        if len(own) >= self._limits.per_origin:
            idle = [session for session in own if not session.waiting]
            if not idle:
                raise FrameworkError(BUSY)
            # A page that makes a session for each click must not end the one its other tab works with.
            self._remove(min(idle, key=lambda session: (not session.idle, session.touched)))
        heartbeats = Heartbeats(self._limits.beat_s, self._limits.patience_s)
        session = PageSession(origin, session_id, self._clock(), heartbeats, self._remove)
        try:
            self._place_of[session] = self._places.take(origin, holder=session)
        except AgentError:
            raise FrameworkError(BUSY) from None
        self._sessions[origin, session_id] = session
        return session

    def _touch(self, session: PageSession) -> None:
        session.touched = self._clock()
        if session in self._place_of:
            self._places.used(self._place_of[session])

    def _remove(self, session: PageSession) -> None:
        if session in self._place_of:
            self._places.give_back(self._place_of.pop(session))
        self._sessions.pop((session.origin, session.id), None)
        session.close()
        session.heartbeats.close()
        if not any(other.origin == session.origin for other in self._sessions.values()):
            self.last_left(session.origin)


def _session_id(request: PageRequest) -> str:
    return _browser(request) if request.per_browser else request.session_id


def _browser(request: PageRequest) -> str:
    # The adapter sends the browser's name as the session id; its Echo may still have none.
    return request.session_id or request.browser
