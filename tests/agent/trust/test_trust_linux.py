"""The system's store on Linux: each family's folder and commands, and Debian's for real."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.trust import Machine, OwnAuthorities, TrustState, install, remove, status
from agent.trust.linux import LAYOUTS, AnchorStore, FolderStore, Layout, system_store
from agent.trust.machine import Outcome
from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.trust import Programs, can_have_mounts, current, machine, made, with_own_system_store

pytestmark = not_on_windows(LINUX_STORES)


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "tls")


class Distribution:
    """A system whose program copies the folder of anchors into the bundle."""

    def __init__(self, folder: Path, layout: Layout, *, user: int = 0) -> None:
        self.root = folder / "root"
        self.anchors = self.root / layout.folder
        self.bundle = self.root / layout.bundle
        for each in (self.anchors, self.bundle.parent):
            each.mkdir(parents=True, exist_ok=True)
        self.programs = Programs(answer=self.refresh)
        self.machine = machine(folder, self.programs, user=user, root=self.root)
        found = system_store(self.machine)
        assert isinstance(found, FolderStore)
        self.store = found

    def refresh(self, _: Sequence[str]) -> None:
        self.bundle.write_bytes(b"".join(file.read_bytes() for file in sorted(self.anchors.iterdir())))


@pytest.mark.parametrize("layout", LAYOUTS, ids=["debian", "fedora", "suse", "arch"])
def test_each_family_of_distributions_is_told_in_its_own_way(
    tmp_path: Path, ours: OwnAuthorities, layout: Layout
) -> None:
    system = Distribution(tmp_path, layout)
    (system.anchors / "company.crt").write_text("another")
    assert system.store.location == str(system.anchors)
    assert install([system.store], ours, print)[0].accepted
    (file,) = system.anchors.glob("hca-agent-*.crt")
    assert file.read_bytes() == current(ours).pem and file.stat().st_mode & 0o777 == 0o644
    assert not install([system.store], ours, print)[0].changed
    assert remove([system.store], ours, print)[0].clean
    assert [path.name for path in system.anchors.iterdir()] == ["company.crt"]
    added, removed = ([f"/bin/{words[0]}", *words[1:]] for words in (layout.added, layout.removed))
    assert system.programs.calls == [added, removed]


def test_a_file_of_ours_that_is_not_in_the_bundle_is_not_trusted(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    system = Distribution(tmp_path, LAYOUTS[0])
    (system.anchors / "hca-agent-1.crt").write_bytes(current(ours).pem)
    assert status([system.store], ours)[0].state is TrustState.DISTRUSTED


def test_files_that_only_have_our_name_are_left_alone(tmp_path: Path, ours: OwnAuthorities) -> None:
    system = Distribution(tmp_path, LAYOUTS[0])
    (system.anchors / "hca-agent-1.crt").write_text("somebody's notes")
    assert remove([system.store], ours, print)[0].clean
    assert (system.anchors / "hca-agent-1.crt").exists()


def test_without_root_nothing_is_done_and_the_line_to_type_is_told(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    system = Distribution(tmp_path, LAYOUTS[0], user=1000)
    (row,) = install([system.store], ours, print)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.needs_root"
    target = system.anchors / f"hca-agent-{current(ours).sha256[:16].lower()}.crt"
    assert str(row.error.facts["detail"]) == (
        f"sudo install -m 644 {ours.file} {target} && sudo update-ca-certificates"
    )
    assert system.programs.calls == [] and list(system.anchors.iterdir()) == []
    install([FolderStore(replace(system.machine, user=0), LAYOUTS[0])], ours, print)
    (row,) = remove([system.store], ours, print)
    assert isinstance(row.error, AgentError)
    assert row.error.facts["detail"] == f"sudo rm {target} && sudo update-ca-certificates --fresh"
    assert target.exists()


def test_a_system_with_p11_kit_alone_is_told_by_trust(tmp_path: Path, ours: OwnAuthorities) -> None:
    anchors: list[bytes] = []

    def answer(command: Sequence[str]) -> None:
        if command[1] == "extract":
            Path(command[-1]).write_bytes(b"".join(anchors))
        elif command[2] == "--store":
            anchors.append(Path(command[3]).read_bytes())
        else:
            anchors.remove(Path(command[3]).read_bytes())

    programs = Programs(answer=answer)
    store = system_store(machine(tmp_path, programs, user=0))
    assert isinstance(store, AnchorStore)
    assert install([store], ours, print)[0].accepted
    assert remove([store], ours, print)[0].clean
    changes = [call for call in programs.calls if call[1] == "anchor"]
    assert changes[0] == ["/bin/trust", "anchor", "--store", str(ours.file)]
    assert changes[1][:3] == ["/bin/trust", "anchor", "--remove"]


def test_a_failing_program_of_the_system_is_quoted(tmp_path: Path, ours: OwnAuthorities) -> None:
    system = Distribution(tmp_path, LAYOUTS[0])
    system.programs.answer = lambda _: Outcome(1, b"Updating\n", b"run-parts: a hook failed\n")
    (row,) = install([system.store], ours, print)
    assert "run-parts: a hook failed" in str(row.error)


_REAL = """
import json, ssl, subprocess, sys
from pathlib import Path
from agent.trust import Machine, install, own_authorities, remove
from agent.trust.linux import system_store

known = own_authorities(Path(sys.argv[1]))
store = system_store(Machine.this())
def trusted():
    return subprocess.run(["openssl", "verify", "-verify_hostname", "localhost", sys.argv[1] + "/leaf.pem"],
                          capture_output=True).returncode == 0
seen = [trusted(), len(ssl.create_default_context().get_ca_certs())]
seen += [install([store], known, print)[0].accepted, trusted(), install([store], known, print)[0].changed]
seen += [remove([store], known, print)[0].clean, trusted(), len(ssl.create_default_context().get_ca_certs())]
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_debian_for_real(tmp_path: Path, ours: OwnAuthorities) -> None:
    if not Path("/usr/sbin/update-ca-certificates").exists() or not can_have_mounts():
        pytest.skip("needs root and update-ca-certificates")
    there = set(Path("/usr/local/share/ca-certificates").iterdir())
    command = [sys.executable, "-c", _REAL, str(ours.file.parent)]
    isolated = with_own_system_store(tmp_path / "copies", *command)
    done = subprocess.run(isolated, capture_output=True, text=True, check=False, timeout=250)
    before, count, installed, then, changed, clean, after, again = json.loads(done.stdout.splitlines()[-1])
    assert (before, installed, then, changed, clean, after) == (False, True, True, False, True, False)
    assert count == again
    assert set(Path("/usr/local/share/ca-certificates").iterdir()) == there


def test_a_test_that_forgets_a_machine_of_its_own_finds_no_store_of_this_one() -> None:
    this = Machine.this()
    assert this.home != Path.home() and this.root != Path("/")
    assert system_store(replace(this, find=lambda name: None if name == "trust" else f"/bin/{name}")) is None
    assert this.find("trust") is None
