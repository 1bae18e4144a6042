"""Where browsers on Linux keep their databases: native, snap, Flatpak, old and new Firefox."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.trust import chromium, firefox, stores_of
from agent.trust.chromium import BROWSERS
from tests.support.platforms import LINUX_STORES, not_on_windows
from tests.support.trust import Programs, machine

pytestmark = not_on_windows(LINUX_STORES)

ALL = tuple(executable for browser in BROWSERS for executable in browser.executables.split())
FEW = ("update-ca-certificates", "update-ca-trust", "trust")


def none_but(*installed: str) -> Programs:
    return Programs(missing=tuple(name for name in (*ALL, *FEW) if name not in installed))


def where(home: Path, programs: Programs) -> list[tuple[str, str]]:
    return [
        (database.name, str(Path(database.location).relative_to(home)))
        for database in chromium.databases(machine(home, programs))
    ]


def test_a_home_without_browsers_has_no_stores(tmp_path: Path) -> None:
    assert stores_of(machine(tmp_path, none_but())) == ()


def test_browsers_of_the_system_share_one_database_even_before_it_exists(tmp_path: Path) -> None:
    assert where(tmp_path, none_but("chromium", "google-chrome-stable")) == [
        ("Chromium、Chrome", ".local/share/pki/nssdb")
    ]


def test_a_browser_is_known_by_its_configuration_too(tmp_path: Path) -> None:
    (tmp_path / ".config" / "microsoft-edge").mkdir(parents=True)
    assert where(tmp_path, none_but()) == [("Edge", ".local/share/pki/nssdb")]


@pytest.mark.parametrize(
    ("home", "data"), [("", ".local/share"), ("snap/chromium/current", ".local/share"),
                       (".var/app/com.google.Chrome", "data")]
)  # fmt: skip
def test_the_database_in_use_is_the_old_one_only_where_it_is_there(
    tmp_path: Path, home: str, data: str
) -> None:
    old, new = (tmp_path / home / each / "nssdb" for each in (".pki", f"{data}/pki"))

    def places(*, unused: bool) -> list[str]:
        found = chromium.databases(machine(tmp_path, none_but()), unused=unused)
        return [each.location for each in found]

    new.mkdir(parents=True)
    assert places(unused=False) == places(unused=True) == [str(new)]
    old.mkdir(parents=True)
    assert places(unused=False) == [str(old)]
    assert places(unused=True) == [str(old), str(new)]


def test_a_moved_folder_for_data_has_the_database(tmp_path: Path) -> None:
    moved = machine(tmp_path, none_but("chromium"), environment={"XDG_DATA_HOME": str(tmp_path / "else")})
    assert [each.location for each in chromium.databases(moved)] == [str(tmp_path / "else/pki/nssdb")]


def test_a_database_whose_browser_is_unknown_is_looked_after_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".pki" / "nssdb").mkdir(parents=True)
    assert where(tmp_path, none_but()) == [("NSS", ".pki/nssdb")]


def test_snaps_and_flatpaks_have_databases_of_their_own(tmp_path: Path) -> None:
    for folder in (
        "snap/chromium/1234",
        "snap/brave/7",
        "snap/other/1/.pki/nssdb",
        "snap/unrelated/1",
        ".var/app/com.google.Chrome",
        ".var/app/com.brave.Browser/.pki/nssdb",
        ".var/app/org.example.Browser/.pki/nssdb",
        ".var/app/org.example.Editor",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for name, revision in (("chromium", "1234"), ("brave", "7"), ("other", "1"), ("unrelated", "1")):
        (tmp_path / "snap" / name / "current").symlink_to(revision)
    assert where(tmp_path, none_but()) == [
        ("Brave (snap)", "snap/brave/current/.local/share/pki/nssdb"),
        ("Chromium (snap)", "snap/chromium/current/.local/share/pki/nssdb"),
        ("other (snap)", "snap/other/current/.pki/nssdb"),
        ("Brave (Flatpak)", ".var/app/com.brave.Browser/.pki/nssdb"),
        ("Chrome (Flatpak)", ".var/app/com.google.Chrome/data/pki/nssdb"),
        ("org.example.Browser (Flatpak)", ".var/app/org.example.Browser/.pki/nssdb"),
    ]


def profile(folder: Path, name: str, *, listed: bool = True, database: str | None = "cert9.db") -> Path:
    path = folder / name
    path.mkdir(parents=True)
    if database is not None:
        (path / database).touch()
    if listed:
        with (folder / "profiles.ini").open("a") as ini:
            ini.write(f"[Profile{len(list(folder.iterdir()))}]\nName={name}\nIsRelative=1\nPath={name}\n\n")
    return path


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (".mozilla/firefox", "Firefox: "),
        (".config/mozilla/firefox", "Firefox: "),
        ("snap/firefox/common/.mozilla/firefox", "Firefox (snap): "),
        (".var/app/org.mozilla.firefox/.mozilla/firefox", "Firefox (Flatpak): "),
        (".var/app/org.mozilla.firefox/config/mozilla/firefox", "Firefox (Flatpak): "),
    ],
)
def test_every_profile_of_every_firefox_is_found(tmp_path: Path, place: str, kind: str) -> None:
    first = profile(tmp_path / place, "abcd.default-release")
    second = profile(tmp_path / place, "efgh.work", database=None)
    third = profile(tmp_path / place, "ijkl.group", listed=False)
    found = [(each.name, each.location) for each in firefox.databases(machine(tmp_path))]
    assert found == [(kind + path.name, str(path)) for path in (first, second, third)]


def test_a_moved_configuration_folder_is_followed(tmp_path: Path) -> None:
    path = profile(tmp_path / "elsewhere" / "mozilla" / "firefox", "abcd.default")
    moved = machine(tmp_path, environment={"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")})
    assert [each.location for each in firefox.databases(moved)] == [str(path)]


def test_a_profile_on_another_disk_is_found_by_its_full_path(tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "profile"
    elsewhere.mkdir(parents=True)
    folder = tmp_path / ".mozilla" / "firefox"
    folder.mkdir(parents=True)
    (folder / "profiles.ini").write_text(
        f"[General]\nVersion=2\n[Profile0]\nIsRelative=0\nPath={elsewhere}\n[InstallAB]\nDefault=x\n"
    )
    assert [each.location for each in firefox.databases(machine(tmp_path))] == [str(elsewhere)]


def test_profiles_that_no_firefox_opens_any_more_are_left_alone(tmp_path: Path) -> None:
    profile(tmp_path / ".mozilla" / "firefox", "old.default", database="cert8.db")
    assert list(firefox.databases(machine(tmp_path))) == []


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"Path=x\n", b"[Profile0]\nPath=%(x)s\n", b"[Profile0\n", b""]
)
def test_a_damaged_list_of_profiles_hides_none_that_has_a_database(tmp_path: Path, content: bytes) -> None:
    path = profile(tmp_path / ".mozilla" / "firefox", "abcd.default", listed=False)
    (path.parent / "profiles.ini").write_bytes(content)
    assert [each.location for each in firefox.databases(machine(tmp_path))] == [str(path)]


def test_browsers_come_before_the_system(tmp_path: Path) -> None:
    (tmp_path / "root" / "usr/local/share/ca-certificates").mkdir(parents=True)
    profile(tmp_path / ".mozilla" / "firefox", "abcd.default")
    stores = stores_of(machine(tmp_path, root=tmp_path / "root"))
    assert [store.browsers for store in stores] == [True, True, False]
