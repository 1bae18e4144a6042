"""Status words: what they say of a PIN's tries, and the standard's words for the log."""

from __future__ import annotations

import pytest

from pcsc.status import StatusError, StatusWord, describe, tries_left


@pytest.mark.parametrize(
    ("sw", "left"),
    [
        (0x63C0, 0),
        (0x63C3, 3),
        (0x63CF, 15),
        (0x6983, 0),
        (0x9000, None),
        (0x6300, None),
        (0x63BF, None),
        (0x63D0, None),
        (0x6982, None),
    ],
)
def test_how_many_tries_a_status_word_leaves(sw: int, left: int | None) -> None:
    assert tries_left(sw) == left


@pytest.mark.parametrize(
    ("sw", "words"),
    [
        (0x9000, "9000 no further qualification"),
        (0x6A82, "6A82 file or application not found"),
        (0x63C2, "63C2 verification failed, 2 tries left"),
        (0x6F42, "6F42 status word not in ISO 7816-4"),
    ],
)
def test_a_status_word_in_the_words_of_the_standard(sw: int, words: str) -> None:
    assert describe(sw) == words
    raised = StatusError(sw)
    assert str(raised) == words
    assert raised.sw == sw


def test_a_status_word_is_the_number_the_card_answers() -> None:
    assert StatusWord(0x6983) is StatusWord.METHOD_BLOCKED  # type: ignore[call-arg]
    assert int(StatusWord.METHOD_BLOCKED) == 0x6983
    assert len({word.words for word in StatusWord}) == len(StatusWord)
