"""The installed Windows program meets a card: Wine's winscard, a real pcscd, a card in a virtual reader."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hca_card.simulator import SimulatedCard
from tests.support.agent import Page
from tests.support.card_in_reader import CardInReader
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.debian import Debian
from tests.support.hipki import FORM, check_cms, package
from tests.support.pcscd import READERS, Pcscd
from tests.support.pcscd_keeper import pcscd_of
from tests.support.platforms import not_on_windows
from tests.support.windows import (
    DARK,
    GREEN,
    HIPKI,
    NATIVE,
    PORTAL,
    PORTS,
    TOLD,
    Windows,
    fresh_windows,
    log_in,
    within,
)
from tests.support.wine import KEPT

pytestmark = [
    pytest.mark.packages,
    pytest.mark.slow,
    pytest.mark.xdist_group("windows packages"),  # one machine
    pytest.mark.timeout(1800),
    not_on_windows("Windows' smart card service takes no simulated reader"),
]

PIN, WRONG = "123456", "999999"
DOCUMENT = "出生通報 birth report"


@dataclass
class Desk:
    """An installed agent that runs, and the one reader of its machine.

    Attributes:
        service: the machine's smart card service.
        program: the agent's, for terminals.
        kind: which package it came from.
    """

    windows: Windows
    service: Pcscd
    program: Path
    kind: str
    reader: CardInReader

    def say(self, *words: str, pin: str = "", expected: int | None = 0) -> Any:
        """What a command of the installed program says as JSON."""
        told = self.windows.wine.run(
            self.windows.drive_path(self.program), *words, "--json", typed=f"{pin}\r\n", expected=expected
        )
        return json.loads(told)

    def picture(self, name: str) -> Path:
        """Where a picture is kept for whoever wants to look at it."""
        folder = KEPT / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.kind.partition('.')[2]}-{name}.png"

    @property
    def authority(self) -> Path:
        return self.windows.machine / "tls" / "ca.pem"


@pytest.fixture(scope="module", params=["machine.msi", "setup.exe"])
def desk(
    trixie: Debian,
    windows_python: Path,
    windows_packages: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Desk]:
    """A Windows with one of the packages installed, its agent running, and a card in its reader."""
    folder = tmp_path_factory.mktemp("windows")
    kind: str = request.param
    found = next(file for file in windows_packages if file.name.endswith(kind))
    service = pcscd_of(trixie, folder)
    with fresh_windows(trixie, windows_python, folder) as windows:
        windows.install(found, *TOLD)
        program = windows.wine.drive / "Program Files" / "HCA Card Agent" / "hca-agent.exe"
        simulator_ca()
        shutil.copytree(simulator_folder(), windows.data / "simulator", dirs_exist_ok=True)
        service.start()
        try:
            with (
                CardInReader(service.ports[0]) as reader,
                windows.running(program.with_name("hca-agentw.exe")),
            ):
                yield Desk(windows, service, program, kind, reader)
        finally:
            service.close()


@pytest.fixture(autouse=True)
def card(desk: Desk) -> SimulatedCard:
    """A fresh card in the first reader, and the agent aware of it."""
    return put(desk, "hpc")


def put(desk: Desk, kind: str) -> SimulatedCard:
    """Swap the card for another, as slowly as a hand does; the agent is aware of it."""
    desk.reader.pull()
    asyncio.run(tell_of("empty"))
    card = desk.reader.put(kind)
    asyncio.run(tell_of("card"))
    return card


async def tell_of(state: str) -> None:
    """Return once a page that waits for cards has the first reader in that state."""
    async with page_of() as page:
        while (await page.call("readers.list"))["readers"][0]["state"] != state:
            await page.notification()


@asynccontextmanager
async def page_of() -> AsyncIterator[Page]:
    """A portal's page, connected."""
    headers = {"Origin": PORTAL}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://localhost:{NATIVE}/v1", headers=headers) as socket,
    ):
        yield Page(socket)


def test_the_readers_and_the_card_are_listed(desk: Desk) -> None:
    told = desk.say("readers")["readers"]
    assert [(each["name"], each["state"]) for each in told] == [(READERS[0], "card"), (READERS[1], "empty")]
    card = desk.say("card")
    assert (card["serial"], card["holder"]["name"]) == ("000000335361", "測試人員卡")


def test_a_page_hears_of_a_card_that_is_pulled_put_in_and_swapped(desk: Desk) -> None:
    async def hear() -> list[tuple[str, str]]:
        async with page_of() as page:
            await page.call("agent.hello")
            heard = []
            for kind in ("hpc", "hop"):
                await asyncio.to_thread(desk.reader.pull)
                heard.append(await page.notification())
                await asyncio.to_thread(desk.reader.put, kind)
                heard.append(await page.notification())
            assert (await page.call("card.read"))["kind"] == "hop"
            return [(each["method"], each["params"]["reader"]["state"]) for each in heard]

    assert asyncio.run(hear()) == [("card.changed", "empty"), ("card.changed", "card")] * 2


