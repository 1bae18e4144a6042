"""Traces of other programs, read: which cards are in them, what was said, and what may be shown of it.

Whatever goes wrong while a trace is read, its bytes are in no traceback (`failures.out_of_reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from hca_card.probe.trace import Recorder
from hca_card.traces import captures, text, usb
from hca_card.traces.dealings import CUT, Dealing, Talk
from hca_card.traces.failures import (
    ContactlessError,
    MixedCardsError,
    SeveralCardsError,
    UnknownTraceError,
    out_of_reach,
)
from hca_card.traces.recorded_card import RecordedCard
from hca_card.traces.secrets import PinShape, Secrets
from hca_card.traces.sink import Sink
from hca_card.traces.understanding import Understood

CARDS_MOST: Final = 32
_HEAD: Final = 4096
_BUFFER: Final = 1024 * 1024
_SLOTS_MOST: Final = 64


class TracedCard:
    """One card of a trace.

    Attributes:
        number: 1 for the first that appeared.
        card: what it answered.
        understood: what it was used for.
        recorder: the masked copy.
    """

    def __init__(self, number: int, atr: bytes, version: str) -> None:
        self.number = number
        self.card = RecordedCard(atr)
        self.understood = Understood()
        self.recorder = Recorder("hca-agent card import-trace", version)
        if atr:
            self.name(atr)

    def name(self, atr: bytes) -> None:
        """Take the answer to reset, which a trace may tell after the first commands."""
        self.card.atr = atr
        self.recorder.note({"atr": atr.hex(" ").upper()})

    def learn(self, dealing: Dealing) -> None:
        """Take one dealing into account."""
        self.card.learn(dealing)
        self.understood.learn(dealing, self.card.where[0])
        self.recorder.observe(dealing.exchange())

    def reset(self) -> None:
        """Take a reset into account."""
        self.card.reset()
        self.understood.reset()
        self.recorder.step("reset")

    @property
    def contactless(self) -> bool:
        """Whether it is contactless: by the ATR that PC/SC part 3 makes for those, or by its commands."""
        atr = self.card.atr
        made = len(atr) >= 4 and atr[0] == 0x3B and atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01"
        return (made and not self.understood.keys) or self.understood.pseudo > self.understood.commands // 2


class Imported:
    """What came out of traces; a `hca_card.traces.sink.Sink` for the readers of files.

    Args:
        version: of the program, for the head of the copies.

    Attributes:
        cards: in the order of their appearance.
        notes: what has to be said, Chinese and English.
        secrets: the PINs that were seen, to be kept out of whatever is written.
    """

    def __init__(self, version: str) -> None:
        self.cards: list[TracedCard] = []
        self.notes: list[tuple[str, str]] = []
        self.secrets = Secrets()
        self._version = version
        self._known: dict[tuple[int, bytes], TracedCard] = {}
        self._places: dict[bytes, list[str]] = {}
        self._talks: dict[str, Talk] = {}
        self._in_slot: dict[str, TracedCard] = {}

    def read(self, path: Path) -> None:
        """Read one file.

        Raises:
            TraceError: it cannot be read as any trace.
            OSError: it cannot be read at all.
        """
        try:
            out_of_reach(lambda: self._read(path))
        finally:
            self._end_of_file()

    def _read(self, path: Path) -> None:
        with path.open("rb", buffering=_BUFFER) as file:
            _reader(file)(file, self)

    def choose(self, number: int | None = None) -> TracedCard:
        """Return the card that the trace is about.

        Args:
            number: which; None for the only one that was worked with.

        Raises:
            UnknownTraceError: there is no command to any card.
            ContactlessError: every card is contactless.
            SeveralCardsError: there are several, and none was chosen.
            MixedCardsError: it is two cards whose dealings cannot be told apart.
        """
        spoken = [one for one in self.cards if one.understood.commands]
        if not spoken:
            raise UnknownTraceError("there is no command to a card in it")
        contact = [one for one in spoken if not one.contactless]
        if not contact:
            raise ContactlessError
        if number is not None:
            chosen = [one for one in contact if one.number == number]
        else:
            chosen = next(
                (
                    some
                    for some in (
                        [one for one in contact if one.understood.keys or one.understood.verified],
                        [one for one in contact if one.card.applications],
                        contact,
                    )
                    if some
                ),
                [],
            )
        if len(chosen) != 1:
            raise SeveralCardsError(", ".join(str(one.number) for one in contact))
        if len(chosen[0].card.contradicted) > 1:
            raise MixedCardsError
        return chosen[0]

    # --- Sink -----------------------------------------------------------------------------------------

    def reset(self, slot: str, atr: bytes) -> None:  # noqa: D102
        self._talk(slot).reset()
        card = self._card(slot, atr)
        if card is not None:
            self._in_slot[slot] = card
            card.reset()

    def present(self, slot: str, atr: bytes) -> None:  # noqa: D102
        card = self._in_slot.get(slot) or self._unnamed()
        if card is not None and not card.card.atr:
            card.name(atr)
            self._known.setdefault((self._place(slot, atr), atr), card)
        elif card is None or card.card.atr != atr:
            card = self._card(slot, atr)
        if card is not None:
            self._in_slot[slot] = card

    def command(self, slot: str, raw: bytes) -> None:  # noqa: D102
        self._talk(slot).command(raw)

    def response(self, slot: str, raw: bytes) -> None:  # noqa: D102
        self._talk(slot).response(raw)

    def keypad(self, slot: str, header: bytes, shape: PinShape | None) -> None:  # noqa: D102
        self._talk(slot).keypad(header, shape)

    def note(self, zh: str, en: str) -> None:  # noqa: D102
        if (zh, en) not in self.notes and len(self.notes) < CARDS_MOST:
            self.notes.append((zh, en))

    # --------------------------------------------------------------------------------------------------

    def _talk(self, slot: str) -> Talk:
        if slot not in self._talks and len(self._talks) >= _SLOTS_MOST:
            slot = next(iter(self._talks))
        if slot not in self._talks:
            self._talks[slot] = Talk(self.secrets, lambda dealing: self._told(slot, dealing))
        return self._talks[slot]

    def _told(self, slot: str, dealing: Dealing) -> None:
        if slot not in self._in_slot:
            alone = self.cards[-1] if self.cards and slot.startswith("0x") else None
            found = self._unnamed() or alone or self._card(slot, b"")
            if found is None:
                return
            self._in_slot[slot] = found
        self._in_slot[slot].learn(dealing)

    def _unnamed(self) -> TracedCard | None:
        """Take the card that a log told of before it named the reader."""
        before = self._in_slot.get("")
        return self._in_slot.pop("") if before is not None and not before.understood.commands else None

    def _place(self, slot: str, atr: bytes) -> int:
        places = self._places.setdefault(atr, [])
        if slot not in places:
            places.append(slot)
        return places.index(slot)

    def _card(self, slot: str, atr: bytes) -> TracedCard | None:
        """Return the card with that ATR in that slot; the same ATR in two readers is two cards."""
        key = (self._place(slot, atr), atr)
        if key not in self._known:
            if len(self.cards) >= CARDS_MOST:
                return None
            self._known[key] = TracedCard(len(self.cards) + 1, atr, self._version)
            self.cards.append(self._known[key])
        return self._known[key]

    def _end_of_file(self) -> None:
        for talk in self._talks.values():
            talk.end()
        if any(talk.torn for talk in self._talks.values()):
            self.note(*CUT)
        unanswered = sum(talk.unanswered for talk in self._talks.values())
        if unanswered:
            self.note(
                "有些指令沒有記到回應：紀錄可能中斷過，或混有另一張卡片",
                "some commands have no answer: the trace may be cut, or another card is mixed into it",
            )
        self._talks.clear()
        self._in_slot.clear()
        self._places.clear()


def _reader(file: BinaryIO) -> Callable[[BinaryIO, Sink], None]:
    """Return what reads a file that begins so."""
    head = file.read(_HEAD)
    file.seek(0)
    if captures.is_capture(head):
        return usb.read
    if b"\0" in head and head[:2] != b"\xff\xfe":
        raise UnknownTraceError("it is neither text nor a capture")
    return text.read


@contextmanager
def import_traces(paths: Sequence[Path], version: str) -> Iterator[Imported]:
    """Read traces of one card, in several files if need be; PINs that were seen are forgotten at the end.

    Raises:
        TraceError: as `Imported.read`.
        OSError: as `Imported.read`.
    """
    imported = Imported(version)
    try:
        for path in paths:
            imported.read(path)
        yield imported
    finally:
        imported.secrets.forget()
