"""Which stores this user has on this machine."""

from __future__ import annotations

from agent.trust import chromium, firefox, linux, macos, windows
from agent.trust.machine import Machine
from agent.trust.store import Store


def stores_of(machine: Machine) -> tuple[Store, ...]:
    """Every place where trust is kept, the ones that browsers depend on first."""
    if machine.platform == "win32":
        root = windows.UserRootStore(machine)
        return (root, *firefox.followers(machine, root))
    if machine.platform == "darwin":
        keychain = macos.LoginKeychain(machine)
        return (keychain, *firefox.followers(machine, keychain))
    system = linux.system_store(machine)
    browsers = (*chromium.databases(machine), *firefox.databases(machine))
    return browsers if system is None else (*browsers, system)
