"""What the certificate of a card says, for windows, the audit log and the checks before a PIN is asked.

Each certificate is read once, in a thread: it never changes, and a card in use is described at each visit.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.interaction import CardShown
from agent.operations.readers import is_virtual
from agent.operations.transaction_jobs import CardSnapshot, CertificatesOnCard
from hca_card.errors import CardDataError

_KNOWN_MAX: Final = 64
_LIBRARIES: Final = frozenset(
    (
        "hca_card.certificate",
        "cryptography.hazmat.primitives.serialization",
        "cryptography.hazmat.primitives.asymmetric.padding",
        "asn1crypto.tsp",
    )
)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the certificate of a card says, or nothing where it has none that can be read.

    Attributes:
        holder: the subject's common name.
        certificate_serial: the certificate's number, hexadecimal.
        simulated: issued by the simulator; without a certificate, in a reader that is no device.
        period: first and last moment of validity, aware UTC; None when unknown.
    """

    holder: str
    certificate_serial: str
    simulated: bool
    period: tuple[datetime, datetime] | None

    @property
    def ends(self) -> datetime | None:
        """Its last moment, aware UTC; None when unknown."""
        return None if self.period is None else self.period[1]

    def require_in_time(self) -> None:
        """Refuse a certificate that is not valid now, before a PIN is asked.

        Raises:
            AgentError: certificate.expired, certificate.not_yet_valid, certificate.malformed.
        """
        if self.period is None:
            raise AgentError(ErrorId.CERTIFICATE_MALFORMED)
        begins, ends = self.period
        now = datetime.now(UTC)
        if now > ends:
            raise AgentError(ErrorId.CERTIFICATE_EXPIRED)
        if now < begins:
            raise AgentError(ErrorId.CERTIFICATE_NOT_YET_VALID)

    def shown(self, snapshot: CardSnapshot) -> CardShown:
        """Return the card as a window names it."""
        return CardShown(
            snapshot.reader, snapshot.kind, snapshot.serial, self.holder, self.simulated, self.ends
        )


_known: Final[dict[bytes, CertificateFacts]] = {}


async def load_libraries() -> None:
    """Import what reads certificates and checks signatures.

    It takes longer than both visits to a card: what is not there before the first one keeps the card waiting.
    """
    if not sys.modules.keys() >= _LIBRARIES:
        await asyncio.to_thread(lambda: [import_module(name) for name in sorted(_LIBRARIES)])


async def facts_about(snapshot: CardSnapshot) -> CertificateFacts:
    """Return what the card's certificate says, reading it in a thread where it is new."""
    known = _known.get(snapshot.certificate)
    # A thread's turn takes a hundred times longer than finding what is known.
    return await asyncio.to_thread(facts_of, snapshot) if known is None else known


def facts_of(snapshot: CardSnapshot) -> CertificateFacts:
    """Return the same; for a thread that may be kept busy."""
    # A certificate that cannot be read is still worth showing as a card; only what needs it is refused.
    return (
        _known.get(snapshot.certificate)
        or _read(snapshot.certificate)
        or CertificateFacts("", "", is_virtual(snapshot.reader), None)
    )


async def is_simulated(card: CertificatesOnCard) -> bool:
    """Return whether the simulator issued any of them; without any, whether the reader is no device."""
    for certificate in card.certificates:
        facts = _known.get(certificate.der) or await asyncio.to_thread(_read, certificate.der)
        if facts is not None:
            return facts.simulated
    return is_virtual(card.reader)


def _read(certificate: bytes) -> CertificateFacts | None:
    """Return what a certificate says; None where it cannot be read."""
    if not certificate:
        return None
    from hca_card.certificate import describe

    try:
        read = describe(certificate)
    except CardDataError:
        return None
    facts = CertificateFacts(
        read.common_name or "", read.serial_hex, read.simulated, (read.not_before, read.not_after)
    )
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[certificate] = facts
    return facts
