"""What a request needs of a card, by which the right one among several is found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar, cast

from agent.errors import AgentError
from agent.interaction import KIND_WORDS
from agent.operations.visits import Seen
from agent.places import Visit
from agent.workers import Job
from hca_card.errors import CardChangedError
from hca_card.hints import only_kinds
from hca_card.model import Card, CardKind, KeyUse

T = TypeVar("T")

_NOTHING_BUT_DATA = frozenset((CardKind.NHI,))
"""Kinds without a key, certificate or PIN that an ordinary reader can use."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a card must be and have; a need that says nothing takes any card that is known.

    Attributes:
        kinds: one of these; empty for any.
        key: a key of this use, with its certificate.
        certificate: any certificate.
        pin: a PIN that can be used.
        serial: the number of the very card that is meant; empty for any.
    """

    kinds: frozenset[CardKind] = frozenset()
    key: KeyUse | None = None
    certificate: bool = False
    pin: bool = False
    serial: str = ""

    def met_by(self, seen: Seen) -> bool:
        """Whether a card will do."""
        return (
            self._names(seen.kind)
            and self.serial in ("", seen.serial)
            and (self.key is None or self.key in seen.keys)
            and (not (self.certificate or self.key) or bool(seen.certificate))
            and (not self.pin or seen.pin is not None)
        )

    def may_mean(self, atr: bytes) -> bool:
        """Whether a card with this ATR can be meant at all; where not, no command needs to be sent to it."""
        only = only_kinds(atr)
        if only is None:
            return True
        if only == _NOTHING_BUT_DATA and (self.key or self.certificate or self.pin):
            return False
        return not self.kinds or bool(self.kinds & only)

    def require(self, card: Card) -> None:
        """Refuse a card of another kind, or one that is not the very card.

        Raises:
            AgentError: card.wrong_kind, which names the kinds that are wanted.
            CardChangedError: the card that is meant is no longer there.
        """
        if not self._names(card.kind):
            raise self.wrong_kind()
        if self.serial not in ("", card.serial):
            raise CardChangedError

    def wrong_kind(self) -> AgentError:
        """The error for a card of another kind."""
        words = [KIND_WORDS[kind] for kind in CardKind if kind in self.kinds]
        wanted = ("、".join(zh for zh, _ in words), " or ".join(en for _, en in words))
        return AgentError("card.wrong_kind", wanted=wanted)

    def checked(self, job: Job[T]) -> Job[T]:
        """`job`, which is given no card that is not meant, whatever was in the reader when it was chosen."""
        if not self.kinds and not self.serial:
            return job
        return lambda visit: job(cast("Visit", _Meant(visit, self)))

    def _names(self, kind: CardKind) -> bool:
        return not self.kinds or kind in self.kinds


ANY = Need()


def need(kinds: Collection[CardKind] | None = None, key: KeyUse | None = None) -> Need:
    """A need of one of `kinds`, if any are named, with `key`."""
    return Need(frozenset(kinds or ()), key)


class _Meant:
    """A visit that hands out the card only if it is one that is needed."""

    def __init__(self, visit: Visit, need: Need) -> None:
        self._visit = visit
        self._need = need

    def card(self) -> Card:
        card = self._visit.card()
        self._need.require(card)
        return card

    def __getattr__(self, name: str) -> object:
        return getattr(self._visit, name)
