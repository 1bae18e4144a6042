"""Files that commands read and write: certificates in, results out, nothing overwritten unasked."""

from __future__ import annotations

import binascii
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click

INPUT: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
OUTPUT: Final = click.Path(path_type=Path)

_PEM: Final = re.compile(rb"-----BEGIN (CERTIFICATE|CMS|PKCS7)-----([A-Za-z0-9+/=\s]+)-----END \1-----")


def check_free(paths: list[Path], *, force: bool) -> None:
    """Return if all of `paths` can be written without losing anything; asked before a PIN is.

    Raises:
        click.UsageError: one exists and `force` is not given, or two are the same.
    """
    for path in paths:
        if not path.parent.is_dir():
            raise click.UsageError(f"沒有這個資料夾 · there is no such folder: {path.parent}")
        if path.is_dir():
            raise click.UsageError(f"這是資料夾 · this is a folder: {path}")
        if path.exists() and not force:
            raise click.UsageError(
                f"檔案已存在；加 --force 覆寫 · the file exists; --force overwrites it: {path}"
            )
    if len({path.absolute() for path in paths}) != len(paths):
        raise click.UsageError("兩個結果會寫到同一個檔案 · two results would go to the same file")


def write(path: Path, content: bytes, *, force: bool, private: bool = False) -> None:
    """Put `content` into `path`, whole or not at all; the rest is as in `writing`."""
    with writing(path, force=force, private=private) as file:
        file.write(content)


@contextmanager
def writing(path: Path, *, force: bool, private: bool = False) -> Iterator[BinaryIO]:
    """Run the body with a file whose content becomes that of `path` once the body is done, else is deleted.

    Args:
        path: the file.
        force: replace a file that is there.
        private: readable by this user alone.

    Raises:
        OSError: it cannot be written, or it is there after all and `force` is not given.
    """
    mode = 0o600 if private else 0o666
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    claimed = False
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        if not force:
            # Whoever made it since this was asked before keeps it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            claimed = True
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if claimed:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write does not know where it goes
        raise


def read(path: Path) -> bytes:
    """Return the content of a file as it was at one moment.

    Raises:
        DocumentChangedError: another program wrote, cut or replaced it meanwhile.
        OSError: it cannot be read.
    """
    from signing.errors import DocumentChangedError

    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        after = os.fstat(file.fileno())
    if not stat.S_ISREG(before.st_mode):
        return content
    # What is under the name now must be what was read, or somebody is shown another document than is judged.
    states = {(each.st_ino, each.st_size, each.st_mtime_ns) for each in (before, after, path.stat())}
    if len(states) != 1 or len(content) != before.st_size:
        raise DocumentChangedError(path.name)
    return content


def read_der(path: Path) -> bytes:
    """Return the certificate or CMS message in a file, DER or PEM (RFC 7468); of several the first.

    Raises:
        DocumentChangedError: another program wrote, cut or replaced it meanwhile.
    """
    content = read(path)
    # What is signed in a CMS message may hold PEM; only what is no DER is searched.
    match = None if content[:1] == b"\x30" else _PEM.search(content)
    return binascii.a2b_base64(match[2]) if match else content
