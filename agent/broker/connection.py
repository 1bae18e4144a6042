"""The broker: reached with TLS, known by its authority, and reached again whenever it was away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from agent.broker.credentials import Credentials, read_credentials
from agent.config import BrokerSettings
from agent.errors import AgentError, ErrorId

REQUEST_SECONDS: Final = 5.0
LISTEN_SECONDS: Final = 5.0
"""How long one request for messages waits for one; a broker that was away is asked again after so long."""
PAUSE: Final = 1
ACK_SECONDS: Final = 10.0
"""After so long without a word from a worker, the broker gives its jobs out again."""

_DAY: Final = 86_400
JOB_DAYS: Final = 3
RESULT_DAYS: Final = 7
_BYTES_MAX: Final = 4 << 30
# https://github.com/nats-io/nats-server/blob/main/server/errors.json
_WRONG_LAST_SEQUENCE: Final = 10071
_FULL: Final = frozenset((10047, 10023, 10077))
_AWAY: Final = frozenset((ErrorId.BROKER_UNREACHABLE, ErrorId.BROKER_FULL))

T = TypeVar("T")


class _Client(Client):
    """A client that never goes on in the clear where TLS was asked for, whatever the server says."""

    secure = False
    leaving = False
    """Whether we end the connection ourselves."""
    denials = 0
    """How often the server said that something may not be done: it gives no other answer to that."""
    denied = ""
    """What that was last."""

    @property
    def gone(self) -> bool:
        """Whether it will not connect again: the server refused us, or nats-py has given up trying."""
        trying = self._reconnection_task
        return bool(self.is_closed or (self.is_reconnecting and trying is not None and trying.done()))

    def _connect_command(self) -> bytes:
        # The last thing before anything of ours is sent: credentials are in it. nats-py itself goes on in the
        # clear where a server (or who stands in front of it) does not demand TLS.
        if self.secure and not self._server_info.get("tls_required"):
            raise NatsError("the broker offers no TLS")
        command: bytes = super()._connect_command()
        return command


class Broker:
    """What submitters and workers do with the broker; `open_broker` makes one.

    Every method may raise AgentError: broker.unreachable (it may be back soon), broker.full, broker.refused,
    broker.unusable.
    """

    def __init__(self, client: _Client, settings: BrokerSettings) -> None:
        self._client = client
        self._stream: JetStreamContext = client.jetstream(timeout=REQUEST_SECONDS)
        self._prefix = settings.prefix
        self._jobs = f"{settings.prefix}-jobs"
        self._results = f"{settings.prefix}-results"

    @property
    def closed(self) -> bool:
        """Whether it will not be reached again: it refused us."""
        return self._client.gone

    @property
    def largest(self) -> int:
        """Bytes that one message may have."""
        return int(self._client.max_payload)

    async def prepare(self) -> None:
        """Make the two streams where they are missing, or see that they are there.

        Jobs stay until a worker has said that they are done; results replace each other, one for an item.
        """
        await self._ensure(
            StreamConfig(
                name=self._jobs,
                subjects=[f"{self._prefix}.jobs.*.*"],
                retention=RetentionPolicy.WORK_QUEUE,
                discard=DiscardPolicy.NEW,
                max_age=JOB_DAYS * _DAY,
                max_bytes=_BYTES_MAX,
                storage=StorageType.FILE,
                duplicate_window=120,
            )
        )
        await self._ensure(
            StreamConfig(
                name=self._results,
                subjects=[f"{self._prefix}.results.*.*"],
                retention=RetentionPolicy.LIMITS,
                discard=DiscardPolicy.NEW,
                max_msgs_per_subject=1,
                max_age=RESULT_DAYS * _DAY,
                max_bytes=_BYTES_MAX,
                storage=StorageType.FILE,
                duplicate_window=120,
            )
        )

    async def _ensure(self, config: StreamConfig) -> None:
        with _worded(self._client):
            try:
                await self._stream.stream_info(str(config.name))
            except NotFoundError:
                await self._stream.add_stream(config)

    async def put_job(self, card: str, batch: str, message_id: str, job: bytes) -> None:
        """Give a job to the broker; again under the same `message_id`, it is still one."""
        with _worded(self._client):
            await self._stream.publish(
                f"{self._prefix}.jobs.{card}.{batch}",
                job,
                stream=self._jobs,
                headers={"Nats-Msg-Id": message_id},
            )

    async def withdraw(self, batch: str) -> None:
        """Take back the jobs of a batch that no worker has yet."""
        with _worded(self._client):
            await self._stream.purge_stream(self._jobs, subject=f"{self._prefix}.jobs.*.{batch}")

    async def jobs(self, card: str, most: int) -> Messages:
        """Return the jobs for a card as they come; of all that ask for them, each goes to one at a time.

        Args:
            card: `messages.card_key`.
            most: how many of them may be under way at once, whoever has them.
        """
        return await self._messages(
            self._jobs,
            f"{self._prefix}.jobs.{card}.*",
            ConsumerConfig(
                durable_name=f"card-{card}",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=most,
                max_deliver=-1,
            ),
        )

    async def waiting(self, card: str) -> int | None:
        """Return how many ask for a job of a card just now; None where nobody ever asked for any."""
        with _worded(self._client):
            try:
                info = await self._stream.consumer_info(self._jobs, f"card-{card}")
            except NotFoundError:
                return None
            return int(info.num_waiting or 0)

    async def results(self, batch: str) -> Messages:
        """Return what becomes of the items of a batch, from the first on, until each was acknowledged."""
        return await self._messages(
            self._results,
            f"{self._prefix}.results.{batch}.*",
            ConsumerConfig(
                durable_name=f"batch-{batch}",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=6 * ACK_SECONDS,
                max_deliver=-1,
                inactive_threshold=RESULT_DAYS * _DAY,
            ),
        )

    async def _messages(self, stream: str, subject: str, config: ConsumerConfig) -> Messages:
        with _worded(self._client):
            name = str(config.durable_name)
            try:
                await self._stream.consumer_info(stream, name)
            except NotFoundError:
                config.filter_subject = subject
                await self._stream.add_consumer(stream, config)
            return Messages(await self._stream.pull_subscribe_bind(name, stream), self._client, name, stream)

    async def forget(self, messages: Messages) -> None:
        """Delete what the broker knew of somebody who listened, who will not come again."""
        with _worded(self._client):
            await self._stream.delete_consumer(messages.stream, messages.name)

    async def result(self, batch: str, item: str) -> tuple[int, bytes]:
        """Return the number and the content of what stands for an item now; (0, b"") where nothing does."""
        with _worded(self._client):
            try:
                found = await self._stream.get_last_msg(self._results, self._result(batch, item))
            except NotFoundError:
                return 0, b""
            return int(found.seq or 0), found.data or b""

    async def put_result(self, batch: str, item: str, content: bytes, *, after: int) -> bool:
        """Store what stands for an item, if `after` is still the number of what stood there before.

        Returns:
            Whether it was stored; if not, somebody else was faster, and what they stored holds.
        """
        try:
            with _worded(self._client):
                await self._stream.publish(
                    self._result(batch, item),
                    content,
                    stream=self._results,
                    headers={"Nats-Expected-Last-Subject-Sequence": str(after)},
                )
        except _OutrunError:
            return False
        return True

    def _result(self, batch: str, item: str) -> str:
        return f"{self._prefix}.results.{batch}.{item}"


class Messages:
    """Messages of a stream that one asks for one by one, so that nobody is given more than they can do.

    Of several who ask, one asks the broker at a time: while there is nothing, one question is enough.
    """

    def __init__(
        self, subscription: JetStreamContext.PullSubscription, client: _Client, name: str, stream: str
    ) -> None:
        self._subscription = subscription
        self._client = client
        self._asking = asyncio.Lock()
        self.name: Final = name
        self.stream: Final = stream

    async def next(self) -> Message | None:
        """Return the next message; None where none came for a while, or the broker is away."""
        try:
            async with self._asking:
                with _worded(self._client):
                    [found] = await self._subscription.fetch(1, timeout=LISTEN_SECONDS)
        except AgentError as error:
            if error.error_id is ErrorId.BROKER_UNREACHABLE and not self._client.gone:
                return None
            raise
        return Message(found)

    async def close(self) -> None:
        """Ask for no more: what was asked for and not answered so far is given to the next who asks."""
        with suppress(NatsError):
            await self._subscription.unsubscribe()


class Message:
    """One message; whoever has it says in the end what is to become of it.

    Attributes:
        data: what it says.
        subject: the words between the dots.
        deliveries: how often it was given out, this time included.
        place: its number in the stream.
    """

    def __init__(self, found: Any) -> None:
        self._found = found
        self.data: Final[bytes] = found.data
        self.subject: Final[list[str]] = found.subject.split(".")
        self.deliveries: Final[int] = found.metadata.num_delivered
        self.place: Final[int] = found.metadata.sequence.stream

    async def done(self) -> None:
        """Say that it is never to be given out again; a broker that does not hear it will do so."""
        with _worded():
            await self._found.ack_sync(timeout=REQUEST_SECONDS)

    async def again(self, seconds: float = 0) -> None:
        """Give it back, to be given out again, after so many seconds."""
        with _worded():
            await self._found.nak(delay=seconds)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Run the body, and tell the broker meanwhile that somebody is at work."""
        over = asyncio.Event()

        async def say_so() -> None:
            # An event, for nats-py swallows cancellations.
            while not over.is_set():
                with suppress(NatsError):  # it is away; whatever it gives out again finds the stored result
                    await self._found.in_progress()
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), ACK_SECONDS / 3)

        task = asyncio.create_task(say_so())
        try:
            yield
        finally:
            over.set()
            await task


