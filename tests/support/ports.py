"""Ports that a program is told to take a moment later, and ports at which nobody listens."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

_FIRST: Final = 10_000
_EACH: Final = 100
_PROCESSES: Final = 100  # above are those of `tests.support.chromium.site_ports`
_numbers: Final = itertools.count()


def free_ports(count: int) -> list[int]:
    """So many ports that nobody has, and that nobody else is given.

    They are none of those that a system gives to whoever asks for any port or connects
    (`ip_local_port_range`), and each process of the tests has its own: one that the system gave out could be
    another's by now.
    """
    first = _FIRST + os.getpid() % _PROCESSES * _EACH
    found: list[int] = []
    for number in itertools.islice(_numbers, _EACH):
        port = first + number % _EACH
        if _is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"no {count} ports are free from {first} on")


def free_port() -> int:
    """One of `free_ports`."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
