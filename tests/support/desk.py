"""A desk of the browser tests: a reader, a screen, and somebody at it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from playwright.async_api import Page

from agent.demo.environment import DemoEnvironment
from agent.demo.scripted_person import ScriptedPerson

HOST: Final = "portal.example.test"
READER: Final = "Virtual Reader A"
OTHER_READER: Final = "Virtual Reader B"


@dataclass(frozen=True)
class Desk:
    """What stands on it, and what is done there."""

    stage: DemoEnvironment
    person: ScriptedPerson
    page: Page

    async def open(self, path: str = "/euservice") -> None:
        await self.page.goto(self.stage.origin + path)

    async def choose(self, name: str, value: str) -> None:
        await self.page.check(f'input[name="{name}"][value="{value}"]')

    async def submit(self) -> None:
        await self.page.click("#submit")

    async def message(self, error_id: str) -> str:
        """The words of the refusal that is shown next, which must be this one."""
        shown = await self.page.wait_for_selector(".message[data-error]")
        assert shown is not None
        assert await shown.get_attribute("data-error") == error_id
        return await shown.inner_text()

    async def log_in(self) -> None:
        await self.open()
        await self.submit()
        await self.page.wait_for_url("**/apply")

    def pull(self) -> None:
        self.stage.readers[READER].remove()

    def put_back(self) -> None:
        self.stage.readers[READER].insert(self.stage.cards[READER])


SetDesk = Callable[..., AbstractAsyncContextManager[Desk]]


async def filled(page: Page, selector: str) -> str:
    """The text of an element once the page has put some there."""
    shown = page.locator(f"{selector}:not(:empty)")
    await shown.wait_for(state="attached")
    return await shown.text_content() or ""
