"""Cards that a PKCS#11 module serves, through the operations; SoftHSM2 stands in for the maker's module."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from agent.config import Config, OriginSettings, Pkcs11Settings
from agent.daemon import Daemon
from agent.errors import error_id
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Operations, ReaderCondition, ReaderView, open_operations
from agent.paths import Paths
from hca_card.errors import HicosModuleError, PinWrongError, UnsupportedError
from hca_card.model import CardKind, KeyUse
from hca_card.pin import Pin
from hca_card.pkcs11.errors import ModuleCrashedError, ModuleTimeoutError
from hca_card.simulator import SimulatedCard
from pcsc.errors import NoReaderError, PcscError, ServiceUnavailableError
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.hashes import Hash
from tests.support import c_modules, softhsm
from tests.support.agent import ANY_PORT, RunningAgent
from tests.support.cards import simulated, simulator_ca
from tests.support.openssl import openssl_program
from tests.support.operations import NONCE, PIN, PORTAL, Spy, until

pytestmark = [pytest.mark.slow, softhsm.needs_softhsm, c_modules.needs_compiler]

DOCUMENT = "同意書".encode()
READER = "ACS ACR39U 00 00"
PAGE = str(PORTAL.origin)


class Computer(VirtualWinscard):
    """Readers of this process that pass for the machine's own."""

    virtual = False  # type: ignore[misc]


@pytest.fixture(autouse=True)
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    softhsm.personnel(tmp_path, monkeypatch)


def listing(*modules: Path | None, config: Config | None = None) -> Config:
    return replace(
        config or Config(), pkcs11=Pkcs11Settings(tuple(path for path in modules if path), known=False)
    )


@asynccontextmanager
async def operating(
    folder: Path, config: Config, winscard: VirtualWinscard | None = None, pins: tuple[str, ...] = (PIN,) * 9
) -> AsyncIterator[Operations]:
    person = ScriptedInteraction(pins=list(pins), pairs=[(PIN, "654321")])
    paths = Paths(folder / "home", folder / "machine")
    async with open_operations(Service(winscard or Computer()), person, config, paths) as operations:
        yield operations


async def test_a_token_renewed_in_its_slot_signs_with_its_new_key_and_certificate(tmp_path: Path) -> None:
    config = listing(softhsm.MODULE, config=Config(origins=OriginSettings(allow=frozenset((PAGE,)))))
    async with operating(tmp_path, config) as operations:
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        before = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        renewed = softhsm.personnel_objects(last=date(2098, 12, 31))
        await asyncio.to_thread(softhsm.renew, renewed[:1])
        after = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        await operations.verify(DOCUMENT, after.signature, after.certificate, after.hash)
        assert after.certificate == renewed[0].der != before.certificate
        assert (await operations.certificate(PORTAL, 1, known=before.certificate)).der == renewed[0].der


async def test_a_slot_without_a_reader_is_a_reader_and_does_all_that_a_card_does(tmp_path: Path) -> None:
    async with operating(tmp_path, listing(softhsm.MODULE)) as operations:
        [view] = await operations.readers(PORTAL)
        assert view.name.startswith("SoftHSM slot ID 0x")
        assert (view.condition, view.virtual) == (ReaderCondition.CARD, True)
        card = await operations.card(PORTAL)
        assert (card.reader, card.metadata.kind, card.metadata.serial, card.simulated) == (
            view.name, CardKind.PERSONNEL, softhsm.NUMBER, True,
        )  # fmt: skip
        assert [one.index for one in await operations.certificates(PORTAL)] == [0, 1, 2, 4]
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        cipher = await operations.encrypt(PORTAL, b"secret")
        assert await operations.decrypt(PORTAL, cipher) == b"secret"
        assert await operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))
        assert (await operations.pin_status(PORTAL)).tries_left is None


async def test_a_wrong_pin_is_told_and_a_kept_one_signs_again_and_again(tmp_path: Path) -> None:
    async with operating(tmp_path, listing(softhsm.MODULE), pins=("999999", PIN)) as operations:
        with pytest.raises(PinWrongError):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        with pytest.raises(PinWrongError):
            await operations.keep_pin(PORTAL, Pin("999999"))
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        for _ in range(3):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert not kept.wiped
        await operations.change_pin(PORTAL, old=Pin(PIN), new=Pin("654321"))
        await operations.keep_pin(PORTAL, Pin("654321"))


