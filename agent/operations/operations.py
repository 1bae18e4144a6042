"""What every dialect can ask for, whatever its own words for it are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from agent.access.answers import Answers
from agent.access.consents import Consents
from agent.audit import AuditLog
from agent.config import Config
from agent.interaction import Interaction, Verb
from agent.interaction.asking import Asking
from agent.modules import ModuleView
from agent.operations.desk import Desk
from agent.operations.doings import Doings
from agent.operations.key_work import KeyWork
from agent.operations.pin_desk import PinDesk
from agent.operations.pin_work import PinWork
from agent.operations.reading import Reading
from agent.operations.views import Caller, ReaderView
from agent.paths import Paths
from agent.profiles import loaded
from pcsc.service import Service


def open_operations(service: Service, interaction: Interaction, config: Config, paths: Paths) -> Operations:
    """Operations with the answers and the audit log of the agent's folder; use as `async with`.

    Raises:
        OSError: the folder cannot be made.
    """
    paths.make()
    person = Asking(interaction, config)
    consents = Consents(person, Answers(paths.answers), config)
    audit = AuditLog(paths.audit, config.audit)
    return Operations(Desk(service, person, consents, audit, config, profiles=loaded(paths)), config)


class Operations(Reading, KeyWork, PinWork):
    """What pages and programs can ask of the card.

    Every method is awaited on one event loop and may raise, besides what it names: AgentError (origin and
    consent ids, interaction.unavailable, busy, card.timeout, card.ambiguous, request.cancelled),
    `pcsc.errors.PcscError`, `hca_card.errors.CardError`, `pcsc.status.StatusError`. Where `kinds` is taken
    and not empty, the card is one of these, or AgentError card.wrong_kind is raised.

    Args:
        desk: consent, cards, the person and the audit log.
        config: how long a wrong PIN from a page is remembered.
    """

    def __init__(self, desk: Desk, config: Config) -> None:
        self._desk = desk
        self._pins = PinDesk(desk, config)

    async def start(self) -> None:
        """Begin to watch the readers."""
        self._desk.readers.start()

    async def close(self) -> None:
        """Forget every PIN, stop watching, end the readers' threads."""
        await self._desk.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.close()

    def on_change(self, callback: Callable[[tuple[ReaderView, ...]], None]) -> Callable[[], None]:
        """Call `callback` on the event loop at each change of readers and cards; the result ends that."""
        return self._desk.readers.listen(callback)

    @property
    def consents(self) -> Consents:
        """Who may do what, for whoever else is asked."""
        return self._desk.consents

    @property
    def doings(self) -> Doings:
        """What is being done with cards and what is known of them, for showing; sends no command."""
        return self._desk.doings

    @property
    def modules(self) -> tuple[ModuleView, ...]:
        """The PKCS#11 modules that are used here, as they were when somebody last asked for the readers."""
        return self._desk.modules.views

    def on_outcome(self, callback: Callable[[Verb, str], None]) -> None:
        """Call `callback` with each kind of work that ended, and `ok` or the id of its error."""
        self._desk.trails.listen(callback)

    def allowed(self, caller: Caller, verb: Verb) -> bool:
        """Whether `caller` may do `verb` now without anybody being asked: who is told of changes."""
        return self._desk.consents.allowed(caller.origin, verb)

    async def permit(self, caller: Caller, verb: Verb) -> None:
        """Return if `caller` may do `verb`, asking where nobody has answered yet; nothing else is done.

        For work of a dialect's own that needs no card and that not every page may cause.
        """
        async with self._desk.asked(caller, verb) as trail:
            trail.quiet = True
