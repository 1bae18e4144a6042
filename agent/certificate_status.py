"""How a certificate stands with its authority: what was said lately, else OCSP, else the revocation list.

    status = await StatusChecker(paths.standing, config.certificates).check(der, issuer)

What was fetched is kept in the agent's folder as it came and judged anew each time, so that a changed file
is no worse than a changed answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from agent.config import CertificateSettings, Config
from agent.errors import AgentError, ErrorId
from agent.http_client import HttpError, HttpPolicy, fetch
from agent.private_files import write_private
from signing import revocation
from signing.errors import (
    CertificateMalformedError,
    StatusAnswerError,
    StatusAnswerForgedError,
    StatusAnswerStaleError,
)
from signing.revocation import CertificateStatus, RevocationState, StatusSource

OCSP_BYTES_MAX: Final = 64 * 1024
CRL_BYTES_MAX: Final = 32 * 1024 * 1024
SECONDS: Final = 12.0
"""For all addresses together: a person is waiting."""
ADDRESS_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 2.5

_ADDRESSES_MAX: Final = 3
_KEPT_SECONDS: Final = {StatusSource.OCSP: 3600.0, StatusSource.CRL: 24 * 3600.0}
_KEPT_FILES: Final = 16


Fetch = Callable[[str, int, bytes | None], Awaitable[bytes]]
"""Fetches a URL, within so many bytes, with a question to post or None."""


async def fetch_status(
    url: str, bytes_max: int, question: bytes | None = None, *, trusted: Collection[str] = ()
) -> bytes:
    """Return what an authority publishes at a URL that a stranger's certificate may name.

    Args:
        url: as the certificate or the administrator wrote it.
        bytes_max: how much is taken at most.
        question: the DER of an OCSPRequest to post (RFC 6960 appendix A.1).
        trusted: URLs that the administrator wrote down, to the letter.

    Raises:
        AgentError: certificate.status_unreachable, for whatever reason; its detail says which.
    """
    policy = HttpPolicy(
        seconds=ADDRESS_SECONDS,
        connect_seconds=_CONNECT_SECONDS,
        bytes_max=bytes_max,
        public_only=True,
        trusted=trusted,
    )
    try:
        return await fetch(url, policy, question, "application/ocsp-request" if question is not None else "")
    except HttpError as error:
        raise AgentError(ErrorId.CERTIFICATE_STATUS_UNREACHABLE, detail=str(error)) from error


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What an authority said of a certificate, and its answer as it came: OCSPResponse or CertificateList."""

    status: CertificateStatus
    der: bytes


