"""The daemon: configuration, operations, dialects and listeners put together, and taken apart in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from agent import __version__, inventory, tls
from agent.access.rates import OriginRates
from agent.config import Config
from agent.errors import AgentError, ErrorId, describe
from agent.interaction import Interaction
from agent.paths import Paths
from agent.places import Places, Rank
from agent.renewal import Renewal
from agent.vocabulary import Errand
from pcsc.service import Service

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

    from agent.dialects.servisign import ServiSignDialect
    from agent.errands import Errands
    from agent.operations import Operations
    from agent.previews import Previews
    from agent.queue import RecordQueue
    from agent.selftest.service import SelfTests
    from agent.server.gate import Gate, HttpSite
    from agent.server.ports import PortConflict, TakenPort

log = logging.getLogger(__name__)

_FIRST_ANSWER_SECONDS: Final = 0.05
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


Companion = Callable[["Daemon", Callable[[], None]], AbstractAsyncContextManager[object]]
"""Something that runs for as long as a daemon does, given the daemon and what ends it."""


@dataclass(frozen=True, slots=True)
class _ServedPort:
    """A port and what is served there.

    Attributes:
        taken: the port.
        context: for TLS; None in the clear.
        site: what is served.
        public: paths that anybody may GET.
        hosts: names besides loopback's under which the port is reached.
    """

    taken: TakenPort
    context: ssl.SSLContext | None
    site: HttpSite
    public: frozenset[str]
    hosts: frozenset[str] = frozenset()

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken there."""
        return self.context is not None


