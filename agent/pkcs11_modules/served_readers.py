"""Which reader is served by which module, from what the modules said of their slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.pkcs11_modules.source import Cards, ModuleSource
from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess

_DESCRIPTION_OCTETS: Final = 64


@dataclass(frozen=True, slots=True)
class ServedReader:
    """A reader that a module serves.

    Attributes:
        reader: its name: PC/SC's, where PC/SC has it.
        module: the module.
        slot: what the module said of the slot.
        generation: the process that said so.
        card: answer to reset and event counter; None for a slot that is no reader of PC/SC.
    """

    reader: str
    module: ModuleProcess
    slot: messages.Slot
    generation: int
    card: tuple[bytes, int] | None

    @property
    def holds(self) -> bool:
        """Whether the process that said so is still there."""
        return self.module.running and self.module.generation == self.generation


def arranged(
    sources: Sequence[ModuleSource], cards: Cards, readers: Sequence[str]
) -> dict[str, ServedReader]:
    """Each reader's module: the first in the order of the list, and there the first slot with a token."""
    found: dict[str, ServedReader] = {}
    there = {name: (atr, counter) for name, atr, counter in cards}
    for source in sources:
        for slot in source.slots:
            reader = _reader_of(slot, readers)
            if reader is None:
                if source.serves is None:
                    name = _own_name(slot, found)
                    found[name] = ServedReader(name, source.process, slot, source.generation, None)
                continue
            card = there.get(reader)
            serves = card is not None and (source.serves is None or source.serves(card[0]))
            if serves and reader not in found:
                found[reader] = ServedReader(reader, source.process, slot, source.generation, card)
    return found


def _reader_of(slot: messages.Slot, readers: Sequence[str]) -> str | None:
    """Return the PC/SC reader that a slot is: described by the reader's name, or as much of it as fits."""
    if slot.description in readers:
        return slot.description
    shortened = [
        name
        for name in readers
        if _shortened(name) == slot.description and len(name.encode()) > _DESCRIPTION_OCTETS
    ]
    return shortened[0] if len(shortened) == 1 else None


def _shortened(name: str) -> str:
    return name.encode()[:_DESCRIPTION_OCTETS].decode("utf-8", "ignore").strip()


def _own_name(slot: messages.Slot, taken: Mapping[str, ServedReader]) -> str:
    name = slot.description or slot.label or f"PKCS#11 slot {slot.id}"
    return name if name not in taken else f"{name} ({slot.label or slot.id})"
