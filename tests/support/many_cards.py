"""Several cards at once, requests of every dialect for them, and what each must be answered."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from agent.interaction import CardChoiceQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller
from tests.support import hipki
from tests.support.agent import Page, RunningAgent
from tests.support.nhi_component import ask, page
from tests.support.servisign_page import Page as Adapter

MINISTRY, OFFICE = "https://ministry.example.tw", "https://office.example.tw"
PREFERRED: Final = {MINISTRY: "hpc", OFFICE: "hop"}
"""Which card the person chooses for a site that takes several."""

KINDS: Final = ("hpc", "hop", "nhi", "citizen")
NONCE: Final = base64.b64encode(bytes(range(33))).decode()
DOCUMENT: Final = "申報資料".encode()
TABS: Final = 5
"""Of each site, so that so many of its requests are at work at the same time."""

Check = Callable[[], Awaitable[None]]


class Person(ScriptedInteraction):
    """Knows every PIN, and which card each site is to have."""

    def __init__(self) -> None:
        super().__init__(pins=["123456"] * 1000)
        self.choices: list[str | None] = []

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, CardChoiceQuestion):
            return await super().ask(question)
        self.choices.append(question.origin)
        await asyncio.sleep(0.02)  # others ask meanwhile
        wanted = PREFERRED[str(question.origin)]
        return next(card for card in question.cards if card.kind.value == wanted)


@dataclass(frozen=True)
class Facts:
    """One card as it was when alone with the agent.

    Attributes:
        certificate: base64 of the DER for signatures, empty where it has none.
    """

    kind: str
    reader: str
    serial: str
    certificate: str = ""


@dataclass
class Tab:
    """One tab of a site that uses all dialects: it waits for each answer before it asks again.

    Attributes:
        cards: by kind.
    """

    agent: RunningAgent
    origin: str
    cards: Mapping[str, Facts]
    native: Page
    nhi: aiohttp.ClientWebSocketResponse | None

    @property
    def preferred(self) -> Facts:
        return self.cards[PREFERRED[self.origin]]

    def requests(self) -> Sequence[Check]:
        """Every request there is, each with its own check."""
        found: list[Check] = [self.any_card, self.any_signature, self.any_login, self.hca_module]
        for kind in self.cards:
            found += [partial(self.one_kind, kind), partial(self.at_reader, kind)]
        for kind in ("hpc", "hop", "citizen"):
            found += [
                partial(each, kind) for each in (self.certificates, self.signature, self.login, self.pin)
            ]
        if self.nhi is not None:
            found.append(self.basic_data)
        if self.agent.daemon.hipki_port is not None:
            found += [partial(self.popup_signature, kind) for kind in ("hpc", "citizen")]
        return found

    async def any_card(self) -> None:
        assert (await self._native("card.read"))["serial"] == self.preferred.serial

    async def one_kind(self, kind: str) -> None:
        told = await self._native("card.read", cardKind=[kind])
        assert (told["kind"], told["serial"]) == (kind, self.cards[kind].serial)

    async def at_reader(self, kind: str) -> None:
        told = await self._native("card.read", reader=self.cards[kind].reader)
        assert told["serial"] == self.cards[kind].serial

    async def certificates(self, kind: str) -> None:
        told = await self._native("certificates.list", cardKind=[kind])
        assert self.cards[kind].certificate in [each["certificate"] for each in told["certificates"]]

    async def pin(self, kind: str) -> None:
        assert (await self._native("pin.status", cardKind=[kind]))["triesLeft"] == 3

    async def any_signature(self) -> None:
        self._verify(await self._native("sign", document=_DOCUMENT_64), self.preferred)

    async def signature(self, kind: str) -> None:
        self._verify(await self._native("sign", document=_DOCUMENT_64, cardKind=[kind]), self.cards[kind])

    async def any_login(self) -> None:
        token = await self._native("authenticate", nonce=NONCE)
        assert token["unverifiedCertificate"] == self.preferred.certificate

    async def login(self, kind: str) -> None:
        token = await self._native("authenticate", nonce=NONCE, cardKind=[kind])
        assert token["unverifiedCertificate"] == self.cards[kind].certificate

    async def basic_data(self) -> None:
        assert self.nhi is not None
        [answer] = await ask(self.nhi, "GetBasic")
        assert answer.startswith(f"GetBasic:{self.cards['nhi'].serial},")

    async def hca_module(self) -> None:
        """A whole session of an old page: the module, its card's number, its certificate."""
        adapter = Adapter(self._post, self.origin)
        assert await adapter.echo() == "0"
        handle = int(await adapter.good("ATL_InitModule", moduleName="HCAPKCS11.dll", initArgs=""))
        serial = await adapter.good("ATL_GetHCACardSN", ulModuleHandle=handle)
        assert serial == self.preferred.serial

    async def popup_signature(self, kind: str) -> None:
        told = await hipki.ask(
            self.agent,
            "/sign",
            portal=self.origin,
            func="MakeSignature",
            signatureType="PKCS1",
            tbs=DOCUMENT.decode(),
            tbsEncoding="NONE",
            hashAlgorithm="SHA256",
            pin="123456",
            slotDescription=self.cards[kind].reader,
        )
        assert told["ret_code"] == 0, told
        self._verify({"signature": told["signature"], "certificate": told["certb64"]}, self.cards[kind])

    async def _native(self, method: str, **params: Any) -> Any:
        return await self.native.call(method, **params)

    async def _post(self, origin: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        async with self.agent.http.post(f"{self.agent.tls}/", data=body, headers=headers) as answer:
            return await answer.read()

    @staticmethod
    def _verify(signed: Mapping[str, str], card: Facts) -> None:
        assert signed["certificate"] == card.certificate
        key = x509.load_der_x509_certificate(base64.b64decode(card.certificate)).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(base64.b64decode(signed["signature"]), DOCUMENT, padding.PKCS1v15(), SHA256())


_DOCUMENT_64: Final = base64.b64encode(DOCUMENT).decode()


async def facts_of(agent: RunningAgent, readers: Sequence[str]) -> dict[str, Facts]:
    """The cards in these readers, each asked for by its reader's name."""
    found, own, operations = {}, Caller(None), agent.daemon.operations
    for reader in readers:
        told = (await operations.card(own, reader)).metadata
        kind = told.kind.value
        certificate = b"" if kind == "nhi" else (await operations.certificate(own, 1, reader)).der
        found[kind] = Facts(kind, reader, told.serial, base64.b64encode(certificate).decode())
    assert found.keys() == set(KINDS)
    return found


async def work_through(agent: RunningAgent, cards: Mapping[str, Facts], count: int, seed: int) -> int:
    """Make `count` requests from two sites at once, each drawn with `seed`, and check every answer.

    Returns:
        How many different kinds of request were among them.
    """
    chance = random.Random(seed)
    kinds_drawn = set()
    async with AsyncExitStack() as stack:
        work = []
        for origin in (MINISTRY, OFFICE):
            for _ in range(TABS):
                native = await stack.enter_async_context(agent.page(origin))
                nhi = await stack.enter_async_context(page(agent, origin)) if agent.daemon.nhi_ports else None
                tab = Tab(agent, origin, cards, native, nhi)
                checks = chance.choices(tab.requests(), k=count // (2 * TABS))
                kinds_drawn |= {
                    str(getattr(each, "func", each)) + str(getattr(each, "args", "")) for each in checks
                }
                work.append(_one_after_the_other(checks))
        await asyncio.gather(*work)
    return len(kinds_drawn)


async def _one_after_the_other(checks: Sequence[Check]) -> None:
    for check in checks:
        await check()
