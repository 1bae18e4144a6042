"""The policy files of the Chromium family: a folder whose files do not add up.

A browser reads every file of the folder in the order of their names, and of a key that two of them say it
takes what the last one says, whole. So whatever is to be in a list goes into the file whose list counts,
beside what its owner wrote there.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, ErrorId
from agent.private_files import write_whole
from agent.trust import json_text

FILE: Final = "hca-agent.json"
"""Where ours goes while nobody else says the key."""

_KEPT: Final = ("etc", "etc/opt")
"""Folders that every system has, and that stay when nothing is in them."""


class PolicyFolder:
    """The managed policies of one browser, for every user of the machine.

    Args:
        root: where the system's folders start.
        folder: below it.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self._root = root
        self._folder = root / folder
        self.file = self._folder / FILE

    def said(self, key: str) -> Any:
        """Return what the browser takes `key` to be; None where nobody says it."""
        said = self._saying(key)
        return said[-1][1] if said else None

    def shadowing(self, key: str) -> bool:
        """Return whether our file takes away what an earlier one says."""
        said = self._saying(key)
        return len(said) > 1 and said[-1][0] == self.file

    def everywhere(self, key: str) -> Iterator[str]:
        """Return the texts that `key` lists, in whichever file."""
        for _, value in self._saying(key):
            if isinstance(value, list):
                yield from (each for each in value if isinstance(each, str))

    def add(self, key: str, value: str, *, marked: bool = False) -> None:
        """Have it in the list that counts, and in no other.

        Args:
            key: the policy.
            value: the text.
            marked: spell it so that it is known for ours: nothing else tells it from the administrator's.

        Raises:
            AgentError: `trust.tool_failed`: that file says something else than a list.
        """
        self.remove(key, value, marked=marked)
        said = self._saying(key)
        if marked and value in (self.said(key) or ()):
            return  # the administrator says it already
        foreign = [file for file, _ in said if file != self.file]
        if foreign:
            self._empty_own(key)
        spelled = _marked(value) if marked else ""
        file = foreign[-1] if foreign else self.file
        self._change(file, lambda text: json_text.added(text, [key], value, spelled=spelled))

    def remove(self, key: str, value: str, *, marked: bool = False) -> None:
        """Have it in no list; what it needed goes with it."""
        spelled = _marked(value) if marked else ""
        for file, _ in self._saying(key):
            self._change(file, lambda text: json_text.without(text, [key], value, spelled=spelled))

    def ours(self, key: str) -> Iterator[str]:
        """Return the texts under `key` that are spelled as ours."""
        for file, value in self._saying(key):
            text = _text(file)
            if isinstance(value, list):
                yield from (each for each in value if isinstance(each, str) and _marked(each) in text)

    def _empty_own(self, key: str) -> None:
        """Take everything out of our own file: it would keep others from being heard."""
        for file, value in self._saying(key):
            if file == self.file:
                for each in value if isinstance(value, list) else ():
                    self._change(file, partial(json_text.without, path=[key], value=each))

    def _saying(self, key: str) -> list[tuple[Path, Any]]:
        """Return the files that say `key` and what, the one that counts last; unreadable ones say nothing."""
        found = []
        try:
            files = sorted(self._folder.iterdir(), key=os.fsencode)
        except (FileNotFoundError, NotADirectoryError):
            return []
        for file in files:
            try:
                content = json_text.read(_text(file)) if file.is_file() else {}
            except (OSError, ValueError):  # nor does the browser read it
                continue
            if key in content:
                found.append((file, content[key]))
        return found

    def _change(self, file: Path, change: Callable[[str], str]) -> None:
        change_file(file, change, self._root, own=file == self.file)


def change_file(file: Path, change: Callable[[str], str], root: Path, *, own: bool) -> None:
    """Change a policy file, whole or not at all, with its mode and owner kept; one left empty goes.

    Args:
        file: may be a link, and may be missing.
        change: from the old text to the new.
        root: where the system's folders start.
        own: whether nobody but this program writes there, so that a torn one is begun anew.

    Raises:
        AgentError: `trust.tool_failed`: it cannot be read, or says something of another shape.
    """
    target = file.resolve()
    try:
        text = _text(target)
    except FileNotFoundError:
        text = json_text.EMPTY
    try:
        if own:
            try:
                json_text.read(text)
            except ValueError:
                text = json_text.EMPTY
        changed = change(text)
    except ValueError as error:
        raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"{file}: {error}") from error
    if changed == text:
        return
    if not _says_anything(json_text.read(changed)) and file == target:
        _delete(file, root)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.stat() if target.exists() else None
    write_whole(target, changed.encode(), mode=stat.S_IMODE(before.st_mode) if before else 0o644)
    if before and (before.st_uid, before.st_gid) != (target.stat().st_uid, target.stat().st_gid):
        os.chown(target, before.st_uid, before.st_gid)


def _text(file: Path) -> str:
    return file.read_bytes().decode()  # as it is: no line end becomes another


def _marked(value: str) -> str:
    r"""Return `value` as nobody else spells it: RFC 8259 §7 lets a slash be written `\/`."""
    return json.dumps(value).replace("/", r"\/")


def _says_anything(content: Any) -> bool:
    if isinstance(content, dict):
        return any(map(_says_anything, content.values()))
    return any(map(_says_anything, content)) if isinstance(content, list) else True


def _delete(file: Path, root: Path) -> None:
    file.unlink(missing_ok=True)
    kept = [root / each for each in _KEPT]
    for folder in file.parents:
        if folder in kept:
            return
        try:
            folder.rmdir()
        except OSError:
            return
