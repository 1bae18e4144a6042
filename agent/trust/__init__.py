"""Making browsers accept the agent's own certificate: one small object for each place that keeps trust.

Every place is asked, changed and reported on its own, so that one that fails hides nothing of the others.
Only certificates that this program made are ever added or removed, and only in this user's places; the one
place that belongs to the whole machine is changed as root alone.
"""

from agent.trust.authority import Authority, Known, known, read
from agent.trust.machine import Machine
from agent.trust.store import Found, Prompt, Store
from agent.trust.stores import stores_of, stores_of_all_users
from agent.trust.work import Row, State, install, remove, status

__all__ = [
    "Authority",
    "Found",
    "Known",
    "Machine",
    "Prompt",
    "Row",
    "State",
    "Store",
    "install",
    "known",
    "read",
    "remove",
    "status",
    "stores_of",
    "stores_of_all_users",
]
