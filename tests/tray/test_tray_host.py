"""What a daemon shows in its tray and what the menu does to it, over simulated cards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent import desktop
from agent.access.answers import Answers
from agent.access.policy import ConsentAnswer
from agent.audit import AuditLog
from agent.config import Config, OriginSettings
from agent.errands import Errands, sites
from agent.interaction.dialog_messages import SiteShown
from agent.operations.messages import Caller, ReaderCondition
from agent.queue import Counts
from agent.selftest.context import Computer
from agent.selftest.service import SelfTests
from agent.server.ports import PortConflict
from agent.tray.host import TrayHost
from agent.tray.messages import Choice, Chosen, ProblemKind, TrayProblem, TrayQueue, TrayState
from agent.vocabulary import SessionEnd, Verb
from hca_card.errors import PinWrongError
from hca_card.model import CardKind
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.hashes import Hash
from tests.support.cards import simulated
from tests.support.operations import OWN, PORTAL, World, until
from tests.support.operations import agent as running
from tray.icon_states import Picture, picture


@dataclass
class FakeWindows:
    """Windows that stay open until they are let go."""

    shown: list[str] = field(default_factory=list)
    sites: tuple[SiteShown, ...] = ()
    typed: tuple[str, ...] = ()
    said: list[tuple[bool, str, str]] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    yes: bool = True

    async def show_about(self) -> None:
        self.shown.append("about")
        await self.closing.wait()

    async def confirm_end(self, *, again: bool) -> bool:
        self.shown.append("restart" if again else "quit")
        return self.yes

    async def show_origins(
        self,
        sites: Callable[[], tuple[SiteShown, ...]],
        forget: Callable[[str], object],
        allow: Callable[[str], tuple[bool, str, str]],
    ) -> None:
        self.shown.append("origins")
        forget("https://answered.example.tw")
        self.said = [allow(address) for address in self.typed]
        self.sites = sites()


@dataclass
class Tray:
    """A host and all that it touches."""

    world: World
    host: TrayHost
    windows: FakeWindows
    changes: list[TrayState]
    ended: list[bool]
    daemon: Any
    trusted: list[bool | None]

    async def state(self, answers: int = 0) -> TrayState:
        return await self.host.state(answers)

    @property
    def notices(self) -> list[str]:
        assert self.world.person is not None
        return [zh for zh, _ in self.world.person.notices]


@asynccontextmanager
async def tray(folder: Path, *kinds: str, config: Config | None = None, **more: Any) -> AsyncIterator[Tray]:
    async with running(folder, *kinds, config=config, **more) as world:
        assert world.person is not None
        daemon = SimpleNamespace(operations=world.operations, conflicts=(), native_port=56440, queue=None)
        windows, ended, trusted = FakeWindows(), [], [True]
        config = config or Config()
        computer = Computer(Service(VirtualWinscard()), config, world.paths)
        daemon.errands = Errands(
            operations=world.operations,
            selftests=SelfTests(world.operations, world.operations.consents, computer),
            interaction=world.person,
            windows=windows,
            config=config,
            paths=world.paths,
            answers=Answers(world.paths.answers),
        )
        host = TrayHost(
            daemon=daemon,
            interaction=world.person,
            windows=windows,  # type: ignore[arg-type]
            config=config,
            audit=AuditLog(world.paths.audit, Config().audit),
            folder=world.paths.home,
            end=ended.append,
            trusted=lambda: trusted[0],
            simulated=False,
        )
        one = Tray(world, host, windows, [], ended, daemon, trusted)
        news = asyncio.Event()

        async def note() -> None:
            while True:
                await news.wait()
                news.clear()
                one.changes.append(await host.state(0))

        noting = asyncio.create_task(note())
        async with host.follow(news.set):
            yield one
        noting.cancel()


async def test_showing_and_inserting_never_send_a_command_to_a_card(tmp_path: Path) -> None:
    async with tray(tmp_path, "hpc") as one:
        state = await one.state()
        assert [reader.condition for reader in state.readers] == [ReaderCondition.CARD]
        one.world.reader.remove()
        await until(lambda: bool(one.changes) and picture(one.changes[-1]) is Picture.READER)
        one.world.reader.insert(simulated("hpc"))
        await until(lambda: picture(one.changes[-1]) is Picture.CARD)
        for number in range(3):
            await one.state(number)
        assert one.world.apdus == []
        assert state.cards == () and one.changes[-1].cards == ()


async def test_an_open_session_is_shown_as_it_is_used_and_stopped_at_once(tmp_path: Path) -> None:
    config = Config(origins=OriginSettings(allow=frozenset((str(PORTAL.origin),))))
    async with tray(tmp_path, "hpc", config=config) as one:
        session = await one.world.operations.open_session(PORTAL, most=3, seconds=600)
        await until(lambda: bool(one.changes) and bool(one.changes[-1].sessions))
        [shown] = one.changes[-1].sessions
        assert (shown.number, shown.origin, shown.left) == (session.number, PORTAL.origin, 3)
        assert timedelta(minutes=8) < shown.until - datetime.now(UTC) <= timedelta(minutes=10)
        await session.sign_value(b"document")
        await until(lambda: [each.left for each in one.changes[-1].sessions] == [2])
        assert session.id not in repr(one.changes)
        await one.host.choose(Chosen(choice=Choice.STOP_SESSION, session="00000000"))
        assert session.ended is None
        await one.host.choose(Chosen(choice=Choice.STOP_SESSION, session=session.number))
        assert session.ended is SessionEnd.STOPPED
        await until(lambda: one.changes[-1].sessions == ())


async def test_no_session_is_hidden_behind_others_and_no_site_behind_the_length_of_its_name(
    tmp_path: Path,
) -> None:
    pretends = f"https://portal.example.tw.{'a' * 60}.{'b' * 60}.evil.example"
    allowed = frozenset((str(PORTAL.origin), pretends))
    async with tray(tmp_path, "hpc", config=Config(origins=OriginSettings(allow=allowed))) as one:
        for _ in range(8):
            await one.world.operations.open_session(PORTAL)
        await one.world.operations.open_session(Caller(pretends, "1"))
        shown = (await one.state()).sessions
        assert len(shown) == 9
        assert shown[-1].origin is not None
        assert len(shown[-1].origin) <= 128
        assert shown[-1].origin.endswith(".evil.example")


async def test_a_card_that_was_asked_is_known_until_it_is_taken_out(tmp_path: Path) -> None:
    async with tray(tmp_path, "hpc") as one:
        await one.host.choose(Chosen(choice=Choice.TRIES, reader=one.world.reader.name))
        assert one.notices == ["這張卡片的 PIN 碼還可以試 3 次。"]
        (card,) = (await one.state()).cards
        assert (card.kind, card.number, card.simulated) == (CardKind.PERSONNEL, "********5361", True)
        assert card.tries_left == 3 and card.asked is not None
        assert datetime.now(UTC) - card.asked < timedelta(minutes=1)
        one.world.reader.remove()
        await until(lambda: bool(one.changes) and picture(one.changes[-1]) is Picture.READER)
        assert one.changes[-1].cards == ()
        one.world.reader.insert(one.world.cards[0])
        await until(lambda: picture(one.changes[-1]) is Picture.CARD)
        assert one.changes[-1].cards == ()


async def test_work_shows_as_busy_and_leaves_tries_unknown_or_as_the_card_said(tmp_path: Path) -> None:
    from agent.interaction.scripted import ScriptedInteraction

    person = ScriptedInteraction(pins=["123456", "999999"])
    async with tray(tmp_path, "hpc", interaction=person) as one:
        busy: list[bool] = []
        activity = one.world.operations.activity
        stop = activity.listen(lambda: busy.append(activity.working))
        await one.world.operations.sign(OWN, Hash.SHA_256, document=b"document")
        assert True in busy and busy[-1] is False
        (card,) = (await one.state()).cards
        assert card.tries_left is None, "a right PIN sets the card's counter back, which nobody has read"
        with pytest.raises(PinWrongError):
            await one.world.operations.sign(OWN, Hash.SHA_256, document=b"document")
        (card,) = (await one.state()).cards
        assert card.tries_left == 2
        stop()
        assert [row.result for row in (await one.state()).activity] == ["pin.wrong", "ok"]


async def test_a_card_that_cannot_be_asked_is_told_in_words(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        await one.host.choose(Chosen(choice=Choice.TRIES, reader=one.world.reader.name))
        assert len(one.notices) == 1 and "卡片" in one.notices[0]


@pytest.mark.parametrize(
    ("kind", "words"), [("hpc-locked", "已經鎖住"), ("hpc-last-try", "還可以試 1 次"), ("nhi", "沒有說")]
)
async def test_each_answer_about_tries_has_its_words(tmp_path: Path, kind: str, words: str) -> None:
    async with tray(tmp_path, kind) as one:
        await one.host.choose(Chosen(choice=Choice.TRIES))
        assert words in one.notices[0]


async def test_a_port_conflict_is_a_problem_with_its_holder(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        assert (await one.state()).problems == ()
        one.daemon.conflicts = (PortConflict(56445, "HCAServiSign (4242)"),)
        assert (await one.state()).problems == (
            TrayProblem(kind=ProblemKind.PORT, detail="56445 HCAServiSign (4242)"),
        )


async def test_records_that_wait_are_shown_and_are_a_problem_when_their_time_runs_out(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        assert (await one.state()).queue is None
        due = datetime(2026, 3, 2, 8, tzinfo=UTC)
        one.daemon.queue = SimpleNamespace(counts=Counts(waiting=3, owed=1, next_due=due))
        assert (await one.state()).queue == TrayQueue(waiting=3, owed=1, due=due)
        assert (await one.state()).problems == ()
        one.daemon.queue.counts = Counts(waiting=3, warned=2)
        assert (await one.state()).problems == (TrayProblem(kind=ProblemKind.RECORDS, detail="2"),)
        await one.host.choose(Chosen(choice=Choice.QUEUE))
        assert any("沒有開啟" in words for words in one.notices), "its errands were made without a queue"


async def test_a_service_that_goes_is_a_problem_until_it_comes_back_even_without_readers(
    tmp_path: Path,
) -> None:
    async with tray(tmp_path) as one:
        await until(lambda: one.world.operations.activity.service_running is True)
        one.world.winscard.stop_service()
        service = (TrayProblem(kind=ProblemKind.SERVICE),)
        await until(lambda: bool(one.changes) and one.changes[-1].problems == service)
        one.world.winscard.start_service()
        await until(lambda: one.changes[-1].problems == ())


async def test_a_certificate_that_no_browser_trusts_is_a_problem_until_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.tray.host._TRUST_SECONDS", 0.0)
    async with tray(tmp_path, "") as one:
        one.trusted[0] = False
        await one.state()
        await until(
            lambda: bool(one.changes) and one.changes[-1].problems == (TrayProblem(kind=ProblemKind.TRUST),)
        )
        one.trusted[0] = True
        await one.state(answers=1)
        await until(lambda: one.changes[-1].problems == ())
        one.trusted[0] = None
        await one.state(answers=2)
        assert one.host._looking is not None
        await one.host._looking
        assert (await one.state(answers=2)).problems == (), "unknown is not a problem"


async def test_one_window_of_each_kind_is_open_at_a_time(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        about = Chosen(choice=Choice.ABOUT)
        first = asyncio.create_task(one.host.choose(about))
        await until(lambda: one.windows.shown == ["about"])
        await one.host.choose(about)
        assert one.windows.shown == ["about"]
        one.windows.closing.set()
        await first
        await one.host.choose(about)
        assert one.windows.shown == ["about", "about"]


async def test_the_list_of_sites_says_what_holds_and_forgets_what_it_is_told_to(tmp_path: Path) -> None:
    settled = replace(
        Config(),
        origins=OriginSettings(
            allow=frozenset(("https://allowed.example.tw",)), deny=frozenset(("https://denied.example.tw",))
        ),
    )
    async with tray(tmp_path, "", config=settled) as one:
        answers = Answers(one.world.paths.answers)
        until_then = datetime.now(UTC) + timedelta(days=1)
        for origin in ("https://answered.example.tw", "https://kept.example.tw"):
            answers.remember(origin, (Verb.READ,), ConsentAnswer(True, until_then))
            answers.remember(origin, (Verb.SIGN,), ConsentAnswer(False, until_then))
        shown = list(sites(settled, answers))
        assert [(site.origin, site.allowed, site.verbs) for site in shown] == [
            ("https://denied.example.tw", False, ()),
            ("https://allowed.example.tw", True, ()),
            ("https://answered.example.tw", True, (Verb.READ,)),
            ("https://answered.example.tw", False, (Verb.SIGN,)),
            ("https://kept.example.tw", True, (Verb.READ,)),
            ("https://kept.example.tw", False, (Verb.SIGN,)),
        ]
        new = "https://new.example.tw"
        one.windows.typed = (f"{new}/page", "http://localhost:1234", "https://denied.example.tw")
        await one.host.choose(Chosen(choice=Choice.ORIGINS))
        assert [taken for taken, _zh, _en in one.windows.said] == [True, False, False]
        assert answers.of(new).keys() == set(Verb)
        for origin in (new, "https://denied.example.tw"):
            answers.forget(origin)
        one.windows.sites = tuple(sites(settled, answers))
        assert {site.origin for site in one.windows.sites} == {
            site.origin for site in shown if "answered" not in site.origin
        }
        assert answers.all().keys() == {"https://kept.example.tw"}


async def test_pages_and_folders_are_opened_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    async def cannot(what: object) -> bool:
        opened.append(what)
        return False

    monkeypatch.setattr(desktop, "open_page", cannot)
    monkeypatch.setattr(desktop, "open_folder", cannot)
    async with tray(tmp_path, "") as one:
        await one.host.choose(Chosen(choice=Choice.SELF_TEST))
        await one.host.choose(Chosen(choice=Choice.LOG_FOLDER))
        assert opened == ["http://localhost:56440/", one.world.paths.home]
        assert "http://localhost:56440/" in one.notices[0] and str(one.world.paths.home) in one.notices[1]


async def test_restart_and_quit_end_the_daemon(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        await one.host.choose(Chosen(choice=Choice.QUIT))
        await one.host.choose(Chosen(choice=Choice.RESTART))
        assert one.ended == [False, True]


async def test_without_a_yes_in_a_window_neither_restart_nor_quit_ends_the_daemon(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        one.windows.yes = False
        await one.host.choose(Chosen(choice=Choice.QUIT))
        await one.host.choose(Chosen(choice=Choice.RESTART))
        assert one.windows.shown == ["quit", "restart"] and one.ended == []


async def test_what_is_chosen_again_while_it_is_done_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    closing = asyncio.Event()

    async def opens(what: object) -> bool:
        opened.append(what)
        return await closing.wait()

    monkeypatch.setattr(desktop, "open_page", opens)
    async with tray(tmp_path, "") as one:
        async with asyncio.TaskGroup() as clicks:
            for _ in range(1000):
                clicks.create_task(one.host.choose(Chosen(choice=Choice.SELF_TEST)))
            await until(lambda: bool(opened))
            closing.set()
        assert len(opened) == 1


async def test_a_reader_nobody_named_before_is_refused_in_words(tmp_path: Path) -> None:
    async with tray(tmp_path, "hpc") as one:
        await one.host.choose(Chosen(choice=Choice.TRIES, reader="no such reader"))
        assert len(one.notices) == 1 and one.world.apdus == []


async def test_the_silence_is_shown_and_the_menu_ends_it(tmp_path: Path) -> None:
    async with tray(tmp_path, "") as one:
        silence = one.world.operations.silence
        assert not (await one.host.state(0)).silence
        silence.begin()
        assert (await one.host.state(0)).silence
        await one.host.choose(Chosen(choice=Choice.ASK_AGAIN))
        assert not silence.begun
        assert not (await one.host.state(0)).silence
