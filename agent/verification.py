"""Verifying documents for command line, API and page: read, ask authorities about whom to trust, judge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.certificate_status import StatusChecker, load_roots, trusted_roots
from agent.config import Config
from agent.document_processes import DocumentProcesses
from agent.environment import Child
from agent.errors import AgentError
from agent.paths import Paths
from hca_card.decoding import UNREADABLE
from signing.errors import SigningError
from signing.hashes import Hash
from signing.revocation import CertificateStatus
from signing.verification.report import DocumentReport

if TYPE_CHECKING:
    from signing.verification.found import FoundDocument
    from signing.verification.judge import Statuses, Trust

log = logging.getLogger(__name__)

ANSWER_MAX: Final = 64 << 20
"""Octets that a process may answer: revocation lists that came with a signature are among them."""

_SECONDS: Final = 60.0

ASKED_MAX: Final = 16
"""Certificates of one document that authorities are asked about; more is no document but a trap."""


class Verifier:
    """Says what signed documents are worth, by this machine's configuration.

    Args:
        config: roots, strictness, and whether authorities may be asked.
        paths: where their answers are kept.
        apart: documents are taken apart in processes of their own, for whoever verifies what strangers send.
        simulated: whether signatures of this machine's simulated cards count: in a demonstration or a test.
        clock: aware UTC.
    """

    def __init__(
        self,
        config: Config,
        paths: Paths,
        *,
        apart: bool = False,
        simulated: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._simulated = paths.simulator if simulated else None
        self._status = StatusChecker(paths.standing, config.certificates, clock=clock)
        self._clock = clock
        self._trust: Trust | None = None
        self._processes: DocumentProcesses | None = None
        if apart:
            self._processes = DocumentProcesses(
                "read-signatures", Child.DOCUMENT, seconds=_SECONDS, answer_max=ANSWER_MAX
            )

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
        # Each thread imports what a machine that verifies nothing never needs.
        trust = await asyncio.to_thread(self._current_trust)
        if self._processes is not None:
            found = await _read_apart(self._processes, document, signature, certificate, algorithm)
        else:
            found = await asyncio.to_thread(_read, document, signature, certificate, algorithm)
        statuses = await self._ask(found, trust) if ask and self._config.certificates.online else None
        return await asyncio.to_thread(_judge, found, document, trust, name, statuses)

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
        from signing.verification.judge import Trust

        if self._trust is None:
            verification, simulated = self._config.verification, _simulated(self._simulated)
            self._trust = Trust(
                roots=(*simulated.roots, *trusted_roots(self._config)),
                stamp_roots=load_roots(verification.stamp_roots),
                intermediates=(*simulated.intermediates, *load_roots(verification.intermediates)),
                crls=simulated.crls,
                simulated=bool(simulated.roots),
                hard=verification.revocation == "required",
                policies=verification.policies,
            )
        return self._trust.at(self._clock())


async def _read_apart(
    processes: DocumentProcesses,
    document: bytes,
    signature: bytes | None,
    certificate: bytes | None,
    algorithm: Hash,
) -> FoundDocument:
    """Return what a process of its own found; what keeps it from an answer is a finding too."""
    import msgspec

    from signing.verification.child import ReadRequest, refused
    from signing.verification.found import FoundDocument

    request = msgspec.msgpack.encode(ReadRequest(document, signature, certificate, algorithm))
    try:
        answer = await processes.ask(request)
    except TimeoutError:
        return refused("it took too long")
    try:
        return msgspec.msgpack.decode(answer, type=FoundDocument)
    except UNREADABLE:
        log.warning("a document ended the process that read it")
        return refused("it could not be read")


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


def _read(
    document: bytes, signature: bytes | None, certificate: bytes | None, algorithm: Hash
) -> FoundDocument:
    from signing.verification.reading import read

    return read(document, signature, certificate=certificate, algorithm=algorithm)


def _judge(
    found: FoundDocument, document: bytes, trust: Trust, name: str, statuses: Statuses | None
) -> DocumentReport:
    from signing.verification.judge import judge

    return judge(found, document, trust, name=name, statuses=statuses)
