"""What signatures that last need from others: time stamps, the issuers of certificates, and their answers.

Only authorities that the administrator lists are asked for stamps, one after the other. Answers come from
where certificates say, within the limits of `agent.certificate_status`; only of those below a trusted root.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.certificate_status import StatusChecker, load_roots, trusted_roots
from agent.config import Config, TimestampSettings
from agent.errors import AgentError
from agent.http_client import HttpError, HttpPolicy, fetch
from agent.paths import Paths
from signing import timestamp
from signing.certificate import issuers_among
from signing.errors import EvidenceError, SigningError
from signing.formats import RevocationEvidence
from signing.hashes import Hash
from signing.revocation import RevocationState, StatusSource

SECONDS: Final = 10.0
"""For each authority: a person is waiting."""
STAMP_BYTES_MAX: Final = 64 * 1024
CLOCKS_DIFFER: Final = timedelta(minutes=5)

_NONCE_BITS: Final = 64
_SEEN_MAX: Final = 64
_QUESTION: Final = "application/timestamp-query"  # RFC 3161 §3.4


async def ask_for_stamp(url: str, question: bytes) -> bytes:
    """Return what a time-stamping authority answers. Raise `HttpError` if it does not."""
    policy = HttpPolicy(seconds=SECONDS, bytes_max=STAMP_BYTES_MAX, proxy=True)
    return await fetch(url, policy, question, _QUESTION)


def evidence_of(config: Config, paths: Paths) -> AgentEvidence | None:
    """Return what this installation asks; None where it lists nobody who stamps, which every level needs."""
    return asked_by(config, paths) if config.timestamps.authorities else None


def asked_by(config: Config, paths: Paths) -> AgentEvidence:
    """Return what finds issuers and their answers, and stamps where somebody is listed who gives them."""
    status = StatusChecker(paths.standing, config.certificates)

    def known() -> Iterable[bytes]:
        verification = config.verification
        more = load_roots((*verification.stamp_roots, *verification.intermediates))
        return (*trusted_roots(config), *more)

    return AgentEvidence(config.timestamps, status, known=known)


class AgentEvidence:
    """`signing.formats.Evidence` over the network.

    Args:
        config: who stamps.
        status: what authorities say of certificates.
        known: the trusted roots, and certificates that may stand between, DER; called when one is needed.
        stamp: how an authority is asked for a stamp.
        clock: aware UTC.
    """

    def __init__(
        self,
        config: TimestampSettings,
        status: StatusChecker,
        *,
        known: Callable[[], Iterable[bytes]] = tuple,
        stamp: Callable[[str, bytes], Awaitable[bytes]] = ask_for_stamp,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authorities = config.authorities
        self._status = status
        self._known = known
        self._stamp = stamp
        self._clock = clock
        self._seen: deque[bytes] = deque(maxlen=_SEEN_MAX)

    async def timestamp(self, imprint: bytes, algorithm: Hash) -> bytes:
        """Return a stamp of the first authority that gives one which holds.

        Raises:
            EvidenceError: nobody is listed, or nobody gave one; the detail has each with its reason.
        """
        if not self._authorities:
            raise EvidenceError("no authority is listed under [timestamps] authorities")
        troubles = []
        for authority in self._authorities:
            question = timestamp.request_for(imprint, secrets.randbits(_NONCE_BITS) | 1, algorithm)
            try:
                token = self._checked(question, await self._stamp(authority, question))
            except (HttpError, SigningError) as error:
                troubles.append(f"{authority}: {error}")
            else:
                self._seen.extend(timestamp.certificates_in(token))
                return token
        raise EvidenceError("; ".join(troubles))

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        """Return the issuers up to a root that is trusted here.

        Nothing is fetched: a certificate in somebody's document must not decide whom this computer asks.

        Raises:
            EvidenceError: there is no such path.
        """
        known = tuple(self._known())
        path = issuers_among(certificate, (*known, *self._seen))
        if (path[-1] if path else certificate) not in known:
            raise EvidenceError(
                "no trusted root stands behind a certificate; see [certificates] roots and [verification]"
                " stamp_roots"
            )
        return path

    async def revocation(self, certificate: bytes, issuer: bytes) -> RevocationEvidence:
        """Return the authority's answer.

        Raises:
            EvidenceError: there is none, none that holds, or it does not know the certificate.
        """
        try:
            said = await self._status.answer(certificate, issuer)
        except (AgentError, SigningError) as error:
            raise EvidenceError(str(error)) from error
        if said.status.state is RevocationState.UNKNOWN:
            raise EvidenceError("the authority does not know the certificate")
        ocsp = said.status.source is StatusSource.OCSP
        return RevocationEvidence(ocsp=said.der) if ocsp else RevocationEvidence(crl=said.der)

    def _checked(self, question: bytes, answer: bytes) -> bytes:
        """Return the stamp in an answer that is one to this question, made now by somebody who may."""
        timestamp.check_answer(question, answer)
        token = timestamp.token_in(answer)
        made = timestamp.verify_token(None, token).time
        if abs(made - self._clock()) > CLOCKS_DIFFER:
            raise EvidenceError(f"the time stamp is of {made:%Y-%m-%d %H:%M}, and it is another time here")
        return token
