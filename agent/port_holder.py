"""Which program listens on a port of this machine."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_TCP_LISTEN = "0A"  # Linux include/net/tcp_states.h


def holder_of(port: int) -> str:
    """Who listens on TCP `port`, as `name (pid)`, or as `user name` where it is another user's program.

    Empty where this system does not tell this user.
    """
    owners = _listening_inodes(port) if sys.platform == "linux" else {}
    if not owners:
        return ""
    wanted = {f"socket:[{inode}]" for inode in owners}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone in between, or another user's
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in wanted:
                        return f"{(process / 'comm').read_text().strip()} ({process.name})"
    return f"user {_user_name(min(owners.values()))}"


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _listening_inodes(port: int) -> dict[str, int]:
    """The socket inodes that listen on `port`, and whose each is (proc(5), /proc/net/tcp and tcp6)."""
    inodes: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes[fields[9]] = int(fields[7])
    return inodes
