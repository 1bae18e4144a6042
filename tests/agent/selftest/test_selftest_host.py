"""Host rows: each fault made for real, and named for what it is."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from agent import __version__, tls
from agent import autostart as ways
from agent import trust as trust_work
from agent.config import Config, HipkiSettings, PortSettings, ServiSignSettings
from agent.paths import Paths
from agent.processes import RunningProgram, running
from agent.selftest.context import ProbeContext
from agent.selftest.listeners import ListenerKind, look
from agent.selftest.model import ResultRow, RowStatus
from agent.selftest.probes import ports, readers, system
from agent.selftest.probes.certificates import judge_validity
from agent.server.peer import Peers
from agent.trust.machine import Machine as TrustMachine
from tests.support.agent import running_agent
from tests.support.operations import World
from tests.support.platforms import LINUX_STORES, not_on_windows, not_under_wine
from tests.support.portal_tls import PortalTls
from tests.support.ports import free_port
from tests.support.selftest import context_of, not_passed, row_of, rows_of, selftest_world, short
from tests.support.waiting import LIMIT

PROBES = (ports.environment, *readers.PROBES, *ports.PROBES, *system.PROBES)
NOW = datetime.now(UTC)


async def host(context: ProbeContext, name: str) -> ResultRow:
    """One host row alone."""
    return await row_of(context, name if "." in name else f"host.{name}", PROBES)


class _Vendor(BaseHTTPRequestHandler):
    """Answers Echo as the vendor's program does (docs/servisign.md, "Messages"), and nothing else."""

    echo: ClassVar[dict[str, str]] = {
        "result": "MA==",
        "ServerVersion": "MS4wLjIzLjEyMjc=",
        "SessionID": "UzE=",
    }

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(self.echo).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Refusing(_Vendor):
    echo: ClassVar[dict[str, str]] = {"result": base64.b64encode(b"61908").decode()}


class _SomethingElse(_Vendor):
    echo: ClassVar[dict[str, str]] = {"hello": "world"}


class _Ours(_Vendor):
    """Answers as an agent of ours does; what stands between passes it on."""

    said: ClassVar[bytes] = b'{"agent": "hca-agent", "api": 1}'

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)


class _Hipki(_Ours):
    said: ClassVar[bytes] = b"version:1.3.4.103349"


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], folder: Path | None, context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server on a free port; with TLS where `folder` or `context` is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if folder is not None:
        context = tls.ensure(folder).context()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT)


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def with_ports(*ports: int) -> Config:
    return Config(servisign=ServiSignSettings(ports=ports))


@not_under_wine("its netstat does not tell who listens")
@pytest.mark.parametrize("handler", [_Vendor, _Refusing])
async def test_a_program_that_answers_echo_is_named_as_the_one_that_portals_reach(
    tmp_path: Path, handler: type[_Vendor]
) -> None:
    with serving(handler, tmp_path / "vendor") as port:
        async with selftest_world(tmp_path, "hpc") as world:
            row = await host(context_of(world, config=with_ports(free_port(), port)), "portals")
    assert short(row) == "fail port.vendor"
    assert str(port) in row.detail.zh and "(" in row.detail.zh
    assert row.error is not None and "入口網站會連到它，不是本程式" in row.error.text.zh


@not_under_wine("its netstat does not tell who listens")
async def test_another_program_on_the_port_is_named_as_just_that(tmp_path: Path) -> None:
    for folder in (tmp_path / "other", None):
        with serving(_SomethingElse, folder) as port:
            async with selftest_world(tmp_path, "hpc") as world:
                row = await host(context_of(world, config=with_ports(port)), "portals")
        assert short(row) == "fail port.taken"
        assert str(port) in row.detail.zh and "python" in row.detail.zh


async def test_a_program_that_says_nothing_is_told_to_hang_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.selftest.listeners._SECONDS", 0.2)
    with silent() as port:
        async with selftest_world(tmp_path, "hpc") as world:
            row = await host(context_of(world, config=with_ports(port)), "portals")
    assert short(row) == "fail port.silent" and str(port) in row.detail.zh


async def test_nobody_on_the_ports_is_no_conflict_and_the_program_is_told_not_to_run(tmp_path: Path) -> None:
    config = replace(with_ports(free_port(), free_port()), ports=PortSettings(native=free_port()))
    async with selftest_world(tmp_path, "hpc") as world:
        context = context_of(world, config=config)
        assert short(await host(context, "portals")) == "pass"
        assert short(await host(context, "basic.environment")) == "fail agent.not_running"
        assert short(await host(context, "inspection")) == "skip"


