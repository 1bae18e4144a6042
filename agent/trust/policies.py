"""What the administrator of a Linux machine has the browsers of all its users trust: their policy files.

Of the files in a folder the Chromium family takes one list whole (`CACertificates`; `policy_files.py`), and
Firefox reads a single file (`Certificates.Install`): one text of ours is added to whatever the administrator
says there, and taken out again. A browser in a sandbox of its own (snap, Flatpak) sees neither.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, ErrorId
from agent.trust import json_text
from agent.trust.authority import Authority, authorities, certificates
from agent.trust.linux import demand_root
from agent.trust.machine import Machine
from agent.trust.policy_files import PolicyFolder, change_file
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore

CHROMIUM_FAMILY: Final = (
    ("Chromium", "etc/chromium/policies/managed"),
    ("Chrome", "etc/opt/chrome/policies/managed"),
    ("Edge", "etc/opt/edge/policies/managed"),
)
FIREFOX: Final = "etc/firefox/policies/policies.json"
# A Firefox that finds the file above reads none of these any more.
_FIREFOX_OTHERS: Final = (
    "usr/lib/firefox*/distribution/policies.json",
    "usr/lib64/firefox*/distribution/policies.json",
    "usr/share/firefox*/distribution/policies.json",
    "opt/firefox*/distribution/policies.json",
)
AUTHORITIES: Final = "CACertificates"
_DISTRUSTED: Final = "CADistrustedCertificates"
_PLATFORM: Final = "CAPlatformIntegrationEnabled"
_INSTALL: Final = ("policies", "Certificates", "Install")


def policies(machine: Machine) -> tuple[ChromiumPolicy | FirefoxPolicy, ...]:
    """One for each browser that has policies, whether it is installed yet or not."""
    chromium = (ChromiumPolicy(machine, program, folder) for program, folder in CHROMIUM_FAMILY)
    return (*chromium, FirefoxPolicy(machine))


class ChromiumPolicy(TrustStore):
    """The authorities that one browser of the Chromium family is told to trust.

    Args:
        machine: whose it is.
        program: the browser.
        folder: where it reads its policies.
    """

    def __init__(self, machine: Machine, program: str, folder: str) -> None:
        self.name = f"{program} policy"
        self.programs = (program,)
        self._machine = machine
        self._policies = PolicyFolder(machine.root, folder)
        self.location = str(self._policies.file)

    def find(self) -> tuple[FoundAuthority, ...]:
        """Return what of ours is named in any file; trusted is what the browser makes of all of them."""
        said = self._policies.said(AUTHORITIES)
        heard = frozenset(_decoded(_strings({AUTHORITIES: said}, AUTHORITIES)))
        refused = frozenset(_decoded(_strings({"": self._policies.said(_DISTRUSTED)}, "")))
        # A list of ours that takes the administrator's away is not in order, although browsers obey it.
        alone = self._policies.shadowing(AUTHORITIES)
        named = dict.fromkeys(authorities(_decoded(self._policies.everywhere(AUTHORITIES))))
        return tuple(
            FoundAuthority(each, trusted=each.der in heard - refused and not alone) for each in named
        )

    def add(self, authority: Authority, file: Path) -> None:
        """Name one more."""
        demand_root(self._machine)
        self._policies.add(AUTHORITIES, _encoded(authority))

    def remove(self, found: FoundAuthority) -> None:
        """Name it no more; a file that says nothing goes, and the folders that contained nothing else."""
        demand_root(self._machine)
        self._policies.remove(AUTHORITIES, _encoded(found.authority))

    @property
    def looks_nowhere_else(self) -> bool:
        """Whether the browser is told to leave the user's own database alone."""
        return self._policies.said(_PLATFORM) is False


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
        if not self._content():
            for pattern in _FIREFOX_OTHERS:
                for other in self._machine.root.glob(pattern):
                    raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"Firefox: {other}")
        if str(file) not in _strings(self._content(), *_INSTALL):
            self._change(lambda text: json_text.added(text, _INSTALL, str(file)))

    def remove(self, found: FoundAuthority) -> None:
        """Name the file no more; what is empty then goes with it."""
        demand_root(self._machine)
        self._change(lambda text: json_text.without(text, _INSTALL, found.key))

    def _change(self, change: Callable[[str], str]) -> None:
        change_file(self._file, change, self._machine.root, own=False)

    def _content(self) -> dict[str, Any]:
        try:
            return json_text.read(self._file.read_bytes().decode())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise AgentError(ErrorId.TRUST_TOOL_FAILED, detail=f"{self.location}: {error}") from error


class StoreWithPolicies(TrustStore):
    """A user's store whose programs also obey a policy: either is enough, unless the policy says otherwise.

    Args:
        store: the user's own.
        obeyed: the policies that its programs obey.
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
        if len(self._obeyed) == len(self.programs):
            named = [[found for found in policy.find() if found.trusted] for policy in self._obeyed]
            if common := [found for found in named[0] if all(found in others for others in named[1:])]:
                return tuple(common)
        found = self._store.find()
        if any(isinstance(each, ChromiumPolicy) and each.looks_nowhere_else for each in self._obeyed):
            return tuple(replace(each, trusted=False) for each in found)
        return found

    def add(self, authority: Authority, file: Path) -> None:
        """Into the user's own."""
        self._store.add(authority, file)

    def remove(self, found: FoundAuthority) -> None:
        """Out of the user's own; what a policy names is the administrator's."""
        for own in self._store.find():
            if own.authority == found.authority:
                self._store.remove(own)

    def prompt(self, *, adding: bool) -> SystemPrompt | None:
        """As the store's."""
        return self._store.prompt(adding=adding)


def governed(machine: Machine, store: TrustStore) -> TrustStore:
    """Return the store with the policies that its programs obey, where they obey any."""
    if any(part in Path(store.location).parts for part in ("snap", ".var")):
        return store
    known = {policy.programs[0]: policy for policy in policies(machine)}
    obeyed = [known[program] for program in store.programs if program in known]
    return StoreWithPolicies(store, obeyed) if obeyed else store


def _strings(content: object, *keys: str) -> Iterator[str]:
    """Return the texts of the list that lies under `keys`; nothing where it has another shape."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    if isinstance(content, list):
        yield from (each for each in content if isinstance(each, str))


def _encoded(authority: Authority) -> str:
    return base64.b64encode(authority.der).decode("ascii")


def _decoded(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        with suppress(ValueError):
            yield base64.b64decode(text, validate=True)


def _in_file(path: Path) -> tuple[Authority, ...]:
    try:
        return authorities(certificates(path.read_bytes()))
    except OSError:
        return ()
