"""Loopback ports: taken on 127.0.0.1 and ::1 together or not at all, and who holds those not free."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import AgentError, ErrorId
from agent.processes import holder_of

BACKLOG = 4096
"""Connections that wait in the kernel: when another user fills this, an owner's waits a second more."""
_EPHEMERAL_ATTEMPTS = 20
_NO_IPV6 = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT))


@dataclass(frozen=True, slots=True)
class PortConflict:
    """A port of ours that another program holds.

    Attributes:
        holder: the program's name and process number, empty where it is unknown.
        answers_as_vendor: it speaks the portals' protocol, so they will talk to it and not to this program.
    """

    port: int
    holder: str
    answers_as_vendor: bool = False

    def sentences(self) -> tuple[str, str]:
        """Return what it means for a person, in Chinese and English."""
        zh, en = self.holder or "不明", self.holder or "unknown"
        if self.answers_as_vendor:
            return (
                f"連接埠 {self.port} 由另一個卡片元件（{zh}）使用中：入口網站會連到那個元件，而不是本程式。"
                "請關閉或移除它，再重新啟動本程式。",
                f"Port {self.port} is held by another card component ({en}): portals reach that one and not"
                " this program. Close or remove it and start this program again.",
            )
        return (
            f"連接埠 {self.port} 已被另一個程式（{zh}）使用，入口網站可能連不到本程式。"
            "請關閉它，再重新啟動本程式。",
            f"Port {self.port} is held by another program ({en}); portals may not find this one."
            " Close it and start this program again.",
        )


@dataclass(frozen=True, slots=True)
class TakenPort:
    """One port, taken.

    Attributes:
        sockets: bound and listening, 127.0.0.1 first, then ::1 where this machine has it.
        conflicts: the ports tried before it.
    """

    port: int
    sockets: tuple[socket.socket, ...]
    conflicts: tuple[PortConflict, ...] = ()

    def close(self) -> None:
        """Give the port back; safe to call twice."""
        for each in self.sockets:
            each.close()


def listen(ports: Sequence[int], answers: Callable[[int], bool] = lambda _port: False) -> TakenPort:
    """Take the first port of `ports` that is free on both loopback addresses; 0 is any free port.

    Args:
        ports: in the order to try.
        answers: asked of a port that is not free: does its holder answer as the vendor's program does?
            May block for some seconds.

    Raises:
        AgentError: none is free: `port.taken`, or `port.vendor` where portals reach a program that holds one.
            Its facts name the ports and who holds them.
    """
    conflicts: list[PortConflict] = []
    for port in ports:
        pair = _pair(port)
        if pair is not None:
            return TakenPort(pair[0].getsockname()[1], pair, tuple(conflicts))
        conflicts.append(PortConflict(port, holder_of(port), answers(port)))
    tried = ", ".join(f"{conflict.port} {conflict.holder}".strip() for conflict in conflicts)
    taken = (
        ErrorId.PORT_VENDOR
        if any(conflict.answers_as_vendor for conflict in conflicts)
        else ErrorId.PORT_TAKEN
    )
    raise AgentError(taken, conflicts=tuple(conflicts), detail=tried)


def _pair(port: int) -> tuple[socket.socket, ...] | None:
    """Return the listening sockets of `port`, None when another program has either of them."""
    for _ in range(1 if port else _EPHEMERAL_ATTEMPTS):
        first = _bind(socket.AF_INET, "127.0.0.1", port)
        if first is None:
            continue
        try:
            second = _bind(socket.AF_INET6, "::1", first.getsockname()[1])
        except OSError as error:
            if error.errno in _NO_IPV6:
                return (first,)
            first.close()
            raise
        if second is not None:
            return first, second
        first.close()
    return None


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket | None:
    """Return a listening socket; None when the port is taken.

    Raises:
        OSError: anything else; a family or address that this machine lacks is among `_NO_IPV6`.
    """
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Without it, Windows lets any later program of the user share or take over the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        # Windows says EACCES of a port that another program holds exclusively.
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise
    return listener
