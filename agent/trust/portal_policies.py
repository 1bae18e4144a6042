"""Policies of all users' browsers for the known portals: what a browser would ask about them is answered.

The Chromium family asks before a site reaches a program on this computer, and keeps windows back that a page
opens by itself; HiPKI's is one. Ours join the administrator's lists and are spelled so that they are found
again (`policy_files.py`); what the administrator listed is never taken out.
"""

from __future__ import annotations

from typing import Final

from agent.origins.portals import KNOWN
from agent.trust.linux import demand_root
from agent.trust.machine import Machine
from agent.trust.policies import CHROMIUM_FAMILY
from agent.trust.policy_files import PolicyFolder

KEYS: Final = ("LoopbackNetworkAllowedForUrls", "PopupsAllowedForUrls")


def add_portals(machine: Machine) -> None:
    """Have every known portal in both lists of every browser.

    Raises:
        AgentError: `trust.needs_root`; `trust.tool_failed`: a list is something else.
        OSError: a file cannot be written.
    """
    demand_root(machine, ["hca-agent", "trust", "install", "--machine", "--portals"])
    for folder in _folders(machine):
        for key in KEYS:
            for origin in KNOWN:
                folder.add(key, origin, marked=True)


def remove_portals(machine: Machine) -> None:
    """Take out what is spelled as ours.

    Raises:
        AgentError: `trust.needs_root`.
        OSError: a file cannot be written.
    """
    demand_root(machine, ["hca-agent", "trust", "remove", "--machine"])
    for folder in _folders(machine):
        for key in KEYS:
            for origin in tuple(folder.ours(key)):
                folder.remove(key, origin, marked=True)


def _folders(machine: Machine) -> tuple[PolicyFolder, ...]:
    return tuple(PolicyFolder(machine.root, folder) for _, folder in CHROMIUM_FAMILY)
