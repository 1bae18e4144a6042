"""The rows about the service and the readers, where a reader or a rule of the system is odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.selftest.probes.readers import PROBES
from pcsc.errors import ReaderNameError
from tests.support.operations import OWN
from tests.support.selftest import context_of, row_of, selftest_world, short


async def test_a_session_that_may_not_use_readers_is_told_so_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        monkeypatch.setattr(world.winscard, "SCardEstablishContext", lambda _: (0x8010006A, 0))
        row = await row_of(context_of(world), "host.service", PROBES)
    assert short(row) == "fail service.denied"
    assert row.detail.zh == ""
    assert row.error is not None and "polkit" in row.error.next.zh and "docs/it-guide.md" in row.error.next.en


async def test_a_reader_that_cannot_be_named_is_told_beside_the_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        (good,) = (view.name for view in await world.operations.readers(OWN))
        states = world.winscard.SCardGetStatusChange

        def with_odd(context: int, timeout: int, asked: list[tuple[Any, ...]]) -> Any:
            code, found = states(context, timeout, [state for state in asked if state[0] != "讀卡機"])
            return code, [*found, *(("讀卡機", 0x8008, []) for name, _ in asked if name == "讀卡機")]

        monkeypatch.setattr(
            world.winscard, "SCardListReaders", lambda _context, _groups: (0, [good, "讀卡機"])
        )
        monkeypatch.setattr(world.winscard, "SCardGetStatusChange", with_odd)
        row = await row_of(context_of(world), "host.readers", PROBES)
        monkeypatch.setattr(world.winscard, "SCardListReaders", lambda _context, _groups: (0, ["讀卡機"]))
        alone = await row_of(context_of(world), "host.readers", PROBES)
        with pytest.raises(ReaderNameError):
            await world.operations.card(OWN, None)
    assert short(row) == "pass" and "讀卡機：名稱含有特殊字元，無法使用" in row.detail.zh
    assert short(alone) == "fail reader.name"
