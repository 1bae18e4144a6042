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
from agent.demo.application import Application, Receipt
from agent.demo.captcha import Captcha
from agent.demo.errors import PortalError
from agent.demo.login import SignedIn, Way
from agent.demo.register import Account, Insured, Site

SESSION_SECONDS = 20 * 60.0
NONCE_SECONDS = 3 * 60.0
MOST_SESSIONS = 512


@dataclass(frozen=True, slots=True)
class Challenge:
    """One nonce: base64 of 256 random bits, 44 characters, good once and until `expires`."""

    nonce: str
    expires: float


@dataclass(frozen=True, slots=True)
class CardRead:
    """An NHI card that a page says it read; its holder still has to know the registered password."""

    person: Insured
    card_number: str
    site: Site
    way: Way


@dataclass(slots=True)
class Session:
    """What the server knows of one browser.

    Attributes:
        key: the secret in the session cookie.
        csrf: the secret that the site's own page sends with each request that changes something.
        challenge: the one nonce that is out; asking for another replaces it.
        captcha: the one question that is out; asking for another replaces it.
        account: whose account and password were right; the card is still to come.
        card_read: whose NHI card was read; the password is still to come.
        signed_in: who logged in.
        pending: the application shown to the person, waiting for its signature.
        receipt: the last application that was signed.
    """

    key: str
    csrf: str
    expires: float
    challenge: Challenge | None = field(default=None, repr=False)
    captcha: Captcha | None = None
    account: Account | None = None
    card_read: CardRead | None = None
    signed_in: SignedIn | None = None
    pending: Application | None = None
    receipt: Receipt | None = None


class Sessions:
    """The sessions, oldest first out; `clock` is monotonic seconds."""

    def __init__(self, *, most: int = MOST_SESSIONS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self) -> Session:
        """A new session; the least recently used one goes when there are too many."""
        session = Session(
            key=secrets.token_urlsafe(32),
            csrf=secrets.token_urlsafe(32),
            expires=self._clock() + SESSION_SECONDS,
        )
        self._sessions[session.key] = session
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return session

    def find(self, key: str) -> Session | None:
        """The session of a cookie, or None; finding it keeps it alive."""
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if session.expires <= now:
            del self._sessions[key]
            return None
        session.expires = now + SESSION_SECONDS
        self._sessions.move_to_end(key)
        return session

    def close(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.pop(session.key, None)

    def issue_nonce(self, session: Session) -> str:
        """A fresh nonce for this session; the one before it stops being good."""
        nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        session.challenge = Challenge(nonce, self._clock() + NONCE_SECONDS)
        return nonce

    def take_nonce(self, session: Session) -> str:
        """The nonce that is out, spent by asking, whatever the log-in then comes to.

        Raises:
            PortalError: `nonce.unknown`: none is out, or it is too old.
        """
        challenge, session.challenge = session.challenge, None
        if challenge is None or challenge.expires <= self._clock():
            raise PortalError("nonce.unknown")
        return challenge.nonce

    def ask_captcha(self, session: Session, answer: str) -> None:
        """Remember what answers the captcha that is shown now; the one before it stops being good."""
        session.captcha = Captcha(answer, self._clock() + captcha.SECONDS)

    def take_captcha(self, session: Session, answer: object) -> None:
        """Return if `answer` is right; it is spent by asking.

        Raises:
            PortalError: `captcha.wrong`: it is not, or none is out, or it is too old.
        """
        shown, session.captcha = session.captcha, None
        typed = answer.strip() if isinstance(answer, str) else ""
        if shown is None or shown.expires <= self._clock() or not same_secret(typed, shown.answer):
            raise PortalError("captcha.wrong")

    def sign_in(self, session: Session, who: SignedIn) -> Session:
        """A session under a new key for who logged in, so that nobody can have planted the old one."""
        self.close(session)
        fresh = self.open()
        fresh.signed_in = who
        return fresh


def same_secret(given: str, kept: str) -> bool:
    """Compare without telling by time where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), kept.encode())
