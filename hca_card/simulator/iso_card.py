"""A whole ISO/IEC 7816-4/-8/-15 card: files, PIN and keys behind one dispatcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hca_card.simulator.dispatcher import Chip, Handler, RefusalError
from hca_card.simulator.file_commands import FileCommands
from hca_card.simulator.key_commands import INS_PSO, CardKey, KeyCommands
from hca_card.simulator.security import PIN_REFERENCE, PUK_REFERENCE, Secret, SecurityCommands
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

INS_GET_DATA: Final = 0xCA


class IsoCard(Chip):
    """A card with files, a PIN, a PUK and keys.

    Args:
        atr: answer to reset.
        files: what can be selected and read.
        keys: key reference to private key.
        pin: the user's PIN.
        puk: what unblocks it.
        references: of PIN and PUK.
        usable: otherwise PIN and key commands answer 6985: the card is not opened yet (未開卡) or has ended.
    """

    def __init__(
        self,
        atr: bytes,
        files: FileCommands,
        keys: Mapping[int, CardKey],
        *,
        pin: Secret,
        puk: Secret,
        references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE),
        usable: bool = True,
    ) -> None:
        self.pin = pin
        self.puk = puk
        security = SecurityCommands(pin, puk, references)
        key_commands = KeyCommands(keys, security.require_pin)
        guarded = {**security.handlers(), **key_commands.handlers()}
        if not usable:
            guarded = dict.fromkeys(guarded, _refuse)
        handlers: dict[int, Handler] = {**files.handlers(), **guarded, INS_GET_DATA: _no_data_objects}
        super().__init__(atr, handlers, files, security, key_commands, chained=frozenset({INS_PSO}))


def _refuse(_: Command) -> Response:
    raise RefusalError(StatusWord.CONDITIONS)


def _no_data_objects(_: Command) -> Response:
    """GET DATA, which HCA cards answer with 6A86 where NHI cards answer with the holder."""
    raise RefusalError(StatusWord.WRONG_P1P2)
