"""Folders in which others put files: nothing in them leads out of them.

Where the system has it, everything is reached from the open folder itself and no link is followed, so that
whoever may write in the folder cannot exchange a part of the way in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

_BY_DESCRIPTOR: Final = {os.open, os.stat, os.rename, os.unlink, os.mkdir} <= os.supports_dir_fd
_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class Folder:
    """An open folder; a context manager that closes it.

    Args:
        path: where it is.
        parent: the folder that it is in, of which it must not be a link; None for one that was configured.

    Raises:
        OSError: there is none, or it may not be used; from every method too.
    """

    def __init__(self, path: Path, parent: Folder | None = None) -> None:
        self.path: Final = path
        self._descriptor: int | None = None
        if _BY_DESCRIPTOR:
            follow = os.O_NOFOLLOW if parent is not None else 0
            name, within = (path, None) if parent is None else (path.name, parent._descriptor)
            self._descriptor = os.open(
                name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow, dir_fd=within
            )
        elif parent is not None and _is_link(path):
            raise OSError(f"{path} is a link")
        elif not path.is_dir():
            raise NotADirectoryError(str(path))

    @property
    def others_may_write(self) -> bool:
        """Whether everybody may put files there (POSIX)."""
        return self._descriptor is not None and bool(os.fstat(self._descriptor).st_mode & stat.S_IWOTH)

    def within(self, name: str, *, make: bool = False) -> Folder:
        """Return the folder of that name in this one."""
        if make:
            with suppress(FileExistsError):
                os.mkdir(self._place(name), 0o700, dir_fd=self._descriptor)
        return Folder(self.path / name, self)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """Give what is in it, one after the other however much."""
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as found:
            yield from found

    def look(self, name: str) -> os.stat_result:
        """Return what is known of a file, or of the link that it is."""
        return os.stat(self._place(name), dir_fd=self._descriptor, follow_symlinks=False)

    def read(self, name: str, most: int) -> bytes:
        """Return a whole file that nobody is writing.

        Raises:
            OSError: it is no file, longer than `most`, or changed meanwhile.
        """
        descriptor = os.open(self._place(name), _READ, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or before.st_size > most:
                raise OSError(f"{name!r} is no file that can be taken in")
            content = file.read(most + 1)
            after = os.fstat(descriptor)
            if len(content) != before.st_size or (before.st_mtime_ns, before.st_size) != (
                *(after.st_mtime_ns, after.st_size),
            ):
                raise OSError(f"{name!r} is still being written")
            return content

    def move(self, name: str, target: Folder, new: str) -> None:
        """Move a file to another folder of the same disk, where nothing has that name."""
        os.rename(
            self._place(name),
            target._place(new),
            src_dir_fd=self._descriptor,
            dst_dir_fd=target._descriptor,
        )

    def remove(self, name: str) -> None:
        """Remove a file, or the link that it is."""
        os.unlink(self._place(name), dir_fd=self._descriptor)

    def settle(self) -> None:
        """Have what was moved be on the disk."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _place(self, name: str) -> str | Path:
        return name if self._descriptor is not None else self.path / name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()


def _is_link(path: Path) -> bool:
    """Whether a path is a link, or what stands for one on Windows."""
    status = os.lstat(path)
    reparse = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & reparse)
