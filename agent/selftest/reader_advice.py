"""What is wrong with the readers that are plugged in, and exactly what to do about it on this system."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from agent.selftest.model import Bilingual
from agent.selftest.usb_readers import UsbReader, UsbTrouble
from hca_card.big5 import printable

_NAME_MAX: Final = 128
FACTS: Final = Path(__file__).with_name("readers.toml")

_SLOT: Final = re.compile(r"\b(HPC|HC)\b[\s\d]*$")
"""The end of the name of an NHI reader's slot, which pcsc-lite and Windows put numbers behind."""


@dataclass(frozen=True, slots=True)
class KnownReader:
    """What is known of a reader.

    Attributes:
        name: what people call it.
        ccid: the system's own driver can serve it; else it needs its maker's.
    """

    name: str
    ccid: bool


@dataclass(frozen=True, slots=True)
class _Facts:
    readers: Mapping[str, KnownReader]
    steps: Mapping[tuple[str, str], Bilingual]


@dataclass(frozen=True, slots=True)
class Advice:
    """A reader that is of no use, or of less than it could be.

    Attributes:
        reader: its name and USB identity.
        next: what to do.
    """

    reader: str
    next: Bilingual


class Slot(StrEnum):
    """The slots of an NHI reader (健保專用讀卡機), as their names end."""

    PERSON = "HC"
    """健保卡, the card of whoever is insured."""
    PROFESSIONAL = "HPC"
    """醫事人員卡."""


SLOT_WORDS: Final = {
    Slot.PERSON: ("健保卡的插槽", "the slot for NHI cards"),
    Slot.PROFESSIONAL: ("醫事人員卡的插槽", "the slot for HCA cards"),
}


def slot_of(reader: str) -> Slot | None:
    """Return which slot of an NHI reader has that name; None for any other reader."""
    found = _SLOT.search(reader)
    return None if found is None else Slot(found[1])


def known_readers() -> Mapping[str, KnownReader]:
    """Return what is known of readers, by USB identity."""
    return _facts().readers


def advice(plugged_in: Sequence[UsbReader], listed: Iterable[str], platform: str) -> list[Advice]:
    """Return what is to be done about readers that are plugged in.

    Args:
        plugged_in: the readers on USB.
        listed: names of real readers that the smart card service has.
        platform: `sys.platform`.
    """
    names = list(listed)
    missing = _not_listed(plugged_in, names)
    found = []
    for reader in plugged_in:
        cause = _cause(reader, missing=reader in missing)
        step = _facts().steps.get((cause, platform))
        if step is not None:
            culprit = printable(reader.culprit[:_NAME_MAX])
            told = Bilingual(step.zh.format(culprit=culprit), step.en.format(culprit=culprit))
            found.append(Advice(label(reader), told))
    return found


def label(reader: UsbReader) -> str:
    """Return a reader's name and USB identity."""
    known = known_readers().get(reader.identity)
    name = known.name if known is not None else printable(reader.name[:_NAME_MAX])
    return f"{name or 'USB'} ({reader.identity})"


def _cause(reader: UsbReader, *, missing: bool) -> str:
    """Return the trouble by its name in `readers.toml`; empty for none."""
    if reader.trouble is not None:
        foreign = reader.trouble is UsbTrouble.NO_DRIVER and _needs_makers_driver(reader)
        return "not_ccid" if foreign else reader.trouble.value
    if _needs_makers_driver(reader):
        return "generic" if reader.generic else "not_ccid" if missing else ""
    return "not_listed" if missing else ""


def _needs_makers_driver(reader: UsbReader) -> bool:
    known = known_readers().get(reader.identity)
    return not reader.ccid and known is not None and not known.ccid


def _not_listed(plugged_in: Sequence[UsbReader], names: Sequence[str]) -> list[UsbReader]:
    """Return the readers that the service does not list; none where it has as many as are plugged in.

    A driver may call its reader something else. So names only tell which of several is missing, and where
    they do not, it is the one that needs more than the system has.
    """
    left, missing = list(names), []
    for reader in plugged_in:
        known = known_readers().get(reader.identity)
        words = [word for word in (reader.name, known.name if known else "") if word]
        match = next((name for name in left if any(word in name for word in words)), None)
        if match is None:
            missing.append(reader)
        else:
            left.remove(match)
    missing.sort(key=lambda reader: not _needs_makers_driver(reader))
    return missing[: max(0, len(plugged_in) - len(names))]


@cache
def _facts() -> _Facts:
    written = tomllib.loads(FACTS.read_text("utf-8"))
    readers = {
        identity: KnownReader(each["name"], each["ccid"])
        for each in written.pop("reader")
        for identity in each["usb"]
    }
    steps = {
        (cause, platform): Bilingual(step["zh"], step["en"])
        for cause, systems in written.items()
        for platform, step in systems.items()
    }
    return _Facts(readers, steps)
