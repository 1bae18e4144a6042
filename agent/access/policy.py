"""Who may ask, as two pure functions: `admit` before a body is read, `authorise` before anything is done.

Neither knows a socket, a window, a file or the clock; what they need is given to them, so that one table of
hostile rows can test each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from agent.config import OriginSettings
from agent.origins.spelling import is_loopback_host, is_origin, is_plain_http, loopback_origins
from agent.places import Rank
from agent.vocabulary import Verb

_METHODS: Final = frozenset(("GET", "POST", "OPTIONS"))


class AdmissionKind(StrEnum):
    """As what a request is admitted, which says what else it must show."""

    PUBLIC = "public"
    """Only what anybody may see: the answer holds nothing about the person."""

    PAGE = "page"
    """A page of the web, known by its origin; `authorise` decides verb by verb."""

    OWN_PAGE = "own-page"
    """A page this agent served: it must show its one-use page token."""

    LOCAL_PROGRAM = "local-program"
    """No page: it must show the per-user token."""

    REFUSED = "refused"
    """403 and nothing else."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What `admit` decided.

    Attributes:
        origin: the page's origin behind `PAGE` and `OWN_PAGE`, else None.
    """

    kind: AdmissionKind
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """The socket that a request arrived at.

    Attributes:
        port: its TCP port.
        tls: whether it speaks TLS.
        public: paths that anybody may GET: our own pages and files, which hold nothing about the person.
        own_ports: all our ports as (port, tls), for telling our own pages from others.
        hosts: names of this machine besides those of loopback, under which this port alone is reached.
    """

    port: int
    tls: bool
    public: frozenset[str] = frozenset(("/",))
    own_ports: frozenset[tuple[int, bool]] = frozenset()
    hosts: frozenset[str] = frozenset()


_REFUSED: Final = Admission(AdmissionKind.REFUSED)
_PUBLIC: Final = Admission(AdmissionKind.PUBLIC)


def is_ours(host: str | None, listener: Listener) -> bool:
    """Return whether a Host header names this machine as this listener is reached (against DNS rebinding)."""
    if host is None:
        return False
    name, _, number = host.rpartition(":")
    return is_loopback_host(host, listener.port) or (name in listener.hosts and number == str(listener.port))


def admit(
    origin: str | None,
    host: str | None,
    method: str,
    path: str,
    *,
    listener: Listener,
    origins: OriginSettings,
) -> Admission:
    """Decide on a request or WebSocket upgrade by its head alone.

    Args:
        origin: the Origin header as it came; None only where there was none. Of several, pass them joined
            with ", ": that is no origin.
        host: the Host header, likewise.
        method: the HTTP method.
        path: the path without its query, not decoded.
        listener: where the request arrived.
        origins: the configured lists.

    Returns:
        Where it may go; `authorise` is still to be asked about a page's verbs.
    """
    if not is_ours(host, listener) or method not in _METHODS:
        return _REFUSED
    if path == "/status" and method == "GET":
        # Any origin at all, so that a page can tell "refused" from "not running".
        return _PUBLIC
    if origin is None:
        if method == "GET" and path in listener.public:
            return _PUBLIC
        return Admission(AdmissionKind.LOCAL_PROGRAM)
    if not is_origin(origin) or origin in origins.deny:
        return _REFUSED
    if origin in _own_origins(listener):
        return Admission(AdmissionKind.OWN_PAGE, origin)
    if is_plain_http(origin) and origin not in origins.allow:
        return _REFUSED
    return Admission(AdmissionKind.PAGE, origin)


@lru_cache(maxsize=32)
def _own_origins(listener: Listener) -> frozenset[str]:
    """Return the origins of our own pages."""
    own_ports = listener.own_ports | {(listener.port, listener.tls)}
    return frozenset().union(*(loopback_origins(port, tls=tls) for port, tls in own_ports))


class Decision(StrEnum):
    """What `authorise` decided."""

    YES = "yes"
    NO = "no"
    ASK = "ask"


class ConsentAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the person once answered for one origin and verb.

    Attributes:
        allowed: yes or no.
        until: when it stops holding, aware UTC.
    """

    allowed: bool
    until: datetime


def authorise(
    origin: str | None,
    verb: Verb,
    *,
    origins: OriginSettings,
    answers: Mapping[Verb, ConsentAnswer],
    can_ask: bool,
    now: datetime,
) -> Decision:
    """Decide whether `origin` may do `verb`: configuration, then the answer kept, then a question, then no.

    Args:
        origin: None is this person's own command line or a local program with the per-user token.
        verb: what is to be done.
        origins: the configured lists.
        answers: the answers kept for this origin.
        can_ask: whether anybody is there to be asked.
        now: aware UTC.
    """
    if origin is None:
        return Decision.YES
    if origin in origins.deny:
        return Decision.NO
    if origin in origins.allow:
        return Decision.YES
    answer = answers.get(verb)
    if answer is not None and now < answer.until:
        return Decision.YES if answer.allowed else Decision.NO
    return Decision.ASK if can_ask else Decision.NO


def rank_of(
    origin: str | None,
    *,
    origins: OriginSettings,
    answers: Callable[[str], Mapping[Verb, ConsentAnswer]],
    now: Callable[[], datetime],
) -> Rank:
    """Decide who goes first where there is not enough for all; a yes to anything makes a site known.

    Args:
        origin: None is this person's own command line or a local program with the per-user token.
        origins: the configured lists.
        answers: gives the answers kept for an origin, where the lists do not settle it.
        now: the clock, aware UTC.
    """
    if origin is None:
        return Rank.OWN
    if origin in origins.deny:
        return Rank.STRANGER
    if origin in origins.allow or any(
        answer.allowed and now() < answer.until for answer in answers(origin).values()
    ):
        return Rank.ALLOWED
    return Rank.STRANGER


def may_sign_digest(origin: str | None, origins: OriginSettings) -> bool:
    """Whether a bare digest may be signed: for listed origins only, and for the person's own commands."""
    return origin is None or (origin in origins.digest and origin not in origins.deny)
