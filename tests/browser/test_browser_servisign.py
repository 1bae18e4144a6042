"""Pages with ServiSign adapters of both generations, in a real Chromium, on https origins of their own."""

from __future__ import annotations

import asyncio
import base64
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from playwright.async_api import BrowserContext, Page

from agent.config import Config, HipkiSettings, OriginSettings, PortSettings, ServiSignSettings
from agent.dialects.servisign.heartbeats import Heartbeats
from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import ScriptedInteraction
from hca_card.simulator.faults import Wrapper
from pcsc.winscard import VirtualCard
from tests.browser.conftest import CHROMIUM, Authorities
from tests.support.agent import RunningAgent, running_agent
from tests.support.cards import simulated
from tests.support.chromium import site_ports
from tests.support.portal_tls import PortalTls
from tests.support.servisign_site import closed_ports, site
from tests.support.waiting import LIMIT, until_async

PIN = "123456"
HOSTS = ("portal.example.test", "hospital.example.test")
MESSAGE = b"This is the sentence that the environment check signs."
B64_MESSAGE = base64.b64encode(MESSAGE).decode("ascii")
PERSON = ["測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A"]
INSTITUTION = [
    "9900000001", "測試機構", "01", "診所", "西醫診所", "臺北市測試區模擬路１號", "02-00000000", "測試負責人",
]  # fmt: skip
PLATFORM = "Object.defineProperty(Navigator.prototype, 'platform', {get: () => %r})"
PSO_SIGN = bytes.fromhex("002A9E9A")
ALGORITHMS = {6: hashes.SHA1(), 0x40: hashes.SHA256()}


class Thoughtful(ScriptedInteraction):
    """A person who types the PIN when the test lets them."""

    def __init__(self) -> None:
        super().__init__(pins=[PIN] * 8)
        self.asked, self.thought, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        self.asked.set()
        try:
            await self.thought.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return await super().ask(question)


class SlowCard(Wrapper):
    """A card that finishes a signature when the test lets it."""

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card)
        self.signing, self.ready = threading.Event(), threading.Event()

    def transmit(self, command: bytes) -> bytes:
        if command.startswith(PSO_SIGN):
            self.signing.set()
            self.ready.wait(LIMIT)
        return self._card.transmit(command)


@dataclass(frozen=True)
class Desk:
    """An agent, a browser, and portals of two origins that know its ports."""

    agent: RunningAgent
    window: BrowserContext
    origins: tuple[str, ...]
    options: dict[str, Any]

    async def open(self, portal: int = 0) -> Page:
        page = await self.window.new_page()
        await page.goto(self.origins[portal])
        return page

    async def play(self, page: Page, script: str, *arguments: Any) -> Any:
        """Evaluate `script`, in which `options` are the adapter's and `given` these arguments."""
        return await page.evaluate(
            f"async ([options, given]) => {{ {script} }}", [self.options, list(arguments)]
        )


SetDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture(scope="module")
def portals(tmp_path_factory: pytest.TempPathFactory, authorities: Authorities) -> list[PortalTls]:
    folder = tmp_path_factory.mktemp("identities")
    return [PortalTls(folder / host, host, authorities.portal) for host in HOSTS]


