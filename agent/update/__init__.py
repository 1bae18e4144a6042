"""Whether there is a newer version, and its package, checked: The Update Framework, off by default.

The repository's metadata is signed and expires, so neither the server nor anybody on the way can hand out
another package, an older one, or keep quiet about a newer one for long. Nothing here installs by itself:
`hca-agent update install` runs the administrator's own command, for the administrator alone.
"""

from __future__ import annotations

from agent.update.release import Release, is_newer, package_of
from agent.update.repository import Repository, open_repository

__all__ = ["Release", "Repository", "is_newer", "open_repository", "package_of"]
