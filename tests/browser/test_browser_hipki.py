"""Pages of citizen and business cards, in a real Chromium, on https origins of their own."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from playwright.async_api import BrowserContext, Page

from agent.config import OriginSettings
from agent.interaction import ConsentQuestion, PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.vocabulary import Verb
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support import axe, firefox
from tests.support.agent import ANY_PORT, RunningAgent, running_agent
from tests.support.chromium import site_ports, trust_in
from tests.support.hipki import check_cms, openssl
from tests.support.hipki_site import site
from tests.support.portal_tls import PortalTls
from tests.support.waiting import LIMIT

PIN = "123456"
HOSTS = ("portal.example.test", "evil.example.test", "severed.example.test")
ESCAPED = "登入 a+b=1&c 100%"
TEXT = "勞工健檢申報 labour health examination"
SIGN = {"func": "MakeSignature", "tbs": TEXT, "tbsEncoding": "NONE", "hashAlgorithm": "SHA256", "nonce": ""}
LOGIN = {**SIGN, "signatureType": "PKCS7", "pin": PIN, "withCardSN": "true", "nonce": "portal's nonce"}


class Thoughtful(ScriptedInteraction):
    """A person who types the PIN when the test lets them."""

    def __init__(self) -> None:
        super().__init__(pins=[PIN] * 8)
        self.asked, self.thought = asyncio.Event(), asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        self.asked.set()
        await self.thought.wait()
        return await super().ask(question)


@dataclass(frozen=True)
class Desk:
    """An agent, a browser, and three origins: a portal, a site that is up to no good, and one cut off."""

    agent: RunningAgent
    window: BrowserContext
    portal: str
    evil: str
    severed: str

    @property
    def address(self) -> str:
        return f"http://localhost:{self.agent.daemon.hipki_port}"

    async def open(self, origin: str, wanted: object = None) -> Page:
        page = await self.window.new_page()
        await page.goto(origin)
        await page.evaluate("([a, w]) => { window.agent = a; window.wanted = w; }", [self.address, wanted])
        return page

    async def click(self, page: Page) -> Page:
        async with page.expect_popup() as popup:
            await page.click("#go")
        return await popup.value

    async def ask(self, page: Page, wanted: object) -> dict[str, Any]:
        """The answer to one request, after which the popup is gone."""
        await page.evaluate("(w) => { window.wanted = w; heard.length = 0; }", wanted)
        popup = await self.click(page)
        if not popup.is_closed():
            await popup.wait_for_event("close")
        await page.wait_for_function("heard.length === 2")
        asked, answered = await page.evaluate("heard")
        assert asked == {"data": '{"func":"getTbs"}', "origin": self.address}
        assert answered["origin"] == self.address
        return dict(json.loads(answered["data"]))


SetDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory, authorities: Authorities) -> list[PortalTls]:
    folder = tmp_path_factory.mktemp("identities")
    return [PortalTls(folder / host, host, authorities.portal) for host in HOSTS]


@pytest.fixture
def set_desk(tmp_path: Path, identities: list[PortalTls], authorities: Authorities) -> SetDesk:
    @asynccontextmanager
    async def set_desk(
        *kinds: str, person: ScriptedInteraction | None = None, denies: bool = False, **options: object
    ) -> AsyncIterator[Desk]:
        async with AsyncExitStack() as stack:
            enter, ports = stack.enter_async_context, site_ports()
            portal = await enter(site(HOSTS[0], identities[0], ports[0]))
            evil = await enter(site(HOSTS[1], identities[1], ports[1]))
            cut = {"Cross-Origin-Opener-Policy": "same-origin"}
            severed = await enter(site(HOSTS[2], identities[2], ports[2], **cut))
            config = replace(ANY_PORT, origins=OriginSettings(deny=frozenset((portal,) if denies else ())))
            agent = await enter(
                running_agent(tmp_path / "agent", kinds or ("citizen",), config=config, interaction=person)
            )
            window = await enter(CHROMIUM.window(tmp_path / "browser", authorities.trusted(), **options))
            yield Desk(agent, window, portal, evil, severed)

    return set_desk


def key_of(answer: dict[str, Any]) -> rsa.RSAPublicKey:
    key = x509.load_der_x509_certificate(base64.b64decode(answer["certb64"])).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


@pytest.mark.parametrize("kind", ["citizen", "hpc"])
async def test_a_portal_that_knows_only_hipki_reads_signs_and_decrypts(
    set_desk: SetDesk, kind: str, tmp_path: Path
) -> None:
    async with set_desk(kind) as desk:
        page = await desk.open(desk.portal)
        [slot] = (await desk.ask(page, {"func": "CheckEnvir"}))["slots"]
        assert "certs" not in slot["token"]
        [slot] = (await desk.ask(page, {"func": "GetUserCert"}))["slots"]
        own, encryption, *_authorities = slot["token"]["certs"]
        assert own["usage"] == "digitalSignature"

        answer = await desk.ask(page, {**LOGIN, "slotDescription": slot["slotDescription"]})
        assert answer["ret_code"] == 0
        assert answer["certb64"] == own["certb64"]
        assert check_cms(base64.b64decode(answer["signature"]), tmp_path) == TEXT.encode()
        parsed = openssl("asn1parse", "-inform", "DER", "-in", str(tmp_path / "signature.der"))
        assert ":portal's nonce" in parsed
        assert f":{slot['token']['serialNumber']}" in parsed

        answer = await desk.ask(page, {**SIGN, "signatureType": "PKCS1", "pin": PIN})
        key_of(answer).verify(
            base64.b64decode(answer["signature"]), TEXT.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        escaped = {**SIGN, "tbs": quote(ESCAPED), "signatureType": "PKCS7", "pin": quote(PIN)}
        for tbs in (escaped["tbs"], ESCAPED):
            answer = await desk.ask(page, {**escaped, "tbs": tbs})
            assert check_cms(base64.b64decode(answer["signature"]), tmp_path) == ESCAPED.encode()
        cipher = key_of(encryption).encrypt(TEXT.encode(), padding.PKCS1v15())
        asked = {"func": "decrypt", "cipher": base64.b64encode(cipher).decode(), "pin": PIN}
        assert base64.b64decode((await desk.ask(page, asked))["plaintext"]) == TEXT.encode()
        consents = [each for each in desk.agent.interaction.questions if isinstance(each, ConsentQuestion)]
        assert {each.origin for each in consents} == {desk.portal}
        verbs = {Verb.READ, Verb.SIGN, Verb.PAGE_PIN, Verb.DECRYPT}
        assert {verb for each in consents for verb in each.verbs} == verbs


async def test_a_wrong_pin_and_a_func_that_nobody_knows_are_told_to_the_page(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open(desk.portal)
        wrong = await desk.ask(page, {**LOGIN, "pin": "999999"})
        assert (wrong["ret_code"], wrong["last_error"]) == (0x76100006, -2147483646)
        assert (await desk.ask(page, {"func": "FormatDisk"}))["ret_code"] == 0x7600000E


async def test_a_portal_that_the_administrator_denies_hears_it_in_its_own_number(set_desk: SetDesk) -> None:
    async with set_desk(denies=True) as desk:
        page = await desk.open(desk.portal)
        assert (await desk.ask(page, LOGIN))["ret_code"] == 0x76000031
        assert desk.agent.interaction.questions == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_popup_names_the_portal_while_the_person_is_asked(set_desk: SetDesk, scheme: str) -> None:
    person = Thoughtful()
    async with set_desk(person=person, color_scheme=scheme) as desk:
        page = await desk.open(desk.portal, {**LOGIN, "pin": ""})
        popup = await desk.click(page)
        await asyncio.wait_for(person.asked.wait(), LIMIT)
        assert await popup.inner_text("#zh") == desk.portal
        assert "HCA Card Agent" in await popup.inner_text("#state")
        await popup.set_viewport_size({"width": 200, "height": 200})
        overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await popup.evaluate(overflow)
        session = await desk.window.new_cdp_session(popup)
        await session.send("Page.setBypassCSP", {"enabled": True})
        await popup.evaluate(axe.source())
        assert axe.serious(await popup.evaluate(axe.AUDIT)) == []
        person.thought.set()
        await page.wait_for_function("heard.length === 2")
        assert json.loads((await page.evaluate("heard"))[1]["data"])["ret_code"] == 0


FORGE = """async ([address, body]) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: address + "/sign", target: "_blank" });
    for (const [name, value] of Object.entries({
        tbsPackage: body, "X-HCA-Portal": "https://portal.example.test", "X-HCA-Ticket": "x",
    })) form.append(Object.assign(document.createElement("input"), { name, value }));
    document.body.append(form);
    form.submit();
}"""
READ = """async ([address, body]) => {
    const tried = {};
    const attempt = async (name, work) => {
        try { tried[name] = await work(); } catch { tried[name] = "error"; }
    };
    const image = (path) => new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve("loaded");
        image.onerror = () => resolve("error");
        image.src = address + path;
    });
    await attempt("ticket", async () => (await fetch(address + "/popupForm")).text());
    await attempt("info", async () => (await fetch(address + "/pkcs11info?withcert=true")).text());
    const headers = { "X-HCA-Ticket": "x", "X-HCA-Portal": "https://portal.example.test" };
    const forged = { method: "POST", headers, body };
    await attempt("headers", async () => (await fetch(address + "/sign", forged)).text());
    await attempt("blind", async () => {
        const response = await fetch(address + "/sign", { method: "POST", mode: "no-cors", body });
        return response.type;
    });
    await attempt("image", () => image("/p11Image.bmp"));
    return tried;
}"""


async def test_a_form_that_another_site_posts_is_refused(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open(desk.evil)
        async with (
            desk.window.expect_page() as opened,
            desk.window.expect_event(
                "response", lambda response: response.url == f"{desk.address}/sign"
            ) as answered,
        ):
            await page.evaluate(FORGE, [desk.address, json.dumps(LOGIN)])
        assert (await answered.value).status == 403
        assert not (await opened.value).is_closed()  # the browser's own page about the refusal
        assert desk.agent.interaction.questions == []
        assert desk.agent.daemon.operations.activity.cards == ()


async def test_a_page_of_another_site_can_read_nothing_here(set_desk: SetDesk) -> None:
    """With the browser's permission to reach this device, too."""
    async with set_desk() as desk:
        await desk.window.grant_permissions(["local-network-access"], origin=desk.evil)
        page = await desk.open(desk.evil)
        tried = await page.evaluate(READ, [desk.address, json.dumps(LOGIN)])
        assert tried == {
            "ticket": "error",
            "info": "error",
            "headers": "error",
            "blind": "opaque",
            "image": "error",
        }
        assert desk.agent.interaction.questions == []
        assert desk.agent.daemon.operations.activity.cards == ()


