"""Browser policies of a whole machine: files of ours beside the administrator's, a line in Firefox's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import tls
from agent.errors import AgentError
from agent.origins.portals import KNOWN
from agent.trust import (
    Machine,
    OwnAuthorities,
    TrustStore,
    all_users,
    install,
    json_text,
    own_authorities,
    remove,
    status,
    stores_of_all_users,
)
from agent.trust.policies import FIREFOX, governed, policies
from agent.trust.portal_policies import add_portals, remove_portals
from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.trust import Programs, Shelf, current, machine, made

pytestmark = not_on_windows(LINUX_STORES)

ALL = ("etc/chromium/policies/managed", "etc/opt/chrome/policies/managed", "etc/opt/edge/policies/managed")


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "tls")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc/opt").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def roots(tmp_path: Path, root: Path) -> Machine:
    """The machine as root sees it, without a system store."""
    return machine(tmp_path, Programs(missing=("trust",)), root=root, user=0)


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_each_browser_is_told_and_nothing_is_left_behind(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    rows = install(policies(roots), ours, lambda _: None)
    assert [row.accepted for row in rows] == [True] * 4
    assert {f"{folder}/hca-agent.json" for folder in ALL} < everything(root)
    assert json.loads((root / FIREFOX).read_bytes()) == {
        "policies": {"Certificates": {"Install": [str(ours.file)]}}
    }
    assert all((root / folder / "hca-agent.json").stat().st_mode & 0o777 == 0o644 for folder in ALL)
    rows = remove(policies(roots), ours, lambda _: None)
    assert [row.clean for row in rows] == [True] * 4
    assert everything(root) == {"etc", "etc/opt"}


def test_what_the_administrator_said_stays(ours: OwnAuthorities, root: Path, roots: Machine) -> None:
    theirs = {"policies": {"Certificates": {"Install": ["/their/ca.pem"]}, "DisableTelemetry": True}}
    (root / FIREFOX).parent.mkdir(parents=True)
    (root / FIREFOX).write_text(json.dumps(theirs))
    other = root / ALL[0] / "theirs.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    install(policies(roots), ours, lambda _: None)
    held = json.loads((root / FIREFOX).read_bytes())["policies"]
    assert held["Certificates"]["Install"] == ["/their/ca.pem", str(ours.file)]
    remove(policies(roots), ours, lambda _: None)
    assert json.loads((root / FIREFOX).read_bytes()) == theirs
    assert other.read_text() == "{}"


@pytest.mark.parametrize(
    "content", ["not JSON", "[]", '{"policies": 1}', '{"policies": {"Certificates": []}}']
)
def test_a_firefox_policy_that_nobody_can_read_is_left_as_it_is(
    content: str, ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    (root / FIREFOX).parent.mkdir(parents=True)
    (root / FIREFOX).write_text(content)
    *chromium, firefox = install(policies(roots), ours, lambda _: None)
    assert isinstance(firefox.error, AgentError) and not firefox.accepted
    assert all(row.accepted for row in chromium)
    assert (root / FIREFOX).read_text() == content


def test_a_policy_that_firefox_would_no_longer_read_keeps_ours_away(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    other = root / "usr/lib64/firefox/distribution/policies.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    firefox = install(policies(roots), ours, lambda _: None)[-1]
    assert str(other) in str(firefox.error)
    assert not (root / FIREFOX).exists()


def test_only_root_changes_them(ours: OwnAuthorities, root: Path, roots: Machine) -> None:
    rows = install(policies(replace(roots, user=1000)), ours, lambda _: None)
    assert all("sudo hca-agent trust install --machine" in str(row.error) for row in rows)
    assert everything(root) == {"etc", "etc/opt"}


@pytest.mark.parametrize("content", ["not JSON", "[]", '{"CACertificates": ["?", "AAAA", 5]}'])
def test_a_file_of_ours_that_was_damaged_is_written_anew(
    content: str, ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    file = root / ALL[0] / "hca-agent.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    chromium = policies(roots)[0]
    assert chromium.find() == ()
    chromium.add(current(ours), ours.file)
    assert [found.authority for found in chromium.find()] == [ours.current]


def test_a_users_browser_that_obeys_the_policy_needs_nothing_more(
    ours: OwnAuthorities, roots: Machine, tmp_path: Path
) -> None:
    def shelf(*programs: str, location: str = "/home/a/.pki/nssdb") -> Shelf:
        return Shelf(programs=programs, location=location)

    install(policies(roots), ours, lambda _: None)
    obeying: tuple[Callable[[], Shelf], ...] = (lambda: shelf("Chromium", "Chrome"), lambda: shelf("Firefox"))
    for make in obeying:
        row = install([governed(roots, make())], ours, lambda _: None)[0]
        assert row.accepted and not row.changed
    for own in (
        shelf("Chromium", "Vivaldi"),
        shelf("NSS"),
        shelf("Chromium", location="/home/a/snap/chromium/current/.pki/nssdb"),
        shelf("Firefox", location="/home/a/.var/app/org.mozilla.firefox/x"),
    ):
        row = install([governed(roots, own)], ours, lambda _: None)[0]
        assert row.accepted and row.changed


def test_a_user_takes_out_what_is_the_users_and_no_more(ours: OwnAuthorities, roots: Machine) -> None:
    install(policies(roots), ours, lambda _: None)
    own = Shelf(programs=("Chromium",), location="/home/a/.pki/nssdb")
    store: TrustStore = governed(roots, own)
    for found in store.find():
        store.remove(found)
    assert own.changes == []


def test_root_makes_the_machines_identity_once_and_takes_it_down(root: Path, roots: Machine) -> None:
    folder = root / "etc/hca-agent/tls"
    first, rows = all_users.set_up(folder, roots)
    assert all(row.accepted for row in rows)
    assert {(folder / name).stat().st_mode & 0o777 for name in (tls.CA, tls.LEAF, tls.KEY)} == {0o644}
    again, _ = all_users.set_up(folder, roots)
    assert again.current == first.current
    _, rows = all_users.take_down(folder, roots)
    assert all(row.clean for row in rows)
    assert everything(root) == {"etc", "etc/opt", "etc/hca-agent", "etc/hca-agent/tls"}


def test_the_folders_mode_is_the_administrators(root: Path, roots: Machine) -> None:
    folder = root / "etc/hca-agent/tls"
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    all_users.set_up(folder, roots)
    assert folder.stat().st_mode & 0o777 == 0o750


def test_a_renewed_identity_takes_the_place_of_the_old_one_everywhere(root: Path, roots: Machine) -> None:
    folder = root / "etc/hca-agent/tls"
    tls.ensure(folder, now=datetime.now(UTC) - timedelta(days=760))
    old = own_authorities(folder)
    install(stores_of_all_users(roots), old, lambda _: None)
    new, rows = all_users.set_up(folder, roots)
    assert new.current != old.current
    assert all(row.accepted and row.others == () for row in rows)


@pytest.mark.parametrize("work", [all_users.set_up, all_users.take_down])
def test_nobody_else_than_root_gets_that_far(
    work: Callable[[Path, Machine], object], root: Path, roots: Machine
) -> None:
    with pytest.raises(AgentError, match="sudo hca-agent trust"):
        work(root / "etc/hca-agent/tls", replace(roots, user=1000))
    assert everything(root) == {"etc", "etc/opt"}


THEIRS = '// the company\'s own\n{\n  "CACertificates": [ "QUJD" ],\n  "HomepageLocation": "https://a.example"\n}\n'


def state(policy: TrustStore, ours: OwnAuthorities) -> str:
    return status([policy], ours)[0].state.value


@pytest.mark.parametrize("name", ["acme.json", "zz-acme.json"])
def test_a_companys_list_of_authorities_stays_in_force_and_its_file_is_whole_again_afterwards(
    name: str, ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    file = root / ALL[1] / name
    file.parent.mkdir(parents=True)
    file.write_text(THEIRS)
    file.chmod(0o640)
    before = everything(root)
    rows = install(policies(roots), ours, lambda _: None)
    assert all(row.accepted for row in rows)
    assert json_text.read(file.read_text())["CACertificates"][0] == "QUJD"
    assert not (root / ALL[1] / "hca-agent.json").exists()
    assert file.stat().st_mode & 0o777 == 0o640
    assert all(row.clean for row in remove(policies(roots), ours, lambda _: None))
    assert (file.read_text(), everything(root)) == (THEIRS, before)


def test_a_file_of_ours_that_took_a_companys_list_away_is_put_right(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    chrome = policies(roots)[1]
    install([chrome], ours, lambda _: None)
    file = root / ALL[1] / "acme.json"
    file.write_text(THEIRS)
    assert state(chrome, ours) == "distrusted"
    install([chrome], ours, lambda _: None)
    assert state(chrome, ours) == "trusted"
    assert json_text.read(file.read_text())["CACertificates"][0] == "QUJD"
    assert not (root / ALL[1] / "hca-agent.json").exists()


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ('{"CACertificates": ["QUJD"]}', "distrusted"),
        ('{"CACertificates": "QUJD"}', "distrusted"),
        ('{"CACertificates": ["QUJD",],} // read all the same', "distrusted"),
        ('{"CADistrustedCertificates": ["OURS"]}', "distrusted"),
        ('{"CACertificates": ["QUJD"', "trusted"),
        ('{"HomepageLocation": "CACertificates"}', "trusted"),
    ],
)
def test_a_policy_counts_as_the_browser_reads_all_files_together(
    theirs: str, expected: str, ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    chrome = policies(roots)[1]
    install([chrome], ours, lambda _: None)
    (root / ALL[1] / "zz").write_text(
        theirs.replace("OURS", base64.b64encode(current(ours).der).decode("ascii"))
    )
    assert state(chrome, ours) == expected


def test_a_list_that_is_none_is_named_and_left_alone(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    file = root / ALL[1] / "acme.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"CACertificates": "QUJD"}')
    row = install([policies(roots)[1]], ours, lambda _: None)[0]
    assert str(file) in str(row.error)
    assert file.read_text() == '{"CACertificates": "QUJD"}'


def test_a_link_to_the_companys_file_stays_a_link(ours: OwnAuthorities, root: Path, roots: Machine) -> None:
    kept = root / "srv/acme.json"
    kept.parent.mkdir()
    kept.write_text('{"CACertificates": []}')
    link = root / ALL[1] / "acme.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(kept)
    install([policies(roots)[1]], ours, lambda _: None)
    assert link.is_symlink() and state(policies(roots)[1], ours) == "trusted"
    remove([policies(roots)[1]], ours, lambda _: None)
    assert link.is_symlink() and kept.read_text() == '{"CACertificates": []}'


def test_a_users_database_counts_for_nothing_where_the_browser_is_told_to_leave_it_alone(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    own = Shelf(programs=("Chromium", "Vivaldi"), location="/home/a/.pki/nssdb")
    (root / ALL[0]).mkdir(parents=True)
    (root / ALL[0] / "acme.json").write_text('{"CAPlatformIntegrationEnabled": false}')
    assert not install([governed(roots, own)], ours, lambda _: None)[0].accepted
    (root / ALL[0] / "acme.json").write_text('{"CAPlatformIntegrationEnabled": true}')
    assert state(governed(roots, own), ours) == "trusted"


def test_the_companys_firefox_policy_is_the_same_bytes_afterwards(
    ours: OwnAuthorities, root: Path, roots: Machine
) -> None:
    theirs = '{ "policies": {"DisableTelemetry": true,\n\t"Certificates": {"ImportEnterpriseRoots": true} } }'
    (root / FIREFOX).parent.mkdir(parents=True)
    (root / FIREFOX).write_text(theirs)
    assert install([policies(roots)[-1]], ours, lambda _: None)[0].accepted
    remove([policies(roots)[-1]], ours, lambda _: None)
    assert (root / FIREFOX).read_text() == theirs


def test_known_portals_join_the_lists_that_the_administrator_has_and_leave_them(
    root: Path, roots: Machine
) -> None:
    file = root / ALL[2] / "acme.json"
    file.parent.mkdir(parents=True)
    listed = next(iter(KNOWN))
    theirs = json.dumps({"LoopbackNetworkAllowedForUrls": ["https://a.example", listed]})
    file.write_text(theirs)
    add_portals(roots)
    add_portals(roots)
    said = json.loads(file.read_bytes())["LoopbackNetworkAllowedForUrls"]
    assert said[:2] == ["https://a.example", listed] and sorted(said[1:]) == sorted(KNOWN)
    chrome = json.loads((root / ALL[1] / "hca-agent.json").read_bytes())
    assert set(chrome["LoopbackNetworkAllowedForUrls"]) == set(chrome["PopupsAllowedForUrls"]) == set(KNOWN)
    remove_portals(roots)
    assert file.read_text() == theirs
    assert {path for path in everything(root) if (root / path).is_file()} == {f"{ALL[2]}/acme.json"}
