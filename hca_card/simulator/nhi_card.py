"""A simulated NHI card: a Java Card applet that answers GET DATA and has no files."""

from __future__ import annotations

from typing import Final

from hca_card.model import Insured
from hca_card.simulator.dispatcher import Chip, Handler, RefusalError
from hca_card.simulator.iso_card import INS_GET_DATA
from hca_card.simulator.persons import INSURED, insured_record
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

AID: Final = bytes.fromhex("D1580000010000000000000000001100")
ATR: Final = bytes.fromhex("3BFF1800FF8131FE455448434331305445434F4744484E3224")
ATR_NEW: Final = bytes.fromhex("3BEE00008131FE4580318066409093060F17830F9000F3")

_IN_USE: Final = b"1"


class SimulatedNhiCard(Chip):
    """A card that is read by GET DATA.

    Args:
        atr: answer to reset.
        number: card number, 12 digits.
        issued: ROC date of issue.
        insured: whose card it is.
        selectable: otherwise it answers 6D00 to every SELECT, its applet being there from power-up.
    """

    def __init__(
        self, atr: bytes, number: str, issued: str, insured: Insured = INSURED, *, selectable: bool
    ) -> None:
        self._selectable = selectable
        # P1 P2 and command data of GET DATA to what it answers.
        self._data = {
            (b"\x11\x00", b"\x00\x00"): insured_record(insured, number, issued),
            (b"\x00\x00", b"\x00\x00"): number.encode("ascii"),
            (b"\x24\x00", b"\x00\x00"): _IN_USE,
        }
        handlers: dict[int, Handler] = {INS_GET_DATA: self._get_data}
        if selectable:
            handlers[0xA4] = self._select
        super().__init__(atr, handlers)
        self.reset()

    def reset(self) -> None:
        """As after power-up: the applet is selected only where nobody can select it."""
        super().reset()
        self._selected = not self._selectable

    def _select(self, command: Command) -> Response:
        if command.p1 != 0x04 or command.data != AID:
            raise RefusalError(StatusWord.FILE_NOT_FOUND)
        self._selected = True
        return Response(b"", StatusWord.SUCCESS)

    def _get_data(self, command: Command) -> Response:
        if not self._selected:
            raise RefusalError(StatusWord.INS_NOT_SUPPORTED)
        data = self._data.get((bytes((command.p1, command.p2)), command.data))
        if data is None:
            raise RefusalError(StatusWord.WRONG_P1P2)
        return Response(data, StatusWord.SUCCESS)