# What pages do before anything else: draw the image, and read characters off the pixels until a zero.
PIXELS = """async ([address, cross]) => {
    const image = new Image();
    if (cross) image.crossOrigin = "Anonymous";
    const loaded = new Promise((resolve) => {
        image.onload = () => resolve(true);
        image.onerror = () => resolve(false);
    });
    image.src = address + "/p11Image.bmp";
    if (!(await loaded)) return "not loaded";
    const canvas = Object.assign(document.createElement("canvas"), { width: 2000, height: 1 });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    let text = "";
    for (let x = 0; x < 2000; x += 1) {
        const [red, green, blue] = context.getImageData(x, 0, 1, 1).data;
        if (blue === 0) break;
        text += String.fromCharCode(blue, green, red);
    }
    return text;
}"""


async def test_a_page_reads_the_image_if_it_is_allowed_and_the_browser_names_it(set_desk: SetDesk) -> None:
    person = ScriptedInteraction(consents={Verb.READ: True})
    async with set_desk("citizen", person=person) as desk:
        told = {}
        for origin, cross in ((desk.portal, True), (desk.portal, False)):
            await desk.window.grant_permissions(["local-network-access"], origin=origin)
            page = await desk.open(origin)
            told[origin, cross] = await page.evaluate(PIXELS, [desk.address, cross])
        answer = json.loads(told[desk.portal, True])
        assert answer["ret_code"] == 0 and answer["serverVersion"] == "1.3.4.103349"
        assert answer["cardSN"] == answer["slots"][0]["token"]["serialNumber"] != ""
        assert told[desk.portal, False] == "not loaded"
        [question] = person.questions
        assert isinstance(question, ConsentQuestion)
        assert (question.origin, question.verbs) == (desk.portal, (Verb.READ,))


