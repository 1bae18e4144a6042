"""Takes pictures of the self-test page and the menu: `python -m tests.support.page_pictures docs/images`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from agent.interaction.scripted import ScriptedInteraction
from tests.support.agent import running_agent
from tests.support.chromium import chromium, make_home
from tests.support.desktop import private_desktop

_DONE = "() => !document.getElementById('verdict').hidden || !document.getElementById('message').hidden"
_SIZE = {"width": 1000, "height": 1150}


async def shoot_page(folder: Path, kind: str, target: Path) -> None:
    """The page after a self-test of a card of that kind."""
    person = ScriptedInteraction(pins=["123456"] * 8)
    os.environ["HOME"] = str(folder / "browser")  # whose browsers the rows are about
    async with running_agent(folder / "agent", [kind], interaction=person) as agent:
        home = make_home(folder / "browser", [agent.daemon.identity.ca])
        async with chromium(home, viewport=_SIZE) as context:
            page = context.pages[0]
            await page.goto(agent.clear)
            await page.click("#start")
            await page.wait_for_function(_DONE)
            await page.evaluate("scrollTo(0, 0)")
            await page.screenshot(path=target)


def shoot_menu(folder: Path, target: Path) -> None:
    """The menu of the icon in a panel."""
    from tests.tray.test_tray_desktop import agent_on

    with private_desktop(folder) as desktop:
        desktop.start_panel()
        with agent_on(desktop) as agent:
            agent.await_icon()
            agent.open_menu()
            time.sleep(0.5)  # the menu is the panel's, and nothing tells that it is drawn
            desktop.shoot(target, "560x480+0+0")
            agent.close_menu()


def shoot_session_menu(folder: Path, target: Path) -> None:
    """The menu while a page's signing session is open."""
    from tests.tray.test_tray_desktop import agent_on, sign_in_a_session

    with private_desktop(folder) as desktop:
        desktop.start_panel()
        with agent_on(desktop) as agent:
            agent.await_icon()

            def shown() -> None:
                agent.open_menu()
                time.sleep(0.5)
                desktop.shoot(target, "560x480+0+0")
                agent.close_menu()

            asyncio.run(sign_in_a_session(agent, shown))


def main() -> None:
    """All of them."""
    target = Path(sys.argv[1])
    for kind, name in (("hpc", "good"), ("hpc-locked", "locked")):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(shoot_page(Path(folder), kind, target / f"selftest-{name}.png"))
    with tempfile.TemporaryDirectory() as folder:
        shoot_menu(Path(folder), target / "tray-menu.png")
    with tempfile.TemporaryDirectory() as folder:
        shoot_session_menu(Path(folder), target / "tray-menu-session.png")


if __name__ == "__main__":
    main()
