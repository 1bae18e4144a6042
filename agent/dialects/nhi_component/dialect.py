"""What each command of the NHI component does, and what the person learns of those that cannot be done."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from agent.dialects.nhi_component.frames import VERSION, CommandFrame, answer
from agent.errors import AgentError, ErrorId, describe, error_id, row_for
from agent.errors.numbers.nhi_component import number_of
from agent.operations import Caller, Operations
from agent.origins.portals import named
from agent.origins.rate_limits import Buckets
from hca_card.errors import UnsupportedError
from hca_card.model import Card, CardKind, Insured, Metadata

log = logging.getLogger(__name__)

RANDOM_DIGITS: Final = 16
NOTICE_MINUTES: Final = 10
"""A site whose commands cannot be done is explained to the person once in this time."""
NOTICES_MAX: Final = 5
"""So many sites can be explained in that time; a page can have as many origins as it likes."""

_PASSWORD_LENGTH: Final = range(6, 13)

# The card's status text where it says so (1 normal, 2 cancelled), else empty.
_FLAGS: Final[Mapping[bool | None, str]] = MappingProxyType({False: "1", True: "2", None: ""})

Do = Callable[[Caller, CommandFrame], Awaitable[str]]


class NhiDialect:
    """The commands of the NHI component.

    Args:
        operations: all card work goes through these.
        tell: tells the person something, without being waited for.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        operations: Operations,
        tell: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operations = operations
        self._tell = tell
        seconds = NOTICE_MINUTES * 60
        self._notices = Buckets(1 / seconds, 1, clock)
        self._notices_of_all = Buckets(NOTICES_MAX / seconds, NOTICES_MAX, clock)
        self._commands: Mapping[str, Do] = {
            "GetVersion": self._version,
            "GetBasic": self._basic,
            "GetRandom": self._random,
            "EnCrypt": self._encrypt,
            "SecureGetBasicWithParam": self._encrypted_basic,
            "H_Sign": self._sign,
        }

    async def answer(self, caller: Caller, command: CommandFrame) -> str:
        """Return the answer to a command, a bare number where it cannot be done."""
        do = self._commands.get(command.name)
        if do is None:
            return self.refuse(caller, command.name, AgentError(ErrorId.REQUEST_UNKNOWN_METHOD))
        try:
            return await do(caller, command)
        except Exception as error:
            return self.refuse(caller, command.name, error)

    def refuse(self, caller: Caller, name: str, error: Exception) -> str:
        """Return the number for `error`; the log gets its sentence, and nothing that the page sent."""
        number = number_of(row_for(error))
        known = name if name in self._commands else "a command"
        if error_id(error) == ErrorId.INTERNAL:
            log.error("%s for %s failed", known, caller.origin, exc_info=error)
        else:
            who = caller.origin or "a program"
            log.info("%s for %s was answered %d: %s", known, who, number, describe(error).en)
        return str(number)

    async def _version(self, _caller: Caller, command: CommandFrame) -> str:
        _require_bare(command)
        return answer(command.name, VERSION)

    async def _random(self, _caller: Caller, command: CommandFrame) -> str:
        _require_bare(command)
        return answer(command.name, f"{secrets.randbelow(10**RANDOM_DIGITS):0{RANDOM_DIGITS}}")

    async def _basic(self, caller: Caller, command: CommandFrame) -> str:
        _require_bare(command)
        found = await self._operations.examine(caller, _read, kinds=(CardKind.NHI,))
        metadata, cancelled = found.result
        holder = metadata.holder
        if not isinstance(holder, Insured):
            raise AgentError(ErrorId.CARD_WRONG_KIND)
        return answer(
            command.name,
            metadata.serial,
            holder.id_number,
            holder.name,
            holder.birth,
            holder.sex,
            _FLAGS[cancelled],
        )

    async def _sign(self, caller: Caller, _command: CommandFrame) -> str:
        return self._cannot(caller, ErrorId.NHI_SIGNATURE)

    async def _encrypt(self, caller: Caller, command: CommandFrame) -> str:
        password = command.value("Pwd")
        if password is None or len(password) not in _PASSWORD_LENGTH:
            raise AgentError(ErrorId.NHI_PASSWORD_LENGTH)
        return self._cannot(caller, ErrorId.NHI_ENCRYPTION)

    async def _encrypted_basic(self, caller: Caller, command: CommandFrame) -> str:
        if not command.value("Pwd"):
            raise AgentError(ErrorId.NHI_PASSWORD_LENGTH)
        return self._cannot(caller, ErrorId.NHI_ENCRYPTION)

    def _cannot(self, caller: Caller, error_id: ErrorId) -> str:
        """Refuse what only NHI's own component can do, and let the person know, not too often.

        Raises:
            AgentError: always.
        """
        refused = AgentError(error_id)
        origin = caller.origin
        # Whoever asks for none may not make a stranger's notice cost a known site its own.
        if origin is not None and not self._notices.take(origin) and not self._notices_of_all.take(""):
            zh, en = named(origin)
            text = describe(refused)
            self._tell(f"網站 {zh}：{text.zh}{text.next_zh}", f"{en}: {text.en} {text.next_en}")
        raise refused


def _require_bare(command: CommandFrame) -> None:
    if command.parameter:
        raise AgentError(ErrorId.REQUEST_UNKNOWN_METHOD)


def _read(card: Card) -> tuple[Metadata, bool | None]:
    """Return the basic data, and whether the card was cancelled; runs in the reader's thread."""
    from hca_card.nhi import NhiCard

    if not isinstance(card, NhiCard):
        raise UnsupportedError
    return card.metadata(), card.cancelled()
