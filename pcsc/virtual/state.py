"""The state that a virtual service shares with its readers, contexts and handles."""

from __future__ import annotations

import threading


class ServiceState:
    """Whether the service runs, and the one lock.

    Attributes:
        changed: the lock, notified of every change.
        running: whether the service runs.
        starts: how often the service was started.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.running = True
        self.starts = 1
