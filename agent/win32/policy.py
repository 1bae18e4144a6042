r"""The administrator's configuration on Windows: group policy in the registry, and whose policy.toml counts.

Each section of the configuration is a key below `HKEY_LOCAL_MACHINE\Software\Policies\HCA Card Agent`, each
of its keys a value there: REG_DWORD for numbers and for yes and no, REG_SZ for texts, REG_MULTI_SZ for lists.
Group policy wins over policy.toml, as the domain's administrator does over the machine's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from agent.win32.registry import Registry, keys, values

KEY: Final = r"Software\Policies\HCA Card Agent"
PLACE: Final = Path(rf"HKEY_LOCAL_MACHINE\{KEY}")

log = logging.getLogger(__name__)


def read(sections: Mapping[str, type[Any]], registry: Registry) -> dict[str, dict[str, Any]]:
    """Return what group policy says, in the words of TOML; the configuration checks it.

    Args:
        sections: the dataclass of each section, whose fields tell yes and no from numbers.
        registry: the module `winreg`.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in keys(registry, KEY):
        types = {item.name: str(item.type) for item in fields(sections[name])} if name in sections else {}
        found[name] = {
            key: _in_words_of_toml(types.get(key, ""), value)
            for key, value in values(registry, rf"{KEY}\{name}")
            if not key.startswith("**")  # group policy leaves such a value where one is to be deleted
        }
    return found


def folder(usual: Path) -> Path:
    """Return the administrator's folder: `usual`, else one that does not exist where others can write there.

    Everybody may make folders in ProgramData. One that no administrator made must not be taken for the
    administrator's, and must not keep anybody's agent from starting.
    """
    from agent.win32.acl import administrators_alone_write

    try:
        # A link that leads nowhere is there: anybody may have made it.
        if not os.path.lexists(usual) or administrators_alone_write(usual):
            return usual
        log.warning("%s does not count: not only administrators can write there", usual)
    except OSError as error:
        log.warning("%s does not count: %s", usual, error)
    # Only administrators can make folders there.
    return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), usual.name)


def _in_words_of_toml(kind: str, value: Any) -> Any:
    if kind == "bool" and value in (0, 1):
        return bool(value)
    if kind.startswith("tuple[int") and isinstance(value, list):
        return [int(item) if item.isascii() and item.isdigit() else item for item in value]
    return value
