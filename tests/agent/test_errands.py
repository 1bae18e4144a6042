"""Errands: what a person without a terminal has done, and that nobody else can have it done."""

from __future__ import annotations

import asyncio
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent import desktop, errands
from agent.access.allowing import origin_of_address
from agent.autostart import AutostartStatus, autostart
from agent.errors import AgentError, ErrorId, error_id
from agent.interaction import ErrandQuestion, NewPinQuestion, UnblockQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.trust import for_this_user
from agent.vocabulary import Errand
from tests.support.agent import PORTAL, Page, RunningAgent, running_agent


@asynccontextmanager
async def own_page(agent: RunningAgent) -> AsyncIterator[Page]:
    """The self-test page's connection, as its script opens it."""
    async with agent.http.get(f"{agent.clear}/") as response:
        found = re.search(r'name="page-token" content="([^"]+)"', await response.text())
        assert found is not None
    headers = {"Origin": f"http://127.0.0.1:{agent.daemon.native_port}"}
    async with agent.http.ws_connect(f"{agent.clear}/v1?page={found[1]}", headers=headers) as socket:
        yield Page(socket)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the person's own, with a folder for downloads, and no desktop that would open anything."""
    place = tmp_path / "home"
    (place / "Downloads").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / ".config"))
    monkeypatch.setattr(errands, "downloads", lambda: place / "Downloads")

    async def opened(_folder: Path) -> bool:
        return True

    monkeypatch.setattr(desktop, "open_folder", opened)
    return place


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_neither_a_portal_nor_a_local_program_can_have_an_errand_done(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    async with running_agent(tmp_path, interaction=person) as agent:
        for origin in (PORTAL, None):
            async with agent.page(origin) as page:
                for errand in Errand:
                    error = await page.failing("errand.run", errand=errand.value)
                    assert error["data"]["id"] == "request.unknown_method"
        async with agent.http.get(f"{agent.clear}/", headers={"Origin": PORTAL}) as response:
            assert response.status == 403 or "page-token" not in await response.text()
    assert person.questions == []


async def test_the_page_of_the_agent_has_the_pin_changed_and_unblocked_in_its_window(tmp_path: Path) -> None:
    person = ScriptedInteraction(pairs=[("123456", "654321"), ("12345678", "111111")])
    async with running_agent(tmp_path, interaction=person) as agent, own_page(agent) as page:
        done = await page.call("errand.run", errand="change-pin")
        assert "已變更" in done["zh"]
        done = await page.call("errand.run", errand="unblock-pin")
        assert "已解鎖" in done["zh"]
    assert [type(question) for question in person.questions] == [NewPinQuestion, UnblockQuestion]
    assert all(question.origin is None for question in person.questions)


@pytest.mark.parametrize("errand", [Errand.TRUST, Errand.AUTOSTART, Errand.REPORT])
async def test_without_the_persons_yes_nothing_is_done(
    tmp_path: Path, home: Path, errand: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(for_this_user, "install", never)
    person = ScriptedInteraction(errands=())
    before = everything_in(home)
    async with running_agent(tmp_path / "agent", interaction=person) as agent, own_page(agent) as page:
        assert (await page.failing("errand.run", errand=errand.value))["data"]["id"] == "errand.refused"
    assert [question for question in person.questions if isinstance(question, ErrandQuestion)]
    assert everything_in(home) == before


async def test_no_new_version_is_fetched_where_updates_are_off(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent, own_page(agent) as page:
        assert (await page.failing("errand.run", errand="update"))["data"]["id"] == "update.off"


async def test_where_nobody_can_be_asked_nothing_is_done(tmp_path: Path) -> None:
    person = ScriptedInteraction(available=False)
    async with running_agent(tmp_path, interaction=person) as agent, own_page(agent) as page:
        error = await page.failing("errand.run", errand="trust")
    assert error["data"]["id"] == "interaction.unavailable"


async def test_autostart_is_switched_on_and_off_again_without_a_terminal(tmp_path: Path, home: Path) -> None:
    person = ScriptedInteraction()
    async with running_agent(tmp_path / "agent", interaction=person) as agent, own_page(agent) as page:
        for state in (AutostartStatus.ON, AutostartStatus.OFF):
            await page.call("errand.run", errand="autostart")
            assert autostart(home=home).status() is state
    assert [question.off for question in person.questions if isinstance(question, ErrandQuestion)] == [
        False,
        True,
    ]


async def test_the_file_for_the_help_desk_lies_in_the_downloads_for_this_person_alone(
    tmp_path: Path, home: Path
) -> None:
    async with running_agent(tmp_path / "agent") as agent, own_page(agent) as page:
        await page.call("errand.run", errand="report")
    (file,) = (home / "Downloads").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as bundle:
        assert "selftest.html" in bundle.namelist()


async def test_an_errand_is_done_once_at_a_time(tmp_path: Path, home: Path) -> None:
    class Slow(ScriptedInteraction):
        async def ask(self, question):  # type: ignore[no-untyped-def]
            await waiting.wait()
            return await super().ask(question)

    waiting = asyncio.Event()
    async with running_agent(tmp_path / "agent", interaction=Slow()) as agent:
        first = asyncio.create_task(agent.daemon.errands.run(Errand.AUTOSTART))
        await asyncio.sleep(0)
        with pytest.raises(AgentError) as raised:
            await agent.daemon.errands.run(Errand.AUTOSTART)
        assert error_id(raised.value) is ErrorId.BUSY
        waiting.set()
        await first


async def test_a_new_certificate_is_told_with_the_errand_that_has_browsers_accept_it(tmp_path: Path) -> None:
    person = ScriptedInteraction()
    async with running_agent(tmp_path, interaction=person) as agent:
        await agent.notices_shown()
    assert person.offers == [Errand.TRUST]


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://portal.example.tw", "https://portal.example.tw"),
        (" https://Portal.Example.tw/login?x=1#y ", "https://portal.example.tw"),
        ("portal.example.tw/login", "https://portal.example.tw"),
        ("https://portal.example.tw:443/", "https://portal.example.tw"),
        ("https://portal.example.tw:8443/", "https://portal.example.tw:8443"),
        ("http://localhost:8080/a", "http://localhost:8080"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("http://portal.example.tw", None),
        ("https://portal.example.tw@evil.example", None),
        ("https://portal.example.tw:x", None),
        ("https://[::1", None),
        ("javascript:alert(1)", None),
        ("file:///etc/passwd", None),
        ("https://例子.tw", None),
        ("", None),
    ],
)
def test_an_address_as_people_copy_it_is_one_origin_or_none(address: str, origin: str | None) -> None:
    assert origin_of_address(address) == origin
