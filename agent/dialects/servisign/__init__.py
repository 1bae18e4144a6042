"""ServiSign: the protocol of the HCA portals' page adapters, answered by this program's operations."""

from __future__ import annotations

from agent.dialects.servisign.dialect import METHODS, ServiSign, refusal
from agent.dialects.servisign.sessions import Limits

__all__ = ["METHODS", "Limits", "ServiSign", "refusal"]
