"""What a daemon shows in its tray, and what the tray's menu does to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agent import __version__, desktop
from agent.audit import AuditLog
from agent.errors import AgentError, describe
from agent.masking import mask_card
from agent.operations.messages import Caller
from agent.tray.messages import (
    ACTIVITY_ROWS,
    Choice,
    Chosen,
    ProblemKind,
    TrayActivity,
    TrayCard,
    TrayProblem,
    TrayQueue,
    TrayReader,
    TraySession,
    TrayState,
)
from agent.vocabulary import Errand
from hca_card.errors import CardError
from pcsc.errors import PcscError
from pcsc.status import StatusError

if TYPE_CHECKING:
    from agent.config import Config
    from agent.daemon import Daemon
    from agent.interaction import Interaction
    from agent.interaction.dialogs import Dialogs
    from agent.operations.messages import ReaderView

log = logging.getLogger(__name__)

_PERSON: Final = Caller(None, "tray")
_NAME_MAX: Final = 128
_READERS_MAX: Final = 16
_TRUST_SECONDS: Final = 15.0


@dataclass(kw_only=True)
class TrayHost:
    """A running daemon as its tray shows it, and what the tray's menu does to it.

    Attributes:
        daemon: started.
        interaction: tells the person what came of a choice.
        windows: shows *about*, and asks before the end.
        config: the configuration.
        audit: the log that the recent activity is read from.
        folder: what "open log folder" opens.
        end: ends the daemon; True begins it anew.
        trusted: whether this machine trusts the daemon's certificate, None where that is not known; blocks.
        simulated: every card is a simulated one.
    """

    daemon: Daemon
    interaction: Interaction
    windows: Dialogs
    config: Config
    audit: AuditLog
    folder: Path
    end: Callable[[bool], None]
    trusted: Callable[[], bool | None]
    simulated: bool

    def __post_init__(self) -> None:
        self._views: tuple[ReaderView, ...] | None = None
        self._answered = 0
        self._trust: bool | None = None
        self._trust_looked = -_TRUST_SECONDS
        self._looking: asyncio.Task[None] | None = None
        self._open: set[Choice] = set()
        self._changed: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def follow(self, changed: Callable[[], None]) -> AsyncIterator[None]:
        """Run the body with `changed` called whenever what the tray shows may be different."""
        self._changed = changed

        def readers_changed(views: tuple[ReaderView, ...]) -> None:
            self._views = views
            changed()

        operations = self.daemon.operations
        endings = [
            operations.on_change(readers_changed),
            operations.activity.listen(changed),
            operations.sessions.listen(changed),
        ]
        if self.daemon.queue is not None:
            endings.append(self.daemon.queue.listen(changed))
        try:
            yield
        finally:
            for end in endings:
                end()
            if self._looking is not None:
                self._looking.cancel()

    async def state(self, answers: int) -> TrayState:
        """Return what the tray shows now, without any command to a card."""
        activity = self.daemon.operations.activity
        if self._views is None:
            await self._look_once()
        if answers != self._answered or self._looking is None:
            self._answered = answers
            self._look_at_trust()
        return TrayState(
            version=__version__,
            simulated=self.simulated,
            working=activity.working,
            readers=tuple(
                TrayReader(name=view.name[:_NAME_MAX], condition=view.condition, virtual=view.virtual)
                for view in (self._views or ())[:_READERS_MAX]
            ),
            cards=tuple(
                TrayCard(
                    reader=card.reader[:_NAME_MAX],
                    kind=card.kind,
                    number=mask_card(card.serial)[:_NAME_MAX],
                    simulated=card.simulated or self.simulated,
                    tries_left=card.tries_left,
                    asked=card.asked,
                    ends=card.ends,
                    revoked=card.revoked,
                )
                for card in activity.cards[:_READERS_MAX]
            ),
            problems=tuple(self._problems()),
            activity=await asyncio.to_thread(self._activity),
            answers=answers,
            silence=self.daemon.operations.silence.begun,
            updates=self.config.update.enabled,
            sessions=tuple(self._sessions()),
            queue=self._queue(),
        )

    def _sessions(self) -> Iterator[TraySession]:
        now = datetime.now(UTC)
        for session in self.daemon.operations.sessions.open:  # none is out of reach of its stop
            until = (now + timedelta(seconds=session.seconds_left)).replace(second=0, microsecond=0)
            origin = None if session.origin is None else _with_its_end(session.origin)
            yield TraySession(number=session.number, origin=origin, left=session.left, until=until)

    async def choose(self, message: Chosen) -> None:
        """Do what the person chose, unless that is being done: a double click can be two clicks."""
        if message.choice in self._open:
            return
        self._open.add(message.choice)
        try:
            await self._do(message)
        finally:
            self._open.discard(message.choice)

    async def _do(self, message: Chosen) -> None:
        match message.choice:
            case Choice.ABOUT:
                await self.windows.show_about()
            case Choice.TRIES:
                await self._ask_tries(message.reader)
            case Choice.SELF_TEST:
                url = f"http://localhost:{self.daemon.native_port}/"
                if not await desktop.open_page(url):
                    await self._tell(
                        f"瀏覽器無法開啟。請自行開啟 {url}",
                        f"No browser could be opened. Open {url} yourself.",
                    )
            case Choice.LOG_FOLDER:
                folder = self.folder
                if not await desktop.open_folder(folder):
                    await self._tell(
                        f"資料夾無法開啟，它在 {folder}", f"The folder could not be opened; it is {folder}"
                    )
            case Choice.ASK_AGAIN:
                self.daemon.operations.silence.end()
                self._changed()
            case Choice.STOP_SESSION:
                # Whoever chooses it: the worst that comes of it is that a PIN is asked once more.
                self.daemon.operations.sessions.stop(message.session or "")
            case Choice.RESTART | Choice.QUIT:
                # On Linux any program of the session can choose this; only the person can say yes to it.
                again = message.choice is Choice.RESTART
                if await self.windows.confirm_end(again=again):
                    self.end(again)
            case errand:
                await self.daemon.errands.run_and_tell(Errand(errand.value), message.reader)

    async def _tell(self, zh: str, en: str) -> None:
        await self.interaction.notify(zh, en)

    async def _look_once(self) -> None:
        """Read the readers, before the watcher reports a change."""
        try:
            views = await self.daemon.operations.readers(_PERSON)
        except Exception as error:
            log.info("the readers cannot be shown yet: %s", error)
            views = ()
        if self._views is None:
            self._views = views

    def _look_at_trust(self) -> None:
        """Begin to look again whether the certificate is trusted, unless that was done just now."""
        now = asyncio.get_running_loop().time()
        if now - self._trust_looked >= _TRUST_SECONDS:
            self._trust_looked = now
            self._looking = asyncio.create_task(self._see_trust())

    async def _see_trust(self) -> None:
        before = self._trust
        try:
            self._trust = await asyncio.to_thread(self.trusted)
        except Exception:
            log.exception("whether the certificate is trusted cannot be told")
        if self._trust is not before:
            self._changed()

    def _queue(self) -> TrayQueue | None:
        if self.daemon.queue is None:
            return None
        counts = self.daemon.queue.counts
        return TrayQueue(waiting=counts.waiting, owed=counts.owed, due=counts.next_due)

    def _problems(self) -> Iterator[TrayProblem]:
        for conflict in self.daemon.conflicts[:_READERS_MAX]:
            detail = f"{conflict.port} {conflict.holder}".strip()[:_NAME_MAX]
            yield TrayProblem(kind=ProblemKind.PORT, detail=detail)
        if self.daemon.operations.activity.service_running is False:
            yield TrayProblem(kind=ProblemKind.SERVICE)
        if self._trust is False:
            yield TrayProblem(kind=ProblemKind.TRUST)
        if self.daemon.queue is not None and (warned := self.daemon.queue.counts.warned):
            yield TrayProblem(kind=ProblemKind.RECORDS, detail=str(warned))

    def _activity(self) -> tuple[TrayActivity, ...]:
        return tuple(
            msgspec.convert(row, TrayActivity, from_attributes=True)
            for row in reversed(self.audit.read(ACTIVITY_ROWS))
        )

    async def _ask_tries(self, reader: str | None) -> None:
        """Read the card because the person wants to know; the menu then shows what it said."""
        try:
            card = await self.daemon.operations.card(_PERSON, reader)
        except (AgentError, PcscError, CardError, StatusError) as error:
            text = describe(error)
            await self._tell(f"{text.zh}{text.next_zh}", f"{text.en} {text.next_en}")
            return
        left = card.pin.tries_left if card.pin else None
        if left is None:
            await self._tell("這張卡片沒有說還可以試幾次。", "This card does not tell its PIN tries.")
        elif left == 0:
            await self._tell("這張卡片的 PIN 碼已經鎖住。", "The PIN of this card is locked.")
        else:
            await self._tell(
                f"這張卡片的 PIN 碼還可以試 {left} 次。",
                f"{left} PIN {'try is' if left == 1 else 'tries are'} left on this card.",
            )


def _with_its_end(origin: str) -> str:
    """Return an origin as long as the menu takes it: whose it is stands at its end."""
    return origin if len(origin) <= _NAME_MAX else f"{origin[:16]}…{origin[17 - _NAME_MAX :]}"
