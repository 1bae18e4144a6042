"""Allowing a site without its having asked: by the address that a person copies from their browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.access.policy import ConsentAnswer
from agent.errors import AgentError, ErrorId
from agent.origins.spelling import is_origin, is_plain_http
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from agent.access.answers import Answers
    from agent.config import Config


def origin_of_address(address: str) -> str | None:
    """Return the origin of what a person typed or copied from the address line; None where it has none."""
    text = address.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None:
        return None
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{host}{f':{port}' if port not in (None, usual) else ''}"
    return origin if is_origin(origin) else None


def allow(config: Config, answers: Answers, origin: str) -> datetime:
    """Allow everything for `origin` until the time that is returned, without its being asked about.

    Raises:
        AgentError: origin.not_listed, if it is without https and the configuration does not list it.
        OSError: the answer cannot be kept.
    """
    if is_plain_http(origin) and origin not in config.origins.allow:
        raise AgentError(ErrorId.ORIGIN_NOT_LISTED)
    until = datetime.now(UTC) + timedelta(days=config.consent.days)
    answers.remember(origin, tuple(Verb), ConsentAnswer(True, until))
    return until
