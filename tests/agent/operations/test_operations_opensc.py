"""OpenSC's PKCS#11 module at a simulated card in a reader of a real pcscd, through the operations."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.config import Config, Pkcs11Settings
from agent.errors import error_id
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import open_operations
from agent.paths import Paths
from agent.pkcs11_modules.files import known
from hca_card.errors import CardError
from hca_card.model import CardKind
from hca_card.pin import Pin
from hca_card.simulator import SimulatedCard
from pcsc.apdu import Command
from pcsc.connection import Connection
from pcsc.errors import PcscError
from pcsc.service import Service
from pcsc.status import StatusError
from pcsc.vpcd import VpcdClient
from signing.errors import SigningError
from signing.hashes import Hash
from tests.support.cards import RenewableCard, simulated
from tests.support.operations import NONCE, PIN, PORTAL, Spy, card_in
from tests.support.pcscd import READERS, PrivatePcscd, pcscd_fixture
from tests.support.waiting import LIMIT, until_async

MODULE = next((one.path for one in known() if one.path.name == "opensc-pkcs11.so"), None)

pytestmark = [pytest.mark.pcscd, pytest.mark.skipif(MODULE is None, reason="OpenSC is not installed")]

DOCUMENT = "同意書".encode()
VERIFY, CHANGE = 0x20, 0x24
UNKNOWN_ATR = bytes.fromhex("3BF01800008131FE4597")

pcscd = pcscd_fixture()


class Renamed(Spy):
    """A simulated card with an ATR that nobody knows."""

    def power_on(self) -> bytes:
        self.card.power_on()
        return UNKNOWN_ATR


@contextmanager
def inserted(spy: Spy, port: int) -> Iterator[VpcdClient]:
    client = VpcdClient(spy, port=port)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    try:
        yield client
    finally:
        client.stop()
        thread.join(LIMIT)


def listed(*, known: bool = False) -> Config:
    assert MODULE is not None
    return Config(pkcs11=Pkcs11Settings(() if known else (MODULE,), known=known))


def ours(apdus: list[bytes]) -> list[bytes]:
    """Commands that only our own driver sends: OpenSC selects no file by its short identifier."""
    return [apdu for apdu in apdus if apdu[1] == 0xB0 and apdu[2] & 0x80]


def verifications(apdus: list[bytes]) -> int:
    return sum(apdu[1] == VERIFY and len(apdu) > 5 for apdu in apdus)


def test_opensc_serves_a_card_through_the_operations(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    assert pcscd.call(_work, pcscd.ports[0], tmp_path) == 3


def _work(port: int, folder: Path) -> int | None:
    card = simulated("hpc")
    spy = Spy(card, [])
    with inserted(spy, port) as client:
        asyncio.run(_operate(folder, spy, client))
    return card.pin_tries


async def _operate(folder: Path, spy: Spy, client: VpcdClient) -> None:
    person = ScriptedInteraction(pins=[PIN] * 5)
    async with open_operations(Service.system(), person, listed(), Paths(folder, folder)) as operations:
        await card_in(operations, READERS[0])
        assert [view.name for view in await operations.readers(PORTAL)] == list(READERS)
        card = await operations.card(PORTAL)
        assert (card.reader, card.metadata.kind, card.metadata.serial) == (
            READERS[0], CardKind.PERSONNEL, "000000335361",
        )  # fmt: skip
        assert [one.index for one in await operations.certificates(PORTAL)] == [0, 1, 2, 3, 4]
        assert verifications(spy.apdus) == 0
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        assert verifications(spy.apdus) == 1
        _nobody_else_can_sign()
        cipher = await operations.encrypt(PORTAL, b"secret")
        assert await operations.decrypt(PORTAL, cipher) == b"secret"
        assert await operations.authenticate(PORTAL, NONCE, origin=str(PORTAL.origin))
        assert verifications(spy.apdus) == 3
        kept = await operations.keep_pin(PORTAL, Pin(PIN))
        await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        # Long enough for the watcher to have told of our own visit and its reset.
        await asyncio.sleep(0.7)  # nothing may end the session meanwhile
        await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert not kept.wiped
        assert ours(spy.apdus) == []
        client.remove()
        await until_async(lambda: kept.wiped, "the PIN outlives its card")
        client.insert()
        await card_in(operations, READERS[0])
        await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)


def _nobody_else_can_sign() -> None:
    """What another program meets right after our signature."""
    with (
        Service.system().context() as context,
        Connection(context, READERS[0]) as connection,
        connection.transaction() as transaction,
    ):
        transaction.send(Command(0x00, 0xA4, 0x04, 0x00, bytes.fromhex("F0484341414745 4E5401"), le=256))
        transaction.send(Command(0x00, 0x22, 0x41, 0xB6, bytes.fromhex("800111840101")))
        answer = transaction.send(
            Command(0x00, 0x2A, 0x9E, 0x9A, Hash.SHA_256.digest_info(bytes(32)), le=256)
        )
    assert answer.sw == 0x6982


def test_wrong_pins_through_opensc_cost_a_try_each_and_the_third_locks(
    pcscd: PrivatePcscd, tmp_path: Path
) -> None:
    ids, tries = pcscd.call(_wrong, pcscd.ports[0], tmp_path)
    assert ids == [("pin.wrong", 2), ("pin.wrong", 1), ("pin.locked", 0), ("pin.locked", 0)]
    assert tries == 0


def _wrong(port: int, folder: Path) -> tuple[list[tuple[str, int | None]], int | None]:
    card = simulated("hpc")
    with inserted(Spy(card, []), port):
        return asyncio.run(_wrong_pins(folder, card)), card.pin_tries


async def _wrong_pins(folder: Path, card: SimulatedCard) -> list[tuple[str, int | None]]:
    person = ScriptedInteraction(pins=["999999"] * 4)
    told = []
    async with open_operations(Service.system(), person, listed(), Paths(folder, folder)) as operations:
        await card_in(operations, READERS[0])
        for _ in range(4):
            try:
                await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
            except (CardError, PcscError, StatusError) as error:
                told.append((error_id(error), card.pin_tries))
    return told


def test_a_card_that_no_driver_of_ours_knows_is_served_by_opensc_unasked(
    pcscd: PrivatePcscd, tmp_path: Path
) -> None:
    assert pcscd.call(_unknown, pcscd.ports[0], tmp_path) == (1, 0)


def _unknown(port: int, folder: Path) -> tuple[int, int]:
    spy = Renamed(simulated("citizen"), [])
    with inserted(spy, port):
        asyncio.run(_sign(folder))
    return verifications(spy.apdus), len(ours(spy.apdus))


async def _sign(folder: Path) -> None:
    person = ScriptedInteraction(pins=[PIN])
    config = listed(known=True)
    async with open_operations(Service.system(), person, config, Paths(folder, folder)) as operations:
        await card_in(operations, READERS[0])
        done = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        assert operations._workflow.modules.loaded == (MODULE,)


def test_opensc_is_not_even_loaded_for_the_cards_that_our_own_drivers_know(
    pcscd: PrivatePcscd, tmp_path: Path
) -> None:
    assert pcscd.call(_own, pcscd.ports[0], tmp_path) > 0


def _own(port: int, folder: Path) -> int:
    spy = Spy(simulated("hpc"), [])

    async def work() -> None:
        person = ScriptedInteraction(pins=[PIN])
        config = listed(known=True)
        async with open_operations(Service.system(), person, config, Paths(folder, folder)) as operations:
            await card_in(operations, READERS[0])
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
            assert operations._workflow.modules.loaded == ()

    with inserted(spy, port):
        asyncio.run(work())
    return len(ours(spy.apdus))


def test_what_opensc_keeps_of_a_card_that_was_renewed_makes_no_signature(
    pcscd: PrivatePcscd, tmp_path: Path
) -> None:
    assert pcscd.call(_renewed, pcscd.ports[0], tmp_path) == (["signature.invalid", "ok"], True, 3)


def _renewed(port: int, folder: Path) -> tuple[list[str], bool, int | None]:
    card = RenewableCard()
    with inserted(Spy(card, []), port):  # type: ignore[arg-type]
        told, anew = asyncio.run(_sign_renewed(folder, card))
    return told, anew, card.pin_tries


async def _sign_renewed(folder: Path, card: RenewableCard) -> tuple[list[str], bool]:
    """OpenSC reads a card once, when it is put in: what it makes then is not handed out, and it is told."""
    person = ScriptedInteraction(pins=[PIN] * 4)
    told = []
    async with open_operations(Service.system(), person, listed(), Paths(folder, folder)) as operations:
        await card_in(operations, READERS[0])
        before = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        after = before
        card.renew()
        for _ in range(2):
            try:
                after = await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
            except (CardError, PcscError, StatusError, SigningError) as error:
                told.append(error_id(error))
            else:
                told.append("ok")
        await operations.verify(DOCUMENT, after.signature, after.certificate, after.hash)
    return told, after.certificate != before.certificate


def test_a_restart_of_the_service_is_survived(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    """The module's own connection dies with the service; so does the module, which is loaded again."""
    import subprocess
    import sys

    script = "from tests.agent.operations.test_operations_opensc import _over_a_restart; _over_a_restart()"
    working = pcscd.popen(
        [sys.executable, "-c", script, str(pcscd.ports[0]), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert working.stdout.readline() == "signed\n"
        pcscd.restart()
        working.stdin.write("go on\n")
        working.stdin.flush()
        assert working.stdout.readline() == "signed again\n"
    finally:
        working.kill()
        working.communicate()


def _over_a_restart() -> None:
    import sys

    port, folder = int(sys.argv[1]), Path(sys.argv[2])

    async def work() -> None:
        person = ScriptedInteraction(pins=[PIN] * 2)
        paths = Paths(folder, folder)
        async with open_operations(Service.system(), person, listed(), paths) as operations:
            await card_in(operations, READERS[0])
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
            sys.stdout.write("signed\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)

            async def back() -> bool:
                with suppress(PcscError):
                    await card_in(operations, READERS[0])
                    return True
                return False

            await until_async(back, "the card is not back")
            await operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
            sys.stdout.write("signed again\n")
            sys.stdout.flush()

    with inserted(Spy(simulated("hpc"), []), port):
        asyncio.run(work())
