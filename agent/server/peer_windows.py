"""Windows: which process holds the other end of a connection, and whose it is (IP Helper, access tokens)."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from agent.server.addresses import Address

# iprtrmib.h: MIB_TCPROW_OWNER_PID and MIB_TCP6ROW_OWNER_PID; ports are in network order in the low half.
_ROW4: Final = struct.Struct("<I4sI4sII")
_ROW6: Final = struct.Struct("<16sII16sIIII")
_COUNT: Final = struct.Struct("<I")
_CONNECTIONS_WITH_PID: Final = 4  # TCP_TABLE_OWNER_PID_CONNECTIONS
_INSUFFICIENT_BUFFER: Final = 122
_QUERY_LIMITED: Final = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
_TOKEN_QUERY: Final = 0x0008
_TOKEN_USER: Final = 1
_ATTEMPTS: Final = 5

Connection = tuple[Address, Address, int]


def connections(table: bytes, *, ipv6: bool) -> Iterator[Connection]:
    """The rows of a table of GetExtendedTcpTable: local address, remote address, process number."""
    (count,) = _COUNT.unpack_from(table)
    row = _ROW6 if ipv6 else _ROW4
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    for number in range(count):
        fields = row.unpack_from(table, _COUNT.size + number * row.size)
        if ipv6:
            local, _, local_port, remote, _, remote_port, _, pid = fields
        else:
            _, local, local_port, remote, remote_port, pid = fields
        yield (
            (socket.inet_ntop(family, local), socket.ntohs(local_port & 0xFFFF)),
            (socket.inet_ntop(family, remote), socket.ntohs(remote_port & 0xFFFF)),
            pid,
        )


def holder(table: bytes, peer: Address, here: Address, *, ipv6: bool) -> int:
    """The process that is bound to `peer` and connected to `here`.

    Raises:
        OSError: there is none.
    """
    for local, remote, pid in connections(table, ipv6=ipv6):
        if (local, remote) == (peer, here) and pid:
            return pid
    raise OSError("no such connection")


if sys.platform == "win32":
    from ctypes import wintypes

    _iphlpapi = ctypes.WinDLL("iphlpapi")
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _advapi32.OpenProcessToken.argtypes = (
        wintypes.HANDLE,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.HANDLE),
    )
    _advapi32.GetTokenInformation.argtypes = (
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi32.EqualSid.argtypes = (ctypes.c_void_p, ctypes.c_void_p)

    def is_mine(peer: Address, here: Address) -> bool:
        """Whether the process at `peer` runs as this user.

        Raises:
            OSError: there is none, or Windows does not tell this user.
        """
        ipv6 = ":" in peer[0]
        pid = holder(_table(ipv6), peer, here, ipv6=ipv6)
        theirs, mine = _user_of(pid), _user_of(os.getpid())
        return bool(_advapi32.EqualSid(_sid(theirs), _sid(mine)))

    def _table(ipv6: bool) -> bytes:
        family = 23 if ipv6 else 2
        size = wintypes.DWORD(0)
        table = ctypes.create_string_buffer(1)
        for _ in range(_ATTEMPTS):  # it may grow between the calls
            code = _iphlpapi.GetExtendedTcpTable(
                table, ctypes.byref(size), False, family, _CONNECTIONS_WITH_PID, 0
            )
            if code == 0:
                return table.raw
            if code != _INSUFFICIENT_BUFFER:
                break
            table = ctypes.create_string_buffer(size.value)
        raise OSError(f"GetExtendedTcpTable failed with {code}")

    def _user_of(pid: int) -> ctypes.Array[ctypes.c_char]:
        """The TOKEN_USER of a process: a pointer to its SID, and the SID behind it."""
        process = _kernel32.OpenProcess(_QUERY_LIMITED, False, pid)
        if not process:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            token = wintypes.HANDLE()
            if not _advapi32.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
                raise ctypes.WinError(ctypes.get_last_error())
            try:
                length = wintypes.DWORD(0)
                _advapi32.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(length))
                user = ctypes.create_string_buffer(length.value)
                if not _advapi32.GetTokenInformation(token, _TOKEN_USER, user, length, ctypes.byref(length)):
                    raise ctypes.WinError(ctypes.get_last_error())
                return user
            finally:
                _kernel32.CloseHandle(token)
        finally:
            _kernel32.CloseHandle(process)

    def _sid(user: ctypes.Array[ctypes.c_char]) -> ctypes.c_void_p:
        return ctypes.c_void_p.from_buffer(user)

else:

    def is_mine(peer: Address, here: Address) -> bool:
        """Whether the process at `peer` runs as this user; only Windows is asked in this way."""
        raise OSError(f"not on {sys.platform}")
