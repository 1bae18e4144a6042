"""What a probe has found. It holds personal data; only `hca_card.probe.masking` makes it fit to be shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from hca_card.pkcs15 import Directory
from hca_card.probe.atr import AtrFacts


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was read, or that is there and may not be read.

    Attributes:
        sfi: short file identifier in its application; 0 where it was found by its path.
        path: its path; empty where it was found by its short identifier.
        content: what was read of it, records one after another.
        size: its size in bytes, by its FCI or as read; None where neither says.
        records: how many records, 0 for a transparent file.
        sw: the status word of the last read.
    """

    sfi: int
    path: bytes
    content: bytes
    size: int | None
    records: int
    sw: int


@dataclass(slots=True)
class FoundApplication:
    """An application that answered SELECT by its AID.

    Attributes:
        aid: as it was asked for.
        name: what it is, where this program knows its AID.
        sw: status word of SELECT.
        fci: what SELECT answered.
        files: what its short identifiers lead to.
        objects: what GET DATA gave, by P1 P2 and command data.
    """

    aid: bytes
    name: str
    sw: int
    fci: bytes
    files: list[FoundFile] = field(default_factory=list)
    objects: dict[tuple[int, bytes], bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """All that a probe has found, as far as it came.

    Attributes:
        atr: answer to reset.
        atr_facts: in words.
        chip: which chip the historical bytes name, where that is one that HCA cards have.
        read_most: the most bytes that one READ BINARY may ask for; 0 as many as its form lets.
        data_objects: what GET DATA gave, by `80 CA 9F7F`.
        directory_files: EF.DIR and EF.ATR, by name.
        listed: AIDs in EF.DIR, and those that the issuer security domain tells.
        applications: those that answered SELECT.
        directory: the PKCS#15 directory.
        objects: files that the directory names, by path.
        structures: the files of the directory itself, by name.
        hicos: generation of a HiCOS card, 0 for other cards.
        hicos_version: what that card says of its version.
        notes: what could not be done, Chinese and English.
        commands: APDUs sent.
        ended: why the probe ended before its end; None where it did not.
    """

    atr: bytes
    atr_facts: AtrFacts
    chip: str = ""
    read_most: int = 0
    data_objects: dict[str, bytes] = field(default_factory=dict)
    directory_files: dict[str, bytes] = field(default_factory=dict)
    listed: list[bytes] = field(default_factory=list)
    applications: list[FoundApplication] = field(default_factory=list)
    directory: Directory | None = None
    objects: dict[bytes, FoundFile] = field(default_factory=dict)
    structures: dict[str, bytes] = field(default_factory=dict)
    hicos: int = 0
    hicos_version: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)
    commands: int = 0
    ended: Exception | None = None
