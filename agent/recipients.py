"""To whose certificate may be encrypted: what it says itself, and what its authorities say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Protocol

from agent.certificate_status import StatusChecker, trusted_roots
from agent.config import Config
from agent.errors import AgentError, ErrorId
from agent.evidence import asked_by
from agent.paths import Paths
from signing.cms.encrypt import check_recipient
from signing.errors import EvidenceError, SigningError
from signing.revocation import CertificateStatus, RevocationState
from signing.trust import validate_chain


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a certificate to which may be encrypted.

    Attributes:
        trusted: an authority that this machine trusts stands behind it.
        not_revoked: its authorities said so of it and of each issuer below the root.
    """

    trusted: bool
    not_revoked: bool


class Issuers(Protocol):
    """Who finds the issuers of a certificate."""

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the issuers, nearest first. Raise `EvidenceError` if one is not to be had."""


class Authorities(Protocol):
    """Who asks authorities."""

    async def check(self, der: bytes, issuer: bytes) -> CertificateStatus:
        """Return how a certificate stands. Raise AgentError or SigningError if that is not to be learned."""


class Recipients:
    """Judges certificates to which is to be encrypted.

    Args:
        issuers: who finds issuers.
        status: who asks authorities.
        roots: trusted certificates, DER; called when they are needed.
        clock: aware UTC.
    """

    def __init__(
        self,
        issuers: Issuers,
        status: Authorities,
        roots: Callable[[], Iterable[bytes]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._issuers = issuers
        self._status = status
        self._roots = roots
        self._clock = clock

    async def judge(self, certificate: bytes, *, ask: bool) -> Standing:
        """Return what is known of a certificate.

        Args:
            certificate: DER.
            ask: whether authorities may be asked.

        Raises:
            SigningError: it is for another use, out of time, or cannot be read, as `check_recipient` says.
            AgentError: certificate.revoked: it or the certificate of an issuer is.
        """
        at = self._clock()
        check_recipient(certificate, at)
        if not ask:
            return Standing(await asyncio.to_thread(self._trusted, certificate, (), at), not_revoked=False)
        path: tuple[bytes, ...] = ()
        with suppress(EvidenceError):
            path = await self._issuers.chain(certificate)
        known = [await self._not_revoked(*pair) for pair in pairwise((certificate, *path))]
        trusted = await asyncio.to_thread(self._trusted, certificate, path, at)
        return Standing(trusted, not_revoked=bool(known) and all(known))

    async def _not_revoked(self, certificate: bytes, issuer: bytes) -> bool:
        """Return whether the authority says that it is good; False where nothing is to be learned."""
        try:
            state = (await self._status.check(certificate, issuer)).state
        except (AgentError, SigningError):
            return False
        if state is RevocationState.REVOKED:
            raise AgentError(ErrorId.CERTIFICATE_REVOKED)
        return state is RevocationState.GOOD

    def _trusted(self, certificate: bytes, path: tuple[bytes, ...], at: datetime) -> bool:
        with suppress(SigningError):
            return bool(validate_chain(certificate, self._roots(), path, at))
        return False


def recipients_of(config: Config, paths: Paths) -> Recipients:
    """Return who judges by this machine's configuration."""
    status = StatusChecker(paths.standing, config.certificates)
    return Recipients(asked_by(config, paths), status, partial(trusted_roots, config))
