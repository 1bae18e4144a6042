"""Every log-in of the demo portal's sites in one real Chromium, with the right card and with wrong ones."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, expect

from agent.config import LimitSettings
from agent.demo.captcha import NUMBERS_EN
from agent.demo.environment import DemoEnvironment, PortalAddress, demo_environment
from agent.demo.pages import PAGES
from agent.demo.people import PASSWORD
from agent.demo.scripted_person import PIN, ScriptedPerson
from agent.demo.simulated_cards import create
from agent.demo.steps import ANY_PORT
from agent.interaction import PinQuestion, Question
from hca_card.model import CardKind
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support import axe
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.chromium import site_ports
from tests.support.desk import HOST

# One browser for all rows: they stay together, on one event loop.
pytestmark = [
    pytest.mark.xdist_group("portal-logins"),
    pytest.mark.slow,
]

READER: Final = "Virtual Reader A"
OTHER_READER: Final = "Virtual Reader B"
WRONG_PIN: Final = "987654"
NHI_PASSWORD: Final = "Nhi-2468"
ID_NUMBER: Final = "A100000001"


@dataclass(frozen=True)
class Scene:
    """One attempt: where, with which card, what is filled in, and what the page then says.

    Attributes:
        choices: radio buttons.
        typed: what is typed, by the field's id.
        ends: the error's id, or empty where the log-in succeeds.
        says: what the person must be able to read.
    """

    path: str
    card: str
    choices: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    ends: str = ""
    says: tuple[str, ...] = ()


def servisign(card: str, role: str, ends: str = "", *says: str, pin: str = PIN) -> Scene:
    return Scene("/euservice/servisign", card, {"role": role}, {"pin": pin}, ends, says)


def nhi(
    card: str, ends: str = "", *says: str, id_number: str = ID_NUMBER, password: str = NHI_PASSWORD
) -> Scene:
    return Scene("/euservice/nhi", card, {}, {"id-number": id_number, "password": password}, ends, says)


def hcd(card: str, role: str, ends: str = "", *says: str, **typed: str) -> Scene:
    account = {"natural-person": "demo-manager", "personnel": "demo-reporter"}[role]
    filled = {"account": account, "password": PASSWORD, "pin": PIN, "captcha": "right"} | typed
    return Scene("/hcd", card, {"role": role}, filled, ends, says)


def vpn(card: str, role: str, reader: str, ends: str = "", *says: str, pin: str = "") -> Scene:
    typed = pin or (NHI_PASSWORD if role == "insured" else PIN)
    return Scene("/vpn", card, {"role": role, "reader": reader}, {"pin": typed}, ends, says)


SCENES: Final = {
    "personnel by ServiSign": servisign("hpc", "personnel", "", "測試人員卡", "ServiSign", "西醫師"),
    "institution by ServiSign": servisign("hop", "institution", "", "測試機構", "9900000001"),
    "institution's secondary card": servisign("hop-secondary", "institution", "", "測試機構"),
    # The kind of card is looked at before the PIN goes anywhere.
    "institution card for a person": servisign(
        "hop", "personnel", "card.not_personnel", "這張是醫事機構卡，請改插醫事人員卡", pin=WRONG_PIN
    ),
    "personnel card for an institution": servisign(
        "hpc", "institution", "card.not_institution", "這張是醫事人員卡，請改插醫事機構卡"
    ),
    "NHI card for a person": servisign(
        "nhi", "personnel", "card.not_personnel", "這張是健保卡，請改插醫事人員卡"
    ),
    "citizen card for a person": servisign(
        "citizen", "personnel", "card.not_personnel", "這張是自然人憑證，請改插醫事人員卡"
    ),
    "no card by ServiSign": servisign("", "personnel", "card.none", "讀卡機裡沒有醫事人員卡"),
    "wrong PIN by ServiSign": servisign(
        "hpc", "personnel", "component.9039", "PIN 碼錯誤", "還可以再試 2 次", pin=WRONG_PIN
    ),
    "last try by ServiSign": servisign("hpc-last-try", "personnel", "component.9040", "還可以再試 1 次"),
    "locked by ServiSign": servisign("hpc-locked", "personnel", "component.9043", "已鎖住", "hca.nat.gov.tw"),
    "expired by ServiSign": servisign("hpc-expired", "personnel", "component.5011", "憑證已過期"),
    "revoked by ServiSign": servisign("hpc-revoked", "personnel", "certificate.revoked", "已經廢止"),
    "not activated by ServiSign": servisign("hpc-not-activated", "personnel", "component.9064", "未開卡"),
    "terminated by ServiSign": servisign("hpc-terminated", "personnel", "component.9057", "終止使用"),
    "somebody unknown by ServiSign": servisign("hpc-newcomer", "personnel", "person.unknown", "查不到"),
    "NHI card and password": nhi("nhi", "", "測試民眾", "健保卡元件", "註冊密碼正確"),
    "NHI card with another ID number": nhi("nhi", "id.not_of_card", "身分證字號", id_number="B200000002"),
    "NHI card with a wrong password": nhi("nhi", "password.wrong", "註冊密碼錯誤", password="wrong"),
    "NHI card of somebody unknown": nhi("nhi-newcomer", "person.unknown", "查不到", id_number="B200000002"),
    "personnel card for an NHI card": nhi("hpc", "card.not_insured", "這張是醫事人員卡，請改插健保卡"),
    "no NHI card": nhi("", "card.none", "讀卡機裡沒有健保卡"),
    "reporting with the citizen card": hcd("citizen", "natural-person", "", "測試國民", "HiPKI", "管理者"),
    "reporting with the personnel card": hcd("hpc", "personnel", "", "測試人員卡", "ServiSign", "申報者"),
    "reporting, personnel card for the citizen's": hcd(
        "hpc", "natural-person", "card.not_natural-person", "這張是醫事人員卡，請改插自然人憑證"
    ),
    "reporting, NHI card for the citizen's": hcd(
        "nhi", "natural-person", "card.not_natural-person", "這張是健保卡，請改插自然人憑證"
    ),
    "reporting, citizen card for the personnel's": hcd(
        "citizen", "personnel", "card.not_personnel", "這張是自然人憑證，請改插醫事人員卡"
    ),
    "reporting, no card": hcd("", "natural-person", "card.none", "讀卡機裡沒有自然人憑證"),
    "reporting, wrong PIN": hcd(
        "citizen", "natural-person", "component.76100006", "還可以再試 2 次", pin=WRONG_PIN
    ),
    "reporting, wrong captcha": hcd("citizen", "natural-person", "captcha.wrong", "圖形驗證碼", captcha="1"),
    "reporting, wrong password": hcd(
        "citizen", "natural-person", "account.wrong", "帳號或密碼", password="x"
    ),
    "reporting, account of another kind": hcd(
        "citizen", "natural-person", "account.other_kind", "另一種憑證", account="demo-reporter"
    ),
    "reporting, another's card": hcd(
        "hpc-nurse", "personnel", "account.other_card", "不是這個帳號登記的卡片"
    ),
    "VPN institution, NHI reader": vpn("hop", "institution", "nhi", "", "測試機構", "健保讀卡機"),
    "VPN institution, chip reader": vpn("hop", "institution", "chip", "", "測試機構", "ServiSign"),
    "VPN personnel, NHI reader": vpn("hpc", "personnel", "nhi", "", "測試人員卡", "健保讀卡機"),
    "VPN personnel, chip reader": vpn("hpc", "personnel", "chip", "", "測試人員卡", "ServiSign"),
    "VPN NHI card, NHI reader": vpn("nhi", "insured", "nhi", "", "測試民眾", "健保卡元件"),
    "VPN NHI card, chip reader": vpn("nhi", "insured", "chip", "", "測試民眾", "HCA Card Agent"),
    "VPN citizen, NHI reader": vpn("citizen", "natural-person", "nhi", "", "測試國民", "HiPKI"),
    "VPN citizen, chip reader": vpn("citizen", "natural-person", "chip", "", "測試國民", "HiPKI"),
    "VPN institution, NHI reader, wrong card": vpn(
        "hpc",
        "institution",
        "nhi",
        "card.not_institution",
        "這張是醫事人員卡，請改插醫事機構卡",
        pin=WRONG_PIN,
    ),
    "VPN institution, chip reader, wrong card": vpn(
        "hpc", "institution", "chip", "card.not_institution", "這張是醫事人員卡，請改插醫事機構卡"
    ),
    "VPN personnel, NHI reader, wrong card": vpn(
        "nhi", "personnel", "nhi", "card.not_personnel", "這張是健保卡，請改插醫事人員卡"
    ),
    "VPN personnel, chip reader, wrong card": vpn(
        "hop", "personnel", "chip", "card.not_personnel", "這張是醫事機構卡，請改插醫事人員卡"
    ),
    "VPN NHI card, NHI reader, wrong card": vpn(
        "hop", "insured", "nhi", "card.not_insured", "這張是醫事機構卡，請改插健保卡"
    ),
    "VPN NHI card, chip reader, wrong card": vpn(
        "citizen", "insured", "chip", "card.not_insured", "這張是自然人憑證，請改插健保卡"
    ),
    "VPN citizen, NHI reader, wrong card": vpn(
        "hop", "natural-person", "nhi", "card.not_natural-person", "這張是醫事機構卡，請改插自然人憑證"
    ),
    "VPN citizen, chip reader, wrong card": vpn(
        "nhi", "natural-person", "chip", "card.not_natural-person", "這張是健保卡，請改插自然人憑證"
    ),
    "VPN, a nurse's personnel card": vpn(
        "hpc-nurse", "personnel", "chip", "card.nhi_card_only", "改選「健保卡」"
    ),
    "VPN, a physician nobody added": vpn(
        "hpc-newcomer", "personnel", "chip", "person.not_added", "須由機構管理者新增"
    ),
    "VPN, an NHI card nobody added": vpn(
        "nhi-newcomer", "insured", "chip", "person.not_added", "須由機構管理者新增"
    ),
    "VPN, wrong PIN by the NHI reader": vpn(
        "hop", "institution", "nhi", "component.9039", "還可以再試 2 次", pin=WRONG_PIN
    ),
}


@dataclass(frozen=True)
class Counter:
    """The portal, its reader, and a window before it."""

    stage: DemoEnvironment
    person: ScriptedPerson
    page: Page

    def insert(self, kind: str) -> None:
        """A fresh card of that kind in the one reader, or none."""
        self.stage.tray.renew()
        self.stage.tray.put(READER, kind)

    async def open(self, path: str) -> None:
        await self.page.context.clear_cookies()
        await self.page.goto(self.stage.origin + path)

    async def entered(self) -> str:
        """What the page behind the log-in says, once it is there."""
        await self.page.wait_for_url("**/welcome")
        await self.page.wait_for_selector("#done:not([hidden])")
        return await self.page.inner_text("#done")

    async def said(self) -> tuple[str, str]:
        """The id and the words of the refusal that is shown next."""
        shown = await self.page.wait_for_selector(".message[data-error]")
        assert shown is not None
        return await shown.get_attribute("data-error") or "", await shown.inner_text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def counter(
    tmp_path_factory: pytest.TempPathFactory, authorities: Authorities
) -> AsyncIterator[Counter]:
    folder = tmp_path_factory.mktemp("logins")
    shutil.copytree(authorities.agent, folder / "agent" / "tls")
    simulator_ca()
    (folder / "agent" / "simulator").symlink_to(simulator_folder())
    person = ScriptedPerson()
    config = replace(ANY_PORT, limits=LimitSettings(requests=10_000, burst=10_000, questions=1000))
    place = PortalAddress(HOST, site_ports()[-1], tls=authorities.portal.context())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.demo.captcha.digits", lambda: "24680")
        async with (
            demo_environment(
                person, config, folder / "agent", place, {READER: "hpc", OTHER_READER: ""}
            ) as stage,
            CHROMIUM.window(folder / "browser", authorities.trusted()) as window,
        ):
            person.trusts = stage.origin
            await window.grant_permissions(["local-network-access"], origin=stage.origin)
            yield Counter(stage, person, window.pages[0])


async def drawn(page: Page) -> None:
    """Wait for the captcha's picture."""
    picture = page.locator("#captcha-picture")
    await expect(picture).to_have_attribute("src", re.compile("captcha"))
    await expect(picture).to_have_js_property("complete", True)


