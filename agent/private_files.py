"""Files written whole or not at all, and those that only this user may read."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

_FULL: Final = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))


def is_full(error: OSError) -> bool:
    """Return whether there was no room: the disk, this user's share of it, or the largest file."""
    return error.errno in _FULL


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` into `path`, whole or not at all.

    Raises:
        OSError: if the folder is missing or cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if mode != 0o600 and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write does not know where it goes
        raise


def write_private(path: Path, content: bytes) -> None:
    """Put `content` into `path` for this user alone, whole or not at all.

    Raises:
        OSError: if the folder is missing or cannot be written.
    """
    write_whole(path, content)
