from __future__ import annotations

import errno
import os
import socket
import struct
import sys

import pytest

from agent.server import peer, peer_linux, peer_windows
from agent.server.addresses import Address

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux is asked in this way")
LOOKUPS = [peer_linux.by_sock_diag, peer_linux.by_table]
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
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_connection_of_another_user_is_theirs(lookup: peer.Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.seteuid(65534)
        try:
            client = socket.create_connection(listener.getsockname())
        finally:
            os.seteuid(0)
        with client:
            assert not lookup(client.getsockname(), listener.getsockname())


async def test_an_unknown_connection_is_refused() -> None:
    def unknown(_peer: Address, _here: Address) -> bool:
        raise OSError(errno.ENOENT, "no such socket")

    assert not await peer.Peers(unknown).ours(THERE, HERE)


async def test_a_system_that_does_not_know_itself_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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


def port_field(port: int) -> int:
    return socket.htons(port)


def test_windows_table_of_ipv4_is_read_by_both_ends() -> None:
    row = struct.Struct("<I4sI4sII")
    address = socket.inet_aton("127.0.0.1")
    rows = (
        row.pack(5, address, port_field(56445), address, port_field(50001), 4242),
        row.pack(5, address, port_field(50001), address, port_field(56445), 1717),
    )
    table = struct.pack("<I", len(rows)) + b"".join(rows) + bytes(40)
    assert peer_windows.holder(table, THERE, HERE, ipv6=False) == 1717
    with pytest.raises(OSError, match="no such"):
        peer_windows.holder(table, ("127.0.0.1", 50002), HERE, ipv6=False)


def test_windows_table_of_ipv6_is_read_by_both_ends() -> None:
    row = struct.Struct("<16sII16sIIII")
    address = socket.inet_pton(socket.AF_INET6, "::1")
    rows = (row.pack(address, 0, port_field(50001), address, 0, port_field(56445), 5, 1717),)
    table = struct.pack("<I", len(rows)) + b"".join(rows)
    assert peer_windows.holder(table, ("::1", 50001), ("::1", 56445), ipv6=True) == 1717
