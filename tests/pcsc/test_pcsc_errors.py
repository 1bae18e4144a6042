"""What an error of PC/SC says of itself, in the log."""

from __future__ import annotations

from pcsc.errors import CardMuteError, NoReaderError, PcscError


def test_an_error_says_what_it_is_and_the_number_and_reader_there_were() -> None:
    assert str(NoReaderError()) == "There is no reader."
    assert str(CardMuteError(0x80100066, "no answer", reader="A 00")) == "no answer 0x80100066 (A 00)"


def test_a_signed_return_code_is_the_number_winscard_prints() -> None:
    raised = PcscError(0x80100066 - 0x1_0000_0000)
    assert raised.code == 0x80100066
    assert "0x80100066" in str(raised)
