"""The icon on Windows and macOS, by pystray."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tray.daemon_link import DaemonLink
from tray.drawing import pixels
from tray.icon_states import TITLE, Face, starting
from tray.menus import Item, Menu

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)

_SIZE: Final = 64
_TOOLTIP_MAX: Final = 127  # NOTIFYICONDATAW.szTip holds 128 with its end


class Portable:
    """The tray of Windows and macOS; runs on the main thread, as both want it.

    Args:
        link: to the daemon.
        platform: as `sys.platform`.
    """

    def __init__(self, link: DaemonLink, platform: str = sys.platform) -> None:
        import pystray  # type: ignore[import-not-found,import-untyped,unused-ignore]

        self._link = link
        self._platform = platform
        self._pystray: ModuleType = pystray
        self._code = 0
        face = starting()
        self._icon: Any = pystray.Icon(
            "hca-agent", _image(face), title=_tooltip(face), menu=self._menu_of(face.menu)
        )

    def run(self) -> int:
        """Show what the daemon writes until it closes the link; return the exit code."""
        self._icon.run(setup=self._follow)
        return self._code

    def _follow(self, icon: Any) -> None:
        """Run on the thread that pystray begins once the icon is there."""
        icon.visible = True
        try:
            for _state, face in self._link.faces():
                self._on_toolkit_thread(partial(self._show, face))
        except Exception:
            log.exception("the daemon could not be understood")
            self._code = 1
        self._on_toolkit_thread(icon.stop)

    def _show(self, face: Face) -> None:
        self._icon.icon = _image(face)
        self._icon.title = _tooltip(face)
        self._icon.menu = self._menu_of(face.menu)

    def _on_toolkit_thread(self, act: Callable[[], None]) -> None:
        if self._platform == "darwin":
            # AppKit is used from its own thread alone.
            from PyObjCTools import AppHelper  # type: ignore[import-not-found,import-untyped,unused-ignore]

            AppHelper.callAfter(act)
        else:
            act()

    def _menu_of(self, menu: Menu) -> Any:
        return self._pystray.Menu(*(self._item_of(item) for item in menu))

    def _item_of(self, item: Item) -> Any:
        if item.is_separator:
            return self._pystray.Menu.SEPARATOR
        # Windows underlines what follows an ampersand; two are one that is shown.
        label = item.label.replace("&", "&&") if self._platform == "win32" else item.label
        action = self._menu_of(item.items) if item.items else self._choosing(item)
        return self._pystray.MenuItem(label, action, default=item.default, enabled=item.enabled)

    def _choosing(self, item: Item) -> Callable[[Any, Any], None]:
        def choose(_icon: Any, _item: Any) -> None:
            if item.chosen is not None:
                # Not on the toolkit's thread: a daemon that is slow to listen must not freeze the menu.
                threading.Thread(target=self._link.send, args=(item.chosen,), daemon=True).start()

        return choose


def _image(face: Face) -> Any:
    from PIL import Image  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return Image.frombytes("RGBA", (_SIZE, _SIZE), pixels(face.picture, face.problem, _SIZE, face.signing))


def _tooltip(face: Face) -> str:
    return "\n".join((TITLE, *face.tooltip))[:_TOOLTIP_MAX]
