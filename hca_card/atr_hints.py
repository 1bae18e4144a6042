"""What an ATR says for certain of a card, without a command being sent to it."""

from __future__ import annotations

from typing import Final

from hca_card.hicos_select import named_by
from hca_card.model import CardKind

NHI_TEXT: Final = b"THCC10TECOGD"
"""Historical bytes of NHI cards alone; the other ATRs they have are those of any Java Card."""

_HICOS: Final = frozenset((CardKind.CITIZEN, CardKind.PKCS15))
_NHI: Final = frozenset((CardKind.NHI,))


def only_kinds(atr: bytes) -> frozenset[CardKind] | None:
    """Return the kinds that a card with this ATR can be of; None if unlike cards share the ATR."""
    if NHI_TEXT in atr:
        return _NHI
    if named_by(atr):
        return _HICOS
    return None
