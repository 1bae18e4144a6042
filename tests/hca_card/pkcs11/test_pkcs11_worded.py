"""What a module's return values mean to the person, at whatever it was asked."""

from __future__ import annotations

from typing import Any

import pytest

from hca_card.errors import (
    CardDataError,
    NotActivatedError,
    ObjectMissingError,
    PinWrongError,
    UnsupportedError,
)
from hca_card.pin import Pin
from hca_card.pkcs11 import messages
from hca_card.pkcs11.cryptoki import Ckr
from hca_card.pkcs11.errors import ModuleError
from hca_card.pkcs11.session import TokenSession
from pcsc.errors import CardRemovedError, CardResetError
from pcsc.status import StatusError

TOKEN = messages.Token(label="測試", serial="1", flags=0x400, min_length=6, max_length=8)


class Module:
    """A module's process that answers, or refuses what is asked with a code."""

    def __init__(self) -> None:
        self.refuses: dict[type, int] = {}
        self.asked: list[Any] = []
        self.ended = 0

    def ask(self, question: Any, **_how: object) -> Any:
        self.asked.append(question)
        if type(question) in self.refuses:
            raise ModuleError(self.refuses[type(question)], "as told")
        if isinstance(question, messages.Open | messages.LookAtToken):
            return TOKEN
        if isinstance(question, messages.SignPss | messages.Agree | messages.Sign | messages.Decrypt):
            return messages.Octets(b"made")
        return messages.Done()

    def end(self, _generation: int) -> None:
        self.ended += 1


def test_signatures_of_pss_and_secrets_are_asked_for_by_their_key() -> None:
    module: Any = Module()
    with TokenSession(module, 1, 1) as session:
        assert session.sign_pss(21, b"digest") == b"made"
        assert session.agree(22, b"point") == b"made"
    assert module.asked[1:3] == [messages.SignPss(1, 21, b"digest"), messages.Agree(1, 22, b"point")]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Ckr.DEVICE_REMOVED, CardRemovedError),
        (Ckr.SESSION_HANDLE_INVALID, CardResetError),
        (Ckr.MECHANISM_INVALID, UnsupportedError),
        (Ckr.USER_NOT_LOGGED_IN, StatusError),
        (Ckr.USER_PIN_NOT_INITIALIZED, NotActivatedError),
        (Ckr.KEY_HANDLE_INVALID, ObjectMissingError),
        (Ckr.GENERAL_ERROR, ModuleError),
    ],
)
def test_what_a_signature_is_refused_with_has_its_meaning(code: Ckr, error: type[Exception]) -> None:
    module: Any = Module()
    module.refuses[messages.SignPss] = code
    with TokenSession(module, 1, 1) as session, pytest.raises(error):
        session.sign_pss(21, b"digest")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Ckr.GENERAL_ERROR, CardDataError),
        (Ckr.DEVICE_REMOVED, CardRemovedError),
        (Ckr.MECHANISM_INVALID, UnsupportedError),
    ],
)
def test_whatever_a_module_finds_wrong_with_a_point_is_one_error(code: Ckr, error: type[Exception]) -> None:
    module: Any = Module()
    module.refuses[messages.Agree] = code
    with TokenSession(module, 1, 1) as session, pytest.raises(error):
        session.agree(22, b"point")


def test_tries_that_nobody_tells_after_a_wrong_pin_are_not_known() -> None:
    module: Any = Module()
    module.refuses = {messages.Login: Ckr.PIN_INCORRECT, messages.LookAtToken: Ckr.DEVICE_REMOVED}
    with TokenSession(module, 1, 1) as session, pytest.raises(PinWrongError) as caught:
        session.login(Pin("123456"))
    assert caught.value.tries_left is None
