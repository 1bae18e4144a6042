"""The self-test in the words of the native API."""

from __future__ import annotations

from msgspec import UNSET

from agent.errors import AgentError
from agent.native import jsonrpc
from agent.native.backend import Backend
from agent.native.guest import Guest, Tested
from agent.native.selftest_messages import (
    BrowserRow,
    PlannedRow,
    SelfTest,
    SelfTestBegun,
    SelfTestDone,
    SelfTestFiles,
    SelfTestReport,
    SelfTestRow,
)
from agent.selftest import schema
from agent.selftest.model import GROUP_TITLES, Probe, Row, Status, Text, Trouble
from agent.selftest.plan import Variant, plan
from agent.selftest.service import Wanted, for_site


async def run(backend: Backend, guest: Guest, asked: SelfTest) -> SelfTestDone:
    """Run it, telling each row as it finishes."""
    wanted = Wanted(Variant(asked.variant), None if asked.reader is UNSET else asked.reader, asked.pin)
    rows: list[Row] = []
    async with backend.selftests.begin(guest, wanted) as (bench, finished):
        probes = plan(wanted.variant, bench.machine.config)
        await guest.say(jsonrpc.notification("selftest.begun", _begun(probes)))
        async for row in finished:
            rows.append(row)
            part = schema.part(_shown(guest, row))
            await guest.say(jsonrpc.notification("selftest.row", SelfTestRow(part)))
        tested = Tested(rows, bench.simulated, bench.machine.clock())
    guest.memory.tested = tested
    shown = [_shown(guest, row) for row in rows]
    return SelfTestDone(schema.report(shown, simulated=tested.simulated, time=tested.time))


async def report(backend: Backend, guest: Guest, asked: SelfTestReport) -> SelfTestFiles:
    """The report on what `run` found last, with what the page found out itself."""
    from agent.selftest import html

    tested = guest.memory.tested
    if tested is None:
        raise AgentError("selftest.none")
    if asked.unmasked:
        if guest.origin is not None:
            raise AgentError("origin.refused")
        # The page shows that it was served by us, not that the person at this computer looks at it.
        await backend.selftests.confirm_unmasked(guest.page or None)
    own = tested.rows if guest.origin is None else [for_site(row) for row in tested.rows]
    rows = [*own, *(_row(each) for each in asked.browser)]
    simulated, time, unmasked = tested.simulated, tested.time, asked.unmasked
    return SelfTestFiles(
        schema.report(rows, simulated=simulated, time=time, unmasked=unmasked),
        html.page(rows, simulated=simulated, time=time, unmasked=unmasked),
    )


def _shown(guest: Guest, row: Row) -> Row:
    return for_site(row) if guest.origin is not None else row.mask()


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


def _row(said: BrowserRow) -> Row:
    """A row of the page, its words cleaned like any other's."""
    trouble = None
    if said.error is not None:
        told = said.error
        what, what_next = Text(told.zh, told.en).cleaned(), Text(told.next_zh, told.next_en).cleaned()
        trouble = Trouble(told.id, what, what_next)
    detail = Text(said.detail_zh, said.detail_en).cleaned()
    title = Text(said.zh, said.en).cleaned()
    return Row(said.id, title, Status(said.status), detail, detail, said.ms, trouble)
