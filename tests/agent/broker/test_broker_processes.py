"""Two workers, two cards, one broker, one submitter, each a process: each is killed in the middle."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signing.verification.reading import read
from tests.support.batches import documents
from tests.support.cards import simulator_ca, simulator_folder
from tests.support.nats_server import NatsServer
from tests.support.waiting import until

COUNT = 240


class Home:
    """The folder of one computer's agent, and the programs that run there."""

    def __init__(self, folder: Path, server: NatsServer) -> None:
        simulator_ca()
        folder.mkdir()
        (folder / "simulator").symlink_to(simulator_folder())
        self.folder = folder
        self._server = server

    def start(self, command: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / command).open("ab") as said:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "agent",
                    command,
                    *words,
                    "--server",
                    self._server.settings.servers[0],
                ],
                env=os.environ | {"HCA_AGENT_HOME": str(self.folder), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def said(self, command: str) -> str:
        path = self.folder / command
        return path.read_text("utf-8") if path.exists() else ""

    @contextmanager
    def worker(self, kind: str) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start("worker", "--simulate", kind, "--pin-stdin")
        try:
            assert process.stdin is not None
            process.stdin.write(b"123456\n")
            process.stdin.close()
            yield process
        finally:
            process.kill()
            process.wait()

    def card(self, times: int = 1) -> str:
        """The key of its card, as soon as its worker takes jobs for the so-many-th time."""
        pattern = "takes jobs for the card ([0-9a-f]{32})"
        return until(lambda: re.findall(pattern, self.said("worker"))[times - 1 :], self.said("worker"))[0]

    def signatures(self) -> int:
        rows = map(json.loads, (self.folder / "audit.jsonl").read_text("utf-8").splitlines())
        return sum((row["verb"], row["result"]) == ("sign", "ok") for row in rows)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled_whoever_is_killed(tmp_path: Path, server: NatsServer) -> None:
    folder = tmp_path / "ward"
    documents(folder, COUNT)
    one, two, ward = (Home(tmp_path / name, server) for name in ("one", "two", "submitter"))
    outputs = folder / "signed"

    def signed(count: int) -> None:
        until(lambda: len(list(outputs.glob("*.p7s"))) >= count, lambda: ward.said("submit"), 60)

    with two.worker("hop"):
        with one.worker("hpc") as killed:
            words = str(folder), "--card", one.card(), "--card", two.card(), "--json"
            submitting = ward.start("submit", *words)
            signed(40)
            killed.kill()
        with one.worker("hpc"):
            signed(80)
            server.kill()
            server.start()
            signed(150)
            submitting.kill()
            submitting.wait()
            submitting = ward.start("submit", *words, "--resume")
            assert submitting.wait(90) == 0, ward.said("submit")
    answer = json.loads(ward.said("submit").splitlines()[-1])
    assert (answer["done"], answer["failed"], answer["left"], answer["of"]) == (COUNT, 0, 0, COUNT)
    results = {path.name for path in outputs.iterdir() if not path.name.startswith(".")}
    assert results == {f"{document.name}.p7s" for document in folder.glob("*.txt")}
    signers = set()
    for document in folder.glob("*.txt"):
        signature = (outputs / f"{document.name}.p7s").read_bytes()
        [found] = read(document.read_bytes(), signature).signatures
        assert found.intact
        signers.add(found.certificate)
    assert len(signers) == 2
    # A signature that was made and not written down when its worker was killed is made again, and no other.
    assert COUNT <= one.signatures() + two.signatures() <= COUNT + 4
