"""NSS databases, changed by the real certutil of NSS."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.trust import FoundAuthority, Machine, OwnAuthorities, TrustState, install, remove, status
from agent.trust.nss import NssDatabase
from tests.support.platforms import LINUX_STORES
from tests.support.portal_tls import PortalTls
from tests.support.trust import (
    can_have_mounts,
    current,
    machine,
    made,
    real_machine,
    with_own_system_store,
)

if sys.platform == "win32":
    pytest.skip(LINUX_STORES, allow_module_level=True)

from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "tls")


@pytest.fixture
def database(tmp_path: Path) -> NssDatabase:
    """One that does not exist yet."""
    return NssDatabase(real_machine(tmp_path), tmp_path / "a home" / "nssdb", "Browser", ("Browser",))


def certutil(database: NssDatabase, *words: str, given: bytes = b"") -> str:
    command = ["certutil", "-d", f"sql:{database.location}", *words]
    done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=120)
    return done.stdout.decode()


def quietly(_: object) -> None:
    raise AssertionError("NSS asks nobody")


def test_a_database_is_made_only_when_there_is_something_to_put_into_it(
    database: NssDatabase, ours: OwnAuthorities
) -> None:
    folder = Path(database.location)
    assert status([database], ours)[0].state is TrustState.ABSENT
    assert remove([database], ours, quietly)[0].clean
    assert not folder.exists()
    assert install([database], ours, quietly)[0].accepted
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_is_trusted_for_web_servers_and_for_nothing_else(
    database: NssDatabase, ours: OwnAuthorities
) -> None:
    install([database], ours, quietly)
    listed = certutil(database, "-L")
    assert listed.split(current(ours).name)[1].split() == ["C,,"]


def test_installing_again_and_removing_twice_are_fine(database: NssDatabase, ours: OwnAuthorities) -> None:
    assert [install([database], ours, quietly)[0].changed for _ in range(2)] == [True, False]
    assert [remove([database], ours, quietly)[0].changed for _ in range(2)] == [True, False]
    assert current(ours).name not in certutil(database, "-L")


@pytest.fixture
def browsers(tmp_path: Path) -> NssDatabase:
    """As the Chromium family's, which takes another place where this one is not."""
    return NssDatabase(real_machine(tmp_path), tmp_path / "home/pki/nssdb", "Browser", (), goes=True)


def test_a_browsers_database_that_we_made_goes_with_our_last_certificate(
    browsers: NssDatabase, ours: OwnAuthorities, tmp_path: Path
) -> None:
    install([browsers], ours, quietly)
    assert remove([browsers], ours, quietly)[0].clean
    assert list((tmp_path / "home").iterdir()) == []


def test_a_browsers_database_stays_where_anything_else_is_in_it(
    browsers: NssDatabase, ours: OwnAuthorities, tmp_path: Path
) -> None:
    modules = Path(browsers.location, "pkcs11.txt")

    def stays() -> bool:
        assert remove([browsers], ours, quietly)[0].clean
        return Path(browsers.location, "cert9.db").exists()

    install([browsers], ours, quietly)
    empty = modules.read_text()
    modules.write_text(f"{empty}\nlibrary=/usr/lib/opensc-pkcs11.so\nname=OpenSC\n\n")
    assert stays()
    modules.write_text(empty)
    install([browsers], ours, quietly)
    other = PortalTls(tmp_path / "portal", "portal.example.test").authority.read_bytes()
    certutil(browsers, "-A", "-a", "-n", "theirs", "-t", "C,,", given=other)
    assert stays()
    certutil(browsers, "-D", "-n", "theirs")
    install([browsers], ours, quietly)
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(256)) * 8)
    certutil(browsers, "-S", "-x", "-n", "a key", "-s", "CN=a", "-t", ",,", "-z", str(noise))
    certutil(browsers, "-D", "-n", "a key")  # the key stays
    assert stays()


def test_an_empty_database_that_the_browser_made_stays(browsers: NssDatabase, ours: OwnAuthorities) -> None:
    Path(browsers.location).mkdir(parents=True)
    certutil(browsers, "-N", "--empty-password")
    install([browsers], ours, quietly)
    assert remove([browsers], ours, quietly)[0].clean
    assert certutil(browsers, "-L")


