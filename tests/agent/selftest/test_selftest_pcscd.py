"""The self-test through a real pcscd: the whole program, and the faults that only a real service has."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, open_operations
from agent.paths import Paths
from agent.selftest.context import Computer, ProbeContext
from hca_card.simulator import SimulatedCard
from pcsc.errors import ServiceUnavailableError
from pcsc.service import Service
from pcsc.vpcd import VpcdClient
from tests.support.cards import simulated, simulator_ca, simulator_folder
from tests.support.pcscd import READERS, PrivatePcscd, pcscd_fixture
from tests.support.selftest import not_passed, rows_of
from tests.support.waiting import LIMIT, until

pytestmark = pytest.mark.pcscd

pcscd = pcscd_fixture()

AGENT = (sys.executable, "-m", "agent")
PIN = "123456"
SECONDS = 2.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the agent that shares the simulator's keys with all test runs."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    simulator_ca()
    (folder / "simulator").symlink_to(simulator_folder())
    monkeypatch.setenv("HCA_AGENT_HOME", str(folder))
    return folder


def _selftest(pcscd: PrivatePcscd, *words: str, pin: str = PIN) -> tuple[int, dict[str, Any]]:
    done = pcscd.run(
        [*AGENT, "selftest", "--json", "--unmasked", "--pin-stdin", *words],
        input=f"{pin}\n",
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _short(told: dict[str, Any]) -> dict[str, str]:
    return {
        row["id"]: f"{row['status']} {row.get('error', {}).get('id', '')}".strip() for row in told["rows"]
    }


@contextmanager
def _card(pcscd: PrivatePcscd, kind: str = "hpc", reader: int = 0) -> Iterator[None]:
    """A simulated card in the reader, and the service aware of it."""
    words = [*AGENT, "simulate", kind, "--vpcd", f"127.0.0.1:{pcscd.ports[reader]}"]
    with pcscd.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as holder:
        try:
            pcscd.call(_await_card, READERS[reader])
            yield
        finally:
            holder.kill()


def _await_card(name: str) -> None:
    with Service.system().context() as context:
        until(
            lambda: any(state.name == name and state.present for state in context.look()),
            "the card never came",
        )


def test_fourteen_rows_pass_in_order_in_under_two_seconds_with_what_the_card_says(
    pcscd: PrivatePcscd,
) -> None:
    with _card(pcscd):
        for _ in range(6):  # a busy machine is busy now and then
            code, told = _selftest(pcscd)
            rows = [row for row in told["rows"] if row["id"].startswith("hca.")]
            took, took_all = (sum(row["ms"] for row in each) for each in (rows, told["rows"]))
            if took < SECONDS * 1000 and took_all < 2 * SECONDS * 1000:
                break
        else:
            pytest.fail(f"{took} ms, and {took_all} ms with the others")
        card = json.loads(pcscd.run([*AGENT, "card", "--json"], capture_output=True, text=True).stdout)
    assert (code, told["ok"], told["simulated"]) == (0, True, True)
    assert [row["status"] for row in rows] == ["pass"] * 14
    said = {row["id"].partition(".")[2]: row["detail"] for row in rows}
    holder, info = card["holder"], card["info"]
    assert all(
        value in said["holder"]
        for name, value in holder.items()
        if name not in ("holderType", "categoryText")
    )
    assert said["serial"] == card["serial"] and card["version"] in said["version"]
    assert card["kindText"]["zh"] in said["kind"]
    assert all(info[name] in said["info"] for name in ("issued", "validFrom", "validTo"))
    assert "已開卡" in said["info"] and "Card on use" in said["info"]


@pytest.mark.parametrize(
    ("kind", "failing"),
    [
        ("hpc-locked", {"hca.session": "pin.locked"}),
        ("hpc-terminated", {"hca.session": "card.terminated", "hca.info": "card.terminated"}),
    ],
)
def test_a_broken_card_ends_the_program_with_one(
    pcscd: PrivatePcscd, kind: str, failing: dict[str, str]
) -> None:
    with _card(pcscd, kind):
        code, told = _selftest(pcscd)
    assert (code, told["ok"]) == (1, False)
    hca = {row: state for row, state in _short(told).items() if row.startswith("hca.")}
    assert {row: state[5:] for row, state in hca.items() if state.startswith("fail")} == failing


def test_a_service_that_does_not_run_is_named_and_the_rest_still_runs(pcscd: PrivatePcscd) -> None:
    pcscd.stop()
    code, told = _selftest(pcscd)
    short = _short(told)
    assert code == 1
    assert short["host.service"] == short["hca.init"] == "fail service.unavailable"
    assert short["host.readers"] == short["hca.session"] == "skip"
    assert short["hca.module"] == short["host.clock"] == short["host.vendor"] == "pass"


def test_an_empty_reader_is_named(pcscd: PrivatePcscd) -> None:
    code, told = _selftest(pcscd)
    short = _short(told)
    assert code == 1
    assert short["host.readers"] == "warn card.none" and short["hca.init"] == "fail card.none"


def test_no_reader_at_all_is_named(pcscd: PrivatePcscd, tmp_path: Path) -> None:
    pcscd.stop()
    nothing = tmp_path / "reader.conf"
    nothing.write_text("")
    with pcscd.popen(
        ["pcscd", "--foreground", "--config", str(nothing)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as service:
        try:
            pcscd.call(_await_service)
            code, told = _selftest(pcscd)
        finally:
            service.kill()
    short = _short(told)
    assert (code, short["host.service"]) == (1, "pass")
    assert short["host.readers"] == short["hca.init"] == "fail reader.none"


def _await_service() -> None:
    until(_is_served, "pcscd never came")


def _is_served() -> bool:
    with suppress(ServiceUnavailableError):
        Service.system().context().close()
        return True
    return False


OTHER_PROGRAM = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from agent import tls
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())
server = HTTPServer(("127.0.0.1", 56445), Handler)
server.socket = tls.ensure(Path(sys.argv[1])).context().wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [('{"result": "MA==", "SessionID": "UzE="}', "fail port.vendor"), ("hello", "fail port.taken")],
)
def test_whoever_holds_56445_is_named_for_what_it_answers(
    pcscd: PrivatePcscd, tmp_path: Path, answer: str, expected: str
) -> None:
    words = [sys.executable, "-c", OTHER_PROGRAM, str(tmp_path / "other"), answer]
    with pcscd.popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "listening\n"
            _, told = _selftest(pcscd)
        finally:
            other.kill()
    row = next(row for row in told["rows"] if row["id"] == "host.portals")
    assert f"{row['status']} {row['error']['id']}" == expected
    assert "56445" in row["detail"] and str(other.pid) in row["detail"]


def test_two_cards_are_told_and_one_can_be_named(pcscd: PrivatePcscd) -> None:
    with _card(pcscd), _card(pcscd, "hop", 1):
        code, told = _selftest(pcscd)
        short = _short(told)
        assert (code, short["host.readers"], short["hca.init"]) == (
            1, "warn card.ambiguous", "fail card.ambiguous",
        )  # fmt: skip
        code, told = _selftest(pcscd, "--reader", READERS[1])
        assert code == 0, told
        assert "醫事機構卡" in next(row["detail"] for row in told["rows"] if row["id"] == "hca.kind")


HOLDER = """
import sys, time
from pcsc.connection import Connection
from pcsc.service import Service
with Service.system().context() as context, Connection(context, sys.argv[1], exclusive=True):
    print("held", flush=True)
    time.sleep(600)  # a program that holds the card until it is ended
