"""The messages of the self-test; `agent.selftest.schema` has the rows and the report themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from agent.native.messages import NativeMessage, ReaderParams
from agent.selftest.schema import ReportPart, RowPart, Title


class SelfTestParams(ReaderParams, frozen=True, kw_only=True):
    """Run the self-test; rows come as `selftest.row` before the answer does.

    Attributes:
        variant: the rows of the HCA page for an ordinary reader (一般讀卡機), or for an NHI reader.
        pin: whether the rows that need a PIN are wanted; the agent asks the person for it.
    """

    variant: Literal["ordinary", "nhi-reader"] = "ordinary"
    pin: bool = True


class PlannedRow(NativeMessage, frozen=True):
    """A row that will come.

    Attributes:
        group: the part of the self-test it belongs to.
        number: the row's number on the HCA page; null for the rows that are not on it.
        person: whether the person may be asked something in it, so that it takes as long as that takes.
    """

    id: str
    title: Title
    group: str
    number: int | None
    person: bool


class SelfTestBegun(NativeMessage, frozen=True):
    """The rows that will come, in this order.

    Attributes:
        groups: the titles of the parts, by group.
    """

    rows: tuple[PlannedRow, ...]
    groups: dict[str, Title]


class SelfTestRow(NativeMessage, frozen=True):
    """One row has finished; personal data in it is masked."""

    row: RowPart


class SelfTestDone(NativeMessage, frozen=True):
    """All rows once more; personal data is masked, and sites are not shown details of the computer."""

    report: ReportPart


class BrowserError(NativeMessage, frozen=True):
    """What a browser row found wrong."""

    id: Annotated[str, Meta(max_length=64, pattern=r"^[a-z]+(\.[a-z0-9_]+)*$")]
    zh: Annotated[str, Meta(max_length=300)]
    en: Annotated[str, Meta(max_length=300)]
    next_zh: Annotated[str, Meta(max_length=300)]
    next_en: Annotated[str, Meta(max_length=300)]


class BrowserRow(NativeMessage, frozen=True):
    """A row that the page itself found out."""

    id: Annotated[str, Meta(max_length=64, pattern=r"^browser\.[a-z0-9_]+$")]
    zh: Annotated[str, Meta(max_length=100)]
    en: Annotated[str, Meta(max_length=100)]
    status: Literal["pass", "warn", "fail", "skip"]
    detail_zh: Annotated[str, Meta(max_length=500)]
    detail_en: Annotated[str, Meta(max_length=500)]
    ms: Annotated[int, Meta(ge=0, le=600_000)]
    error: BrowserError | None = None


class SelfTestReportParams(NativeMessage, frozen=True):
    """Ask for the report on the self-test that this connection ran last.

    Attributes:
        browser: the rows that the page found out itself.
        unmasked: leave personal data in; for the agent's own page, and the person is asked again.
    """

    browser: Annotated[tuple[BrowserRow, ...], Meta(max_length=40)] = ()
    unmasked: bool = False


class SelfTestFiles(NativeMessage, frozen=True):
    """The report.

    Attributes:
        html: one self-contained file.
    """

    report: ReportPart
    html: str
