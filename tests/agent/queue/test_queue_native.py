"""The queue as programs and pages find it at a running agent: programs are served, pages never."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config import QueueSettings
from agent.errors import AgentError, ErrorId
from agent.interaction.scripted import ScriptedInteraction
from agent.queue import intake
from agent.vocabulary import Errand
from tests.support.agent import ANY_PORT, PORTAL, running_agent
from tests.support.operations import until
from tests.support.platforms import not_on_windows

WITH_QUEUE = replace(ANY_PORT, queue=QueueSettings(enabled=True))
DOCTOR = "000000335361"
METHODS: dict[str, dict[str, Any]] = {
    "queue.add": {"document": base64.b64encode(b"record").decode(), "name": "note.txt"},
    "queue.list": {},
    "queue.result": {"record": 1},
    "queue.sign": {},
}


def octets(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("origin", [PORTAL, "https://other.example.tw"])
async def test_no_page_can_add_list_read_or_sign_records_whatever_it_was_allowed(
    tmp_path: Path, origin: str
) -> None:
    person = ScriptedInteraction(pins=["123456"] * 4)
    async with running_agent(tmp_path, interaction=person, config=WITH_QUEUE) as agent:
        async with agent.page(None) as program:
            await program.call("queue.add", **METHODS["queue.add"])
        async with agent.page(origin) as page:
            for method, params in METHODS.items():
                error = await page.failing(method, **params)
                assert error["data"]["id"] == "origin.refused"
            assert not set(METHODS) & set((await page.call("agent.hello"))["capabilities"])
        async with agent.page(None) as program:
            assert set(METHODS) <= set((await program.call("agent.hello"))["capabilities"])
            assert len((await program.call("queue.list"))["records"]) == 1
    assert person.questions == []


async def test_a_program_adds_records_once_has_them_signed_and_fetches_them(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["123456"])
    async with running_agent(tmp_path, interaction=person, config=WITH_QUEUE) as agent:
        async with agent.page(None) as program:
            wanted = {"document": octets(b"note"), "name": "note.txt", "signer": DOCTOR, "key": "EMR-1"}
            first = await program.call("queue.add", **wanted)
            assert await program.call("queue.add", **wanted) == first
            assert (first["signer"], first["state"]) == ("0*********61", "waiting")
            other = await program.failing("queue.add", **{**wanted, "document": octets(b"other")})
            assert other["data"]["id"] == "queue.other_content"
            session = await program.call("queue.sign", signatures=5, minutes=10)
            assert (session["signatures"], session["seconds"]) == (5, 600)

            async def signed() -> bool:
                return (await program.call("queue.list", states=["signed"]))["records"] != []

            await until(signed, "it is not signed")
            found = await program.call("queue.result", record=1)
            [signature] = found["record"]["signatures"]
            assert (signature["cardKind"], signature["card"]) == ("hpc", "********5361")
            assert b"note" in base64.b64decode(found["document"])
            listed = await program.call("queue.list")
            assert DOCTOR not in str(listed)
            assert {name: listed[name] for name in ("waiting", "owed", "overdue", "failed", "left")} == (
                dict.fromkeys(("waiting", "owed", "overdue", "failed", "left"), 0)
            )
        file = found["record"]["file"]
        await until((tmp_path / "signed-records" / file).exists, "nothing is in the folder")


HOSTILE: list[tuple[str, dict[str, object]]] = [
    ("queue.add", {"name": "../../.bashrc"}),
    ("queue.add", {"name": "a/b.txt"}),
    ("queue.add", {"name": "C:\\x.txt"}),
    ("queue.add", {"name": "a\x1b[2Jb.txt"}),
    ("queue.add", {"name": "a\u202efdp.exe"}),
    ("queue.add", {"name": ".."}),
    ("queue.add", {"name": ""}),
    ("queue.add", {"name": "長" * 100}),
    ("queue.add", {"document": ""}),
    ("queue.add", {"signer": "../x"}),
    ("queue.add", {"signer": "x' OR 1=1 --"}),
    ("queue.add", {"format": "pkcs1"}),
    ("queue.add", {"format": "jws"}),
    ("queue.add", {"format": "xades", "level": "B-LTA"}),
    ("queue.add", {"reason": "x" * 201}),
    ("queue.add", {"reason": "a\x07b"}),
    ("queue.add", {"folder": "/etc"}),
    ("queue.add", {"due": "2030-01-01"}),
    ("queue.list", {"limit": 1_000_000}),
    ("queue.list", {"after": -1}),
    ("queue.list", {"states": ["paid"]}),
    ("queue.result", {"record": 0}),
    ("queue.result", {"record": 2**63}),
    ("queue.sign", {"signatures": 100_000}),
    ("queue.sign", {"minutes": 0}),
]


async def test_hostile_parameters_are_refused_in_words_and_nothing_is_kept(tmp_path: Path) -> None:
    person = ScriptedInteraction(pins=["123456"])
    running = running_agent(tmp_path, (), interaction=person, config=WITH_QUEUE)
    async with running as agent, agent.page(None) as program:
        for method, params in HOSTILE:
            error = await program.failing(method, **{**METHODS[method], **params})
            known = error["data"]["id"] in ("request.parameters", "request.unknown_member")
            assert known, f"{method} {params}: {error}"
        assert (await program.call("queue.list"))["records"] == []
    assert person.questions == []


async def test_no_more_records_wait_than_the_administrator_allows(tmp_path: Path) -> None:
    few = replace(ANY_PORT, queue=QueueSettings(enabled=True, records=2))
    async with running_agent(tmp_path, (), config=few) as agent, agent.page(None) as program:
        for _ in range(2):
            await program.call("queue.add", **METHODS["queue.add"])
        error = await program.failing("queue.add", **METHODS["queue.add"])
        assert error["data"]["id"] == "queue.full"
        assert (await program.call("queue.list"))["waiting"] == 2


async def test_without_a_queue_programs_are_told_so(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        async with agent.page(None) as program:
            for method, params in METHODS.items():
                assert (await program.failing(method, **params))["data"]["id"] == "queue.disabled"
        with pytest.raises(AgentError) as raised:
            await agent.daemon.errands.run(Errand.QUEUE)
    assert raised.value.error_id == ErrorId.QUEUE_DISABLED
    assert not (tmp_path / "queue.sqlite").exists()


async def test_an_agent_watches_its_folder_and_the_person_signs_from_the_menu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr("agent.queue.service._LOOK_SECONDS", 0.01)
    watched = tmp_path / "to-sign"
    watched.mkdir(mode=0o755)
    settings = QueueSettings(enabled=True, folders=(watched,), results=str(tmp_path / "signed"))
    config = replace(ANY_PORT, queue=settings)
    (watched / "before.txt").write_bytes(b"before")
    async with running_agent(tmp_path, config=config) as agent:
        first = agent.daemon.queue
        assert first is not None
        await until(lambda: first.counts.waiting == 1, "nothing is taken in")
        (watched / "meanwhile.txt").write_bytes(b"meanwhile")
    async with running_agent(tmp_path, config=config) as agent:  # it finds what the first left
        second = agent.daemon.queue
        assert second is not None
        await until(lambda: second.counts.waiting == 2, "one is missing")
        said = await agent.daemon.errands.run(Errand.QUEUE)
        assert "測試人員卡" in said[0]
        await until(lambda: len(list((tmp_path / "signed").glob("*.p7m"))) == 2, "they are not signed")
    assert [each.name for each in watched.iterdir()] == [intake.TAKEN]


@not_on_windows("links as POSIX has them")
@pytest.mark.parametrize("inside", ["", "signed", "signed/2026"])
async def test_what_was_signed_is_never_taken_in_again(tmp_path: Path, inside: str) -> None:
    watched = tmp_path / "to-sign"
    watched.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(watched)
    settings = QueueSettings(enabled=True, folders=(watched,), results=str(tmp_path / "link" / inside))
    person = ScriptedInteraction()
    async with running_agent(tmp_path, interaction=person, config=replace(ANY_PORT, queue=settings)) as agent:
        assert agent.daemon.queue is None
        await until(lambda: len(person.notices) > 0, "nobody is told")
        assert any("queue.results lies in a folder of queue.folders" in en for _, en in person.notices)


async def test_a_journal_that_cannot_be_used_keeps_the_agent_from_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_bytes(b"this is no journal of ours" * 100)
    person = ScriptedInteraction()
    async with running_agent(tmp_path, interaction=person, config=WITH_QUEUE) as agent:
        assert agent.daemon.queue is None
        await until(lambda: len(person.notices) > 0, "nobody is told")
        assert any("journal" in en for _, en in person.notices)
        async with agent.page(None) as program:
            assert (await program.failing("queue.list"))["data"]["id"] == "queue.disabled"
            assert (await program.call("readers.list"))["readers"]