async def lasting(broker: Broker, call: Callable[[], Awaitable[T]]) -> T:
    """Return what `call` does, as soon as the broker is there and has room, however long that takes."""
    while True:
        try:
            return await call()
        except AgentError as error:
            if error.error_id not in _AWAY or broker.closed:
                raise
        await asyncio.sleep(PAUSE)


class _OutrunError(Exception):
    """What stood for an item is not what stood there before."""


@asynccontextmanager
async def open_broker(
    settings: BrokerSettings, name: str, heard: Callable[[bool], None] = lambda _there: None
) -> AsyncIterator[Broker]:
    """Run the body with the broker.

    Args:
        settings: where it is, and who we are.
        name: what we are called in the broker's own lists.
        heard: called when the broker is lost (False) and when it is there again (True).

    Raises:
        AgentError: broker.unset, broker.credentials, broker.insecure; as for `Broker`.
    """
    if not settings.servers:
        raise AgentError(ErrorId.BROKER_UNSET)
    shown = read_credentials(Path(settings.credentials)) if settings.credentials else Credentials()
    client, troubles = _Client(), asyncio.Queue[Exception]()
    client.secure = any(urlsplit(server).scheme == "tls" for server in settings.servers)
    client._public_nkey = shown.public_key

    async def lost() -> None:
        if not client.leaving:
            heard(False)

    async def found() -> None:
        heard(True)

    async def note(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            client.denials += 1
            client.denied = str(error)
        if not connecting.done():  # later ones are no news: it tries again by itself
            troubles.put_nowait(error)

    connecting = asyncio.create_task(
        client.connect(
            list(settings.servers),
            name=name,
            error_cb=note,
            disconnected_cb=lost,
            reconnected_cb=found,
            max_reconnect_attempts=-1,
            reconnect_time_wait=PAUSE,
            ping_interval=20,
            inbox_prefix=shown.inbox,
            tls=_tls(settings) if client.secure else None,
            user=shown.user,
            password=shown.password,
            signature_cb=shown.sign,
            user_jwt_cb=None if shown.jwt is None else shown.jwt.encode,
        )
    )
    try:
        await _connected(connecting, troubles, 2 * len(settings.servers))
        yield Broker(client, settings)
    finally:
        # What was asked to be sent is sent first, but an absent broker is not waited for.
        client.leaving = True
        connecting.cancel()
        with _quiet():
            async with asyncio.timeout(1):
                await client.flush()
        await client.close()


async def _connected(
    connecting: asyncio.Task[None], troubles: asyncio.Queue[Exception], patience: int
) -> None:
    """Return when the first connection stands: nats-py itself would try for ever.

    Args:
        connecting: nats-py at work.
        troubles: what it met.
        patience: after how many of them nobody seems to be there. A refusal is one at once.

    Raises:
        AgentError: broker.unreachable, broker.refused, broker.insecure.
    """
    for turn in range(patience):
        trouble = asyncio.create_task(troubles.get())
        await asyncio.wait((connecting, trouble), return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            trouble.cancel()
            with _worded():
                return connecting.result()
        worded = _worded_trouble(trouble.result())
        if turn + 1 == patience or worded.error_id is not ErrorId.BROKER_UNREACHABLE:
            raise worded
    raise AssertionError("a broker has at least one address")


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    """Return how the broker's certificate is checked: by the authority named, or by the system's.

    Raises:
        AgentError: broker.credentials: the authority's file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{settings.ca}: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextmanager
def _quiet() -> Iterator[None]:
    try:
        yield
    except (TimeoutError, NatsError, OSError):
        return


@contextmanager
def _worded(client: _Client | None = None) -> Iterator[None]:
    """Run the body; what NATS raises is an error of ours."""
    denials = 0 if client is None else client.denials
    try:
        yield
    except APIError as error:
        if error.err_code == _WRONG_LAST_SEQUENCE:
            raise _OutrunError from None
        if error.err_code in _FULL:
            raise AgentError(ErrorId.BROKER_FULL, detail=str(error.description)) from None
        if (error.code or 0) >= 500 or (error.code or 0) == 408:
            raise AgentError(ErrorId.BROKER_UNREACHABLE, detail=str(error.description)) from None
        raise AgentError(ErrorId.BROKER_UNUSABLE, detail=str(error.description)) from None
    except NoStreamResponseError:
        raise AgentError(ErrorId.BROKER_UNREACHABLE, detail="JetStream does not answer") from None
    except (TimeoutError, OSError, NatsError) as error:
        if client is not None and client.denials > denials:
            raise AgentError(ErrorId.BROKER_REFUSED, detail=client.denied) from None
        raise _worded_trouble(error) from None


def _worded_trouble(error: Exception) -> AgentError:
    """Return the error of ours that stands for what went wrong with the connection."""
    words = str(error) or type(error).__name__
    low = words.lower()
    if "authorization" in low or "authentication" in low or "permissions violation" in low:
        return AgentError(ErrorId.BROKER_REFUSED, detail=words)
    if isinstance(error, ssl.SSLError) or "tls" in low:
        return AgentError(ErrorId.BROKER_INSECURE, detail=words)
    return AgentError(ErrorId.BROKER_UNREACHABLE, detail=words)
