"""A PIN that nobody has seen before goes through every door, and is then looked for everywhere."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import os
import secrets
import signal
import string
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pytest

from agent.config import LimitSettings, Pkcs11Settings
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, open_operations
from agent.paths import Paths
from hca_card.pin import Pin
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.hashes import Hash
from tests.support import softhsm
from tests.support.agent import ANY_PORT, PORTAL, RunningAgent, running_agent
from tests.support.hipki import ask
from tests.support.operations import NONCE
from tests.support.servisign_page import Page, Text

ROOT = Path(__file__).parents[2]
OURS = tuple(str(ROOT / room) for room in ("agent", "hca_card", "pcsc", "signing", "tray"))
PLENTY = replace(ANY_PORT, limits=LimitSettings(requests=10_000, burst=10_000, questions=1000))
NATIVE, OLD, HIPKI, LINES = 160, 60, 20, 2


def random_pin() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))


def disguises(pin: str) -> dict[str, bytes]:
    """What the PIN looks like in everything that a program might write."""
    octets = pin.encode("ascii")
    found = {
        "text": octets,
        "hex": octets.hex().encode(),
        "HEX": octets.hex().upper().encode(),
        "spaced hex": octets.hex(" ").encode(),
        "SPACED HEX": octets.hex(" ").upper().encode(),
        "UTF-16LE": pin.encode("utf-16-le"),
        "UTF-16BE": pin.encode("utf-16-be"),
        "list of numbers": ", ".join(map(str, octets)).encode(),
        "backwards": octets[::-1],
    }
    for shift in range(3):
        # Base64 of a longer text in which the PIN stands at any place: only the whole groups are sure.
        start = -shift % 3
        whole = (len(octets) - start) // 3 * 3
        found[f"base64 at {shift}"] = base64.b64encode(octets[start : start + whole])
    return found


def assert_absent(pin: str, places: dict[str, bytes]) -> None:
    seen = [
        f"{disguise} in {place}"
        for place, content in places.items()
        for disguise, octets in disguises(pin).items()
        if octets in content
    ]
    assert seen == []


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that any logger says, at every level."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(args)r %(exc_text)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def variables(trace: TracebackType | None) -> str:
    """A traceback with the variables of every frame of this program (not of these tests)."""
    told = []
    for frame, line in traceback.walk_tb(trace):
        if frame.f_code.co_filename.startswith(OURS):
            told.append(f"{frame.f_code.co_qualname}:{line} {frame.f_locals!r}")
    return "\n".join(told)


def test_the_disguises_are_found_where_they_are() -> None:
    pin = random_pin()
    for text in (f"x{pin}y", f"xx{pin}y", f"xxx{pin}"):
        with pytest.raises(AssertionError, match="base64"):
            assert_absent(pin, {"form": base64.b64encode(text.encode())})
    with pytest.raises(AssertionError, match="UTF-16LE"):
        assert_absent(pin, {"form": pin.encode("utf-16-le")})
    assert_absent(pin, {"nothing": os.urandom(100_000)})


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_pin_that_went_through_every_door_is_written_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pin, wrong = random_pin(), random_pin()
    person = ScriptedInteraction(pins=[pin] * 1000, pairs=[(pin, pin)] * 100)
    home = tmp_path / "home"
    told: dict[str, bytes] = {}
    with logged() as log:
        async with running_agent(home, interaction=person, config=PLENTY) as agent:
            own = Caller(None)
            await agent.daemon.operations.change_pin(own, old=Pin("123456"), new=Pin(pin))
            done = await native_page(agent) + await old_page(agent, pin) + await hipki_page(agent, pin)
            told["tracebacks"] = await forced_tracebacks(agent, pin, wrong)
            told["own process"] = process(os.getpid())
    for number in range(LINES):
        told |= await command_line(tmp_path / f"cli{number}", pin)
        done += 4
    assert done >= 500
    told["log"] = log.getvalue().encode("utf-8", "replace")
    told["output"] = "".join(capfd.readouterr()).encode("utf-8", "replace")
    told |= written(tmp_path)
    assert b"sign" in told[str(home / "audit.jsonl")]
    assert len(told["log"]) > 1000
    assert b"agent" in told["tracebacks"]
    assert_absent(pin, told)
    assert_absent(wrong, told)


def written(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def new_document(folder: Path) -> Path:
    folder.mkdir()
    document = folder / "document.txt"
    document.write_text("同意書", "utf-8")
    return document


async def native_page(agent: RunningAgent) -> int:
    """Sign, log in, decrypt and change the PIN as a page does, the person typing it each time."""
    async with agent.page() as page:
        for number in range(NATIVE):
            await page.call("sign", document=base64.b64encode(b"%d" % number).decode())
            if number % 4 == 0:
                await page.call("authenticate", nonce=NONCE)
            if number % 40 == 0:
                await page.call("pin.change")
    return NATIVE + NATIVE // 4 + NATIVE // 40


async def old_page(agent: RunningAgent, pin: str) -> int:
    """Log in as pages of the old dialect do, with the PIN in the form."""

    async def handle(origin: str, body: bytes) -> bytes:
        headers = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        async with agent.http.post(f"{agent.tls}/", data=body, headers=headers) as response:
            return await response.read()

    calls = 0
    for generation in (2020, 2022):
        page = Page(handle, PORTAL, generation=generation)
        assert await page.echo() == "0"
        for _ in range(OLD // 2):
            module = await page.good("ATL_InitModule", moduleName=Text("HCACSPv1.dll"), initArgs=Text(""))
            session = await page.good("ATL_InitSession", ulModuleHandle=int(module), userPin=Text(pin))
            await page.call("ATL_GetHCACardSN", ulModuleHandle=int(module))
            await page.call("ATL_CloseSession", ulModuleHandle=int(module), ulSessionHandle=int(session))
            await page.call("ATL_CloseModule", ulModuleHandle=int(module))
            calls += 5
    return calls


async def hipki_page(agent: RunningAgent, pin: str) -> int:
    """Sign as pages of citizen cards do, with the PIN in the form."""
    for number in range(HIPKI):
        wanted = {"func": "MakeSignature", "tbs": f"{number}", "signatureType": "PKCS7"}
        assert (await ask(agent, "/sign", pin=pin, **wanted))["ret_code"] == 0
        assert (await ask(agent, "/sign", pin=pin, **wanted, hashAlgorithm="MD5"))["ret_code"] != 0
    return 2 * HIPKI


async def forced_tracebacks(agent: RunningAgent, pin: str, wrong: str) -> bytes:
    """What a crash report with all variables would hold, in the middle of everything that has a PIN."""
    told = []
    operations, page = agent.daemon.operations, Caller(PORTAL, "1")
    kept = await operations.keep_pin(page, Pin(pin))
    for attempt in (
        operations.keep_pin(page, Pin(wrong)),
        operations.sign(Caller("https://nobody.example", "1"), Hash.SHA_256, document=b"x", kept=kept),
        operations.change_pin(page, old=Pin(pin), new=Pin("1")),
        operations.unblock_pin(page, puk=Pin("1"), new=Pin(pin)),
    ):
        try:
            await attempt
        except Exception as error:
            logging.getLogger("agent").exception("forced")
            told.append(repr(error) + variables(error.__traceback__))
            cause = error.__cause__ or error.__context__
            told.append(variables(cause.__traceback__) if cause else "")
    assert len(told) == 8
    return "\n".join(told).encode("utf-8", "replace")


def process(number: int) -> bytes:
    told = b""
    for name in ("cmdline", "environ"):
        with suppress(OSError):
            told += Path(f"/proc/{number}/{name}").read_bytes()
    return told


async def command_line(folder: Path, pin: str) -> dict[str, bytes]:
    """The command line, given the PIN on its standard input, looked at from outside while it works."""
    document = new_document(folder)
    told = {}
    for words, given in (
        (("pin", "change"), f"123456\n{pin}\n"),
        (("pin", "unblock"), f"12345678\n{pin}\n"),
        (("sign", str(document)), f"{pin}\n"),
        (("selftest", "--html", str(folder / "report.html")), f"{pin}\n"),
    ):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", *words, "--simulate", "hpc", "--pin-stdin",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HCA_AGENT_HOME": str(folder / "home"), "PYTHONASYNCIODEBUG": "1"}, cwd=ROOT,
        )  # fmt: skip
        talking = asyncio.create_task(child.communicate(given.encode()))
        seen = b""
        while not talking.done():
            seen += process(child.pid)
            await asyncio.sleep(0.05)  # how often its memory is looked at while it works
        output, _ = await talking
        assert output, words
        told[f"{folder.name} {words} from outside"] = seen
        told[f"{folder.name} {words} output"] = output
    return told


@pytest.mark.slow
@softhsm.needs_softhsm
async def test_a_pin_for_a_pkcs11_module_is_written_nowhere_and_not_seen_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    softhsm.personnel(tmp_path, monkeypatch)
    pin, wrong = random_pin(), random_pin()
    person = ScriptedInteraction(pins=[*[pin, wrong] * 20, pin], pairs=[(softhsm.PIN, pin)])
    winscard = VirtualWinscard()
    monkeypatch.setattr(VirtualWinscard, "virtual", False)
    assert softhsm.MODULE is not None
    config = replace(PLENTY, pkcs11=Pkcs11Settings((softhsm.MODULE,), known=False))
    paths = Paths(tmp_path / "home", tmp_path / "home")
    told, tracebacks = {}, []
    with logged() as log:
        async with open_operations(Service(winscard), person, config, paths) as operations:
            await operations.change_pin(Caller(None))
            [source] = operations._workflow.modules._sources
            assert source.process._running is not None
            child = source.process._running._process.pid
            for _ in range(20):
                await operations.sign(Caller(None), Hash.SHA_256, document=b"x")
                told["module's process"] = process(child)
                for attempt in (
                    operations.sign(Caller(None), Hash.SHA_256, document=b"x"),
                    operations.unblock_pin(Caller(None), puk=Pin(wrong), new=Pin(pin)),
                ):
                    try:
                        await attempt
                    except Exception as error:
                        logging.getLogger("agent").exception("forced")
                        tracebacks.append(repr(error) + variables(error.__traceback__))
            os.kill(child, signal.SIGKILL)
            await operations.sign(Caller(None), Hash.SHA_256, document=b"x")
    assert b"module" in told["module's process"]
    assert len(tracebacks) == 40
    told["tracebacks"] = "\n".join(tracebacks).encode("utf-8", "replace")
    told["log"] = log.getvalue().encode("utf-8", "replace")
    told["output"] = "".join(capfd.readouterr()).encode("utf-8", "replace")
    told |= written(tmp_path)
    assert_absent(pin, told)
    assert_absent(wrong, told)
