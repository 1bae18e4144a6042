"""What is known of the native API before anybody speaks it: its name, its version, and how much it reads."""

from __future__ import annotations

from typing import Final

AGENT_NAME: Final = "hca-agent"

API: Final = 1
"""The version of `agent.native.messages`; it grows when a page written for the one before would break."""

DOCUMENT_BYTES_MAX: Final = 32 * 1024 * 1024

FRAME_BYTES_MAX: Final = DOCUMENT_BYTES_MAX * 4 // 3 + 128 * 1024
"""A document in base64, and everything that stands beside it."""

LOAD_BYTES_MAX: Final = 3 * FRAME_BYTES_MAX
"""Requests of all sessions at work at the same time; pages send before anybody allowed anything."""

LOAD_BYTES_OF_STRANGERS_MAX: Final = FRAME_BYTES_MAX
"""How much of it may come from pages that nobody has allowed anything."""
