from __future__ import annotations

import asyncio
import io
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from agent import tls
from agent.config import Config, HipkiSettings, NhiComponentSettings, PortSettings, ServiSignSettings
from agent.demo import scripted_person
from agent.demo.page_client import OriginRefusedError, PageClient
from agent.demo.runner import run_demo, serve_demo
from agent.demo.scripted_person import ScriptedPerson
from agent.demo.step_report import StepFailedError, StepReport
from hca_card.simulator import SimulatedCard
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), width=200)


def words(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bool, str, Path]]:
    """Whether the demo passed, what it told, and this user's own agent folder."""
    screen, home = Console(file=io.StringIO(), width=200), tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HCA_AGENT_HOME", str(home))
        passed = asyncio.run(run_demo(screen))
        yield passed, words(screen), home


def test_the_demo_passes_and_tells_each_step_with_a_tick_and_its_milliseconds(
    played: tuple[bool, str, Path],
) -> None:
    passed, told, _ = played
    assert passed
    ticks = len(re.findall(r"^✓ +\d+ ms  \S", told, re.MULTILINE))
    assert ticks >= 26
    assert "✗" not in told
    assert f"All {ticks} steps passed" in told
    assert "還可以再試 2 次" in told


def test_the_demo_never_shows_a_pin(played: tuple[bool, str, Path]) -> None:
    assert "123456" not in played[1]
    assert scripted_person.WRONG_PIN not in played[1]


def test_the_demo_leaves_this_users_agent_alone(played: tuple[bool, str, Path]) -> None:
    assert list(played[2].iterdir()) == []


async def test_a_demo_with_a_card_that_breaks_fails_at_that_step(
    screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SimulatedCard.transmit

    def no_signatures(card: SimulatedCard, command: bytes) -> bytes:
        return bytes.fromhex("6F00") if command[1] == 0x2A else answer(card, command)

    monkeypatch.setattr(SimulatedCard, "transmit", no_signatures)
    assert not await run_demo(screen)
    assert re.search(r"^✗ .* 醫事人員卡登入", words(screen), re.MULTILINE)
    assert "All" not in words(screen)


async def test_a_demo_whose_portal_takes_a_token_twice_fails(
    screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.demo import sessions

    def kept(_: sessions.PortalSessions, session: sessions.PortalSession) -> str:
        assert session.nonce is not None
        return session.nonce.value

    def same_session(
        kept_sessions: sessions.PortalSessions, session: sessions.PortalSession, who: object
    ) -> object:
        session.signed_in = who  # type: ignore[assignment]
        return session

    monkeypatch.setattr(sessions.PortalSessions, "take_nonce", kept)
    monkeypatch.setattr(sessions.PortalSessions, "sign_in", same_session)
    assert not await run_demo(screen)
    assert re.search(r"^✗ .* 同一份登入資料重送", words(screen), re.MULTILINE)


def test_a_failed_step_is_told_with_what_was_seen(screen: Console) -> None:
    report = StepReport(screen, clock=iter((1.0, 1.25)).__next__)
    with pytest.raises(StepFailedError), report.step("步驟", "Step") as step:
        step.append("[a note, not markup]")
        raise StepFailedError("it was [green]not[/green] so")
    assert "✗  250 ms  步驟  Step" in words(screen)
    assert "[a note, not markup]" in words(screen)
    assert "it was [green]not[/green] so" in words(screen)
    assert report.passed == 0


async def test_serving_keeps_portal_and_agent_up_until_it_is_cancelled(
    screen: Console, tmp_path: Path
) -> None:
    portal, plain, secure, component = free_ports(4)
    mine = tls.ensure(tmp_path)
    opened: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(
        serve_demo(
            screen,
            port=portal,
            config=Config(
                ports=PortSettings(native=plain),
                servisign=ServiSignSettings(ports=(secure,)),
                hipki=HipkiSettings(port=0),
                nhi_component=NhiComponentSettings(ports=(component,)),
            ),
            identity=tmp_path,
            interaction=ScriptedPerson(),
            open_browser=lambda address: loop.call_soon_threadsafe(opened.put_nowait, address),
        )
    )
    try:
        origin = await asyncio.wait_for(opened.get(), 30)
        assert origin == f"http://localhost:{portal}"
        assert origin in words(screen) and "123456" in words(screen)
        addresses = (origin, f"http://127.0.0.1:{plain}")
        async with PageClient(*addresses, "") as page:
            await page.open()
            await page.connect()
            readers = (await page.call("readers.list"))["readers"]
            who = await page.log_in("personnel", await page.token(readers[0]["name"]))
            assert who["name"] == "測試人員卡"
        # Browsers that trust this user's agent trust the demo's too; the component for NHI cards is on.
        for port in (secure, component):
            shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
            assert shown.split() == mine.leaf.read_text().split()
        async with PageClient(*addresses, "", origin="http://localhost:1") as stranger:
            with pytest.raises(OriginRefusedError):
                await stranger.connect()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", plain)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", portal)
