"""Linux: whose socket the other end of a connection is, by sock_diag(7), else by proc(5)."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from agent.processes import Address

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, include/net/tcp_states.h
_AF_NETLINK: Final = 16
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_ALL_STATES: Final = 0xFFFFFFFF
_GONE: Final = frozenset((6, 7, 10))
"""TIME_WAIT, CLOSE: no process holds it any more; LISTEN: found because the connection was not.

One that was closed while something was still under way has another state, no inode and, whoever had it, root
as its user.
"""
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBxI")
_SOCKET_ID: Final = struct.Struct("=2s2s16s16sIII")
_ANSWER: Final = struct.Struct("=BBBB48sIIIII")
_NO_COOKIE: Final = 0xFFFFFFFF


class _Kernel:
    """The one socket through which the kernel is asked: open from the first question on.

    It needs no descriptor when one is needed most, while connections take all that there are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._sequence = 0

    def ask(self, question: bytes) -> bytes:
        """Return the answer, which the kernel has ready when the question is sent.

        Raises:
            OSError: it cannot be asked.
        """
        with self._lock:
            if self._socket is None:
                self._socket = socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
                self._socket.settimeout(2)
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            head = _HEADER.pack(
                _HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, self._sequence, 0
            )
            try:
                self._socket.send(head + question)
                while True:
                    answer = self._socket.recv(4096)
                    # One that was not waited for any more may still lie there.
                    if len(answer) < _HEADER.size or _HEADER.unpack_from(answer)[3] == self._sequence:
                        return answer
            except OSError:
                self._socket.close()
                self._socket = None
                raise


_kernel: Final = _Kernel()


def by_sock_diag(peer: Address, here: Address) -> bool:
    """Ask the kernel, which finds the one socket by its addresses (sock_diag(7)); takes microseconds."""
    return _uid(_kernel.ask(_question(peer, here))) == os.getuid()


def _question(peer: Address, here: Address) -> bytes:
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    ports = (port.to_bytes(2, "big") for _, port in (peer, here))
    hosts = (ip_address(host).packed.ljust(16, b"\0") for host, _ in (peer, here))
    return _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + _SOCKET_ID.pack(
        *ports, *hosts, 0, _NO_COOKIE, _NO_COOKIE
    )


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
    # What no process holds any more has no inode, and would be root's by its number.
    if fields[1] in _GONE or not fields[9]:
        raise OSError("the connection is over")
    return int(fields[8])


def by_table(peer: Address, here: Address) -> bool:
    """Without sock_diag: the table of all sockets (proc(5), /proc/net/tcp)."""
    tables = [("tcp6" if ":" in peer[0] else "tcp", [_in_table(peer), _in_table(here)])]
    if ":" not in peer[0]:
        # A socket of IPv6 can speak IPv4, as all of Java do.
        tables.append(("tcp6", [_in_table((f"::ffff:{host}", port)) for host, port in (peer, here)]))
    for name, addresses in tables:
        for line in Path("/proc/net", name).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1:3] == addresses and int(fields[3], 16) not in _GONE and int(fields[9]):
                return int(fields[7]) == os.getuid()
    raise OSError("no such connection")


def _in_table(address: Address) -> str:
    packed = ip_address(address[0]).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
