"""The HiPKI dialect: what pages of citizen and business cards say (docs/hipki.md)."""

from __future__ import annotations

from agent.dialects.hipki.dialect import HipkiDialect
from agent.dialects.hipki.site import PUBLIC, HipkiSite

__all__ = ["PUBLIC", "HipkiDialect", "HipkiSite"]
