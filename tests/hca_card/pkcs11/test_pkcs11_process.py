"""A module that crashes, hangs, prints or is none: the worst that it can do is fail one request."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.desktop import converse, own_command
from agent.environment import Child
from hca_card.pin import Pin
from hca_card.pkcs11 import messages
from hca_card.pkcs11.client import ModuleProcess
from hca_card.pkcs11.errors import ModuleCrashedError, ModuleTimeoutError, ModuleUnusableError
from signing.hashes import Hash
from tests.support import c_modules, softhsm
from tests.support.modules import running, slots, visiting
from tests.support.signing import sign_document
from tests.support.waiting import LIMIT, until

pytestmark = [pytest.mark.slow, softhsm.needs_softhsm, c_modules.needs_compiler]

DOCUMENT = "同意書".encode()


@pytest.fixture(autouse=True)
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    softhsm.personnel(tmp_path, monkeypatch)


def sign_once(module: ModuleProcess) -> bytes:
    with visiting(module) as card:
        card.verify(Pin(softhsm.PIN))
        return sign_document(card, DOCUMENT, Hash.SHA_256)


def test_a_crash_while_slots_are_listed_fails_that_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.CRASHES_ONCE_LISTING, softhsm.MODULE, monkeypatch)
    with running(path) as module:
        with pytest.raises(ModuleCrashedError) as caught:
            slots(module)
        assert str(-signal.SIGSEGV) in str(caught.value)
        assert len(slots(module)) == 1
        assert module.generation == 2


def test_a_crash_while_signing_ends_that_visit_and_the_next_one_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.CRASHES_ONCE_SIGNING, softhsm.MODULE, monkeypatch)
    with running(path) as module:
        with visiting(module) as card:
            card.verify(Pin(softhsm.PIN))
            with pytest.raises(ModuleCrashedError):
                sign_document(card, DOCUMENT, Hash.SHA_256)
            # The process that knew of this visit is gone: nothing is sent to another one for it.
            with pytest.raises(ModuleCrashedError):
                card.verify(Pin(softhsm.PIN))
            assert module.generation == 1
        assert len(sign_once(module)) == 256
        assert module.generation == 2


def test_a_module_that_hangs_is_killed_and_the_next_request_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.HANGS_ONCE_SIGNING, softhsm.MODULE, monkeypatch)
    with running(path, seconds=5) as module:
        with pytest.raises(ModuleTimeoutError):
            sign_once(module)
        assert not module.running
        assert len(sign_once(module)) == 256


def test_what_a_module_prints_or_reads_does_not_disturb_the_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.NOISY, softhsm.MODULE, monkeypatch)
    with running(path) as module:
        for _ in range(3):
            assert len(slots(module)) == 1
        assert len(sign_once(module)) == 256
    assert "module: C_GetSlotList" in capfd.readouterr().err


def test_what_is_no_module_is_named_as_unusable(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("no module")
    for path in (text, tmp_path / "missing.so", Path("/lib/x86_64-linux-gnu/libm.so.6")):
        with running(path) as module:
            with pytest.raises((ModuleUnusableError, ModuleCrashedError)):
                slots(module)
            assert not module.running


def test_a_program_that_answers_nonsense_is_ended(tmp_path: Path) -> None:
    def start(_path: str) -> subprocess.Popen[bytes]:
        program = "import os, time; os.write(1, b'x' * 99); time.sleep(60)"  # stays
        words = [sys.executable, "-c", program]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    module = ModuleProcess(tmp_path / "module.so", start)
    with pytest.raises(ModuleCrashedError):
        slots(module)
    assert not module.running


def test_a_program_that_answers_what_nobody_asked_is_ended(tmp_path: Path) -> None:
    ready, none = (bytes(messages.frame(each)).hex() for each in (messages.Ready(), messages.SlotList(())))
    words = f"""if True:
        import os, time
        os.write(1, bytes.fromhex("{ready}"))
        os.read(0, 1)
        while True:
            os.write(1, bytes.fromhex("{none}"))
            time.sleep(0.01)  # how fast the program talks
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(_path: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        )
        return started[-1]

    module = ModuleProcess(tmp_path / "module.so", start)
    try:
        assert slots(module) == ()
        # Else what it says would be kept until there is no memory left.
        assert started[0].wait(LIMIT) == -signal.SIGKILL
    finally:
        module.end()


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads /proc")
def test_a_module_that_crashes_leaves_no_memory_with_a_pin_in_a_file() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(path: str) -> subprocess.Popen[bytes]:
        started.append(converse(own_command("module", path), Child.MODULE))
        return started[-1]

    assert softhsm.MODULE is not None
    module = ModuleProcess(softhsm.MODULE, start)
    try:
        slots(module)
        limits = Path("/proc", str(started[0].pid), "limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
    finally:
        module.end()


def test_the_process_ends_when_its_agent_is_gone_even_while_the_module_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.HANGS_LISTING, softhsm.MODULE, monkeypatch)
    child = subprocess.Popen(
        [sys.executable, "-m", "agent", "module", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert messages.read_answer(child.stdout.readinto1) == messages.Ready()
    child.stdin.write(messages.frame(messages.Slots()))
    child.stdin.flush()
    until(lambda: c_modules.noted(tmp_path / "c"), "the module is not asked")
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(LIMIT) == 0
    child.stdout.close()


def test_two_threads_have_their_answers_each(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running(softhsm.MODULE) as module:
        found = slots(module)
        with ThreadPoolExecutor(4) as pool:
            assert all(said == found for said in pool.map(lambda _: slots(module), range(40)))
        assert module.generation == 1


def test_a_process_that_somebody_killed_is_started_anew() -> None:
    with running(softhsm.MODULE) as module:
        slots(module)
        assert module._running is not None
        os.kill(module._running._process.pid, signal.SIGKILL)
        module._running._process.wait()
        assert len(slots(module)) == 1
        assert module.generation == 2
