"""Sessions of the demo portal: all server-side state, bounded in number and in time."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.demo import captcha
from agent.demo.application_form import SignedApplication, SupportApplication
from agent.demo.errors import PortalError
from agent.demo.people import Account, CardRead, SignedIn

SESSION_SECONDS = 20 * 60.0
NONCE_SECONDS = 3 * 60.0
SESSIONS_MAX = 512


@dataclass(frozen=True, slots=True)
class OneTimeValue:
    """A nonce or the answer to a captcha: good once, and until `expires` (monotonic seconds)."""

    value: str = field(repr=False)
    expires: float


@dataclass(slots=True)
class PortalSession:
    """What the server knows of one browser.

    Attributes:
        key: the secret in the session cookie.
        csrf: the secret that the site's own page sends with each request that changes something.
        nonce: the one that is out, base64 of 256 random bits; asking for another replaces it.
        captcha: the answer to the question that is out; asking for another replaces it.
        account: whose account and password were right; the card is still to come.
        card_read: whose NHI card was read; the password is still to come.
        pending: the application shown to the person, waiting for its signature.
        receipt: the last application that was signed.
    """

    key: str
    csrf: str
    expires: float
    nonce: OneTimeValue | None = None
    captcha: OneTimeValue | None = None
    account: Account | None = None
    card_read: CardRead | None = None
    signed_in: SignedIn | None = None
    pending: SupportApplication | None = None
    receipt: SignedApplication | None = None


class PortalSessions:
    """The sessions, least recently used first; `clock` is monotonic seconds."""

    def __init__(self, *, most: int = SESSIONS_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._sessions: OrderedDict[str, PortalSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self) -> PortalSession:
        """Return a new session; the least recently used one ends when there are too many."""
        expires = self._clock() + SESSION_SECONDS
        session = PortalSession(secrets.token_urlsafe(32), secrets.token_urlsafe(32), expires)
        self._sessions[session.key] = session
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return session

    def find(self, key: str) -> PortalSession | None:
        """Return the session of a cookie, or None; finding it keeps it alive."""
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if session.expires <= now:
            self.close(session)
            return None
        session.expires = now + SESSION_SECONDS
        self._sessions.move_to_end(key)
        return session

    def close(self, session: PortalSession) -> None:
        """Forget a session."""
        self._sessions.pop(session.key, None)

    def sign_in(self, session: PortalSession, who: SignedIn) -> PortalSession:
        """Return a session under a new key for who logged in, so that nobody can have planted the old one."""
        self.close(session)
        fresh = self.open()
        fresh.signed_in = who
        return fresh

    def issue_nonce(self, session: PortalSession) -> str:
        """Return a fresh nonce for this session; the one before it stops being good."""
        nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        session.nonce = OneTimeValue(nonce, self._clock() + NONCE_SECONDS)
        return nonce

    def take_nonce(self, session: PortalSession) -> str:
        """Return the nonce that is out; asking spends it, whatever the log-in then comes to.

        Raises:
            PortalError: `nonce.unknown` if none is out or it is too old.
        """
        nonce, session.nonce = session.nonce, None
        if nonce is None or nonce.expires <= self._clock():
            raise PortalError("nonce.unknown")
        return nonce.value

    def ask_captcha(self, session: PortalSession, answer: str) -> None:
        """Remember what answers the captcha that is shown now; the one before it stops being good."""
        session.captcha = OneTimeValue(answer, self._clock() + captcha.SECONDS)

    def take_captcha(self, session: PortalSession, answer: object) -> None:
        """Return if `answer` is right; asking spends it.

        Raises:
            PortalError: `captcha.wrong` if it is not, none is out, or it is too old.
        """
        shown, session.captcha = session.captcha, None
        typed = answer.strip() if isinstance(answer, str) else ""
        if shown is None or shown.expires <= self._clock() or not same_secret(typed, shown.value):
            raise PortalError("captcha.wrong")


def same_secret(given: str, kept: str) -> bool:
    """Return whether both are equal, without telling by time where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), kept.encode())
