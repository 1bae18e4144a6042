"""A declared batch in the words of the native API: documents in one request, results as they are made."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent.batch.choice import Signed, Signs
from agent.batch.engine import Engine, Outcome, Progress, Summary
from agent.errors import AgentError, ErrorId, error_id, where
from agent.interaction import ItemShown
from agent.native import jsonrpc, messages
from agent.native.context import NativeCaller, NativeServices
from agent.native.conversion import card_of
from agent.native.messages import BatchDocument, NoParams
from agent.native.signing import cms_of, form_of
from agent.operations import SigningSession
from agent.vocabulary import SessionEnd
from hca_card.big5 import printable
from signing.hashes import Hash

log = logging.getLogger(__name__)

_PROGRESS_SECONDS: Final = 0.25


async def sign_batch(
    services: NativeServices, caller: NativeCaller, params: messages.BatchParams
) -> messages.BatchDone:
    """Sign all of the documents, sending each result as it is made."""
    batch = _Documents(caller, params)
    with _cancellable(caller, params.batch) as cancellable:
        shown = await batch.shown()
        session = await cancellable.unless_cancelled(
            services.operations.open_session(caller, items=shown, **card_of(params))
        )
        try:
            engine = Engine(batch, len(params.items), batch.note)
            cancellable.begun(engine)
            summary = await engine.run([session])
        finally:
            session.end(SessionEnd.CLOSED)
    await batch.send_progress()
    if summary.stopped is not None and error_id(summary.stopped) == ErrorId.INTERNAL:
        log.error("sign.batch failed: %s", where(summary.stopped))
    return _done(summary)


async def cancel_batch(
    _services: NativeServices, caller: NativeCaller, params: messages.BatchCancelParams
) -> NoParams:
    """End a batch of this connection; one that has ended already stays so."""
    cancel = caller.memory.batches.get(params.batch)
    if cancel is not None:
        cancel()
    return NoParams()


def _done(summary: Summary) -> messages.BatchDone:
    stopped = summary.stopped
    why = {} if stopped is None else {"stopped": jsonrpc.error_data(stopped)}
    return messages.BatchDone(
        done=summary.done, failed=summary.failed, left=summary.left, seconds=round(summary.seconds, 3), **why
    )


class _Cancellable:
    """What a batch is doing, so that it can be ended: asking the person, or signing."""

    def __init__(self) -> None:
        self._opening: asyncio.Task[SigningSession] | None = None
        self._engine: Engine[_Item] | None = None
        self._cancelled = False

    async def unless_cancelled(self, opening: Coroutine[Any, Any, SigningSession]) -> SigningSession:
        """Return the session, or end the question where the batch is cancelled."""
        self._opening = asyncio.create_task(opening)
        if self._cancelled:
            self._opening.cancel()
        try:
            return await self._opening
        except asyncio.CancelledError:
            if not self._cancelled:  # the connection is gone
                raise
            raise AgentError(ErrorId.BATCH_CANCELLED) from None
        finally:
            self._opening.cancel()

    def begun(self, engine: Engine[_Item]) -> None:
        """Sign from now on."""
        self._engine = engine
        if self._cancelled:
            engine.stop()

    def cancel(self) -> None:
        """End it, whatever it is doing."""
        self._cancelled = True
        if self._engine is not None:
            self._engine.stop()
        elif self._opening is not None:
            self._opening.cancel()


@contextmanager
def _cancellable(caller: NativeCaller, name: str) -> Iterator[_Cancellable]:
    """Run the body with the batch known by its name.

    Raises:
        AgentError: request.parameters: another one has it.
    """
    batches, made = caller.memory.batches, _Cancellable()
    if name in batches:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="a batch of that name is under way")
    batches[name] = made.cancel
    try:
        yield made
    finally:
        del batches[name]


@dataclass(frozen=True, slots=True)
class _Item:
    """One document and its place, from 1."""

    number: int
    what: BatchDocument

    @property
    def kind(self) -> str:
        """What it takes to sign it."""
        return f"{self.what.format} {self.what.level}"


class _Documents:
    """The documents of one request, and where their results go.

    Args:
        caller: who asked.
        params: the request.
    """

    def __init__(self, caller: NativeCaller, params: messages.BatchParams) -> None:
        self._caller = caller
        self._name = params.batch
        self._items = params.items
        self._waiting = iter(enumerate(params.items, 1))
        self._progress: Progress | None = None
        self._sent_at = time.monotonic()

    async def shown(self) -> tuple[ItemShown, ...]:
        """Return the list for the person, once it is sure that each can be signed as it is asked.

        Raises:
            AgentError: request.parameters.
        """
        for number, each in enumerate(self._items):
            try:
                if each.format in ("pkcs1", "cms"):
                    cms_of(each)
                else:
                    await form_of(each, each.document)
            except AgentError as error:
                detail = f"item {number}: {error.facts.get('detail', '')}"
                raise AgentError(ErrorId(error.error_id), detail=detail) from error
        return await asyncio.to_thread(self._list)

    def _list(self) -> tuple[ItemShown, ...]:
        return tuple(
            ItemShown(
                printable(each.name) or f"#{number}",
                len(each.document),
                each.format,
                hashlib.sha256(each.document).digest(),
            )
            for number, each in enumerate(self._items, 1)
        )

    def note(self, _outcome: Outcome[_Item], progress: Progress) -> None:
        """Remember how far it is; it is told with the next result, a few times a second."""
        self._progress = progress

    async def next(self) -> _Item | None:
        """Return the next document; None after the last."""
        found = next(self._waiting, None)
        return None if found is None else _Item(*found)

    async def sign(self, item: _Item, session: Signs) -> Signed:
        """Return the document signed."""
        what, hash_ = item.what, Hash(item.what.hash)
        if what.format in ("pkcs1", "cms"):
            value = await session.sign_value(what.document, hash=hash_, cms=cms_of(what), name=what.name)
            return Signed(value.signature, value.certificate)
        form, level = await form_of(what, what.document)
        done = await session.sign(form, what.document, hash=hash_, level=level, name=what.name)
        return Signed(done.document, done.certificate)

    async def store(self, item: _Item, signed: Signed) -> None:
        """Send the result, waiting where the page does not read."""
        what = item.what
        plain = what.format in ("pkcs1", "cms")
        result = messages.SignatureResult(signed.content, signed.certificate, what.format, what.hash)
        if not plain:
            result = msgspec.structs.replace(result, level=what.level)
        await self._tell(item, result=result)

    async def failed(self, item: _Item, error: Exception) -> None:
        """Send the error."""
        await self._tell(item, error=jsonrpc.error_data(error))

    async def _tell(self, item: _Item, **became: Any) -> None:
        told = messages.BatchItem(batch=self._name, index=item.number - 1, **became)
        await self._caller.send(jsonrpc.notification("batch.item", told))
        if time.monotonic() - self._sent_at >= _PROGRESS_SECONDS:
            await self.send_progress()

    async def send_progress(self) -> None:
        """Send how far it is."""
        progress = self._progress
        if progress is None:
            return
        self._sent_at = time.monotonic()
        left = msgspec.UNSET if progress.seconds_left is None else round(progress.seconds_left, 1)
        told = messages.BatchProgress(
            batch=self._name,
            done=progress.done,
            failed=progress.failed,
            of=progress.of,
            rate=round(progress.rate, 2),
            seconds_left=left,
        )
        await self._caller.send(jsonrpc.notification("batch.progress", told))
