"""A preview is made in a process of its own, and no document can make the question wait or fail."""

from __future__ import annotations

import sys

import pytest

from agent.interaction import CardShown, DocumentShown, PinQuestion
from agent.interaction.dialog_messages import OPENING_MAX, Opening, line
from agent.previews import Previews
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from signing.preview import LINE_MAX, LINES_MAX, Notice, Preview, RecordKind
from signing.preview.child import DOCUMENT_MAX
from tests.support.pdfs import pdf


@pytest.mark.slow
async def test_a_pdf_is_a_picture_and_a_text_is_a_text() -> None:
    previews = Previews(seconds=60)
    found = await previews.of(pdf("one", "two"))
    assert found.pdf is not None
    assert (found.pdf.pages, found.pdf.notices) == (2, (Notice.FIRST_PAGE,))
    assert found.pdf.picture.startswith(b"\x89PNG")
    found = await previews.of("醫師確認".encode())
    assert found.text is not None
    assert (found.text.kind, found.text.lines) == (RecordKind.TEXT, ("醫師確認",))


@pytest.mark.slow
async def test_the_longest_preview_fits_into_a_windows_opening() -> None:
    found = await Previews(seconds=60).of(("\u200b" * LINE_MAX + "\n").encode() * LINES_MAX)
    assert found.text is not None
    assert Notice.SHORTENED in found.text.notices
    card = CardShown("reader", CardKind.PERSONNEL, "1", "王測試", simulated=False)
    document = DocumentShown(1, "SHA-256", bytes(32), "a.txt", found)
    question = PinQuestion(None, card, PinStatus(3, 6, 8), Verb.SIGN, document)
    opening = Opening(content=question, simulated=False, seconds=None, days=1, silence_minutes=1)
    assert len(line(opening)) < OPENING_MAX


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(600)",
        "import sys; sys.stdin.buffer.read(); sys.exit(1)",
        "import os; os.abort()",
        "while True: print('x' * 65536)",
        "print('{\"pdf\": 1}')",
        "print('{')",
    ],
    ids=["hangs", "ends", "crashes", "never stops", "another answer", "half an answer"],
)
async def test_a_process_that_fails_gives_no_preview(program: str) -> None:
    previews = Previews(lambda: (sys.executable, "-c", program), seconds=3)
    assert await previews.of(b"x" * 300_000) == Preview()


async def test_a_process_that_cannot_be_started_gives_no_preview() -> None:
    assert await Previews(lambda: ("/nowhere/at/all",)).of(b"x") == Preview()


async def test_of_a_very_large_document_no_preview_is_made() -> None:
    def never() -> tuple[str, ...]:
        raise AssertionError

    assert await Previews(never).of(bytes(DOCUMENT_MAX + 1)) == Preview()