@pytest.mark.slow
@pytest.mark.skipif(firefox.why_not() is not None, reason=str(firefox.why_not()))
async def test_in_firefox_a_page_reads_the_image_and_signs_through_the_popup(
    tmp_path: Path, identities: list[PortalTls]
) -> None:
    def drive(portal: str, address: str) -> tuple[str, str, dict[str, Any]]:
        profile = firefox.make_profile(tmp_path / "firefox", "new")
        trust_in(profile, identities[0].authority)
        there = {"network.dns.localDomains": HOSTS[0]}
        with firefox.firefox(tmp_path / "firefox", profile, there) as browser:
            browser.get(portal)
            read = f"({PIXELS})([arguments[0], arguments[1]]).then(arguments[2])"
            named, unnamed = (browser.execute_async_script(read, address, cross) for cross in (True, False))
            wanted = {**LOGIN, "tbs": quote(ESCAPED)}
            browser.execute_script("[window.agent, window.wanted] = arguments;", address, wanted)
            browser.find_element("id", "go").click()
            heard = "const look = (done) => heard[1] ? done(heard[1].data) : setTimeout(look, 50, done);"
            return named, unnamed, json.loads(browser.execute_async_script(f"{heard} look(arguments[0]);"))

    async with (
        site(HOSTS[0], identities[0], site_ports()[0]) as portal,
        running_agent(tmp_path / "agent", ("citizen",)) as agent,
    ):
        address = f"http://localhost:{agent.daemon.hipki_port}"
        named, unnamed, signed = await asyncio.to_thread(drive, portal, address)
    assert json.loads(named)["cardSN"] == signed["cardSN"]
    assert unnamed == "not loaded"
    assert check_cms(base64.b64decode(signed["signature"]), tmp_path) == ESCAPED.encode()


