"""What a ServiSign call costs over the card's own time, against a bare aiohttp echo over the same TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any, Final

import aiohttp

from agent.dialects.servisign.framing import encode_reply
from tests.bench.servisign_server import ORIGIN
from tests.bench.tables import Table, microseconds, ratio
from tests.support.servisign_page import NHI_PATH_ID, Page, Text, body_of

BOUND: Final = 3.0
PIN: Final = "123456"
SHA256: Final = 0x250
SHA256_RSA: Final = 0x40
RSA: Final = 1
WARM_UP: Final = 50
MEASUREMENTS: Final = 3
HTTP_OK: Final = 200
# An empty result, and the framework's errors that a broken benchmark would measure.
REFUSALS: Final = frozenset(encode_reply(text) for text in ("", "61005", "61010", "61012", "61013", "61908"))
HEADERS: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Origin": ORIGIN,
    "Referer": ORIGIN + "/",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "cors",
}


def calls(rounds: int) -> Table:
    """A call of each sort, beside the echo of the very same request.

    A bound counts as broken when it is in each of three measurements: a call goes through more threads than
    an echo does, so that whatever else the machine is busy with falls on the call.
    """
    for _ in range(MEASUREMENTS):
        table = asyncio.run(_calls(rounds))
        if not table.broken:
            break
    return table


@dataclass
class _Times:
    """Seconds of each round.

    Attributes:
        echo: of the bare echo.
        call: of the whole call.
        over_held: of the call, less the time in which the card was held for it.
        over_pcsc: of the call, less the time inside PC/SC: our own work between two commands is in it.
    """

    echo: list[float] = field(default_factory=list)
    call: list[float] = field(default_factory=list)
    over_held: list[float] = field(default_factory=list)
    over_pcsc: list[float] = field(default_factory=list)


async def _calls(rounds: int) -> Table:
    table = Table(
        f"ServiSign calls, one aiohttp client, kept-alive TLS (median of {rounds}, echo and call in turn)",
        ("call", "bare echo", "call", "over the time held", "ratio", "over the card's time", "ratio"),
    )
    async with _servers() as servers:
        times: dict[str, _Times] = {}
        for call in await _calls_of_pages(servers):
            each = times[call.name] = _Times()
            for _ in range(min(WARM_UP, rounds)):
                await servers.measure(call.body, _Times())
            for _ in range(rounds):
                await servers.measure(call.body, each)
            if await call.page.error() != "0":
                raise RuntimeError(f"{call.name} failed")
    for name, each in times.items():
        echo, *costs = (median(row) for row in (each.echo, each.call, each.over_held, each.over_pcsc))
        whole, over_held, over_pcsc = costs
        cells = (microseconds(over_held), ratio(over_held / echo), microseconds(over_pcsc))
        table.rows.append((name, microseconds(echo), microseconds(whole), *cells, ratio(over_pcsc / echo)))
        if over_pcsc > BOUND * echo:
            table.broken.append(f"{name} costs {over_pcsc / echo:.2f} times the echo; the bound is {BOUND:g}")
    table.notes.append(
        f"The bound is {BOUND:g} for the second ratio: what a call costs on top of the card's own time,"
        " which is that inside the functions of PC/SC."
    )
    table.notes.append(
        "A card is held from SCardConnect to SCardDisconnect, our work between commands included."
    )
    return table


@dataclass
class _Servers:
    """The agent and its peer, and one client with a connection to each."""

    http: aiohttp.ClientSession
    agent: str
    echo: str
    so_far: tuple[int, int] = (0, 0)

    async def post(self, url: str, body: bytes) -> bytes:
        async with self.http.post(url, data=body, headers=HEADERS) as response:
            body = await response.read()
            if response.status != HTTP_OK or body in REFUSALS:
                raise RuntimeError(f"a request failed: {response.status} {body!r}")
            return body

    async def measure(self, body: bytes, times: _Times) -> None:
        """One echo and one call of the same body."""
        begin = perf_counter()
        await self.post(self.echo, body)
        between = perf_counter()
        await self.post(self.agent, body)
        end = perf_counter()
        working, held = await self.card_seconds()
        times.echo.append(between - begin)
        times.call.append(end - between)
        times.over_held.append(end - between - held)
        times.over_pcsc.append(end - between - working)

    async def card_seconds(self) -> tuple[float, float]:
        """How long PC/SC worked, and how long the card was held, since this was last asked."""
        before = self.so_far
        async with self.http.get(f"{self.echo}/card") as response:
            working, held = map(int, (await response.text()).split())
        self.so_far = working, held
        return (working - before[0]) / 1e9, (held - before[1]) / 1e9


@dataclass(frozen=True)
class _Call:
    """One call as its page sends it, again and again."""

    name: str
    page: Page
    body: bytes


async def _calls_of_pages(servers: _Servers) -> list[_Call]:
    """What pages ask that have everything open: one with the PC/SC library, one with the NHI reader's.

    Opening has pages of its own: what is opened too often is closed again, the oldest first.
    """

    async def handle(_origin: str, body: bytes) -> bytes:
        return await servers.post(servers.agent, body)

    async def page(**kind: Any) -> Page:
        made = Page(handle, **kind)
        if await made.echo() != "0":
            raise RuntimeError("the agent did not answer an Echo")
        return made

    def call(page: Page, name: str, **arguments: Any) -> _Call:
        return _Call(name, page, body_of(page.request(name, **arguments)))

    load = {"moduleName": Text("HCAPKCS11.dll"), "initArgs": Text("")}
    document, pin = Text("YSBkb2N1bWVudA=="), {"iFlags": 6, "userPin": Text(PIN)}

    main, opening, again, changer = [await page() for _ in range(4)]
    reader = await page(path_id=NHI_PATH_ID)
    module = {"ulModuleHandle": await main.good("ATL_InitModule", **load)}
    await opening.good("ATL_InitModule", **load)  # an Echo may end a session in which nothing is open
    other_module = {"ulModuleHandle": await again.good("ATL_InitModule", **load)}
    opened = module | {"ulSessionHandle": await main.good("ATL_InitSession", **module, **pin)}

    async def key(kind: int, pair: str) -> str:
        return await main.good(
            "ATL_GetKeyObjectHandle", **opened, iKeyType=kind, key_id=Text(""), param=Text(pair)
        )

    signing = {"ulAlgorithm": SHA256_RSA, "b64Data": document, "ulPvKeyObject": await key(0, "1")}
    signature = await main.good("ATL_MakeSignature", **opened, **signing)
    checking = {"ulAlgorithm": SHA256_RSA, "b64Data": document, "b64Sig": Text(signature)}
    sealing = {"ulAlgorithm": RSA, "b64Data": document, "ulPubKeyObject": await key(1, "2")}
    sealed = await main.good("ATL_PublicKeyEncryption", **opened, **sealing)
    unsealing = {"ulAlgorithm": RSA, "b64Cipher": Text(sealed), "ulPvKeyObject": await key(0, "2")}
    reading = {**opened, "iCertId": 1, "readerName": Text("")}
    certificate = Text(await main.good("ATL_GetCertificateFromGPKICard", **reading))
    changing = {"ulModuleHandle": await changer.good("ATL_InitModule", **load)}
    changing["ulSessionHandle"] = await changer.good("ATL_InitSession", **changing, **pin)
    await reader.good("HCA_OpenCOMPort", comport=0)
    await reader.good("HCA_VerifyPIN", pincode=Text(PIN), flag=0)
    await servers.card_seconds()
    return [
        call(main, "Echo"),
        call(main, "ATL_GetErrorCode"),
        call(opening, "ATL_InitModule", **load),
        call(again, "ATL_InitSession", **other_module, **pin),
        call(main, "ATL_GetHCACardType", **module),
        call(main, "ATL_GetHCABasicData", **module),
        call(main, "ATL_GetCertificateFromGPKICard", **reading),
        call(main, "ATL_GetCertSubjectDN", b64Cert=certificate),
        call(main, "ATL_GetExtension", b64Cert=certificate, oid=Text("2.5.29.15")),
        call(main, "ATL_HashFunction", **opened, ulAlgorithm=SHA256, b64Data=document),
        call(main, "ATL_MakeSignature", **opened, **signing),
        call(main, "ATL_VerifySignature", **opened, **checking, ulPubKeyObject=await key(1, "1")),
        call(main, "ATL_PublicKeyEncryption", **opened, **sealing),
        call(main, "ATL_PrivateKeyDecryption", **opened, **unsealing),
        call(reader, "HCA_GetBasicData"),
        call(reader, "HCA_SignMessage", data=document, flag=0),
        # Last: it ends what other sessions keep of the card.
        call(changer, "ATL_ChangeUserPIN", **changing, newUserPin=Text(PIN)),
    ]


@asynccontextmanager
async def _servers() -> AsyncIterator[_Servers]:
    with tempfile.TemporaryDirectory(prefix="hca-agent-bench-") as folder:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.servisign_server", folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            told = json.loads(await server.stdout.readline())
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=told["ca"]))
            async with aiohttp.ClientSession(connector=connector) as http:
                agent, echo = (f"https://localhost:{told[name]}" for name in ("agent", "echo"))
                yield _Servers(http, agent, echo)
        finally:
            server.kill()
            await server.wait()
