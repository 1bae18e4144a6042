"""The daemon: configuration, operations, dialects and listeners put together, and taken apart in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

from agent import tls
from agent.answers import Answers
from agent.audit import AuditLog
from agent.config import Config
from agent.consents import Consents
from agent.dialects.servisign import ServiSign, refusal
from agent.interaction import Interaction
from agent.operations import Operations
from agent.paths import Paths
from pcsc.service import Service

if TYPE_CHECKING:
    from agent.server.http import Site
    from agent.server.listeners import Conflict, Listeners

log = logging.getLogger(__name__)

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


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
        conflicts: ports of ours that another program holds, so that portals may reach that program.
    """

    native_port: int
    tls_port: int
    identity: tls.Identity
    conflicts: tuple[Conflict, ...]

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

    async def start(self) -> None:
        """Take the ports, then open what answers on them.

        Raises:
            AgentError: `port.taken` or `token.unreadable`.
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
        from agent.native.api import NativeApi
        from agent.native.methods import Backend
        from agent.server import listeners, token
        from agent.server.http import Site

        config, paths = self._config, self._paths.make()
        # The ports come first: a second agent must fail before it replaces the token of the first.
        clear = listeners.listen([config.ports.native])
        self._ending.callback(clear.close)
        secure = listeners.listen(config.servisign.ports)
        self._ending.callback(secure.close)
        self.native_port, self.tls_port, self.conflicts = clear.port, secure.port, secure.conflicts
        self.identity = tls.ensure(paths.tls)

        consents = Consents(self._interaction, Answers(paths.answers), config)
        audit = AuditLog(paths.audit, config.audit)
        operations = Operations(self._service, self._interaction, consents, audit, config)
        await self._ending.enter_async_context(operations)
        native = NativeApi(Backend(operations, self._simulated))
        servisign = ServiSign(operations, config) if config.servisign.enabled else None
        if servisign is not None:
            self._ending.callback(servisign.close)
        site = Site(
            config.origins,
            token.create(paths.token),
            native,
            dialect=servisign,
            refusal=refusal(),
            refused=lambda origin: self._tell(consents.tell_refused(origin)),
        )
        self._ending.push_async_callback(self._forget_notices)
        await self._listen(site, clear, secure)
        self._ending.push_async_callback(native.close)  # first of all: pages are told before they are cut off
        self._warn()

    async def _listen(self, site: Site, clear: Listeners, secure: Listeners) -> None:
        from agent.policy import Listener
        from agent.server import pages, serving

        static = frozenset(pages.static())
        own_ports = frozenset(((clear.port, False), (secure.port, True)))
        for taken, context in ((clear, None), (secure, self.identity.context())):
            listener = Listener(taken.port, context is not None, static, own_ports)
            runner = await serving.serve(site, taken, listener, context)
            self._ending.push_async_callback(runner.cleanup)

    def _warn(self) -> None:
        """Tell the person what keeps portals from working although this program runs."""
        for conflict in self.conflicts:
            holder = conflict.holder or "unknown"
            self._tell(
                self._interaction.notify(
                    f"連接埠 {conflict.port} 已被另一個程式（{conflict.holder or '不明'}）使用，"
                    "入口網站可能會連到那個程式。請關閉它，再重新啟動本程式。",
                    f"Port {conflict.port} is held by another program ({holder}); portals may reach it."
                    " Close it and start this program again.",
                )
            )
        if self.identity.fresh:
            self._tell(
                self._interaction.notify(
                    f"本機的 TLS 憑證是新的。請把 {self.identity.ca} 加入瀏覽器信任的憑證授權單位。",
                    "The TLS certificate of this machine is new."
                    f" Add {self.identity.ca} to the authorities that your browser trusts.",
                )
            )

    def _tell(self, notice: Coroutine[None, None, None]) -> None:
        """Tell the person something, without anybody waiting for the window."""
        task = asyncio.create_task(notice)
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _forget_notices(self) -> None:
        for task in tuple(self._notices):
            task.cancel()
        await asyncio.gather(*self._notices, return_exceptions=True)


async def serve(
    config: Config,
    service: Service,
    interaction: Interaction,
    paths: Paths,
    *,
    simulated: bool = False,
    ready: Callable[[Daemon], None] | None = None,
) -> None:
    """Run a daemon until SIGINT or SIGTERM.

    Args:
        config: the configuration.
        service: the card readers.
        interaction: how the person is asked.
        paths: the agent's folders.
        simulated: whether the readers of `service` are simulated ones.
        ready: called once, when the daemon answers.

    Raises:
        AgentError: `port.taken` or `token.unreadable`.
        OSError: the agent's folder cannot be written.
    """
    ending = asyncio.Event()
    with _on_signals(ending.set):
        async with Daemon(config, service, interaction, paths, simulated=simulated) as daemon:
            log.info("listening on %d and, with TLS, on %d", daemon.native_port, daemon.tls_port)
            if ready is not None:
                ready(daemon)
            await ending.wait()


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
