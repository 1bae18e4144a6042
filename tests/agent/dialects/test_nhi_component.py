"""The NHI component dialect over real WebSockets, on virtual readers."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType

from agent import tls
from agent.config import Config, ConfigError, LimitSettings, NhiComponentSettings, load
from agent.dialects.nhi_component.dialect import NOTICES_MAX
from agent.dialects.nhi_component.session import WAITING_MAX
from agent.dialects.nhi_component.site import SESSIONS_MAX, SESSIONS_PER_ORIGIN_MAX
from agent.dialects.nhi_component.vendor_at_port import answers_as_component
from agent.errors import table
from agent.errors.numbers.nhi_component import number_of
from agent.errors.numbers.words import number_words
from agent.interaction import ConsentQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.paths import Paths
from agent.vocabulary import Verb
from tests.support.agent import ANY_PORT, DENIED, PORTAL, running_agent
from tests.support.log import Log
from tests.support.nhi_component import BASIC, NAME, TURNED_ON, ask, component_agent, names_shown, page
from tests.support.operations import until
from tests.support.ports import free_port, free_ports
from tests.support.waiting import LIMIT

PAGE = (Path(__file__).parents[3] / "docs" / "nhi-component.md").read_text("utf-8")
STRANGER = "https://stranger.example.tw"


async def test_the_usual_flow_of_a_page(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent, page(agent) as it:
        assert await ask(it, "GetBasic") == [BASIC]
        assert await ask(it, "GetVersion") == ["GetVersion:0001"]
        [random] = await ask(it, "GetRandom")
        assert re.fullmatch(r"GetRandom:\d{16}", random)
        assert await ask(it, f"H_Sign?Random=0001{random[-16:]}") == ["8008"]


@pytest.mark.slow
async def test_random_numbers_differ(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent, page(agent) as it:
        assert len(set(await ask(it, *["GetRandom"] * 8))) == 8


async def test_commands_of_one_page_are_answered_in_their_order(tmp_path: Path) -> None:
    async with component_agent(tmp_path, delay_ms=5) as agent, page(agent) as it:
        answers = await ask(it, "GetBasic", "GetVersion", "GetBasic", "Nonsense", "GetVersion")
    assert answers == [BASIC, "GetVersion:0001", BASIC, "9999", "GetVersion:0001"]


@pytest.mark.parametrize(
    "kinds",
    [("hpc", "nhi", "citizen"), ("hop", "nhi-new"), ("nhi",)],
    ids="+".join,
)
@pytest.mark.slow
async def test_the_nhi_card_is_found_among_others_without_a_question(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    async with component_agent(tmp_path, kinds) as agent, page(agent) as it:
        [answer] = await ask(it, "GetBasic")
        assert answer.startswith("GetBasic:0000000000") and ",A100000001,測試民眾," in answer
        assert agent.interaction.questions == []


@pytest.mark.parametrize(
    ("kinds", "number"),
    [((), "8013"), (("hpc",), "7004"), (("hpc", "hop"), "7004"), (("hpc-mute",), "7004")],
    ids=["no reader", "another card", "two other cards", "a mute card"],
)
@pytest.mark.slow
async def test_without_an_nhi_card_the_answer_is_the_components_number(
    tmp_path: Path, kinds: tuple[str, ...], number: str
) -> None:
    async with component_agent(tmp_path, kinds) as agent, page(agent) as it:
        assert await ask(it, "GetBasic") == [number]


@pytest.mark.slow
async def test_an_empty_reader_is_no_card(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent, page(agent) as it:
        agent.readers[0].remove()
        assert await ask(it, "GetBasic") == ["7004"]


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ("EnCrypt?Pwd=abc123", "8011"),
        ("EnCrypt?Pwd=abcdef123456", "8011"),
        ("EnCrypt?Pwd=abc12", "8009"),
        ("EnCrypt?Pwd=abcdef1234567", "8009"),
        ("EnCrypt?pwd=abc123", "8009"),
        ("EnCrypt", "8009"),
        ("SecureGetBasicWithParam?Pwd=1", "8011"),
        ("SecureGetBasicWithParam?Pwd=", "8009"),
        ("H_Sign", "8008"),
        ("getversion", "9999"),
        ("GetVersion?", "GetVersion:0001"),
        ("GetVersion?x=1", "9999"),
        ("", "9999"),
        ("Exit2", "9999"),
    ],
)
@pytest.mark.slow
async def test_each_command_ends_in_its_number(tmp_path: Path, frame: str, answer: str) -> None:
    async with component_agent(tmp_path) as agent, page(agent) as it:
        assert await ask(it, frame) == [answer]


async def test_what_cannot_be_done_is_explained_once_to_the_person_and_always_in_the_log(
    tmp_path: Path, caplog: Log
) -> None:
    caplog.set_level(logging.INFO)
    async with component_agent(tmp_path) as agent, page(agent) as it:
        await ask(it, "H_Sign?Random=00011234567890123456", "EnCrypt?Pwd=secret99", "H_Sign?Random=0001")
        await until(lambda: any(PORTAL in zh for zh, _ in agent.interaction.notices))
        [(zh, en)] = [each for each in agent.interaction.notices if PORTAL in each[0]]
    assert PORTAL in zh and "健保卡的簽章" in zh and "請改用" in zh
    assert PORTAL in en and "cannot make it" in en
    said = [each.getMessage() for each in caplog.records if PORTAL in each.getMessage()]
    assert [re.findall(r"\b80\d\d\b", each) for each in said] == [["8008"], ["8011"], ["8008"]]
    assert "secret99" not in caplog.text


@pytest.mark.slow
async def test_many_sites_cannot_flood_the_person_with_notices(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent:
        for number in range(NOTICES_MAX + 4):
            async with page(agent, f"https://s{number}.example.tw") as it:
                assert await ask(it, "H_Sign?Random=0001") == ["8008"]
        assert sum("健保卡的簽章" in zh for zh, _ in agent.interaction.notices) == NOTICES_MAX


async def test_exit_ends_the_pages_own_connection_and_nothing_else(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent, page(agent) as other:
        async with page(agent) as it:
            await it.send_str("GetVersion")
            await it.send_str("Exit")
            assert await it.receive_str() == "GetVersion:0001"
            assert (await it.receive()).type is WSMsgType.CLOSE
        assert await ask(other, "GetBasic") == [BASIC]
        async with page(agent) as again:
            assert await ask(again, "GetVersion") == ["GetVersion:0001"]


async def test_a_stranger_is_asked_about_once_and_reads_nothing_after_a_no(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.READ: False})
    async with component_agent(tmp_path, interaction=person) as agent, page(agent, STRANGER) as it:
        assert await ask(it, "GetVersion", "GetBasic", "GetBasic") == ["GetVersion:0001", "9876", "9876"]
    [asked] = person.questions
    assert isinstance(asked, ConsentQuestion) and (asked.origin, asked.verb) == (STRANGER, Verb.READ)


@pytest.mark.slow
async def test_a_stranger_reads_the_card_after_a_yes(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.READ: True})
    async with component_agent(tmp_path, interaction=person) as agent, page(agent, STRANGER) as it:
        assert await ask(it, "GetBasic", "GetBasic") == [BASIC, BASIC]
    assert len(person.questions) == 1


@pytest.mark.parametrize(
    "origin", [DENIED, None, "null", "http://portal.example.tw", "https://localhost:{port}"]
)
@pytest.mark.slow
async def test_whoever_is_not_admitted_is_refused_at_the_upgrade(tmp_path: Path, origin: str | None) -> None:
    async with component_agent(tmp_path) as agent:
        shown = origin and origin.format(port=agent.daemon.nhi_ports[0])
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with page(agent, shown):
                pass
    assert caught.value.status == 403


@pytest.mark.slow
async def test_a_local_program_with_the_token_is_served(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent:
        [port] = agent.daemon.nhi_ports
        address = f"https://localhost:{port}/echo"
        async with agent.http.ws_connect(address, headers=agent.bearer) as it:
            assert await ask(it, "GetBasic") == [BASIC]


async def test_the_components_name_is_a_host_on_its_own_port_alone(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent:
        async with page(agent, host=NAME) as it:
            assert await ask(it, "GetBasic") == [BASIC]
        [port] = agent.daemon.nhi_ports

        async def status(at: int, host: str) -> int:
            headers = {"Host": host}
            async with agent.http.get(f"https://127.0.0.1:{at}/status", headers=headers) as answer:
                return answer.status

        assert await status(port, f"{NAME}:{port}") == 200
        assert await status(port, f"localhost:{port}") == 200
        assert await status(port, f"evil.example.tw:{port}") == 403
        assert await status(port, f"{NAME}.evil.example.tw:{port}") == 403
        assert await status(port, f"{NAME}:{agent.daemon.tls_port}") == 403
        assert await status(agent.daemon.tls_port, f"{NAME}:{agent.daemon.tls_port}") == 403
        assert await status(agent.daemon.tls_port, f"{NAME}:{port}") == 403


@pytest.mark.parametrize("path", ["/", "/v1", "/echo/", "/agent.js", "/popupForm"])
@pytest.mark.slow
async def test_nothing_else_is_served_there(tmp_path: Path, path: str) -> None:
    async with component_agent(tmp_path) as agent:
        [port] = agent.daemon.nhi_ports
        for method in ("GET", "POST"):
            address = f"https://localhost:{port}{path}"
            async with agent.http.request(method, address, headers={"Origin": PORTAL}) as answer:
                assert answer.status == 404
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert await answer.read() == b""


@pytest.mark.slow
async def test_a_plain_request_to_the_echo_is_no_upgrade(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent:
        [port] = agent.daemon.nhi_ports
        async with agent.http.get(f"https://localhost:{port}/echo", headers={"Origin": PORTAL}) as answer:
            assert answer.status == 426  # RFC 9110 §15.5.22


@pytest.mark.slow
async def test_frames_are_bounded_in_kind_size_number_and_rate(tmp_path: Path) -> None:
    config = replace(TURNED_ON, limits=LimitSettings(requests=1, burst=WAITING_MAX * 3))
    async with component_agent(tmp_path, config=config, delay_ms=50) as agent:
        async with page(agent) as it:
            await it.send_bytes(b"GetVersion")
            assert await it.receive_str() == "9999"
            await it.send_str("GetVersion" + "x" * 2000)
            ended = await it.receive()
            assert (ended.type, ended.data) == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
        async with page(agent) as it:
            for _ in range(WAITING_MAX + 8):
                await it.send_str("GetBasic")
            while (ended := await it.receive()).type is WSMsgType.TEXT:
                pass
            assert ended.data == WSCloseCode.POLICY_VIOLATION
        async with page(agent) as it:
            answers = []
            while "9876" not in answers:
                answers += await ask(it, "GetVersion")
            assert len(answers) < WAITING_MAX * 3


@pytest.mark.slow
async def test_connections_of_one_origin_are_bounded_at_the_expense_of_the_idle(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent:
        kept = [page(agent) for _ in range(SESSIONS_PER_ORIGIN_MAX + 1)]
        sockets = [await each.__aenter__() for each in kept]
        assert (await sockets[0].receive()).data == WSCloseCode.TRY_AGAIN_LATER
        assert await ask(sockets[-1], "GetVersion") == ["GetVersion:0001"]
        for each in kept:
            await each.__aexit__(None, None, None)
    assert SESSIONS_PER_ORIGIN_MAX < SESSIONS_MAX


async def test_a_page_that_goes_away_takes_its_question_along(tmp_path: Path) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedInteraction):
        async def ask(self, question: Question[Any]) -> Any:
            if not isinstance(question, ConsentQuestion):
                return await super().ask(question)
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                closed.set()
            return None

    async with component_agent(tmp_path, interaction=Slow()) as agent:
        async with page(agent, STRANGER) as it:
            await it.send_str("GetBasic")
            await asyncio.wait_for(asked.wait(), LIMIT)
        await asyncio.wait_for(closed.wait(), LIMIT)


# ---------------------------------------------------------------- off, on, in the way


async def test_off_by_default_nothing_listens_and_no_authority_is_made(tmp_path: Path) -> None:
    assert Config().nhi_component == NhiComponentSettings(enabled=False)
    assert 7777 in Config().nhi_component.ports
    port = free_port()
    config = replace(ANY_PORT, nhi_component=NhiComponentSettings(ports=(port,)))
    async with running_agent(tmp_path, config=config) as agent:
        assert agent.daemon.nhi_ports == () and agent.daemon.nhi_identity is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        names = {each.name for each in agent.paths.tls.iterdir()}
    assert names == {tls.CA, tls.LEAF, tls.KEY}


def test_only_the_administrator_can_turn_it_on(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home", tmp_path / "machine")
    for folder in (paths.home, paths.machine):
        folder.mkdir()
    paths.config.write_text("[nhi_component]\nenabled = true\n")
    with pytest.raises(ConfigError, match="administrator"):
        load(paths)
    paths.config.rename(paths.policy)
    assert load(paths).nhi_component.enabled


@pytest.mark.slow
async def test_every_port_listed_is_taken(tmp_path: Path) -> None:
    ports = tuple(free_ports(2))
    config = replace(ANY_PORT, nhi_component=NhiComponentSettings(enabled=True, ports=ports))
    async with component_agent(tmp_path, config=config) as agent:
        assert agent.daemon.nhi_ports == ports


@pytest.mark.slow
async def test_a_port_that_the_vendors_component_holds_is_told_and_the_agent_runs(tmp_path: Path) -> None:
    async with component_agent(tmp_path / "first") as vendor:
        [port] = vendor.daemon.nhi_ports
        config = replace(ANY_PORT, nhi_component=NhiComponentSettings(enabled=True, ports=(port,)))
        async with running_agent(tmp_path / "second", config=config) as agent:
            [conflict] = agent.daemon.conflicts
            assert conflict.port == port
            assert agent.daemon.nhi_ports == ()
            async with agent.page() as native:
                assert (await native.call("agent.hello"))["agent"] == "hca-agent"
            assert any(str(port) in zh for zh, _ in agent.interaction.notices)


@pytest.mark.slow
async def test_the_vendors_component_is_known_by_its_version(tmp_path: Path) -> None:
    from aiohttp import web

    answer = "GetVersion:0001"

    async def echo(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for _ in opened:
            await opened.send_str(answer)
        return opened

    application = web.Application()
    application.router.add_get("/echo", echo)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    context = tls.ensure(tmp_path).context()
    await web.SockSite(runner, listener, ssl_context=context).start()
    port = listener.getsockname()[1]
    try:
        assert await asyncio.to_thread(answers_as_component, port)
        answer = "hello"
        assert not await asyncio.to_thread(answers_as_component, port)
    finally:
        await runner.cleanup()
    assert not await asyncio.to_thread(answers_as_component, port)


# ---------------------------------------------------------------- certificates


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda each: each.name
)
@pytest.mark.slow
async def test_each_name_is_shown_its_own_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with component_agent(tmp_path) as agent:
        [port] = agent.daemon.nhi_ports
        named = agent.daemon.nhi_identity
        assert named is not None
        usual, special = (
            ssl.PEM_cert_to_DER_cert(each.leaf.read_text()) for each in (agent.daemon.identity, named)
        )
        shown = {
            name: await asyncio.to_thread(names_shown, port, name, version)
            for name in (None, "localhost", NAME, f"x.{NAME}", "other.example")
        }
        assert shown == {
            None: usual, "localhost": usual, NAME: special, f"x.{NAME}": usual, "other.example": usual,
        }  # fmt: skip
        assert await asyncio.to_thread(names_shown, agent.daemon.tls_port, NAME, version) == usual


# ---------------------------------------------------------------- numbers


def test_every_error_ends_in_a_number_of_the_component() -> None:
    numbers = set(number_words("nhi_component"))
    assert {number_of(row) for row in table().values()} <= numbers
    assert numbers == {
        4061,
        7004,
        8001,
        8002,
        *range(8005, 8012),
        8013,
        9876,
        9999,
    }


@pytest.mark.parametrize(
    ("error_id", "number"),
    [
        ("reader.none", 8013),
        ("service.unavailable", 8013),
        ("card.none", 7004),
        ("card.wrong_kind", 7004),
        ("card.malformed", 8001),
        ("consent.refused", 9876),
        ("busy", 9876),
        ("internal", 9876),
        ("host.unreachable", 4061),
        ("request.unknown_method", 9999),
    ],
)
def test_errors_end_in_the_number_that_pages_expect(error_id: str, number: int) -> None:
    assert number_of(table()[error_id]) == number


def test_the_documentation_has_the_same_words() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    assert rows == [
        f"| {row.number} | {row.zh} | {row.en} | {row.next_zh} | {row.next_en} |"
        for row in number_words("nhi_component").values()
    ]
