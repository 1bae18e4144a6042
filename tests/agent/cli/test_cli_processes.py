"""The program as a process of its own: what others can see of it, its terminal, its signals."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.errors import AgentError
from agent.interaction.dialogs import Dialogs
from signing.errors import TokenInvalidError
from tests.support.agent import Page
from tests.support.interruptible import interruptible, replace
from tests.support.pcscd import PrivatePcscd, pcscd_fixture
from tests.support.ports import free_ports
from tests.support.waiting import LIMIT, until, until_unseen

pytestmark = pytest.mark.slow

pcscd = pcscd_fixture()

PIN = "123456"
AGENT = (sys.executable, "-m", "agent")
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX terminal or /proc")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "document.txt"
    file.write_text("x")
    return file


def _until(text: str, stream: int, seconds: float = 2 * LIMIT) -> str:
    """What comes out of a descriptor until it holds `text`."""
    seen, deadline = b"", time.monotonic() + seconds
    while text.encode() not in seen:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise AssertionError(f"{text!r} never came; this did: {seen.decode(errors='replace')}")
        part = os.read(stream, 65536)
        if not part:
            raise AssertionError(f"ended before {text!r}: {seen.decode(errors='replace')}")
        seen += part
    return seen.decode(errors="replace")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_pin_is_never_in_words_environment_output_or_files(home: Path, document: Path):
    words = [*AGENT, "sign", str(document), "--simulate", "hpc", "--pin-stdin"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        command_line = Path(f"/proc/{process.pid}/cmdline")
        until(lambda: b"--pin-stdin" in command_line.read_bytes(), "the program never started")
        process.stdin.write(f"{PIN}\n".encode())
        process.stdin.flush()
        seen = [Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        process.stdin.close()
        seen.append(process.stdout.read())
        assert process.wait(30) == 0
    seen += [file.read_bytes() for file in home.iterdir() if file.is_file()]
    assert len(seen) > 3 and seen[0]
    assert not any(PIN.encode() in part for part in seen)


_LOADED_AFTER_THE_FIRST_COMMAND = """
import sys
from agent.__main__ import main
from pcsc.connection import Connection
before, transmit = set(), Connection.transmit
def watched(self, command):
    before.update(() if before else sys.modules)
    return transmit(self, command)
Connection.transmit = watched
try:
    main()
finally:
    late = {name.partition(".")[0] for name in set(sys.modules) - before}
    print("late:", *sorted(late & {"asn1crypto", "cryptography", "hca_card", "signing"}))
