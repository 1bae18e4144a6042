"""Ports are taken as a pair, and a port that is not free says who holds it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from agent.errors import AgentError
from agent.processes import holder_of
from agent.server import ports
from agent.server.ports import PortConflict, TakenPort
from tests.support.ports import free_port
from tests.support.waiting import LIMIT


@pytest.fixture
def pair() -> Iterator[TakenPort]:
    taken = ports.listen([0])
    yield taken
    taken.close()


@pytest.fixture(name="free_port")
def a_free_port() -> int:
    return free_port()


def test_both_loopback_addresses_are_taken_with_the_same_port(pair: TakenPort) -> None:
    assert [each.getsockname()[:2] for each in pair.sockets] == [("127.0.0.1", pair.port), ("::1", pair.port)]


def test_nothing_listens_on_other_addresses(pair: TakenPort) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.2", pair.port))


def test_the_next_port_is_used_when_the_first_is_taken_and_the_conflict_is_told(
    pair: TakenPort, free_port: int
) -> None:
    taken = ports.listen([pair.port, free_port])
    taken.close()
    assert taken.port == free_port
    assert [conflict.port for conflict in taken.conflicts] == [pair.port]


@pytest.mark.parametrize(
    "half", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=lambda h: h[1]
)
def test_a_port_half_taken_is_taken_and_the_other_half_is_given_back(
    half: tuple[socket.AddressFamily, str], free_port: int
) -> None:
    with socket.socket(half[0]) as other:
        other.bind((half[1], free_port))
        other.listen()
        with pytest.raises(AgentError) as caught:
            ports.listen([free_port])
    assert caught.value.error_id == "port.taken"
    ports.listen([free_port]).close()


def test_a_machine_without_ipv6_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(socket.socket):
        def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: int | None = None):
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, kind, protocol, fileno)

    monkeypatch.setattr(socket, "socket", WithoutIpv6)
    taken = ports.listen([0])
    taken.close()
    assert len(taken.sockets) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_error_names_the_program_that_holds_the_port(pair: TakenPort) -> None:
    with pytest.raises(AgentError) as caught:
        ports.listen([pair.port])
    (conflict,) = caught.value.facts["conflicts"]  # type: ignore[misc]
    assert isinstance(conflict, PortConflict)
    assert conflict.port == pair.port
    assert conflict.holder.endswith(f"({os.getpid()})")
    assert str(os.getpid()) in str(caught.value)


def test_a_port_nobody_holds_has_no_holder(free_port: int) -> None:
    assert holder_of(free_port) == ""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="becomes another user")
def test_a_port_that_another_users_session_holds_names_that_user() -> None:
    """A terminal server: the first session has the ports, and the others are told whose it is."""
    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()

    def second_session(first: TakenPort) -> None:
        first.close()  # what the fork brought along
        os.setuid(1)
        try:
            ports.listen([first.port])
        except AgentError as error:
            told.put(str(error.facts["detail"]))

    with closing(ports.listen([0])) as first:
        session = fork.Process(target=second_session, args=(first,))
        session.start()
        session.join(LIMIT)
        assert session.exitcode == 0
        assert told.get() == f"{first.port} user root"
