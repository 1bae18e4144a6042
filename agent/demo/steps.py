"""The demo's steps: log in, sign, verify, through each component, and everything that must be refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from agent.config import Config, HipkiSettings, NhiComponentSettings, PortSettings, ServiSignSettings
from agent.demo.captcha import NUMBERS_EN
from agent.demo.component_clients import (
    NHI_READER,
    PCSC,
    ComponentError,
    ServiSignClient,
    read_nhi_card,
    sign_through_hipki,
)
from agent.demo.environment import (
    CITIZEN,
    HOP,
    HPC,
    NHI,
    DemoEnvironment,
    PortalAddress,
    demo_environment,
)
from agent.demo.many_documents import batch_with_resume, session_of_records
from agent.demo.page_client import OriginRefusedError, PageClient
from agent.demo.people import INSURED, PASSWORD
from agent.demo.scripted_person import PIN, WRONG_PIN, ScriptedPerson
from agent.demo.simulated_cards import NURSE
from agent.demo.step_report import StepFailedError, StepReport, expect, refused
from agent.demo.two_workers import two_workers
from agent.paths import Paths
from agent.verification import Verifier
from hca_card.model import CardKind

ANY_PORT: Final = Config(
    ports=PortSettings(native=0),
    servisign=ServiSignSettings(ports=(0,)),
    hipki=HipkiSettings(port=0),
    nhi_component=NhiComponentSettings(enabled=True, ports=(0,)),
)
"""Whatever ports are free, so that nothing of this user's own agent is in the way."""

STRANGER: Final = "https://stranger.example"
PLAIN_STRANGER: Final = "http://stranger.example"
FORM: Final = {
    "place": "示範區衛生所",
    "firstDay": "2030-03-01",
    "lastDay": "2030-03-02",
    "begins": "09:00",
    "ends": "12:00",
}
_WRONG_PIN_NUMBER: Final = 9039
_NO_SIGNATURE: Final = "8008"


async def run_steps(folder: Path, report: StepReport) -> None:
    """Take all steps in order, everything in `folder` and on free ports.

    Raises:
        Exception: if a step failed; the report has printed which and why.
    """
    from agent import tls

    async with AsyncExitStack() as stack:
        with report.step(
            "準備模擬卡、元件與示範網站", "Simulated cards, agent and portal are put up"
        ) as notes:
            # The portal is another site than the agent: its certificate comes from an authority of its own.
            identity = await asyncio.to_thread(tls.ensure, folder / "portal")
            person, address = ScriptedPerson(), PortalAddress(tls=identity.context())
            environment = await stack.enter_async_context(
                demo_environment(person, ANY_PORT, folder / "agent", address)
            )
            person.trusts = environment.origin
            notes.append(f"{environment.origin} · wss://localhost:{environment.daemon.tls_port}")
        trusted = identity.ca.read_text() + environment.daemon.identity.ca.read_text()
        await DemoSteps(environment, person, trusted, report, folder).run()