"""


def test_no_library_is_loaded_while_the_card_waits(home: Path, document: Path):
    words = ["sign", str(document), "--simulate", "hpc", "--pin-stdin"]
    done = subprocess.run(
        [sys.executable, "-c", _LOADED_AFTER_THE_FIRST_COMMAND, *words],
        input=f"{PIN}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "late:", done.stdout


def test_a_pin_on_the_command_line_is_no_option(home: Path, document: Path):
    words = [*AGENT, "sign", str(document), "--simulate", "hpc"]
    result = subprocess.run([*words, "--pin", PIN], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and PIN not in result.stdout


@posix
def test_a_pin_in_the_environment_is_not_taken(home: Path, document: Path):
    variables = {f"{prefix}PIN": PIN for prefix in ("", "HCA_AGENT_", "HCA_AGENT_SIGN_")}
    result = subprocess.run(
        [*AGENT, "sign", str(document), "--simulate", "hpc"],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert result.returncode == 1
    assert "pin.unavailable" in result.stderr


@posix
def test_at_a_terminal_the_pin_is_asked_and_not_echoed(home: Path, document: Path):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*AGENT, "sign", str(document), "--simulate", "hpc"])
    try:
        seen = _until("PIN: ", terminal)
        assert "模擬卡" in seen and "測試人員卡" in seen
        until_unseen(terminal)
        os.write(terminal, f"{PIN}\n".encode())
        seen += _until("✔", terminal)
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert PIN not in seen
    assert document.with_name("document.txt.p7s").exists()


@posix
def test_ctrl_c_at_the_pin_ends_with_130_and_gives_the_terminal_back(home: Path, document: Path):
    import pty
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        replace([*AGENT, "sign", str(document), "--simulate", "hpc"])
    try:
        _until("PIN: ", terminal)
        until_unseen(terminal)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):
            while os.read(terminal, 4096):
                pass
    finally:
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    with contextlib.suppress(termios.error):
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
    os.close(terminal)


@contextlib.contextmanager
def _running(home: Path, *words: str, pin: str | None = None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    native, tls = free_ports(2)
    (home / "config.toml").write_text(f"[ports]\nnative = {native}\n[servisign]\nports = [{tls}]\n")
    with subprocess.Popen(
        [*AGENT, "run", "--headless", *words],
        stdin=None if pin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if process.stdin is not None:
                process.stdin.write(f"{pin}\n")
                process.stdin.close()
            assert process.stdout is not None
            _until(str(tls), process.stdout.fileno())
            yield process, native
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@posix
def test_the_daemon_answers_and_stops_cleanly(home: Path, number: signal.Signals):
    with _running(home, "--simulate", "hpc") as (process, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=LIMIT) as status:
            assert status.status == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    assert "已停止" in output and "Traceback" not in errors


PAGE_OF_DOCS = Path(__file__).parents[3] / "docs" / "portals.md"


@posix
async def test_a_portals_own_test_logs_in_as_the_documentation_says_and_nobody_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    """The server's side is the block in the documentation, as it stands there."""
    origin, other = "https://portal.example.tw", "https://other.example.tw"

    async def authenticate(port: int, origin: str, nonce: str) -> dict[str, Any]:
        headers = {"Origin": origin}
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"ws://127.0.0.1:{port}/v1", headers=headers) as socket,
        ):
            page = Page(socket)
            return await page.answer(await page.send("authenticate", nonce=nonce))

    monkeypatch.chdir(home)
    server: dict[str, Any] = {}
    with _running(home, "--simulate", "hpc", "--pin-stdin", "--allow", origin, pin="123456") as (_, port):
        [authority] = (home / "simulator").glob("hca-ca-*.pem")
        found = x509.load_pem_x509_certificates(authority.read_bytes())
        (home / "hca.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in found))
        [block] = re.findall(r"```python\n(.*?)```", PAGE_OF_DOCS.read_text("utf-8"), re.DOTALL)
        exec(compile(block, str(PAGE_OF_DOCS), "exec"), server)

        session: dict[str, Any] = {}
        answer = await authenticate(port, origin, server["nonce"](session))
        body, kept = json.dumps(answer["result"]).encode(), dict(session)
        with pytest.raises(PermissionError, match="simulated"):
            server["log_in"](session, body)
        with pytest.raises(PermissionError, match="begin again"):
            server["log_in"](session, body)
        server["nonce"](session)
        with pytest.raises(TokenInvalidError):
            server["log_in"](session, body)
        with pytest.raises(PermissionError, match="begin again"):
            server["log_in"]({**kept, "nonce_until": 0}, body)
        holder = server["validate_token"](
            body, origin=origin, nonce=kept["nonce"], trusted_roots=server["AUTHORITIES"]
        )
        assert holder.serial_number == "0000000000335361"
        with pytest.raises(AgentError, match="does not say where"):
            await server["is_revoked"](holder, server["AUTHORITIES"][0])

        refused = await authenticate(port, other, kept["nonce"])
        assert refused["error"]["data"]["id"] == "interaction.unavailable"
    assert not (home / "answers.json").exists() or origin not in (home / "answers.json").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("--pin-stdin",),
        ("--simulate", "hpc", "--allow", "https://portal.example.tw"),
        ("--simulate", "hpc", "--pin-stdin", "--allow", "https://portal.example.tw/"),
        ("--simulate", "hpc", "--pin-stdin"),
    ],
    ids=["a real card", "allowed by a person's run", "no origin", "no PIN"],
)
def test_what_is_for_automated_tests_goes_with_simulated_cards_alone(invoke, words: tuple[str, ...]):
    assert invoke("run", *words, input="").exit_code == 2


