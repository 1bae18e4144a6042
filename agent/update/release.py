"""The release that a repository offers: `release.json`, one of its signed targets."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import AgentError, ErrorId
from hca_card.decoding import UNREADABLE

NAME: Final = "release.json"
BYTES_MAX: Final = 64 * 1024

# A name that is a file's name on every system, and nothing more: no folder, no drive, no leading dot or dash.
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}")
_VERSION: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}")
_PROCESSORS: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_RPM_FOLDERS: Final = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")


class Release(msgspec.Struct, frozen=True):
    """One release; members that are not known are left for later versions.

    Attributes:
        version: numbers with dots.
        packages: the targets' names by kind and processor, such as `deb-x86_64`, or by kind alone where one
            package is for every processor.
    """

    version: str
    packages: dict[str, str]


def decode(octets: bytes) -> Release:
    """Return the release in a `release.json` whose signature was checked already.

    Raises:
        AgentError: update.refused.
    """
    try:
        release = msgspec.json.decode(octets, type=Release)
    except UNREADABLE as error:
        raise AgentError(ErrorId.UPDATE_REFUSED, detail=f"{NAME}: {error}") from error
    names = release.packages.values()
    if not _VERSION.fullmatch(release.version) or not all(map(_PACKAGE.fullmatch, names)):
        raise AgentError(ErrorId.UPDATE_REFUSED, detail=f"{NAME}: a version or name that cannot be")
    return release


def is_newer(release: Release, running: str) -> bool:
    """Return whether `release` comes after the version that runs; an equal one does not."""
    return _numbers(release.version) > _numbers(running)


def _numbers(version: str) -> tuple[int, ...]:
    """Four numbers; what follows them in a version of developers does not count."""
    found = _VERSION.match(version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    return tuple((*numbers, 0, 0, 0, 0)[:4])


def package_of(
    release: Release,
    system: str = sys.platform,
    processor: str | None = None,
    exists: Callable[[str], bool] = lambda folder: Path(folder).exists(),
) -> str:
    """Return the target's name of the package for this computer.

    Args:
        release: the release.
        system: as `sys.platform`.
        processor: as `platform.machine()`, which is asked when None.
        exists: whether a folder exists.

    Raises:
        AgentError: update.no_package.
    """
    kind = _kind(system, exists)
    machine = (platform.machine() if processor is None else processor).lower()
    wanted = f"{kind}-{_PROCESSORS.get(machine, machine)}"
    for key in (wanted, kind):
        if key in release.packages:
            return release.packages[key]
    raise AgentError(ErrorId.UPDATE_NO_PACKAGE, detail=f"{release.version}: {wanted}")


def _kind(system: str, exists: Callable[[str], bool]) -> str:
    if system == "win32":
        return "msi"
    if system == "darwin":
        return "pkg"
    # Debian may have rpm as a tool; Fedora has no dpkg that holds packages.
    is_rpm = any(map(exists, _RPM_FOLDERS)) and not exists("/var/lib/dpkg/info")
    return "rpm" if is_rpm else "deb"
