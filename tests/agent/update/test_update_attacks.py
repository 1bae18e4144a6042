"""The attacks that The Update Framework names, against the check that runs and against the installation."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root
from tuf.ngclient._internal import trusted_metadata_set

from agent.cli.program import program
from agent.paths import Paths
from agent.update import install, repository
from agent.update import state as states
from agent.update.check import Checks
from installer import release
from tests.support.update_site import UpdateSite, update_site
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.slow


class Told(list[str]):
    async def __call__(self, zh: str, en: str, errand: object = None) -> None:
        self.append(en)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[UpdateSite]:
    with update_site(tmp_path) as running:
        running.publish("7.2.0")
        yield running


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was handed to the administrator's command."""
    handed: list[Path] = []
    monkeypatch.setattr(install, "check_may_install", lambda *_: None)
    monkeypatch.setattr(install, "run_installer", lambda _settings, file: handed.append(file))
    return handed


def metadata(site: UpdateSite, name: str) -> Path:
    return site.folder / "metadata" / name


def rollback(site: UpdateSite) -> None:
    """The whole server as it was two releases ago."""
    for name in ("timestamp.json", "1.snapshot.json", "1.targets.json"):
        shutil.copy(site.folder.parent / "first" / "metadata" / name, metadata(site, name))


def freeze(site: UpdateSite) -> None:
    """What was once the newest is shown on, beyond its time."""
    site.publish("7.3.5", timestamp_days=-0.01)


def old_list_under_a_new_name(site: UpdateSite) -> None:
    """Mix and match: the new snapshot, with the list of files of another release."""
    site.publish("7.3.5")
    shutil.copy(metadata(site, "1.targets.json"), metadata(site, "3.targets.json"))


def old_snapshot_under_a_new_name(site: UpdateSite) -> None:
    site.publish("7.3.5")
    shutil.copy(metadata(site, "1.snapshot.json"), metadata(site, "3.snapshot.json"))


def lists_of_two_servers(site: UpdateSite) -> None:
    """The list of files that the same keys signed for another repository, of the right version."""
    twin = UpdateSite(site.folder.parent / "twin", site.keys)
    for version in ("1.0", "2.0", "9.9.9"):
        twin.publish(version)
    site.publish("7.3.5")
    shutil.copy(metadata(twin, "3.targets.json"), metadata(site, "3.targets.json"))
    shutil.copytree(twin.folder / "targets", site.folder / "targets", dirs_exist_ok=True)


def endless(role: str) -> Callable[[UpdateSite], None]:
    def attack(site: UpdateSite) -> None:
        site.publish("7.3.5")

        def lie(request: BaseHTTPRequestHandler) -> bool:
            if role not in request.path:
                return False
            request.send_response(200)
            request.end_headers()
            with suppress(OSError):
                while True:
                    request.wfile.write(b" " * 65536)
            return True

        site.lie = lie

    attack.__name__ = f"endless_{role.strip('.')}"
    return attack


def deep(site: UpdateSite) -> None:
    metadata(site, "timestamp.json").write_bytes(b"[" * 16000)


def no_text(site: UpdateSite) -> None:
    metadata(site, "timestamp.json").write_bytes(b'{"signed": "\xff\xfe", "signatures": []}')


def root_of_a_stranger(site: UpdateSite) -> None:
    """The next root, with keys of the attacker, which no key of before signed."""
    thief = CryptoSigner.generate_ed25519()
    root = Root(version=2, expires=release._in(30), consistent_snapshot=True)
    for role in release.ROLES:
        root.add_key(thief.public_key, role)
    signed = Metadata(root)
    signed.sign(thief)
    signed.to_file(str(metadata(site, "2.root.json")))


def root_that_its_own_key_did_not_sign(site: UpdateSite) -> None:
    """The old key alone signed: whoever made it does not have the new one."""
    old = release._signer(site.keys, "root")
    release.rotate(site.keys, ["root"])
    signed = Metadata[Root].from_file(str(site.keys / "root.json"))
    signed.sign(old)
    signed.to_file(str(metadata(site, "2.root.json")))


def root_skipped(site: UpdateSite) -> None:
    """Two changes of keys, of which the first is missing on the server."""
    release.rotate(site.keys, ["root", "timestamp"])
    release.rotate(site.keys, ["root", "timestamp"])
    site.publish("7.3.5")
    metadata(site, "2.root.json").unlink()


def root_under_anothers_number(site: UpdateSite) -> None:
    for _ in range(2):
        release.rotate(site.keys)
    site.publish("7.3.5")
    shutil.copy(metadata(site, "3.root.json"), metadata(site, "2.root.json"))