async def test_our_own_agent_is_recognised_on_every_port(tmp_path: Path) -> None:
    async with running_agent(tmp_path / "agent") as ours, selftest_world(tmp_path, "hpc") as world:
        config = Config(ports=PortSettings(native=ours.daemon.native_port))
        config = replace(config, servisign=ServiSignSettings(ports=(ours.daemon.tls_port,)))
        context = context_of(world, config=config)
        context.computer = replace(context.computer, paths=ours.paths)
        for name in ("basic.environment", "portals", "inspection"):
            assert short(await host(context, name)) == "pass"
        assert (await host(context, "basic.environment")).detail.zh == "HCA元件安裝成功"


async def test_a_program_before_ours_is_a_warning_since_pages_go_on_to_the_next_port(tmp_path: Path) -> None:
    with serving(_SomethingElse, tmp_path / "other") as port:
        async with running_agent(tmp_path / "agent") as ours, selftest_world(tmp_path, "hpc") as world:
            context = context_of(world, config=with_ports(port, ours.daemon.tls_port))
            context.computer = replace(context.computer, paths=ours.paths)
            row = await host(context, "portals")
    assert short(row) == "warn port.taken"


async def test_a_certificate_that_was_exchanged_on_the_way_is_told(tmp_path: Path) -> None:
    between = PortalTls(tmp_path / "antivirus", "localhost").context()
    with serving(_Ours, None, between) as port:
        async with selftest_world(tmp_path, "hpc") as world:
            context = context_of(world, config=with_ports(port))
            tls.ensure(context.computer.paths.tls)  # ours on disk; what is seen on the port is another's
            assert short(await host(context, "inspection")) == "fail trust.intercepted"


