"""The methods of the native API: what each takes, what it gives, and the operation it asks for.

This is a dialect like any other: it translates. Who may do what, and every exchange with card and person, is
the operations' business.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from agent import __version__
from agent.errors import AgentError, ErrorId
from agent.native import (
    batch,
    conversion,
    jsonrpc,
    messages,
    queue,
    queue_messages,
    selftest,
    selftest_messages,
    signing,
)
from agent.native.context import NativeCaller, NativeServices
from agent.native.conversion import card_of
from agent.native.limits import AGENT_NAME, API
from agent.native.messages import CardParams, NativeMessage, NoParams, given
from agent.vocabulary import Verb
from signing.cms.envelope import read_envelope
from signing.errors import SignatureFormatError, SignatureInvalidError
from signing.hashes import Hash


@dataclass(frozen=True, slots=True)
class NativeMethod:
    """One method.

    Attributes:
        summary: one sentence for the published schema.
        takes: the type of its parameters.
        gives: the type of its result.
        run: calls the operation.
        own_page: whether the agent's own page may ask for it.
        large: whether a request may be larger than `jsonrpc.SMALL_BYTES_MAX`.
        programs: whether it is for local programs alone, and every page is refused.
    """

    summary: str
    takes: type[NativeMessage]
    gives: type[NativeMessage]
    run: Callable[[NativeServices, NativeCaller, Any], Awaitable[NativeMessage]]
    own_page: bool = False
    large: bool = False
    programs: bool = False

    def refuses(self, caller: NativeCaller) -> bool:
        """Return whether it is not for such a caller."""
        return self.programs and (caller.origin is not None or bool(caller.page))


async def answer(
    services: NativeServices, caller: NativeCaller, request: jsonrpc.Request, size: int
) -> NativeMessage:
    """Return the result of one request of `size` bytes.

    Raises:
        AgentError: `request.unknown_method`, `request.too_large`, `origin.refused`, or what is wrong with its
            parameters.
        PcscError, CardError, SigningError: what the operation raised.
    """
    method = METHODS.get(request.method) or (OF_OWN_PAGE.get(request.method) if caller.page else None)
    if method is None or (caller.page and not method.own_page):
        raise AgentError(ErrorId.REQUEST_UNKNOWN_METHOD)
    if method.refuses(caller):
        raise AgentError(ErrorId.ORIGIN_REFUSED)
    if size > jsonrpc.SMALL_BYTES_MAX and not method.large:
        raise AgentError(ErrorId.REQUEST_TOO_LARGE)
    return await method.run(services, caller, jsonrpc.decode(request.params, method.takes))


async def _hello(services: NativeServices, caller: NativeCaller, _params: NoParams) -> messages.AgentHello:
    known = tuple(name for name, method in METHODS.items() if not method.refuses(caller))
    return messages.AgentHello(AGENT_NAME, __version__, API, known, services.simulated)


async def _readers(services: NativeServices, caller: NativeCaller, _params: NoParams) -> messages.ReaderList:
    return conversion.readers(await services.operations.readers(caller))


async def _read_card(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.CardDescription:
    return conversion.card(await services.operations.card(caller, **card_of(params)))


async def _certificates(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.CertificateList:
    found = await services.operations.certificates(caller, **card_of(params))
    return messages.CertificateList(tuple(conversion.certificate(each) for each in found))


async def _pin_status(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.PinState:
    return conversion.pin(await services.operations.pin_status(caller, **card_of(params)))


async def _change_pin(services: NativeServices, caller: NativeCaller, params: CardParams) -> NoParams:
    await services.operations.change_pin(caller, **card_of(params))
    return NoParams()


async def _unblock_pin(services: NativeServices, caller: NativeCaller, params: CardParams) -> NoParams:
    await services.operations.unblock_pin(caller, **card_of(params))
    return NoParams()


async def _authenticate(
    services: NativeServices, caller: NativeCaller, params: messages.AuthenticateParams
) -> messages.AuthenticateResult:
    if caller.origin is None:
        # A token is made for the origin that a browser vouches for; a program cannot choose one.
        raise AgentError(ErrorId.ORIGIN_REFUSED)
    return conversion.login_token(
        await services.operations.authenticate(caller, params.nonce, origin=caller.origin, **card_of(params))
    )


async def _verify(
    services: NativeServices, caller: NativeCaller, params: messages.VerifyParams
) -> messages.VerifyResult:
    # A stranger's page is told what this machine knows, but may not have it ask authorities.
    known = caller.origin is None or services.operations.allowed(caller, Verb.READ)
    report = await services.verifier.verify(
        params.document,
        given(params.signature),
        certificate=given(params.certificate),
        algorithm=Hash(params.hash),
        name=params.name,
        ask=known,
    )
    if report.signatures and all(each.unchanged for each in report.signatures):
        return messages.VerifyResult(valid=True, report=report)
    error = SignatureInvalidError() if report.signatures else SignatureFormatError()
    return messages.VerifyResult(valid=False, report=report, error=jsonrpc.error_data(error))


async def _encrypt(
    services: NativeServices, caller: NativeCaller, params: messages.EncryptParams
) -> messages.EncryptResult:
    certificate, several = given(params.certificate), given(params.certificates)
    if params.format == "pkcs1":
        if several is not None or not 0 < len(params.data) <= messages.BLOCK_BYTES_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="pkcs1 takes one block and one certificate")
        return messages.EncryptResult(
            await services.operations.encrypt(caller, params.data, certificate=certificate, **card_of(params))
        )
    if several is not None and certificate is not None:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="either certificate or certificates")
    one = () if certificate is None else (certificate,)
    return messages.EncryptResult(
        await services.operations.make_envelope(caller, params.data, several or one, **card_of(params))
    )


async def _decrypt(
    services: NativeServices, caller: NativeCaller, params: messages.DecryptParams
) -> messages.DecryptResult:
    operations, card = services.operations, card_of(params)
    if params.format == "pkcs1":
        if not 0 < len(params.cipher) <= messages.BLOCK_BYTES_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="pkcs1 takes one block")
        return messages.DecryptResult(await operations.decrypt(caller, params.cipher, **card))
    envelope = read_envelope(io.BytesIO(params.cipher))
    envelope.require_protected()
    plain = io.BytesIO()
    await operations.open_envelope(caller, envelope, plain, **card)
    return messages.DecryptResult(plain.getvalue())


async def _errand(
    services: NativeServices, _caller: NativeCaller, params: messages.ErrandParams
) -> messages.ErrandDone:
    return messages.ErrandDone(*await services.errands.run(params.errand))


OF_OWN_PAGE: Final = {
    "errand.run": NativeMethod(
        "Have something done for the person, who is asked in the agent's own window.",
        messages.ErrandParams,
        messages.ErrandDone,
        _errand,
        own_page=True,
    )
}
"""What the agent's own page alone can ask for; sites and local programs are told that there is none such."""

