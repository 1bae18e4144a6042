"""A card through a PKCS#11 module, SoftHSM2 standing in for the maker's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hca_card.errors import (
    ObjectMissingError,
    PinCancelledError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukWrongError,
    UnsupportedError,
)
from hca_card.model import CardKind, Citizen, KeyUse
from hca_card.pin import Pin
from hca_card.pkcs11.errors import ModuleError
from hca_card.pkcs11.keypad import ModuleKeypad
from pcsc.errors import CardRemovedError, NoCardError
from pcsc.status import StatusError
from signing.cipher import decrypt, encrypt
from signing.errors import CipherInvalidError
from signing.hashes import Hash
from tests.support import c_modules, softhsm
from tests.support.modules import running, slots, visiting
from tests.support.signing import sign_document

pytestmark = [pytest.mark.slow, softhsm.needs_softhsm]

DOCUMENT = "同意書".encode()


@pytest.fixture(autouse=True)
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    softhsm.personnel(tmp_path, monkeypatch)


def test_card_and_certificates_are_read_without_a_pin() -> None:
    with running(softhsm.MODULE) as module, visiting(module) as card:
        assert (card.kind, card.serial) == (CardKind.PERSONNEL, softhsm.NUMBER)
        assert card.metadata().holder == Citizen("測試人員卡")
        assert card.certificate_indexes() == (0, 1, 2, 4)
        objects = softhsm.personnel_objects()
        assert [one.der for one in card.certificates()] == [
            objects[2].der,
            objects[0].der,
            objects[1].der,
            objects[3].der,
        ]
        assert card.has_key(KeyUse.SIGNATURE)
        assert card.has_key(KeyUse.ENCRYPTION)
        assert card.pin_status().tries_left is None
        with pytest.raises(ObjectMissingError):
            card.certificate(3)
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, b"")


def test_signing_and_decrypting_follow_one_login() -> None:
    with running(softhsm.MODULE) as module, visiting(module) as card:
        card.verify(Pin(softhsm.PIN))
        # It is checked with the certificate before it is given out.
        assert len(sign_document(card, DOCUMENT, Hash.SHA_256)) == 256
        assert decrypt(card, encrypt(card.certificate(2).der, b"secret")) == b"secret"
        with pytest.raises(CipherInvalidError):
            decrypt(card, bytes(255) + b"\x01")


def test_the_next_visit_has_to_log_in_again() -> None:
    with running(softhsm.MODULE) as module:
        with visiting(module) as card:
            card.verify(Pin(softhsm.PIN))
        with visiting(module) as card, pytest.raises(StatusError):
            sign_document(card, DOCUMENT, Hash.SHA_256)


def test_each_verification_is_one_login_and_each_visit_ends_logged_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.COUNTS_LOGINS, softhsm.MODULE, monkeypatch)
    with running(path) as module:
        with visiting(module) as card, pytest.raises(PinWrongError):
            card.verify(Pin("999999"))
        assert c_modules.noted(tmp_path / "c") == ["C_Login"]
        with visiting(module) as card:
            card.verify(Pin(softhsm.PIN))
            sign_document(card, DOCUMENT, Hash.SHA_256)
            sign_document(card, DOCUMENT, Hash.SHA_256)
        assert c_modules.noted(tmp_path / "c")[1:] == ["C_Login", "C_Logout"]


def test_a_key_that_wants_the_pin_each_time_gets_it_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = softhsm.make_token(tmp_path / "each", softhsm.personnel_objects(each_time=True))
    monkeypatch.setenv("SOFTHSM2_CONF", str(made))
    path = c_modules.build(tmp_path / "c", c_modules.COUNTS_LOGINS, softhsm.MODULE, monkeypatch)
    with running(path) as module, visiting(module) as card:
        card.verify(Pin(softhsm.PIN))
        sign_document(card, DOCUMENT, Hash.SHA_256)
        assert decrypt(card, encrypt(card.certificate(2).der, b"secret")) == b"secret"
    assert c_modules.noted(tmp_path / "c") == ["C_Login", "C_Login context", "C_Logout"]


def test_a_pin_of_a_length_that_the_token_does_not_take_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.COUNTS_LOGINS, softhsm.MODULE, monkeypatch)
    with running(path) as module, visiting(module) as card:
        for call in (
            lambda: card.verify(Pin("123")),
            lambda: card.change_pin(Pin(softhsm.PIN), Pin("1")),
            lambda: card.unblock_pin(Pin(softhsm.PUK), Pin("1")),
        ):
            with pytest.raises(PinLengthError):
                call()
    assert c_modules.noted(tmp_path / "c") == []


def test_the_pin_is_changed_and_set_anew_with_the_puk() -> None:
    with running(softhsm.MODULE) as module:
        with visiting(module) as card, pytest.raises(PinWrongError):
            card.change_pin(Pin("999999"), Pin("654321"))
        with visiting(module) as card:
            card.change_pin(Pin(softhsm.PIN), Pin("654321"))
        with visiting(module) as card:
            card.verify(Pin("654321"))
        with visiting(module) as card, pytest.raises(PukWrongError):
            card.unblock_pin(Pin("99999999"), Pin("111111"))
        with visiting(module) as card:
            card.unblock_pin(Pin(softhsm.PUK), Pin("111111"))
        with visiting(module) as card:
            card.verify(Pin("111111"))


def test_c_sign_is_never_asked_for_the_length_which_hicos_answers_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.AS_HICOS, softhsm.MODULE, monkeypatch)
    with running(path) as module, visiting(module) as card:
        card.verify(Pin(softhsm.PIN))
        sign_document(card, DOCUMENT, Hash.SHA_256)
        assert decrypt(card, encrypt(card.certificate(2).der, b"secret")) == b"secret"
    assert c_modules.noted(tmp_path / "c") == []


@pytest.mark.parametrize(
    ("flags", "tries"),
    [("10000", None), ("20000", 1), ("30000", 1), ("40000", 0), ("70000", 0), ("100000", None)],
    ids=["count low", "final try", "low and final", "locked", "all three", "officer's"],
)
def test_the_flags_of_the_token_are_the_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, tries: int | None
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.AS_TOLD, softhsm.MODULE, monkeypatch)
    monkeypatch.setenv("TEST_MODULE_FLAGS", flags)
    with running(path) as module, visiting(module) as card:
        status = card.pin_status()
        assert (status.tries_left, status.min_length, status.max_length) == (tries, 4, 255)
        assert card.puk_status().tries_left is None


def test_a_module_that_does_not_know_the_lengths_of_pins_takes_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.AS_TOLD, softhsm.MODULE, monkeypatch)
    monkeypatch.setenv("TEST_MODULE_LENGTHS", "unknown")
    with running(path) as module, visiting(module) as card:
        status = card.pin_status()
        assert (status.min_length, status.max_length) == (1, 255)
        card.verify(Pin(softhsm.PIN))


@pytest.mark.parametrize(
    ("refusal", "flags", "expected", "tries"),
    [
        ("A0", "10000", PinWrongError, None),
        ("A0", "20000", PinWrongError, 1),
        ("A0", "40000", PinLockedError, 0),
        ("A4", "40000", PinLockedError, 0),
        ("A2", "0", PinLengthError, None),
        ("50", "0", PinCancelledError, None),
        ("E0", "0", CardRemovedError, None),
        ("32", "0", CardRemovedError, None),
        ("54", "0", UnsupportedError, None),
        ("5", "0", ModuleError, None),
        ("80000001", "0", ModuleError, None),
    ],
)
def test_what_the_module_says_to_a_login_is_told_in_this_programs_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: str,
    flags: str,
    expected: type[Exception],
    tries: int | None,
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.AS_TOLD, softhsm.MODULE, monkeypatch)
    monkeypatch.setenv("TEST_MODULE_LOGIN", refusal)
    monkeypatch.setenv("TEST_MODULE_FLAGS", flags)
    with running(path) as module, visiting(module) as card:
        with pytest.raises(expected) as caught:
            card.verify(Pin(softhsm.PIN))
        assert getattr(caught.value, "tries_left", None) == tries
    assert c_modules.noted(tmp_path / "c") == ["C_Login with a PIN"]


def test_a_token_with_a_keypad_takes_its_pin_there_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.AS_TOLD, softhsm.MODULE, monkeypatch)
    monkeypatch.setenv("TEST_MODULE_FLAGS", "100")
    with running(path) as module:
        with visiting(module) as card:
            assert card.takes_keypad()
            for call in (
                lambda: card.verify(Pin(softhsm.PIN)),
                lambda: card.change_pin(Pin(softhsm.PIN), Pin("654321")),
                lambda: card.unblock_pin(Pin(softhsm.PUK), Pin("654321")),
                card.puk_status,
            ):
                with pytest.raises(UnsupportedError):
                    call()
            assert c_modules.noted(tmp_path / "c") == []
            card.verify_on_keypad(ModuleKeypad())
            sign_document(card, DOCUMENT, Hash.SHA_256)
        with visiting(module) as card:
            card.change_pin_on_keypad(ModuleKeypad())
    assert c_modules.noted(tmp_path / "c") == ["C_Login on the keypad", "C_SetPIN on the keypad"]


def test_a_token_without_a_keypad_is_not_asked_to_use_one() -> None:
    with running(softhsm.MODULE) as module, visiting(module) as card:
        assert not card.takes_keypad()
        for call in (card.verify_on_keypad, card.change_pin_on_keypad):
            with pytest.raises(UnsupportedError):
                call(ModuleKeypad())


def test_a_certificate_without_its_key_is_told_after_the_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, encryption, *_ = softhsm.personnel_objects()
    # The key of one certificate under the identifier of the other: its modulus tells.
    wrong = softhsm.Object(signature.id, signature.der, encryption.pkcs8)
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.make_token(tmp_path / "wrong", [wrong])))
    with running(softhsm.MODULE) as module, visiting(module) as card:
        card.verify(Pin(softhsm.PIN))
        with pytest.raises(ObjectMissingError):
            sign_document(card, DOCUMENT, Hash.SHA_256)


def test_a_slot_that_is_gone_has_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from hca_card.pkcs11.session import TokenSession

    with running(softhsm.MODULE) as module:
        slots(module)
        with pytest.raises(NoCardError), TokenSession(module, 999, module.generation):
            pass


def test_nothing_of_a_token_is_seen_while_it_is_not_initialised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty" / "tokens").mkdir(parents=True)
    conf = tmp_path / "empty" / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'empty' / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    with running(softhsm.MODULE) as module:
        assert slots(module) == ()


def test_a_refusal_that_only_the_maker_knows_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c_modules.build(tmp_path / "c", c_modules.STALE_AFTER_LOGIN, softhsm.MODULE, monkeypatch)
    monkeypatch.setenv("TEST_MODULE_OPEN", "80000001")
    with running(path) as module:
        with visiting(module) as card:
            card.verify(Pin(softhsm.PIN))
        with pytest.raises(ModuleError) as caught, visiting(module):
            pass
    assert caught.value.code == 0x80000001
