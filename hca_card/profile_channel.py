"""A channel on which commands leave as the card of a profile takes them: class bytes, SELECT, chaining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hca_card.model import Channel
from hca_card.profile_format import Commands
from pcsc.apdu import LE_SHORT_MAX, Command, Response

_SELECT: Final = 0xA4
_NO_ANSWER: Final = 0x0C
_CHAINING: Final = 0x10


class ProfileChannel:
    """As the channel inside, for commands that were made as the standard has them.

    Args:
        channel: the transaction.
        commands: what is different.
    """

    def __init__(self, channel: Channel, commands: Commands) -> None:
        self._channel = channel
        self._chain = commands.chain
        self._select_p2 = commands.select_p2
        self._classes = {
            _SELECT: commands.select_class,
            **dict.fromkeys((0xB0, 0xB2), commands.read_class),
            **dict.fromkeys((0xCA, 0xCB), commands.data_class),
            **dict.fromkeys((0x20, 0x24, 0x2C), commands.pin_class),
            **dict.fromkeys((0x22, 0x2A, 0x88), commands.key_class),
        }

    def send(self, command: Command) -> Response:
        """As `Channel.send`."""
        cla = self._classes.get(command.ins, 0)
        if command.ins == _SELECT:
            le = None if self._select_p2 == _NO_ANSWER else command.le
            command = replace(command, cla=cla, p2=self._select_p2, le=le)
        elif cla:
            command = replace(command, cla=cla)
        if not self._chain:
            return self._channel.send(command)
        data, whole = command.data, command
        while len(data) > self._chain:
            part, data = data[: self._chain], data[self._chain :]
            answer = self._channel.send(replace(whole, cla=whole.cla | _CHAINING, data=part, le=None))
            if not answer.ok:
                return answer
        le = whole.le and min(whole.le, LE_SHORT_MAX)
        return self._channel.send(replace(whole, data=data, le=le))

    def before_end(self, action: Callable[[], None]) -> None:
        """As `Channel.before_end`."""
        self._channel.before_end(action)