async def test_the_native_api_serves_a_page_with_a_card_of_a_module(tmp_path: Path) -> None:
    config = listing(softhsm.MODULE, config=ANY_PORT)
    person, paths = ScriptedInteraction(pins=["999999", *[PIN] * 4]), Paths(tmp_path, tmp_path)
    async with Daemon(config, Service(Computer()), person, paths) as daemon, aiohttp.ClientSession() as http:
        agent = RunningAgent(daemon, [], person, paths, http)
        async with agent.page() as page:
            [reader] = (await page.call("readers.list"))["readers"]
            assert reader["name"].startswith("SoftHSM slot ID")
            assert (await page.call("card.read"))["serial"] == softhsm.NUMBER
            assert len((await page.call("certificates.list"))["certificates"]) == 4
            text = base64.b64encode(DOCUMENT).decode()
            wrong = await page.failing("sign", document=text)
            assert wrong["data"]["id"] == "pin.wrong"
            signed = await page.call("sign", document=text)
            told = {name: signed[name] for name in ("signature", "certificate", "hash")}
            assert (await page.call("verify", document=text, **told))["valid"]
            cipher = (await page.call("encrypt", data=text))["cipher"]
            assert (await page.call("decrypt", cipher=cipher))["data"] == text
            assert await page.call("authenticate", nonce=NONCE)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (c_modules.CRASHES_ONCE_SIGNING, ModuleCrashedError),
        (c_modules.HANGS_ONCE_SIGNING, ModuleTimeoutError),
    ],
    ids=["crash", "hang"],
)
async def test_a_module_that_crashes_or_hangs_leaves_the_agent_up_and_the_next_request_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, error: type[Exception]
) -> None:
    monkeypatch.setattr("agent.pkcs11_modules.source.REQUEST_SECONDS", 2.0)
    module = c_modules.build(tmp_path / "c", body, softhsm.MODULE, monkeypatch)
    async with operating(tmp_path, listing(module)) as operations:
        with pytest.raises(error) as caught:
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert error_id(caught.value).startswith("module.")
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)


async def test_a_module_that_opens_no_session_any_more_is_loaded_anew_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = c_modules.build(tmp_path / "c", c_modules.STALE_AFTER_LOGIN, softhsm.MODULE, monkeypatch)
    async with operating(tmp_path, listing(module)) as operations:
        for _ in range(2):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
    assert c_modules.noted(tmp_path / "c") == ["C_Login", "C_Login"]


async def test_a_token_that_is_gone_is_told_and_its_slot_listed_no_more(tmp_path: Path) -> None:
    async with operating(tmp_path, listing(softhsm.MODULE)) as operations:
        [view] = await operations.readers(PORTAL)
        await operations.card(PORTAL)
        (tmp_path / "softhsm" / "tokens").rename(tmp_path / "softhsm" / "gone")
        (tmp_path / "softhsm" / "tokens").mkdir()
        operations._workflow.modules.end()
        with pytest.raises(PcscError):
            await operations.card(PORTAL, view.name)
        assert await operations.readers(PORTAL) == ()


async def test_a_module_that_crashes_when_it_is_asked_for_its_slots_leaves_the_agent_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = c_modules.build(tmp_path / "c", c_modules.CRASHES_ONCE_LISTING, softhsm.MODULE, monkeypatch)
    winscard = Computer()
    winscard.add_reader(READER).insert(simulated("nhi"))
    async with operating(tmp_path, listing(module), winscard) as operations:
        assert [view.name for view in await operations.readers(PORTAL)] == [READER]
        assert (await operations.card(PORTAL, READER)).metadata.kind is CardKind.NHI
        assert len(await operations.readers(PORTAL)) == 2


async def test_a_module_that_hangs_when_it_is_asked_for_its_slots_keeps_nobody_else_waiting_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.pkcs11_modules.source.REQUEST_SECONDS", 1.0)
    module = c_modules.build(tmp_path / "c", c_modules.HANGS_LISTING, softhsm.MODULE, monkeypatch)
    winscard = Computer()
    winscard.add_reader(READER).insert(simulated("nhi"))
    async with operating(tmp_path, listing(module), winscard) as operations:
        # Nothing of it is on the event loop.
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)  # the beat that a held event loop would miss
                ticks += 1

        ticking = asyncio.create_task(tick())
        for _ in range(2):
            assert [view.name for view in await operations.readers(PORTAL)] == [READER]
        ticking.cancel()
        assert ticks > 8