async def attempt(counter: Counter, scene: Scene) -> None:
    """Fill in what the scene says and send it."""
    page = counter.page
    await counter.open(scene.path)
    for name, value in scene.choices.items():
        await page.check(f'input[name="{name}"][value="{value}"]')
    later = {}
    for name, value in scene.typed.items():
        if name == "password" and scene.path == "/euservice/nhi":
            later[name] = value
        elif name == "captcha":
            await drawn(page)
            await page.fill("#captcha", "24680" if value == "right" else value)
        else:
            await page.fill(f"#{name}", value)
    await page.click("#submit")
    for name, value in later.items():
        await page.wait_for_selector(f"#{name}:visible, .message[data-error]")
        if await page.is_visible(f"#{name}"):
            await page.fill(f"#{name}", value)
            await page.click("#confirm-submit")


@pytest.mark.parametrize("name", SCENES)
async def test_each_log_in_says_who_it_is_or_what_is_wrong(counter: Counter, name: str) -> None:
    scene = SCENES[name]
    counter.insert(scene.card)
    await attempt(counter, scene)
    if scene.ends:
        error, words = await counter.said()
        assert error == scene.ends, words
    else:
        words = await counter.entered()
    for said in scene.says:
        assert said in words


async def test_the_page_keeps_the_pin_from_its_own_server(counter: Counter) -> None:
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.url.startswith(counter.stage.origin):
            sent.append(f"{request.url} {request.post_data or ''}")

    counter.page.on("request", hear)
    try:
        for scene in (SCENES["personnel by ServiSign"], SCENES["reporting with the citizen card"]):
            counter.insert(scene.card)
            await attempt(counter, scene)
            await counter.entered()
    finally:
        counter.page.remove_listener("request", hear)
    assert any("/api/login/signed" in each for each in sent)
    assert not any(PIN in each for each in sent)


