"""The per-user token: how a program of this machine's user shows that it is no web page."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from agent.errors import AgentError, ErrorId
from agent.private_files import is_of_the_disk, write_private

_BYTES = 32
_SCHEME = "bearer "


class UserToken:
    """The secret in the agent's file `token`, sent as `Authorization: Bearer` (RFC 6750 §2.1)."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("ascii")

    def __repr__(self) -> str:
        return "UserToken(…)"

    def admits(self, authorization: str | None) -> bool:
        """Return whether an Authorization header's value carries the token; compared in constant time."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        offered = authorization[len(_SCHEME) :].strip().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(offered, self._secret)


def create(path: Path) -> UserToken:
    """Write a new token to `path` for this user alone; the one before it admits nobody any more.

    Raises:
        AgentError: `token.unreadable`, it cannot be written.
        OSError: the disk is full, or read-only.
    """
    secret = secrets.token_urlsafe(_BYTES)
    try:
        write_private(path, secret.encode("ascii"))
    except OSError as error:
        if is_of_the_disk(error):
            raise
        raise AgentError(ErrorId.TOKEN_UNREADABLE, detail=str(error)) from error
    return UserToken(secret)


def read(path: Path) -> str:
    """Read the running agent's token, for a client of the same user.

    Raises:
        AgentError: `token.unreadable`, there is none or it is not this user's.
    """
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(ErrorId.TOKEN_UNREADABLE, detail=str(error)) from error
