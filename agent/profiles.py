"""Card profiles beside the one that ships: the administrator's and the person's, each a file of TOML.

A file that cannot be used is named with its key, and everything else goes on without it: a missing profile
only leaves one type of card unknown, and nobody with another card is kept from working. (The configuration is
stricter, as a misspelt `deny` there could allow.)
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent import path_safety
from agent.paths import Paths
from hca_card import profile
from hca_card.profile import ProfileError
from hca_card.profile_format import Profile

log = logging.getLogger(__name__)

FILES_MAX: Final = 64
BYTES_MAX: Final = 256 * 1024

Profiles = Callable[[], Sequence[Profile]]
"""The card types known, at the time of asking."""


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """One file of a profile folder.

    Attributes:
        file: its path.
        profile: what it says; None where it cannot be used.
        trouble: why not: file, key and a sentence; empty where it can.
    """

    file: Path
    profile: Profile | None
    trouble: str = ""


def look(paths: Paths) -> tuple[ProfileFile, ...]:
    """Every `*.toml` in the administrator's folder, then in the person's, in the order of their names."""
    folders = dict.fromkeys((paths.machine_profiles, paths.profiles))
    found: list[ProfileFile] = []
    names: set[str] = set()
    for folder in folders:
        try:
            # `glob` would take a folder that cannot be read for an empty one.
            files = sorted(each for each in folder.iterdir() if each.suffix == ".toml")
        except FileNotFoundError:
            continue
        except OSError as error:
            found.append(ProfileFile(folder, None, f"{folder}: cannot be read: {error.strerror}"))
            continue
        for file in files:
            if len(found) == FILES_MAX:
                found.append(ProfileFile(folder, None, f"{folder}: holds more than {FILES_MAX} profiles"))
                return tuple(found)
            found.append(_read(file, names))
    return tuple(found)


def load(paths: Paths) -> Sequence[Profile]:
    """Return the profiles to recognise cards by: the administrator's, the person's, then the one that ships.

    What cannot be used is logged as a warning, drafts are left out.
    """
    usable = []
    for one in look(paths):
        if one.profile is None:
            log.warning("card profile left out: %s", one.trouble)
        elif one.profile.draft:
            log.info("card profile left out: %s: is a draft", one.file)
        else:
            usable.append(one.profile)
    return (*usable, profile.reference())


def loaded(paths: Paths) -> Profiles:
    """`load`, done now, in the form that a place of cards takes."""
    known = load(paths)
    return lambda: known


def check(file: Path) -> ProfileFile:
    """One file, wherever it is."""
    return _read(file, set())


def _read(file: Path, names: set[str]) -> ProfileFile:
    try:
        _require_trusted(file)
        found = profile.load(file)
    except ProfileError as error:
        return ProfileFile(file, None, str(error))
    if found.name in names:
        return ProfileFile(file, None, f"{file}: name {found.name!r} is taken by a profile read before it")
    names.add(found.name)
    return ProfileFile(file, found)


def _require_trusted(file: Path) -> None:
    """Refuse what somebody else could have written: a profile decides what is sent to a card with a PIN.

    Raises:
        ProfileError: others may write to it or its folder, it is no plain file, or too large.
    """
    try:
        for place in (file, file.parent):
            if os.name == "posix" and path_safety.others_can_write(place):
                raise ProfileError(
                    f"{file}: {place} can be written by others; only its owner may: chmod go-w"
                )
        status = file.stat()
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > BYTES_MAX:
        raise ProfileError(f"{file}: must be a file of at most {BYTES_MAX} bytes")
