"""What a person can have done without a terminal: by the icon's menu, our own page, or a notice's button.

Whoever asks for an errand has decided nothing: programs of the session can use the icon's menu too. Each
opens a window of ours, and only what the person does there has an effect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from agent import desktop
from agent.access.allowing import allow, origin_of_address
from agent.errors import AgentError, ErrorId, describe, error_id
from agent.interaction import ErrandQuestion
from agent.interaction.dialog_messages import SiteShown
from agent.operations.messages import Caller
from agent.vocabulary import Errand
from hca_card.errors import CardError
from pcsc.errors import PcscError
from pcsc.status import StatusError

if TYPE_CHECKING:
    from agent.access.answers import Answers
    from agent.config import Config
    from agent.interaction import Interaction
    from agent.operations import Operations
    from agent.paths import Paths
    from agent.queue import RecordQueue
    from agent.selftest.service import SelfTests
    from agent.trust import SystemPrompt

log = logging.getLogger(__name__)

Said = tuple[str, str]
"""What became of an errand, in both languages; both are empty where the person has seen it."""

_PERSON: Final = Caller(None, "errand")
_NOTHING: Final[Said] = ("", "")


class Windows(Protocol):
    """The windows of an errand that are no question."""

    async def show_origins(
        self,
        sites: Callable[[], tuple[SiteShown, ...]],
        forget: Callable[[str], object],
        allow: Callable[[str], tuple[bool, str, str]],
    ) -> None:
        """Show the window of allowed sites until the person closes it."""
        ...


class Errands:
    """Does errands, each kind one at a time: a double click can be two clicks.

    Args:
        operations: all card work goes through these.
        selftests: finds out what the file for the help desk tells.
        interaction: asks and tells the person.
        windows: None where none can be shown.
        config: the configuration.
        paths: the agent's folders.
        answers: what the person answered for each site.
        queue: the records that wait; None where there is no queue.
    """

    def __init__(
        self,
        *,
        operations: Operations,
        selftests: SelfTests,
        interaction: Interaction,
        windows: Windows | None,
        config: Config,
        paths: Paths,
        answers: Answers,
        queue: RecordQueue | None = None,
    ) -> None:
        self._operations = operations
        self._selftests = selftests
        self._interaction = interaction
        self._windows = windows
        self._config = config
        self._paths = paths
        self._answers = answers
        self._queue = queue
        self._under_way: set[Errand] = set()

    async def run(self, errand: Errand, reader: str | None = None) -> Said:
        """Do an errand; return what became of it.

        Args:
            errand: which one.
            reader: for the card in that reader; None lets the person choose where there are several.

        Raises:
            AgentError: busy, if it is being done; interaction.unavailable; consent.refused, if the person
                wants it no more; what went wrong.
            PcscError, CardError, StatusError: as the operations.
            OSError: a file or setting cannot be written.
        """
        if errand in self._under_way:
            raise AgentError(ErrorId.BUSY)
        self._under_way.add(errand)
        try:
            return await self._do(errand, reader)
        finally:
            self._under_way.discard(errand)

    async def run_and_tell(self, errand: Errand, reader: str | None = None) -> None:
        """Do an errand, and tell the person what became of it, whatever that is."""
        try:
            said = await self.run(errand, reader)
        except (AgentError, PcscError, CardError, StatusError, OSError) as error:
            if error_id(error) in (ErrorId.PIN_CANCELLED, ErrorId.ERRAND_REFUSED, ErrorId.BUSY):
                return  # the person knows
            log.info("an errand failed: %s: %s", errand, error)
            text = describe(error)
            said = f"{text.zh}{text.next_zh}", f"{text.en} {text.next_en}"
        if said != _NOTHING:
            await self._interaction.notify(*said)

    async def _do(self, errand: Errand, reader: str | None) -> Said:
        if not self._interaction.available:
            raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
        match errand:
            case Errand.CHANGE_PIN:
                await self._operations.change_pin(_PERSON, reader=reader)
                return "✔ 已變更 PIN 碼。", "The PIN is changed."
            case Errand.UNBLOCK_PIN:
                await self._operations.unblock_pin(_PERSON, reader=reader)
                return "✔ 已解鎖，PIN 碼是新的。", "Unblocked, with the new PIN."
            case Errand.SITES:
                await self._show_sites()
                return _NOTHING
            case Errand.AUTOSTART:
                return await self._switch_autostart()
            case Errand.TRUST:
                await self._confirm(errand)
                return await self._have_trusted()
            case Errand.REPORT:
                await self._confirm(errand)
                return await self._report()
            case Errand.UPDATE:
                if not self._config.update.enabled:
                    raise AgentError(ErrorId.UPDATE_OFF)
                await self._confirm(errand)
                return await self._download()
            case Errand.QUEUE:
                return await self._sign_records(reader)

    async def _confirm(self, errand: Errand, *, off: bool = False) -> None:
        """Return if the person says yes in our own window.

        Raises:
            AgentError: errand.refused.
        """
        if not await self._interaction.ask(ErrandQuestion(None, errand, off)):
            raise AgentError(ErrorId.ERRAND_REFUSED)

    async def _show_sites(self) -> None:
        if self._windows is None:
            raise AgentError(ErrorId.INTERACTION_UNAVAILABLE)
        await self._windows.show_origins(
            lambda: tuple(sites(self._config, self._answers)), self._answers.forget, self._allow
        )

    def _allow(self, address: str) -> tuple[bool, str, str]:
        origin = origin_of_address(address)
        if origin is None:
            return False, "這不是網站的網址，例如 https://portal.example.tw", "This is no site's address."
        try:
            until = allow(self._config, self._answers, origin)
        except (AgentError, OSError) as error:
            text = describe(error)
            return False, f"{text.zh}{text.next_zh}", f"{text.en} {text.next_en}"
        if origin in self._config.origins.deny:
            return (
                False,
                "設定檔拒絕這個網站，以設定檔為準。",
                "The configuration denies this site, and it wins.",
            )
        return True, f"✔ {origin} 允許到 {until:%Y-%m-%d}", f"Allowed until {until:%Y-%m-%d}"

    async def _switch_autostart(self) -> Said:
        from agent.autostart import AutostartStatus, autostart

        way = autostart()
        is_on = await asyncio.to_thread(way.status) is AutostartStatus.ON
        await self._confirm(Errand.AUTOSTART, off=is_on)
        await asyncio.to_thread(way.off if is_on else way.on)
        if await asyncio.to_thread(way.status) is AutostartStatus.ON:
            return "✔ 登入時會自動啟動。", "It starts with your login."
        return "✔ 登入時不會自動啟動。", "It does not start with your login."

    async def _have_trusted(self) -> Said:
        """Have every browser of the person accept our certificates."""
        from agent.trust import for_this_user

        loop = asyncio.get_running_loop()

        def announce(prompt: SystemPrompt) -> None:
            """Say, from the thread that waits for it, what the system is going to ask."""
            asyncio.run_coroutine_threadsafe(self._interaction.notify(prompt.zh, prompt.en), loop)

        rows = await asyncio.to_thread(for_this_user.install, self._paths, self._config, announce)
        browsers = [row for row in rows if row.store.browsers]
        missing = [row for row in browsers if not row.accepted]
        for row in missing:
            if row.error is not None:
                text = describe(row.error)
                known = row.error.facts.get("detail") if isinstance(row.error, AgentError) else None
                where = f"（{known}）" if known else ""
                return (
                    f"✘ {row.store.name}：{text.zh}{text.next_zh}{where}",
                    f"{row.store.name}: {text.en} {text.next_en}",
                )
        if missing:
            raise AgentError(ErrorId.TRUST_MISSING)
        names = sorted({row.store.name for row in browsers})
        return (
            f"✔ 瀏覽器已接受本程式（{'、'.join(names) or '找不到瀏覽器'}）。已開啟的瀏覽器請關閉再開。",
            f"Browsers accept this program ({', '.join(names) or 'no browser was found'})."
            " Close and reopen those that are open.",
        )

    async def _report(self) -> Said:
        from agent.selftest import support_bundle
        from agent.selftest.service import SelfTestRequest

        async with self._selftests.begin(_PERSON, SelfTestRequest(with_pin=False)) as (context, finished):
            rows = [row async for row in finished]
            computer, simulated = context.computer, context.simulated
        time = computer.clock()
        packed = await asyncio.to_thread(support_bundle.pack, rows, computer, simulated=simulated, time=time)
        return await self._hand_over(f"hca-agent-report-{time.astimezone():%Y%m%d-%H%M%S}.zip", packed)

    async def _hand_over(self, name: str, content: bytes) -> Said:
        from agent.private_files import write_private

        folder = await asyncio.to_thread(downloads)
        await asyncio.to_thread(write_private, folder / name, content)
        await desktop.open_folder(folder)
        return (
            f"✔ 請把這個檔案交給服務人員：{folder / name}",
            f"Give this file to your help desk: {folder / name}",
        )

    async def _sign_records(self, reader: str | None) -> Said:
        """Have the person open a session with their PIN; the queue signs in it as long as it lasts."""
        if self._queue is None:
            raise AgentError(ErrorId.QUEUE_DISABLED)
        session = await self._queue.open(reader=reader)
        return (
            f"✔ 開始簽署待簽的病歷（{session.card.holder}），新到的也會一併簽署。",
            f"The records that wait for {session.card.holder} are being signed, and those that come.",
        )

    async def _download(self) -> Said:
        from agent import __version__
        from agent.update import is_newer, package_of
        from agent.update.check import look

        folder = await asyncio.to_thread(downloads)

        def fetch() -> Path | None:
            repository, release = look(self._config.update, self._paths)
            return (
                repository.download(package_of(release), folder) if is_newer(release, __version__) else None
            )

        file = await asyncio.to_thread(fetch)
        if file is None:
            return f"✔ {__version__} 已是最新。", "Nothing newer is offered."
        await desktop.open_folder(folder)
        return f"✔ 已下載並驗過簽章：{file}", f"Fetched and checked: {file}"


def downloads() -> Path:
    """Return the person's folder for downloads, where they look for what was made for them."""
    import platformdirs

    folder = platformdirs.user_downloads_path()
    return folder if folder.is_dir() else Path.home()


def sites(config: Config, answers: Answers) -> Iterator[SiteShown]:
    """Yield the sites that the configuration settles, then those that the person answered for."""
    for origin in sorted(config.origins.deny):
        yield SiteShown(origin=origin, allowed=False)
    for origin in sorted(config.origins.allow - config.origins.deny):
        yield SiteShown(origin=origin, allowed=True)
    for origin, kept in answers.all().items():
        for allowed in (True, False):
            of_one_kind = {verb: item for verb, item in kept.items() if item.allowed is allowed}
            if of_one_kind:
                until = min(item.until for item in of_one_kind.values())
                yield SiteShown(origin=origin, allowed=allowed, verbs=tuple(of_one_kind), until=until)
