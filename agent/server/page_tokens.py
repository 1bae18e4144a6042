"""One-use tokens: how a page that this program served shows that it is that page."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

SECONDS: Final = 60.0
"""A page connects as soon as it is loaded."""

_SPENT_MAX: Final = 4096
_END: Final = struct.Struct(">d")
_NONCE_BYTES: Final = 16
_CODE_BYTES: Final = 24
_BYTES: Final = _END.size + _NONCE_BYTES + _CODE_BYTES


class PageTokens:
    """Tokens that say themselves until when they hold: nobody can make those of others worthless.

    Only what was shown is kept, and for no longer than it would hold.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._spent: dict[bytes, float] = {}
        self._ended = 0.0

    def issue(self) -> str:
        """Return a new token."""
        said = _END.pack(self._clock() + SECONDS) + secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(said + self._code(said)).decode("ascii")

    def redeem(self, token: str) -> bool:
        """Return whether the token was given out lately and is shown for the first time."""
        try:
            octets = base64.b64decode(token, b"-_", validate=True)
        except ValueError:
            return False
        said = octets[:-_CODE_BYTES]
        if len(octets) != _BYTES or not compare_digest(self._code(said), octets[-_CODE_BYTES:]):
            return False
        [end] = _END.unpack_from(said)
        now = self._clock()
        self._spent = {each: until for each, until in self._spent.items() if until >= now}
        if end < now or end <= self._ended or said in self._spent:
            return False
        if len(self._spent) >= _SPENT_MAX:
            # What is forgotten must not be shown again: nothing given out before it holds any longer.
            earliest = min(self._spent, key=self._spent.__getitem__)
            self._ended = self._spent.pop(earliest)
        self._spent[said] = end
        return True

    def _code(self, said: bytes) -> bytes:
        return hashlib.blake2b(said, digest_size=_CODE_BYTES, key=self._key).digest()
