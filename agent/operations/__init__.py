"""The few operations that every dialect says in its own way: read, log in, sign, decrypt.

An operation never knows which dialect asked. Each follows one path: consent, then the card read and closed,
then the PIN asked with no transaction open, then a new transaction that checks the card again, verifies,
works, and drops the PIN state.
"""

from __future__ import annotations

from agent.operations.api import Operations, open_operations
from agent.operations.messages import (
    Caller,
    CardView,
    ReadCertificate,
    ReaderCondition,
    ReaderView,
    Selected,
    SignedDocument,
    SignResult,
)
from agent.operations.signing_sessions import SigningSession, SigningSessions
from agent.pins.kept import KeptPin

__all__ = [
    "Caller",
    "CardView",
    "KeptPin",
    "Operations",
    "ReadCertificate",
    "ReaderCondition",
    "ReaderView",
    "Selected",
    "SignResult",
    "SignedDocument",
    "SigningSession",
    "SigningSessions",
    "open_operations",
]
