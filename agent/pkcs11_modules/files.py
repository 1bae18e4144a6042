"""Where known PKCS#11 modules are installed, which cards each is for, and which files are refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent import path_safety
from agent.profiles import Profiles
from hca_card import hicos_select, profile
from hca_card.pkcs11.errors import ModuleUnsafeError, ModuleUnusableError
from hca_card.recognise import CITIZEN_TEXT, NHI_ATRS

Serves = Callable[[bytes], bool]
"""Whether a module is made for a card with this answer to reset."""

_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A module's file.

    Attributes:
        path: absolute.
        serves: the cards it is made for; None for one that the administrator listed, which is asked always.
    """

    path: Path
    serves: Serves | None


def known(profiles: Profiles | None = None, platform: str = sys.platform) -> tuple[ModuleFile, ...]:
    """Return the modules in their standard places: HCA's, HiCOS' and OpenSC's, one file of each at most.

    Args:
        profiles: the HCA card types known; None is the one that ships alone.
        platform: as `sys.platform`.
    """

    def hca(atr: bytes) -> bool:
        types = (profile.reference(),) if profiles is None else profiles()
        return any(atr in one.atrs for one in types)

    def nobodys(atr: bytes) -> bool:
        ours = hca(atr) or atr in NHI_ATRS or hicos_select.named_by(atr) or CITIZEN_TEXT in atr
        return bool(atr) and not ours

    makers: tuple[tuple[Serves, Iterator[Path]], ...] = (
        (hca, _hca(platform)),
        (hicos_select.named_by, _hicos(platform)),
        (nobodys, _opensc(platform)),
    )
    found = ((serves, next((path for path in places if path.is_file()), None)) for serves, places in makers)
    return tuple(ModuleFile(path, serves) for serves, path in found if path is not None)


def _hca(platform: str) -> Iterator[Path]:
    # Its macOS package is known to exist, and not where it puts the module.
    if platform == "win32":
        yield _windows() / "HCAPKCS11.dll"


def _hicos(platform: str) -> Iterator[Path]:
    if platform == "win32":
        yield _windows() / "HiCOSPKCS11.dll"
    elif platform == "darwin":
        yield Path("/usr/local/lib/libHicos_p11v1.dylib")
    else:
        yield from (Path(folder, "libHicos_p11v1.so") for folder in _LIBRARIES)


def _opensc(platform: str) -> Iterator[Path]:
    if platform == "win32":
        programs = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        yield programs / "OpenSC Project" / "OpenSC" / "pkcs11" / "opensc-pkcs11.dll"
    elif platform == "darwin":
        yield Path("/Library/OpenSC/lib/opensc-pkcs11.so")
    else:
        yield from (Path(folder, "opensc-pkcs11.so") for folder in _LIBRARIES)


def _windows() -> Path:
    return Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"


def require_safe(path: Path) -> Path:
    """Return the file itself, links followed, if nobody but root and this user can have changed it.

    The file, its folder and every folder above it are looked at, and those of every link on the way to it. On
    Windows the folders of programs are the system's to protect.

    Raises:
        ModuleUnusableError: there is no such file.
        ModuleUnsafeError: others can write to it, or put another in its place.
    """
    try:
        file = path_safety.real(path)
        if not file.is_file():
            raise ModuleUnusableError(detail=f"{path}: is no file")
        if os.name == "posix":
            for place, near in path_safety.places_of(path).items():
                if path_safety.others_can_write(place, near=near):
                    raise ModuleUnsafeError(
                        detail=f"{place} can be written by others; only its owner may: chmod go-w"
                    )
    except OSError as error:
        raise ModuleUnusableError(detail=f"{path}: {error.strerror}") from None
    return file
