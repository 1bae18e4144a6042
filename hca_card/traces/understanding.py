"""What the dealings in a trace were for: which PIN was sent how, which key was chosen and used how."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from hca_card.traces.dealings import (
    CHANGE,
    GET_DATA,
    INTERNAL_AUTHENTICATE,
    MANAGE_SECURITY_ENVIRONMENT,
    PERFORM_SECURITY_OPERATION,
    PIN_COMMANDS,
    READ_BINARY,
    READ_RECORD,
    RESET_RETRY,
    SELECT,
    VERIFY,
    Dealing,
)
from pcsc.status import StatusWord, tries_left

_MOST: Final = 256
SIGN: Final = 0x9E9A
DECIPHER: Final = 0x8086
_HASHES: Final = (0x90A0, 0x9080)
GROUPS: Final = {
    SELECT: "select",
    **dict.fromkeys((READ_BINARY, READ_RECORD), "read"),
    **dict.fromkeys((GET_DATA, 0xCB), "data"),
    **dict.fromkeys((VERIFY, CHANGE, RESET_RETRY), "pin"),
    **dict.fromkeys((MANAGE_SECURITY_ENVIRONMENT, PERFORM_SECURITY_OPERATION, INTERNAL_AUTHENTICATE), "key"),
}
"""The instructions whose class a profile can say."""


@dataclass(frozen=True, slots=True)
class PinUsed:
    """A PIN command, and the application that was selected."""

    dealing: Dealing
    application: bytes


@dataclass(frozen=True, slots=True)
class KeyUsed:
    """A key at work.

    Attributes:
        work: PSO or INTERNAL AUTHENTICATE.
        chosen: the MANAGE SECURITY ENVIRONMENT before it, None where there was none.
        hashed: the PSO: HASH before it.
        application: that was selected.
    """

    work: Dealing
    chosen: Dealing | None
    hashed: Dealing | None
    application: bytes

    @property
    def signs(self) -> bool:
        """Whether it made a signature, and did not decipher."""
        return self.work.ins == INTERNAL_AUTHENTICATE or self.work.header[2] in (0x9E, 0x00)


@dataclass(slots=True)
class Understood:
    """What has been understood so far.

    Attributes:
        commands: how many there were.
        pins: PIN commands.
        keys: keys at work, with success.
        secure: commands under secure messaging, by instruction.
        others: commands that are none of those that are understood, by instruction.
        classes: class bytes by what they were used for.
        tries: what the card says of its tries, the most.
        selections: P2 of successful SELECT by AID.
        chain: bytes of the longest piece of a command that was sent in pieces; 0 where none was.
        pseudo: commands of a reader and not of a card (class FF).
    """

    commands: int = 0
    pins: list[PinUsed] = field(default_factory=list)
    keys: list[KeyUsed] = field(default_factory=list)
    secure: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)
    classes: dict[str, Counter[int]] = field(default_factory=dict)
    tries: int = 0
    selections: Counter[int] = field(default_factory=Counter)
    chain: int = 0
    pseudo: int = 0
    _last_chosen: Dealing | None = None
    _hashed: Dealing | None = None

    def learn(self, dealing: Dealing, application: bytes) -> None:
        """Take one dealing into account; `application` is selected after it."""
        self.commands += 1
        self.chain = max(self.chain, dealing.piece)
        if dealing.header[0] == 0xFF:
            self.pseudo += 1
        elif dealing.secure:
            self.secure[dealing.ins] += 1
        elif dealing.ins in PIN_COMMANDS:
            self._pin(dealing, application)
        elif dealing.ins == MANAGE_SECURITY_ENVIRONMENT:
            if dealing.ok:
                self._last_chosen = dealing
        elif dealing.ins == PERFORM_SECURITY_OPERATION and dealing.name in _HASHES:
            self._hashed = dealing if dealing.ok else None
        elif dealing.ins in (PERFORM_SECURITY_OPERATION, INTERNAL_AUTHENTICATE):
            self._key(dealing, application)
        elif dealing.ins not in GROUPS:
            self.others[dealing.ins] += 1
        group = GROUPS.get(dealing.ins)
        if group and dealing.ok and not dealing.secure:
            self.classes.setdefault(group, Counter())[dealing.header[0]] += 1
            if dealing.ins == SELECT and dealing.header[2] == 0x04:
                self.selections[dealing.header[3]] += 1
                self.reset()

    def reset(self) -> None:
        """Take a reset: nothing is chosen any more."""
        self._last_chosen = self._hashed = None

    @property
    def verified(self) -> PinUsed | None:
        """The last VERIFY with a PIN that the card took."""
        taken = (one for one in reversed(self.pins) if one.dealing.ins == VERIFY and not one.dealing.empty)
        return next((one for one in taken if one.dealing.sw == StatusWord.SUCCESS), None)

    @property
    def asked_tries(self) -> bool:
        """Whether the card told its tries for a VERIFY without data."""
        return any(
            one.dealing.empty and one.dealing.sw is not None and tries_left(one.dealing.sw) is not None
            for one in self.pins
        )

    @property
    def dropped_by_ff(self) -> bool:
        """Whether VERIFY with P1 = FF was seen, and taken."""
        return any(one.dealing.header[1:3] == b"\x20\xff" and one.dealing.ok for one in self.pins)

    def class_for(self, group: str) -> int:
        """Return the class byte that the trace uses most for a kind of commands."""
        found = self.classes.get(group)
        return found.most_common(1)[0][0] if found else 0

    def _pin(self, dealing: Dealing, application: bytes) -> None:
        if len(self.pins) < _MOST:
            self.pins.append(PinUsed(dealing, application))
        if dealing.sw is not None:
            self.tries = max(self.tries, tries_left(dealing.sw) or 0)

    def _key(self, dealing: Dealing, application: bytes) -> None:
        hashed, self._hashed = self._hashed, None
        if dealing.ok and dealing.length and len(self.keys) < _MOST:
            self.keys.append(KeyUsed(dealing, self._last_chosen, hashed, application))