@pytest.mark.parametrize("made", [True, False], ids=["a certificate of its own", "none yet"])
async def test_an_agent_with_another_folder_is_no_antivirus_and_no_foreign_program(
    tmp_path: Path, made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_agent(tmp_path / "agent") as other, selftest_world(tmp_path, "hpc") as world:
        config = replace(with_ports(other.daemon.tls_port), ports=PortSettings(other.daemon.native_port))
        context = context_of(world, config=config)
        if made:
            tls.ensure(context.computer.paths.tls)
        monkeypatch.setattr("agent.selftest.whose.os.getpid", lambda: 1)  # as from a process of its own
        for name in ("basic.environment", "portals"):
            row = await host(context, name)
            assert short(row) == "fail port.other_agent" and __version__ in row.detail.zh
        assert short(await host(context, "inspection")) == "skip port.other_agent"


async def test_an_agent_of_another_user_is_named_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.peer.system", lambda: Peers(lambda _peer, _here: False))
    async with running_agent(tmp_path / "agent") as other, selftest_world(tmp_path, "hpc") as world:
        config = replace(with_ports(other.daemon.tls_port), ports=PortSettings(other.daemon.native_port))
        context = context_of(world, config=config)
        row = await host(context, "basic.environment")
        assert short(row) == "fail port.other_agent" and __version__ in row.detail.zh
        assert short(await host(context, "portals")) == "fail port.other_agent"
        assert short(await host(context, "inspection")) == "skip"


@pytest.mark.parametrize("whose", ["own", "machine's"])
async def test_an_agent_that_has_not_seen_its_renewal_yet_is_this_one(tmp_path: Path, whose: str) -> None:
    async with running_agent(tmp_path / "agent") as ours, selftest_world(tmp_path, "hpc") as world:
        context = context_of(world, config=with_ports(ours.daemon.tls_port))
        paths = replace(ours.paths, machine=tmp_path / "machine")
        context.computer = replace(context.computer, paths=paths)
        tls.ensure(paths.tls if whose == "own" else paths.machine / "tls", renew=True)
        row = await host(context, "inspection")
        assert short(row) == "pass" and "十分鐘" in row.detail.zh
        assert short(await host(context, "portals")) == "pass"


async def test_whoever_holds_the_port_of_hipki_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = {
        "pass": serving(_Hipki, None),
        "warn port.taken": serving(_SomethingElse, None),
        "fail port.silent": silent(),
    }
    async with selftest_world(tmp_path, "hpc") as world:
        for expected, door in doors.items():
            if "silent" in expected:
                monkeypatch.setattr("agent.selftest.listeners._SECONDS", 0.2)
            with door as port:
                row = await host(context_of(world, config=Config(hipki=HipkiSettings(port=port))), "hipki")
            assert short(row) == expected and str(port) in row.detail.zh


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()


@pytest.mark.slow
def test_a_port_on_ipv6_alone_is_found_too() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this computer has no IPv6")
    with listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
        assert look(port).answer in (ListenerKind.OTHER, ListenerKind.SILENT)


@not_on_windows("a copy of sleep(1) stands in for it")
async def test_the_vendors_program_is_found_by_its_process(tmp_path: Path) -> None:
    program = tmp_path / "HCAServiSignServer"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([str(program), "60"]) as process:  # noqa: ASYNC220
        try:
            async with selftest_world(tmp_path, "hpc") as world:
                row = await host(context_of(world, programs=running), "vendor")
        finally:
            process.kill()
    assert short(row) == "warn vendor.running"
    assert f"HCAServiSignServer ({process.pid})" in row.detail.zh


async def test_without_the_vendors_program_the_row_passes(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        context = context_of(world, programs=lambda: (RunningProgram(1, "init"),))
        assert short(await host(context, "vendor")) == "pass"


async def test_a_stopped_service_is_named(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        world.winscard.stop_service()
        row = await host(context_of(world), "service")
    assert short(row) == "fail service.unavailable"


async def test_a_missing_pcscd_is_told_apart_from_one_that_does_not_run(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        world.winscard.stop_service()
        row = await host(context_of(world, platform="linux", find=lambda _: None), "service")
    assert row.detail.zh == "沒有安裝 pcscd"


async def test_no_reader_and_an_empty_reader_are_told_apart(tmp_path: Path) -> None:
    async with selftest_world(tmp_path) as world:
        assert short(await host(context_of(world), "readers")) == "fail reader.none"
    async with selftest_world(tmp_path, "") as world:
        assert short(await host(context_of(world), "readers")) == "warn card.none"


async def test_windows_hello_is_set_aside_and_is_no_reader(tmp_path: Path) -> None:
    names = ("Windows Hello for Business 1",)
    async with selftest_world(tmp_path, "citizen", names=names) as world:
        context = context_of(world)
        assert short(await host(context, "readers")) == "fail reader.none"
        row = await host(context, "virtual")
    assert short(row) == "pass" and "已略過 Windows Hello" in row.detail.zh


async def test_each_reader_is_named_with_its_driver_its_card_and_the_atr(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", "") as world:
        context = context_of(world, driver=lambda name: "ifd-ccid 1.5.2" if name.startswith("ACS") else "")
        row = await host(context, "readers")
    assert row.detail.zh == (
        "ACS ACR39U 00 00 [ifd-ccid 1.5.2]：有卡片"
        " ATR 3B F9 18 00 00 81 31 FE 45 50 56 5F 4A 32 44 30 38 31 B6；"
        "Generic EMV Smartcard Reader 01 00：沒有卡片"
    )
    assert short(row) == "pass"


async def test_two_cards_are_a_warning_unless_one_is_named(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", "hop") as world:
        context = context_of(world)
        assert short(await host(context, "readers")) == "warn card.ambiguous"
        context.reader = world.readers[0].name
        assert short(await host(context, "readers")) == "pass"


async def test_a_card_held_exclusively_names_its_reader(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        with world.reader.hold_exclusively():
            row = await host(context_of(world), "exclusive")
        assert short(row) == "fail reader.busy" and row.detail.zh == world.reader.name
        assert short(await host(context_of(world), "exclusive")) == "pass"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SESSIONNAME": "RDP-Tcp#3"}, "warn session.remote"),
        ({"SESSIONNAME": "Console"}, "pass"),
        ({"XRDP_SESSION": "1"}, "warn session.remote"),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "pass"),
        ({}, "pass"),
    ],
)
async def test_a_remote_session_is_told(tmp_path: Path, environment: dict[str, str], expected: str) -> None:
    async with selftest_world(tmp_path, "") as world:
        assert short(await host(context_of(world, environment=environment), "remote")) == expected


@pytest.mark.parametrize(
    ("off", "expected"),
    [(-730, "fail clock.behind"), (730, "warn clock.doubtful"), (0, "pass"), (200, "pass")],
)
async def test_a_clock_two_years_off_is_told_whichever_way(tmp_path: Path, off: int, expected: str) -> None:
    async with selftest_world(tmp_path, "") as world:
        row = await host(context_of(world, clock=lambda: NOW + timedelta(days=off)), "clock")
    assert short(row) == expected
    assert f"{NOW + timedelta(days=off):%Y}" in row.detail.zh


async def test_a_clock_behind_the_certificate_of_this_program_is_told(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        context = context_of(world)
        tls.ensure(context.computer.paths.tls, now=NOW + timedelta(hours=8))
        row = await host(context, "clock")
    assert short(row) == "fail clock.behind" and "憑證從" in row.detail.zh


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-10, 61, "pass"),
        (-10, 60, "warn certificate.ends_soon"),
        (-10, 1, "warn certificate.ends_soon"),
        (-10, -1, "fail certificate.expired"),
        (1, 100, "fail certificate.not_yet_valid"),
    ],
)
def test_certificates_warn_sixty_days_before_their_end(begins: int, ends: int, expected: str) -> None:
    found = judge_validity(NOW + timedelta(days=begins), NOW + timedelta(days=ends), NOW)
    assert (f"{found.status} {found.trouble.id}" if found.trouble else found.status.value) == expected
    if found.status is RowStatus.PASS:
        assert "還有 61 天" in found.detail.zh


@pytest.fixture
def nss() -> None:
    if shutil.which("certutil") is None:
        pytest.skip("needs certutil (libnss3-tools)")


def _database(folder: Path) -> None:
    subprocess.run(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"], check=True)


def _profile(home: Path, name: str) -> None:
    """A Firefox profile as Firefox leaves it: a line in profiles.ini and an NSS database."""
    folder = home / ".mozilla" / "firefox"
    profile = folder / name
    profile.mkdir(parents=True)
    _database(profile)
    with (folder / "profiles.ini").open("a") as listed:
        number = sum(1 for _ in folder.iterdir())
        listed.write(f"[Profile{number}]\nName={name}\nIsRelative=1\nPath={name}\n")


def _trust_in(context: ProbeContext, name: str) -> None:
    computer = replace(TrustMachine.this(), home=context.computer.home, environment={})
    stores = [store for store in trust_work.stores_of(computer) if name in store.location]
    (row,) = trust_work.install(
        stores, trust_work.own_authorities(context.computer.paths.tls), lambda _: None
    )
    assert row.accepted, row


def _two_profiles(world: World) -> ProbeContext:
    context = context_of(world, find=lambda name: shutil.which(name) if name == "certutil" else None)
    tls.ensure(context.computer.paths.tls)
    for name in ("work.default", "home.default"):
        _profile(context.computer.home, name)
    return context


@not_on_windows(LINUX_STORES)
@pytest.mark.usefixtures("nss")
async def test_each_browser_profile_is_named_as_trusting_or_not(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        context = _two_profiles(world)
        _trust_in(context, "work.default")
        row = await host(context, "trust")
        assert short(row) == "fail trust.missing"
        told = {place.partition("：")[0]: place.rpartition("：")[2] for place in row.detail.zh.split("；")}
        named = {name.split("/")[-1].rstrip(")"): verdict for name, verdict in told.items()}
        assert named["work.default"] == "接受" and named["home.default"] == "不接受"
        assert str(context.computer.home) not in str(row.detail) and "~/.mozilla" in row.detail.zh
        _trust_in(context, "home.default")
        assert short(await host(context, "trust")) == "pass"


@not_on_windows(LINUX_STORES)
@pytest.mark.usefixtures("nss")
async def test_a_snap_browser_that_does_not_trust_us_is_a_warning(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        context = _two_profiles(world)
        assert short(await host(context, "confined")) == "pass"
        snap = context.computer.home / "snap/chromium/current/.pki/nssdb"
        snap.mkdir(parents=True)
        _database(snap)
        row = await host(context, "confined")
        assert short(row) == "warn browser.confined" and "snap" in row.detail.zh
        _trust_in(context, "/snap/")
        assert short(await host(context, "confined")) == "pass"


async def test_without_a_certificate_of_ours_trust_is_not_judged(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        assert short(await host(context_of(world), "trust")) == "skip"


async def test_missing_nss_tools_are_named_and_what_needs_them_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with selftest_world(tmp_path, "") as world:
        context = context_of(world, platform="linux")
        needing = [probe for probe in PROBES if probe.id in ("host.nss", "host.trust", "host.confined")]
        told = not_passed(await rows_of(context, needing))
    assert told["host.nss"] == "fail trust.tool_missing"
    assert told["host.trust"] == told["host.confined"] == "because "


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"https_proxy": "http://proxy:3128"}, "warn proxy.loopback"),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "example.tw"}, "warn proxy.loopback"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost, 127.0.0.1"}, "pass"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "*"}, "pass"),
        ({}, "pass"),
    ],
)
async def test_a_proxy_must_leave_out_this_computer(
    tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    async with selftest_world(tmp_path, "") as world:
        row = await host(context_of(world, environment=environment, platform="linux"), "proxy")
    assert short(row) == expected
    assert "3128" not in str(row.detail)


async def test_autostart_is_told(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        context = context_of(world, platform="linux")
        assert short(await host(context, "autostart")) == "warn autostart.off"
        ways.autostart("linux", {}, context.computer.home).on()
        assert short(await host(context, "autostart")) == "pass"


async def test_an_empty_folder_of_the_agent_is_no_failure(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "") as world:
        context = context_of(world)
        context.computer = replace(context.computer, paths=Paths(tmp_path / "nowhere", tmp_path))
        assert short(await host(context, "clock")) == "pass"
        assert short(await host(context, "trust")) == "skip"


def test_tls_of_others_is_read_without_trusting_it(tmp_path: Path) -> None:
    with serving(_Vendor, tmp_path / "vendor") as port:
        found = look(port)
    expected = ssl.PEM_cert_to_DER_cert((tmp_path / "vendor" / "leaf.pem").read_text())
    assert (found.answer, found.certificate) == (ListenerKind.VENDOR, expected)
