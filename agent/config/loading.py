"""The files of the configuration read and put together, the administrator's last."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from agent.config.sections import SECTIONS, Config
from agent.errors import AgentError, ErrorId
from agent.paths import Paths


class ConfigError(AgentError):
    """The configuration cannot be used: which file, which key, and why.

    Attributes:
        file: the file at fault.
        key: `section.key`, or empty when the whole file is at fault.
    """

    def __init__(self, file: Path, key: str, sentence: str) -> None:
        where = f"{file}: [{key}] " if key else f"{file}: "
        super().__init__(ErrorId.CONFIG_INVALID, detail=where + sentence)
        self.file = file
        self.key = key


def load(paths: Paths) -> Config:
    """Return the configuration of this user on this machine.

    Raises:
        ConfigError: a file cannot be read or says something that is not known.
    """
    chosen: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    # The administrator's come last, so that they win key by key.
    for document in (_read(paths.config, administrator=False), *_administrators(paths)):
        for section, values in document.items():
            chosen[section].update(values)
    return Config(**{section: SECTIONS[section](**values) for section, values in chosen.items()})


def _administrators(paths: Paths) -> Iterator[dict[str, dict[str, Any]]]:
    yield _read(paths.policy, administrator=True)
    if sys.platform == "win32" and paths.machine != paths.home:
        import winreg

        from agent.win32 import policy

        try:
            said = policy.read(SECTIONS, winreg)
        except OSError as error:
            raise ConfigError(policy.PLACE, "", f"is there and cannot be read: {error.strerror}") from error
        yield settled(policy.PLACE, said, administrator=True)


def settled(place: Path, document: Mapping[str, Any], *, administrator: bool) -> dict[str, dict[str, Any]]:
    """Return the values of `document`, checked and as the dataclasses hold them.

    Args:
        place: where it was read, for the error.
        document: sections, as TOML has them.
        administrator: whether it is the administrator's.

    Raises:
        ConfigError: it says something that is not known.
    """
    return {name: _section(place, name, values, administrator) for name, values in document.items()}


def _read(file: Path, *, administrator: bool) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(file.read_text("utf-8-sig"))  # Windows' editors may begin it with a mark
    except FileNotFoundError as error:
        if trouble := _is_there(file):
            raise ConfigError(file, "", trouble) from error
        return {}
    except OSError as error:
        raise ConfigError(file, "", f"is there and cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, "", "is not UTF-8: save it in that encoding") from error
    except (ValueError, RecursionError) as error:  # of numbers with too many digits, too
        raise ConfigError(file, "", f"is not TOML: {error}") from error
    return settled(file, document, administrator=administrator)


def _is_there(file: Path) -> str:
    """Return why a file that was not found still counts as there; empty where it does not.

    Who made a link meant that what it leads to holds: without it more could be allowed than they said.
    """
    for place in (file, *file.parents):
        if os.path.lexists(place):
            return (
                f"is there and cannot be read: the link {place} leads nowhere" if place.is_symlink() else ""
            )
    return ""


def _section(file: Path, name: str, values: Any, administrator: bool) -> dict[str, Any]:
    if name not in SECTIONS:
        raise ConfigError(file, name, f"is not known; known sections are {', '.join(SECTIONS)}")
    if not isinstance(values, dict):
        raise ConfigError(file, name, f"must be a section: write [{name}] on a line of its own")
    known = {item.name: item.metadata for item in fields(SECTIONS[name])}
    settled = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(file, f"{name}.{key}", f"is not known; [{name}] knows {', '.join(known)}")
        if known[key].get("administrator") and not administrator:
            raise ConfigError(file, f"{name}.{key}", "is the administrator's: it belongs into policy.toml")
        try:
            settled[key] = known[key]["read"](value)
        except ValueError as error:
            raise ConfigError(file, f"{name}.{key}", str(error)) from error
    return settled
