"""Documents of strangers are taken apart in processes of their own, and no document ends more than that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.config import Config
from agent.document_processes import DocumentProcesses
from agent.environment import Child
from agent.paths import Paths
from agent.verification import Verifier
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.verification.findings import Finding
from signing.verification.report import DocumentReport, Verdict
from tests.support.test_pki import NOW, pki, sign_with
from tests.support.waiting import LIMIT

pytestmark = pytest.mark.slow

DOCUMENT = "出院病摘".encode()


def made() -> bytes:
    form = Cades()
    ready = form.prepare(DOCUMENT, pki().signer(), Hash.SHA_256, NOW)
    return ready.finish(sign_with("rsa", ready.digest, Hash.SHA_256))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path).make()


def findings(report: DocumentReport) -> set[str]:
    return {each.finding for each in report.remarks}


async def test_a_process_of_its_own_finds_what_this_one_finds(paths: Paths) -> None:
    message = made()
    here, apart = Verifier(Config(), paths), Verifier(Config(), paths, apart=True)
    for document, signature in (
        (DOCUMENT, message),
        (DOCUMENT + b"!", message),
        (message, None),
        (b"", None),
    ):
        expected = await here.verify(document, signature, ask=False)
        assert await apart.verify(document, signature, ask=False) == expected


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import os; os.kill(os.getpid(), 9)", "read"),
        ("import time; time.sleep(60)", "long"),
        ("import sys; sys.stdout.write('not an answer')", "read"),
        ("raise SystemExit(3)", "read"),
    ],
)
async def test_a_document_that_ends_or_hangs_its_reader_is_told_and_the_next_is_read(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, code: str, word: str
) -> None:
    verifier = Verifier(Config(), paths, apart=True)
    genuine = verifier._processes
    hostile = DocumentProcesses(
        "",
        Child.DOCUMENT,
        seconds=3 if word == "long" else LIMIT,
        answer_max=1 << 20,
        command=lambda: (sys.executable, "-c", code),
    )
    monkeypatch.setattr(verifier, "_processes", hostile)
    report = await verifier.verify(DOCUMENT, made(), ask=False)
    assert report.verdict is Verdict.UNDECIDED
    assert findings(report) == {Finding.STRUCTURE_REFUSED}
    assert word in report.remarks[0].detail
    monkeypatch.setattr(verifier, "_processes", genuine)
    assert (await verifier.verify(DOCUMENT, made(), ask=False)).signatures[0].unchanged
