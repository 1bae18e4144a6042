"""The environment of the processes that this program starts: for each kind a list of what it needs.

Whatever is not listed is left out: what has a program load a library (LD_*, PYTHON*, OPENSSL_*, GTK_*), send
its requests elsewhere or write down the keys of TLS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

KEY_LOG: Final = "SSLKEYLOGFILE"
"""Names a file into which libraries for TLS write every session's keys."""


class Child(Enum):
    """A kind of process."""

    WINDOW = "window"
    TRAY = "tray"
    DOCUMENT = "document"
    """Draws a document that somebody is asked to sign, or takes a signed one apart."""
    MODULE = "module"
    """A PKCS#11 module."""
    TOOL = "tool"
    """A program of the system that looks after certificates, tasks or other settings."""
    INSTALLER = "installer"
    """The administrator's command that installs an update."""


_POSIX: Final = (
    *("HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*"),
    *("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
    "__CF_USER_TEXT_ENCODING",  # macOS: how the person's texts are encoded
)
_WINDOWS: Final = (
    *("ALLUSERSPROFILE", "APPDATA", "COMMONPROGRAM*", "COMPUTERNAME", "COMSPEC", "HOMEDRIVE", "HOMEPATH"),
    *("LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE"),
    *("PROGRAMDATA", "PROGRAMFILES*", "PROGRAMW6432", "PUBLIC", "SESSIONNAME", "SYSTEMDRIVE", "SYSTEMROOT"),
    *("TEMP", "TMP", "TZ", "USERDOMAIN*", "USERNAME", "USERPROFILE", "WINDIR"),
)
# PyInstaller: this process begins as one does that a person starts.
_OURS: Final = ("HCA_AGENT_HOME", "PYINSTALLER_RESET_ENVIRONMENT")
_SCREEN: Final = (
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XMODIFIERS", "XCURSOR_*"),
    *("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "DESKTOP_SESSION"),
)

ALLOWED: Final[dict[Child, tuple[str, ...]]] = {
    Child.WINDOW: (*_OURS, *_SCREEN),
    Child.TRAY: (*_OURS, *_SCREEN, "DBUS_SESSION_BUS_ADDRESS"),
    Child.DOCUMENT: _OURS,
    # What names a module's own settings is a part of using it, as is where the smart card service listens.
    Child.MODULE: (*_OURS, "PCSCLITE_*", "OPENSC_CONF", "OPENSC_DEBUG", "OPENSC_DRIVER", "SOFTHSM2_CONF"),
    Child.TOOL: (),
    Child.INSTALLER: ("DEBIAN_FRONTEND", "*_proxy", "*_PROXY"),
}
"""Names beside those that every program needs; `*` stands for any letters."""


def environment_of(
    child: Child, known: Mapping[str, str] | None = None, platform: str = sys.platform
) -> dict[str, str]:
    """Return what a process of that kind is given.

    Args:
        child: the kind.
        known: `os.environ` when None.
        platform: as `sys.platform`.
    """
    given = os.environ if known is None else known
    windows = platform == "win32"
    allowed = (*(_WINDOWS if windows else _POSIX), *ALLOWED[child])
    return {
        name: value
        for name, value in given.items()
        # Windows' names have no case.
        if any(fnmatchcase(name.upper() if windows else name, pattern) for pattern in allowed)
    }


def write_no_keys() -> None:
    """Forget, in this process, the file that keys of TLS are to be written to; before `ssl` is used."""
    os.environ.pop(KEY_LOG, None)
