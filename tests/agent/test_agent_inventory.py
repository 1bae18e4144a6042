"""What a running agent says of itself, for programs that take stock of computers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent import __version__, inventory
from tests.support.agent import running_agent


async def test_an_agent_says_in_a_file_what_runs_and_that_it_ended(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        said = json.loads((tmp_path / inventory.NAME).read_bytes())
        assert said["version"] == __version__ and said["pid"] == os.getpid() and said["ended"] is None
        assert said["ports"]["native"] == [agent.daemon.native_port]
        assert said["ports"]["servisign"] == [agent.daemon.tls_port]
        assert said["certificateEnds"].startswith(f"{agent.daemon.identity.not_after:%Y-%m-%d}")
        assert said["simulated"] is True and said["format"] == 1
        assert str(agent.readers[0].name) not in json.dumps(said)
    ended = inventory.read(tmp_path)
    assert ended is not None and ended.ended is not None and ended.version == __version__


async def test_programs_learn_the_version_and_pages_do_not(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        for base in (agent.clear, agent.tls, f"http://localhost:{agent.daemon.hipki_port}"):
            headers = {"Origin": "https://anybody.example"}
            async with agent.http.get(f"{base}/status", headers=headers) as response:
                assert response.headers["HCA-Agent-Version"] == __version__
                assert "Access-Control-Expose-Headers" not in response.headers  # Fetch: then no page reads it


def test_the_end_of_one_agent_is_not_said_of_another(tmp_path: Path) -> None:
    (tmp_path / inventory.NAME).write_text("{")
    inventory.end(tmp_path)
    assert (tmp_path / inventory.NAME).read_text() == "{"


async def test_a_disk_that_is_full_keeps_no_agent_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.inventory.write_private", full)
    async with running_agent(tmp_path) as agent, agent.page() as page:
        await page.call("agent.hello")
