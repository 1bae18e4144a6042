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
_LIBRARIES: Final = (
    "hca_card.certificate",
    "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "asn1crypto.cms",
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

    def shown(self, seen: CardSnapshot) -> CardShown:
        """The card as a window names it."""
        return CardShown(seen.reader, seen.kind, seen.serial, self.holder, self.simulated)


_known: Final[dict[bytes, CertificateFacts]] = {}


async def load_libraries() -> None:
    """Have what reads certificates and checks signatures.

    It takes longer than both visits to a card: what is not there before the first one keeps the card waiting.
    """
    if not all(name in sys.modules for name in _LIBRARIES):
        await asyncio.to_thread(lambda: [import_module(name) for name in _LIBRARIES])


async def facts_about(seen: CardSnapshot) -> CertificateFacts:
    """What the certificate of the card seen says."""
    known = _known.get(seen.certificate)
    # A thread's turn takes a hundred times longer than finding what is known.
    return await asyncio.to_thread(facts_of, seen) if known is None else known


def facts_of(seen: CardSnapshot) -> CertificateFacts:
    """The same; for a thread that may be kept busy."""
    # A certificate that cannot be read is still worth showing as a card; only what needs it is refused.
    return _facts_in(seen.certificate) or CertificateFacts("", "", is_virtual(seen.reader), None)


async def is_simulated(held: CertificatesOnCard) -> bool:
    """Whether the simulator issued any of the certificates; without any, whether the reader is no device."""
    for one in held.certificates:
        facts = _known.get(one.der) or await asyncio.to_thread(_facts_in, one.der)
        if facts is not None:
            return facts.simulated
    return is_virtual(held.reader)


def _facts_in(certificate: bytes) -> CertificateFacts | None:
    """What a certificate says; None where it cannot be read."""
    known = _known.get(certificate)
    if known is not None or not certificate:
        return known
    from hca_card.certificate import describe

    try:
        told = describe(certificate)
    except CardDataError:
        return None
    facts = CertificateFacts(
        told.common_name or "", told.serial_hex, told.simulated, (told.not_before, told.not_after)
    )
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[certificate] = facts
    return facts