async def test_of_several_cards_the_person_says_which_and_it_holds_until_it_is_taken_out(
    counter: Counter,
) -> None:
    other, asked = counter.stage.readers[OTHER_READER], len(counter.person.asked)
    counter.insert("hpc")
    other.insert(create("hop", counter.stage.authority))
    counter.person.chooses = CardKind.INSTITUTION
    try:
        await attempt(counter, servisign("", "institution"))
        await counter.entered()
        await attempt(counter, servisign("", "personnel"))
        error, words = await counter.said()
        assert error == "card.not_personnel" and "請拔出這張卡" in words
        other.remove()
        await attempt(counter, servisign("", "personnel"))
        await counter.entered()
    finally:
        counter.person.chooses = None
        other.remove()
    assert len(counter.person.asked) == asked


async def test_without_a_pin_in_the_page_the_agent_asks_for_it(counter: Counter) -> None:
    for scene in (servisign("hpc", "personnel", pin=""), hcd("citizen", "natural-person", pin="")):
        counter.insert(scene.card)
        asked = len(counter.person.asked)
        await attempt(counter, scene)
        await counter.entered()
        assert len(counter.person.asked) == asked + 1


async def test_a_popup_that_the_browser_blocks_is_told(counter: Counter) -> None:
    await counter.page.context.clear_cookies()
    counter.insert("citizen")
    await counter.open("/vpn")
    await counter.page.evaluate("window.open = () => null")
    await counter.page.check('input[name="role"][value="natural-person"]')
    await counter.page.fill("#pin", PIN)
    await counter.page.click("#submit")
    error, words = await counter.said()
    assert error == "popup.blocked" and "彈出式視窗" in words


