"""The stores of Windows and macOS: the exact words to their programs, and what their answers mean."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.trust import FoundAuthority, OwnAuthorities, TrustState, install, remove, status, stores_of
from agent.trust.machine import Outcome
from agent.trust.macos import LoginKeychain
from tests.support.trust import Programs, current, machine, made

SYSTEM = {"SYSTEMROOT": r"C:\Windows"}
CERTUTIL = r"C:\Windows\System32\certutil.exe"


@pytest.fixture
def ours(tmp_path: Path) -> OwnAuthorities:
    return made(tmp_path / "tls")


class Windows:
    """A root store that certutil.exe changes."""

    def __init__(self, home: Path, *, status: int = 0) -> None:
        self.roots: list[bytes] = [b"another certificate"]
        self.status = status
        self.programs = Programs(answer=self.answer)
        self.machine = machine(
            home, self.programs, platform="win32", environment=SYSTEM, windows_roots=lambda: self.roots
        )

    def answer(self, command: Sequence[str]) -> Outcome:
        if self.status == 0 and command[2] == "-addstore":
            self.roots.append(ssl.PEM_cert_to_DER_cert(Path(command[4]).read_text()))
        elif self.status == 0:
            del self.roots[1]
        return Outcome(self.status, b"Root\r\nCertUtil: -addstore command FAILED: 0x80070005\r\n", b"")


class Mac:
    """A keychain that `security` changes."""

    def __init__(self, home: Path, known: OwnAuthorities, *, failure: bytes = b"") -> None:
        self.known = known
        self.failure = failure
        self.present = self.trusted = False
        self.programs = Programs(answer=self.answer)
        self.machine = machine(home, self.programs, platform="darwin")
        self.keychain = str(home / "Library" / "Keychains" / "login.keychain-db")

    def answer(self, command: Sequence[str]) -> Outcome | None:
        authority = current(self.known)
        match command[1]:
            case "find-certificate":
                found = authority.pem if self.present else b""
                missing = b"security: SecKeychainSearchCopyNext: The specified item could not be found."
                return Outcome(0 if self.present else 44, found, b"" if self.present else missing)
            case "dump-trust-settings":
                if not self.trusted:
                    return Outcome(
                        1, b"", b"SecTrustSettingsCopyCertificates: No Trust Settings were found.\n"
                    )
                said = f"Number of trusted certs = 1\nCert 0: {authority.name}\n"
                return Outcome(0, said.encode(), b"")
            case "add-trusted-cert" | "delete-certificate" if self.failure:
                return Outcome(1, b"", self.failure)
            case "add-trusted-cert":
                self.present = self.trusted = True
            case "delete-certificate":
                self.present = self.trusted = False
        return None


def test_windows_is_told_to_add_to_the_root_store_of_the_user(tmp_path: Path, ours: OwnAuthorities) -> None:
    windows = Windows(tmp_path)
    asked: list[str] = []
    (row,) = install(stores_of(windows.machine), ours, lambda prompt: asked.append(prompt.en))
    assert windows.programs.calls == [[CERTUTIL, "-user", "-addstore", "Root", str(ours.file)]]
    assert row.accepted
    assert len(asked) == 1 and "Security Warning" in asked[0] and "Yes" in asked[0]


def test_windows_is_told_to_delete_by_the_thumbprint(tmp_path: Path, ours: OwnAuthorities) -> None:
    windows = Windows(tmp_path)
    windows.roots.append(current(ours).der)
    asked: list[str] = []
    (row,) = remove(stores_of(windows.machine), ours, lambda prompt: asked.append(prompt.zh))
    assert windows.programs.calls == [[CERTUTIL, "-user", "-delstore", "Root", current(ours).sha1]]
    assert row.clean and windows.roots == [b"another certificate"]
    assert len(asked) == 1 and "刪除" in asked[0]


def test_looking_at_windows_runs_no_program(tmp_path: Path, ours: OwnAuthorities) -> None:
    windows = Windows(tmp_path)
    assert status(stores_of(windows.machine), ours)[0].state is TrustState.ABSENT
    assert windows.programs.calls == []


@pytest.mark.parametrize("code", [0x800704C7, 0x800704C7 - (1 << 32)])
def test_a_no_in_the_window_of_windows_is_a_no(tmp_path: Path, ours: OwnAuthorities, code: int) -> None:
    (row,) = install(stores_of(Windows(tmp_path, status=code).machine), ours, lambda _: None)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.declined"


def test_another_failure_of_certutil_is_told_with_its_last_words(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    (row,) = install(stores_of(Windows(tmp_path, status=5).machine), ours, lambda _: None)
    assert isinstance(row.error, AgentError) and row.error.error_id == "trust.tool_failed"
    assert "0x80070005" in str(row.error)


def test_macos_is_told_to_trust_it_for_tls_in_the_login_keychain(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    mac = Mac(tmp_path, ours)
    asked: list[str] = []
    (row,) = install(stores_of(mac.machine), ours, lambda prompt: asked.append(prompt.en))
    file = str(ours.file)
    add = ["/usr/bin/security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", mac.keychain, file]
    assert [call for call in mac.programs.calls if "add-trusted-cert" in call] == [add]
    assert row.accepted
    assert len(asked) == 1 and "Touch ID" in asked[0]


def test_macos_is_asked_for_certificates_by_name_and_for_trust_settings(
    tmp_path: Path, ours: OwnAuthorities
) -> None:
    mac = Mac(tmp_path, ours)
    mac.present = True
    assert LoginKeychain(mac.machine).find() == (FoundAuthority(current(ours), trusted=False),)
    mac.trusted = True
    assert LoginKeychain(mac.machine).find() == (FoundAuthority(current(ours), trusted=True),)
    assert mac.programs.calls[:2] == [
        ["/usr/bin/security", "find-certificate", "-a", "-p", "-c", "localhost CA", mac.keychain],
        ["/usr/bin/security", "dump-trust-settings"],
    ]


def test_macos_is_told_to_delete_certificate_and_trust_together(tmp_path: Path, ours: OwnAuthorities) -> None:
    mac = Mac(tmp_path, ours)
    mac.present = mac.trusted = True
    (row,) = remove(stores_of(mac.machine), ours, lambda _: None)
    delete = ["/usr/bin/security", "delete-certificate", "-Z", current(ours).sha1, "-t", mac.keychain]
    assert [call for call in mac.programs.calls if "delete-certificate" in call] == [delete]
    assert row.clean


def test_a_no_to_macos_is_a_no_and_another_failure_is_not(tmp_path: Path, ours: OwnAuthorities) -> None:
    no = b"SecTrustSettingsSetTrustSettings: The authorization was canceled by the user.\n"
    for words, expected in ((no, "trust.declined"), (b"Error reading file\n", "trust.tool_failed")):
        (row,) = install(stores_of(Mac(tmp_path, ours, failure=words).machine), ours, lambda _: None)
        assert isinstance(row.error, AgentError) and row.error.error_id == expected


def firefox(folder: Path, preferences: str = "") -> Path:
    profile = folder / "Profiles" / "abcd.default-release"
    profile.mkdir(parents=True)
    (profile / "prefs.js").write_text(preferences)
    (folder / "profiles.ini").write_text("[Profile0]\nIsRelative=1\nPath=Profiles/abcd.default-release\n")
    return profile


def test_firefox_on_windows_accepts_what_windows_trusts(tmp_path: Path, ours: OwnAuthorities) -> None:
    windows = Windows(tmp_path)
    profile = firefox(tmp_path / "Mozilla" / "Firefox")
    stores = stores_of(replace(windows.machine, environment={**SYSTEM, "APPDATA": str(tmp_path)}))
    assert [store.location for store in stores[1:]] == [str(profile)]
    assert [row.accepted for row in status(stores, ours)] == [False, False]
    assert [row.accepted for row in install(stores, ours, lambda _: None)] == [True, True]
    assert len(windows.programs.calls) == 1
    assert [row.clean for row in remove(stores, ours, lambda _: None)] == [True, True]


def test_firefox_on_macos_that_was_told_not_to_follow_says_so(tmp_path: Path, ours: OwnAuthorities) -> None:
    off = 'user_pref("a", 1);\nuser_pref("security.enterprise_roots.enabled", false);\n'
    firefox(tmp_path / "Library" / "Application Support" / "Firefox", off)
    mac = Mac(tmp_path, ours)
    keychain, profile = install(stores_of(mac.machine), ours, lambda _: None)
    assert keychain.accepted and profile.state is TrustState.UNKNOWN
    assert isinstance(profile.error, AgentError) and profile.error.error_id == "trust.firefox_setting"


def test_firefox_waits_for_the_system_where_the_person_said_no(tmp_path: Path, ours: OwnAuthorities) -> None:
    firefox(tmp_path / "Library" / "Application Support" / "Firefox")
    mac = Mac(tmp_path, ours, failure=b"security: The authorization was canceled by the user.")
    _, profile = install(stores_of(mac.machine), ours, lambda _: None)
    assert isinstance(profile.error, AgentError) and profile.error.error_id == "trust.system_first"
