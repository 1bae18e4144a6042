from __future__ import annotations

import pytest

from pcsc import errors
from pcsc.results import ReturnCode, check, error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x00000005, errors.ServiceDeniedError),
        (0x0000045D, errors.ReaderFaultError),
        (0x80100002, errors.CancelledError),
        (0x80100003, errors.ServiceRestartedError),
        (0x80100004, errors.ReaderLimitError),
        (0x80100006, errors.ServiceBusyError),
        (0x80100008, errors.ReaderTooSmallError),
        (0x80100009, errors.ReaderUnavailableError),
        (0x8010000A, errors.ReaderTimeoutError),
        (0x8010000B, errors.ReaderBusyError),
        (0x8010000C, errors.NoCardError),
        (0x8010000F, errors.CardProtocolError),
        (0x80100010, errors.ReaderNotReadyError),
        (0x80100013, errors.ServiceRestartedError),
        (0x80100016, errors.CommunicationError),
        (0x80100017, errors.ReaderUnavailableError),
        (0x80100018, errors.ServiceEndingError),
        (0x8010001D, errors.ServiceUnavailableError),
        (0x8010001E, errors.ServiceUnavailableError),
        (0x8010001F, errors.ReaderLimitError),
        (0x8010002E, errors.NoReaderError),
        (0x80100031, errors.ServiceBusyError),
        (0x80100065, errors.CardProtocolError),
        (0x80100066, errors.CardMuteError),
        (0x80100067, errors.CardUnpoweredError),
        (0x80100068, errors.CardResetError),
        (0x80100069, errors.CardRemovedError),
        (0x8010006A, errors.ServiceDeniedError),
        (0x8010FFFF, errors.PcscError),
    ],
)
def test_each_return_code_is_the_error_a_person_can_act_on(code: int, kind: type[errors.PcscError]) -> None:
    assert type(error(code)) is kind
    assert f"0x{code:08X}" in str(error(code, reader="R"))
    # pyscard gives signed numbers on some platforms.
    assert type(error(code - 0x1_0000_0000)) is kind


def test_success_is_no_error_and_anything_else_is_raised() -> None:
    check(ReturnCode.SUCCESS)
    with pytest.raises(errors.NoCardError, match=r"\(R\)"):
        check(ReturnCode.NO_SMARTCARD, reader="R")


def test_every_code_that_is_named_is_in_the_table_or_has_its_own_treatment() -> None:
    plain = {code for code in ReturnCode if type(error(code)) is errors.PcscError}
    assert plain == {ReturnCode.SUCCESS}