@pytest.fixture
def set_desk(tmp_path: Path, portals: list[PortalTls], authorities: Authorities) -> SetDesk:
    @asynccontextmanager
    async def set_desk(
        kind: str = "hpc",
        platform: str = "Win32",
        person: ScriptedInteraction | None = None,
        denied: int | None = None,
    ) -> AsyncIterator[Desk]:
        """A card of that kind, a browser that claims that platform; `denied` is a portal turned away."""
        shutil.copytree(authorities.agent, tmp_path / "agent" / "tls")
        sites = [site(*each) for each in zip(HOSTS, portals, site_ports(), strict=False)]
        async with AsyncExitStack() as stack:
            closed = stack.enter_context(closed_ports(5))
            origins = tuple([await stack.enter_async_context(each) for each in sites])
            refused = frozenset() if denied is None else frozenset((origins[denied],))
            config = Config(
                origins=OriginSettings(deny=refused),
                ports=PortSettings(native=0),
                hipki=HipkiSettings(port=0),
                servisign=ServiSignSettings(ports=(0,)),
            )
            agent = await stack.enter_async_context(
                running_agent(tmp_path / "agent", (kind,), config=config, interaction=person)
            )
            window = await stack.enter_async_context(
                CHROMIUM.window(tmp_path / "browser", authorities.trusted())
            )
            await window.add_init_script(PLATFORM % platform)
            for origin in origins:
                await window.grant_permissions(["local-network-access"], origin=origin)
            # The first of the three ports is always another program's, or nobody's.
            here, elsewhere = [closed[0], agent.daemon.tls_port, closed[1]], list(closed[2:])
            macintosh = platform == "MacIntel"
            ports = {
                "windows": elsewhere if macintosh else here,
                "macintosh": here if macintosh else elsewhere,
            }
            yield Desk(agent, window, origins, {"ports": ports})

    return set_desk


def certificate_in(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text))


def as_c_writes(moment: datetime) -> str:
    """As ctime() does, in local time."""
    local = moment.astimezone()
    return f"{local:%a %b} {local.day:2d} {local:%H:%M:%S %Y}\n"


def check(certificate: x509.Certificate, signature: bytes, algorithm: hashes.HashAlgorithm) -> None:
    """As a portal's server verifies; independent of this program."""
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, MESSAGE, padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize("generation", [2020, 2022])
@pytest.mark.parametrize(
    ("platform", "kind"),
    [
        ("Win32", "hpc"),
        ("MacIntel", "hop"),
        ("Linux x86_64", "hpc"),
        ("Linux x86_64", "hop"),
        ("MacIntel", "hpc"),
        ("Win32", "hop"),
        ("Win32", "hpc-v1"),
        ("Win32", "hop-v1"),
    ],
)
async def test_every_recorded_page_works(
    set_desk: SetDesk, generation: int, platform: str, kind: str
) -> None:
    async with set_desk(kind, platform) as desk:
        page = await desk.open()
        assert await page.evaluate("navigator.platform") == platform
        type_ = "1" if kind.startswith("hpc") else "0"
        version = "1" if kind.endswith("-v1") else "2"

        posted = await desk.play(page, "return login(given[0], options, given[1])", generation, PIN)
        certificate = certificate_in(posted["certificate"])
        assert (posted["cardType"], posted["closed"]) == (type_, "0")
        assert int(posted["serial"], 16) == certificate.serial_number
        assert certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == posted["name"]
        assert posted["email"] == ""
        assert posted["notBefore"] == as_c_writes(certificate.not_valid_before_utc)
        assert posted["notAfter"] == as_c_writes(certificate.not_valid_after_utc)
        assert posted["needsUpdate"] is (
            platform != "Win32"
        )  # elsewhere it has no minimum, and always says so
        assert len(posted["tried"]) == 2

        for check_page, hidden in (("environmentCheck", 5), ("environmentCheckNhi", 3)):
            shown = await desk.play(
                page,
                f"return {check_page}(given[0], options, given[1], given[2])",
                generation,
                PIN,
                B64_MESSAGE,
            )
            assert (shown["version"], shown["cardType"], shown["closed"]) == (version, type_, "0")
            assert shown["basic"] == (PERSON if type_ == "1" else INSTITUTION)
            assert len(shown["info"]) == hidden
            assert shown["verified"] == "0"
            check(certificate, base64.b64decode(shown["signature"]), hashes.SHA1())
            if check_page == "environmentCheckNhi":
                assert certificate_in(shown["certificate"]) == certificate
            if kind == "hpc-v1":
                assert "decrypted" not in shown  # a personnel card of version 1 has no key for it
            else:
                assert base64.b64decode(shown["decrypted"]) == MESSAGE

        for algorithm, hash_ in ALGORITHMS.items():
            signed = await desk.play(
                page,
                "return documentSystem(given[0], options, ...given.slice(1))",
                generation,
                PIN,
                B64_MESSAGE,
                algorithm,
            )
            assert certificate_in(signed["certificate"]) == certificate
            check(certificate, base64.b64decode(signed["signature"]), hash_)

        logged_in = await desk.play(
            page, "return nationalLogin(given[0], options, given[1], given[2])", generation, PIN, B64_MESSAGE
        )
        assert x509.load_der_x509_certificate(bytes.fromhex(logged_in["certificate"])) == certificate
        check(certificate, bytes.fromhex(logged_in["signature"]), hashes.SHA1())


