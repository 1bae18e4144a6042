"""Every place that decides which file a path leads to, links included, and who can write there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def real(path: Path) -> Path:
    """Return the file itself, links followed.

    Raises:
        OSError: there is none, or its links lead in a circle.
    """
    return Path(os.path.realpath(path, strict=True))  # Path.resolve has another error for circles


def places_of(path: Path) -> dict[Path, bool]:
    """Return the file, the folders above it, and those of every link on the way.

    Args:
        path: absolute, of a file that `real` finds.

    Returns:
        By place, whether the file or one of the links lies right in it.
    """
    found: dict[Path, bool] = {}
    links: set[Path] = set()
    steps = [path]
    while steps:
        step = steps.pop()
        found[step.parent] = True
        for place in (step, *step.parents):
            found.setdefault(place, False)
            if place.is_symlink() and place not in links:
                links.add(place)
                found[place.parent] = True
                steps.append(place.parent / place.readlink())
    return found


def others_can_write(place: Path, *, near: bool = True) -> bool:
    """Return whether anybody but root and this user can change a file or folder (POSIX).

    Args:
        place: the file or folder.
        near: whether what matters lies right in it; farther up, a folder with the sticky bit, such as /tmp,
            will do: what lies there can only be replaced by its owner.

    Raises:
        OSError: if it cannot be looked at.
    """
    status = place.stat()
    sticky = not near and stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky
    return bool(writable) or status.st_uid not in (0, os.geteuid())