"""


def test_a_card_held_exclusively_by_another_program_is_named(pcscd: PrivatePcscd) -> None:
    with _card(pcscd):
        words = [sys.executable, "-c", HOLDER, READERS[0]]
        with pcscd.popen(words, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout is not None and other.stdout.readline() == "held\n"
                code, told = _selftest(pcscd)
            finally:
                other.kill()
    short = _short(told)
    assert code == 1
    assert short["host.exclusive"] == short["hca.init"] == "fail reader.busy"


def test_a_wrong_pin_costs_one_try_of_the_real_program(pcscd: PrivatePcscd) -> None:
    with _card(pcscd):
        code, told = _selftest(pcscd, pin="999999")
        status = pcscd.run([*AGENT, "pin", "status", "--json"], capture_output=True, text=True)
    assert code == 1 and _short(told)["hca.session"] == "fail pin.wrong"
    assert json.loads(status.stdout)["triesLeft"] == 2


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("00B083", {6: "fail", 7: "6", 8: "6", 9: "6", 10: "6", 11: "6", 12: "6", 13: "6"}),
        ("002A9E9A", {9: "fail", 10: "9", 11: "9", 12: "9", 13: "9"}),
    ],
)
def test_a_card_pulled_half_way_fails_its_row_and_stops_those_after_it(
    pcscd: PrivatePcscd, tmp_path: Path, head: str, expected: dict[int, str]
) -> None:
    told = pcscd.call(_pulled, pcscd.ports[0], tmp_path, head)
    assert {row: what.split()[0] if what.startswith("fail") else what[8:] for row, what in told.items()} == (
        expected
    )
    (first,) = [what for what in told.values() if what.startswith("fail")]
    assert first in ("fail card.removed", "fail card.communication")


class _Pulled:
    """A card that leaves the reader at a command that begins so."""

    def __init__(self, card: SimulatedCard, head: bytes) -> None:
        self._card, self._head = card, head
        self.client: VpcdClient | None = None

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        if command.startswith(self._head) and self.client is not None:
            self.client.remove()
        return self._card.transmit(command)


def _pulled(port: int, folder: Path, head: str) -> dict[int | str, str]:
    card = _Pulled(simulated("hpc"), bytes.fromhex(head))
    card.client = client = VpcdClient(card, port=port)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    try:
        _await_card(READERS[0])
        return asyncio.run(_rows(folder))
    finally:
        client.stop()
        thread.join(LIMIT)


async def _rows(folder: Path) -> dict[int | str, str]:
    paths, service, config = Paths(folder, folder), Service.system(), Config()
    person = ScriptedInteraction(pins=[PIN])
    async with open_operations(service, person, config, paths) as operations:
        context = ProbeContext(operations, Caller(None), Computer(service, config, paths))
        return dict(not_passed(await rows_of(context)))