def in_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str = "hpc"
) -> tuple[Computer, SimulatedCard, list[bytes], Path]:
    """A reader with a simulated card in it, and a module that takes this very reader for its slot."""
    monkeypatch.setenv("TEST_MODULE_READER", READER)
    module = c_modules.build(tmp_path / "c", c_modules.IN_A_READER, softhsm.MODULE, monkeypatch)
    winscard, apdus, card = Computer(), [], simulated(kind)
    winscard.add_reader(READER).insert(Spy(card, apdus))
    return winscard, card, apdus, module


async def test_a_reader_that_a_module_serves_is_listed_once_and_never_opened_by_our_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winscard, _card, apdus, module = in_a_reader(tmp_path, monkeypatch)
    async with operating(tmp_path, listing(module), winscard) as operations:
        [view] = await operations.readers(PORTAL)
        assert (view.name, view.virtual, view.condition) == (READER, False, ReaderCondition.CARD)
        assert view.atr
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        chosen = await operations.choose(PORTAL, (CardKind.PERSONNEL,))
        assert (chosen.reader, chosen.atr) == (READER, view.atr)
    assert c_modules.noted(tmp_path / "c") == ["C_Sign"]
    assert apdus == []


async def test_a_hicos_card_signs_through_its_makers_module_and_without_it_is_told_which_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winscard, _card, apdus, module = in_a_reader(tmp_path, monkeypatch, kind="hicos")
    monkeypatch.setattr("agent.pkcs11_modules.files._opensc", lambda _platform: iter(()))
    for installed in (True, False):
        monkeypatch.setattr(
            "agent.pkcs11_modules.files._hicos", lambda _platform, there=installed: iter([module] * there)
        )
        async with operating(tmp_path, Config(), winscard) as operations:
            if installed:
                done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
                await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
                assert apdus == []
            else:
                with pytest.raises(HicosModuleError):
                    await operations.pin_status(PORTAL)
                assert apdus
                assert not any(apdu[1] == 0x20 for apdu in apdus)


async def test_the_card_is_reset_after_a_visit_with_a_pin_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winscard, card, _apdus, module = in_a_reader(tmp_path, monkeypatch)
    powered: list[int] = []
    power_on = card.power_on
    monkeypatch.setattr(card, "power_on", lambda: (powered.append(1), power_on())[1])
    async with operating(tmp_path, listing(module), winscard) as operations:
        await operations.card(PORTAL)
        await operations.pin_status(PORTAL)
        before = len(powered)
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        assert len(powered) == before + 1
        for _ in range(2):
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert len(powered) == before + 3
        assert not kept.wiped


async def test_another_card_in_the_same_reader_is_served_by_whoever_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winscard, _card, apdus, module = in_a_reader(tmp_path, monkeypatch)
    async with operating(tmp_path, listing(module), winscard) as operations:
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        assert (await operations.card(PORTAL)).metadata.holder == (
            await operations.card(PORTAL)
        ).metadata.holder
        assert apdus == []
        reader = winscard._readers[READER]
        reader.remove()
        await until(lambda: kept.wiped)
        # Now the module knows nothing of the card: it has lost its token, as its own folder is empty.
        (tmp_path / "softhsm" / "tokens").rename(tmp_path / "softhsm" / "gone")
        operations._workflow.modules.end()
        reader.insert(Spy(simulated("nhi"), apdus))
        assert (await operations.card(PORTAL, READER)).metadata.kind is CardKind.NHI
        assert apdus


async def test_nothing_is_said_to_a_module_while_nobody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winscard, _card, apdus, module = in_a_reader(tmp_path, monkeypatch)
    async with operating(tmp_path, listing(module), winscard) as operations:
        reader, told = winscard._readers[READER], list[tuple[ReaderView, ...]]()
        operations.on_change(told.append)
        for kind in ("hpc", "nhi"):
            reader.remove()
            reader.insert(Spy(simulated(kind), apdus))
        # Of two swaps at once the watcher may see the last state alone.
        await until(lambda: any(one.event_counter == reader.state >> 16 for views in told for one in views))
        assert operations._workflow.modules.loaded == ()
        assert apdus == []


