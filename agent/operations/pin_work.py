"""What is asked for a PIN itself: kept for a session, changed, unblocked, remembered, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import overload

from agent.operations.desk import Desk
from agent.operations.needs import Need
from agent.operations.pin_desk import PinDesk, Replacing
from agent.operations.views import Caller
from agent.pins.kept import KeptPin
from agent.pins.unattended import Grant
from hca_card.model import CardKind
from hca_card.pin import Pin


class PinWork:
    """The part of `Operations` that is about PINs themselves."""

    _desk: Desk
    _pins: PinDesk

    @overload
    async def keep_pin(
        self, caller: Caller, pin: Pin, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin: ...

    @overload
    async def keep_pin(
        self, caller: Caller, pin: Pin | None, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin | None: ...

    async def keep_pin(
        self, caller: Caller, pin: Pin | None, *, reader: str | None = None, kinds: Collection[CardKind] = ()
    ) -> KeptPin | None:
        """Verify a PIN once and keep it for the caller's session.

        Args:
            caller: who asks, and who alone may use it.
            pin: what a page collected, copied; the caller wipes its own. None asks the person.
            reader: the reader's name.
            kinds: the kinds of card wanted; empty for any. A card of another kind is not sent the PIN.

        Returns:
            None where it was typed on the reader's keypad, which keeps it from this program.

        Raises:
            AgentError: pin.*.
            PinLastTryError: only one try is left, and a page cannot give the extra yes; nothing was sent.
            hca_card.errors.PinError: one try spent at most; nothing is kept.
        """
        wanted = Need(frozenset(kinds), pin=True)
        if pin is None:
            return await self._pins.open(caller, reader, wanted)
        return await self._pins.keep(caller, pin, reader, wanted)

    async def change_pin(
        self,
        caller: Caller,
        *,
        old: Pin | None = None,
        new: Pin | None = None,
        reader: str | None = None,
        kept: KeptPin | None = None,
        kinds: Collection[CardKind] = (),
        serial: str = "",
    ) -> None:
        """Replace the PIN.

        Args:
            caller: who asks.
            old: the PIN, where a page collected it or a person's own command has it.
            new: the new one, likewise; None has the person type both, here or on the reader's keypad.
            reader: the reader's name; with `kept` its reader is the one.
            kept: the session's PIN: stands for `old` where that is None, and is the new one afterwards. What
                other sessions kept of this card is wiped.
            kinds: the kinds of card wanted; empty for any.
            serial: the number of the very card; empty for any.

        Raises:
            AgentError: pin.*.
            hca_card.errors.PinError: pin.length, for either, before anything is sent; else one try spent at
                most.
            ValueError: `old` without `new`, or `new` without anything to replace.
        """
        wanted = Replacing(caller, _given(old, new, kept), kept, reader, frozenset(kinds), serial)
        await self._pins.change(wanted)

    async def unblock_pin(
        self,
        caller: Caller,
        *,
        puk: Pin | None = None,
        new: Pin | None = None,
        reader: str | None = None,
        kinds: Collection[CardKind] = (),
        serial: str = "",
    ) -> None:
        """Set a new PIN and the full number of tries with the PUK; None for both has the person type them.

        Raises:
            AgentError: pin.cancelled, pin.unavailable.
            hca_card.errors.PinError: pin.length before anything is sent; puk.wrong, puk.locked.
            UnsupportedError: the card takes no PUK.
            ValueError: one without the other.
        """
        await self._pins.unblock(Replacing(caller, _given(puk, new), None, reader, frozenset(kinds), serial))

    async def remember_pin(
        self, caller: Caller, pin: Pin | None, grant: Grant, *, reader: str | None = None
    ) -> str:
        """Verify a PIN once and keep it in the system's keyring for signatures that nobody attends.

        Args:
            caller: this person's own command; nobody else may.
            pin: copied; None asks the person.
            grant: for which sites and folders.
            reader: the reader's name.

        Returns:
            The number of the card it is kept for.

        Raises:
            AgentError: unattended.disabled, keyring.unavailable, origin.refused; pin.*.
        """
        return await self._pins.remember(caller, pin, grant, reader)

    async def forget_remembered_pin(self, serial: str) -> bool:
        """Delete what the keyring holds for the card of that number; False where that is nothing.

        Raises:
            AgentError: keyring.unavailable.
        """
        return await asyncio.to_thread(self._desk.unattended.forget, serial)

    def forget_pins(self) -> None:
        """Wipe every PIN that is kept: the person went away."""
        self._desk.forget_pins()


def _given(old: Pin | None, new: Pin | None, kept: KeptPin | None = None) -> tuple[Pin | None, Pin] | None:
    if new is None:
        if old is not None:
            raise ValueError("the new PIN is missing")
        return None
    if old is None and kept is None:
        raise ValueError("there is nothing to replace")
    return old, new