class DemoSteps:
    """The steps after everything was started.

    Args:
        environment: what is running.
        person: who is asked.
        trusted: PEM certificates of the agent's and the portal's authorities.
        report: where the steps are printed.
        folder: for documents.
    """

    def __init__(
        self,
        environment: DemoEnvironment,
        person: ScriptedPerson,
        trusted: str,
        report: StepReport,
        folder: Path,
    ) -> None:
        daemon = environment.daemon
        self._environment = environment
        self._person = person
        self._trusted = trusted
        self._report = report
        self._step = report.step
        self._folder = folder
        self._agent = f"https://localhost:{daemon.tls_port}"
        self._hipki = f"http://localhost:{daemon.hipki_port}"
        self._nhi_component = f"wss://localhost:{next(iter(daemon.nhi_ports), 0)}/echo"

    async def run(self) -> None:
        """Take all steps in order."""
        async with self._page() as page:
            await self._find_agent(page)
            await self._log_in(page)
            await self._replay(page)
            await self._wrong_pin(page)
            await self._pulled_card(page)
            await self._sign(page)
        async with self._page() as page:
            await page.connect()
            await self._institution(page)
            await self._health_card(page)
        async with self._page() as page:
            await page.connect()
            verifier = Verifier(Config(), Paths(self._folder, self._folder), simulated=True)
            await session_of_records(page, self._person, self._report, verifier, HPC)
        documents = self._folder / "documents"
        documents.mkdir()
        await batch_with_resume(self._environment, self._person, self._report, documents, HPC)
        beyond = self._folder / "beyond"
        beyond.mkdir()
        await two_workers(self._environment, self._report, beyond, (HPC, HOP))
        self._person.chooses = CardKind.PERSONNEL
        async with self._page() as page:
            await self._servisign(page)
        # The component stays with the card that it was given until that card is taken out.
        self._pull()
        async with self._page() as page:
            await self._nhi_reader(page)
        self._put_back()
        await self._citizen()
        async with self._page() as page:
            await self._nhi_card(page)
        await self._strangers()

    @asynccontextmanager
    async def _page(self) -> AsyncIterator[PageClient]:
        async with self._client() as page:
            await page.open()
            yield page

    def _client(self, origin: str = "") -> PageClient:
        return PageClient(self._environment.origin, self._agent, self._trusted, origin=origin)

    def _pull(self) -> None:
        self._environment.readers[HPC].remove()

    def _put_back(self) -> None:
        """Put the same card back; its PIN tries are as they were."""
        self._environment.readers[HPC].insert(self._environment.cards[HPC])

    # The native API

    async def _find_agent(self, page: PageClient) -> None:
        with self._step("網頁找到本機元件", "The page finds the agent") as notes:
            expect(await page.agent_status() == 200, "GET /status did not answer 200")
            hello = await page.connect()
            expect(hello["api"] == 1 and hello["simulated"], f"agent.hello said {hello}")
            readers = (await page.call("readers.list"))["readers"]
            filled = {reader["name"] for reader in readers if reader["state"] == "card"}
            expect(filled == {HPC, HOP, NHI, CITIZEN}, f"the readers with cards are {sorted(filled)}")
            notes.append(f"{hello['agent']} {hello['version']} · {'、'.join(sorted(filled))}")

    async def _log_in(self, page: PageClient) -> None:
        with self._step(
            "醫事人員卡登入，伺服器驗證", "Personnel card logs in, verified by the server"
        ) as notes:
            who = await page.log_in("personnel", await page.token(HPC))
            expect(who["name"] == "測試人員卡", f"the portal greets {who['name']!r}")
            expect(len(self._person.asked) == 1, "the PIN must be asked once")
            notes.append(f"{who['name']} · 卡號 {who['cardNumber']} · {who['issuer']}")

    async def _replay(self, page: PageClient) -> None:
        with self._step("同一份登入資料重送：拒絕", "The same log-in sent again is refused") as notes:
            token = await page.token(HPC)
            await page.log_in("personnel", token)
            spent = await refused(page.log_in("personnel", token), "nonce.unknown")
            await page.post("/api/nonce")
            await refused(page.log_in("personnel", token), "token.refused")
            notes.append(spent.zh)

    async def _wrong_pin(self, page: PageClient) -> None:
        with self._step("PIN 碼錯誤：說明還剩幾次", "A wrong PIN: tries left are told") as notes:
            self._person.pins.append(WRONG_PIN)
            asked = len(self._person.asked)
            refusal = await refused(page.token(HPC), "pin.wrong")
            expect(refusal.tries_left == 2, f"tries left: {refusal.tries_left}")
            expect(len(self._person.asked) == asked + 1, "a wrong PIN must not be asked again by itself")
            notes.append(refusal.zh)
            await page.log_in("personnel", await page.token(HPC))
            status = await page.call("pin.status", reader=HPC)
            expect(status["triesLeft"] == 3, f"after the right PIN, tries left: {status['triesLeft']}")

    async def _pulled_card(self, page: PageClient) -> None:
        with self._step(
            "輸入 PIN 時拔出卡片：說明原因", "The card is pulled while the PIN is asked"
        ) as notes:
            self._person.while_asked = self._pull
            notes.append((await refused(page.token(HPC))).zh)
        with self._step("插回卡片：繼續使用", "The card is put back and works") as notes:
            self._put_back()
            notes.append((await page.log_in("personnel", await page.token(HPC)))["name"])

    async def _sign(self, page: PageClient) -> None:
        with self._step("報備支援：簽章，伺服器驗證", "The form is signed, verified by the server") as notes:
            prepared = await page.post("/api/prepare", **FORM)
            receipt = await page.post("/api/sign", signature=await page.sign(prepared["document"], HPC))
            expect(receipt["document"] == prepared["document"], "the receipt is for another text")
            notes.append(f"案號 {receipt['number']} · 憑證 {receipt['certificateSerial']}")
        with self._step("被更改的內容：簽章驗證不通過", "A changed text does not verify") as notes:
            prepared = await page.post("/api/prepare", **FORM)
            changed = json.loads(prepared["document"]) | {"支援地點": "別的地方"}
            signature = await page.sign(json.dumps(changed, ensure_ascii=False), HPC)
            refusal = await refused(page.post("/api/sign", signature=signature), "signature.refused")
            notes.append(refusal.zh)
        with self._step("別張卡片簽的：驗證不通過", "Another card's signature does not verify"):
            signature = await page.sign(prepared["document"], HOP)
            await refused(page.post("/api/sign", signature=signature), "signature.refused")

    async def _institution(self, page: PageClient) -> None:
        with self._step("插錯卡：醫事機構卡不能登入為醫事人員", "An institution card is no person") as notes:
            refusal = await refused(page.log_in("personnel", await page.token(HOP)), "card.not_personnel")
            notes.append(refusal.zh)
        with self._step("醫事機構卡登入", "Institution card logs in") as notes:
            who = await page.log_in("institution", await page.token(HOP))
            notes.append(f"{who['name']} · {who['institutionCode']}")

    async def _health_card(self, page: PageClient) -> None:
        with self._step("健保卡：讀取基本資料", "NHI card: basic data") as notes:
            card = await page.call("card.read", reader=NHI)
            expect(card["kind"] == "nhi" and card["simulated"], f"card.read said {card['kind']}")
            notes.append(f"{card['holder']['name']} · 卡號 {card['serial']}")

    # The older components

    async def _servisign(self, page: PageClient) -> None:
        with self._step("ServiSign：網頁輸入 PIN 碼登入", "ServiSign, the PIN typed in the page") as notes:
            proof = await self._servisign_proof(page, PIN)
            who = await _enter(page, "personnel", "euservice", "servisign", proof)
            expect(who["name"] == "測試人員卡", f"the portal greets {who['name']!r}")
            notes.append(f"{who['name']} · {who['duty']['zh']}")
        with self._step("ServiSign：PIN 碼錯誤", "ServiSign, a wrong PIN") as notes:
            try:
                await self._servisign_proof(page, WRONG_PIN)
            except ComponentError as error:
                expect(error.number == _WRONG_PIN_NUMBER, f"the component answered {error}")
                notes.append(f"元件回覆 {error.number}")
            else:
                raise StepFailedError("it was taken")
        with self._step("ServiSign：插錯卡", "ServiSign, the wrong card") as notes:
            proof = await self._servisign_proof(page, PIN)
            entering = _enter(page, "institution", "euservice", "servisign", proof)
            notes.append((await refused(entering, "card.not_institution")).zh)

    async def _nhi_reader(self, page: PageClient) -> None:
        with self._step(
            "健保資訊網：醫事機構卡、健保讀卡機", "NHI network: institution card, NHI reader"
        ) as notes:
            proof = await self._servisign_proof(page, PIN, NHI_READER)
            who = await _enter(page, "institution", "vpn", "servisign-nhi-reader", proof)
            notes.append(f"{who['name']} · {who['institutionCode']}")

    async def _citizen(self) -> None:
        async with self._page() as page:
            with self._step(
                "勞工健檢申報：自然人憑證（HiPKI）", "Reporting: citizen certificate, HiPKI"
            ) as notes:
                who = await self._report_with(page, CITIZEN)
                notes.append(f"{who['name']} · {who['duty']['zh']}")
        async with self._page() as page:
            with self._step("勞工健檢申報：插錯卡", "Reporting: the wrong card") as notes:
                refusal = await refused(self._report_with(page, HPC), "card.not_natural-person")
                notes.append(refusal.zh)

    async def _nhi_card(self, page: PageClient) -> None:
        with self._step("健保卡登入：讀卡，再輸入註冊密碼", "NHI card: read, then the password") as notes:
            card, signature = await read_nhi_card(page, self._nhi_component)
            expect(signature == _NO_SIGNATURE, f"H_Sign was answered {signature!r}")
            read = {"site": "euservice", "way": "nhi-component", "card": card, "idNumber": NURSE}
            await page.post("/api/login/card", **read)
            await refused(page.enter("/api/login/password", password=WRONG_PIN), "password.wrong")
            who = await page.enter("/api/login/password", password=INSURED[NURSE].password)
            notes.append(f"{who['name']} · H_Sign 回覆 {signature}，以註冊密碼確認")

    async def _servisign_proof(
        self, page: PageClient, pin: str, library: tuple[str, str] = PCSC
    ) -> dict[str, str]:
        text = (await page.post("/api/challenge"))["challenge"]
        return dict(await ServiSignClient(page, self._agent, library).sign(pin, text))

    async def _report_with(self, page: PageClient, reader: str) -> Mapping[str, Any]:
        """Log in at the reporting site: 帳號, 密碼, the captcha in words (a sum), then the card."""
        words = [word.strip("?.") for word in (await page.post("/api/captcha"))["en"].split()]
        answer = sum(NUMBERS_EN.index(word) for word in words if word in NUMBERS_EN)
        account = {"account": "demo-manager", "password": PASSWORD, "role": "natural-person"}
        await page.post("/api/login/account", **account, captcha=str(answer))
        text = (await page.post("/api/challenge"))["challenge"]
        signed = await sign_through_hipki(page, self._hipki, PIN, text, reader)
        return await _enter(page, "natural-person", "hcd", "hipki", {"cms": signed["signature"]})

    # Other sites

    async def _strangers(self) -> None:
        with self._step("陌生網站：使用者不同意就拒絕", "A site the person says no to gets nothing") as notes:
            async with self._client(STRANGER) as page:
                await page.connect()
                refusal = await refused(page.call("card.read", reader=HPC), "consent.refused")
                expect(self._person.refused == [STRANGER], f"asked about {self._person.refused}")
                notes.append(refusal.zh)
        with self._step("不安全的來源：連線前就拒絕", "An origin without TLS is turned away at the door"):
            async with self._client(PLAIN_STRANGER) as page:
                expect(await page.agent_status() == 200, "GET /status must say that the agent is there")
                try:
                    await page.connect()
                except OriginRefusedError:
                    return
                raise StepFailedError("the agent let it in")


async def _enter(
    page: PageClient, role: str, site: str, way: str, proof: Mapping[str, str]
) -> Mapping[str, Any]:
    return await page.enter("/api/login/signed", role=role, site=site, way=way, proof=proof)