LARGE = """
    const page = new Page(given[0], PCSC, options);
    const opened = page.open(given[1]);
    const key = page.key(0, "1");
    const sign = (octets) => {
        const document = btoa("x".repeat(octets));
        return [page.adapter.call("ATL_MakeSignatureEx2", ...opened, 0x40, 0, document, key), page.error()];
    };
    const answers = [sign(given[2]), sign(given[3]), sign(10)];
    page.close();
    return answers;
"""


@pytest.mark.parametrize("generation", [2020, 2022])
async def test_a_large_document_is_signed_and_one_too_large_is_no_success(
    set_desk: SetDesk, generation: int
) -> None:
    async with set_desk() as desk:
        page = await desk.open()
        posted = await desk.play(page, "return login(given[0], options, given[1])", generation, PIN)
        large, too_large, small = await desk.play(page, LARGE, generation, PIN, 1_200_000, 2_000_000)
        key = certificate_in(posted["certificate"]).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        for (signature, code), octets in ((large, 1_200_000), (small, 10)):
            assert code == "0"
            key.verify(base64.b64decode(signature), b"x" * octets, padding.PKCS1v15(), hashes.SHA256())
        assert too_large == ["61005", "61005"]


OPEN = """
    const page = new Page(2022, PCSC, options);
    const opened = page.open(given[0]);
    window.held = { page, opened, key: page.key(0, "1") };
    return [page.adapter.session, ...opened, held.key];
"""
CERTIFICATE = """
    const { page, opened } = held;
    return page.good("ATL_GetCertificateFromGPKICard", ...opened, 1, "");
"""
SIGN = """
    const { page, opened, key } = held;
    return new Promise((resolve) => {
        page.adapter.queueCallback((signature) => resolve([signature, page.error()]));
        page.adapter.call("ATL_MakeSignature", ...opened, 0x40, given[0], key);
    });
"""


async def test_one_page_signs_while_pages_of_its_own_and_of_another_origin_release(set_desk: SetDesk) -> None:
    card = SlowCard(simulated("hpc"))
    async with set_desk() as desk:
        desk.agent.readers[0].remove()
        desk.agent.readers[0].insert(card)
        signing, second_tab, other = await desk.open(0), await desk.open(0), await desk.open(1)
        seen = [await desk.play(page, OPEN, PIN) for page in (signing, second_tab, other)]
        assert len({session for session, *_ in seen}) == 3
        assert {tuple(handles) for _, *handles in seen} == {("1", "2", "3")}  # each counts for itself

        result = asyncio.create_task(desk.play(signing, SIGN, B64_MESSAGE))
        assert await asyncio.to_thread(card.signing.wait, LIMIT)
        for page in (second_tab, other):
            assert await desk.play(page, "return held.page.adapter.forceRelease()") == "0"
            assert await desk.play(page, "return held.page.error()") == "61012"
            handle = "return new Page(2022, PCSC, options).adapter.call('ATL_GetHCACardType', 1)"
            assert await desk.play(page, handle) == ""
        assert not result.done()
        card.ready.set()
        signature, code = await asyncio.wait_for(result, LIMIT)
        assert code == "0"
        certificate = certificate_in(await desk.play(signing, CERTIFICATE))
        check(certificate, base64.b64decode(signature), hashes.SHA256())