async def test_a_popup_that_the_person_closes_ends_the_log_in(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    answer = counter.person.ask

    async def think(question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await answer(question)
        asked.set()
        await answered.wait()
        return None

    monkeypatch.setattr(counter.person, "ask", think)
    counter.insert("citizen")
    await counter.open("/vpn")
    await counter.page.check('input[name="role"][value="natural-person"]')
    async with counter.page.expect_popup() as popup:
        await counter.page.click("#submit")
    await asked.wait()
    await (await popup.value).close()
    error, _ = await counter.said()
    answered.set()
    assert error == "popup.closed"


async def test_the_captcha_has_another_form_in_words_and_each_is_good_once(counter: Counter) -> None:
    page = counter.page
    counter.insert("citizen")
    await counter.open("/hcd")
    await drawn(page)
    first = await page.get_attribute("#captcha-picture", "src")
    await page.click("#captcha-new")
    assert await page.get_attribute("#captcha-picture", "src") != first
    await page.click("#captcha-in-words")
    await page.wait_for_selector("#captcha-words:not([hidden])")
    question = await page.inner_text("#captcha-words .en")
    words = question.removesuffix("? Answer in digits.").split()
    for name, text in {"account": "demo-manager", "password": "wrong", "pin": PIN}.items():
        await page.fill(f"#{name}", text)
    right = str(sum(NUMBERS_EN.index(word) for word in words if word in NUMBERS_EN))
    await page.fill("#captcha", right)
    await page.click("#submit")
    assert (await counter.said())[0] == "account.wrong"
    await expect(page.locator("#captcha")).to_have_value("")
    question = await page.inner_text("#captcha-words .en")
    words = question.removesuffix("? Answer in digits.").split()
    for name, text in {"password": PASSWORD, "pin": PIN}.items():
        await page.fill(f"#{name}", text)
    await page.fill("#captcha", str(sum(NUMBERS_EN.index(word) for word in words if word in NUMBERS_EN)))
    await page.click("#submit")
    await counter.entered()


async def test_the_tray_changes_the_card_in_a_reader(counter: Counter) -> None:
    page = counter.page
    counter.insert("hpc")
    await counter.open("/euservice/servisign")
    await page.check('input[name="role"][value="institution"]')
    assert await page.input_value("#tray-1") == "hpc"
    await page.select_option("#tray-1", "hop")
    await expect(page.locator("#tray-said")).to_contain_text("醫事機構卡")
    await page.fill("#pin", PIN)
    await page.click("#submit")
    await counter.entered()
    await page.wait_for_selector("#tray:not([hidden])")
    assert await page.input_value("#tray-1") == "hop"
    await page.click("#tray-renew")
    await expect(page.locator("#tray-1")).to_have_value("hpc")


async def test_the_first_page_leads_to_every_log_in_and_logging_out_back_to_it(counter: Counter) -> None:
    page = counter.page
    counter.insert("hop")
    await counter.open("/")
    links = await page.eval_on_selector_all(
        ".login-link", "all => all.map(link => link.getAttribute('href'))"
    )
    assert set(links) == {path for path, each in PAGES.items() if each.log_in}
    await attempt(counter, SCENES["institution by ServiSign"])
    await counter.entered()
    await page.goto(counter.stage.origin + "/vpn")
    assert page.url.endswith("/welcome")  # who is logged in is not asked again
    await page.click("#logout")
    await page.wait_for_url(counter.stage.origin + "/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_keeps_anybody_out(counter: Counter, scheme: Any) -> None:
    page = counter.page
    counter.insert("hpc")
    await page.emulate_media(color_scheme=scheme)

    async def audit(where: str) -> None:
        # A script of the test's own: the page's policy rightly runs none that it does not know.
        found = await (await page.context.new_cdp_session(page)).send(
            "Runtime.evaluate",
            {"expression": f"{axe.source()};({axe.AUDIT})()", "awaitPromise": True, "returnByValue": True},
        )
        assert axe.serious(found["result"]["value"]) == [], where

    # Every page has the same colours; one of them tells whether they can be read in the dark.
    for path in ("/vpn",) if scheme == "dark" else [path for path, each in PAGES.items() if not each.member]:
        await counter.open(path)
        await page.wait_for_selector("#tray:not([hidden])")
        await audit(path)
    await attempt(counter, SCENES["wrong PIN by ServiSign"])
    await counter.said()
    await audit("a refusal")
    await attempt(counter, SCENES["personnel by ServiSign"])
    await counter.entered()
    await audit("/welcome")
    await page.emulate_media(color_scheme="light")


async def test_no_page_is_wider_than_a_telephone(counter: Counter) -> None:
    page = counter.page
    counter.insert("hpc")
    before = page.viewport_size
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in (path for path, each in PAGES.items() if not each.member):
        await counter.open(path)
        await page.wait_for_selector("#tray:not([hidden])")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
    assert before is not None
    await page.set_viewport_size(before)
