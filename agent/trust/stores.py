"""Which stores this user has on this machine."""

from __future__ import annotations

from agent.trust import chromium, firefox, linux, macos, policies, windows
from agent.trust.machine import Machine
from agent.trust.store import TrustStore


def stores_of(machine: Machine, *, governed: bool = True) -> tuple[TrustStore, ...]:
    """Return every place where trust is kept, the ones that browsers depend on first.

    Args:
        machine: whose user.
        governed: whether what policies name counts as trusted; else only the user's own places count, also
            those that nobody looks into any more, as where something is taken out.
    """
    if machine.platform == "win32":
        root = windows.UserRootStore(machine)
        return (root, *firefox.followers(machine, root))
    if machine.platform == "darwin":
        keychain = macos.LoginKeychain(machine)
        return (keychain, *firefox.followers(machine, keychain))
    system = linux.system_store(machine)
    databases = (*chromium.databases(machine, unused=not governed), *firefox.databases(machine))
    browsers = tuple(policies.governed(machine, each) if governed else each for each in databases)
    return browsers if system is None else (*browsers, system)


def stores_of_all_users(machine: Machine) -> tuple[TrustStore, ...]:
    """Return the places of the whole machine, which root alone changes; none where an installer does."""
    if machine.platform == "win32":
        return (windows.MachineRootStore(),)
    if machine.platform != "linux":
        return ()
    system = linux.system_store(machine)
    browsers = policies.policies(machine)
    return browsers if system is None else (*browsers, system)