class Daemon:
    """One running agent; an async context manager.

    Args:
        config: the configuration; port 0 is any free port.
        service: the card readers.
        interaction: how the person is asked.
        paths: the agent's folders.
        simulated: whether the readers of `service` are simulated ones.

    Attributes:
        native_port: the port in the clear, once started.
        tls_port: the port with TLS, once started.
        identity: where the certificate to trust lies, once started.
        hipki_port: the port of the HiPKI dialect; None where it is off or another program holds it.
        nhi_ports: the ports of the NHI component dialect; none unless the administrator turned it on.
        nhi_identity: where the certificate for its name lies, likewise.
        conflicts: ports of ours that another program holds, so that portals may reach that program.
        operations: what pages and programs can ask of the card, once started.
        errands: what the person can have done without a terminal, once started.
        queue: the records that wait for a signature; None where there is no queue.
    """

    native_port: int
    tls_port: int
    identity: tls.TlsIdentity
    hipki_port: int | None = None
    nhi_ports: tuple[int, ...] = ()
    nhi_identity: tls.TlsIdentity | None = None
    conflicts: tuple[PortConflict, ...]
    operations: Operations
    errands: Errands
    queue: RecordQueue | None = None

    def __init__(
        self,
        config: Config,
        service: Service,
        interaction: Interaction,
        paths: Paths,
        *,
        simulated: bool = False,
    ) -> None:
        self._config = config
        self._service = service
        self._interaction = interaction
        self._paths = paths
        self._simulated = simulated
        self._ending = AsyncExitStack()
        self._notices: set[asyncio.Task[None]] = set()
        self._servisign: ServiSignDialect | None = None
        self._runners: list[web.ServerRunner] = []

    async def start(self) -> None:
        """Take the ports, then open what answers on them.

        Raises:
            AgentError: `port.taken`, `port.vendor` or `token.unreadable`.
            OSError: the agent's folder cannot be written.
        """
        try:
            await self._start()
        except BaseException:
            await self._ending.aclose()
            raise

    async def stop(self) -> None:
        """Close connections, end what waits for a person, let readers finish, and give the ports back."""
        await self._ending.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        gate = await self._take_ports()
        if "agent.operations" not in sys.modules:
            # Whoever has been waiting for the port is answered first, and others while the rest is loaded.
            await asyncio.sleep(_FIRST_ANSWER_SECONDS)
            await asyncio.to_thread(_load)
        await self._open(gate)

    async def _take_ports(self) -> Callable[[HttpSite], Gate]:
        """Take the ports and say who answers there; what else they serve is opened later."""
        from agent.metrics import PATH as METRICS_PATH
        from agent.server import accepting, gate, opening, pages, peer, ports, token

        config, paths = self._config, self._paths.make()
        # The ports come first: a second agent must fail before it replaces the token of the first.
        clear = ports.listen([config.ports.native])
        self._ending.callback(clear.close)
        secure = await asyncio.to_thread(ports.listen, config.servisign.ports, _answers_as_vendor)
        self._ending.callback(secure.close)
        self.native_port, self.tls_port, self.conflicts = clear.port, secure.port, secure.conflicts
        self._identified = self._renewal(tls.LOOPBACK)
        self.identity = self._identified.identity
        self._peers, self._handshakes = await asyncio.to_thread(peer.system), accepting.Handshakes()
        self._main = main = opening.OpeningSite()
        self._ending.callback(main.close)
        self._ending.push_async_callback(self._stop_listening)
        self._rate = OriginRates(config.limits, self._rank)
        opened = partial(
            gate.Gate,
            origins=config.origins,
            token=token.create(paths.token),
            refused=self._refused,
            answered=self._answered,
            rate=self._rate,
            places=Places(self._rank, total=gate.REQUESTS_MAX, strangers=gate.REQUESTS_OF_STRANGERS_MAX),
        )
        public = pages.PATHS | frozenset(pages.OWN)
        open_to_programs = frozenset(() if config.metrics.token else (METRICS_PATH,))
        served = [
            _ServedPort(clear, None, main, public | open_to_programs),
            _ServedPort(secure, self._identified.context, main, public),
        ]
        await self._listen(served, opened)
        return opened

    async def _open(self, gate: Callable[[HttpSite], Gate]) -> None:
        """Open all that the ports serve."""
        from agent.evidence import evidence_of
        from agent.metrics import Monitor
        from agent.native.api import NativeApi
        from agent.native.context import NativeServices
        from agent.operations import open_operations
        from agent.selftest.context import Computer
        from agent.selftest.service import SelfTests, settled
        from agent.server.main_site import MainSite
        from agent.update.check import Checks
        from agent.verification import Verifier

        config, paths = self._config, self._paths
        hipki = await asyncio.to_thread(self._take_hipki) if config.hipki.enabled else None
        operations = open_operations(
            self._service,
            self._interaction,
            config,
            paths,
            evidence=evidence_of(config, paths),
            previews=_previews_for(self._interaction),
        )
        self.operations = await self._ending.enter_async_context(operations)
        consents = operations.consents
        machine = Computer(
            self._service,
            settled(config, self.native_port, self.tls_port, self.hipki_port),
            paths,
            simulated=self._simulated,
        )
        selftests = SelfTests(operations, consents, machine)
        verifier = Verifier(config, paths, apart=True, simulated=self._simulated)
        self.queue = await self._open_queue()
        self.errands = self._errands(selftests)
        services = NativeServices(operations, selftests, verifier, self.errands, self._simulated, self.queue)
        native = NativeApi(services, self._rate)
        self._ending.callback(self._close_servisign)
        self._monitor = Monitor(operations, paths.update)
        self._ending.callback(self._monitor.close)
        self._ending.push_async_callback(self._forget_notices)
        served = []
        if hipki is not None:
            served.append(self._serve_hipki(hipki, self._rate, native.load))
        if config.nhi_component.enabled:
            served += await self._serve_nhi(self._identified.context, self._rate)
        await self._listen(served, gate)
        self._main.open(
            MainSite(
                native,
                dialect=self._open_servisign if config.servisign.enabled else None,
                refusal=_servisign_refusal,
                hopeless=consents.hopeless,
                measured=self._measured if config.metrics.enabled else None,
            )
        )
        # Before anything of it is closed, nobody can ask for it any more.
        self._ending.push_async_callback(self._stop_listening)
        self._run_beside(self._identified.run())
        self._run_beside(Checks(config.update, paths, self._interaction.notify).run())
        self._ending.push_async_callback(
            native.close
        )  # first of all: pages learn of the end before they are cut off
        await self._take_inventory()
        self._warn()

    def _errands(self, selftests: SelfTests) -> Errands:
        """Return the errands, which windows' notices offer from now on."""
        from agent.access.answers import Answers
        from agent.errands import Errands
        from agent.interaction.dialogs import Dialogs

        windows = self._interaction if isinstance(self._interaction, Dialogs) else None
        errands = Errands(
            operations=self.operations,
            selftests=selftests,
            interaction=self._interaction,
            windows=windows,
            config=self._config,
            paths=self._paths,
            answers=Answers(self._paths.answers, settings=self._config.consent),
            queue=self.queue,
        )
        if windows is not None:
            windows.do = errands.run_and_tell
        return errands

    async def _open_queue(self) -> RecordQueue | None:
        """Return the queue of records, at work; None where there is none, or its journal cannot be used."""
        if not self._config.queue.enabled:
            return None
        from agent.queue import open_queue, words_for

        try:
            opened = await asyncio.to_thread(
                open_queue, self.operations, self._config, self._paths, self._interaction.notify
            )
        except AgentError as error:
            log.warning("there is no queue: %s", error)
            self._notify(*words_for(error))
            return None
        self._ending.callback(opened.forget)
        self._run_beside(opened.run())
        return opened

    def _open_servisign(self) -> ServiSignDialect:
        from agent.dialects.servisign import ServiSignDialect

        self._servisign = ServiSignDialect(self.operations, self._config)
        return self._servisign

    def _close_servisign(self) -> None:
        if self._servisign is not None:
            self._servisign.close()

    def _take_hipki(self) -> TakenPort | None:
        """Take the port of the HiPKI dialect; None where another program holds it."""
        from agent.server import ports

        try:
            taken = ports.listen([self._config.hipki.port])
        except AgentError as error:
            # The vendor's own program belongs there as much as we do: no reason to trouble anybody.
            log.warning("HiPKI pages are left to the program that holds the port: %s", error)
            return None
        self._ending.callback(taken.close)
        self.hipki_port = taken.port
        return taken

    def _serve_hipki(self, taken: TakenPort, rate: OriginRates, load: Places) -> _ServedPort:
        from agent.dialects.hipki import PUBLIC, HipkiDialect, HipkiSite

        site = HipkiSite(
            HipkiDialect(self.operations, self._config),
            self._config.origins,
            refused=self._tell_refused,
            rate=rate,
            load=load,
            self_test=f"http://localhost:{self.native_port}/",
        )
        return _ServedPort(taken, None, site, PUBLIC)

    async def _serve_nhi(self, usual: ssl.SSLContext, rate: OriginRates) -> list[_ServedPort]:
        """Take the ports of the NHI component, as many as are free, and the certificate for its name."""
        from agent.dialects.nhi_component import NhiDialect, NhiSite, context_by_name, take_ports

        taken, conflicts = await asyncio.to_thread(take_ports, self._config.nhi_component.ports)
        self.conflicts += tuple(conflicts)
        self.nhi_ports = tuple(each.port for each in taken)
        renewal = self._renewal(tls.NHI_COMPONENT)
        self.nhi_identity = renewal.identity
        self._run_beside(renewal.run())
        site = NhiSite(NhiDialect(self.operations, self._notify), rate, self.operations.rank)
        context = context_by_name(usual, renewal.context)
        for each in taken:
            self._ending.callback(each.close)
        self._ending.push_async_callback(site.close)
        hosts = frozenset((tls.NHI_COMPONENT.host,))
        return [_ServedPort(each, context, site, frozenset(), hosts) for each in taken]

    def _renewal(self, scope: tls.Scope) -> Renewal:
        return Renewal(self._paths.tls, self._renewed, machines=self._paths.machine_tls, scope=scope)

    async def _listen(self, served: Sequence[_ServedPort], gate: Callable[[HttpSite], Gate]) -> None:
        from agent.access.policy import Listener
        from agent.server import serving

        for one in served:
            # A port that serves no page of ours cannot have sent one; no site takes another's for its own.
            own_ports = frozenset(
                (each.taken.port, each.tls) for each in served if each.public and each.site is one.site
            )
            listener = Listener(one.taken.port, one.tls, one.public, own_ports, one.hosts)
            runner = await serving.serve(
                gate(one.site),
                one.taken,
                listener,
                one.context,
                peers=self._peers,
                handshakes=self._handshakes,
            )
            self._runners.append(runner)

    async def _stop_listening(self) -> None:
        while self._runners:
            await self._runners.pop().cleanup()

    def _rank(self, origin: str | None) -> Rank:
        """Until it is known what is allowed, everybody is a stranger."""
        return self.operations.rank(origin) if self._main.is_open else Rank.STRANGER

    def _answered(self, status: int) -> None:
        if self._main.is_open:
            self._monitor.counters.answered(status)

    async def _measured(self) -> bytes:
        return await self._monitor.page(self.identity.not_after, len(self.conflicts))

    async def _take_inventory(self) -> None:
        """Say in a file what runs; a full disk keeps nobody from working."""
        folder = self._paths.home
        taken = inventory.Inventory(
            version=__version__,
            ports={
                "native": (self.native_port,),
                "servisign": (self.tls_port,),
                "hipki": (self.hipki_port,) if self.hipki_port else (),
                "nhiComponent": self.nhi_ports,
            },
            conflicts=tuple(conflict.port for conflict in self.conflicts),
            certificate_ends=self.identity.not_after,
            certificate_of_machine=self.identity.machines,
            simulated=self._simulated,
        )
        try:
            await asyncio.to_thread(inventory.write, folder, taken)
        except OSError as error:
            log.warning("the inventory cannot be written: %s", error.strerror)
        self._ending.callback(_end_inventory, folder)

    def _refused(self, origin: str) -> None:
        if not self._main.is_open:
            return
        self._monitor.counters.refused()
        self._tell_refused(origin)

    def _tell_refused(self, origin: str) -> None:
        self._show(self.operations.consents.tell_refused(origin))

    def _warn(self) -> None:
        """Tell the person what keeps portals from working although this program runs."""
        for conflict in self.conflicts:
            self._notify(*conflict.sentences())
        identities = [each for each in (self.identity, self.nhi_identity) if each is not None]
        if any(datetime.now(UTC) < each.not_before for each in identities):
            words = describe(AgentError(ErrorId.CLOCK_BEHIND))
            log.warning("%s", words.en)
            self._notify(f"{words.zh}{words.next_zh}", f"{words.en} {words.next_en}")
        renewed = [each for each in identities if each.renewed]
        if renewed:
            self._renewed(renewed[0])
        elif any(each.fresh for each in identities):
            self._notify(
                "本機的 TLS 憑證是新的，瀏覽器還沒有接受它。",
                "The TLS certificate of this machine is new, and browsers do not accept it yet.",
                Errand.TRUST,
            )

    def _renewed(self, identity: tls.TlsIdentity) -> None:
        """Tell the person of a new certificate, where browsers trusted the one before it."""
        if identity.scope == tls.LOOPBACK:
            self.identity = identity
        else:
            self.nhi_identity = identity
        if identity.machines:
            self._notify(
                "本機的 TLS 憑證已換新。請關閉瀏覽器，再開啟一次。",
                "The TLS certificate of this machine was renewed. Close your browsers and open them again.",
            )
        else:
            self._notify(
                "本機的 TLS 憑證已換新，瀏覽器還不認得它。請再讓瀏覽器接受一次。",
                "The TLS certificate of this machine was renewed, and browsers do not know it yet."
                " Have them accept it once more.",
                Errand.TRUST,
            )

    def _run_beside(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` until the daemon ends."""
        self._ending.push_async_callback(_cancel, asyncio.create_task(work))

    def _notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        self._show(self._interaction.notify(zh, en, errand))

    def _show(self, notice: Coroutine[None, None, None]) -> None:
        """Tell the person something, without anybody waiting for the window."""
        task = asyncio.create_task(notice)
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _forget_notices(self) -> None:
        await _cancel(*self._notices)


async def serve(
    config: Config,
    service: Service,
    interaction: Interaction,
    paths: Paths,
    *,
    simulated: bool = False,
    ready: Callable[[Daemon], None] | None = None,
    beside: Companion | None = None,
) -> None:
    """Run a daemon until SIGINT or SIGTERM.

    Args:
        config: the configuration.
        service: the card readers.
        interaction: how the person is asked.
        paths: the agent's folders.
        simulated: whether the readers of `service` are simulated ones.
        ready: called once, when the daemon answers.
        beside: what runs beside the daemon, given it and what ends it: the tray.

    Raises:
        AgentError: `port.taken`, `port.vendor` or `token.unreadable`.
        OSError: the agent's folder cannot be written.
    """
    ending = asyncio.Event()
    with _on_signals(ending.set):
        async with Daemon(config, service, interaction, paths, simulated=simulated) as daemon:
            log.info("listening on %d and, with TLS, on %d", daemon.native_port, daemon.tls_port)
            if ready is not None:
                ready(daemon)
            async with beside(daemon, ending.set) if beside is not None else nullcontext():
                await ending.wait()


def _load() -> None:
    """Load what every agent opens, before it is opened: loading takes longer than opening."""
    from agent import errands, evidence, metrics, verification  # noqa: F401
    from agent.dialects import hipki  # noqa: F401
    from agent.native import api  # noqa: F401
    from agent.operations import open_operations  # noqa: F401
    from agent.selftest import context, service  # noqa: F401
    from agent.server import main_site  # noqa: F401
    from agent.update import check  # noqa: F401


def _answers_as_vendor(port: int) -> bool:
    """Load what asks only where a port is taken."""
    from agent.dialects.servisign.vendor_at_port import answers_as_vendor

    return answers_as_vendor(port)


def _servisign_refusal() -> bytes:
    from agent.dialects.servisign import refusal

    return refusal()


def _end_inventory(folder: Path) -> None:
    with suppress(OSError):
        inventory.end(folder)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _on_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` on the event loop at a signal to stop, instead of tearing the process down."""
    loop = asyncio.get_running_loop()
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(end)) for number in _STOP_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _previews_for(interaction: Interaction) -> Previews | None:
    """Return what draws documents for windows; whoever sits at a terminal has the document itself."""
    from agent.interaction.dialogs import Dialogs
    from agent.previews import Previews

    return Previews() if isinstance(interaction, Dialogs) else None
