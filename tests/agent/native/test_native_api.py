"""The native API over real sockets, on real operations with simulated cards."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder
from cryptography.x509 import load_der_x509_certificate

from agent.config import Config, ConsentSettings, PortSettings, ServiSignSettings
from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from agent.native import api, limits, session
from agent.native.limits import API
from agent.native.methods import METHODS
from agent.vocabulary import Verb
from hca_card.pin import Pin
from hca_card.simulator import SimulatedCard
from signing.login import validate_token
from tests.support.agent import DENIED, ORIGINS, PORTAL, Page, RunningAgent, running_agent
from tests.support.cards import simulated, simulator_ca
from tests.support.hipki import check_cms
from tests.support.operations import until
from tests.support.pdfs import pdf
from tests.support.waiting import LIMIT

UNKNOWN = "https://never.seen.example"


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def nonce() -> str:
    return b64(secrets.token_bytes(32))


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path) as running:
        yield running


async def test_it_speaks_on_both_ports_to_pages_and_to_local_programs(agent: RunningAgent) -> None:
    for base in (agent.clear, agent.tls):
        for origin in (PORTAL, None):
            async with agent.page(origin, base) as page:
                hello = await page.call("agent.hello")
                assert hello["agent"] == "hca-agent"
                assert hello["api"] == API
                known = [name for name, method in METHODS.items() if origin is None or not method.programs]
                assert hello["capabilities"] == known
                assert hello["simulated"] is True


@pytest.mark.parametrize(
    "headers", [{"Origin": DENIED}, {"Origin": "null"}, {}, {"Authorization": "Bearer no"}]
)
async def test_an_upgrade_from_whom_we_do_not_admit_is_403(
    agent: RunningAgent, headers: dict[str, str]
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with agent.http.ws_connect(f"{agent.tls}/v1", headers=headers):
            pass
    assert caught.value.status == 403


async def test_a_page_reads_its_card(agent: RunningAgent) -> None:
    async with agent.page() as page:
        (reader,) = (await page.call("readers.list"))["readers"]
        assert (reader["state"], reader["virtual"]) == ("card", True)
        card = await page.call("card.read", reader=reader["name"])
        assert card["kind"] == "hpc"
        assert card["kindText"] == {"zh": "醫事人員卡", "en": "HCA personnel card"}
        assert card["serial"] == "000000335361"
        assert card["simulated"] is True
        assert card["holder"]["holderType"] == "personnel"
        assert card["holder"]["name"] == "測試人員卡"
        assert card["holder"]["englishName"] == "TEST CARD"
        assert card["info"]["activated"] is True
        assert card["pin"] == {"triesLeft": 3, "locked": False, "minLength": 6, "maxLength": 8}
        assert await page.call("pin.status") == card["pin"]


async def test_the_certificates_come_with_what_they_say(agent: RunningAgent) -> None:
    async with agent.page() as page:
        found = (await page.call("certificates.list"))["certificates"]
    signature = next(each for each in found if each["use"] == "signature")
    assert signature["index"] == 1
    assert "HCA-AGENT SIMULATOR" in signature["issuer"]
    assert "測試人員卡" in signature["subject"]
    assert signature["notBefore"].endswith("Z")
    assert base64.b64decode(signature["certificate"])[0] == 0x30


async def test_a_login_token_holds_for_the_origin_that_asked(agent: RunningAgent) -> None:
    challenge = nonce()
    async with agent.page() as page:
        token = await page.call("authenticate", nonce=challenge)
    assert token["format"] == "web-eid:1.0"
    ca = simulator_ca()
    holder = validate_token(
        token, origin=PORTAL, nonce=challenge, trusted_roots=ca.roots, intermediates=ca.intermediates
    )
    assert holder is not None


async def test_a_local_program_cannot_make_a_login_for_a_portal(agent: RunningAgent) -> None:
    async with agent.page(None) as page:
        assert (await page.failing("authenticate", nonce=nonce()))["data"]["id"] == "origin.refused"
    assert agent.interaction.questions == []


@pytest.mark.slow
async def test_what_the_card_signed_verifies_and_what_was_changed_does_not(agent: RunningAgent) -> None:
    document = "報備支援".encode()
    async with agent.page() as page:
        signed = await page.call("sign", document=b64(document))
        assert (signed["format"], signed["hash"]) == ("pkcs1", "SHA-256")
        check = {"signature": signed["signature"], "certificate": signed["certificate"]}
        told = await page.call("verify", document=b64(document), **check)
        assert told["valid"] is True
        # The simulator of the tests is not the one that this agent keeps: what fits is not yet believed.
        assert told["report"]["verdict"] == "cannot-be-decided"
        verdict = await page.call("verify", document=b64(document + b"!"), **check)
    assert verdict["valid"] is False
    assert verdict["error"]["id"] == "signature.invalid"


@pytest.mark.parametrize("detached", [False, True])
async def test_a_cms_signature_is_verified_by_openssl(
    agent: RunningAgent, tmp_path: Path, detached: bool
) -> None:
    document = "報備支援".encode()
    (tmp_path / "document").write_bytes(document)
    async with agent.page() as page:
        signed = await page.call("sign", document=b64(document), format="cms", detached=detached)
    assert signed["format"] == "cms"
    der = base64.b64decode(signed["signature"])
    assert (document in der) is not detached
    assert (
        check_cms(der, tmp_path, *(["-content", str(tmp_path / "document")] if detached else [])) == document
    )


@pytest.mark.parametrize(
    ("format_", "document", "kind"),
    [
        pytest.param("cades", "報備支援".encode(), "cms", marks=pytest.mark.slow),
        ("xades", "<申請>支援</申請>".encode(), "xml"),
        pytest.param("pades", pdf("support"), "pdf", marks=pytest.mark.slow),
        ("jws", "報備支援".encode(), "jws"),
    ],
    ids=["cades", "xades", "pades", "jws"],
)
async def test_a_page_has_documents_signed_in_the_formats_that_last(
    agent: RunningAgent, format_: str, document: bytes, kind: str
) -> None:
    async with agent.page() as page:
        signed = await page.call("sign", document=b64(document), format=format_, name="轉診單")
        [asked] = [each for each in agent.interaction.questions if isinstance(each, PinQuestion)]
        assert asked.document is not None and asked.document.name == "轉診單"
        assert (signed["format"], signed["level"]) == (format_, "B-B")
        whole = signed["signature"]
        beside = {"document": b64(document), "signature": whole} if kind == "cms" else {"document": whole}
        told = await page.call("verify", **beside)
    [found] = told["report"]["signatures"]
    assert (told["report"]["kind"], found["format"], found["unchanged"]) == (kind, format_, True)
    assert found["signer"]["simulated"] is True


async def test_what_is_encrypted_for_the_card_is_decrypted_by_it(agent: RunningAgent) -> None:
    async with agent.page() as page:
        sealed = await page.call("encrypt", data=b64(b"session key"))
        opened = await page.call("decrypt", cipher=sealed["cipher"])
    assert base64.b64decode(opened["data"]) == b"session key"


async def test_cms_has_no_such_limit_and_any_change_of_it_is_found(agent: RunningAgent) -> None:
    text = b64(b"a record" * 20_000)
    async with agent.page() as page:
        own = (await page.call("certificates.list"))["certificates"][2]["certificate"]
        sealed = (await page.call("encrypt", data=text, format="cms", certificates=[own]))["cipher"]
        assert (await page.call("decrypt", cipher=sealed, format="cms"))["data"] == text
        sealed = (await page.call("encrypt", data=text, format="cms"))["cipher"]
        changed = bytearray(base64.b64decode(sealed))
        changed[-100] ^= 1
        holder = load_der_x509_certificate(base64.b64decode(own))
        cbc = PKCS7EnvelopeBuilder().set_data(b"x").add_recipient(holder).encrypt(Encoding.DER, [])
        for cipher, error_id in [
            (bytes(changed), "cipher.damaged"),
            (bytes(300), "cipher.format"),
            (cbc, "cipher.unprotected"),
        ]:
            failed = await page.failing("decrypt", cipher=b64(cipher), format="cms")
            assert failed["data"]["id"] == error_id


async def test_a_document_of_megabytes_can_be_signed(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.call("sign", document=b64(b"x" * (5 * 1024 * 1024)))


async def test_a_wrong_pin_says_how_many_tries_are_left(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["999999"])
    async with running_agent(tmp_path, interaction=person) as agent, agent.page() as page:
        error = await page.failing("sign", document=b64(b"text"))
        assert error["data"]["id"] == "pin.wrong"
        assert error["data"]["triesLeft"] == 2
        assert error["code"] == -32003
        assert error["message"] == error["data"]["en"]
        assert set(error["data"]) == {"id", "zh", "en", "nextZh", "nextEn", "triesLeft"}
        assert (await page.call("pin.status"))["triesLeft"] == 2


@pytest.mark.parametrize(
    ("method", "params", "error_id"),
    [
        ("authenticate", {"nonce": "short"}, "nonce.invalid"),
        ("authenticate", {"nonce": 5}, "request.parameters"),
        ("authenticate", {}, "request.parameters"),
        ("authenticate", {"nonce": "x", "origin": "https://other.example"}, "request.unknown_member"),
        ("sign", {}, "request.parameters"),
        ("sign", {"document": "AA==", "digest": b64(bytes(32))}, "request.parameters"),
        ("sign", {"document": "not base64"}, "request.parameters"),
        ("sign", {"document": "AA==", "format": "pgp"}, "request.parameters"),
        ("sign", {"document": "AA==", "format": "pades", "detached": True}, "request.parameters"),
        ("sign", {"document": "AA==", "format": "jws", "level": "B-T"}, "request.parameters"),
        ("sign", {"document": "AA==", "level": "B-T"}, "request.parameters"),
        ("sign", {"document": "AA==", "format": "cades", "level": "B-T"}, "evidence.unavailable"),
        ("sign", {"digest": b64(bytes(32)), "format": "cades"}, "request.parameters"),
        ("sign", {"document": "AA==", "format": "cades", "page": 1}, "request.parameters"),
        ("sign", {"digest": b64(bytes(32)), "format": "cms"}, "request.parameters"),
        ("sign", {"document": "AA==", "hash": "MD5"}, "request.parameters"),
        ("sign", {"document": "AA==", "pin": "123456"}, "request.unknown_member"),
        ("sign", {"digest": b64(bytes(32))}, "digest.refused"),
        ("sign", {"document": b64(bytes(64))}, "document.refused"),
        ("card.read", {"reader": "no such reader"}, "reader.unavailable"),
        ("card.read", {"reader": ""}, "request.parameters"),
        ("card.read", {"reader": "x" * 300}, "request.parameters"),
        ("agent.hello", {"x": 1}, "request.unknown_member"),
        ("decrypt", {"cipher": b64(bytes(5000))}, "request.parameters"),
        ("encrypt", {"data": "AA==", "certificate": "AA=="}, "certificate.malformed"),
        ("eval", {}, "request.unknown_method"),
        ("__class__", {}, "request.unknown_method"),
    ],
)
async def test_a_faulty_request_costs_nothing_and_says_what_is_wrong(
    agent: RunningAgent, method: str, params: dict[str, object], error_id: str
) -> None:
    async with agent.page() as page:
        error = await page.failing(method, **params)
        assert error["data"]["id"] == error_id
        assert error["data"]["zh"]
        assert error["data"]["nextZh"]
        assert agent.interaction.questions == []
        assert (await page.call("pin.status"))["triesLeft"] == 3


@pytest.mark.parametrize(
    ("frame", "error_id", "code"),
    [
        (b"{", "request.not_json", -32700),
        (b"", "request.not_json", -32700),
        (b"[" * 100_000, "request.batch", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 100_000, "request.not_json", -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"agent.hello"}]', "request.batch", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"agent.hello","extra":1}', "request.unknown_member", -32602),
        (b'{"jsonrpc":"1.0","id":1,"method":"agent.hello"}', "request.malformed", -32600),
        (b'{"jsonrpc":"2.0","method":"agent.hello"}', "request.malformed", -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"agent.hello"}', "request.malformed", -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"agent.hello"}', "request.malformed", -32600),
        (b'"agent.hello"', "request.malformed", -32600),
    ],
)  # fmt: skip
async def test_a_frame_that_is_no_request_has_an_error_of_its_own_and_the_connection_lives(
    agent: RunningAgent, frame: bytes, error_id: str, code: int
) -> None:
    async with agent.page() as page:
        await page.socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
        message = await page.answer(None)
        assert message["error"]["data"]["id"] == error_id
        assert message["error"]["code"] == code
        assert (await page.call("agent.hello"))["agent"] == "hca-agent"


async def test_parameters_by_position_are_refused(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.socket.send_str('{"jsonrpc":"2.0","id":"a","method":"card.read","params":[]}')
        assert (await page.answer("a"))["error"]["data"]["id"] == "request.parameters"


async def test_a_binary_frame_is_refused(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.socket.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"agent.hello"}')
        assert (await page.answer(None))["error"]["data"]["id"] == "request.binary"


async def test_only_what_carries_a_document_may_be_large(agent: RunningAgent) -> None:
    async with agent.page() as page:
        error = await page.failing("card.read", reader="x" * (1024 * 1024))
        assert error["data"]["id"] == "request.too_large"


async def test_a_frame_beyond_every_limit_ends_the_connection_with_its_code(
    agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FRAME_BYTES_MAX", 100_000)
    async with agent.page() as page:
        await page.socket.send_str("x" * 200_000)
        assert await page.end() == 1009


async def test_two_connections_and_their_requests_run_at_once(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, ["hpc", "hop"]) as agent,
        agent.page() as one,
        agent.page(UNKNOWN, agent.tls) as other,
    ):
        first, second = (reader.name for reader in agent.readers)
        asked = [
            (page, await page.send("card.read", reader=name))
            for page in (one, other)
            for name in (first, second)
        ]
        kinds = [(await page.answer(number))["result"]["kind"] for page, number in asked]
    assert kinds == ["hpc", "hop", "hpc", "hop"]


class SlowPerson(ScriptedInteraction):
    """Thinks about the PIN until told, and notices when the question is taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.ready = asyncio.Event()
        self.withdrawn = asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        self.asked.set()
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.withdrawn.set()
            raise
        return Pin("123456")


