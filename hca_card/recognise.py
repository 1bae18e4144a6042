"""Which card this is, with as few commands as its ATR allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hca_card import hicos_select, profile
from hca_card.errors import HicosModuleError, UnknownCardError
from hca_card.hca import CHIPS, HcaCard
from hca_card.model import Card, CardKind, Channel
from hca_card.nhi import NhiCard
from hca_card.profile_format import Profile

NHI_ATRS: Final = frozenset(
    bytes.fromhex(atr)
    for atr in (
        "3B EE 00 00 81 31 FE 45 80 31 80 66 40 90 93 06 0F 17 83 0F 90 00 F3",
        "3B EE 00 00 81 31 FE 45 80 31 80 66 40 90 93 06 0F 17 83 01 90 00 FD",
        "3B FA 18 00 00 81 31 FE 45 50 56 4A 43 4F 50 34 53 49 44 93",
        "3B FA 18 00 00 81 31 FE 45 53 4C 4A 35 32 47 78 78 79 79 FC",
        "3B FC 18 00 00 81 31 FE 45 80 73 C8 21 13 66 02 04 03 55 00 02 D2",
        "3B FD 13 00 00 81 31 FE 45 4A 43 4F 50 32 31 76 32 33 31 47 44 54 E1",
        "3B FD 18 00 00 81 31 FE 45 53 4C 4A 35 32 47 78 78 79 79 79 7A 52 AA",
        "3B FF 18 00 FF 81 31 FE 45 54 48 43 43 31 30 54 45 43 4F 47 44 48 4E 32 24",
        "3B FF 18 00 FF 81 31 FE 45 54 48 43 43 31 30 54 45 43 4F 47 44 49 4E 31 26",
    )
)
"""ATRs that NHI cards have been seen with; other Java Cards share some of them."""

CITIZEN_TEXT: Final = b"HCASIMCTZN"
"""Historical bytes of a simulated citizen card."""

Attempt = Callable[[Channel], Card | None]


def recognise(channel: Channel, atr: bytes, profiles: Sequence[Profile] | None = None) -> Card:
    """Return the card application in the reader, selected on `channel`.

    The ATR only decides what is tried first: ATRs of Java Cards are shared by unlike cards.

    Args:
        channel: the transaction.
        atr: answer to reset.
        profiles: HCA card types known, drafts left out; None is the reference profile alone.

    Raises:
        UnknownCardError: no application known to us answered.
        HicosModuleError: a HiCOS card that does not even say its number.
        CardDataError: an application answered, and what it says cannot be.
        PcscError: the link or the card failed.
    """
    given = (profile.reference(),) if profiles is None else profiles
    # A profile without identity is for the cards that it lists alone.
    known = tuple(
        entry for entry in given if not entry.draft and (entry.identity is not None or atr in entry.atrs)
    )
    for attempt in _attempts(atr, known):
        card = attempt(channel)
        if card is not None:
            return card
    if hicos_select.named_by(atr):
        # A card that named itself is never tried in another way: a VERIFY could follow, and cost a try.
        raise HicosModuleError
    if any(atr in entry.atrs for entry in known) or any(chip in atr for chip in CHIPS):
        raise UnknownCardError(
            "the chip is that of HCA cards, whose commands are not public: "
            "use the maker's PKCS#11 module or a profile for this card"
        )
    raise UnknownCardError


def _attempts(atr: bytes, profiles: Sequence[Profile]) -> list[Attempt]:
    """Return what to try, in order: what the ATR suggests, then the rest."""
    if hicos_select.named_by(atr):
        return [_hicos]
    citizen = CITIZEN_TEXT in atr
    ranked: list[tuple[bool, Attempt]] = [
        *((atr in entry.atrs, _hca(entry)) for entry in profiles),
        (atr in NHI_ATRS, lambda channel: NhiCard.open(channel, expected=atr in NHI_ATRS)),
        (False, _hicos),
        (citizen, lambda channel: _pkcs15(channel, CardKind.CITIZEN if citizen else CardKind.PKCS15)),
    ]
    return [attempt for _, attempt in sorted(ranked, key=lambda item: not item[0])]


def _hca(entry: Profile) -> Attempt:
    return lambda channel: HcaCard.open(channel, entry)


def _hicos(channel: Channel) -> Card | None:
    """Before PKCS#15 on a card that nothing is known of: a HiCOS card must not be sent a VERIFY."""
    found = hicos_select.generation(channel)
    if found is None:
        return None
    # Loaded late, as below.
    from hca_card.hicos import HicosCard

    return HicosCard.open(channel, found)


def _pkcs15(channel: Channel, kind: CardKind) -> Card | None:
    # Loaded late: the ASN.1 reader is not needed for the cards most people have.
    from hca_card.pkcs15 import Pkcs15Card

    return Pkcs15Card.open(channel, kind=kind)
