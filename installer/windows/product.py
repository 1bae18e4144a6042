"""What both kinds of package say about the product, and the files that both bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "HCA Card Agent"
MAKER: Final = "HCA Card Agent contributors"
SETUP_KEY: Final = rf"Software\{NAME}\Setup"
"""Where the installers leave the options that they were given, for `hca-agent windows-setup apply`."""

RUN_KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
SHORTCUTS: Final = ((f"{NAME} 啟動", "run"), (f"{NAME} 自我檢測", "open"))
"""Start-menu entries and the words they start the program with; both are found by typing HCA."""

PROPERTIES: Final = (
    ("PORTS", "Ports"),
    ("ALLOWED_ORIGINS", "AllowedOrigins"),
    ("POLICY_FILE", "PolicyFile"),
    ("BROWSER_POLICIES", "BrowserPolicies"),
)
"""The options of the installer's command line, and the value below `SETUP_KEY` where it is left."""


@dataclass(frozen=True, slots=True)
class Product:
    """One build.

    Attributes:
        version: of three numbers.
        mark: what tells it from a release; empty for one.
        frozen: the folder of the frozen program.
        icon: its icon.
    """

    version: str
    mark: str
    frozen: Path
    icon: Path

    @property
    def title(self) -> str:
        """As Windows lists it."""
        return f"{NAME} ({self.mark})" if self.mark else NAME

    @property
    def file_name(self) -> str:
        """What the packages' names begin with."""
        return "-".join(part for part in ("hca-agent", self.version, self.mark) if part)

    def files(self) -> Iterator[Path]:
        """Return every file of the frozen program, in a fixed order."""
        return (path for path in sorted(self.frozen.rglob("*")) if path.is_file())
