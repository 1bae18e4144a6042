"""Who may read and write a file or folder on Windows: its owner and its access control list.

Lists are written in the security descriptor definition language ([MS-DTYP] §2.5.1): `D:` the list, `P` what
the folder above says does not count, `(A;OICI;FA;;;SY)` all rights for the system here and below.
"""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from typing import Final

ADMINISTRATORS: Final = frozenset(
    (
        "SY",
        "BA",
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",  # TrustedInstaller
    )
)
"""Who may own what an administrator is to have written, as SDDL says it."""

FOR_ALL_USERS: Final = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
"""Administrators write, users read."""

_ENTRY: Final = re.compile(r"\(([A-Z]+);([A-Z]*);([0-9A-Za-z]*);[^;()]*;[^;()]*;([A-Z0-9-]+)\)")
_READING: Final = frozenset(("FR", "FX", "GR", "GX", "FRFX", "GRGX", "GXGR"))
_READING_BITS: Final = (
    0x00120089 | 0x001200A0 | 0xA0000000
)  # FILE_GENERIC_READ, _EXECUTE, GENERIC_READ, _EXECUTE
_ALSO_FINE: Final = frozenset(("SY", "BA", "CO", "OW"))
"""The system and the administrators read everything anyway; the other two stand for the owner."""


def strangers(list_: str, own: str) -> frozenset[str]:
    """Return who is allowed something by `list_` besides the user `own` and those who could take it anyway.

    Args:
        list_: `D:…`, as SDDL.
        own: the user's security identifier.
    """
    return frozenset(trustee for trustee, _ in _allowed(list_)) - _ALSO_FINE - {own}


def writers(list_: str) -> frozenset[str]:
    """Return who may change anything by `list_`, besides the system and the administrators."""
    return frozenset(trustee for trustee, rights in _allowed(list_) if _more_than_reading(rights)) - (
        ADMINISTRATORS | {"CO"}  # what somebody makes is theirs; who may make something is in the list too
    )


def leads_elsewhere(folder: Path) -> bool:
    """Return whether it is a link or a junction, whose maker can have it lead elsewhere at any time.

    Raises:
        OSError: it is not there.
    """
    status = folder.lstat()
    attributes = getattr(status, "st_file_attributes", 0)  # Windows has them alone
    return stat.S_ISLNK(status.st_mode) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _allowed(list_: str) -> list[tuple[str, str]]:
    if "NO_ACCESS_CONTROL" in list_ or not list_.startswith("D:"):
        return [("WD", "FA")]  # no list at all: everybody
    return [(who, rights) for kind, _, rights, who in _ENTRY.findall(list_) if not kind.startswith("D")]


def _more_than_reading(rights: str) -> bool:
    if rights.lower().startswith("0x"):
        return bool(int(rights, 16) & ~_READING_BITS)
    return rights not in _READING


if sys.platform == "win32":
    import ctypes
    import os

    import win32file
    import win32security as security

    from agent.win32.errors import as_os_errors
    from agent.win32.users import sid_of

    def is_administrator() -> bool:
        """Return whether this process runs with an administrator's rights."""
        return bool(ctypes.windll.shell32.IsUserAnAdmin())

    @as_os_errors()
    def make_for_all_users(folder: Path) -> None:
        """Make a new folder that administrators write and users read.

        Everybody may make folders in ProgramData, so one that others may write is put aside.

        Raises:
            OSError: if it cannot be made.
        """
        if os.path.lexists(folder):
            if administrators_alone_write(folder):
                return
            for number in range(1, 1000):
                aside = folder.with_name(f"{folder.name}.aside-{number}")
                if not aside.exists():
                    folder.rename(aside)
                    break
        attributes = security.SECURITY_ATTRIBUTES()
        attributes.SECURITY_DESCRIPTOR = _descriptor(FOR_ALL_USERS)
        win32file.CreateDirectory(str(folder), attributes)

    @as_os_errors()
    def keep_private(folder: Path) -> None:
        """Close `folder` and what is in it to other users, unless it is closed already.

        Raises:
            OSError: if its list cannot be read or set.
        """
        own = sid_of()
        if not strangers(list_of(folder), own):
            return
        descriptor = _descriptor(f"D:P(A;OICI;FA;;;{own})(A;OICI;FA;;;SY)")
        what = security.DACL_SECURITY_INFORMATION | security.PROTECTED_DACL_SECURITY_INFORMATION
        # What is in it has lists of its own, and who knows a file's whole path needs no right above it.
        for path in (folder, *folder.rglob("*")):
            security.SetFileSecurity(str(path), what, descriptor)

    def administrators_alone_write(folder: Path) -> bool:
        """Return whether only an administrator can have put a file into this folder.

        Raises:
            OSError: if Windows does not tell.
        """
        if leads_elsewhere(folder):
            return False  # what Windows tells is of the folder at its other end
        # Where Windows is set to name the person as owner, an administrator still knows what is their own.
        own = {sid_of()} if is_administrator() else frozenset()
        return owner_of(folder) in ADMINISTRATORS | own and not writers(list_of(folder)) - own

    def owner_of(path: Path) -> str:
        """Return the owner of a file or folder, as SDDL.

        Raises:
            OSError: if Windows does not tell.
        """
        return _text_of(path, security.OWNER_SECURITY_INFORMATION).removeprefix("O:")

    def list_of(path: Path) -> str:
        """Return the access control list of a file or folder, as SDDL.

        Raises:
            OSError: if Windows does not tell.
        """
        return _text_of(path, security.DACL_SECURITY_INFORMATION)

    @as_os_errors()
    def _text_of(path: Path, what: int) -> str:
        descriptor = security.GetNamedSecurityInfo(str(path), security.SE_FILE_OBJECT, what)
        return str(
            security.ConvertSecurityDescriptorToStringSecurityDescriptor(
                descriptor, security.SDDL_REVISION_1, what
            )
        )

    def _descriptor(text: str) -> security.PySECURITY_DESCRIPTOR:
        return security.ConvertStringSecurityDescriptorToSecurityDescriptor(text, security.SDDL_REVISION_1)

else:

    def is_administrator() -> bool:
        """Return whether this process runs with an administrator's rights; asked on Windows alone."""
        raise OSError(f"not on {sys.platform}")

    def make_for_all_users(folder: Path) -> None:
        """Make a new folder that administrators write and users read; made on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")

    def keep_private(folder: Path) -> None:
        """Close `folder` and what is in it to other users; done on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")

    def administrators_alone_write(folder: Path) -> bool:
        """Return whether only an administrator can have put a file into it; asked on Windows alone."""
        raise OSError(f"not on {sys.platform}: {folder}")
