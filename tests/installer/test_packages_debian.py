"""The Debian package on a Debian with nothing but apt: installed, used, purged. `make test-packages`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.debian import BOOKWORM, Debian, debian, why_not
from tests.support.packaged_login import ORIGIN
from tests.support.waiting import until

pytestmark = [
    pytest.mark.packages,
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]

DIST = Path(__file__).parents[2] / "dist"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
POLICIES = (
    "etc/chromium/policies/managed/hca-agent.json",
    "etc/opt/chrome/policies/managed/hca-agent.json",
    "etc/opt/edge/policies/managed/hca-agent.json",
    "etc/firefox/policies/policies.json",
)
USER = "doctor"
TLS_PORT = 56445
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"')


def package() -> Path:
    found = sorted(DIST.glob("hca-agent_*.deb"), key=lambda file: file.stat().st_mtime)
    if not found:
        pytest.skip("there is no package yet: make package")
    return found[-1]


@pytest.fixture(scope="module")
def installed() -> Iterator[Debian]:
    """A machine on which one line of apt installed the package, with a user of its own."""
    with debian(BOOKWORM, DIST) as machine:
        machine.apt("update")
        machine.apt("install", f"/handed/{package().name}")
        machine.run("useradd", "--create-home", USER)
        yield machine


@dataclass
class Running:
    """An agent of that user, in a network of its own.

    Attributes:
        pid: its process, seen from outside.
        said: what it wrote so far.
    """

    pid: int
    said: Path

    def in_its_network(self, *command: str) -> str:
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "--net", *command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr + self.said.read_text()
        return done.stdout

    def login(self, machine: Debian) -> dict[str, object]:
        """What a page posts after a login, over TLS that the machine's own store vouches for."""
        uid = machine.run("id", "-u", USER).strip()
        words = ("-m", "tests.support.packaged_login", uid, str(machine.root / BUNDLE), str(TLS_PORT))
        posted: dict[str, object] = json.loads(self.in_its_network(sys.executable, *words))
        return posted


@contextmanager
def running(machine: Debian, folder: Path, *words: str, before: Sequence[str] = ()) -> Iterator[Running]:
    """`hca-agent run` with these words, listening."""
    said = folder / "said.txt"
    command = machine.inside("hca-agent", "run", *words, user=USER, before=(*ALONE, *before))
    with said.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:

            def listening() -> bool:
                if "✔" in said.read_text():
                    return True
                assert process.poll() is None, said.read_text()
                return False

            until(listening, said.read_text, 60)
            yield Running(process.pid, said)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def test_one_line_of_apt_brings_everything_and_no_python(installed: Debian) -> None:
    assert "pcscd" in installed.run("dpkg-query", "-W", "pcscd", "libnss3-tools", "ca-certificates")
    assert "hca-agent" in installed.run("hca-agent", "--version", user=USER)
    for name in ("python3", "python"):
        assert installed.run("sh", "-c", f"command -v {name} || echo none") == "none\n"
    assert installed.run("dpkg", "--verify", "hca-agent") == ""


def test_no_library_is_missing(installed: Debian) -> None:
    listed = installed.run(
        "sh",
        "-c",
        "cd /usr/lib/hca-agent && find . -name '*.so*' -exec env LD_LIBRARY_PATH=_internal ldd {} +",
    )
    assert "libX11.so.6" in listed
    assert "not found" not in listed


def test_it_was_trusted_for_every_user_by_the_installation(installed: Debian) -> None:
    told = installed.run("hca-agent", "trust", "status", "--json", user=USER, check=False)
    certificate = json.loads(told)["certificate"]
    assert certificate["file"] == "/etc/hca-agent/tls/ca.pem"
    for policy in POLICIES:
        assert (installed.root / policy).is_file(), policy
    shown = installed.run("openssl", "verify", "-CAfile", f"/{BUNDLE}", "/etc/hca-agent/tls/leaf.pem")
    assert shown.strip().endswith("OK")
    again = installed.run("hca-agent", "trust", "install", "--machine")
    assert certificate["name"] in again


def test_the_machines_trust_is_for_root_alone_to_change(installed: Debian) -> None:
    for order in ("install", "remove"):
        refused = installed.run("hca-agent", "trust", order, "--machine", user=USER, check=False)
        assert f"sudo hca-agent trust {order} --machine" in refused
    assert installed.run("sh", "-c", "test -w /etc/hca-agent/tls || echo no", user=USER) == "no\n"


