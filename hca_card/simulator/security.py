"""PIN and PUK of a simulated card: counters, VERIFY, CHANGE, RESET RETRY COUNTER (ISO/IEC 7816-4 §11.5)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import partial
from typing import Final

from hca_card.simulator.dispatcher import Handler, RefusalError
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

PIN_REFERENCE: Final = 0x01
PUK_REFERENCE: Final = 0x02
PIN_LENGTHS: Final = range(6, 9)
PUK_LENGTHS: Final = range(8, 9)


class Secret:
    """A PIN or PUK with its counter.

    Args:
        value: the right characters.
        lengths: how many characters it may have.
        tries: full number of tries.
        left: tries left, if fewer.
    """

    def __init__(self, value: bytes, lengths: range, tries: int, left: int | None = None) -> None:
        self._value = value
        self.lengths = lengths
        self._tries = tries
        self.left = tries if left is None else left

    def __repr__(self) -> str:
        return f"Secret(left={self.left})"

    @property
    def length(self) -> int:
        """How many characters it has now: where old and new come in one piece, the card cuts here."""
        return len(self._value)

    def refuse_if_blocked(self) -> None:
        """Raise 6983 if no try is left."""
        if not self.left:
            raise RefusalError(StatusWord.METHOD_BLOCKED)

    def require(self, presented: bytes) -> None:
        """Spend a try; get it back if `presented` is right.

        Raises:
            RefusalError: 6983 when there was none to spend, 63CX when it was wrong.
        """
        self.refuse_if_blocked()
        # Counted down before the comparison, as a card does, so that pulling it out in between gains nothing.
        self.left -= 1
        if not hmac.compare_digest(presented, self._value):
            raise RefusalError(StatusWord.VERIFICATION_FAILED | 0xC0 | self.left)
        self.left = self._tries

    def replace(self, value: bytes) -> None:
        """Take new characters and the full number of tries.

        Raises:
            RefusalError: 6A80 for a length or character that this secret does not take.
        """
        if len(value) not in self.lengths or not all(0x20 <= octet < 0x7F for octet in value):
            raise RefusalError(StatusWord.WRONG_DATA)
        self._value = value
        self.left = self._tries


class SecurityCommands:
    """The secrets of a card, and whether each has been verified since power-up.

    Args:
        pin: the holder's.
        puk: what unblocks it.
        references: P2 of VERIFY for either.
    """

    def __init__(
        self, pin: Secret, puk: Secret, references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE)
    ) -> None:
        self._reference = references[0]
        self._secrets = dict(zip(references, (pin, puk), strict=True))
        self._pin, self._puk = pin, puk
        self._verified: set[int] = set()

    def reset(self) -> None:
        """As after power-up: nothing is verified. Counters and secrets stay."""
        self._verified.clear()

    def handlers(self) -> Mapping[int, Handler]:
        """Return the commands by INS."""
        return {
            0x20: self._verify,
            0x24: partial(self._replace_pin, self._pin),  # CHANGE REFERENCE DATA: old PIN, new PIN
            0x2C: partial(self._replace_pin, self._puk),  # RESET RETRY COUNTER: PUK, new PIN
        }

    def require_pin(self) -> None:
        """Raise 6982 unless the PIN has been verified."""
        if self._reference not in self._verified:
            raise RefusalError(StatusWord.SECURITY_STATUS)

    def _verify(self, command: Command) -> Response:
        secret = self._secrets.get(command.p2)
        if secret is None:
            raise RefusalError(StatusWord.REFERENCE_NOT_FOUND)
        if command.p1 == 0xFF and not command.data:
            self._verified.discard(command.p2)
            return Response(b"", StatusWord.SUCCESS)
        if command.p1:
            raise RefusalError(StatusWord.WRONG_P1P2)
        if not command.data:
            return self._status(command.p2, secret)
        if len(command.data) not in secret.lengths:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        self._verified.discard(command.p2)
        secret.require(command.data)
        self._verified.add(command.p2)
        return Response(b"", StatusWord.SUCCESS)

    def _status(self, reference: int, secret: Secret) -> Response:
        """VERIFY without data asks whether it would be needed and how many tries are left (§11.5.6)."""
        if reference in self._verified:
            return Response(b"", StatusWord.SUCCESS)
        secret.refuse_if_blocked()
        return Response(b"", StatusWord.VERIFICATION_FAILED | 0xC0 | secret.left)

    def _replace_pin(self, proof: Secret, command: Command) -> Response:
        """`proof` is the first part of the data, as long as it is now; the rest becomes the PIN."""
        if command.p1:
            raise RefusalError(StatusWord.WRONG_P1P2)
        if command.p2 != self._reference:
            raise RefusalError(StatusWord.REFERENCE_NOT_FOUND)
        shortest = proof.lengths[0] + self._pin.lengths[0]
        longest = proof.lengths[-1] + self._pin.lengths[-1]
        if not shortest <= len(command.data) <= longest:
            raise RefusalError(StatusWord.WRONG_LENGTH)
        self._verified.discard(self._reference)
        cut = proof.length
        proof.require(command.data[:cut])
        self._pin.replace(command.data[cut:])
        return Response(b"", StatusWord.SUCCESS)