async def test_a_pin_pad_of_a_module_is_pointed_to_and_the_pin_asked_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MODULE_FLAGS", "100")
    module = c_modules.build(tmp_path / "c", c_modules.AS_TOLD, softhsm.MODULE, monkeypatch)
    person = ScriptedInteraction()
    paths = Paths(tmp_path / "home", tmp_path / "machine")
    async with open_operations(Service(Computer()), person, listing(module), paths) as operations:
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        assert [shown.card.serial for shown in person.keypads] == [softhsm.NUMBER]
        assert (await operations.readers(PORTAL))[0].pin_pad
        await operations.change_pin(PORTAL)
        with pytest.raises(UnsupportedError):
            await operations.keep_pin(PORTAL, Pin(PIN))
    assert c_modules.noted(tmp_path / "c") == ["C_Login on the keypad", "C_SetPIN on the keypad"]


async def test_the_self_test_says_which_modules_serve_which_readers(tmp_path: Path) -> None:
    from agent.selftest import context
    from agent.selftest.model import RowStatus
    from agent.selftest.probe_list import plan
    from agent.selftest.probes.modules import PROBES

    missing = tmp_path / "missing.so"
    for config, status in (
        (listing(softhsm.MODULE), RowStatus.PASS),
        (listing(softhsm.MODULE, missing), RowStatus.FAIL),
    ):
        assert set(PROBES) <= set(plan(config=config))
        async with operating(tmp_path, config) as operations:
            computer = context.Computer(Service(Computer()), config, Paths(tmp_path, tmp_path))
            finding = await PROBES[0].run(context.ProbeContext(operations, PORTAL, computer))
        assert finding.status is status
        assert "SoftHSM slot ID" in finding.detail.en
    assert finding.trouble is not None
    assert finding.trouble.id == "module.unusable"
    assert not set(PROBES) & set(plan(config=listing()))


async def test_the_command_line_signs_with_a_card_of_a_module(tmp_path: Path) -> None:
    home, document = tmp_path / "home", tmp_path / "form.txt"
    home.mkdir(mode=0o700)
    (home / "policy.toml").write_text(f'[pkcs11]\nmodules = ["{softhsm.MODULE}"]\n')
    document.write_bytes(DOCUMENT)
    for words, told, code in (
        (("readers",), "SoftHSM slot ID", 0),
        (("sign", str(document), "--pin-stdin", "--reader", "SoftHSM"), "form.txt.p7s", 0),
        # What it holds are a simulated card's certificates, which prove nothing here.
        (("verify", str(document), "--offline"), "模擬卡 SIMULATED", 1),
    ):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", *words,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HCA_AGENT_HOME": str(home)},
        )  # fmt: skip
        output, _ = await child.communicate(f"{PIN}\n".encode())
        assert child.returncode == code, output.decode()
        assert told in output.decode()
    (tmp_path / "roots.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, simulator_ca().roots)))
    judged = await asyncio.create_subprocess_exec(
        openssl_program(), "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", f"{document}.p7s",
        "-content", str(document), "-CAfile", str(tmp_path / "roots.pem"), "-purpose", "any",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await judged.communicate()
    assert judged.returncode == 0, output.decode()


async def test_without_a_smart_card_service_the_slots_of_modules_still_work(tmp_path: Path) -> None:
    winscard = Computer()
    winscard.stop_service()
    async with operating(tmp_path, listing(softhsm.MODULE), winscard) as operations:
        [view] = await operations.readers(PORTAL)
        assert await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, reader=view.name)
    async with operating(tmp_path, listing(), winscard) as operations:
        with pytest.raises(ServiceUnavailableError):
            await operations.readers(PORTAL)


async def test_simulated_readers_are_alone_whatever_is_listed(tmp_path: Path) -> None:
    winscard = VirtualWinscard()
    async with operating(tmp_path, listing(softhsm.MODULE), winscard) as operations:
        assert await operations.readers(PORTAL) == ()
        with pytest.raises(NoReaderError):
            await operations.card(PORTAL)


async def test_a_module_that_others_can_change_is_not_loaded(tmp_path: Path) -> None:
    assert softhsm.MODULE is not None
    copy = tmp_path / "module.so"
    copy.write_bytes(softhsm.MODULE.read_bytes())
    copy.chmod(0o777)
    async with operating(tmp_path, listing(copy)) as operations:
        assert await operations.readers(PORTAL) == ()
        [view] = operations.modules
        assert view.error is not None
        assert error_id(view.error) == "module.unsafe"


async def test_the_encryption_key_signs_where_a_page_asks_for_it(tmp_path: Path) -> None:
    async with operating(tmp_path, listing(softhsm.MODULE)) as operations:
        signed = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, use=KeyUse.ENCRYPTION)
        await operations.verify(DOCUMENT, signed.signature, signed.certificate, signed.hash)
