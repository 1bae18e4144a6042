"""Verifying documents for command line, API and page: read, ask authorities about whom to trust, judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.certificate_status import StatusChecker, load_roots
from agent.config import Config
from agent.errors import AgentError
from agent.paths import Paths
from signing.errors import SigningError
from signing.hashes import Hash
from signing.revocation import CertificateStatus
from signing.verification.report import DocumentReport

if TYPE_CHECKING:
    from signing.verification.found import FoundDocument
    from signing.verification.judge import Trust

ASKED_MAX: Final = 16
"""Certificates of one document that authorities are asked about; more is no document but a trap."""


class Verifier:
    """Says what signed documents are worth, by this machine's configuration.

    Args:
        config: roots, strictness, and whether authorities may be asked.
        paths: where their answers are kept.
        simulated: whether signatures of this machine's simulated cards count: in a demonstration or a test.
        clock: aware UTC.
    """

    def __init__(
        self,
        config: Config,
        paths: Paths,
        *,
        simulated: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._simulated = paths.simulator if simulated else None
        self._status = StatusChecker(paths.standing, config.certificates, clock=clock)
        self._clock = clock
        self._trust: Trust | None = None

    async def verify(
        self,
        document: bytes,
        signature: bytes | None = None,
        *,
        certificate: bytes | None = None,
        algorithm: Hash = Hash.SHA_256,
        name: str = "",
        ask: bool = True,
    ) -> DocumentReport:
        """Return what is true of a document and its signatures; it raises for no document, however odd.

        Args:
            document: the signed document, or what a detached signature is over.
            signature: the detached signature; None where it is inside.
            certificate: the signer's, where the signature may not have it, DER.
            algorithm: the hash of a bare signature; every other one says it itself.
            name: the file's, for the report.
            ask: whether authorities may be asked, where the configuration lets them be.

        Raises:
            AgentError: config.invalid, a root of the configuration cannot be read.
        """
        # Both import what a machine that verifies nothing never needs.
        trust = await asyncio.to_thread(self._current_trust)
        read, judge = await asyncio.to_thread(_judges)
        found = await asyncio.to_thread(
            read, document, signature, certificate=certificate, algorithm=algorithm
        )
        statuses = await self._ask(found, trust) if ask and self._config.certificates.online else None
        return await asyncio.to_thread(partial(judge, found, document, trust, name=name, statuses=statuses))

    async def _ask(self, found: FoundDocument, trust: Trust) -> dict[bytes, CertificateStatus]:
        """Return what authorities say now of the certificates that the document itself leaves open."""
        from signing.verification.judge import asked_about

        pairs = (await asyncio.to_thread(asked_about, found, trust))[:ASKED_MAX]
        known: dict[bytes, CertificateStatus] = {}

        async def ask(der: bytes, issuer: bytes) -> None:
            # What was not to be learned is a finding of the judge's.
            with suppress(AgentError, SigningError):
                known[der] = await self._status.check(der, issuer)

        await asyncio.gather(*(ask(*pair) for pair in pairs))
        return known

    def _current_trust(self) -> Trust:
        from signing.verification.anchors import shipped
        from signing.verification.judge import Trust

        if self._trust is None:
            own = load_roots(self._config.certificates.roots)
            verification, simulated = self._config.verification, _simulated(self._simulated)
            self._trust = Trust(
                roots=(*simulated.roots, *own, *(shipped() if verification.anchors else ())),
                stamp_roots=load_roots(verification.stamp_roots),
                intermediates=(*simulated.intermediates, *load_roots(verification.intermediates)),
                crls=simulated.crls,
                simulated=bool(simulated.roots),
                hard=verification.revocation == "required",
            )
        return self._trust.at(self._clock())


def _simulated(folder: Path | None) -> Trust:
    """Return what stands behind the simulated cards whose authority is kept in that folder."""
    from hca_card.simulator import SimulatorCa
    from signing.verification.judge import Trust

    if folder is None:
        return Trust(roots=())
    authority = SimulatorCa(folder)
    return Trust(
        authority.roots,
        intermediates=authority.intermediates,
        crls=(authority.crl(), authority.authorities_crl()),
    )


def _judges() -> tuple[Callable[..., FoundDocument], Callable[..., DocumentReport]]:
    from signing.verification.judge import judge
    from signing.verification.reading import read

    return read, judge
