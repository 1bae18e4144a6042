"""A page that wants a certain kind of card says so."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.interaction import PinQuestion
from agent.native.messages import CardParams
from agent.native.methods import METHODS
from tests.support.agent import RunningAgent, running_agent

NONCE = base64.b64encode(bytes(33)).decode()
BLOCK = base64.b64encode(b"0").decode()
PARAMS = {
    "authenticate": {"nonce": NONCE},
    "sign": {"document": BLOCK},
    "sign.batch": {"batch": "ward", "items": [{"document": BLOCK}]},
    "encrypt": {"data": BLOCK},
    "decrypt": {"cipher": BLOCK},
}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent(tmp_path, ("hpc", "citizen")) as running:
        yield running


@pytest.mark.parametrize(
    "method", [name for name, method in METHODS.items() if issubclass(method.takes, CardParams)]
)
@pytest.mark.slow
async def test_another_kind_is_refused_with_a_sentence_before_any_pin(
    agent: RunningAgent, method: str
) -> None:
    async with agent.page() as page:
        error = await page.failing(method, cardKind=["hop", "hop-secondary"], **PARAMS.get(method, {}))
    assert error["data"]["id"] == "card.wrong_kind"
    assert "醫事機構卡、醫事機構卡附卡" in error["data"]["zh"]
    assert "HCA institution card or HCA institution secondary card" in error["data"]["en"]
    assert not any(isinstance(question, PinQuestion) for question in agent.interaction.questions)


@pytest.mark.parametrize("kind", ["hpc", "citizen"])
async def test_the_kind_that_is_there_is_served(agent: RunningAgent, kind: str) -> None:
    async with agent.page() as page:
        assert (await page.call("card.read", cardKind=[kind]))["kind"] == kind


async def test_a_self_test_takes_no_kind(agent: RunningAgent) -> None:
    async with agent.page() as page:
        error = await page.failing("selftest.run", cardKind=["hpc"])
    assert error["data"]["id"] == "request.unknown_member"


@pytest.mark.parametrize("kinds", [[], ["HPC"], "hpc", ["hpc"] * 7, [1], None])
@pytest.mark.slow
async def test_what_is_no_list_of_kinds_is_refused(agent: RunningAgent, kinds: object) -> None:
    async with agent.page() as page:
        error = await page.failing("card.read", cardKind=kinds)
    assert error["data"]["id"] == "request.parameters"