def test_the_self_test_passes(desk: Desk) -> None:
    told = desk.say("selftest", "--pin-stdin", pin=PIN, expected=None)
    states = {row["id"]: row["status"] for row in told["rows"]}
    hca = {name: state for name, state in states.items() if name.startswith("hca.")}
    assert len(hca) == 14 and set(hca.values()) == {"pass"}, told
    assert (states["host.service"], states["host.readers"], states["host.exclusive"]) == ("pass",) * 3


def test_a_log_in_by_servisign(desk: Desk) -> None:
    assert "測試人員卡" in log_in(PORTS[0], desk.authority)
    put(desk, "hop")
    assert "測試人員卡" not in log_in(PORTS[0], desk.authority)


def sign_by_hipki(pin: str) -> dict[str, Any]:
    """What the popup posts back to the page."""
    base = f"http://localhost:{HIPKI}"
    with urllib.request.urlopen(f"{base}/popupForm", timeout=30) as answer:
        found = re.search(r'name="ticket" content="([\w-]+)"', answer.read().decode())
    assert found is not None
    body = package(
        func="MakeSignature",
        tbs=DOCUMENT,
        tbsEncoding="NONE",
        hashAlgorithm="SHA256",
        signatureType="PKCS7",
        pin=pin,
    )
    headers = {"Content-Type": FORM, "Origin": base, "X-HCA-Ticket": found[1], "X-HCA-Portal": PORTAL}
    with urllib.request.urlopen(urllib.request.Request(f"{base}/sign", body, headers), timeout=60) as answer:
        return dict(json.load(answer))


def test_a_signature_by_hipki_holds(desk: Desk, tmp_path: Path) -> None:
    answer = sign_by_hipki(PIN)
    assert (answer["ret_code"], answer["last_error"]) == (0, 0), answer
    assert check_cms(base64.b64decode(answer["signature"]), tmp_path) == DOCUMENT.encode()


def test_a_wrong_pin_costs_one_try_and_the_right_one_gives_them_back(desk: Desk, card: SimulatedCard) -> None:
    answer = sign_by_hipki(WRONG)
    assert (answer["ret_code"], answer["last_error"]) == (0x76100006, -2147483646), answer
    assert card.pin_tries == 2
    assert "測試人員卡" in log_in(PORTS[0], desk.authority)
    assert card.pin_tries == 3


def test_a_folder_is_signed_with_one_pin(desk: Desk) -> None:
    folder = desk.windows.home / "ward"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"record {number}", "utf-8")
    words = ("batch", desk.windows.drive_path(folder), "--pin-stdin", "--json")
    told = desk.windows.wine.run(desk.windows.drive_path(desk.program), *words, typed=f"{PIN}\r\n")
    assert json.loads(told.splitlines()[-1])["done"] == 3, told
    assert len(list((folder / "signed").glob("*.txt.p7s"))) == 3


def test_the_icon_shows_whether_a_card_is_there(desk: Desk) -> None:
    def shown(picture: Path) -> tuple[bool, bool]:
        """Whether the icon has the green of a card, and the dark of a reader."""
        green, dark = (desk.windows.icon_pixels(picture, colour) for colour in (GREEN, DARK))
        return green >= 8, dark >= 8

    with_card, without = desk.picture("icon-with-card"), desk.picture("icon-without-card")
    within(lambda: shown(with_card) == (True, True), complaint=f"no card in a reader: see {with_card}")
    desk.reader.pull()
    within(lambda: shown(without) == (False, True), complaint=f"no empty reader: see {without}")
    desk.reader.put("hpc")
    within(lambda: shown(with_card) == (True, True), complaint=f"no card in a reader again: see {with_card}")


async def readers_told(page: Page) -> list[str] | None:
    """The states of the readers; None where the agent has no service to ask."""
    answer = await page.answer(await page.send("readers.list"))
    return [each["state"] for each in answer["result"]["readers"]] if "result" in answer else None


def test_a_service_that_ends_and_comes_back_is_met_again(desk: Desk) -> None:
    async def told() -> list[str] | None:
        async with page_of() as page:
            return await readers_told(page)

    desk.service.kill()
    within(lambda: "card" not in (asyncio.run(told()) or ()), complaint="the end was not noticed")
    desk.service.start()
    within(lambda: "card" in (asyncio.run(told()) or ()), complaint="the service was not met again")
    assert "測試人員卡" in log_in(PORTS[0], desk.authority)