async def test_a_connection_takes_a_bounded_number_of_requests(tmp_path: Path) -> None:
    async with running_agent(tmp_path, interaction=SlowPerson()) as agent, agent.page() as page:
        waiting = [await page.send("sign", document=b64(b"text")) for _ in range(session.REQUESTS_MAX)]
        assert (await page.failing("agent.hello"))["data"]["id"] == "busy"
        agent.interaction.ready.set()  # type: ignore[attr-defined]
        for number in waiting:
            assert "result" in await page.answer(number)
        await page.call("agent.hello")


async def test_a_question_does_not_hold_up_other_requests(tmp_path: Path) -> None:
    person = SlowPerson()
    async with running_agent(tmp_path, interaction=person) as agent, agent.page() as page:
        signing = await page.send("sign", document=b64(b"text"))
        await person.asked.wait()
        assert (await page.call("pin.status"))["triesLeft"] == 3
        person.ready.set()
        assert "result" in await page.answer(signing)


async def test_closing_the_connection_takes_the_question_back(tmp_path: Path) -> None:
    person = SlowPerson()
    async with running_agent(tmp_path, interaction=person) as agent:
        async with agent.page() as page:
            await page.send("sign", document=b64(b"text"))
            await person.asked.wait()
        async with asyncio.timeout(LIMIT):
            await person.withdrawn.wait()
        async with agent.page() as page:
            assert (await page.call("pin.status"))["triesLeft"] == 3