def test_other_certificates_stay_as_they_are(
    database: NssDatabase, ours: OwnAuthorities, tmp_path: Path
) -> None:
    other = PortalTls(tmp_path / "portal", "portal.example.test").authority.read_bytes()
    install([database], ours, quietly)
    name = "HCA Card Agent localhost CA 12345678"  # our name, but not ours
    certutil(database, "-A", "-a", "-n", name, "-t", "CT,C,", given=other)
    remove([database], ours, quietly)
    listed = certutil(database, "-L")
    assert listed.count("HCA Card Agent") == 1
    assert listed.split(name)[1].split() == ["CT,C,"]


@pytest.mark.parametrize("nickname", ["我的 憑證 C,,", "a  b", "-n", "C,,", 'it\'s "quoted" $HOME'])
def test_one_that_was_put_there_by_hand_is_found_whatever_it_is_called(
    database: NssDatabase, ours: OwnAuthorities, nickname: str
) -> None:
    Path(database.location).mkdir(parents=True)
    certutil(database, "-N", "--empty-password")
    certutil(database, "-A", "-a", "-n", nickname, "-t", ",,", given=current(ours).pem)
    assert database.find() == (FoundAuthority(current(ours), trusted=False, key=nickname),)
    assert install([database], ours, quietly)[0].accepted
    assert certutil(database, "-L").count(",,") == 1 + nickname.count(",,")
    assert remove([database], ours, quietly)[0].clean


