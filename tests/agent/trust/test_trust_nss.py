"""NSS databases, changed by the real certutil of NSS."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.trust import FoundAuthority, Machine, OwnAuthorities, TrustState, install, remove, status
from agent.trust.nss import NssDatabase
from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.portal_tls import PortalTls
from tests.support.trust import current, machine, made, real_machine

pytestmark = not_on_windows(LINUX_STORES)


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "tls")


@pytest.fixture
def database(tmp_path: Path) -> NssDatabase:
    """One that does not exist yet."""
    return NssDatabase(real_machine(tmp_path), tmp_path / "a home" / "nssdb", "Browser", ("Browser",))


def certutil(database: NssDatabase, *words: str, given: bytes = b"") -> str:
    command = ["certutil", "-d", f"sql:{database.location}", *words]
    done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=30)
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
