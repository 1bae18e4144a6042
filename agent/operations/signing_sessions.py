"""Signing sessions: one PIN for as many signatures, by one card and for one caller, as the person agreed to.

session = await operations.open_session(caller, most=20)   # one PIN, in our own window
signed = await session.sign(form, document)                # each in a transaction of its own
session.end(SessionEnd.CLOSED)

A session signs documents with the signature key and does nothing else: no log-in token, no bare digest, no
decryption. The PIN is sent anew for each signature, so that the card never stays verified in between. With a
list of documents it signs these and no others, each once: that is a batch.

Several signatures may be under way at once: while one has the card, the next are prepared in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from agent.audit import OK, AuditRow
from agent.config import SessionSettings
from agent.errors import AgentError, ErrorId, error_id
from agent.interaction import CardShown, ItemShown, SessionTerms
from agent.operations.audit_trail import AuditTrail, rows_heard
from agent.operations.documents import digest_of
from agent.operations.messages import Caller, SignedDocument, SignResult
from agent.pins.kept import KeptPin
from agent.places import Place, Places, Ranking
from agent.vocabulary import SessionEnd
from hca_card.model import KeyUse
from signing.cms.build import CmsForm
from signing.formats import Form, Level
from signing.hashes import Hash

_SECONDS: Final = 30 * 60
_GRACE_SECONDS: Final = 60.0
"""A page that is loaded again finds its session."""
_OPEN_MAX: Final = 32
_OPEN_OF_STRANGERS_MAX: Final = 8
_OPEN_OF_ONE_MAX: Final = 8
_ENDED_MAX: Final = 256


class Signs(Protocol):
    """What makes the signatures: the operations."""

    async def sign(
        self,
        caller: Caller,
        hash: Hash,  # noqa: A002  (the protocol's own word)
        *,
        document: bytes | None = None,
        kept: KeptPin | None = None,
        name: str = "",
        cms: CmsForm | None = None,
        allow_sha1: bool = False,
        rsa: bool = False,
    ) -> SignResult:
        """As `Operations.sign`."""
        ...

    async def sign_document(
        self,
        caller: Caller,
        form: Form,
        document: bytes,
        *,
        hash: Hash = Hash.SHA_256,  # noqa: A002  (the protocol's own word)
        level: Level = Level.B_B,
        kept: KeptPin | None = None,
        name: str = "",
    ) -> SignedDocument:
        """As `Operations.sign_document`."""
        ...


class SigningSession:
    """One PIN, to be used by one caller.

    Args:
        operations: what signs.
        caller: who opened it, and holds it.
        terms: what the person agrees to.
        sessions: where it is known.

    Attributes:
        id: what its caller shows to use it: 256 random bits. It is never written anywhere.
        number: what it is called in the audit log and the tray.
        origin: whose it is; None for this person's own program.
        owner: who keeps the PIN.
        terms: what the person agreed to.
        ended: why it ended; None as long as it is open.
        holder: whose connection has it; None while the page is being loaded again.
    """

    card: CardShown
    """The card, once it is open."""

    def __init__(
        self, operations: Signs, caller: Caller, terms: SessionTerms, sessions: SigningSessions
    ) -> None:
        self.id: Final = secrets.token_urlsafe(32)
        self.number: Final = terms.number
        self.origin: Final = caller.origin
        self.owner: Final = Caller(caller.origin, terms.number)
        self.terms: Final = terms
        self.holder: Caller | None = caller
        self._operations = operations
        self._sessions = sessions
        self._kept: KeptPin | None = None
        self._listed = Counter(item.digest for item in terms.items)
        self._left = terms.most
        self._under_way = 0
        self._listeners: list[Callable[[SessionEnd], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None

    def begin(self, kept: KeptPin, card: CardShown) -> None:
        """Open it with the PIN that the person typed."""
        self._loop = asyncio.get_running_loop()
        self._began = sessions_clock()
        self.card = card
        self._kept = kept
        kept.number = self.number
        kept.on_end = self._pin_ended
        self._timer = self._loop.call_later(self.terms.seconds, self.end, SessionEnd.TIME)
        self._sessions.opened(self)
        if kept.ended is not None:  # in the moment before anybody listened
            self._finish()

    @property
    def ended(self) -> SessionEnd | None:
        """Why it ended; None as long as it is open."""
        return None if self._kept is None else self._kept.ended

    @property
    def certificate(self) -> bytes:
        """The certificate of its signatures, DER."""
        return b"" if self._kept is None else self._kept.certificates[KeyUse.SIGNATURE]

    @property
    def left(self) -> int:
        """How many signatures can still be made."""
        return 0 if self.ended else self._left

    @property
    def seconds_left(self) -> float:
        """For how long, in seconds; 0 once it has ended.

        Going by whichever clock ran further: one stands still while the computer sleeps, the other is set.
        """
        if self._kept is None or self.ended is not None:
            return 0.0
        elapsed = max(now - began for began, now in zip(self._began, sessions_clock(), strict=True))
        return max(0.0, self.terms.seconds - elapsed)

    def on_end(self, listener: Callable[[SessionEnd], None]) -> None:
        """Call `listener` once with the reason, on the event loop, when it ends."""
        self._listeners.append(listener)

    async def sign(
        self,
        form: Form,
        document: bytes,
        *,
        hash: Hash = Hash.SHA_256,  # noqa: A002  (the protocol's own word)
        level: Level = Level.B_B,
        name: str = "",
    ) -> SignedDocument:
        """Return the document signed; see `Operations.sign_document`.

        Raises:
            AgentError: signing_session.ended, document.not_listed; as `Operations.sign_document`.
        """
        with self._one(await self._digest(document)) as kept:
            return await self._operations.sign_document(
                self.owner, form, document, hash=hash, level=level, kept=kept, name=name
            )

    async def sign_value(
        self,
        document: bytes,
        *,
        hash: Hash = Hash.SHA_256,  # noqa: A002  (the protocol's own word)
        cms: CmsForm | None = None,
        name: str = "",
        allow_sha1: bool = False,
        rsa: bool = False,
    ) -> SignResult:
        """Return a signature value over a document, or plain CMS; see `Operations.sign`.

        Raises:
            AgentError: signing_session.ended, document.not_listed; as `Operations.sign`.
        """
        with self._one(await self._digest(document)) as kept:
            return await self._operations.sign(
                self.owner,
                hash,
                document=document,
                kept=kept,
                name=name,
                cms=cms,
                allow_sha1=allow_sha1,
                rsa=rsa,
            )

    def hold(self, caller: Caller) -> None:
        """Give it to the caller's connection, unless another one has it.

        Raises:
            AgentError: signing_session.elsewhere.
        """
        if self.holder is None:
            self.holder = caller
            if self._grace is not None:
                self._grace.cancel()
        elif self.holder is not caller:
            raise AgentError(ErrorId.SIGNING_SESSION_ELSEWHERE)

    def let_go(self, seconds: float | None = None) -> None:
        """Wait for the page to come back, a minute where nothing else is said, then end."""
        self.holder = None
        if self._grace is not None:
            self._grace.cancel()
        wait = _GRACE_SECONDS if seconds is None else seconds
        self._grace = self._loop.call_later(wait, self.end, SessionEnd.GONE)

    def end(self, why: SessionEnd) -> None:
        """Forget the PIN; safe to call twice. What the card is at work on already comes to its end."""
        if self._kept is not None:
            self._kept.wipe(why)

    async def _digest(self, document: bytes) -> bytes:
        """Return what the document is listed by; empty where there is no list."""
        return await digest_of(document, Hash.SHA_256) if self.terms.items else b""

    @contextmanager
    def _one(self, digest: bytes) -> Iterator[KeptPin]:
        """Take one signature of those left, and give it back where none was made."""
        kept = self._kept
        if not self.seconds_left:
            self.end(SessionEnd.TIME)
        if kept is None or self.ended is not None or not self._left:
            raise AgentError(ErrorId.SIGNING_SESSION_ENDED)
        if self.terms.items and not self._listed[digest]:
            raise AgentError(ErrorId.DOCUMENT_NOT_LISTED)
        self._take(digest, -1)
        self._under_way += 1
        rows: Sequence[AuditRow] = ()
        try:
            with rows_heard() as rows:
                yield kept
        except Exception as error:
            # Not where the card has signed and something failed after that, such as a stamp not to be had.
            if not any(row.result == OK for row in rows):
                self._take(digest, +1)
            if error_id(error) == ErrorId.PIN_NOT_KEPT:
                raise AgentError(ErrorId.SIGNING_SESSION_ENDED) from error
            raise
        finally:
            self._under_way -= 1
            if not self._left and not self._under_way:
                self.end(SessionEnd.USED_UP)
            self._sessions.changed()

    def _take(self, digest: bytes, count: int) -> None:
        self._left += count
        if digest:
            self._listed[digest] += count

    def _pin_ended(self) -> None:
        """Hear of the end of the PIN, in any thread."""
        with suppress(RuntimeError):  # the event loop is over, and so is everybody who listens
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        for timer in (self._timer, self._grace):
            if timer is not None:
                timer.cancel()
        if self.ended is not None and self._sessions.closed(self, self.ended):
            for listener in self._listeners:
                listener(self.ended)


def sessions_clock() -> tuple[float, float]:
    """Return the clock that only grows and the one on the wall, in seconds."""
    return time.monotonic(), time.time()


class SigningSessions:
    """The sessions that are open, by what their callers show.

    Args:
        settings: the administrator's limits.
        audit: where each end is written down.
        rank: tells who is a stranger.
    """

    def __init__(self, settings: SessionSettings, audit: AuditTrail, rank: Ranking) -> None:
        self._settings = settings
        self._audit = audit
        self._places = Places(rank, total=_OPEN_MAX, strangers=_OPEN_OF_STRANGERS_MAX, each=_OPEN_OF_ONE_MAX)
        self._taken: dict[bytes, Place] = {}
        self._open: dict[bytes, SigningSession] = {}
        self._ended: dict[bytes, str | None] = {}
        self._listeners: list[Callable[[], None]] = []

    @property
    def open(self) -> tuple[SigningSession, ...]:
        """Those that are open, the oldest first."""
        return tuple(self._open.values())

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the event loop at each opening, signature and end; the result stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def terms(self, most: int | None, seconds: int | None, items: Sequence[ItemShown]) -> SessionTerms:
        """Return the terms of a new session, as far as the administrator allows them.

        Raises:
            AgentError: signing_session.disabled, signing_session.limit.
        """
        settings = self._settings
        longest, number = settings.minutes * 60, secrets.token_hex(4)
        if not settings.enabled:
            raise AgentError(ErrorId.SIGNING_SESSION_DISABLED)
        if items:
            terms = SessionTerms(number, len(items), longest if seconds is None else seconds, tuple(items))
            if len(items) > settings.items or most not in {None, len(items)}:
                raise AgentError(ErrorId.SIGNING_SESSION_LIMIT)
        else:
            usual = min(_SECONDS, longest)
            terms = SessionTerms(
                number,
                settings.signatures if most is None else most,
                usual if seconds is None else seconds,
            )
            if not 0 < terms.most <= settings.signatures:
                raise AgentError(ErrorId.SIGNING_SESSION_LIMIT)
        if not 0 < terms.seconds <= longest:
            raise AgentError(ErrorId.SIGNING_SESSION_LIMIT)
        return terms

    @contextmanager
    def place_for(self, session: SigningSession) -> Iterator[None]:
        """Keep a place while the person is asked, and then until the session ends.

        Raises:
            AgentError: busy: too many are open already.
        """
        key = _key(session.id)
        self._taken[key] = self._places.take(session.origin)
        try:
            yield
        finally:
            if key not in self._open:
                self._leave_place(key)

    def find(self, caller: Caller, shown: str) -> SigningSession:
        """Return the session whose id is shown, for the one connection that has it.

        A page that was loaded again takes its session over from the connection that is gone.

        Raises:
            AgentError: signing_session.unknown: there is none such, or it is another origin's;
                signing_session.ended; signing_session.elsewhere: another connection of this origin has it.
        """
        key = _key(shown)
        session = self._open.get(key)
        if session is None or session.origin != caller.origin:
            if session is None and key in self._ended and self._ended[key] == caller.origin:
                raise AgentError(ErrorId.SIGNING_SESSION_ENDED)
            raise AgentError(ErrorId.SIGNING_SESSION_UNKNOWN)
        session.hold(caller)
        return session

    def leave(self, caller: Caller) -> None:
        """Have the caller's sessions end in a minute, unless its page is back by then."""
        for session in self.open:
            if session.holder is caller:
                session.let_go()

    def apply(self, settings: SessionSettings) -> None:
        """Take the administrator's new limits, and end what they do not allow any more."""
        self._settings = settings
        for session in self.open:
            self._end_beyond_limits(session)

    def _end_beyond_limits(self, session: SigningSession) -> None:
        settings, terms = self._settings, session.terms
        most = settings.items if terms.items else settings.signatures
        if not settings.enabled or terms.most > most or terms.seconds > settings.minutes * 60:
            session.end(SessionEnd.POLICY)

    def stop(self, number: str) -> None:
        """End the session of that number, as the person wants it; one that has ended stays as it is."""
        for session in self.open:
            if session.number == number:
                session.end(SessionEnd.STOPPED)

    def opened(self, session: SigningSession) -> None:
        """Know a session from now on."""
        self._open[_key(session.id)] = session
        self._end_beyond_limits(session)  # they may be other ones than when the person was asked
        self.changed()

    def closed(self, session: SigningSession, why: SessionEnd) -> bool:
        """Forget a session and write its end down; False where that was done before."""
        key = _key(session.id)
        if self._open.pop(key, None) is None:
            return False
        self._leave_place(key)
        while len(self._ended) >= _ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[key] = session.origin
        self._audit.session_ended(session.origin, session.card, session.number, why)
        self.changed()
        return True

    def _leave_place(self, key: bytes) -> None:
        place = self._taken.pop(key, None)
        if place is not None:
            self._places.give_back(place)

    def changed(self) -> None:
        """Tell whoever listens."""
        for listener in tuple(self._listeners):
            listener()


def _key(shown: str) -> bytes:
    """Return what a session is found by: nothing that takes longer the nearer a guess is."""
    return hashlib.sha256(shown.encode(errors="replace")).digest()
