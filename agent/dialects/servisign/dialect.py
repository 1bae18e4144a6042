"""The ServiSign dialect: a form body in, a JSON body out, and operations in between."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent.dialects.agreed import AgreedSessions
from agent.dialects.servisign import nhi_reader_functions, pcsc_functions
from agent.dialects.servisign.codes import (
    BAD_PARAMETER,
    BUSY,
    NOT_AUTHORISED,
    UNKNOWN_FUNCTION,
    FrameworkError,
    LibraryCode,
    LibraryError,
)
from agent.dialects.servisign.framing import ECHO_NAMES, PageRequest, decode_request, encode_reply
from agent.dialects.servisign.functions import FunctionCall, LibraryFunction, error_code
from agent.dialects.servisign.network import AllowedHosts
from agent.dialects.servisign.sessions import PageSession, PageSessions, SessionLimits
from agent.dialects.servisign.shared_values import SharedValues, is_for_others
from agent.errors import AgentError, ErrorId, error_id, row_for, where
from agent.places import Places, Turns
from agent.vocabulary import Verb

if TYPE_CHECKING:
    from agent.config import Config
    from agent.operations import Operations

_log = logging.getLogger(__name__)

FUNCTIONS: Final = pcsc_functions.FUNCTIONS | nhi_reader_functions.FUNCTIONS


# A document of some hundred kilobytes takes as long as some hundred calls.
_DECODED_AT_ONCE: Final = 64 * 1024
_LARGE_MAX: Final = 64
_LARGE_OF_STRANGERS_MAX: Final = 4
_NO_CARD: Final = 9056
_NO_CARD_NHI: Final = 30037


def refusal() -> bytes:
    """Return the body for an origin that may not use this program: an Echo result that stops its search."""
    return encode_reply(str(NOT_AUTHORISED))


class ServiSignDialect:
    """Answers the pages' old adapters.

    Args:
        operations: what does the work.
        config: its `servisign` section has the versions an Echo tells; pages compare them with their minimum.
        limits: how long sessions live and how many there are.
        clock: seconds that only grow; tests put their own here.
    """

    def __init__(
        self,
        operations: Operations,
        config: Config,
        *,
        limits: SessionLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operations = operations
        self._settings = config.servisign
        self._agreed = None if config.sessions.page_pins else AgreedSessions(operations)
        self._limits = limits or SessionLimits()
        self._sessions = PageSessions(self._limits, operations.rank, clock)
        if self._agreed is not None:
            self._sessions.last_left = self._agreed.left
        self._values = SharedValues(operations.rank, clock)
        self._hosts = AllowedHosts(self._settings)
        # A request can hold a PIN: what is kept of it says nothing without this key.
        self._key = secrets.token_bytes(32)
        self._timer: asyncio.TimerHandle | None = None
        self._large = Turns(Places(operations.rank, total=_LARGE_MAX, strangers=_LARGE_OF_STRANGERS_MAX))

    async def handle(self, origin: str, body: bytes) -> bytes:
        """Answer one request of an admitted origin.

        Args:
            origin: the page's origin, as the browser says it.
            body: the form body.

        Returns:
            The reply's body; whatever is wrong with the request is said in it, never raised.
        """
        self._arm()
        request: PageRequest | None = None
        try:
            request = await self._decoded(origin, body)
            if request.function in ECHO_NAMES:
                return self._echo(origin, request)
            return encode_reply(await self._answer(origin, request, body))
        except FrameworkError as error:
            return self._failed(origin, request, error.code)

    def excuse(self, origin: str, status: int) -> bytes:
        """Return the body for a request that is not read: too many, too large, too slow, or no form.

        Older adapters hand their page the result of the call before when a reply has none.
        """
        code = BUSY if status == HTTPStatus.TOO_MANY_REQUESTS else BAD_PARAMETER
        return self._failed(origin, None, code)

    async def _decoded(self, origin: str, body: bytes) -> PageRequest:
        """Return the request, a large one read in a thread, one at a time, to keep nobody waiting."""
        if len(body) <= _DECODED_AT_ONCE:
            return decode_request(body)
        try:
            async with self._large.turn(origin):
                return await asyncio.to_thread(decode_request, body)
        except AgentError:
            raise FrameworkError(BUSY) from None

    def _failed(self, origin: str, request: PageRequest | None, code: int) -> bytes:
        """Return the body for a call whose function never began; pages look at nothing but GetErrorCode."""
        for session in self._sessions.named_by(origin, request):
            session.last_error = code
        return encode_reply(str(code))

    def close(self) -> None:
        """End all sessions and wipe what they kept."""
        self._sessions.close()
        self._values.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _echo(self, origin: str, request: PageRequest) -> bytes:
        session = self._sessions.open(origin, request)
        return encode_reply(
            "0",
            ServerVersion=self._settings.server_version,
            LibVersion=self._settings.library_version,
            InstallerVersion=self._settings.installer_version,
            SessionID=session.id,
        )

    async def _answer(self, origin: str, request: PageRequest, body: bytes) -> str:
        match request.function:
            case "ServiSignRelease" | "ServiSignForceRelease":
                # Not in the session's turn: a page that goes away does not wait for its own call.
                self._sessions.release(origin, request, force=request.function == "ServiSignForceRelease")
                return "0"
            case "ServiSignCheckUpdate":
                return "0"  # a page cannot update this program
            case "setServiSignValue" | "getServiSignValue":
                return await self._value(self._sessions.find(origin, request), request)
        function = FUNCTIONS.get(request.function)
        if function is None:
            raise FrameworkError(UNKNOWN_FUNCTION)
        session = self._sessions.find(origin, request)
        work = partial(self._in_turn, session, function, request)
        if not request.keep_alive:
            return await self._sessions.in_turn(session, work)
        key = hashlib.blake2b(body, key=self._key).digest()
        return await session.heartbeats.answer(key, partial(self._sessions.in_turn, session, work))

    async def _value(self, session: PageSession, request: PageRequest) -> str:
        channel, origin = request.text("channel"), session.origin
        if request.function == "getServiSignValue":
            return self._values.get(origin, channel)
        sites = request.text("domain_list")
        if is_for_others(origin, sites):
            # Its reader cannot see who wrote it, and may take it for its own.
            try:
                await self._operations.permit(session.caller, Verb.READ)
            except AgentError as error:
                raise FrameworkError(row_for(error).servisign) from None
        self._values.put(
            origin,
            channel,
            sites=sites,
            seconds=request.number("timeout"),
            text=request.text("value"),
        )
        return "0"

    async def _in_turn(self, session: PageSession, function: LibraryFunction, request: PageRequest) -> str:
        try:
            call = FunctionCall(
                function, request, session, self._operations, self._hosts, agreed=self._agreed
            )
            try:
                answer = function.implementation(call)
                text = function.success(await answer if inspect.isawaitable(answer) else answer)
            finally:
                call.wipe()
        except FrameworkError:
            raise  # the function never began
        except Exception as error:
            # Whoever refused: no text that a page could take for a signature, nor a number for a handle.
            session.last_error = _number(error, function)
            return function.failure(session.last_error)
        if function.implementation is not error_code:
            session.last_error = LibraryCode.OK
        return text

    def _arm(self) -> None:
        if self._timer is None:
            # Half the shortest time, so that a PIN outlives its time by half of it at the most.
            self._timer = asyncio.get_running_loop().call_later(self._limits.pin_idle_s / 2, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._sessions.expire()
        if len(self._sessions):
            self._arm()


def _number(error: Exception, function: LibraryFunction) -> int:
    """Return what GetErrorCode says of `error`."""
    if isinstance(error, FrameworkError | LibraryError):
        number = error.code
    else:
        number = row_for(error).servisign
        if error_id(error) == ErrorId.INTERNAL:
            _log.error("%s failed: %s", function.name, where(error))
    if number == _NO_CARD and function.name in nhi_reader_functions.FUNCTIONS:
        return _NO_CARD_NHI
    return number
