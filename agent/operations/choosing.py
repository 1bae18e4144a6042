"""Which card is meant when a request does not say, and what its certificate says for windows and audit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from agent.errors import AgentError
from agent.interaction import CardShown, Interaction
from agent.operations import visits
from agent.operations.readers import Readers, candidates, is_virtual, named
from agent.operations.views import Caller, ReaderView
from agent.operations.visits import Held, Seen
from agent.workers import Workers
from hca_card.errors import CardDataError
from hca_card.model import KeyUse

Suits = Callable[[Seen], bool]

_REMEMBERED_MAX: Final = 256
_LIBRARIES: Final = (
    "hca_card.certificate",
    "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.padding",
)


@dataclass(frozen=True, slots=True)
class Facts:
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
            raise AgentError("certificate.malformed")
        begins, ends = self.period
        now = datetime.now(UTC)
        if now > ends:
            raise AgentError("certificate.expired")
        if now < begins:
            raise AgentError("certificate.not_yet_valid")

    def shown(self, seen: Seen) -> CardShown:
        """The card as a window names it."""
        return CardShown(seen.reader, seen.kind, seen.serial, self.holder, self.simulated)


def load_libraries() -> None:
    """Load what reads certificates and checks signatures; for a thread that may be kept busy.

    It takes longer than both visits to a card: what is not there before the first one keeps the card waiting.
    """
    for name in _LIBRARIES:
        import_module(name)


def facts_of(seen: Seen) -> Facts:
    """What the certificate says; for a thread that may be kept busy."""
    from hca_card.certificate import describe

    if seen.certificate:
        try:
            told = describe(seen.certificate)
        except CardDataError:
            # Still worth showing as a card; only what needs the certificate is refused.
            return Facts("", "", is_virtual(seen.reader), None)
        period = (told.not_before, told.not_after)
        return Facts(told.common_name or "", told.serial_hex, told.simulated, period)
    return Facts("", "", is_virtual(seen.reader), None)


def is_simulated(held: Held) -> bool:
    """Whether the simulator issued any of the certificates; without any, whether the reader is no device."""
    from hca_card.certificate import describe

    for one in held.certificates:
        try:
            return describe(one.der).simulated
        except CardDataError:
            continue
    return is_virtual(held.reader)


class Choosing:
    """The reader named, else the only one whose card will do, else what the person says."""

    def __init__(self, readers: Readers, workers: Workers, interaction: Interaction) -> None:
        self._readers = readers
        self._workers = workers
        self._interaction = interaction
        self._remembered: dict[tuple[Caller, frozenset[ReaderView]], str] = {}

    async def pick(self, caller: Caller, reader: str | None, suits: Suits | None) -> str:
        """The name of a reader with a card. With one candidate no command is sent to it here.

        Args:
            caller: a choice made once holds for this caller until a card comes or goes.
            reader: the reader named in the request.
            suits: whether a card will do; None takes any that is known.

        Raises:
            AgentError: card.ambiguous: nobody can be asked; request.cancelled: the person would not say.
            pcsc.errors.PcscError: no reader, no card, or none that can be used.
        """
        views = await self._readers.look()
        if reader is not None:
            return named(views, reader).name
        meant = candidates(views)
        if len(meant) == 1:
            return meant[0].name
        situation = (caller, frozenset(meant))
        if situation in self._remembered:
            return self._remembered[situation]
        fit = [seen for seen in await self._look_at(caller, meant) if suits is None or suits(seen)]
        if len(fit) == 1:
            return fit[0].reader
        if not fit:
            # The work itself will say what is wrong with this one better than a choice could.
            return meant[0].name
        chosen = await self._ask(caller, fit)
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[situation] = chosen
        return chosen

    async def _look_at(self, caller: Caller, views: Sequence[ReaderView]) -> list[Seen]:
        """What is in each reader, all at once; a card that cannot be read is not the one that is meant."""
        looks = (self._workers.of(view.name).run(visits.look, origin=caller.origin) for view in views)
        return [
            seen for seen in await asyncio.gather(*looks, return_exceptions=True) if isinstance(seen, Seen)
        ]

    async def _ask(self, caller: Caller, fit: Sequence[Seen]) -> str:
        if not self._interaction.available:
            raise AgentError("card.ambiguous")
        cards = tuple([(await asyncio.to_thread(facts_of, seen)).shown(seen) for seen in fit])
        chosen = await self._interaction.choose_card(caller.origin, cards)
        if chosen is None:
            raise AgentError("request.cancelled")
        return chosen.reader


def has_key(use: KeyUse) -> Suits:
    """Cards with that key pair whose certificate can be read."""
    return lambda seen: use in seen.keys and bool(seen.certificate)


def has_pin(seen: Seen) -> bool:
    """Cards with a PIN that can be used."""
    return seen.pin is not None