METHODS: Final[dict[str, NativeMethod]] = {
    "agent.hello": NativeMethod(
        "Who answers, and what it can do.", NoParams, messages.AgentHello, _hello, own_page=True
    ),
    "readers.list": NativeMethod(
        "The readers and whether a card is in them.", NoParams, messages.ReaderList, _readers
    ),
    "card.read": NativeMethod(
        "What a card says without its PIN.", CardParams, messages.CardDescription, _read_card
    ),
    "certificates.list": NativeMethod(
        "The certificates on a card.", CardParams, messages.CertificateList, _certificates
    ),
    "pin.status": NativeMethod("How a card's PIN stands.", CardParams, messages.PinState, _pin_status),
    "pin.change": NativeMethod(
        "Have the person change the PIN, in the agent's own window or on the reader's keypad.",
        CardParams,
        NoParams,
        _change_pin,
    ),
    "pin.unblock": NativeMethod(
        "Have the person set a new PIN with the PUK, in the agent's own window.",
        CardParams,
        NoParams,
        _unblock_pin,
    ),
    "authenticate": NativeMethod(
        "Log in: a token for this page's origin and the portal's nonce.",
        messages.AuthenticateParams,
        messages.AuthenticateResult,
        _authenticate,
    ),
    "sign": NativeMethod(
        "Sign a document.", messages.SignParams, messages.SignatureResult, signing.sign, large=True
    ),
    "session.open": NativeMethod(
        "Have the person agree to many signatures with one PIN, in the agent's own window.",
        messages.SessionOpenParams,
        messages.SessionOpened,
        signing.open_session,
    ),
    "session.sign": NativeMethod(
        "Sign a document in an open session.",
        messages.SessionSignParams,
        messages.SessionSignature,
        signing.sign_in_session,
        large=True,
    ),
    "session.status": NativeMethod(
        "How many signatures and how much time an open session has left.",
        messages.SessionParams,
        messages.SessionStatus,
        signing.session_status,
    ),
    "session.close": NativeMethod(
        "End a session; the agent forgets the PIN.", messages.SessionParams, NoParams, signing.close_session
    ),
    "session.list": NativeMethod(
        "The sessions that are open; local programs alone.",
        NoParams,
        messages.OpenSessions,
        signing.list_sessions,
        programs=True,
    ),
    "session.stop": NativeMethod(
        "Stop a session, as the person does in the icon's menu; local programs alone.",
        messages.SessionStopParams,
        NoParams,
        signing.stop_session,
        programs=True,
    ),
    "sign.batch": NativeMethod(
        "Sign many documents with one PIN, after the person agreed to the list of them.",
        messages.BatchParams,
        messages.BatchDone,
        batch.sign_batch,
        large=True,
    ),
    "batch.cancel": NativeMethod(
        "End a batch; what is signed stays signed.",
        messages.BatchCancelParams,
        NoParams,
        batch.cancel_batch,
    ),
    "verify": NativeMethod(
        "Say what the signatures of a document are worth.",
        messages.VerifyParams,
        messages.VerifyResult,
        _verify,
        own_page=True,
        large=True,
    ),
    "encrypt": NativeMethod(
        "Encrypt for a certificate.", messages.EncryptParams, messages.EncryptResult, _encrypt, large=True
    ),
    "decrypt": NativeMethod(
        "Decrypt with a card's key.", messages.DecryptParams, messages.DecryptResult, _decrypt, large=True
    ),
    "queue.add": NativeMethod(
        "Have a record signed in time; local programs alone.",
        queue_messages.QueueAddParams,
        queue_messages.QueueRecord,
        queue.add,
        large=True,
        programs=True,
    ),
    "queue.list": NativeMethod(
        "Records and what became of them; local programs alone.",
        queue_messages.QueueListParams,
        queue_messages.QueueList,
        queue.list_,
        programs=True,
    ),
    "queue.result": NativeMethod(
        "A record's content as it is now; local programs alone.",
        queue_messages.QueueResultParams,
        queue_messages.QueueResult,
        queue.result,
        programs=True,
    ),
    "queue.sign": NativeMethod(
        "Have the person sign what waits, with one PIN; local programs alone.",
        queue_messages.QueueSignParams,
        queue_messages.QueueSession,
        queue.sign,
        programs=True,
    ),
    "selftest.run": NativeMethod(
        "Find out what works; each row is told as it finishes.",
        selftest_messages.SelfTestParams,
        selftest_messages.SelfTestDone,
        selftest.run,
        own_page=True,
    ),
    "selftest.report": NativeMethod(
        "The report on this connection's last self-test.",
        selftest_messages.SelfTestReportParams,
        selftest_messages.SelfTestFiles,
        selftest.report,
        own_page=True,
    ),
}
