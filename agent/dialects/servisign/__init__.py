"""ServiSign: the protocol of the HCA portals' page adapters, answered by this program's operations."""

from __future__ import annotations

from agent.dialects.servisign.dialect import FUNCTIONS, ServiSignDialect, refusal
from agent.dialects.servisign.sessions import SessionLimits

__all__ = ["FUNCTIONS", "ServiSignDialect", "SessionLimits", "refusal"]
