"""What the daemon says of itself, kept in a file and shipped where the administrator wants it.

Nothing here is waited for by the event loop: records go into a queue, and one thread writes them.
"""

from __future__ import annotations

from agent.logs.repetition import write_seldom
from agent.logs.shipping import AUDIT_ROWS, logged

__all__ = ["AUDIT_ROWS", "logged", "write_seldom"]