def root_expired(site: UpdateSite) -> None:
    release.rotate(site.keys, root_days=-0.01)
    site.publish("7.3.5")


def stamp_of_a_stranger(site: UpdateSite) -> None:
    shutil.copy(site.keys / "root.pem", site.keys / "timestamp.pem")
    site.publish("7.3.5")


ATTACKS = [
    (rollback, "update.rolled_back"),
    (freeze, "update.expired"),
    (old_list_under_a_new_name, "update.refused"),
    (old_snapshot_under_a_new_name, "update.refused"),
    (lists_of_two_servers, "update.refused"),
    *((endless(role), "update.refused") for role in ("timestamp.", "snapshot.", "targets.json", "root.json")),
    (endless("release.json"), "update.refused"),
    (deep, "update.refused"),
    (no_text, "update.refused"),
    (root_of_a_stranger, "update.refused"),
    (root_that_its_own_key_did_not_sign, "update.refused"),
    (root_skipped, "update.refused"),
    (root_under_anothers_number, "update.rolled_back"),
    (root_expired, "update.expired"),
    (stamp_of_a_stranger, "update.refused"),
]


@pytest.mark.parametrize(("attack", "refusal"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
async def test_an_attack_is_refused_installs_nothing_is_told_once_and_the_next_look_is_good(
    site: UpdateSite,
    tmp_path: Path,
    installed: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[UpdateSite], None],
    refusal: str,
) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    (paths.machine / "policy.toml").write_text(f'[update]\nenabled = true\nurl = "{site.url}"\n')
    checks = Checks(site.settings(), paths, told)
    shutil.copytree(site.folder, tmp_path / "first")
    await checks.attempt()
    site.publish("7.3.0")
    await checks.attempt()
    assert len(told) == 2, told
    shutil.copytree(site.folder, tmp_path / "honest")
    shutil.copytree(site.keys, tmp_path / "honest keys")

    attack(site)
    for _ in range(3):
        await checks.attempt()
        last = states.read(paths.update)
        assert last is not None and last.error == refusal
    assert len(told) == 3 and told[-1].startswith("Update check: The update was refused"), told
    monkeypatch.setattr(Paths, "of", lambda: paths)
    result = await asyncio.to_thread(CliRunner().invoke, program, ["update", "install"])
    assert result.exit_code == 1 and refusal in result.stderr, result.output
    assert installed == []

    site.lie = lambda _request: False
    if attack is root_expired:  # it was the true one, and late
        release.rotate(site.keys)
    else:
        for name, place in (("honest", site.folder), ("honest keys", site.keys)):
            shutil.rmtree(place)
            shutil.copytree(tmp_path / name, place)
    for version in ("7.3.7", "7.3.8", "7.4.0"):
        site.publish(version)
    await checks.attempt()
    assert len(told) == 4 and "7.4.0" in told[-1], told
    freeze(site)
    await checks.attempt()
    assert len(told) == 5, "a refusal after a good look is told again"


async def test_a_server_that_is_away_is_nobodys_trouble(site: UpdateSite, tmp_path: Path) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()

    def lie(request: BaseHTTPRequestHandler) -> bool:
        request.send_error(503)
        return True

    site.lie = lie
    await Checks(site.settings(), paths, told).attempt()
    last = states.read(paths.update)
    assert last is not None and last.error == "update.unreachable"
    assert told == []


async def test_keys_that_changed_by_the_rules_are_followed(site: UpdateSite, tmp_path: Path) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    checks = Checks(site.settings(), paths, told)
    await checks.attempt()
    release.rotate(site.keys, release.ROLES)
    release.rotate(site.keys, ["root"])
    site.publish("7.3.0")
    await checks.attempt()
    assert [line.split()[3] for line in told] == ["7.2.0", "7.3.0"]
    # One that looks for the first time begins at the root it was installed with.
    shutil.rmtree(paths.update)
    again = Told()
    await Checks(site.settings(), paths, again).attempt()
    assert [line.split()[3] for line in again] == ["7.3.0"]


async def test_keys_that_were_replaced_sign_nothing_any_more(site: UpdateSite, tmp_path: Path) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    checks = Checks(site.settings(), paths, told)
    shutil.copytree(site.keys, tmp_path / "stolen")
    release.rotate(site.keys, release.ROLES)
    site.publish("7.3.0")
    await checks.attempt()
    for file in (site.folder / "metadata").glob("*.root.json"):
        file.unlink()
    UpdateSite(site.folder, tmp_path / "stolen").publish("9.9.9")  # and the root of before
    await checks.attempt()
    last = states.read(paths.update)
    assert last is not None and last.error == "update.refused"


async def test_versions_that_a_thief_ran_up_are_forgotten_with_the_thiefs_key(
    site: UpdateSite, tmp_path: Path
) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    checks = Checks(site.settings(), paths, told)
    stamp = release.Metadata.from_file(str(metadata(site, "timestamp.json")))
    stamp.signed.version = 10**9
    stamp.sign(release._signer(site.keys, "timestamp"))
    honest = metadata(site, "timestamp.json").read_bytes()
    stamp.to_file(str(metadata(site, "timestamp.json")))
    await checks.attempt()
    metadata(site, "timestamp.json").write_bytes(honest)
    site.publish("7.3.0")
    await checks.attempt()
    last = states.read(paths.update)
    assert last is not None and last.error == "update.rolled_back"
    release.rotate(site.keys, ["timestamp"])
    site.publish("7.4.0")
    await checks.attempt()
    assert "7.4.0" in told[-1]


@pytest.mark.parametrize(
    ("days", "attack", "refusal"),
    [(3650, None, "update.expired"), (-3650, rollback, "update.rolled_back"), (-3650, None, "")],
    ids=["ten years on", "ten years back, and the server too", "ten years back"],
)
async def test_a_clock_that_is_wrong_opens_no_way_back(
    site: UpdateSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    attack: Callable[[UpdateSite], None] | None,
    refusal: str,
) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    checks = Checks(site.settings(), paths, told)
    shutil.copytree(site.folder, tmp_path / "first")
    site.publish("7.3.0")
    await checks.attempt()
    if attack is not None:
        attack(site)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=days)

    with monkeypatch.context() as wrong:
        wrong.setattr(trusted_metadata_set.datetime, "datetime", Clock)
        await checks.attempt()
    last = states.read(paths.update)
    assert last is not None and last.error == refusal


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 50, b"[" * 9999])
async def test_a_damaged_memory_of_earlier_looks_stops_none(
    site: UpdateSite, tmp_path: Path, content: bytes
) -> None:
    paths, told = site.paths(tmp_path / "home"), Told()
    checks = Checks(site.settings(), paths, told)
    release.rotate(site.keys)
    site.publish("7.3.0")
    await checks.attempt()
    for file in paths.update.rglob("*.json"):
        file.write_bytes(content)
    site.publish("7.4.0")
    await checks.attempt()
    last = states.read(paths.update)
    assert last is not None and not last.error, last
    assert "7.4.0" in told[-1]


