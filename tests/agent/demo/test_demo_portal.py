from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from agent.demo.login_forms import TrustedIssuers
from agent.demo.pages import ASSETS, PAGES, SITE, render
from agent.demo.portal import AgentAddress, DemoPortal
from tests.support.portal_holder import INSTITUTION, Holder
from tests.support.software_card import root, rsa_key

ORIGIN = "http://localhost:8480"
FORM = {
    "place": "示範區衛生所",
    "firstDay": "2030-03-01",
    "lastDay": "2030-03-01",
    "begins": "09:00",
    "ends": "12:00",
}


class Browser:
    """One browser at the portal's pages: a cookie jar, and the CSRF secret its page was given."""

    def __init__(self, portal: DemoPortal) -> None:
        self.client = TestClient(TestServer(portal.application()))
        self.csrf = ""

    async def open(self) -> Browser:
        await self.client.start_server()
        answer = await (await self.client.get("/api/session")).json()
        self.csrf = answer["csrf"]
        return self

    async def post(self, path: str, body: object = None, **headers: str) -> ClientResponse:
        given = {"Origin": ORIGIN, "X-CSRF-Token": self.csrf} | headers
        return await self.client.post(path, json={} if body is None else body, headers=given)

    async def nonce(self) -> str:
        return str((await (await self.post("/api/nonce")).json())["nonce"])

    async def log_in(self, holder: Holder, role: str = "personnel") -> ClientResponse:
        token = holder.token(ORIGIN, await self.nonce())
        answer = await self.post("/api/login", {"role": role, "token": token})
        if answer.status == 200:
            self.csrf = (await answer.json())["csrf"]
        return answer


async def error_of(answer: ClientResponse) -> tuple[int, str]:
    return answer.status, (await answer.json())["error"]["id"]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    opened = await Browser(DemoPortal(ORIGIN, TrustedIssuers((root(),)))).open()
    yield opened
    await opened.client.close()


async def test_a_card_logs_in_and_its_signature_of_the_form_is_verified(browser: Browser) -> None:
    holder = Holder()
    answer = await browser.log_in(holder)
    assert answer.status == 200
    who = (await answer.json())["signedIn"]
    assert (who["name"], who["cardNumber"], who["role"]) == ("測試人員卡", "000000335361", "personnel")
    prepared = await (await browser.post("/api/prepare", FORM)).json()
    signature = holder.sign(prepared["document"].encode())
    answer = await browser.post("/api/sign", {"signature": base64.b64encode(signature).decode()})
    assert answer.status == 200
    receipt = await (await browser.client.get("/api/result")).json()
    assert receipt["number"] == prepared["number"]
    assert receipt["document"] == prepared["document"]
    assert receipt["holder"] == "測試人員卡"


async def test_an_institution_logs_in_with_its_own_card(browser: Browser) -> None:
    answer = await browser.log_in(Holder(INSTITUTION), "institution")
    assert answer.status == 200


async def test_an_institution_card_is_not_a_person(browser: Browser) -> None:
    assert await error_of(await browser.log_in(Holder(INSTITUTION))) == (403, "card.not_personnel")


async def test_a_persons_card_is_not_an_institution(browser: Browser) -> None:
    assert await error_of(await browser.log_in(Holder(), "institution")) == (403, "card.not_institution")


async def test_a_token_sent_twice_is_refused(browser: Browser) -> None:
    token = Holder().token(ORIGIN, await browser.nonce())
    assert (await browser.post("/api/login", {"role": "institution", "token": token})).status == 403
    answer = await browser.post("/api/login", {"role": "personnel", "token": token})
    assert await error_of(answer) == (403, "nonce.unknown")


async def test_a_token_over_an_older_nonce_is_refused(browser: Browser) -> None:
    token = Holder().token(ORIGIN, await browser.nonce())
    await browser.nonce()
    answer = await browser.post("/api/login", {"role": "personnel", "token": token})
    assert await error_of(answer) == (403, "token.refused")


async def test_a_token_made_for_another_site_is_refused(browser: Browser) -> None:
    token = Holder().token("https://stranger.example", await browser.nonce())
    answer = await browser.post("/api/login", {"role": "personnel", "token": token})
    assert await error_of(answer) == (403, "token.refused")


@pytest.mark.parametrize(
    ("holder", "refusal"),
    [
        pytest.param({"issuer_key": "stranger"}, "certificate.refused", id="another authority"),
        pytest.param({"ends": timedelta(seconds=-5)}, "certificate.expired", id="expired"),
    ],
)
async def test_a_certificate_that_is_not_trusted_does_not_log_in(
    browser: Browser, holder: dict[str, Any], refusal: str
) -> None:
    rsa_key("stranger")
    assert await error_of(await browser.log_in(Holder(**holder))) == (403, refusal)


async def test_a_signature_of_another_text_is_refused_and_the_right_one_still_taken(browser: Browser) -> None:
    holder = Holder()
    await browser.log_in(holder)
    prepared = await (await browser.post("/api/prepare", FORM)).json()
    wrong = base64.b64encode(holder.sign(prepared["document"].replace("09:00", "08:00").encode())).decode()
    assert await error_of(await browser.post("/api/sign", {"signature": wrong})) == (403, "signature.refused")
    assert await error_of(await browser.client.get("/api/result")) == (404, "result.unknown")
    right = base64.b64encode(holder.sign(prepared["document"].encode())).decode()
    assert (await browser.post("/api/sign", {"signature": right})).status == 200
    assert await error_of(await browser.post("/api/sign", {"signature": right})) == (409, "form.unknown")


