"""The recorded pages over HTTPS, on one connection that stays open, byte for byte as a browser sends them."""

import asyncio
import http.client
import ssl
from dataclasses import replace
from typing import Any

import pytest

from agent.config import Config, HipkiSettings, LimitSettings, PortSettings, ServiSignSettings
from agent.interaction import ConsentQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.server.http import DOCUMENT_BODY_BYTES_MAX
from tests.support.agent import running_agent
from tests.support.servisign_page import NHI_PATH_ID, Page, body_of, reply_of
from tests.support.servisign_traces import (
    MESSAGE,
    certificate_in,
    e_service_login,
    environment_check,
    environment_check_nhi,
)
from tests.support.waiting import LIMIT

PORTAL = "https://e-service.mohw.gov.tw"
CONFIG = Config(
    ports=PortSettings(native=0), hipki=HipkiSettings(port=0), servisign=ServiSignSettings(ports=(0,))
)


class Browser:
    """One TLS connection, used for request after request; never opened a second time.

    Attributes:
        requests: how many it has carried.
    """

    def __init__(self, host: str, port: int, authority: str) -> None:
        context = ssl.create_default_context(cafile=authority)
        self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=120)
        self._connection.connect()
        self._connection.auto_open = False
        self._host = f"{host}:{port}"
        self.requests = 0

    async def handle(self, origin: str, body: bytes) -> bytes:
        return await asyncio.to_thread(self._post, origin, body)

    def _post(self, origin: str, body: bytes) -> bytes:
        self._connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        for name, value in (
            ("Host", self._host),
            ("Connection", "keep-alive"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "*/*"),
            ("Origin", origin),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Dest", "empty"),
            ("Referer", origin + "/"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ):
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        answer = response.read()
        self.requests += 1
        assert response.status == 200
        assert response.version == 11
        assert response.headers.get_all("Access-Control-Allow-Origin") == [origin]
        assert "Origin" in response.headers["Vary"]
        assert response.headers.get_all("Content-Length") == [str(len(answer))]
        assert response.headers["Content-Encoding"] is None
        assert response.headers["Transfer-Encoding"] is None
        assert response.headers["Via"] is None
        assert response.headers["Connection"] in (None, "keep-alive")
        return answer

    def close(self) -> None:
        self._connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("generation", [2020, 2022])
async def test_both_recorded_pages_work_on_one_connection(tmp_path, host, generation):
    async with running_agent(tmp_path, ("hpc",), config=CONFIG) as agent:
        browser = await asyncio.to_thread(Browser, host, agent.daemon.tls_port, str(agent.daemon.identity.ca))
        pages = tuple(Page(browser.handle, PORTAL, generation=generation) for _ in range(2))
        posted = await e_service_login(pages, "123456")
        assert int(posted.serial, 16) == certificate_in(posted.certificate).serial_number
        shown = await environment_check(
            Page(browser.handle, "https://hcadevelopers.mohw.gov.tw", generation=generation), "123456"
        )
        assert shown.decrypted == MESSAGE
        shown = await environment_check_nhi(
            Page(
                browser.handle,
                "https://hcadevelopers.mohw.gov.tw",
                generation=generation,
                path_id=NHI_PATH_ID,
            ),
            "123456",
        )
        assert shown.decrypted == MESSAGE
        assert browser.requests > 100
        browser.close()


async def test_a_release_gets_through_while_a_call_waits_for_the_person(tmp_path):
    class Slow(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, ConsentQuestion):
                return await super().ask(question)
            asked.set()
            await answered.wait()
            return await super().ask(question)

    asked, answered = asyncio.Event(), asyncio.Event()
    async with running_agent(tmp_path, ("hpc",), config=CONFIG, interaction=Slow()) as agent:
        first, second = [
            await asyncio.to_thread(
                Browser, "localhost", agent.daemon.tls_port, str(agent.daemon.identity.ca)
            )
            for _ in range(2)
        ]
        page, leaving = Page(first.handle, PORTAL), Page(second.handle, PORTAL)
        await page.echo()
        leaving.session_id = page.session_id
        opening = asyncio.ensure_future(page.call("ATL_InitModule", moduleName="x", initArgs=""))
        await asyncio.wait_for(asked.wait(), LIMIT)
        assert await leaving.call("ServiSignRelease") == "0"
        answered.set()
        assert await opening == "1"
        assert await leaving.error() == "61012"
        first.close()
        second.close()


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": PORTAL}


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        (FORM | {"Content-Type": "text/plain"}, b"Parameter=e30%3D", 415, "61005"),
        (FORM | {"Content-Encoding": "gzip"}, b"Parameter=e30%3D", 415, "61005"),
        (FORM, b"Parameter=" + b"A" * DOCUMENT_BODY_BYTES_MAX, 413, "61005"),
    ],
)
async def test_a_request_that_is_not_read_still_has_a_result_of_its_own(
    tmp_path, headers, body, status, code
):
    async with (
        running_agent(tmp_path, ("hpc",), config=CONFIG) as agent,
        agent.http.post(agent.tls, data=body, headers=headers) as response,
    ):
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == PORTAL
        assert reply_of(await response.read()) == {"result": code}


async def test_a_page_that_asks_too_often_is_told_busy_in_its_own_words(tmp_path):
    config = replace(CONFIG, limits=LimitSettings(requests=1, burst=2))
    async with running_agent(tmp_path, ("hpc",), config=config) as agent:
        seen = []
        for _ in range(3):
            async with agent.http.post(
                agent.tls, data=body_of({"functionname": "Echo"}), headers=FORM
            ) as response:
                seen.append((response.status, reply_of(await response.read())["result"]))
        assert seen == [(200, "0"), (200, "0"), (429, "61010")]
