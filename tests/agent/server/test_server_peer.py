from __future__ import annotations

import errno
import multiprocessing
import os
import socket
import sys

import pytest

from agent.processes import Address
from agent.server import peer, peer_linux
from tests.support.log import Log
from tests.support.waiting import LIMIT

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux is asked in this way")
OF_SOCKETS = [peer_linux.by_sock_diag, peer_linux.by_table]
LOOKUPS = [*OF_SOCKETS, peer.by_process]
HERE, THERE = ("127.0.0.1", 56445), ("127.0.0.1", 50001)


@linux
@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_connection_of_this_process_is_ours(
    lookup: peer.Lookup, family: socket.AddressFamily, address: str
) -> None:
    with (
        socket.create_server((address, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as client,
    ):
        assert lookup(client.getsockname()[:2], listener.getsockname()[:2])


@linux
@pytest.mark.parametrize("lookup", OF_SOCKETS)
def test_a_socket_of_ipv6_that_speaks_ipv4_is_ours(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        with listener.accept()[0] as connection:
            assert lookup(connection.getpeername(), connection.getsockname())


@linux
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_connection_that_does_not_exist_is_nobodys(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match=r".+"):
        lookup(("127.0.0.1", 1), listener.getsockname())


@linux
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_listening_socket_is_no_connection(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match=r".+"):
        lookup(listener.getsockname(), listener.getsockname())


@linux
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize("lookup", OF_SOCKETS)
def test_a_connection_of_another_user_is_theirs(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.seteuid(65534)
        try:
            client = socket.create_connection(listener.getsockname())
        finally:
            os.seteuid(0)
        with client:
            assert not lookup(client.getsockname(), listener.getsockname())


@linux
@pytest.mark.parametrize("lookup", OF_SOCKETS)
def test_a_connection_that_its_process_has_closed_is_nobodys(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            address = client.getsockname()
        # It waits to be accepted still; the kernel names root as its user, whoever had it.
        with pytest.raises(OSError, match=r"over|no such"):
            lookup(address, listener.getsockname())


async def test_an_unknown_connection_is_refused() -> None:
    def unknown(_peer: Address, _here: Address) -> bool:
        raise OSError(errno.ENOENT, "no such socket")

    assert not await peer.Peers(unknown).ours(THERE, HERE)


async def test_a_system_that_does_not_know_itself_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    def never(_peer: Address, _here: Address) -> bool:
        return False

    def fails(_peer: Address, _here: Address) -> bool:
        raise OSError

    monkeypatch.setitem(peer._LOOKUPS, sys.platform, (fails, never))
    assert await peer.system().ours(THERE, HERE)
    assert "does not tell" in caplog.text


@linux
async def test_this_system_knows_itself() -> None:
    assert not await peer.system().ours(THERE, HERE)


@linux
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becoming another user takes root")
def test_a_process_of_another_user_is_theirs() -> None:
    def connect(address: Address) -> None:
        os.setuid(65534)
        with socket.create_connection(address) as client:
            client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = multiprocessing.get_context("fork").Process(target=connect, args=(listener.getsockname(),))
        other.start()
        connection, address = listener.accept()
        with connection:
            assert not peer.by_process(address, listener.getsockname())
        other.join(LIMIT)
        assert other.exitcode == 0