async def test_the_session_of_another_origin_is_unknown_whatever_is_called(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        owner, thief = await desk.open(0), await desk.open(1)
        session, module, opened, key = await desk.play(owner, OPEN, PIN)
        stolen = """
            const [session, module, opened, key, message] = given;
            const { adapter } = new Page(2020, PCSC, options);
            adapter.session = session;
            return [
                adapter.call("ATL_GetHCABasicData", module),
                adapter.call("ATL_MakeSignature", module, opened, 0x40, message, key),
                adapter.call("ATL_GetErrorCode"),
                adapter.framework("getServiSignValue", { channel: "c" }),
                adapter.forceRelease(),
            ];
        """
        results = await desk.play(thief, stolen, session, module, opened, key, B64_MESSAGE)
        assert results == ["61012"] * 4 + ["0"]
        signature, code = await desk.play(owner, SIGN, B64_MESSAGE)
        assert (bool(signature), code) == (True, "0")


async def test_a_page_that_is_reloaded_without_closing_works_again(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        page = await desk.open()
        for _ in range(3):
            session, *_ = await desk.play(page, OPEN, PIN)
            await page.reload()
        await desk.play(page, OPEN, PIN)
        signature, code = await desk.play(page, SIGN, B64_MESSAGE)
        assert (bool(signature), code) == (True, "0")
        await desk.play(page, "held.page.adapter.session = given[0]", session)
        assert await desk.play(page, "return held.page.error()") == "61012"  # released as the page went


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_page_of_the_newer_template_beats_while_the_person_is_asked(
    set_desk: SetDesk, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    person = Thoughtful()
    async with set_desk(person=person) as desk:
        page = await desk.open()
        log_in = """
            const page = new Page(2022, PCSC, options);
            const module = page.good("ATL_InitModule", "HCAPKCS11.dll", "");
            const session = page.adapter.callWithWindow("ATL_InitSession", module, 6, "");
            return [session, page.error(), page.adapter.beats];
        """
        beaten, leave = list[object](), Heartbeats._leave

        def left(*of: Any) -> None:
            beaten.append(of)
            leave(*of)

        monkeypatch.setattr(Heartbeats, "_leave", left)
        logging_in = asyncio.create_task(desk.play(page, log_in))
        await asyncio.wait_for(person.asked.wait(), LIMIT)
        await until_async(lambda: len(beaten) >= 2)  # the page is blocked by its synchronous requests
        if leaves:
            await page.close()
            await asyncio.gather(logging_in, return_exceptions=True)
            await asyncio.wait_for(person.left.wait(), LIMIT)
            return
        person.thought.set()
        session, code, beats = await asyncio.wait_for(logging_in, LIMIT)
        assert (session, code) == ("2", "0")
        assert beats >= 2
        assert len([question for question in person.questions if isinstance(question, PinQuestion)]) == 1


async def test_a_value_is_read_by_the_sites_that_its_writer_lists_and_by_no_other(set_desk: SetDesk) -> None:
    async with set_desk() as desk:
        writer, reader = await desk.open(0), await desk.open(1)
        put = """
            const { adapter } = new Page(2022, PCSC, options);
            const [channel, domain_list] = given;
            const members = { channel, domain_list, timeout: "60", value: "值" };
            return adapter.framework("setServiSignValue", members);
        """
        get = """
            const { adapter } = new Page(2022, PCSC, options);
            return adapter.framework("getServiSignValue", { channel: given[0] });
        """
        assert await desk.play(writer, put, "shared", ",".join(HOSTS)) == "0"
        assert await desk.play(writer, put, "own", HOSTS[0]) == "0"
        assert [await desk.play(reader, get, name) for name in ("shared", "own")] == ["值", ""]
        assert [await desk.play(writer, get, name) for name in ("shared", "own")] == ["值", "值"]


@pytest.mark.parametrize(("generation", "code", "tried"), [(2020, 61006, 6), (2022, 61908, 2)])
async def test_a_refused_site_is_told_so_and_nobody_else_is(
    set_desk: SetDesk, generation: int, code: int, tried: int
) -> None:
    async with set_desk(denied=1) as desk:
        refused, admitted = await desk.open(1), await desk.open(0)
        probe = """
            const Template = given[0] === 2020 ? Adapter2020 : Adapter2022;
            const adapter = new Template({ ...PCSC, ...options });
            return [adapter.connect(), adapter.code, adapter.tried.length];
        """
        assert await desk.play(refused, probe, generation) == [False, code, tried]
        assert await desk.play(admitted, probe, generation) == [True, 0, 2]
