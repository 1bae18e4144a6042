"""The methods of the native API: what each takes, what it gives, and the operation it asks for.

This is a dialect like any other: it translates. Who may do what, and every word with the card and the person,
is the operations' business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET, UnsetType

from agent import __version__
from agent.errors import AgentError
from agent.native import jsonrpc, messages, selftest, selftest_messages, translate
from agent.native.backend import Backend
from agent.native.guest import Guest
from agent.operations import Caller
from hca_card.model import CardKind, KeyUse
from signing.cms import CmsForm
from signing.errors import SignatureInvalidError
from signing.hashes import Hash

AGENT_NAME: Final = "hca-agent"


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        summary: one sentence for the published schema.
        takes: the type of its parameters.
        gives: the type of its result.
        run: does it.
        own_page: whether the agent's own page may ask for it.
        large: whether a request may be larger than `jsonrpc.SMALL_BYTES_MAX`.
    """

    summary: str
    takes: type[messages.Message]
    gives: type[messages.Message]
    run: Callable[[Backend, Guest, Any], Awaitable[messages.Message]]
    own_page: bool = False
    large: bool = False


async def answer(backend: Backend, guest: Guest, request: jsonrpc.Request, size: int) -> messages.Message:
    """The result of one request of `size` bytes.

    Raises:
        AgentError: `request.unknown_method`, `request.too_large`, or what is wrong with its parameters.
        PcscError, CardError, SigningError: what the operation raised.
    """
    method = METHODS.get(request.method)
    if method is None or (guest.page and not method.own_page):
        raise AgentError("request.unknown_method")
    if size > jsonrpc.SMALL_BYTES_MAX and not method.large:
        raise AgentError("request.too_large")
    return await method.run(backend, guest, jsonrpc.decode(request.params, method.takes))


def _given(value: Any | UnsetType) -> Any | None:
    return None if value is UNSET else value


def _kinds(asked: messages.WhichCard) -> tuple[CardKind, ...]:
    return () if asked.card_kind is UNSET else tuple(CardKind(name) for name in asked.card_kind)


async def _hello(backend: Backend, caller: Caller, asked: messages.Nothing) -> messages.Hello:
    return messages.Hello(
        agent=AGENT_NAME,
        version=__version__,
        api=messages.API,
        capabilities=tuple(METHODS),
        simulated=backend.simulated,
    )


async def _readers(backend: Backend, caller: Caller, asked: messages.Nothing) -> messages.Readers:
    return messages.Readers(
        tuple(translate.reader(view) for view in await backend.operations.readers(caller))
    )


async def _card(backend: Backend, caller: Caller, asked: messages.WhichCard) -> messages.Card:
    return translate.card(await backend.operations.card(caller, _given(asked.reader), kinds=_kinds(asked)))


async def _certificates(backend: Backend, caller: Caller, asked: messages.WhichCard) -> messages.Certificates:
    held = await backend.operations.certificates(caller, _given(asked.reader), kinds=_kinds(asked))
    return messages.Certificates(tuple(translate.certificate(each) for each in held))


async def _pin_status(backend: Backend, caller: Caller, asked: messages.WhichCard) -> messages.Pin:
    status = await backend.operations.pin_status(caller, _given(asked.reader), kinds=_kinds(asked))
    return translate.pin(status)


async def _change_pin(backend: Backend, caller: Caller, asked: messages.WhichCard) -> messages.Nothing:
    await backend.operations.change_pin(caller, reader=_given(asked.reader), kinds=_kinds(asked))
    return messages.Nothing()


async def _unblock_pin(backend: Backend, caller: Caller, asked: messages.WhichCard) -> messages.Nothing:
    await backend.operations.unblock_pin(caller, reader=_given(asked.reader), kinds=_kinds(asked))
    return messages.Nothing()


