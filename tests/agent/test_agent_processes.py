"""Which program holds a port or a connection."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psutil
import pytest

from agent import processes
from agent.processes import Address, RunningProgram, connected, holder_of

HERE, THERE = ("127.0.0.1", 56445), ("127.0.0.1", 50001)


@dataclass
class Row:
    """One row of psutil.net_connections."""

    laddr: Address
    raddr: Address | tuple[()]
    pid: int | None
    status: str = psutil.CONN_ESTABLISHED


@dataclass
class Process:
    """As psutil.Process; `rows` None is another user's."""

    pid: int
    rows: Sequence[Row] | None = ()

    def name(self) -> str:
        return "HCAServiSign"

    def net_connections(self, _kind: str) -> Sequence[Row]:
        if self.rows is None:
            raise psutil.AccessDenied(self.pid)
        return self.rows


class address(NamedTuple):  # noqa: N801
    """As psutil has it."""

    ip: str
    port: int


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", 50002), ("::1", 50003)])
def test_a_table_of_connections_is_read_by_both_ends(
    monkeypatch: pytest.MonkeyPatch, host: str, other: int
) -> None:
    here, there = address(host, 56445), address(host, 50001)
    rows = [Row(here, there, 4242), Row(there, here, 1717)]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: rows if kind == "tcp" else [])
    assert connected((host, 50001), (host, 56445)) == 1717
    with pytest.raises(OSError, match="no such"):
        connected((host, other), (host, 56445))


def test_a_connection_whose_process_is_not_told_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_connections", lambda _kind: [Row(THERE, HERE, None)])
    with pytest.raises(OSError, match="no such"):
        connected(THERE, HERE)


def test_a_listener_is_found_among_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Row(address("0.0.0.0", 135), (), 1032, psutil.CONN_LISTEN),
        Row(address("127.0.0.1", 564), address("127.0.0.1", 56445), 77),
        Row(address("127.0.0.1", 56445), address("127.0.0.1", 50001), 78),
        Row(address("127.0.0.1", 56445), (), 4312, psutil.CONN_LISTEN),
    ]
    monkeypatch.setattr(psutil, "net_connections", lambda _kind: rows)
    monkeypatch.setattr(psutil, "Process", Process)
    assert holder_of(56445) == str(RunningProgram(4312, "HCAServiSign")) == "HCAServiSign (4312)"
    assert holder_of(56545) == ""


def test_a_listener_is_found_process_by_process_where_the_whole_table_is_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = Process(4312, [Row(address("127.0.0.1", 56445), (), None, psutil.CONN_LISTEN)])
    monkeypatch.setattr(processes._connections, "__defaults__", ("darwin",))
    monkeypatch.setattr(psutil, "process_iter", lambda: [Process(1, None), ours])
    monkeypatch.setattr(psutil, "Process", Process)
    assert holder_of(56445) == "HCAServiSign (4312)"
    monkeypatch.setattr(psutil, "process_iter", lambda: [Process(1, None)])
    assert holder_of(56445) == ""


@pytest.mark.parametrize("platform", [pytest.param("darwin", marks=pytest.mark.slow), "linux"])
@pytest.mark.skipif(sys.platform != "linux", reason="there both ways work")
def test_the_program_that_holds_a_port_is_found_in_either_way(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(processes._connections, "__defaults__", (platform,))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert holder_of(listener.getsockname()[1]).endswith(f"({os.getpid()})")