@pytest.mark.slow
async def test_a_connection_torn_while_the_card_works_leaves_the_card_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, verifying, transmit = SlowPerson(), threading.Event(), SimulatedCard.transmit

    def watched(card: SimulatedCard, command: bytes) -> bytes:
        if command[1] == 0x20:
            verifying.set()
        return transmit(card, command)

    monkeypatch.setattr(SimulatedCard, "transmit", watched)
    person.ready.set()
    async with running_agent(tmp_path, ["hpc-slow"], interaction=person) as agent:
        async with agent.page() as page:
            await page.send("sign", document=b64(b"text"))
            await person.asked.wait()
            verifying.clear()  # of what only asked for the tries left
            await until(verifying.is_set)
            assert page.socket._response.connection is not None
            page.socket._response.connection.transport.abort()  # type: ignore[union-attr]
        async with agent.page() as page:
            assert (await page.call("pin.status"))["triesLeft"] == 3
            assert "signature" in await page.call("sign", document=b64(b"text"))


async def test_a_page_that_may_read_is_told_of_cards_and_readers(agent: RunningAgent) -> None:
    async with agent.page() as page:
        await page.call("agent.hello")
        agent.readers[0].remove()
        told = await page.notification()
        assert told["method"] == "card.changed"
        assert told["params"]["reader"]["state"] == "empty"
        agent.readers[0].insert(simulated("hop"))
        assert (await page.notification())["params"]["reader"]["state"] == "card"
        agent.readers[0].unplug()
        told = await page.notification()
        assert told["method"] == "reader.changed"
        assert told["params"] == {"readers": []}