def test_it_starts_with_a_login_until_the_person_says_no(installed: Debian) -> None:
    def status() -> str:
        told = installed.run("hca-agent", "autostart", "status", "--json", user=USER, check=False)
        return str(json.loads(told)["autostart"])

    assert status() == "on"
    installed.run("hca-agent", "autostart", "off", user=USER)
    assert status() == "off"
    installed.run("hca-agent", "autostart", "on", user=USER)
    assert status() == "on"
    assert installed.run("ls", "-A", f"/home/{USER}/.config/autostart", user=USER) == ""


def test_it_serves_a_login_on_a_simulated_card_over_tls_that_the_machine_trusts(
    installed: Debian, tmp_path: Path
) -> None:
    policy = installed.root / "etc/hca-agent/policy.toml"
    policy.write_text(f'[origins]\nallow = ["{ORIGIN}"]\n')
    try:
        with running(installed, tmp_path, "--headless", "--simulate", "hpc") as agent:
            posted = agent.login(installed)
    finally:
        policy.unlink()
    assert posted["name"] == "測試人員卡"
    assert posted["status"]["agent"] == "hca-agent"  # type: ignore[index]
    assert not (installed.root / f"home/{USER}/.local/share/hca-agent/tls").exists()


def test_the_demo_passes(installed: Debian) -> None:
    told = installed.run("hca-agent", "demo", user=USER, before=ALONE)
    assert "全部通過" in told


def test_it_talks_to_the_smart_card_service_of_the_machine(installed: Debian) -> None:
    script = "pcscd --foreground & sleep 1; hca-agent readers --json; code=$?; kill $!; exit $code"
    readers = installed.run("sh", "-c", script, before=("unshare", "--net"))
    assert json.loads(readers[readers.index("{") :])["readers"] == []


def test_it_makes_no_connection_of_its_own(installed: Debian, tmp_path: Path) -> None:
    """In a network that has only loopback, every address it connects or sends to is one of loopback."""
    policy = installed.root / "etc/hca-agent/policy.toml"
    policy.write_text(f'[origins]\nallow = ["{ORIGIN}"]\n')
    trace = tmp_path / "trace.txt"
    tracer = ("strace", "-D", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace))
    try:
        with running(installed, tmp_path, "--headless", "--simulate", "hpc", before=tracer) as agent:
            agent.login(installed)
            time.sleep(2)  # nothing may be connected to meanwhile
    finally:
        policy.unlink()
    calls = trace.read_text()
    assert calls
    internet = [line for line in calls.splitlines() if "AF_INET" in line]
    assert [line for line in internet if not re.search(r'"127\.0\.0\.1"|"::1"', line)] == []


def test_purge_leaves_no_file_unit_certificate_or_policy(tmp_path: Path) -> None:
    depends = subprocess.run(
        ["dpkg-deb", "--field", str(package()), "Depends"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with debian(BOOKWORM, DIST) as machine:
        machine.apt("update")
        machine.apt("satisfy", depends)
        before, bundle = machine.files(), (machine.root / BUNDLE).read_bytes()
        machine.apt("install", f"/handed/{package().name}")
        during = machine.files()
        assert {f"/{policy}" for policy in POLICIES} <= during
        assert (machine.root / BUNDLE).read_bytes() != bundle
        (machine.root / "etc/hca-agent/policy.toml").write_text("[origins]\ndeny = []\n")
        machine.run("dpkg", "--remove", "hca-agent")
        assert not {f"/{policy}" for policy in POLICIES} & machine.files()
        assert (machine.root / "etc/hca-agent/policy.toml").exists()
        machine.run("dpkg", "--purge", "hca-agent")
        assert machine.files() == before
        assert (machine.root / BUNDLE).read_bytes() == bundle
        assert "hca-agent" not in machine.run("dpkg-query", "-W", "-f", "${Package}\n")


def test_an_upgrade_keeps_certificate_policy_and_answers(installed: Debian) -> None:
    before = (installed.root / "etc/hca-agent/tls/ca.pem").read_bytes()
    installed.apt("install", "--reinstall", f"/handed/{package().name}")
    assert (installed.root / "etc/hca-agent/tls/ca.pem").read_bytes() == before