async def test_nobody_prepares_or_signs_without_logging_in(browser: Browser) -> None:
    for path in ("/api/prepare", "/api/sign"):
        assert await error_of(await browser.post(path)) == (401, "session.expired")
    assert await error_of(await browser.client.get("/api/result")) == (401, "session.expired")


@pytest.mark.parametrize("path", ["/apply", "/result", "/welcome"])
async def test_pages_behind_the_log_in_send_a_stranger_to_the_front(browser: Browser, path: str) -> None:
    answer = await browser.client.get(path, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://stranger.example"}, id="another site's page"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
        pytest.param({"X-CSRF-Token": "wrong"}, id="the wrong secret"),
        pytest.param({"X-CSRF-Token": ""}, id="no secret"),
        pytest.param({"Content-Type": "text/plain"}, id="what a plain form can send"),
    ],
)
async def test_only_the_portals_own_page_may_ask_for_anything(
    browser: Browser, headers: dict[str, str]
) -> None:
    given = {"Origin": ORIGIN, "X-CSRF-Token": browser.csrf, "Content-Type": "application/json"} | headers
    answer = await browser.client.post("/api/nonce", data=b"{}", headers=given)
    assert await error_of(answer) == (403, "csrf.refused")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 20000,
        b'{"role": "personnel"}',
        b'{"role": ["x"], "token": {}}',
        b'{"role": "root", "token": {}}',
        b'{"role": "personnel", "token": "text"}',
    ],
)
async def test_what_is_no_log_in_is_answered_with_a_sentence(browser: Browser, body: bytes) -> None:
    await browser.nonce()
    given = {"Origin": ORIGIN, "X-CSRF-Token": browser.csrf, "Content-Type": "application/json"}
    answer = await browser.client.post("/api/login", data=body, headers=given)
    assert await error_of(answer) == (400, "request.malformed")


async def test_a_body_too_large_is_not_read(browser: Browser) -> None:
    answer = await browser.post("/api/nonce", {"x": "x" * 40_000})
    assert answer.status == 413


async def test_logging_in_changes_the_session_and_logging_out_ends_it(browser: Browser) -> None:
    jar = browser.client.session.cookie_jar
    before = {cookie.key: cookie.value for cookie in jar}
    await browser.log_in(Holder())
    after = {cookie.key: cookie.value for cookie in jar}
    assert before.keys() == after.keys() == {"demo"}
    assert before != after
    await browser.post("/api/logout")
    answer = await browser.client.get("/api/session", cookies=after)
    assert (await answer.json())["signedIn"] is None


async def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites() -> None:
    browser = Browser(DemoPortal("https://portal.example.test", TrustedIssuers(())))
    await browser.client.start_server()
    answer = await browser.client.get("/api/session")
    cookie = answer.headers["Set-Cookie"]
    await browser.client.close()
    assert cookie.startswith("__Host-demo=")
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


@pytest.mark.parametrize("path", ["/", "/static/style.css", "/api/session", "/api/result", "/nothing"])
async def test_every_answer_carries_the_fence(browser: Browser, path: str) -> None:
    headers = (await browser.client.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "ws://127.0.0.1:56440" in policy["connect-src"].split()
    assert "wss://localhost:56445" in policy["connect-src"].split()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


async def test_pages_may_reach_the_agent_only_where_it_listens() -> None:
    sources = AgentAddress(plain_port=1234, tls_ports=(5678,)).sources().split()
    assert len(sources) == len(set(sources)) == 8
    assert all(
        re.fullmatch(r"(http|ws)://(localhost|127\.0\.0\.1):1234|(https|wss)://.*:5678", one)
        for one in sources
    )


@pytest.mark.parametrize(
    "name", ["..%2Fportal.py", "%2e%2e/portal.py", "portal.py", "login.html", "frame.html", ""]
)
async def test_only_the_sites_own_files_are_served(browser: Browser, name: str) -> None:
    assert (await browser.client.get(f"/static/{name}")).status == 404


@pytest.mark.parametrize("path", sorted(PAGES))
def test_no_page_needs_anything_from_outside_or_runs_anything_inline(path: str) -> None:
    html = render(PAGES[path])
    assert "{{" not in html
    assert not re.search(r"(?i)(src|href)=[\"']?(https?:)?//", html)
    assert not re.search(r"(?i)\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", html)
    for found in re.findall(r'(?:src|href)="/static/([^"]+)"', html):
        assert found in ASSETS
    assert '<html lang="zh-Hant">' in html
    assert "示範網站" in html and "這不是政府網站" in html


def test_every_file_of_the_site_is_served_as_one_of_its_pages_or_assets() -> None:
    parts = {SITE / f"{page.name}.html" for page in PAGES.values()} | {SITE / "frame.html"}
    assert set(SITE.iterdir()) <= {path for path, _ in ASSETS.values()} | parts
    assert all(path.is_file() for path in parts)


def test_errors_say_both_languages() -> None:
    from agent.demo.errors import REFUSALS, PortalError

    for error_id in REFUSALS:
        error = json.loads(json.dumps(PortalError(error_id).to_json()))["error"]
        assert error["id"] == error_id
        assert (re.search(r"[\u4e00-\u9fff]", error["zh"]) and error["en"].isascii()) or "“" in error["en"]