async def test_a_page_nobody_allowed_is_told_nothing_and_nobody_is_asked(agent: RunningAgent) -> None:
    async with agent.page(UNKNOWN) as stranger, agent.page(PORTAL) as portal:
        await stranger.call("agent.hello")
        await portal.call("agent.hello")
        agent.readers[0].remove()
        await portal.notification()
        await stranger.call("agent.hello")
        assert stranger.notifications == []
        assert agent.interaction.questions == []


async def test_a_refused_page_learns_why(tmp_path: Path) -> None:
    person = ScriptedInteraction(consents={Verb.READ: False})
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(UNKNOWN) as page:
        assert (await page.failing("readers.list"))["data"]["id"] == "consent.refused"
        assert (await page.failing("readers.list"))["data"]["id"] == "consent.refused"
        assert len(person.questions) == 1


async def test_headless_an_unknown_page_gets_nothing(tmp_path: Path) -> None:
    person = ScriptedInteraction(available=False)
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(UNKNOWN) as page:
        assert (await page.failing("card.read"))["data"]["id"] == "interaction.unavailable"


async def test_a_person_who_does_not_answer_is_no_yes(tmp_path: Path) -> None:
    config = Config(
        origins=ORIGINS,
        ports=PortSettings(0),
        servisign=ServiSignSettings(ports=(0,)),
        consent=ConsentSettings(seconds=1),
    )
    person = SlowPerson()
    async with running_agent(tmp_path, interaction=person, config=config) as agent, agent.page() as page:
        assert (await page.failing("sign", document=b64(b"t")))["data"]["id"] == "pin.cancelled"


