"""How the agent finds out whether a certificate is revoked, and where it does not go to find out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import certificate_status
from agent.certificate_status import StatusChecker, fetch_status, load_roots
from agent.config import CertificateSettings
from agent.config import load as load_config
from agent.errors import AgentError
from agent.http_client import is_public
from agent.paths import Paths
from agent.selftest.probes.certificates import status_finding
from signing.errors import StatusAnswerError
from signing.revocation import RevocationState, StatusSource
from tests.support.platforms import WINDOWS
from tests.support.ports import free_port
from tests.support.status_authority import DAY, NOW, Authority, certificate, der


class World:
    """The authority at its address, and an agent whose administrator listed that address."""

    def __init__(self, authority: Authority, base: str, folder: Path) -> None:
        self.authority, self.base, self.folder = authority, base, folder
        self.now = NOW
        self.issuer = der(authority.issuer)

    def checker(self, **settings: object) -> StatusChecker:
        config = CertificateSettings(
            **{"ocsp": (f"{self.base}/ocsp",), "crl": (f"{self.base}/crl",), **settings}
        )
        return StatusChecker(self.folder, config, clock=lambda: self.now)

    async def ask(
        self, holder: x509.Certificate | None = None, **settings: object
    ) -> tuple[RevocationState, StatusSource]:
        holder = holder or self.authority.holder(self.base)
        said = await self.checker(**settings).check(der(holder), self.issuer)
        return said.state, said.source

    async def trouble(self, **settings: object) -> str:
        with pytest.raises((AgentError, StatusAnswerError)) as caught:
            await self.ask(**settings)
        return caught.value.error_id


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    authority = Authority()
    async with authority.serving() as base:
        yield World(authority, base, tmp_path / "standing")


async def test_a_good_certificate_is_good_by_ocsp(world: World) -> None:
    assert await world.ask() == (RevocationState.GOOD, StatusSource.OCSP)
    assert world.authority.asked == ["ocsp"]


async def test_a_revoked_certificate_is_revoked_by_either(world: World) -> None:
    world.authority.revoked = {7: x509.ReasonFlags.key_compromise}
    assert await world.ask() == (RevocationState.REVOKED, StatusSource.OCSP)
    assert await world.ask(world.authority.holder(world.base, ocsp=False), ocsp=()) == (
        RevocationState.REVOKED,
        StatusSource.CRL,
    )


async def test_a_certificate_unknown_to_the_responder_may_be_known_by_the_list(world: World) -> None:
    world.authority.known = set()
    assert await world.ask() == (RevocationState.GOOD, StatusSource.CRL)
    assert await world.ask(world.authority.holder(world.base, crl=False), crl=()) == (
        RevocationState.UNKNOWN,
        StatusSource.OCSP,
    )


async def test_a_responder_that_is_down_is_told_as_such(tmp_path: Path) -> None:
    world = World(Authority(), f"http://127.0.0.1:{free_port()}", tmp_path)
    assert await world.trouble() == "certificate.status_unreachable"


async def test_a_responder_that_fails_or_redirects_has_not_answered(world: World) -> None:
    world.authority.status = 500
    assert await world.trouble() == "certificate.status_unreachable"
    assert await world.trouble(ocsp=(), crl=(f"{world.base}/elsewhere",)) == "certificate.status_unreachable"
    assert world.authority.asked.count("crl") == 1  # the redirect was not followed


async def test_a_forged_answer_is_told_as_such_and_not_kept(world: World) -> None:
    world.authority.signer, world.authority.appointed = "stranger", False
    world.authority.crl_signer = "stranger"
    assert await world.trouble() == "certificate.status_forged"
    assert not list(world.folder.glob("*"))


async def test_an_answer_replayed_to_another_question_is_forged(world: World) -> None:
    await world.ask()
    world.authority.replay = world.authority.last
    for kept in world.folder.iterdir():
        kept.unlink()
    world.authority.crl_signer = "stranger"
    assert await world.trouble() == "certificate.status_forged"


async def test_an_old_answer_replayed_after_the_revocation_is_stale(world: World) -> None:
    world.authority.nonce = "omit"
    await world.ask()
    world.authority.replay = world.authority.last
    world.now = NOW + 3 * DAY
    assert await world.trouble() == "certificate.status_stale"


async def test_a_page_in_place_of_the_answer_is_unusable(world: World) -> None:
    world.authority.replay = b"<html>please log in</html>"
    assert await world.trouble(crl=(f"{world.base}/nothing",)) == "certificate.status_unusable"


async def test_what_was_said_is_kept_while_it_holds(world: World) -> None:
    assert await world.ask() == await world.ask() == (RevocationState.GOOD, StatusSource.OCSP)
    assert world.authority.asked == ["ocsp"]
    [kept] = world.folder.iterdir()
    assert WINDOWS or kept.stat().st_mode & 0o777 == 0o600
    hours_ago = kept.stat().st_mtime - 2 * 3600
    os.utime(kept, (hours_ago, hours_ago))
    await world.ask()
    assert world.authority.asked == ["ocsp", "ocsp"]


async def test_an_answer_kept_while_the_clock_was_ahead_is_asked_anew_and_not_lost(world: World) -> None:
    await world.ask()
    [kept] = world.folder.iterdir()
    tomorrow = kept.stat().st_mtime + 86400
    os.utime(kept, (tomorrow, tomorrow))
    await world.ask()
    assert world.authority.asked == ["ocsp", "ocsp"] and list(world.folder.iterdir()) == [kept]


async def test_a_kept_answer_that_was_tampered_with_is_asked_anew(world: World) -> None:
    await world.ask()
    [kept] = world.folder.iterdir()
    kept.write_bytes(b"\x30\x00")
    assert await world.ask() == (RevocationState.GOOD, StatusSource.OCSP)
    assert world.authority.asked == ["ocsp", "ocsp"]


async def test_a_kept_list_serves_other_certificates_of_the_authority(world: World) -> None:
    for serial in (7, 8):
        holder = world.authority.holder(world.base, ocsp=False, serial=serial)
        assert await world.ask(holder, ocsp=()) == (RevocationState.GOOD, StatusSource.CRL)
    assert world.authority.asked == ["crl"]


async def test_off_line_nothing_is_fetched(world: World) -> None:
    assert await world.trouble(online=False) == "certificate.status_unreachable"
    assert world.authority.asked == []


async def test_addresses_in_a_certificate_that_lead_into_this_machine_are_not_asked(world: World) -> None:
    assert await world.trouble(ocsp=(), crl=()) == "certificate.status_unreachable"
    assert world.authority.asked == []


async def test_a_certificate_without_addresses_is_told_as_such(world: World) -> None:
    bare = certificate("holder", "issuer", 7)
    with pytest.raises(AgentError) as caught:
        await world.checker(ocsp=(), crl=()).check(der(bare), world.issuer)
    assert caught.value.error_id == "certificate.status_no_address"


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/latest", "http://2130706433/",
     "http://0x7f.1/", "http://0/", "http://[::ffff:127.0.0.1]/", "http://localhost/", "http://a@1.1.1.1/",
     "http://1.1.1.1:8080/", "https://1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd", "http://", "ldap://x/",
     "http://1.1.1.1:99999/", "http://[fe80::1%25lo]/", "http://224.0.0.1/", "http://1.1.1.1/\r\nX: y", ""],
)  # fmt: skip
async def test_such_addresses_are_refused_without_a_connection(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohappyeyeballs

    async def connected(*_: object, **__: object) -> None:
        pytest.fail("it connected")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", connected)
    with pytest.raises(AgentError) as caught:
        await fetch_status(address, 100)
    assert caught.value.error_id == "certificate.status_unreachable"


async def test_more_than_the_limit_is_not_taken(world: World) -> None:
    place = f"{world.base}/crl"
    assert len(await fetch_status(place, 100_000, trusted=[place])) > 100
    with pytest.raises(AgentError):
        await fetch_status(place, 100, trusted=[place])


async def test_a_responder_that_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import asyncio

    monkeypatch.setattr(certificate_status, "ADDRESS_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(AgentError):
            await fetch_status(place, 100, trusted=[place])


@pytest.mark.parametrize(
    ("address", "public"),
    [("203.65.114.5", True), ("2001:4860:4860::8888", True), ("192.168.1.1", False), ("100.64.0.1", False),
     ("2002:7f00:1::", False), ("fd00::1", False), ("::", False), ("x", False)],
)  # fmt: skip
def test_public_addresses_are_told_from_inner_ones(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_administrators_roots_are_read_from_pem_and_der(tmp_path: Path) -> None:
    root = Authority().issuer
    (tmp_path / "a.pem").write_bytes(root.public_bytes(Encoding.PEM) * 2)
    (tmp_path / "b.der").write_bytes(der(root))
    assert load_roots([tmp_path / "a.pem", tmp_path / "b.der"]) == (der(root),) * 3
    for wrong in (tmp_path / "missing", tmp_path):
        with pytest.raises(AgentError, match="config"):
            load_roots([wrong])


def test_the_limit_of_one_address_leaves_time_for_another() -> None:
    assert 2 * certificate_status.ADDRESS_SECONDS <= certificate_status.SECONDS


@pytest.mark.parametrize(
    ("change", "status", "error_id"),
    [
        ({}, "pass", None),
        ({"revoked": {7: x509.ReasonFlags.superseded}}, "fail", "certificate.revoked"),
        ({"known": set()}, "warn", "certificate.status_unknown"),
        ({"status": 503}, "skip", "certificate.status_unreachable"),
        ({"signer": "stranger", "appointed": False}, "fail", "certificate.status_forged"),
        ({"replay": b"<html>"}, "warn", "certificate.status_unusable"),
        ({"said": NOW - 3 * DAY, "until": NOW - DAY}, "warn", "certificate.status_stale"),
    ],
)
async def test_the_row_says_what_came_of_it(
    world: World, change: dict[str, object], status: str, error_id: str | None
) -> None:
    for name, value in change.items():
        setattr(world.authority, name, value)
    holder = world.authority.holder(world.base, crl=False)
    found = await status_finding(world.checker(crl=()), der(holder), world.issuer)
    assert found.status == status
    assert (found.trouble.id if found.trouble else None) == error_id
    if error_id == "certificate.revoked":
        assert "2026-05-02" in found.detail.zh and "已換發新憑證" in found.detail.zh


@pytest.mark.parametrize(
    "line",
    ['roots = ["root.pem"]', 'ocsp = ["https://x/"]', 'crl = ["http://user@x/"]', 'crl = [""]', "online = 1"],
)
def test_addresses_and_files_of_the_administrator_are_checked(tmp_path: Path, line: str) -> None:
    paths = Paths(tmp_path, tmp_path)
    paths.config.write_text(f"[certificates]\n{line}\n")
    with pytest.raises(AgentError, match="config"):
        load_config(paths)
    paths.config.write_text('[certificates]\nonline = false\nocsp = ["http://10.0.0.1:8080/ocsp"]\n')
    assert load_config(paths).certificates == CertificateSettings(
        online=False, ocsp=("http://10.0.0.1:8080/ocsp",)
    )
