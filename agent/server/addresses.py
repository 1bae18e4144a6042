"""The two ends of a connection."""

from __future__ import annotations

Address = tuple[str, int]
"""Host and port."""