@pytest.mark.parametrize("kind", ["hpc-mute", "hpc-torn", "hpc-hostile"])
async def test_a_card_that_misbehaves_is_a_worded_error(tmp_path: Path, kind: str) -> None:
    async with running_agent(tmp_path, [kind]) as agent, agent.page() as page:
        for method in ("card.read", "certificates.list"):
            error = await page.failing(method)
            assert error["data"]["id"].startswith("card."), error
        assert (await page.call("readers.list"))["readers"]


async def test_too_many_connections_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_MAX", 1)
    async with running_agent(tmp_path) as agent, agent.page() as page:
        async with agent.page() as second:
            assert await second.end() == 1013
        await page.call("agent.hello")


async def test_one_origin_cannot_take_every_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_PER_ORIGIN_MAX", 1)
    async with (
        running_agent(tmp_path) as agent,
        agent.page(UNKNOWN),
        agent.page(UNKNOWN) as second,
        agent.page(PORTAL) as portal,
    ):
        assert await second.end() == 1013
        await portal.call("agent.hello")


async def test_sites_nobody_allowed_cannot_keep_the_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_MAX", 2)
    async with (
        running_agent(tmp_path) as agent,
        agent.page(UNKNOWN) as first,
        agent.page("https://n1.seen.example") as second,
    ):
        await first.call("agent.hello")
        async with agent.page(PORTAL) as portal:
            await portal.call("agent.hello")
            assert await first.end() == 1013
            async with agent.page("https://n2.seen.example") as third:
                await third.call("agent.hello")
                assert await second.end() == 1013
                await portal.call("agent.hello")