async def _authenticate(
    backend: Backend, caller: Caller, asked: messages.Authenticate
) -> messages.LoginToken:
    if caller.origin is None:
        # A token is made for the origin that a browser vouches for; a program cannot choose one.
        raise AgentError("origin.refused")
    token = await backend.operations.authenticate(
        caller, asked.nonce, origin=caller.origin, reader=_given(asked.reader), kinds=_kinds(asked)
    )
    return translate.login_token(token)


async def _sign(backend: Backend, caller: Caller, asked: messages.Sign) -> messages.Signature:
    if (asked.document is UNSET) == (asked.digest is UNSET):
        raise AgentError("request.parameters", detail="exactly one of document and digest")
    cms = CmsForm(detached=asked.detached) if asked.format == "cms" else None
    if cms is not None and asked.document is UNSET:
        raise AgentError("request.parameters", detail="cms is made over a document")
    result = await backend.operations.sign(
        caller,
        Hash(asked.hash),
        document=_given(asked.document),
        digest=_given(asked.digest),
        use=KeyUse(asked.key),
        reader=_given(asked.reader),
        kinds=_kinds(asked),
        cms=cms,
    )
    return translate.signature(result, asked.format)


async def _verify(backend: Backend, caller: Caller, asked: messages.Verify) -> messages.Verdict:
    try:
        await backend.operations.verify(asked.document, asked.signature, asked.certificate, Hash(asked.hash))
    except SignatureInvalidError as error:
        return messages.Verdict(valid=False, error=jsonrpc.error_data(error))
    return messages.Verdict(valid=True)


async def _encrypt(backend: Backend, caller: Caller, asked: messages.Encrypt) -> messages.Cipher:
    return messages.Cipher(
        await backend.operations.encrypt(
            caller,
            asked.data,
            certificate=_given(asked.certificate),
            reader=_given(asked.reader),
            kinds=_kinds(asked),
        )
    )


async def _decrypt(backend: Backend, caller: Caller, asked: messages.Decrypt) -> messages.Plain:
    return messages.Plain(
        await backend.operations.decrypt(
            caller, asked.cipher, reader=_given(asked.reader), kinds=_kinds(asked)
        )
    )


METHODS: Final[dict[str, Method]] = {
    "agent.hello": Method(
        "Who answers, and what it can do.", messages.Nothing, messages.Hello, _hello, own_page=True
    ),
    "readers.list": Method(
        "The readers and whether a card is in them.", messages.Nothing, messages.Readers, _readers
    ),
    "card.read": Method("What a card says without its PIN.", messages.WhichCard, messages.Card, _card),
    "certificates.list": Method(
        "The certificates on a card.", messages.WhichCard, messages.Certificates, _certificates
    ),
    "pin.status": Method("How a card's PIN stands.", messages.WhichCard, messages.Pin, _pin_status),
    "pin.change": Method(
        "Have the person change the PIN, in the agent's own window or on the reader's keypad.",
        messages.WhichCard,
        messages.Nothing,
        _change_pin,
    ),
    "pin.unblock": Method(
        "Have the person set a new PIN with the PUK, in the agent's own window.",
        messages.WhichCard,
        messages.Nothing,
        _unblock_pin,
    ),
    "authenticate": Method(
        "Log in: a token for this page's origin and the portal's nonce.",
        messages.Authenticate,
        messages.LoginToken,
        _authenticate,
    ),
    "sign": Method("Sign a document.", messages.Sign, messages.Signature, _sign, large=True),
    "verify": Method("Check a signature.", messages.Verify, messages.Verdict, _verify, large=True),
    "encrypt": Method("Encrypt for a certificate.", messages.Encrypt, messages.Cipher, _encrypt),
    "decrypt": Method("Decrypt with a card's key.", messages.Decrypt, messages.Plain, _decrypt),
    "selftest.run": Method(
        "Find out what works; each row is told as it finishes.",
        selftest_messages.SelfTest,
        selftest_messages.SelfTestDone,
        selftest.run,
        own_page=True,
    ),
    "selftest.report": Method(
        "The report on this connection's last self-test.",
        selftest_messages.SelfTestReport,
        selftest_messages.SelfTestFiles,
        selftest.report,
        own_page=True,
    ),
}
