r"""What the installers for Windows have this program do: after the files are there, and before they go.

The installers leave the options that they were given as texts in the registry (`Software\HCA Card
Agent\Setup`, of the machine or of the user), so that nothing anybody typed is ever part of a command. They
are checked here as the configuration is, and an installation with a wrong option fails
instead of starting with less.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent import config
from agent.cli.windows import browser_policy
from agent.cli.windows.toml_text import toml_text
from agent.private_files import write_private
from agent.win32.registry import Registry

KEY: Final = r"Software\HCA Card Agent\Setup"
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_HEAD: Final = "# 由安裝程式寫入 · written by the installer\n"


@dataclass(frozen=True, slots=True)
class InstallerOptions:
    """The options that the installer was given; an empty one was not given.

    Attributes:
        ports: the ServiSign ports, apart by blanks, commas or semicolons.
        allowed_origins: exact origins that need no consent, likewise.
        policy_file: a file in the form of policy.toml.
        browser_policies: let Chrome and Edge reach this program from the known portals unasked.
    """

    ports: str = ""
    allowed_origins: str = ""
    policy_file: str = ""
    browser_policies: bool = False

    @classmethod
    def of(cls, registry: Registry, *, machine: bool) -> InstallerOptions:
        """As the installer left them.

        Args:
            registry: the module `winreg`.
            machine: those of the whole machine, else of this user.
        """
        root = registry.HKEY_LOCAL_MACHINE if machine else registry.HKEY_CURRENT_USER

        def text(name: str) -> str:
            with suppress(FileNotFoundError), registry.OpenKey(root, KEY, 0, _rights(registry)) as key:
                value, kind = registry.QueryValueEx(key, name)
                return str(value).strip() if kind == registry.REG_SZ else ""
            return ""

        return cls(text("Ports"), text("AllowedOrigins"), text("PolicyFile"), text("BrowserPolicies") == "1")

    def document(self) -> dict[str, dict[str, Any]]:
        """Those that belong into a configuration, as TOML has them; not checked yet."""
        wanted: dict[str, dict[str, Any]] = {}
        if self.ports:
            words = _SEPARATORS.split(self.ports)
            numbers = [int(word) if word.isascii() and word.isdigit() else word for word in words if word]
            wanted["servisign"] = {"ports": numbers}
        if self.allowed_origins:
            origins = [word for word in _SEPARATORS.split(self.allowed_origins) if word]
            wanted["origins"] = {"allow": origins}
        return wanted


def apply(wishes: InstallerOptions, file: Path, registry: Registry, *, machine: bool) -> None:
    """Write the configuration and the policies of browsers.

    Args:
        wishes: the options that the installer was given.
        file: policy.toml for the machine, else the user's config.toml.
        registry: the module `winreg`.
        machine: for every user.

    Raises:
        ConfigError: an option of the installer is wrong; nothing was written.
        OSError: a file cannot be read or written.
    """
    text = configuration(wishes, file, machine=machine)
    if text is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, text.encode())
    if machine:
        browser_policy.remove(registry)
        if wishes.browser_policies:
            browser_policy.add(registry)


def configuration(wishes: InstallerOptions, file: Path, *, machine: bool) -> str | None:
    """Return the text of the file; None when no option of the installer belongs there.

    Raises:
        ConfigError: it would not be accepted.
        OSError: a file cannot be read.
    """
    source = Path(wishes.policy_file) if wishes.policy_file else None
    base, wanted = _text_of(source or file), wishes.document()
    if source is not None and not base:
        raise config.ConfigError(source, "", "is not there, or is empty")
    document = _parsed(source or file, base)
    config.settled(source or file, document, administrator=machine)
    if not any(document.get(section, {}).get(key) != value for section, key, value in _each(wanted)):
        return base if source is not None else None
    for section, key, value in _each(wanted):
        document.setdefault(section, {})[key] = value
    config.settled(file, document, administrator=machine)
    return _HEAD + toml_text(document)


def forget_data(folder: Path) -> None:
    """Delete this user's own folder with everything that was kept there.

    Only ever as this user: what an administrator's process deletes in a folder that a user can change in the
    meantime may be anything.

    Raises:
        OSError: some of it is still there.
    """
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _each(document: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
    return [(section, key, value) for section, values in document.items() for key, value in values.items()]


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")  # Notepad used to begin files with a mark
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise config.ConfigError(file, "", f"cannot be read: {error}") from error


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise config.ConfigError(file, "", f"is not TOML: {error}") from error


def _rights(registry: Registry) -> int:
    return int(registry.KEY_READ | registry.KEY_WOW64_64KEY)