async def test_a_site_that_waits_for_the_persons_answer_is_not_cut_off_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_MAX", 1)
    person = SlowPerson()
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(UNKNOWN) as page:
        waiting = await page.send("sign", document=b64(b"x"))
        await person.asked.wait()
        async with agent.page(PORTAL) as portal:
            assert await portal.end() == 1013
        person.ready.set()
        assert "result" in await page.answer(waiting)


class Away(ScriptedInteraction):
    """Answers no site's question whether it is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        self.asked.set()
        return await asyncio.Event().wait()


async def test_a_stranger_that_waits_for_the_person_gives_way_to_an_allowed_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SESSIONS_MAX", 1)
    person = Away()
    async with running_agent(tmp_path, interaction=person) as agent, agent.page(UNKNOWN) as page:
        await page.send("card.read")
        await person.asked.wait()
        async with agent.page(PORTAL) as portal:
            await portal.call("agent.hello")
            assert await page.end() == 1013


async def test_only_a_few_sites_that_nobody_allowed_may_send_large_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LARGE_STRANGERS_MAX", 1)
    large = b64(b"x" * 2_000_000)
    async with (
        running_agent(tmp_path) as agent,
        agent.page(UNKNOWN) as first,
        agent.page(UNKNOWN) as second,
        agent.page(PORTAL) as portal,
    ):
        await second.send("sign", document=large)
        assert await second.end() == 1009
        for page in (first, portal):
            sent = await page.send("sign", document=large)
            assert (await page.answer(sent)).keys() & {"result", "error"}


async def test_large_requests_that_wait_for_a_person_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOAD_BYTES_MAX", 100_000)
    person, document = SlowPerson(), b64(b"x" * 50_000)
    async with (
        running_agent(tmp_path, interaction=person) as agent,
        agent.page() as one,
        agent.page() as other,
    ):
        waiting = await one.send("sign", document=document)
        await person.asked.wait()
        assert (await other.failing("sign", document=document))["data"]["id"] == "busy"
        person.ready.set()
        assert "result" in await one.answer(waiting)
        assert "signature" in await other.call("sign", document=document)


async def test_pages_are_told_when_the_agent_stops(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        page = Page(await agent.http.ws_connect(f"{agent.clear}/v1", headers={"Origin": PORTAL}))
        stopping = asyncio.create_task(agent.daemon.stop())
        assert await page.end() == 1001
        async with asyncio.timeout(LIMIT):
            await stopping
