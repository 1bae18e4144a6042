"""Return whether this process is the administrator's, and whether a file could be anybody else's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agent import path_safety
from agent.win32 import acl


def is_administrator() -> bool:
    """Return whether this process may install programs for everybody: root, or an elevated administrator."""
    if sys.platform == "win32":
        return acl.is_administrator()
    return os.geteuid() == 0


def is_administrators(path: Path) -> bool:
    """Return whether nobody but the administrator made `path` and what leads to it, or can change them.

    That is the file, the folders above it, and every link on the way with the folders above that.

    On Windows the owners are asked, which no ordinary user can make others; who else may write there is what
    the owner gave away, and not looked at.

    Raises:
        OSError: it is not there, or cannot be asked.
    """
    file = path_safety.real(path)
    return all(map(_is_administrators, (file, *file.parents, *path_safety.places_of(path.absolute()))))


def _is_administrators(path: Path) -> bool:
    if sys.platform == "win32":
        return acl.owner_of(path) in acl.ADMINISTRATORS
    status = path.stat()
    return status.st_uid == 0 and not status.st_mode & 0o022
