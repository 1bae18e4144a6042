"""The self-test in the words of the native API."""

from __future__ import annotations

from agent.errors import AgentError, ErrorId
from agent.native import jsonrpc
from agent.native.context import NativeCaller, NativeServices, SelfTestFindings
from agent.native.messages import given
from agent.native.selftest_messages import (
    BrowserRow,
    PlannedRow,
    SelfTestBegun,
    SelfTestDone,
    SelfTestFiles,
    SelfTestParams,
    SelfTestReportParams,
    SelfTestRow,
)
from agent.selftest import schema
from agent.selftest.model import GROUP_TITLES, Bilingual, Probe, ResultRow, RowStatus, Trouble, Variant
from agent.selftest.probe_list import plan
from agent.selftest.service import SelfTestRequest, for_site


async def run(services: NativeServices, caller: NativeCaller, params: SelfTestParams) -> SelfTestDone:
    """Run the self-test, sending each row as it finishes."""
    wanted = SelfTestRequest(Variant(params.variant), given(params.reader), params.pin)
    rows: list[ResultRow] = []
    async with services.selftests.begin(caller, wanted) as (probe_context, finished):
        probes = plan(wanted.variant, probe_context.computer.config)
        await caller.send(jsonrpc.notification("selftest.begun", _begun(probes)))
        async for row in finished:
            rows.append(row)
            part = schema.part(_shown(caller, row))
            await caller.send(jsonrpc.notification("selftest.row", SelfTestRow(part)))
        findings = SelfTestFindings(rows, probe_context.simulated, probe_context.computer.clock())
    caller.memory.selftest = findings
    shown = [_shown(caller, row) for row in rows]
    return SelfTestDone(schema.report(shown, simulated=findings.simulated, time=findings.time))


async def report(
    services: NativeServices, caller: NativeCaller, params: SelfTestReportParams
) -> SelfTestFiles:
    """Return the report on what `run` found last, with what the page found out itself."""
    from agent.selftest import html_report

    findings = caller.memory.selftest
    if findings is None:
        raise AgentError(ErrorId.SELFTEST_NONE)
    if params.unmasked:
        if caller.origin is not None:
            raise AgentError(ErrorId.ORIGIN_REFUSED)
        # The page shows that it was served by us, not that the person at this computer looks at it.
        await services.selftests.confirm_unmasked(caller.page or None)
    seen = [row.on_page() for row in findings.rows]
    own = seen if caller.origin is None else [for_site(row) for row in seen]
    rows = [*own, *(_row(each) for each in params.browser)]
    simulated, time, unmasked = findings.simulated, findings.time, params.unmasked
    return SelfTestFiles(
        schema.report(rows, simulated=simulated, time=time, unmasked=unmasked),
        html_report.page(rows, simulated=simulated, time=time, unmasked=unmasked),
    )


def _shown(caller: NativeCaller, row: ResultRow) -> ResultRow:
    row = row.on_page()
    return for_site(row) if caller.origin is not None else row.mask()


def _begun(probes: tuple[Probe, ...]) -> SelfTestBegun:
    planned = tuple(
        PlannedRow(
            probe.id,
            schema.Title(probe.title.zh, probe.title.en),
            probe.group.value,
            probe.number,
            probe.seconds is None,
        )
        for probe in probes
    )
    return SelfTestBegun(
        planned, {group.value: schema.Title(zh, en) for group, (zh, en) in GROUP_TITLES.items()}
    )


def _row(found: BrowserRow) -> ResultRow:
    """Return a row of the page, its words cleaned like any other's."""
    trouble = None
    if found.error is not None:
        error = found.error
        what, what_next = (
            Bilingual(error.zh, error.en).cleaned(),
            Bilingual(error.next_zh, error.next_en).cleaned(),
        )
        trouble = Trouble(error.id, what, what_next)
    detail = Bilingual(found.detail_zh, found.detail_en).cleaned()
    title = Bilingual(found.zh, found.en).cleaned()
    return ResultRow(found.id, title, RowStatus(found.status), detail, detail, found.ms, trouble)
