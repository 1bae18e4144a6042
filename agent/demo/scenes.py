"""The main job in steps: log in, sign, verify, and everything that must be refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent.demo.expectations import expect, refused
from agent.demo.page import OriginRefusedError, Page
from agent.demo.person import WRONG_PIN
from agent.demo.report import Report, StepFailedError
from agent.demo.scenes_components import play_components
from agent.demo.stage import CITIZEN, HOP, HPC, NHI
from agent.demo.theatre import Theatre

STRANGER = "https://stranger.example"
PLAIN_STRANGER = "http://stranger.example"
FORM = {
    "place": "示範區衛生所",
    "firstDay": "2030-03-01",
    "lastDay": "2030-03-02",
    "begins": "09:00",
    "ends": "12:00",
}


async def play(theatre: Theatre, report: Report) -> None:
    """Take all steps in order.

    Raises:
        Exception: a step failed; the report has told which and why.
    """
    async with theatre.page() as page:
        await _find_the_agent(page, report)
        await _log_in(page, theatre, report)
        await _refuse_replay(page, report)
        await _wrong_pin(page, theatre, report)
        await _pulled_card(page, theatre, report)
        await _sign(page, report)
    async with theatre.page() as page:
        await page.open()
        await page.connect()
        await _institution(page, report)
        await _health_card(page, report)
    await play_components(theatre, report)
    await _strangers(theatre, report)


async def _find_the_agent(page: Page, report: Report) -> None:
    with report.step("網頁找到本機元件", "The page finds the agent") as step:
        expect(await page.agent_status() == 200, "GET /status did not answer 200")
        hello = await page.connect()
        expect(hello["api"] == 1 and hello["simulated"], f"agent.hello said {hello}")
        readers = (await page.call("readers.list"))["readers"]
        filled = {reader["name"] for reader in readers if reader["state"] == "card"}
        expect(filled == {HPC, HOP, NHI, CITIZEN}, f"the readers with cards are {sorted(filled)}")
        step.note(f"{hello['agent']} {hello['version']} · {'、'.join(sorted(filled))}")


async def _log_in(page: Page, theatre: Theatre, report: Report) -> None:
    with report.step("醫事人員卡登入，伺服器驗證", "Personnel card logs in, verified by the server") as step:
        await page.open()
        token = await page.token(HPC)
        who = await page.log_in("personnel", token)
        expect(who["name"] == "測試人員卡", f"the portal greets {who['name']!r}")
        expect(len(theatre.person.asked) == 1, "the PIN must be asked once")
        step.note(f"{who['name']} · 卡號 {who['cardNumber']} · {who['issuer']}")


async def _refuse_replay(page: Page, report: Report) -> None:
    with report.step("同一份登入資料重送：拒絕", "The same log-in sent again is refused") as step:
        token = await page.token(HPC)
        await page.log_in("personnel", token)
        spent = await refused(page.log_in("personnel", token), "nonce.unknown")
        await page.post("/api/nonce")
        await refused(page.log_in("personnel", token), "token.refused")
        step.note(spent.zh)


async def _wrong_pin(page: Page, theatre: Theatre, report: Report) -> None:
    with report.step("PIN 碼錯誤：說明還剩幾次", "A wrong PIN: tries left are told") as step:
        theatre.person.pins.append(WRONG_PIN)
        asked = len(theatre.person.asked)
        refusal = await refused(page.token(HPC), "pin.wrong")
        expect(refusal.tries_left == 2, f"tries left: {refusal.tries_left}")
        expect(len(theatre.person.asked) == asked + 1, "a wrong PIN must not be asked again by itself")
        step.note(refusal.zh)
        await page.log_in("personnel", await page.token(HPC))
        status = await page.call("pin.status", reader=HPC)
        expect(status["triesLeft"] == 3, f"after the right PIN, tries left: {status['triesLeft']}")


async def _pulled_card(page: Page, theatre: Theatre, report: Report) -> None:
    with report.step("輸入 PIN 時拔出卡片：說明原因", "The card is pulled while the PIN is asked") as step:
        theatre.person.while_asked = theatre.pull
        refusal = await refused(page.token(HPC))
        step.note(refusal.zh)
    with report.step("插回卡片：繼續使用", "The card is put back and works") as step:
        theatre.put_back()
        who = await page.log_in("personnel", await page.token(HPC))
        step.note(who["name"])


async def _sign(page: Page, report: Report) -> None:
    with report.step("報備支援：簽章，伺服器驗證", "The form is signed, verified by the server") as step:
        prepared = await page.post("/api/prepare", **FORM)
        receipt = await page.post("/api/sign", signature=await page.sign(prepared["document"], HPC))
        expect(receipt["document"] == prepared["document"], "the receipt is for another text")
        step.note(f"案號 {receipt['number']} · 憑證 {receipt['certificateSerial']}")
    with report.step("被更改的內容：簽章驗證不通過", "A changed text does not verify") as step:
        prepared = await page.post("/api/prepare", **FORM)
        changed = json.dumps(json.loads(prepared["document"]) | {"支援地點": "別的地方"}, ensure_ascii=False)
        signature = await page.sign(changed, HPC)
        refusal = await refused(page.post("/api/sign", signature=signature), "signature.refused")
        step.note(refusal.zh)
    with report.step("別張卡片簽的：驗證不通過", "Another card's signature does not verify"):
        signature = await page.sign(prepared["document"], HOP)
        await refused(page.post("/api/sign", signature=signature), "signature.refused")


async def _institution(page: Page, report: Report) -> None:
    with report.step("插錯卡：醫事機構卡不能登入為醫事人員", "An institution card is no person") as step:
        refusal = await refused(page.log_in("personnel", await page.token(HOP)), "card.not_personnel")
        step.note(refusal.zh)
    with report.step("醫事機構卡登入", "Institution card logs in") as step:
        who = await page.log_in("institution", await page.token(HOP))
        step.note(f"{who['name']} · {who['institutionCode']}")


async def _health_card(page: Page, report: Report) -> None:
    with report.step("健保卡：讀取基本資料", "NHI card: basic data") as step:
        card: Mapping[str, Any] = await page.call("card.read", reader=NHI)
        expect(card["kind"] == "nhi" and card["simulated"], f"card.read said {card['kind']}")
        step.note(f"{card['holder']['name']} · 卡號 {card['serial']}")


async def _strangers(theatre: Theatre, report: Report) -> None:
    with report.step("陌生網站：使用者不同意就拒絕", "A site the person says no to gets nothing") as step:
        async with theatre.page(STRANGER) as page:
            await page.connect()
            refusal = await refused(page.call("card.read", reader=HPC), "consent.refused")
            expect(theatre.person.refused == [STRANGER], f"asked about {theatre.person.refused}")
            step.note(refusal.zh)
    with report.step("不安全的來源：連線前就拒絕", "An origin without TLS is turned away at the door"):
        async with theatre.page(PLAIN_STRANGER) as page:
            expect(await page.agent_status() == 200, "GET /status must say that the agent is there")
            try:
                await page.connect()
            except OriginRefusedError:
                return
            raise StepFailedError("the agent let it in")
