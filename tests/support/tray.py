"""What a daemon writes its tray, with as little in it as a test needs."""

from __future__ import annotations

from typing import Any

from agent.operations.messages import ReaderCondition
from agent.tray.messages import TrayReader, TrayState


def tray_state(*names: str, **members: Any) -> TrayState:
    """The state with a card in each of these readers, and nothing else that is not in `members`."""
    readers = tuple(TrayReader(name=name, condition=ReaderCondition.CARD, virtual=False) for name in names)
    empty = {
        "version": "1",
        "simulated": False,
        "working": False,
        "cards": (),
        "problems": (),
        "activity": (),
    }
    return TrayState(**{**empty, "readers": readers, **members})
