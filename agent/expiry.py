"""How long a certificate still lasts, and what is said of it: for every window, menu, list and answer.

told = expiry(not_after, CardKind.PERSONNEL)
if told is not None: ...told.zh, told.en, then told.next_zh, told.next_en
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from agent.errors import ErrorId, table
from hca_card.model import CardKind

_OF_HCA: Final = frozenset((CardKind.PERSONNEL, CardKind.INSTITUTION, CardKind.INSTITUTION_SECONDARY))
_OTHERS_NEXT: Final = ("請向發出這張卡片的單位辦理更新。", "Have it renewed by whoever issued the card.")


class Urgency(StrEnum):
    """How near the end is. HCA renews on line from 60 days before until the end itself."""

    SOON = "soon"
    NEAR = "near"
    LAST_DAY = "last-day"
    ENDED = "ended"


STAGES: Final = {
    Urgency.LAST_DAY: timedelta(days=1),
    Urgency.NEAR: timedelta(days=14),
    Urgency.SOON: timedelta(days=60),
}
"""From how long before its end on a certificate is spoken of so; the nearest first."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of a certificate that is near or past.

    Attributes:
        ends: its last moment, aware.
        days: whole days left.
        zh: that it ends, and when; for one that has ended the words of the table of errors.
        en: the same in English.
        next_zh: where to renew it.
        next_en: the same in English.
    """

    urgency: Urgency
    ends: datetime
    days: int
    zh: str
    en: str
    next_zh: str
    next_en: str

    @property
    def pressing(self) -> bool:
        """Whether it is worth a mark that is seen from afar."""
        return self.urgency is not Urgency.SOON


def expiry(ends: datetime | None, kind: CardKind, now: datetime | None = None) -> Expiry | None:
    """Return what is to be said of a certificate that ends then; None as long as that is nothing.

    Args:
        ends: its last moment, aware; None where it is not known.
        kind: of the card it is on, which decides where it is renewed.
        now: aware; this moment when left out.
    """
    if ends is None:
        return None
    now = now or datetime.now(UTC)
    left = ends - now
    if left < timedelta(0):
        row = table()[ErrorId.CERTIFICATE_EXPIRED]
        return _of(Urgency.ENDED, ends, 0, (row.zh, row.en), kind)
    urgency = next((stage for stage, before in STAGES.items() if left <= before), None)
    if urgency is None:
        return None
    if urgency is Urgency.LAST_DAY:
        return _of(urgency, ends, left.days, _last_day(ends.astimezone(), now.astimezone()), kind)
    zh = f"卡片的憑證還有 {left.days} 天到期（{ends.astimezone():%Y-%m-%d}）。"
    days = "1 day" if left.days == 1 else f"{left.days} days"
    en = f"The card's certificate ends in {days} ({ends.astimezone():%Y-%m-%d})."
    return _of(urgency, ends, left.days, (zh, en), kind)


def _last_day(ends: datetime, now: datetime) -> tuple[str, str]:
    today = ends.date() == now.date()
    zh, en = ("今天", "today") if today else ("明天", "tomorrow")
    return f"卡片的憑證{zh} {ends:%H:%M} 到期。", f"The card's certificate ends {en} at {ends:%H:%M}."


def _of(urgency: Urgency, ends: datetime, days: int, words: tuple[str, str], kind: CardKind) -> Expiry:
    ended = urgency is Urgency.ENDED
    row = table()[ErrorId.CERTIFICATE_EXPIRED if ended else ErrorId.CERTIFICATE_ENDS_SOON]
    then = (row.next_zh, row.next_en) if kind in _OF_HCA else _OTHERS_NEXT
    return Expiry(urgency, ends, days, *words, *then)