def test_a_database_with_a_primary_password_is_left_as_it_was(
    database: NssDatabase, ours: OwnAuthorities, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret of the person\n")
    Path(database.location).mkdir(parents=True)
    certutil(database, "-N", "-f", str(tmp_path / "password"))
    (row,) = install([database], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.locked"
    assert str(ours.file) in str(row.error)
    assert row.state is TrustState.ABSENT
    assert "HCA Card Agent" not in certutil(database, "-L")


def locked(database: NssDatabase, tmp_path: Path, *, fips: bool = False) -> Path:
    """Make it with a password; the file that has it."""
    password = tmp_path / "password"
    password.write_text("secret of the person\n")
    Path(database.location).mkdir(parents=True)
    certutil(database, "-N", "-f", str(password))
    if fips:
        if shutil.which("modutil") is None:
            pytest.skip("needs modutil")
        words = ["modutil", "-dbdir", f"sql:{database.location}", "-fips", "true", "-force"]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
    return password


@pytest.mark.parametrize("fips", [False, True], ids=["a password", "a password and FIPS"])
def test_a_locked_database_is_looked_into_and_cleaned_without_its_password(
    database: NssDatabase, ours: OwnAuthorities, tmp_path: Path, fips: bool
) -> None:
    password = locked(database, tmp_path, fips=fips)
    assert status([database], ours)[0].state is TrustState.ABSENT
    (row,) = install([database], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.locked"
    assert row.state is TrustState.ABSENT
    given = current(ours).pem  # by the person, who knows it
    certutil(database, "-A", "-a", "-n", "mine", "-t", "C,,", "-f", str(password), given=given)
    assert status([database], ours)[0].accepted
    assert install([database], ours, quietly)[0].error is None
    row = remove([database], ours, quietly)[0]
    assert row.clean and row.changed and row.error is None


async def test_trust_install_on_a_terminal_says_a_sentence_and_asks_for_no_password(tmp_path: Path) -> None:
    """On a real terminal, where certutil would ask."""
    home = tmp_path / "home"
    database = NssDatabase(real_machine(tmp_path), home / ".pki" / "nssdb", "Browser", ("Browser",))
    locked(database, tmp_path)
    environment = {"HOME": str(home), "HCA_AGENT_HOME": str(tmp_path / "agent"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "agent", "trust", "install"]
    if can_have_mounts():
        command = with_own_system_store(tmp_path / "system", *command)
    terminal = Terminal(command, environment)
    try:
        await terminal.expect("trust.locked")
        assert "assword or Pin" not in terminal.screen
    finally:
        terminal.close()


def test_a_read_only_database_is_looked_into_and_left_with_a_sentence(
    database: NssDatabase, ours: OwnAuthorities, monkeypatch: pytest.MonkeyPatch
) -> None:
    install([database], ours, quietly)
    folder = Path(database.location)
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path).parent != folder)
    assert status([database], ours)[0].accepted
    (row,) = remove([database], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.read_only"
    assert row.state is TrustState.TRUSTED and not row.changed
    monkeypatch.undo()
    remove([database], ours, quietly)
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != folder)
    (row,) = install([database], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.read_only"
    assert row.state is TrustState.ABSENT


@pytest.mark.parametrize("name", ["cert9.db", "key4.db", ""], ids=["certificates", "keys", "folder"])
def test_a_link_to_somebody_elses_database_is_not_followed(
    ours: OwnAuthorities, tmp_path: Path, name: str
) -> None:
    """As where root looks after itself and a user had put a link there."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    theirs = NssDatabase(real_machine(tmp_path), tmp_path / "theirs", "Browser", ())
    install([theirs], ours, quietly)
    remove([theirs], ours, quietly)
    before = {file: file.read_bytes() for file in Path(theirs.location).iterdir()}
    for file in (Path(theirs.location), *before):
        os.chown(file, 65534, 65534)
    folder = tmp_path / "mine"
    if name:
        shutil.copytree(theirs.location, folder)
        (folder / name).unlink()
        (folder / name).symlink_to(Path(theirs.location, name))
    else:
        folder.symlink_to(theirs.location)
    mine = NssDatabase(real_machine(tmp_path), folder, "Browser", ())
    for row in (*install([mine], ours, quietly), *remove([mine], ours, quietly)):
        assert isinstance(row.error, AgentError) and row.error.error_id == "trust.not_yours"
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("name", ["cert9.db", ""], ids=["certificates", "folder"])
def test_a_link_that_leads_nowhere_makes_nothing(ours: OwnAuthorities, tmp_path: Path, name: str) -> None:
    folder, nowhere = tmp_path / "mine", tmp_path / "nowhere"
    if name:
        folder.mkdir()
    (folder / name).symlink_to(nowhere)
    (row,) = install([NssDatabase(real_machine(tmp_path), folder, "Browser", ())], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.read_only"
    assert not nowhere.exists()


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_database_that_another_program_holds_is_left_with_a_sentence(
    database: NssDatabase, ours: OwnAuthorities, lock: str
) -> None:
    install([database], ours, quietly)
    holder = sqlite3.connect(Path(database.location, "cert9.db"), isolation_level=None)
    try:
        holder.execute(f"BEGIN {lock}")
        (row,) = remove([database], ours, quietly)
        assert isinstance(row.error, AgentError) and row.error.error_id == "trust.tool_failed"
        assert "SEC_ERROR" in str(row.error)
    finally:
        holder.close()
    assert remove([database], ours, quietly)[0].clean


def test_a_missing_certutil_is_named_as_missing(tmp_path: Path, ours: OwnAuthorities) -> None:
    bare = real_machine(tmp_path, without=["certutil"])
    (row,) = install([NssDatabase(bare, tmp_path / "nssdb", "Browser", ())], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.tool_missing"
    assert "certutil" in str(row.error)
    assert row.state is TrustState.ABSENT
    assert not (tmp_path / "nssdb").exists()


def test_a_damaged_database_is_unknown_and_told(database: NssDatabase, ours: OwnAuthorities) -> None:
    install([database], ours, quietly)
    for file in Path(database.location).glob("*.db"):
        file.write_bytes(b"not a database")
    (row,) = status([database], ours)
    assert row.state is TrustState.UNKNOWN
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.tool_failed"


def test_a_database_of_another_user_is_not_touched(
    database: NssDatabase, ours: OwnAuthorities, tmp_path: Path
) -> None:
    somebody = replace(real_machine(tmp_path), user=tmp_path.stat().st_uid + 1)
    theirs = NssDatabase(somebody, Path(database.location), "Browser", ())
    for row in (*install([theirs], ours, quietly), *install([theirs], ours, quietly)):
        assert isinstance(row.error, AgentError) and row.error.error_id == "trust.not_yours"
    assert not Path(database.location).exists()
    install([database], ours, quietly)
    (row,) = remove([theirs], ours, quietly)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.not_yours"
    assert status([database], ours)[0].accepted


def test_certutil_is_never_given_a_terminal_to_ask_on(tmp_path: Path) -> None:
    outcome = Machine.this().run(["sh", "-c", "exec 3</dev/tty && echo asked"], b"", 20)
    assert outcome.status != 0 and b"asked" not in outcome.output


def test_a_program_that_hangs_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        Machine.this().run(["sleep", "30"], b"", 0.2)
    assert caught.value.error_id == "trust.tool_failed"


def test_a_fake_machine_owns_its_own_home_only(tmp_path: Path) -> None:
    mine = machine(tmp_path)
    assert mine.owns(tmp_path / "not" / "there" / "yet")
    assert not replace(mine, user=(mine.user or 0) + 1).owns(tmp_path / "not" / "there")
