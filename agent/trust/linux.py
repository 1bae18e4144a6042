"""The system store of Linux: a folder that only root can write, and a program that puts bundles together.

Browsers do not look there; other programs of this machine (curl, Python, Java) do.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import AgentError, ErrorId
from agent.private_files import write_whole
from agent.trust.authority import Authority, authorities, certificates
from agent.trust.machine import Machine
from agent.trust.store import FoundAuthority, TrustStore

PROGRAMS: Final = ("curl", "wget", "Python")
NAME: Final = "Linux"
FILE_PREFIX: Final = "hca-agent-"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one family of distributions does it.

    Attributes:
        folder: where administrators put certificates.
        bundle: where programs read them, made from that folder.
        added: the command after a file was added.
        removed: the command after one was removed.
    """

    folder: str
    bundle: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


LAYOUTS: Final = (
    Layout(  # Debian, Ubuntu
        "usr/local/share/ca-certificates",
        "etc/ssl/certs/ca-certificates.crt",
        ("update-ca-certificates",),
        ("update-ca-certificates", "--fresh"),
    ),
    Layout(  # Fedora, Red Hat
        "etc/pki/ca-trust/source/anchors",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        ("update-ca-trust", "extract"),
        ("update-ca-trust", "extract"),
    ),
    Layout(  # SUSE
        "etc/pki/trust/anchors",
        "var/lib/ca-certificates/ca-bundle.pem",
        ("update-ca-certificates",),
        ("update-ca-certificates",),
    ),
    Layout(  # Arch
        "etc/ca-certificates/trust-source/anchors",
        "etc/ssl/certs/ca-certificates.crt",
        ("update-ca-trust",),
        ("update-ca-trust",),
    ),
)


def system_store(machine: Machine) -> FolderStore | AnchorStore | None:
    """Return the system's store; None where this machine has none that is known."""
    for layout in LAYOUTS:
        if (machine.root / layout.folder).is_dir() and machine.find(layout.added[0]) is not None:
            return FolderStore(machine, layout)
    return AnchorStore(machine) if machine.find(AnchorStore.tool) is not None else None


class FolderStore(TrustStore):
    """A folder of certificates and a bundle that is made from it."""

    name = NAME
    programs = PROGRAMS
    browsers = False
    shared = True

    def __init__(self, machine: Machine, layout: Layout) -> None:
        self._machine = machine
        self._layout = layout
        self._folder = machine.root / layout.folder
        self.location = str(self._folder)

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of our files; whoever put others there put them for a reason of their own."""
        bundle = self._machine.root / self._layout.bundle
        trusted = frozenset(certificates(bundle.read_bytes())) if bundle.exists() else frozenset()
        return tuple(
            FoundAuthority(authority, authority.der in trusted, str(file))
            for file in sorted(self._folder.glob(f"{FILE_PREFIX}*.crt"))
            for authority in authorities(certificates(file.read_bytes()))
        )

    def add(self, authority: Authority, file: Path) -> None:
        """Put its file there and have the bundle made again."""
        target = self._folder / f"{FILE_PREFIX}{authority.sha256[:16].lower()}.crt"
        demand_root(self._machine, ["install", "-m", "644", str(file), str(target)], self._layout.added)
        write_whole(target, authority.pem, mode=0o644)
        self._refresh(self._layout.added)

    def remove(self, found: FoundAuthority) -> None:
        """Delete its file and have the bundle made again."""
        demand_root(self._machine, ["rm", found.key], self._layout.removed)
        Path(found.key).unlink(missing_ok=True)
        self._refresh(self._layout.removed)

    def _refresh(self, command: Sequence[str]) -> None:
        self._machine.call([self._machine.tool(command[0]), *command[1:]])


class AnchorStore(TrustStore):
    """A system that keeps its anchors with p11-kit alone."""

    name = NAME
    location = "p11-kit"
    programs = PROGRAMS
    browsers = False
    shared = True
    tool: Final = "trust"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of ours among the anchors for web servers."""
        with tempfile.TemporaryDirectory(prefix="hca-agent-") as folder:
            bundle = Path(folder, "anchors.pem")
            words = ("extract", "--format=pem-bundle", "--filter=ca-anchors", "--purpose=server-auth")
            self._machine.call([self._machine.tool(self.tool), *words, str(bundle)])
            ours = authorities(certificates(bundle.read_bytes()))
        return tuple(FoundAuthority(authority, trusted=True) for authority in ours)

    def add(self, authority: Authority, file: Path) -> None:
        """Store it as an anchor."""
        self._anchor("--store", authority, file)

    def remove(self, found: FoundAuthority) -> None:
        """Remove it from the anchors."""
        with tempfile.TemporaryDirectory(prefix="hca-agent-") as folder:
            file = Path(folder, "authority.pem")
            file.write_bytes(found.authority.pem)
            self._anchor("--remove", found.authority, file)

    def _anchor(self, order: str, authority: Authority, file: Path) -> None:
        demand_root(self._machine, ["trust", "anchor", order, str(file)])
        self._machine.call([self._machine.tool(self.tool), "anchor", order, str(file)])


def demand_root(machine: Machine, *commands: Sequence[str]) -> None:
    """Raise `trust.needs_root` with the line to type, unless this is root."""
    if machine.user != 0:
        typed = commands or (["hca-agent", "trust", "install", "--machine"],)
        line = " && ".join(f"sudo {shlex.join(command)}" for command in typed)
        raise AgentError(ErrorId.TRUST_NEEDS_ROOT, detail=line)