@posix
def test_a_second_daemon_says_that_the_port_is_taken(home: Path):
    with _running(home, "--simulate", "hpc"):
        second = subprocess.run(
            [*AGENT, "run", "--headless", "--simulate", "hpc"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert second.returncode == 1
    assert "port.taken" in second.stderr and "Traceback" not in second.stderr


def test_the_demo_passes_in_a_process_of_its_own(home: Path):
    result = subprocess.run([*AGENT, "demo"], capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "全部通過" in result.stdout
    assert {file.name for file in home.iterdir()} == {"simulator"}


def test_a_demo_whose_port_is_taken_says_so(invoke, monkeypatch: pytest.MonkeyPatch):
    async def taken(*_: object, **__: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr("agent.demo.runner.serve_demo", taken)
    result = invoke("demo", "--serve")
    assert result.exit_code == 1
    assert "(port.taken" in result.stderr


def test_a_demo_where_there_is_a_screen_asks_in_windows(invoke, monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []

    async def served(*_: object, interaction: object, **__: object) -> None:
        asked.append(interaction)

    monkeypatch.setattr("agent.demo.runner.serve_demo", served)
    monkeypatch.setattr("agent.interaction.dialogs.can_open", lambda: True)
    assert invoke("demo", "--serve").exit_code == 0
    assert [type(each) for each in asked] == [Dialogs]


def test_a_demo_that_can_ask_nobody_says_so(invoke, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agent.interaction.dialogs.can_open", lambda: False)
    result = invoke("demo", "--serve")
    assert result.exit_code == 1
    assert "(interaction.unavailable)" in result.stderr


@pytest.mark.pcscd
def test_a_simulated_card_in_a_real_service_comes_goes_and_comes_back(home: Path, pcscd: PrivatePcscd):
    address = f"127.0.0.1:{pcscd.ports[0]}"
    words = [*AGENT, "simulate", "hpc", "--vpcd", address, "--control"]
    simulating = pcscd.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert simulating.stdin is not None and simulating.stdout is not None

        def order(word: str) -> None:
            simulating.stdin.write(f"{word}\n")
            simulating.stdin.flush()

        _await_state(pcscd, "card")
        card = pcscd.run([*AGENT, "card", "--json"], capture_output=True, text=True)
        assert json.loads(card.stdout)["serial"] == "000000335361", card.stderr
        order("remove")
        _await_state(pcscd, "empty")
        order("insert")
        _await_state(pcscd, "card")
        order("what?")
        order("quit")
        assert simulating.wait(LIMIT) == 0
        assert re.findall("✔ ([a-z]+)", simulating.stdout.read()) == ["remove", "insert"]
        _await_state(pcscd, "empty")
    finally:
        simulating.kill()
        simulating.wait()


@pytest.mark.pcscd
def test_ctrl_c_takes_the_simulated_card_out(home: Path, pcscd: PrivatePcscd):
    words = [*AGENT, "simulate", "nhi", "--vpcd", f"127.0.0.1:{pcscd.ports[0]}"]
    simulating = pcscd.popen(
        interruptible(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        _await_state(pcscd, "card")
        simulating.send_signal(signal.SIGINT)
        _, errors = simulating.communicate(timeout=LIMIT)
        assert simulating.returncode == 130
        assert b"Traceback" not in errors
        _await_state(pcscd, "empty")
    finally:
        simulating.kill()
        simulating.wait()


def _await_state(pcscd: PrivatePcscd, wanted: str) -> None:
    def state() -> str:
        result = pcscd.run([*AGENT, "readers", "--json"], capture_output=True, text=True)
        return str(json.loads(result.stdout)["readers"][0]["state"])

    until(lambda: state() == wanted, lambda: f"the reader stayed {state()}")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("simulate", "hpc"), "vsmartcard-vpcd"),
        (("simulate", "hps", "--vpcd", "127.0.0.1:35963"), "hps"),
        (("simulate", "hpc", "--vpcd", "35963"), "HOST:PORT"),
        (("simulate", "hpc", "--vpcd", "localhost:99999"), "HOST:PORT"),
        (("simulate", "hpc", "--vpcd", "localhost:１"), "HOST:PORT"),
        (("simulate", "hpc", "--vpcd", "127.0.0.1:35963", "--delay", "-1"), "--delay"),
    ],
)
def test_a_simulated_card_that_cannot_be_is_a_wrong_call(invoke, words: tuple[str, ...], part: str):
    result = invoke(*words)
    assert result.exit_code == 2
    assert part in result.stderr
