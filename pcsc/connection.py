"""A connection to a card, and the transactions in which commands are sent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Self

from pcsc import pinpad
from pcsc.apdu import LE_SHORT_MAX, Command, Response
from pcsc.apdu_processors import LengthForm, Send, assemble, extended_length
from pcsc.atr import historical_bytes
from pcsc.context import Context, ReaderState
from pcsc.errors import BindingError, CardRemovedError, CommunicationError, NoCardError, PcscError
from pcsc.results import RESET_CODES, ReturnCode, check, error, unsigned
from pcsc.winscard import CardProtocol, Disposition, Share

_log = logging.getLogger(__name__)

_ANY_PROTOCOL: Final = int(CardProtocol.T0 | CardProtocol.T1)
_LENGTHS_MAX: Final = 64
_SETTLE: Final = 0.6
"""Seconds in which a driver that polls its reader has noticed that the card is out."""


class Connection:
    """A connection to the card in `reader`, with T=0 or T=1 as the card prefers. A context manager.

    For one thread. Making it waits while another program holds a transaction. Closing it leaves the card
    powered and as it is for other programs, and resets it only if a transaction was never ended properly.
    It is of no more use once the card was pulled out.

    Args:
        context: where the reader is.
        reader: the reader's PC/SC name.
        exclusive: keep every other program out until the connection closes.

    Attributes:
        reader: the reader's PC/SC name.
        atr: the card's answer to reset.
        start_counter: the reader's count of insertions and removals since this very card is in it.
        protocol: T=0 or T=1.

    Raises:
        NoCardError: the reader is empty.
        ReaderBusyError: another program holds the card exclusively, or uses it and `exclusive` is asked.
        ReaderUnavailableError: there is no such reader.
        CardMuteError: the card does not answer.
    """

    def __init__(self, context: Context, reader: str, *, exclusive: bool = False) -> None:
        self._context = context
        self._winscard = context.winscard
        self._share = Share.EXCLUSIVE if exclusive else Share.SHARED
        self._thread = threading.get_ident()
        self._open: Transaction | None = None
        self.reader: Final = reader
        self._card: Any = None
        self._card, protocol = self._connect()
        try:
            self.protocol = CardProtocol(protocol)
            # Asked after connecting: had the card been changed in between, the handle would be dead already.
            state = self._state()
            self.start_counter, self.atr = state.event_counter, state.atr
        except BaseException:
            self.close()
            raise

    def _connect(self) -> tuple[Any, int]:
        arguments = self._context.handle, self.reader
        code, card, protocol = self._winscard.SCardConnect(*arguments, self._share, _ANY_PROTOCOL)
        if code == ReturnCode.SUCCESS:
            return card, protocol
        if unsigned(code) not in RESET_CODES:
            raise error(code, reader=self.reader)
        # Another program has left the card without power. Nobody loses anything if it is started anew.
        code, card, _ = self._winscard.SCardConnect(*arguments, Share.DIRECT, 0)
        check(code, reader=self.reader)
        code, protocol = self._winscard.SCardReconnect(card, self._share, _ANY_PROTOCOL, Disposition.RESET)
        if code != ReturnCode.SUCCESS:
            self._winscard.SCardDisconnect(card, Disposition.LEAVE)
        check(code, reader=self.reader)
        return card, protocol

    @property
    def handle(self) -> Any:
        """The SCARDHANDLE.

        Raises:
            RuntimeError: the connection has been closed, or belongs to another thread.
        """
        if self._card is None:
            raise RuntimeError("this connection has been closed")
        if threading.get_ident() != self._thread:
            raise RuntimeError("a connection is to be used from the thread that made it")
        return self._card

    def transmit(self, command: bytes) -> bytes:
        """Exchange one raw APDU, nothing added and nothing checked.

        Raises:
            CardRemovedError: the card was pulled out.
            CardResetError: another program reset the card or cut its power.
            CommunicationError: the exchange failed though the card is still there.
            ReaderUnavailableError: the reader was unplugged.
            ServiceUnavailableError: the service stopped.
        """
        code, answer = self._winscard.SCardTransmit(self.handle, self.protocol, list(command))
        if code != ReturnCode.SUCCESS:
            raise self._failure(code)
        # vpcd and some drivers answer nothing, successfully, when the card is pulled in mid-command.
        if not answer and self._was_pulled_out():
            raise CardRemovedError(reader=self.reader)
        return bytes(answer)

    @property
    def pin_pad(self) -> pinpad.PinPad | None:
        """The reader's keypad, or None where it has none that can verify a PIN."""
        features = self._reader_features()
        return pinpad.PinPad(self._control, features) if features.verify is not None else None

    def reset(self) -> None:
        """Reset the card, and with it whatever anybody has selected or verified.

        Raises:
            PcscError: as `transmit`.
        """
        self._reconnect(Disposition.RESET)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Keep other programs from the card for the length of the block; waits until they let go of it.

        A card that another program has reset meanwhile is fine: nothing was done yet. At the end the actions
        of `Transaction.before_end` run. The card is reset if one of them fails, if an exchange failed, or if
        the block was interrupted; else it is left as it is.

        Raises:
            CardRemovedError: the card was pulled out since the connection was made.
            RuntimeError: this connection is in a transaction already.
        """
        if self._open is not None:
            raise RuntimeError("transactions do not nest")
        # Noted first: interrupted between here and the block, `close` still has the card reset.
        send = assemble(self.transmit, self._length_form(), self._context.observe)
        transaction = self._open = Transaction(self, send)
        try:
            self._begin()
        except PcscError:
            self._open = None
            raise
        try:
            yield transaction
        except Exception:
            transaction.end(interrupted=False)
            raise
        except BaseException:
            transaction.end(interrupted=True)
            raise
        transaction.end(interrupted=False)

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        card, self._card = self._card, None
        if card is None:
            return
        disposition = Disposition.LEAVE
        if self._open is not None:
            self._open = None
            disposition = Disposition.RESET
            self._winscard.SCardEndTransaction(card, disposition)
        self._winscard.SCardDisconnect(card, disposition)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        code = self._winscard.SCardBeginTransaction(self.handle)
        if code == ReturnCode.SUCCESS:
            return
        if unsigned(code) in RESET_CODES:
            self._reconnect(Disposition.LEAVE)
            code = self._winscard.SCardBeginTransaction(self.handle)
        if code != ReturnCode.SUCCESS:
            raise self._failure(code)

    def end_transaction(self, *, reset: bool) -> None:
        """Let other programs at the card again; called by `Transaction.end`."""
        self._open = None
        if self._card is None:
            return
        disposition = Disposition.RESET if reset else Disposition.LEAVE
        code = self._winscard.SCardEndTransaction(self._card, disposition)
        # A card that another program has reset meanwhile is as it should be.
        if reset and unsigned(code) not in (ReturnCode.SUCCESS, *RESET_CODES):
            card, self._card = self._card, None
            self._winscard.SCardDisconnect(card, Disposition.RESET)

    def _reconnect(self, initialization: Disposition) -> None:
        code, protocol = self._winscard.SCardReconnect(
            self.handle, self._share, _ANY_PROTOCOL, initialization
        )
        if code != ReturnCode.SUCCESS:
            raise self._failure(code)
        # pcsc-lite reconnects to whatever card is there now.
        if not self._is_ours(self._state()):
            raise CardRemovedError(reader=self.reader)
        self.protocol = CardProtocol(protocol)

    def _failure(self, code: int) -> PcscError:
        """Return the exception for `code`; of a card that was pulled out, `CardRemovedError`."""
        failure = error(code, reader=self.reader)
        if isinstance(failure, NoCardError):
            return CardRemovedError(code, reader=self.reader)
        if isinstance(failure, CommunicationError) and self._was_pulled_out():
            return CardRemovedError(code, reader=self.reader)
        return failure

    def _was_pulled_out(self) -> bool:
        """Return whether our card was pulled out; the service is given a moment to notice."""
        deadline = time.monotonic() + _SETTLE
        try:
            while self._is_ours(state := self._state()):
                left = deadline - time.monotonic()
                if left <= 0 or not self._context.wait([state], left):
                    return False
        except PcscError:
            return False
        return True

    def _is_ours(self, state: ReaderState) -> bool:
        return state.present and state.event_counter == self.start_counter

    def _state(self) -> ReaderState:
        return self._context.states([self.reader])[0]

    def _length_form(self) -> LengthForm:
        known, key = self._context.lengths, (self.reader, self.atr)
        if key not in known:
            if len(known) >= _LENGTHS_MAX:
                known.clear()  # a card may say another ATR each time
            extended = _extended_by(self.atr)
            if self.protocol == CardProtocol.T0 or not self._reader_takes_extended():
                extended = False
            known[key] = LengthForm(extended, self._context.passed_extended, self.reader)
        return known[key]

    def _reader_takes_extended(self) -> bool:
        code = self._reader_features().properties
        if code is None:
            return True
        most = pinpad.max_apdu_data(self._ask_reader(code))
        return most is None or most > LE_SHORT_MAX

    def _reader_features(self) -> pinpad.Features:
        # They stay the same for as long as the reader is there; whoever meets an error makes a new context.
        known = self._context.features
        features = known.get(self.reader)
        if features is None:
            features = pinpad.Features.decode(self._ask_reader(pinpad.GET_FEATURE_REQUEST))
            known[self.reader] = features
        return features

    def _ask_reader(self, code: int) -> bytes:
        """Return what the reader says of itself; nothing where it says none of it, in whatever way."""
        try:
            result, answer = self._winscard.SCardControl(self.handle, code, [])
        except BindingError:
            return b""
        # Drivers that know nothing of the question answer with one code or another.
        return bytes(answer) if result == ReturnCode.SUCCESS else b""

    def _control(self, code: int, data: bytes) -> bytes:
        result, answer = self._winscard.SCardControl(self.handle, code, list(data))
        if result != ReturnCode.SUCCESS:
            raise self._failure(result)
        return bytes(answer)


@lru_cache(maxsize=64)
def _extended_by(atr: bytes) -> bool | None:
    """Return what the card says of extended length when it is put in."""
    return extended_length(historical_bytes(atr))


class Transaction:
    """The card for oneself; made by `Connection.transaction`. It is a `hca_card.model.Channel`.

    Attributes:
        connection: the connection it belongs to.
    """

    def __init__(self, connection: Connection, send: Send) -> None:
        self.connection: Final = connection
        self._send = send
        self._actions: list[Callable[[], None]] = []
        self._broken = False
        self._ended = False

    def send(self, command: Command) -> Response:
        """Exchange one logical command: extended length, chaining, 61XX and 6CXX are dealt with.

        Returns:
            The response, whatever its status word. It may hold less than Le, where the short form had to do.

        Raises:
            PcscError: as `Connection.transmit`.
            MalformedResponseError: what the card answered is no response to this command.
            RuntimeError: the transaction has ended.
        """
        self._refuse_after_end()
        try:
            return self._send(command)
        except PcscError:
            self._broken = True
            raise

    def before_end(self, action: Callable[[], None]) -> None:
        """Run `action` when the transaction ends, however it ends, the last registered first.

        Register what undoes a state before setting it. If an action raises, the card is reset, and that is
        all: what the transaction was for has succeeded or failed by itself.

        Raises:
            RuntimeError: the transaction has ended.
        """
        self._refuse_after_end()
        self._actions.append(action)

    def _refuse_after_end(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended")

    @property
    def pin_pad(self) -> pinpad.PinPad | None:
        """The reader's keypad, or None."""
        return self.connection.pin_pad

    def end(self, *, interrupted: bool) -> None:
        """Run the actions and let go of the card; called once, by `Connection.transaction`."""
        stop: BaseException | None = None
        failed = False
        while self._actions:
            action = self._actions.pop()
            try:
                action()
            except Exception as trouble:
                failed = True
                # A card that is gone has no state any more.
                level = logging.DEBUG if isinstance(trouble, CardRemovedError) else logging.WARNING
                _log.log(level, "the card is reset: undoing its state failed (%s)", type(trouble).__name__)
            except BaseException as trouble:
                stop = trouble
        self._ended = True
        self.connection.end_transaction(reset=failed or interrupted or self._broken or stop is not None)
        if stop is not None:
            raise stop
