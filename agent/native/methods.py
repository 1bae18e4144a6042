"""The methods of the native API: what each takes, what it gives, and the operation it asks for.

This is a dialect like any other: it translates. Who may do what, and every exchange with card and person, is
the operations' business.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from msgspec import UNSET

from agent import __version__
from agent.errors import AgentError, ErrorId
from agent.native import conversion, jsonrpc, messages, selftest, selftest_messages
from agent.native.context import NativeCaller, NativeServices
from agent.native.messages import CardParams, NativeMessage, NoParams, given
from agent.vocabulary import Verb
from hca_card.model import CardKind, KeyUse
from signing.cms.build import CmsForm
from signing.cms.envelope import read_envelope
from signing.errors import SignatureFormatError, SignatureInvalidError
from signing.formats import Form, Level, SignatureFormat
from signing.formats.choice import Options, form_for, highest_level
from signing.hashes import Hash

AGENT_NAME: Final = "hca-agent"


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
    """

    summary: str
    takes: type[NativeMessage]
    gives: type[NativeMessage]
    run: Callable[[NativeServices, NativeCaller, Any], Awaitable[NativeMessage]]
    own_page: bool = False
    large: bool = False


class _CardChoice(TypedDict):
    reader: str | None
    kinds: tuple[CardKind, ...]


async def answer(
    services: NativeServices, caller: NativeCaller, request: jsonrpc.Request, size: int
) -> NativeMessage:
    """Return the result of one request of `size` bytes.

    Raises:
        AgentError: `request.unknown_method`, `request.too_large`, or what is wrong with its parameters.
        PcscError, CardError, SigningError: what the operation raised.
    """
    method = METHODS.get(request.method) or (OF_OWN_PAGE.get(request.method) if caller.page else None)
    if method is None or (caller.page and not method.own_page):
        raise AgentError(ErrorId.REQUEST_UNKNOWN_METHOD)
    if size > jsonrpc.SMALL_BYTES_MAX and not method.large:
        raise AgentError(ErrorId.REQUEST_TOO_LARGE)
    return await method.run(services, caller, jsonrpc.decode(request.params, method.takes))


def _card(params: CardParams) -> _CardChoice:
    """Return the card that the parameters name, as arguments of an operation."""
    kinds = () if params.card_kind is UNSET else tuple(CardKind(name) for name in params.card_kind)
    return {"reader": given(params.reader), "kinds": kinds}


async def _hello(services: NativeServices, _caller: NativeCaller, _params: NoParams) -> messages.AgentHello:
    return messages.AgentHello(AGENT_NAME, __version__, messages.API, tuple(METHODS), services.simulated)


async def _readers(services: NativeServices, caller: NativeCaller, _params: NoParams) -> messages.ReaderList:
    return conversion.readers(await services.operations.readers(caller))


async def _read_card(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.CardDescription:
    return conversion.card(await services.operations.card(caller, **_card(params)))


async def _certificates(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.CertificateList:
    found = await services.operations.certificates(caller, **_card(params))
    return messages.CertificateList(tuple(conversion.certificate(each) for each in found))


async def _pin_status(
    services: NativeServices, caller: NativeCaller, params: CardParams
) -> messages.PinState:
    return conversion.pin(await services.operations.pin_status(caller, **_card(params)))


async def _change_pin(services: NativeServices, caller: NativeCaller, params: CardParams) -> NoParams:
    await services.operations.change_pin(caller, **_card(params))
    return NoParams()


async def _unblock_pin(services: NativeServices, caller: NativeCaller, params: CardParams) -> NoParams:
    await services.operations.unblock_pin(caller, **_card(params))
    return NoParams()


async def _authenticate(
    services: NativeServices, caller: NativeCaller, params: messages.AuthenticateParams
) -> messages.AuthenticateResult:
    if caller.origin is None:
        # A token is made for the origin that a browser vouches for; a program cannot choose one.
        raise AgentError(ErrorId.ORIGIN_REFUSED)
    return conversion.login_token(
        await services.operations.authenticate(caller, params.nonce, origin=caller.origin, **_card(params))
    )


async def _sign(
    services: NativeServices, caller: NativeCaller, params: messages.SignParams
) -> messages.SignatureResult:
    document = given(params.document)
    if (document is None) == (params.digest is UNSET):
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="exactly one of document and digest")
    if params.format == "pkcs1" or (params.format == "cms" and document is not None):
        return await _sign_plainly(services, caller, params)
    if document is None:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} is made over a document")
    form, level = await asyncio.to_thread(_form, params, document), Level(params.level)
    if not highest_level(form.format).reaches(level):
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} has no level {level}")
    done = await services.operations.sign_document(
        caller,
        form,
        document,
        hash=Hash(params.hash),
        level=level,
        use=KeyUse(params.key),
        name=params.name,
        **_card(params),
    )
    return messages.SignatureResult(
        done.document, done.certificate, params.format, params.hash, level=params.level
    )


async def _sign_plainly(
    services: NativeServices, caller: NativeCaller, params: messages.SignParams
) -> messages.SignatureResult:
    """Make a signature value, or plain CMS."""
    chosen = (params.reason, params.field, params.page, params.over)
    if any(chosen) or params.content is not UNSET or Level(params.level) is not Level.B_B:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=f"{params.format} has no such option")
    result = await services.operations.sign(
        caller,
        Hash(params.hash),
        document=given(params.document),
        digest=given(params.digest),
        use=KeyUse(params.key),
        cms=CmsForm(detached=bool(given(params.detached))) if params.format == "cms" else None,
        name=params.name,
        **_card(params),
    )
    return messages.SignatureResult(result.signature, result.certificate, params.format, params.hash)


def _form(params: messages.SignParams, document: bytes) -> Form:
    """Return the form that the parameters describe.

    Raises:
        AgentError: `request.parameters`: the format has no such option.
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
    try:
        return form_for(SignatureFormat(params.format), document, options)
    except ValueError as error:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail=str(error)) from error


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
            await services.operations.encrypt(caller, params.data, certificate=certificate, **_card(params))
        )
    if several is not None and certificate is not None:
        raise AgentError(ErrorId.REQUEST_PARAMETERS, detail="either certificate or certificates")
    one = () if certificate is None else (certificate,)
    return messages.EncryptResult(
        await services.operations.make_envelope(caller, params.data, several or one, **_card(params))
    )


async def _decrypt(
    services: NativeServices, caller: NativeCaller, params: messages.DecryptParams
) -> messages.DecryptResult:
    operations, card = services.operations, _card(params)
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
        "Sign a document.", messages.SignParams, messages.SignatureResult, _sign, large=True
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
