"""What an error says without being given words, and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime

from signing.errors import SigningError, StatusAnswerStaleError


def test_an_error_without_words_says_what_it_is() -> None:
    assert str(SigningError("words")) == "words"
    assert str(SigningError()) == SigningError.__doc__


def test_an_answer_out_of_time_keeps_its_own_moment() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    raised = StatusAnswerStaleError("later than what counts", moment)
    assert (str(raised), raised.this_update) == ("later than what counts", moment)
    assert StatusAnswerStaleError().this_update is None
