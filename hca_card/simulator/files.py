"""The files of a simulated card (ISO/IEC 7816-4 §7): MF, DFs, transparent EFs, what SELECT says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hca_card.simulator.der import tlv

MF_ID: Final = 0x3F00
DF_PKCS15: Final = 0x5015


@dataclass(frozen=True, slots=True)
class ElementaryFile:
    """A transparent EF.

    Attributes:
        fid: file identifier, two bytes as a number.
        content: what READ BINARY reads.
        sfi: short identifier 1 to 30, or None.
    """

    fid: int
    content: bytes
    sfi: int | None = None

    def control_parameters(self) -> bytes:
        """File control parameters (ISO/IEC 7816-4 §7.4.3): size, descriptor, identifiers, activated."""
        sfi = tlv(0x88, bytes((self.sfi << 3,))) if self.sfi is not None else b""
        return (
            tlv(0x80, len(self.content).to_bytes(2, "big"))
            + tlv(0x82, b"\x01")
            + tlv(0x83, self.fid.to_bytes(2, "big"))
            + sfi
            + tlv(0x8A, b"\x05")
        )


@dataclass(slots=True, eq=False)
class DedicatedFile:
    """A DF, or the MF: files under their identifiers."""

    fid: int
    files: tuple[ElementaryFile | DedicatedFile, ...]
    parent: DedicatedFile | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for file in self.files:
            if isinstance(file, DedicatedFile):
                file.parent = self

    def control_parameters(self) -> bytes:
        """File control parameters: descriptor `38` is a DF (ISO/IEC 7816-4 §7.4.5, table 14)."""
        return tlv(0x82, b"\x38") + tlv(0x83, self.fid.to_bytes(2, "big")) + tlv(0x8A, b"\x05")

    def child(self, fid: int) -> ElementaryFile | DedicatedFile | None:
        """Return the file of that identifier directly under this one."""
        return next((file for file in self.files if file.fid == fid), None)

    def by_sfi(self, sfi: int) -> ElementaryFile | None:
        """Return the EF of that short identifier directly under this one."""
        files = (file for file in self.files if isinstance(file, ElementaryFile))
        return next((file for file in files if file.sfi == sfi), None)


@dataclass(frozen=True, slots=True)
class Application:
    """An application, selected by its AID.

    Attributes:
        aid: application identifier, 5 to 16 bytes.
        label: its name, as EF.DIR has it.
        root: the DF that is current once it is selected.
        answer: the response data of SELECT; normally an FCI template.
    """

    aid: bytes
    label: str
    root: DedicatedFile
    answer: bytes


def application(
    aid: bytes, label: str, root: DedicatedFile, discretionary: bytes = b"", *, tag: int = 0x53
) -> Application:
    """Return an application that answers SELECT with its AID, its label and, if any, discretionary data."""
    more = tlv(tag, discretionary) if discretionary else b""
    return Application(aid, label, root, tlv(0x6F, tlv(0x84, aid), tlv(0x50, label.encode()), more))
