"""Signatures in the words of the native API: one at a time, or many in a session that the person opened."""

from __future__ import annotations

import asyncio

from msgspec import UNSET

from agent.errors import AgentError, ErrorId
from agent.native import jsonrpc, messages
from agent.native.context import NativeCaller, NativeServices
from agent.native.conversion import card_of
from agent.native.messages import NoParams, SignatureChoice, given
from agent.operations import SigningSession
from agent.vocabulary import SESSION_END_WORDS, SessionEnd
from hca_card.model import KeyUse
from signing.cms.build import CmsForm
from signing.formats import Form, Level, SignatureFormat
from signing.formats.choice import Options, form_for, highest_level
from signing.hashes import Hash


async def sign(
    services: NativeServices, caller: NativeCaller, params: messages.SignParams
) -> messages.SignatureResult:
    """Sign a document, or a bare digest where that is allowed."""
    document, hash_ = given(params.document), Hash(params.hash)
    if (document is None) == (params.digest is UNSET):
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="exactly one of document and digest")
    use, card = KeyUse(params.key), card_of(params)
    if params.format == "pkcs1" or (params.format == "cms" and document is not None):
        result = await services.operations.sign(
            caller,
            hash_,
            document=document,
            digest=given(params.digest),
            use=use,
            cms=cms_of(params),
            name=params.name,
            **card,
        )
        return messages.SignatureResult(result.signature, result.certificate, params.format, params.hash)
    if document is None:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} is made over a document")
    form, level = await form_of(params, document)
    done = await services.operations.sign_document(
        caller, form, document, hash=hash_, level=level, use=use, name=params.name, **card
    )
    return messages.SignatureResult(
        done.document, done.certificate, params.format, params.hash, level=params.level
    )


async def open_session(
    services: NativeServices, caller: NativeCaller, params: messages.SessionOpenParams
) -> messages.SessionOpened:
    """Have the person agree to many signatures with one PIN."""
    minutes = given(params.minutes)
    session = await services.operations.open_session(
        caller,
        most=given(params.signatures),
        seconds=None if minutes is None else minutes * 60,
        **card_of(params),
    )
    session.on_end(lambda why: _tell_end(session, why))
    return messages.SessionOpened(session.left, int(session.seconds_left), session.id, session.certificate)


async def sign_in_session(
    services: NativeServices, caller: NativeCaller, params: messages.SessionSignParams
) -> messages.SessionSignature:
    """Sign a document in a session that is open."""
    session, document = services.operations.sessions.find(caller, params.session), params.document
    hash_ = Hash(params.hash)
    if params.format in ("pkcs1", "cms"):
        result = await session.sign_value(document, hash=hash_, cms=cms_of(params), name=params.name)
        return messages.SessionSignature(
            result.signature, result.certificate, params.format, params.hash, left=session.left
        )
    form, level = await form_of(params, document)
    done = await session.sign(form, document, hash=hash_, level=level, name=params.name)
    return messages.SessionSignature(
        done.document,
        done.certificate,
        params.format,
        params.hash,
        level=params.level,
        left=session.left,
    )


async def session_status(
    services: NativeServices, caller: NativeCaller, params: messages.SessionParams
) -> messages.SessionStatus:
    """Say how a session stands."""
    session = services.operations.sessions.find(caller, params.session)
    return messages.SessionStatus(session.left, int(session.seconds_left))


async def close_session(
    services: NativeServices, caller: NativeCaller, params: messages.SessionParams
) -> NoParams:
    """End a session."""
    services.operations.sessions.find(caller, params.session).end(SessionEnd.CLOSED)
    return NoParams()


async def list_sessions(
    services: NativeServices, _caller: NativeCaller, _params: NoParams
) -> messages.OpenSessions:
    """List the sessions that are open."""
    return messages.OpenSessions(
        tuple(
            messages.OpenSession(each.left, int(each.seconds_left), each.number, each.origin)
            for each in services.operations.sessions.open
        )
    )


async def stop_session(
    services: NativeServices, _caller: NativeCaller, params: messages.SessionStopParams
) -> NoParams:
    """Stop a session at once; one that has ended already stays as it is."""
    services.operations.sessions.stop(params.number)
    return NoParams()


def _tell_end(session: SigningSession, why: SessionEnd) -> None:
    """Tell the page that has the session now, if it is there."""
    if isinstance(session.holder, NativeCaller):
        ended = messages.SessionEnded(*SESSION_END_WORDS[why], session=session.id, reason=why)
        session.holder.notify([jsonrpc.notification("session.ended", ended)])


def cms_of(params: SignatureChoice) -> CmsForm | None:
    """Return the plain CMS that the parameters describe; None for the bare signature value.

    Raises:
        AgentError: `request.parameters`: these have no such option.
    """
    chosen = (params.reason, params.field, params.page, params.over)
    if any(chosen) or params.content is not UNSET or Level(params.level) is not Level.B_B:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} has no such option")
    return CmsForm(detached=bool(given(params.detached))) if params.format == "cms" else None


async def form_of(params: SignatureChoice, document: bytes) -> tuple[Form, Level]:
    """Return the form and the level that the parameters describe.

    Raises:
        AgentError: `request.parameters`: the format has no such option or level.
    """
    options = Options(
        detached=given(params.detached),
        over=params.over,
        content=given(params.content),
        name=params.name,
        reason=params.reason,
        field=params.field,
        page=params.page,
    )
    level = Level(params.level)
    try:
        form = await asyncio.to_thread(form_for, SignatureFormat(params.format), document, options)
    except ValueError as error:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=str(error)) from error
    if not highest_level(form.format).reaches(level):
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} has no level {level}")
    return form, level
