"""`worker` and `submit` on the command line: what they refuse, in words and before a PIN is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.agent.broker.test_broker_connection import secret
from tests.support.batches import documents
from tests.support.command_line import answer
from tests.support.nats_server import nats_server
from tests.support.ports import free_port

CARD = "a" * 32
HPC = ("--simulate", "hpc", "--pin-stdin")
PIN = "123456\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents(tmp_path / "ward", 2)
    return tmp_path / "ward"


@pytest.fixture
def nobody() -> str:
    return f"nats://127.0.0.1:{free_port()}"


def pins_asked(home: Path) -> int:
    path = home / "audit.jsonl"
    return 0 if not path.exists() else path.read_text("utf-8").count('"session"')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "broker.unset"),
        (("--server", "nats://nats.example.tw"), "tls://"),
        (("--server", "tls://user:secret@nats.example.tw"), "--server"),
        (("--minutes", "1441"), "1440"),
        (("--signatures", "251"), "250"),
        (("--creds", "/nowhere"), "/nowhere"),
    ],
    ids=str,
)
def test_a_worker_without_a_broker_asks_for_no_pin(
    invoke, home: Path, words: tuple[str, ...], said: str
) -> None:
    result = invoke("worker", *HPC, *words, input=PIN)
    assert result.exit_code in (1, 2) and said in result.stderr
    assert pins_asked(home) == 0


def test_a_broker_that_is_not_there_is_said_before_any_pin(invoke, home: Path, folder: Path, nobody: str):
    for words in (("worker", *HPC), ("submit", folder, "--card", CARD)):
        result = invoke(*words, "--server", nobody, input=PIN)
        assert result.exit_code == 1 and "broker.unreachable" in result.stderr
    assert pins_asked(home) == 0
    assert not (folder / "signed" / ".hca-agent-submit.json").exists()


def test_credentials_that_others_can_read_are_refused(invoke, folder: Path, nobody: str, tmp_path: Path):
    creds = Path(secret(tmp_path / "creds", "worker:secret"))
    creds.chmod(0o644)
    result = invoke("submit", folder, "--card", CARD, "--server", nobody, "--creds", creds)
    assert result.exit_code == 1 and "broker.credentials" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize("card", ["", "A" * 32, "a" * 31, "../a", "/etc"])
def test_a_card_is_a_key_or_a_file_with_a_certificate(invoke, folder: Path, nobody: str, card: str):
    result = invoke("submit", folder, "--card", card, "--server", nobody)
    assert result.exit_code == 2 and "--card" in result.stderr


def test_a_list_with_faults_reaches_no_broker(invoke, folder: Path, nobody: str):
    (folder / "a\x1b[2J.txt").write_text("x")
    (folder / "link.txt").symlink_to("/etc/passwd")
    result = invoke("submit", folder, "--card", CARD, "--server", nobody, "--json")
    assert result.exit_code == 1
    assert {fault["en"] for fault in json.loads(result.stdout)["faults"]} == {
        "its name has control characters or is too long",
        "it is a link and no file",
    }


def test_more_documents_than_a_batch_may_have_are_refused(invoke, home: Path, folder: Path, nobody: str):
    (home / "config.toml").write_text("[sessions]\nitems = 1\n")
    result = invoke("submit", folder, "--card", CARD, "--server", nobody, "--json")
    assert result.exit_code == 1 and answer(result)["error"]["id"] == "batch.too_many"


def test_a_pin_that_is_wrong_ends_the_worker_and_is_in_no_file(invoke, home: Path, tmp_path: Path):
    with nats_server(tmp_path / "nats") as server:
        result = invoke("worker", *HPC, "--server", *server.settings.servers, input="654321\n")
        assert result.exit_code == 1 and "pin.wrong" in result.stderr
        for path in (*home.rglob("*"), *(tmp_path / "nats").rglob("*")):
            if path.is_file() and "simulator" not in path.parts:
                assert b"654321" not in path.read_bytes(), path
