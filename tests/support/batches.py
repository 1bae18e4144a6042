"""Batches without cards: a session that signs by adding a word, and folders of documents."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.batch.choice import Choice
from agent.batch.engine import Engine, Outcome, Progress, Summary
from agent.batch.files import FileBatch, FileItem
from agent.batch.listing import entries_of_folder
from agent.vocabulary import SessionEnd
from signing.cms.build import CmsForm
from signing.formats import Form, Level, SignatureFormat
from signing.hashes import Hash

PLAIN = Choice(format=SignatureFormat.PKCS1)


@dataclass
class Made:
    document: bytes
    signature: bytes
    certificate: bytes = b"certificate"


class StampSession:
    """Signs by putting a word before the document; `before` may raise what a card would.

    Attributes:
        signed: the documents, in the order in which the card had its turn.
        most: how many were waiting for the card or on it at once.
    """

    ended: SessionEnd | None = None

    def __init__(self, before: Callable[[bytes], object] = lambda _document: None) -> None:
        self.signed: list[bytes] = []
        self.most = 0
        self._before = before
        self._here = 0
        self._turn = asyncio.Lock()

    async def sign(self, form: Form, document: bytes, *, hash: Hash, level: Level, name: str) -> Made:  # noqa: A002
        return await self._made(document)

    async def sign_value(
        self,
        document: bytes,
        *,
        hash: Hash,  # noqa: A002
        cms: CmsForm | None,
        name: str,
    ) -> Made:
        return await self._made(document)

    async def turn(self) -> None:
        """What passes while the card is at work."""
        await asyncio.sleep(0)

    async def _made(self, document: bytes) -> Made:
        self._here += 1
        self.most = max(self.most, self._here)
        try:
            async with self._turn:
                await self.turn()
                self._before(document)
                self.signed.append(document)
            return Made(b"signed " + document, b"signed " + document)
        finally:
            self._here -= 1


def documents(folder: Path, count: int, text: str = "record {}") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(text.format(number))
    return paths


def batch_of(
    folder: Path, outputs: Path | None = None, *, resume: bool = False, force: bool = False
) -> FileBatch:
    """The batch of a folder, declared or resumed."""
    outputs = outputs or folder / "signed"
    batch = FileBatch(folder, outputs, "the folder")
    try:
        if resume and batch.unfinished():
            batch.resume()
        else:
            batch.declare(entries_of_folder(folder, PLAIN, outputs), 10_000, force=force)
    except BaseException:
        batch.__exit__()
        raise
    return batch


async def run(
    batch: FileBatch, *sessions: StampSession
) -> tuple[Summary, list[Outcome[FileItem]], list[Progress]]:
    outcomes: list[Outcome[FileItem]] = []
    progress: list[Progress] = []

    def report(outcome: Outcome[FileItem], far: Progress) -> None:
        outcomes.append(outcome)
        progress.append(far)

    done, of = batch.counts()
    return await Engine(batch, of - done, report).run(sessions), outcomes, progress


def signed_once(folder: Path, outputs: Path, count: int) -> None:
    """Every document has one whole result, and nothing else lies about."""
    wanted = {
        f"{path.name}.sig": hashlib.sha256(b"signed " + path.read_bytes()).hexdigest()
        for path in folder.glob("*.txt")
    }
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in outputs.iterdir()
        if not path.name.startswith(".hca-agent-batch.sqlite")
    }
    assert len(wanted) == count
    assert found == wanted