class StatusChecker:
    """Asks authorities about certificates.

    Args:
        folder: where answers are kept; made when the first one is.
        config: where to ask besides the addresses in the certificate, and whether at all.
        fetch: how addresses are asked.
        clock: aware UTC.
    """

    def __init__(
        self,
        folder: Path,
        config: CertificateSettings,
        *,
        fetch: Fetch | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._config = config
        self._fetch = fetch or partial(fetch_status, trusted=(*config.ocsp, *config.crl))
        self._clock = clock

    async def check(self, der: bytes, issuer: bytes) -> CertificateStatus:
        """Return whether the certificate is good, revoked, or unknown to its authority; raise as `answer`."""
        return (await self.answer(der, issuer)).status

    async def answer(self, der: bytes, issuer: bytes) -> StatusAnswer:
        """Return whether the certificate is good, revoked, or unknown to its authority, and what says so.

        Args:
            der: the certificate.
            issuer: its issuer's certificate; what is said is worth as much as this is trusted.

        Raises:
            AgentError: certificate.status_no_address, or certificate.status_unreachable: nobody answered.
            StatusAnswerForgedError, StatusAnswerStaleError, StatusAnswerUnusableError: somebody did, and
                nothing better was to be had.
            CertificateMalformedError: one of the two cannot be read.
        """
        named = revocation.addresses(der)
        places = [
            *((StatusSource.OCSP, each) for each in _first((*self._config.ocsp, *named.ocsp))),
            *((StatusSource.CRL, each) for each in _first((*self._config.crl, *named.crl))),
        ]
        if not places:
            raise AgentError(ErrorId.CERTIFICATE_STATUS_NO_ADDRESS)
        for source, address in places:
            with suppress(StatusAnswerError, OSError):
                return await asyncio.to_thread(self._remembered, source, address, der, issuer)
        if not self._config.online:
            raise AgentError(ErrorId.CERTIFICATE_STATUS_UNREACHABLE, detail="[certificates] online = false")
        return await self._asked(places, der, issuer)

    async def _asked(self, places: list[tuple[StatusSource, str]], der: bytes, issuer: bytes) -> StatusAnswer:
        unknown: StatusAnswer | None = None
        troubles: list[Exception] = []
        try:
            async with asyncio.timeout(SECONDS):
                for source, address in places:
                    try:
                        said = await self._ask(source, address, der, issuer)
                    except (AgentError, StatusAnswerError) as error:
                        troubles.append(error)
                        continue
                    if said.status.state is not RevocationState.UNKNOWN:
                        return said
                    unknown = said
        except TimeoutError:
            troubles.append(AgentError(ErrorId.CERTIFICATE_STATUS_UNREACHABLE, detail="no answer in time"))
        if unknown is not None:
            return unknown
        raise max(troubles, key=_gravity)

    async def _ask(self, source: StatusSource, address: str, der: bytes, issuer: bytes) -> StatusAnswer:
        if source is StatusSource.OCSP:
            question, nonce = revocation.ocsp_request(der, issuer)
            answer = await self._fetch(address, OCSP_BYTES_MAX, question)
            status = revocation.judge_ocsp(answer, der, issuer, self._clock(), nonce=nonce)
        else:
            answer = await self._fetch(address, CRL_BYTES_MAX, None)
            status = await asyncio.to_thread(revocation.judge_crl, answer, der, issuer, self._clock())
        if status.state is not RevocationState.UNKNOWN:
            with suppress(OSError):  # a full disk makes the next question slower, and nothing else
                await asyncio.to_thread(self._keep, self._file(source, address, der), answer)
        return StatusAnswer(status, answer)

    def _remembered(self, source: StatusSource, address: str, der: bytes, issuer: bytes) -> StatusAnswer:
        """Return what was said lately.

        Raises:
            OSError: nothing was.
            StatusAnswerError: what was said holds no longer.
        """
        file = self._file(source, address, der)
        age = time.time() - file.stat().st_mtime
        if not 0 <= age <= _KEPT_SECONDS[source]:
            raise StatusAnswerStaleError
        judge = revocation.judge_ocsp if source is StatusSource.OCSP else revocation.judge_crl
        answer = file.read_bytes()
        return StatusAnswer(judge(answer, der, issuer, self._clock()), answer)

    def _file(self, source: StatusSource, address: str, der: bytes) -> Path:
        # A list is of use to all certificates that name it, an OCSP answer to one.
        about = der if source is StatusSource.OCSP else b""
        name = hashlib.sha256(address.encode() + b"\0" + about).hexdigest()[:32]
        return self._folder / f"{name}.{source.value.lower()}"

    def _keep(self, file: Path, answer: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, answer)
        kept = sorted(self._folder.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in kept[_KEPT_FILES:]:
            old.unlink(missing_ok=True)


def _first(addresses: Iterable[str]) -> list[str]:
    """Each once, and not more than a person can be made to wait for."""
    return list(dict.fromkeys(addresses))[:_ADDRESSES_MAX]


def _gravity(trouble: Exception) -> int:
    """Return how bad a trouble is: a forged answer is worst, an unreachable responder least."""
    if isinstance(trouble, StatusAnswerForgedError):
        return 3
    if isinstance(trouble, StatusAnswerStaleError):
        return 2
    return int(isinstance(trouble, StatusAnswerError))


def trusted_roots(config: Config) -> tuple[bytes, ...]:
    """Return whom this machine trusts: the administrator's roots and, unless switched off, those that ship.

    Raises:
        AgentError: config.invalid, as `load_roots`.
    """
    from signing.verification.anchors import shipped

    return (*load_roots(config.certificates.roots), *(shipped() if config.verification.anchors else ()))


def load_roots(files: Iterable[Path]) -> tuple[bytes, ...]:
    """Return the administrator's trusted root certificates, DER.

    Raises:
        AgentError: config.invalid, a file cannot be read or holds no certificate.
    """
    from signing.certificate import any_public_key

    roots: list[bytes] = []
    for file in files:
        try:
            found = _certificates_in(file.read_bytes())
            for each in found:
                any_public_key(each)
        except (OSError, ValueError, CertificateMalformedError) as error:
            raise AgentError(
                ErrorId.CONFIG_INVALID, detail=f"{file}: [certificates.roots] {error}"
            ) from error
        roots += found
    return tuple(roots)


def _certificates_in(content: bytes) -> list[bytes]:
    """Return the certificates in a file, PEM or DER. Raise `ValueError` where PEM is broken or empty."""
    from asn1crypto import pem

    if not pem.detect(content):
        return [content]
    found = [der for kind, _, der in pem.unarmor(content, multiple=True) if kind == "CERTIFICATE"]
    if not found:
        raise ValueError("there is no certificate in it")
    return found
