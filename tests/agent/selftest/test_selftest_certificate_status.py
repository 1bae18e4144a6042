"""The rows that look beyond the card, on simulated cards whose authority a test may trust."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from agent.config import CertificateSettings, Config
from agent.selftest.model import ResultRow
from agent.selftest.probes import card
from agent.selftest.probes import certificates as certificate_probes
from tests.support.cards import simulator_ca
from tests.support.operations import agent
from tests.support.selftest import context_of, rows_of, short


async def look(folder: Path, kind: str, **certificates: object) -> dict[str, ResultRow]:
    """The two rows of a card of that kind."""
    initial = [each for each in card.HCA_ROWS if each.id == "hca.init"]
    async with agent(folder, kind) as world:
        context = context_of(world, config=Config(certificates=CertificateSettings(**certificates)))
        rows = await rows_of(context, [*initial, certificate_probes.chain, certificate_probes.status])
    return {row.id: row for row in rows}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    file = tmp_path / "root.der"
    file.write_bytes(simulator_ca().roots[0])
    return file


@asynccontextmanager
async def revocation_list(body: bytes) -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    application = web.Application()
    application.router.add_get("/crl", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/crl"
    finally:
        await runner.cleanup()


async def test_nobody_trusts_a_simulated_card_by_itself(tmp_path: Path) -> None:
    rows = await look(tmp_path / "a", "hpc")
    assert short(rows["certificate.chain"]) == "skip"
    assert "模擬卡" in rows["certificate.chain"].detail.zh
    assert short(rows["certificate.status"]) == "skip certificate.status_no_address"


@pytest.mark.parametrize("kind", ["hpc", "hop", "hpc-expired"])
async def test_a_root_of_the_administrator_stands_behind_the_card(
    tmp_path: Path, root: Path, kind: str
) -> None:
    row = (await look(tmp_path / "a", kind, roots=(root,)))["certificate.chain"]
    assert short(row) == "pass"
    assert row.detail.zh.startswith("模擬醫事憑證管理中心 → 模擬政府憑證總管理中心")


async def test_a_card_of_another_authority_is_not_trusted(tmp_path: Path) -> None:
    from tests.support.status_authority import Authority, der

    other = tmp_path / "other.der"
    other.write_bytes(der(Authority().issuer))
    row = (await look(tmp_path / "a", "hpc", roots=(other,)))["certificate.chain"]
    assert short(row) == "fail certificate.untrusted"


async def test_a_root_that_cannot_be_read_is_the_configurations_fault(tmp_path: Path) -> None:
    row = (await look(tmp_path / "a", "hpc", roots=(tmp_path / "missing.pem",)))["certificate.chain"]
    assert short(row) == "fail config.invalid"


@pytest.mark.parametrize(("kind", "expected"), [("hpc", "pass"), ("hpc-revoked", "fail certificate.revoked")])
async def test_the_list_of_the_authority_tells_revoked_cards_from_good_ones(
    tmp_path: Path, kind: str, expected: str
) -> None:
    async with revocation_list(simulator_ca().crl()) as address:
        row = (await look(tmp_path / "a", kind, crl=(address,)))["certificate.status"]
    assert short(row) == expected
    if kind == "hpc-revoked":
        assert "停止使用" in row.detail.zh
        assert "0800-364-422" in row.error.next.zh if row.error else False


async def test_a_card_without_certificates_has_no_such_rows(tmp_path: Path) -> None:
    rows = await look(tmp_path / "a", "nhi")
    assert {row.status for name, row in rows.items() if name.startswith("certificate.")} == {"skip"}
