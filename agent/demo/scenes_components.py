"""The log-ins of today's portals in steps: ServiSign, HiPKI, the NHI component; right and wrong cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.demo.captcha import NUMBERS_EN
from agent.demo.cards import NURSE
from agent.demo.components import (
    NHI_READER,
    PCSC,
    ComponentError,
    ServiSign,
    read_nhi_card,
    sign_through_hipki,
)
from agent.demo.expectations import expect, refused
from agent.demo.page import Page
from agent.demo.person import PIN, WRONG_PIN
from agent.demo.register import INSURED, PASSWORD
from agent.demo.report import Report, StepFailedError
from agent.demo.stage import CITIZEN, HPC
from hca_card.model import CardKind

if TYPE_CHECKING:
    from agent.demo.theatre import Theatre

_WRONG_PIN_NUMBER = 9039
_NO_SIGNATURE = "8008"


async def play_components(theatre: Theatre, report: Report) -> None:
    """Take all steps in order.

    Raises:
        Exception: a step failed; the report has told which and why.
    """
    await _servisign(theatre, report)
    await _nhi_reader(theatre, report)
    await _hipki(theatre, report)
    await _nhi_component(theatre, report)


async def _servisign(theatre: Theatre, report: Report) -> None:
    theatre.person.chooses = CardKind.PERSONNEL
    async with theatre.page() as page:
        await page.open()
        with report.step("ServiSign：網頁輸入 PIN 碼登入", "ServiSign, the PIN typed in the page") as step:
            proof = await _signed(page, theatre, PIN)
            who = await page.enter("/api/login/signed", **_as("personnel", "euservice"), proof=proof)
            expect(who["name"] == "測試人員卡", f"the portal greets {who['name']!r}")
            step.note(f"{who['name']} · {who['duty']['zh']}")
        with report.step("ServiSign：PIN 碼錯誤", "ServiSign, a wrong PIN") as step:
            try:
                await _signed(page, theatre, WRONG_PIN)
            except ComponentError as error:
                expect(error.number == _WRONG_PIN_NUMBER, f"the component answered {error}")
                step.note(f"元件回覆 {error.number}")
            else:
                raise StepFailedError("it was taken")
        with report.step("ServiSign：插錯卡", "ServiSign, the wrong card") as step:
            proof = await _signed(page, theatre, PIN)
            work = page.enter("/api/login/signed", **_as("institution", "euservice"), proof=proof)
            step.note((await refused(work, "card.not_institution")).zh)


async def _nhi_reader(theatre: Theatre, report: Report) -> None:
    # The component keeps to the card it was told of until that one is taken out.
    theatre.pull()
    async with theatre.page() as page:
        await page.open()
        with report.step(
            "健保資訊網：醫事機構卡、健保讀卡機", "NHI network: institution card, NHI reader"
        ) as step:
            proof = await _signed(page, theatre, PIN, NHI_READER)
            body = _as("institution", "vpn") | {"way": "servisign-nhi-reader"}
            who = await page.enter("/api/login/signed", **body, proof=proof)
            step.note(f"{who['name']} · {who['institutionCode']}")
    theatre.put_back()


async def _hipki(theatre: Theatre, report: Report) -> None:
    async with theatre.page() as page:
        await page.open()
        with report.step(
            "勞工健檢申報：自然人憑證（HiPKI）", "Reporting: citizen certificate, HiPKI"
        ) as step:
            await _account(page)
            proof = await _cms(page, theatre, CITIZEN)
            who = await page.enter("/api/login/signed", **_as("natural-person", "hcd", "hipki"), proof=proof)
            step.note(f"{who['name']} · {who['duty']['zh']}")
    async with theatre.page() as page:
        await page.open()
        with report.step("勞工健檢申報：插錯卡", "Reporting: the wrong card") as step:
            await _account(page)
            proof = await _cms(page, theatre, HPC)
            work = page.enter("/api/login/signed", **_as("natural-person", "hcd", "hipki"), proof=proof)
            step.note((await refused(work, "card.not_natural-person")).zh)


async def _nhi_component(theatre: Theatre, report: Report) -> None:
    async with theatre.page() as page:
        await page.open()
        with report.step("健保卡登入：讀卡，再輸入註冊密碼", "NHI card: read, then the password") as step:
            card, answered = await read_nhi_card(page, theatre.nhi_component)
            expect(answered == _NO_SIGNATURE, f"H_Sign was answered {answered!r}")
            read = {"site": "euservice", "way": "nhi-component", "card": card, "idNumber": NURSE}
            await page.post("/api/login/card", **read)
            await refused(page.enter("/api/login/password", password=WRONG_PIN), "password.wrong")
            who = await page.enter("/api/login/password", password=INSURED[NURSE].password)
            step.note(f"{who['name']} · H_Sign 回覆 {answered}，以註冊密碼確認")


async def _signed(page: Page, theatre: Theatre, pin: str, library: tuple[str, str] = PCSC) -> dict[str, str]:
    text = (await page.post("/api/challenge"))["challenge"]
    return dict(await ServiSign(page, theatre.servisign, library).sign(pin, text))


async def _cms(page: Page, theatre: Theatre, reader: str) -> dict[str, str]:
    text = (await page.post("/api/challenge"))["challenge"]
    return {"cms": (await sign_through_hipki(page, theatre.hipki, PIN, text, reader))["signature"]}


async def _account(page: Page) -> None:
    """帳號, 密碼, and the captcha in words: what is asked is a sum."""
    asked = (await page.post("/api/captcha"))["en"].rstrip("?").split()
    answer = sum(NUMBERS_EN.index(word.strip("?.")) for word in asked if word.strip("?.") in NUMBERS_EN)
    account = {"account": "demo-manager", "password": PASSWORD, "role": "natural-person"}
    await page.post("/api/login/account", **account, captcha=str(answer))


def _as(role: str, site: str, way: str = "servisign") -> dict[str, str]:
    return {"role": role, "site": site, "way": way}
