"""Whose process is at the other end of a connection: loopback is open to every user of this machine.

Each system is asked in its own way, behind one function: `Lookup`. A system that cannot even tell that a
connection of this very process is this user's is not asked again: then origin and token alone decide, and
the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

Address = tuple[str, int]
Lookup = Callable[[Address, Address], bool]
"""Whether the socket bound to the first address and connected to the second is this user's.

Raises:
    OSError: the system knows no such socket, or does not tell.
"""

_LSOF: Final = "/usr/sbin/lsof"
_LSOF_SECONDS: Final = 5.0

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, include/net/tcp_states.h
_AF_NETLINK: Final = 16
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_ALL_STATES: Final = 0xFFFFFFFF
_GONE: Final = frozenset((6, 7, 10))
"""TIME_WAIT, CLOSE: no process holds it any more; LISTEN: found because the connection was not."""
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBxI")
_SOCKET_ID: Final = struct.Struct("=2s2s16s16sIII")
_ANSWER: Final = struct.Struct("=BBBB48sIIIII")
_NO_COOKIE: Final = 0xFFFFFFFF


class Peers:
    """Who is at the other end.

    Args:
        lookup: how this system is asked; None admits everybody.
    """

    def __init__(self, lookup: Lookup | None) -> None:
        self._lookup = lookup

    async def ours(self, peer: Address, here: Address) -> bool:
        """Whether the process that connected from `peer` to `here` is this user's; unknown is no."""
        if self._lookup is None:
            return True
        try:
            return await asyncio.to_thread(self._lookup, peer[:2], here[:2])
        except (OSError, ValueError) as error:
            log.info("a connection from port %d has no owner: %s", peer[1], error)
            return False


def system() -> Peers:
    """This system's way, tried on a connection of our own first; blocks for some milliseconds."""
    for lookup in _LOOKUPS.get(sys.platform, ()):
        try:
            if _knows_ourselves(lookup):
                return Peers(lookup)
        except (OSError, ValueError) as error:
            log.info("%s does not tell whose a connection is: %s", lookup.__name__, error)
    log.warning("this system does not tell whose a connection is; other users of it are not told apart")
    return Peers(None)


def _knows_ourselves(lookup: Lookup) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()
        with socket.create_connection(here) as client:
            return lookup(client.getsockname(), here)


def by_sock_diag(peer: Address, here: Address) -> bool:
    """Linux: the kernel finds the one socket by its addresses (sock_diag(7))."""
    with socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(2)
        kernel.send(_question(peer, here))
        return _uid(kernel.recv(4096)) == os.getuid()


def _question(peer: Address, here: Address) -> bytes:
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    ports = (port.to_bytes(2, "big") for _, port in (peer, here))
    hosts = (ip_address(host).packed.ljust(16, b"\0") for host, _ in (peer, here))
    wanted = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + _SOCKET_ID.pack(
        *ports, *hosts, 0, _NO_COOKIE, _NO_COOKIE
    )
    length = _HEADER.size + len(wanted)
    return _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + wanted


def _uid(answer: bytes) -> int:
    if len(answer) < _HEADER.size:
        raise OSError("a short answer")
    kind = _HEADER.unpack_from(answer)[1]
    if kind == _NLMSG_ERROR:
        number = -int.from_bytes(answer[_HEADER.size : _HEADER.size + 4], sys.byteorder, signed=True)
        raise OSError(number, os.strerror(number))
    if kind != _SOCK_DIAG_BY_FAMILY or len(answer) < _HEADER.size + _ANSWER.size:
        raise OSError("not the answer that was asked for")
    fields = _ANSWER.unpack_from(answer, _HEADER.size)
    if fields[1] in _GONE:
        raise OSError("the connection is over")
    return int(fields[8])


def by_table(peer: Address, here: Address) -> bool:
    """Linux without sock_diag: the table of all sockets (proc(5), /proc/net/tcp)."""
    table = Path("/proc/net", "tcp6" if ":" in peer[0] else "tcp")
    local, remote = _in_table(peer), _in_table(here)
    for line in table.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [local, remote] and int(fields[3], 16) not in _GONE:
            return int(fields[7]) == os.getuid()
    raise OSError("no such connection")


def _in_table(address: Address) -> str:
    packed = ip_address(address[0]).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


def by_lsof(peer: Address, here: Address) -> bool:
    """macOS: lsof, which shows a user their own processes' sockets and nobody else's."""
    local, remote = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in (peer, here))
    told = subprocess.run(  # noqa: S603  (nothing here comes from anybody else)
        [_LSOF, "-a", "-n", "-P", "-u", str(os.getuid()), "-iTCP@" + local, "-Fn"],
        capture_output=True,
        timeout=_LSOF_SECONDS,
        check=False,
        text=True,
    )
    return f"n{local}->{remote}" in told.stdout.splitlines()


def by_process(peer: Address, here: Address) -> bool:
    """Windows: the process that holds the socket, and the user of its token."""
    from agent.server import peer_windows

    return peer_windows.is_mine(peer, here)


_LOOKUPS: Final[dict[str, tuple[Lookup, ...]]] = {
    "linux": (by_sock_diag, by_table),
    "darwin": (by_lsof,),
    "win32": (by_process,),
}
