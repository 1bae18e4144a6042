"""What a self-test is made of: probes, what they find, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from agent.errors import ErrorId, describe, table
from hca_card.big5 import printable

if TYPE_CHECKING:
    from agent.selftest.context import ProbeContext

TEXT_MAX: Final = 2000
SECONDS: Final = 20.0


class Variant(StrEnum):
    """Which rows of the HCA page are run."""

    ORDINARY = "ordinary"
    """一般讀卡機: fourteen rows."""
    NHI_READER = "nhi-reader"
    """健保專用讀卡機: thirteen rows."""


class RowStatus(StrEnum):
    """How a row ended."""

    PASS = "pass"  # noqa: S105  (no password)
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Group(StrEnum):
    """The parts of the self-test: what stands before the first dot of a row's id."""

    BASIC = "basic"
    HOST = "host"
    CARD = "card"
    HCA = "hca"
    NHI = "nhi"
    CERTIFICATE = "certificate"
    BROWSER = "browser"


GROUP_TITLES: Final[dict[Group, tuple[str, str]]] = {
    Group.BASIC: ("基本資訊", "Basics"),
    Group.HOST: ("這台電腦", "This computer"),
    Group.CARD: ("卡片狀態", "The card's state"),
    Group.HCA: ("檢測結果（一般讀卡機）", "Results (ordinary reader)"),
    Group.NHI: ("檢測結果（健保專用讀卡機）", "Results (NHI reader)"),
    Group.CERTIFICATE: ("憑證", "Certificates"),
    Group.BROWSER: ("瀏覽器", "Browser"),
}


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One sentence or word in both languages; `en` may be empty where the value needs no translation."""

    zh: str
    en: str = ""

    def __str__(self) -> str:
        return f"{self.zh} · {self.en}" if self.en and self.en != self.zh else self.zh

    def cleaned(self) -> Bilingual:
        """Return it without what a terminal or a page would obey: controls, direction marks, and the like."""
        return Bilingual(printable(self.zh[:TEXT_MAX]), printable(self.en[:TEXT_MAX]))


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in a row: a row of the error table, and what to do next.

    Attributes:
        text: what happened.
        next: what to do next.
        page: the same for whoever looks at a page, where no command is typed; None where that is `next`.
    """

    id: str
    text: Bilingual
    next: Bilingual
    page: Bilingual | None = None

    @classmethod
    def of(cls, error: ErrorId | BaseException) -> Trouble:
        """Return the trouble with the sentences of `error`."""
        text = table()[error] if isinstance(error, ErrorId) else describe(error)
        row = table()[text.id]
        next_step = Bilingual(row.selftest_zh or row.next_zh, row.selftest_en or row.next_en)
        page = Bilingual(*row.on_page)
        return cls(row.id, Bilingual(text.zh, text.en), next_step, page)

    def on_page(self) -> Trouble:
        """Return it as a page shows it."""
        return self if self.page is None else replace(self, next=self.page)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found; a probe may also raise what the error table words.

    Attributes:
        detail: the value or the sentence that is shown; may hold personal data.
        masked: the same without personal data; None where `detail` has none.
        trouble: for everything but a pass.
        absent: this kind of card does not have what the row is about, which is no fault of a card.
    """

    status: RowStatus
    detail: Bilingual
    masked: Bilingual | None = None
    trouble: Trouble | None = None
    absent: bool = False


def passed(zh: str, en: str = "", *, masked: Bilingual | None = None) -> Finding:
    """Return that the row is as it should be."""
    return Finding(RowStatus.PASS, Bilingual(zh, en), masked)


def warned(error: ErrorId | BaseException, zh: str = "", en: str = "") -> Finding:
    """Return that it works, and something should be done all the same."""
    return Finding(RowStatus.WARN, Bilingual(zh, en), trouble=Trouble.of(error))


def failed(error: ErrorId | BaseException, zh: str = "", en: str = "") -> Finding:
    """Return that it does not work; the sentence is the table's, `zh` and `en` belong to this case."""
    return Finding(RowStatus.FAIL, Bilingual(zh, en), trouble=Trouble.of(error))


def skipped(zh: str, en: str, error_id: ErrorId | None = None) -> Finding:
    """Return that there was nothing to test here, for the reason given."""
    return Finding(RowStatus.SKIP, Bilingual(zh, en), trouble=Trouble.of(error_id) if error_id else None)


def absent() -> Finding:
    """Return that a card of this kind has no such thing."""
    return Finding(RowStatus.SKIP, Bilingual("這種卡片沒有這一項", "this kind of card has none"), absent=True)


Run = Callable[["ProbeContext"], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One row to be.

    Attributes:
        id: stable, `group.name`.
        title: as people read it; for the rows of the HCA page its exact words.
        run: finds out; raises what the error table words.
        needs: ids of earlier rows that must have passed, or passed with a warning.
        number: the row's number on the HCA page; None for the rows that are ours.
        on_card: needs the card in the reader, so that it is not run once the card is lost.
        seconds: how long it may take; None where a person is waited for.
    """

    id: str
    title: Bilingual
    run: Run
    needs: tuple[str, ...] = ()
    number: int | None = None
    on_card: bool = False
    seconds: float | None = SECONDS

    @property
    def group(self) -> Group:
        """The part of the self-test it belongs to."""
        return Group(self.id.partition(".")[0])


def probe(
    id_: str,
    zh: str,
    en: str,
    *,
    needs: tuple[str, ...] = (),
    on_card: bool = False,
    seconds: float | None = SECONDS,
) -> Callable[[Run], Probe]:
    """Make a `Probe` of the decorated function."""
    return lambda run: Probe(id_, Bilingual(zh, en), run, needs, on_card=on_card, seconds=seconds)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One finished row.

    Attributes:
        detail: the value or the sentence that is shown; personal data unless `mask` was called.
        masked: the same without personal data.
        ms: how long it took, whole milliseconds.
        error: what went wrong and what to do next; None for a pass and for rows not run.
        absent: this kind of card does not have what the row is about.
        repeats: the earlier row that failed for the same cause, which need not be told again.
    """

    id: str
    title: Bilingual
    status: RowStatus
    detail: Bilingual
    masked: Bilingual
    ms: int
    error: Trouble | None = None
    number: int | None = None
    absent: bool = False
    repeats: ResultRow | None = None

    @property
    def group(self) -> Group:
        """The part of the self-test it belongs to."""
        return Group(self.id.partition(".")[0])

    @property
    def name(self) -> Bilingual:
        """How other rows call it: by its number on the HCA page, else by its title."""
        if self.number is not None:
            return Bilingual(f"第 {self.number} 列", f"row {self.number}")
        return Bilingual(f"「{self.title.zh}」", f"“{self.title.en}”")

    @property
    def good(self) -> bool:
        """Whether rows that need this one can run."""
        return self.status in (RowStatus.PASS, RowStatus.WARN)

    def mask(self) -> ResultRow:
        """Return the row as it may leave this person's screen."""
        return replace(self, detail=self.masked)

    def on_page(self) -> ResultRow:
        """Return the row with what to do next as a page says it."""
        return self if self.error is None else replace(self, error=self.error.on_page())


def row(probe: Probe, found: Finding, ms: int) -> ResultRow:
    """Return the row of a probe that found this."""
    detail = found.detail.cleaned()
    masked = detail if found.masked is None else found.masked.cleaned()
    return ResultRow(
        probe.id, probe.title, found.status, detail, masked, ms, found.trouble, probe.number, found.absent
    )
