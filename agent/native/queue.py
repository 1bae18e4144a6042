"""The record queue, as local programs ask for it; pages are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from agent.errors import AgentError, ErrorId
from agent.masking import mask_card, mask_id
from agent.native import queue_messages as messages
from agent.native.context import NativeCaller, NativeServices
from agent.native.messages import given
from signing.formats import Level, SignatureFormat

if TYPE_CHECKING:
    from agent.queue import Record, RecordQueue


def _queue(services: NativeServices) -> RecordQueue:
    """Return the queue.

    Raises:
        AgentError: queue.disabled.
    """
    if services.queue is None:
        raise AgentError(ErrorId.QUEUE_DISABLED)
    return services.queue


async def add(
    services: NativeServices, _caller: NativeCaller, params: messages.QueueAddParams
) -> messages.QueueRecord:
    """Take in a record."""
    from agent.queue import Order

    queue, wanted = _queue(services), given(params.format)
    order = Order(
        params.name,
        given(params.signer) or "",
        None if wanted is None else SignatureFormat(wanted),
        Level(params.level),
        params.reason,
        f"program:{params.key}" if params.key else "",
    )
    return record_message(await queue.add(order, params.document))


async def list_(
    services: NativeServices, _caller: NativeCaller, params: messages.QueueListParams
) -> messages.QueueList:
    """List records."""
    from agent.queue import RecordState

    queue = _queue(services)
    states = tuple(RecordState(state) for state in params.states)
    records = await queue.page(params.after, params.limit, states)
    counts = await queue.count()
    return messages.QueueList(
        tuple(record_message(each) for each in records),
        waiting=counts.waiting,
        owed=counts.owed,
        overdue=counts.overdue,
        failed=counts.failed,
        left=len(queue.left),
    )


async def result(
    services: NativeServices, _caller: NativeCaller, params: messages.QueueResultParams
) -> messages.QueueResult:
    """Give a record's content."""
    record, content = await _queue(services).content(params.record)
    return messages.QueueResult(record_message(record), content)


async def sign(
    services: NativeServices, _caller: NativeCaller, params: messages.QueueSignParams
) -> messages.QueueSession:
    """Have the person open a session, in which what waits is signed."""
    minutes = given(params.minutes)
    session = await _queue(services).open(
        institution=params.institution,
        reader=given(params.reader),
        most=given(params.signatures),
        seconds=None if minutes is None else int(timedelta(minutes=minutes).total_seconds()),
    )
    return messages.QueueSession(session.number, session.terms.most, session.terms.seconds)


def record_message(record: Record, *, full: bool = False) -> messages.QueueRecord:
    """Return a record as it is told; numbers of people and cards are masked unless `full`."""
    return messages.QueueRecord(
        record=record.number,
        name=record.name,
        size=record.size,
        sha256=record.digest,
        signer=record.signer if full else mask_id(record.signer),
        format=cast("messages.RecordFormat", record.format.value),
        level=record.level.value,
        state=record.state.value,
        received=record.received,
        due=record.due,
        error=record.error,
        file=record.result,
        delivered=bool(record.result) and record.delivered,
        signatures=tuple(
            messages.QueueSignature(
                each.kind.value,
                each.card if full else mask_card(each.card),
                each.certificate,
                each.time,
                each.reason,
            )
            for each in record.signatures
        ),
    )
