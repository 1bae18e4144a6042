"""A whole ISO/IEC 7816-4/-8/-15 card: files, PIN and keys behind one dispatcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hca_card.simulator.dispatcher import Dispatcher, Handler, RefusalError
from hca_card.simulator.file_commands import FileCommands
from hca_card.simulator.key_commands import INS_PSO, KeyCommands
from hca_card.simulator.rsa import RsaKey
from hca_card.simulator.security import PIN_REFERENCE, PUK_REFERENCE, Secret, SecurityCommands
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

INS_GET_DATA: Final = 0xCA


class IsoCard:
    """A card with files, a PIN, a PUK and keys; what a reader sees is `pcsc.winscard.VirtualCard`.

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
        keys: Mapping[int, RsaKey],
        *,
        pin: Secret,
        puk: Secret,
        references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE),
        usable: bool = True,
    ) -> None:
        self._atr = atr
        self.pin = pin
        self.puk = puk
        self._files = files
        self._security = SecurityCommands(pin, puk, references)
        self._keys = KeyCommands(keys, self._security.require_pin)
        guarded = {**self._security.handlers(), **self._keys.handlers()}
        if not usable:
            guarded = dict.fromkeys(guarded, _refuse)
        handlers: dict[int, Handler] = {**self._files.handlers(), **guarded, INS_GET_DATA: _no_data_objects}
        self._dispatcher = Dispatcher(handlers, chained=frozenset({INS_PSO}))

    def power_on(self) -> bytes:
        """Forget selection, verified PIN, chosen keys and unfinished exchanges; the ATR."""
        for part in (self._dispatcher, self._files, self._security, self._keys):
            part.reset()
        return self._atr

    def power_off(self) -> None:
        """Nothing to do that the next power-up does not."""

    def transmit(self, command: bytes) -> bytes:
        """Return the response APDU to a command APDU."""
        return self._dispatcher.transmit(command)


def _refuse(_: Command) -> Response:
    raise RefusalError(StatusWord.CONDITIONS)


def _no_data_objects(_: Command) -> Response:
    """GET DATA, which HCA cards answer with 6A86 where NHI cards answer with the holder."""
    raise RefusalError(StatusWord.WRONG_P1P2)
