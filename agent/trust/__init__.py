"""Making browsers accept the agent's own certificate: one small object for each place that keeps trust.

Every place is asked, changed and reported on its own, so that one that fails hides nothing of the others.
Only certificates that this program made are ever added or removed, and only in this user's places; the one
place that belongs to the whole machine is changed as root alone.
"""

from agent.trust.authority import Authority, OwnAuthorities, own_authorities, read
from agent.trust.installation import StoreReport, TrustState, install, remove, status
from agent.trust.machine import Machine
from agent.trust.store import FoundAuthority, SystemPrompt, TrustStore
from agent.trust.stores import stores_of, stores_of_all_users

__all__ = [
    "Authority",
    "FoundAuthority",
    "Machine",
    "OwnAuthorities",
    "StoreReport",
    "SystemPrompt",
    "TrustState",
    "TrustStore",
    "install",
    "own_authorities",
    "read",
    "remove",
    "status",
    "stores_of",
    "stores_of_all_users",
]
