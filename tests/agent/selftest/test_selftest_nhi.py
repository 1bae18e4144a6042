"""Host rows of the NHI component dialect: there for whoever turned it on, each fault named for what it is."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from agent import tls, trust
from agent.config import Config, NhiComponentSettings
from agent.selftest.context import ProbeContext
from agent.selftest.model import ResultRow
from agent.selftest.probe_list import plan
from agent.selftest.probes import nhi_component
from agent.trust import FoundAuthority, own_authorities
from tests.support.nhi_component import TURNED_ON, component_agent
from tests.support.platforms import not_under_wine
from tests.support.ports import free_port
from tests.support.selftest import context_of, row_of, selftest_world, short
from tests.support.trust import Shelf, current

PROBES = (nhi_component.port, *nhi_component.PROBES)


async def host(context: ProbeContext, name: str) -> ResultRow:
    return await row_of(context, f"host.{name}", PROBES)


def on(*ports: int) -> Config:
    return replace(Config(), nhi_component=NhiComponentSettings(enabled=True, ports=ports))


def test_the_rows_are_there_while_the_dialect_is_on() -> None:
    more = {"host.nhi_name", "host.nhi_trust"}
    assert more & {probe.id for probe in plan()} == set()
    assert {probe.id for probe in plan(config=TURNED_ON)} - {probe.id for probe in plan()} == more


@pytest.mark.slow
async def test_the_port_is_ours_held_or_left(tmp_path: Path) -> None:
    async with component_agent(tmp_path / "agent") as agent, selftest_world(tmp_path, "hpc") as world:
        [port] = agent.daemon.nhi_ports
        row = await host(context_of(world, config=on(port)), "nhi")
        assert short(row) == "pass" and str(port) in row.detail.zh
        row = await host(context_of(world, config=on(port, free_port())), "nhi")
        assert short(row) == "fail agent.not_running"


@not_under_wine("its netstat does not tell who listens")
async def test_a_port_that_another_program_holds_fails_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.selftest.listeners._SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with selftest_world(tmp_path, "hpc") as world:
            row = await host(context_of(world, config=on(other.getsockname()[1])), "nhi")
    assert short(row) == "fail nhi.port_held" and "python" in row.detail.zh


@pytest.mark.parametrize(
    ("addresses", "outcome"),
    [
        (["127.0.0.1"], "pass"),
        (["127.0.0.1", "::1"], "pass"),
        (["203.65.114.5"], "warn nhi.hosts_entry"),
        (["127.0.0.1", "203.65.114.5"], "warn nhi.hosts_entry"),
        (None, "warn nhi.hosts_entry"),
    ],
)
async def test_the_name_leads_here_elsewhere_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str] | None, outcome: str
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == tls.NHI_COMPONENT.host
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr("agent.selftest.probes.nhi_component.socket.getaddrinfo", resolve)
    async with selftest_world(tmp_path, "hpc") as world:
        row = await host(context_of(world), "nhi_name")
    assert short(row) == outcome
    if outcome != "pass":
        assert row.error is not None and "127.0.0.1 iccert.nhi.gov.tw" in row.error.next.zh


async def test_the_second_certificate_is_trusted_missing_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    monkeypatch.setattr(trust, "stores_of", lambda *_, **__: (shelf,))
    async with selftest_world(tmp_path, "hpc") as world:
        context = context_of(world)
        assert short(await host(context, "nhi_trust")) == "skip"
        tls.ensure(world.paths.tls)
        shelf.held = [FoundAuthority(current(own_authorities(world.paths.tls)), trusted=True)]
        tls.ensure(world.paths.tls, tls.NHI_COMPONENT)
        assert short(await host(context, "nhi_trust")) == "fail trust.missing"
        shelf.held.append(
            FoundAuthority(current(own_authorities(world.paths.tls, tls.NHI_COMPONENT)), trusted=True)
        )
        assert short(await host(context, "nhi_trust")) == "pass"
