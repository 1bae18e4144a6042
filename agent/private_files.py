"""Files written whole or not at all, and those that only this user may read."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

_OF_THE_DISK: Final = frozenset(
    (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS, errno.EIO)
)


def is_of_the_disk(error: OSError) -> bool:
    """Return whether it is the disk that takes nothing, and no fault of the file: full, read-only, broken."""
    return error.errno in _OF_THE_DISK


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