class Slow:
    """A server that says one byte of an answer now and then, until `enough`."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.enough = threading.Event()

    def __call__(self, request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.end_headers()
        self.asked.set()
        with suppress(OSError):
            while not self.enough.wait(0.05):
                request.wfile.write(b" ")
                request.wfile.flush()
        return True


async def test_a_server_that_never_finishes_is_given_up(
    site: UpdateSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.lie = slow = Slow()
    monkeypatch.setattr(repository, "LOOK_SECONDS", 0.5)
    paths = site.paths(tmp_path / "home")
    try:
        await Checks(site.settings(), paths, Told()).attempt()
        last = states.read(paths.update)
        assert last is not None and last.error == "update.unreachable"
        assert not slow.enough.is_set()
    finally:
        slow.enough.set()


def test_no_end_of_the_agent_waits_for_a_server_that_never_finishes(site: UpdateSite, tmp_path: Path) -> None:
    site.lie = slow = Slow()
    paths = site.paths(tmp_path / "home")

    async def agent() -> None:
        looking = asyncio.create_task(Checks(site.settings(), paths, Told()).attempt())
        await asyncio.to_thread(slow.asked.wait, LIMIT)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    ended = threading.Thread(target=lambda: asyncio.run(agent()), daemon=True)
    ended.start()
    try:
        ended.join(LIMIT)
        assert not ended.is_alive()
    finally:
        slow.enough.set()


async def test_a_check_that_nobody_foresaw_to_fail_is_not_the_last(
    site: UpdateSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = Checks(site.settings(), site.paths(tmp_path / "home"), told := Told())

    def fails(*_: object) -> None:
        raise ValueError("unforeseen")

    with monkeypatch.context() as broken:
        broken.setattr(repository.Repository, "release", fails)
        await checks.attempt()
    await checks.attempt()
    assert "7.2.0" in told[0]
