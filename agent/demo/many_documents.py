"""The demo's steps with many documents: a session of twenty records, and a batch that is interrupted."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.demo.step_report import StepReport, expect, refused
from agent.operations import Caller
from agent.vocabulary import SessionEnd

if TYPE_CHECKING:
    from agent.batch.engine import Outcome, Progress, Summary
    from agent.batch.files import FileBatch, FileItem
    from agent.demo.environment import DemoEnvironment
    from agent.demo.page_client import PageClient
    from agent.demo.scripted_person import ScriptedPerson
    from agent.verification import Verifier

RECORDS: Final = 20
_PULLED_AFTER: Final = 7
_OWN: Final = Caller(None, "demo")


def record(number: int) -> str:
    """Return one of the records, which are invented."""
    return f"病歷摘要 第 {number + 1} 份，測試病人，2030-03-01。\n"


async def session_of_records(
    page: PageClient, person: ScriptedPerson, report: StepReport, verifier: Verifier, reader: str
) -> None:
    """Sign twenty records from a page with one PIN, and find that the session is good for no more."""
    with report.step("一次 PIN 碼簽 20 份病歷", "One PIN signs twenty records") as notes:
        asked = len(person.asked)
        opened = await page.call("session.open", signatures=RECORDS, minutes=10, reader=reader)
        for number in range(RECORDS):
            document = base64.b64encode(record(number).encode()).decode("ascii")
            signed = await page.call(
                "session.sign", session=opened["session"], document=document, format="cades"
            )
            signature = base64.b64decode(signed["signature"])
            found = await verifier.verify(record(number).encode(), signature, ask=False)
            expect(all(each.unchanged for each in found.signatures), f"record {number + 1} does not verify")
            expect(len(found.signatures) == 1, f"record {number + 1} has no signature")
        expect(len(person.asked) == asked + 1, "the PIN must be asked once for all of them")
        expect(signed["left"] == 0, f"left after the last: {signed['left']}")
        notes.append(f"{RECORDS} 份都通過驗證 · all verified · PIN ×1")
    with report.step("份數用完：不再簽", "The session is used up, and signs no more") as notes:
        again = page.call("session.sign", session=opened["session"], document=document, format="cades")
        notes.append((await refused(again, "signing_session.ended")).zh)


async def batch_with_resume(
    environment: DemoEnvironment, person: ScriptedPerson, report: StepReport, folder: Path, reader: str
) -> None:
    """Sign a folder as a batch; the card is pulled in the middle, and the rest is signed afterwards.

    Args:
        environment: what is running.
        person: who is asked.
        report: where the steps are printed.
        folder: for the documents; empty.
        reader: the reader's name.
    """
    place, card = environment.readers[reader], environment.cards[reader]
    outputs = folder / "signed"
    for number in range(RECORDS):
        (folder / f"病歷{number + 1:02}.txt").write_text(record(number), "utf-8")
    with report.step("整批簽章，中途拔出卡片", "A batch, with the card pulled in the middle") as notes:
        summary = await _run(
            environment, folder, outputs, reader, resume=False, after=(_PULLED_AFTER, place.remove)
        )
        expect(summary.stopped is not None, "the batch did not notice")
        expect(summary.left > 0, "nothing is left to go on with")
        notes.append(f"已簽 {summary.done}，未簽 {summary.left} · signed {summary.done}, left {summary.left}")
    with report.step("插回卡片，從停下的地方繼續", "The card is back, and the batch goes on") as notes:
        place.insert(card)
        before = {file.name: file.stat().st_mtime_ns for file in outputs.glob("*.p7s")}
        asked = len(person.asked)
        summary = await _run(environment, folder, outputs, reader, resume=True)
        signatures = {file.name: file.stat().st_mtime_ns for file in outputs.glob("*.p7s")}
        expect(summary.stopped is None and summary.left == 0, f"it stopped again: {summary.stopped}")
        expect(len(signatures) == RECORDS, f"{len(signatures)} signatures for {RECORDS} documents")
        expect(before.items() <= signatures.items(), "a document was signed twice")
        expect(len(person.asked) == asked + 1, "the PIN must be asked once")
        notes.append(f"{RECORDS} 份各簽一次 · each of {RECORDS} signed once · PIN ×1")


async def _run(
    environment: DemoEnvironment,
    folder: Path,
    outputs: Path,
    reader: str,
    *,
    resume: bool,
    after: tuple[int, Callable[[], None]] | None = None,
) -> Summary:
    """Run the batch, from its beginning or from where it stopped; `after` so many, something happens."""
    from agent.batch.engine import Engine

    operations = environment.daemon.operations

    def told(_outcome: Outcome[FileItem], progress: Progress) -> None:
        if after is not None and progress.done == after[0]:
            after[1]()

    with await asyncio.to_thread(opened, folder, outputs, resume=resume) as files:
        items = files.shown()
        session = await operations.open_session(_OWN, items=items, reader=reader)
        try:
            return await Engine(files, len(items), told).run([session])
        finally:
            session.end(SessionEnd.CLOSED)


def opened(folder: Path, outputs: Path, *, resume: bool) -> FileBatch:
    """Return the batch of a folder, declared or as it was left."""
    from agent.batch.choice import Choice
    from agent.batch.files import FileBatch
    from agent.batch.listing import entries_of_folder
    from signing.formats import SignatureFormat

    files = FileBatch(folder, outputs, "demo")
    if resume:
        files.resume()
    else:
        files.declare(entries_of_folder(folder, Choice(SignatureFormat.CADES), outputs), RECORDS)
    return files