async def test_a_refusal_in_a_window_is_a_sentence(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open(desk.evil)
        async with desk.window.expect_page() as opened:
            await page.evaluate(FORGE, [desk.address, json.dumps(LOGIN)])
        shown = await opened.value
        await shown.wait_for_selector("h1")
        assert "不被允許" in await shown.inner_text("h1")
        await shown.goto(f"{desk.address}/addDomain?domain={desk.evil}")
        assert "沒有加入任何網站" in await shown.inner_text("h1")
        session = await desk.window.new_cdp_session(shown)
        await session.send("Page.setBypassCSP", {"enabled": True})
        await shown.evaluate(axe.source())
        assert axe.serious(await shown.evaluate(axe.AUDIT)) == []


async def test_an_answer_does_not_follow_the_opener_to_another_site(set_desk: SetDesk) -> None:
    person = Thoughtful()
    async with set_desk(person=person) as desk:
        page = await desk.open(desk.portal, {**LOGIN, "pin": ""})
        popup = await desk.click(page)
        await asyncio.wait_for(person.asked.wait(), LIMIT)
        await page.goto(desk.evil)
        person.thought.set()
        await popup.wait_for_event("close")
        await page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
        assert await page.evaluate("heard") == []


async def test_a_message_that_does_not_come_from_the_opener_is_not_taken(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open(desk.portal)  # it answers nothing by itself
        popup = await desk.click(page)
        await page.wait_for_function("heard.length === 1")
        await popup.evaluate("(text) => window.postMessage(text, '*')", json.dumps(LOGIN))
        await page.evaluate(
            """([site, text]) => new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.onload = () => done();
                frame.src = site;
                document.body.append(frame);
            })""",
            [desk.evil, ""],
        )
        [frame] = [frame for frame in page.frames if frame.url.startswith(desk.evil)]
        found = "(text) => { const other = window.open('', 'hipki'); other?.postMessage(text, '*'); }"
        await frame.evaluate(found, json.dumps(LOGIN))
        await popup.evaluate("() => new Promise((done) => setTimeout(done, 300))")
        assert await popup.get_attribute("#main", "data-state") == "waiting"
        assert desk.agent.interaction.questions == []
        # And the opener is still served.
        await page.evaluate("([text, to]) => popup.postMessage(text, to)", [json.dumps(LOGIN), desk.address])
        await page.wait_for_function("heard.length === 2")
        assert json.loads((await page.evaluate("heard"))[1]["data"])["ret_code"] == 0


async def test_a_popup_that_is_cut_off_says_what_to_do(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open(desk.severed)
        async with desk.window.expect_page() as opened:
            await page.click("#go")
        for popup in (await opened.value, await desk.window.new_page()):
            if popup.url != f"{desk.address}/popupForm":
                await popup.goto(f"{desk.address}/popupForm")
            await popup.wait_for_selector("#next:not([hidden])")
            assert "same-origin-allow-popups" in await popup.inner_text("#next")
        assert await page.evaluate("heard") == []
