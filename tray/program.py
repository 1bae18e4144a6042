"""The tray process: the icon of this desktop, for as long as the daemon that started it lives."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Final

from tray.daemon_link import DaemonLink

log = logging.getLogger(__name__)

FAILED: Final = 1


def run_tray(link: DaemonLink, platform: str = sys.platform) -> int:
    """Show the icon until the daemon closes the link.

    Args:
        link: to the daemon.
        platform: as `sys.platform`.

    Returns:
        The exit code: 0, `agent.tray.messages.NO_TRAY` where nothing shows icons, `FAILED`.
    """
    try:
        if platform in ("win32", "darwin"):
            from tray.portable import Portable

            return Portable(link, platform).run()
        from tray.notifier import Notifier

        return asyncio.run(Notifier(link).run())
    except Exception:
        log.exception("the tray failed")
        return FAILED
