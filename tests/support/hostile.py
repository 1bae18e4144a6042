"""Pages of many origins that nobody allowed, at every door as hard as they can; and a portal's log-ins."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import secrets
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import aiohttp

from tests.support import hipki
from tests.support.agent import PORTAL, RunningAgent
from tests.support.hipki import package
from tests.support.servisign_page import Page, Text
from tests.support.servisign_traces import e_service_login
from tests.support.waiting import until_async

ORIGINS: Final = tuple(f"https://n{number}.hostile{number % 8}.example" for number in range(40))
PIN: Final = "123456"
DOCUMENT: Final = base64.b64encode(bytes(1_000_000)).decode("ascii")
LARGEST: Final = base64.b64encode(bytes(30_000_000)).decode("ascii")
_FORM: Final = "application/x-www-form-urlencoded"
_FAILURES: Final = (aiohttp.ClientError, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class Doors:
    """The ports of an agent; `nhi` is 0 where the NHI component's protocol is off."""

    clear: int
    tls: int
    hipki: int
    nhi: int = 0

    @classmethod
    def of(cls, agent: RunningAgent) -> Doors:
        daemon = agent.daemon
        return cls(daemon.native_port, daemon.tls_port, daemon.hipki_port or 0, *daemon.nhi_ports[:1])

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class Hostile:
    """What the pages of one origin do, again and again.

    Args:
        doors: where the agent is.
        http: a client that believes every certificate.
    """

    def __init__(self, doors: Doors, http: aiohttp.ClientSession) -> None:
        self._doors = doors
        self._http = http
        self._names = itertools.count()

    @property
    def works(self) -> tuple[Callable[[str], Awaitable[None]], ...]:
        """One for each door and resource."""
        works = (self.questions, self.documents, self.echos, self.values, self.popups, self.names)
        return (*works, self.frames) if self._doors.nhi else works

    async def questions(self, origin: str) -> None:
        """A WebSocket with as many questions as it takes."""
        async with self._http.ws_connect(
            f"http://127.0.0.1:{self._doors.clear}/v1", headers={"Origin": origin}
        ) as socket:
            for number, method in enumerate(("card.read", "certificates.list", "pin.status") * 3):
                await socket.send_json({"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
            nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
            await socket.send_json(
                {"jsonrpc": "2.0", "id": 99, "method": "authenticate", "params": {"nonce": nonce}}
            )
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT or b"99" in message.data.encode()[:40]:
                    break

    async def documents(self, origin: str) -> None:
        """A WebSocket with documents; every tenth origin sends the largest."""
        document = LARGEST if origin in ORIGINS[::10] else DOCUMENT
        async with self._http.ws_connect(
            f"http://127.0.0.1:{self._doors.clear}/v1", headers={"Origin": origin}, max_msg_size=0
        ) as socket:
            await socket.send_json(
                {"jsonrpc": "2.0", "id": 1, "method": "sign", "params": {"document": document}}
            )
            await socket.receive()

    async def echos(self, origin: str) -> None:
        """Sessions of ServiSign, one after the other, each with a question and a large request."""
        page = Page(self._post, origin)
        await page.echo()
        await page.call("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        await page.call("ATL_MakeSignature", b64Data=Text(DOCUMENT))

    async def values(self, origin: str) -> None:
        """Values of ServiSign, for the portal and for itself."""
        page = Page(self._post, origin)
        await page.echo()
        for sites in ("portal.example.tw", ""):
            members = {"channel": Text("login"), "domain_list": Text(sites), "timeout": 0}
            await page.call("setServiSignValue", **members, value=Text("x" * 16_000))

    async def popups(self, origin: str) -> None:
        """Popups of HiPKI, one of some used for a request."""
        base = f"http://localhost:{self._doors.hipki}"
        for _ in range(8):
            async with self._http.get(f"{base}/popupForm") as response:
                page = await response.text()
        ticket = page.partition('name="ticket" content="')[2].partition('"')[0]
        headers = {"Content-Type": _FORM, "Origin": base, "X-HCA-Ticket": ticket, "X-HCA-Portal": origin}
        body = package(func="MakeSignature", tbs="text", signatureType="PKCS1", hashAlgorithm="SHA256")
        async with self._http.post(f"{base}/sign", data=body, headers=headers) as response:
            await response.read()

    async def names(self, origin: str) -> None:
        """Requests under names of which each is used once."""
        name = f"{origin.removesuffix('.example')}-{next(self._names)}.example"
        await Page(self._post, name).echo()

    async def frames(self, origin: str) -> None:
        """A WebSocket of the NHI component with a question."""
        address = f"https://127.0.0.1:{self._doors.nhi}/echo"
        headers = {"Origin": origin, "Host": f"localhost:{self._doors.nhi}"}
        async with self._http.ws_connect(address, headers=headers) as socket:
            await socket.send_str("GetBasic")
            await socket.receive()

    async def _post(self, origin: str, body: bytes) -> bytes:
        headers = {"Content-Type": _FORM, "Origin": origin}
        async with self._http.post(
            f"https://localhost:{self._doors.tls}/", data=body, headers=headers
        ) as response:
            return await response.read()


@asynccontextmanager
async def hostile(doors: Doors) -> AsyncIterator[Callable[[], int]]:
    """All of them, at work while the body runs; gives how many of their works have ended."""
    ended = 0

    async def on_and_on(work: Callable[[str], Awaitable[None]], origin: str) -> None:
        nonlocal ended
        while True:
            with suppress(*_FAILURES, AssertionError, KeyError, ValueError):
                await work(origin)
            ended += 1
            await asyncio.sleep(0)

    connector = aiohttp.TCPConnector(ssl=False, limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        their = Hostile(doors, http)
        tasks = [asyncio.create_task(on_and_on(work, origin)) for work in their.works for origin in ORIGINS]
        try:
            yield lambda: ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Portal:
    """The log-ins of a portal that is allowed, each as its page does it, connection included."""

    def __init__(self, agent: RunningAgent) -> None:
        self._agent = agent
        self.log_ins = {"native": self.native, "ServiSign": self.servisign, "HiPKI": self.hipki}

    async def native(self) -> None:
        """Log in with `authenticate`."""
        async with self._agent.page() as page:
            nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
            assert (await page.call("authenticate", nonce=nonce))["format"] == "web-eid:1.0"

    async def servisign(self) -> None:
        """Log in as e-service.mohw.gov.tw does."""
        posted = await e_service_login((Page(self._post, PORTAL), Page(self._post, PORTAL)), PIN)
        assert posted.certificate

    async def hipki(self) -> None:
        """Sign what the portal wants signed, with the PIN typed in its page."""
        answer: dict[str, Any] = await hipki.ask(
            self._agent, "/sign", func="MakeSignature", tbs="text", signatureType="PKCS1",
            hashAlgorithm="SHA256", pin=PIN,
        )  # fmt: skip
        assert answer["ret_code"] == 0, answer

    async def _post(self, origin: str, body: bytes) -> bytes:
        headers = {"Content-Type": _FORM, "Origin": origin}
        async with self._agent.http.post(self._agent.tls, data=body, headers=headers) as response:
            assert response.status == 200, response.status
            return await response.read()


@contextmanager
def hostile_process(doors: Doors) -> Iterator[None]:
    """All of them in a process of their own, at work while the body runs."""
    command = [sys.executable, "-m", "tests.support.hostile", str(doors)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == b"at work\n"
            yield
            assert process.poll() is None
        finally:
            process.kill()


async def _main(words: str) -> None:
    async with hostile(Doors(**json.loads(words))) as ended:
        await until_async(ended, "not all of them came to work", 60)
        print("at work", flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
