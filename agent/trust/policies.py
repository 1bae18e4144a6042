"""What the administrator of a Linux machine has the browsers of all its users trust: their policy files.

The Chromium family reads every file of a folder, so that one of ours stands beside the administrator's
(`CACertificates`). Firefox reads a single file, in which one line of ours is added and removed
(`Certificates.Install`). A browser in a sandbox of its own (snap, Flatpak) sees neither.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, ErrorId
from agent.private_files import write_whole
from agent.trust.authority import Authority, authorities, certificates
from agent.trust.linux import demand_root
from agent.trust.machine import Machine
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore

CHROMIUM_FAMILY: Final = (
    ("Chromium", "etc/chromium/policies/managed"),
    ("Chrome", "etc/opt/chrome/policies/managed"),
    ("Edge", "etc/opt/edge/policies/managed"),
)
FILE: Final = "hca-agent.json"
FIREFOX: Final = "etc/firefox/policies/policies.json"
# A Firefox that finds the file above reads none of these any more.
_FIREFOX_OTHERS: Final = (
    "usr/lib/firefox*/distribution/policies.json",
    "usr/lib64/firefox*/distribution/policies.json",
    "usr/share/firefox*/distribution/policies.json",
    "opt/firefox*/distribution/policies.json",
)
_KEPT: Final = ("etc", "etc/opt")
"""Folders that every system has, and that stay when nothing is in them."""


def policies(machine: Machine) -> tuple[ChromiumPolicy | FirefoxPolicy, ...]:
    """One for each browser that has policies, whether it is installed yet or not."""
    chromium = (ChromiumPolicy(machine, program, folder) for program, folder in CHROMIUM_FAMILY)
    return (*chromium, FirefoxPolicy(machine))


class ChromiumPolicy(TrustStore):
    """A policy file of ours alone, for one browser of the Chromium family.

    Args:
        machine: whose it is.
        program: the browser.
        folder: where it reads its policies.
    """

    def __init__(self, machine: Machine, program: str, folder: str) -> None:
        self.name = f"{program} policy"
        self.programs = (program,)
        self._machine = machine
        self._file = machine.root / folder / FILE
        self.location = str(self._file)

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return what our file names."""
        return tuple(FoundAuthority(authority, trusted=True) for authority in self._named())

    def add(self, authority: Authority, file: Path) -> None:
        """Name one more."""
        demand_root(self._machine)
        self._write([*(each for each in self._named() if each != authority), authority])

    def remove(self, found: FoundAuthority) -> None:
        """Name it no more; a file that names nothing goes, and the folders that contained nothing else."""
        demand_root(self._machine)
        self._write([each for each in self._named() if each != found.authority])

    def _named(self) -> tuple[Authority, ...]:
        try:
            content = json.loads(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            return ()
        return authorities(_decoded(_strings(content, "CACertificates")))

    def _write(self, authorities: Sequence[Authority]) -> None:
        if not authorities:
            _delete(self._file, self._machine.root)
            return
        texts = [base64.b64encode(authority.der).decode("ascii") for authority in authorities]
        _put(self._file, {"CACertificates": texts})


class FirefoxPolicy(TrustStore):
    """The one policy file of Firefox, in which the administrator may have said more."""

    name = "Firefox policy"
    programs = ("Firefox",)

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._file = machine.root / FIREFOX
        self.location = str(self._file)

    def find(self) -> tuple[FoundAuthority, ...]:
        """Those of our files that the policy names."""
        return tuple(
            FoundAuthority(authority, trusted=True, key=path)
            for path in _strings(self._content(), "policies", "Certificates", "Install")
            for authority in _in_file(Path(path))
        )

    def add(self, authority: Authority, file: Path) -> None:
        """Name the file; nothing else that the policy says changes.

        Raises:
            AgentError: `trust.tool_failed`: the administrator's file cannot be read, or is elsewhere.
        """
        demand_root(self._machine)
        content = self._content()
        if not content:
            for pattern in _FIREFOX_OTHERS:
                for other in self._machine.root.glob(pattern):
                    raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"Firefox: {other}")
        installed = _inner(_inner(content, "policies"), "Certificates").setdefault("Install", [])
        if not isinstance(installed, list):
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=self.location)
        if str(file) not in installed:
            installed.append(str(file))
        _put(self._file, content)

    def remove(self, found: FoundAuthority) -> None:
        """Name the file no more; what is empty then goes with it."""
        demand_root(self._machine)
        content = self._content()
        named = content.get("policies", {})
        certificates = named.get("Certificates", {})
        certificates["Install"] = [path for path in certificates.get("Install", []) if path != found.key]
        for holder, key in ((certificates, "Install"), (named, "Certificates"), (content, "policies")):
            if not holder.get(key):
                holder.pop(key, None)
        if content:
            _put(self._file, content)
        else:
            _delete(self._file, self._machine.root)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"{self.location}: {error}") from error
        if not isinstance(content, dict):
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=self.location)
        return content


class StoreWithPolicies(TrustStore):
    """A user's store whose programs also obey a policy: either is enough.

    Args:
        store: the user's own.
        obeyed: the policies that its programs obey, one for each of them.
    """

    def __init__(self, store: TrustStore, obeyed: Sequence[TrustStore]) -> None:
        self.name = store.name
        self.location = store.location
        self.programs = store.programs
        self.browsers = store.browsers
        self.shared = store.shared
        self._store = store
        self._obeyed = obeyed

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return what all of its policies name, without looking into the store, else what the store has."""
        named = [policy.find() for policy in self._obeyed]
        common = tuple(
            found
            for found in named[0]
            if all(any(found.authority == other.authority for other in others) for others in named[1:])
        )
        return common or self._store.find()

    def add(self, authority: Authority, file: Path) -> None:
        """Into the user's own."""
        self._store.add(authority, file)

    def remove(self, found: FoundAuthority) -> None:
        """Out of the user's own; what a policy names is the administrator's."""
        if found in self._store.find():
            self._store.remove(found)

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        """As the store's."""
        return self._store.prompt(adding=adding)


def governed(machine: Machine, store: TrustStore) -> TrustStore:
    """Return the store with the policies that its programs obey, where they obey any."""
    if any(part in Path(store.location).parts for part in ("snap", ".var")):
        return store
    known = {policy.programs[0]: policy for policy in policies(machine)}
    obeyed = [known[program] for program in store.programs if program in known]
    return StoreWithPolicies(store, obeyed) if len(obeyed) == len(store.programs) else store


def _strings(content: object, *keys: str) -> Iterator[str]:
    """Return the texts of the list that lies under `keys`; nothing where it has another shape."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    if isinstance(content, list):
        yield from (each for each in content if isinstance(each, str))


def _decoded(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        with suppress(ValueError):
            yield base64.b64decode(text, validate=True)


def _in_file(path: Path) -> tuple[Authority, ...]:
    try:
        return authorities(certificates(path.read_bytes()))
    except OSError:
        return ()


def _inner(content: dict[str, Any], key: str) -> dict[str, Any]:
    inner = content.setdefault(key, {})
    if not isinstance(inner, dict):
        raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"Firefox: {key}")
    return inner


def _put(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n", mode=0o644)


def _delete(file: Path, root: Path) -> None:
    file.unlink(missing_ok=True)
    kept = [root / each for each in _KEPT]
    for folder in file.parents:
        if folder in kept:
            return
        try:
            folder.rmdir()
        except OSError:
            return
