"""The certificate of a server that runs for months."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import renewal, tls
from agent.renewal import Renewal
from agent.vocabulary import Errand
from tests.support.agent import running_agent
from tests.support.log import Log
from tests.support.operations import until


def nearly_over(folder: Path) -> None:
    """Put an identity into `folder` that is due to be replaced."""
    for name in (tls.CA, tls.LEAF, tls.KEY):
        (folder / name).unlink(missing_ok=True)
    tls.ensure(folder, now=datetime.now(UTC) - timedelta(days=780))


async def leaf_shown(port: int) -> bytes:
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    return ssl.PEM_cert_to_DER_cert(pem)


async def test_a_running_server_renews_in_time_shows_the_new_one_and_tells_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "PAUSE_SECONDS", 0.05)
    async with running_agent(tmp_path) as agent, agent.page() as page:
        before = await leaf_shown(agent.daemon.tls_port)
        ca = agent.daemon.identity.ca.read_bytes()
        nearly_over(agent.paths.tls)
        await until(lambda: any("renewed" in en for _, en in agent.interaction.notices))
        assert await leaf_shown(agent.daemon.tls_port) != before
        assert agent.daemon.identity.ca.read_bytes() != ca
        assert agent.daemon.identity.not_after > datetime.now(UTC) + timedelta(days=700)
        await page.call("agent.hello")  # whoever was connected stays so
        async with agent.http.get(f"{agent.clear}/status") as response:
            assert response.status == 200


async def test_a_server_that_starts_with_a_renewed_certificate_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    nearly_over(tmp_path / "tls")
    told = []
    for _ in range(2):
        async with running_agent(tmp_path) as agent:
            await agent.notices_shown()
            said = zip(agent.interaction.notices, agent.interaction.offers, strict=True)
            told.append([(en, errand) for (_, en), errand in said if "certificate" in en])
    assert [("renewed" in en, errand) for en, errand in told[0]] == [(True, Errand.TRUST)]
    assert told[1] == []


async def test_a_look_that_finds_nothing_due_changes_nothing(tmp_path: Path) -> None:
    told: list[tls.TlsIdentity] = []
    keeper = Renewal(tmp_path, told.append)
    context, identity = keeper.context, keeper.identity
    await keeper.look()
    assert (keeper.context, keeper.identity, told) == (context, identity, [])


async def test_what_another_process_renewed_is_taken_over(tmp_path: Path) -> None:
    told: list[tls.TlsIdentity] = []
    keeper = Renewal(tmp_path, told.append)
    for name in (tls.CA, tls.LEAF, tls.KEY):
        (tmp_path / name).unlink()
    other = tls.ensure(tmp_path)
    await keeper.look()
    assert [identity.not_after for identity in told] == [other.not_after]


async def test_a_full_disk_is_no_end_of_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    monkeypatch.setattr(renewal, "PAUSE_SECONDS", 0.01)
    keeper = Renewal(tmp_path, lambda _: None)
    looks = 0

    def full(*_: object, **__: object) -> tls.TlsIdentity:
        nonlocal looks
        looks += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.tls.identity.ensure", full)
    task = asyncio.create_task(keeper.run())
    await until(lambda: looks >= 3)
    task.cancel()
    assert "No space left on device" in caplog.text
