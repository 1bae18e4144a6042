"""The HCA driver with the reference profile, exchange by exchange."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hca_card import hca, profile
from hca_card.big5 import encode
from hca_card.errors import (
    CardDataError,
    NotActivatedError,
    ObjectMissingError,
    PinLengthError,
    PinLockedError,
    PinWrongError,
    PukLockedError,
    PukWrongError,
    TerminatedError,
    UnsupportedError,
)
from hca_card.hca import HcaCard
from hca_card.model import (
    CardInfo,
    CardKind,
    CertificateUse,
    Citizen,
    Institution,
    KeyUse,
    Personnel,
    PinStatus,
)
from hca_card.pin import Pin
from hca_card.profile_format import Commands, DropBy, FilePlace, Profile, StatusBy, Text
from pcsc.errors import CardRemovedError
from pcsc.status import StatusError
from tests.support.cards import simulated
from tests.support.script import CardChannel, Exchange, ScriptedChannel

REFERENCE = profile.reference()
AID = "F0 48 43 41 41 47 45 4E 54 01"


def fci(identity: str = "211000000335361") -> str:
    """FCI: template 6F with the AID and the discretionary data that says what the card is."""
    return f"6F 1D 84 0A {AID} 53 0F {identity.encode().hex()}"


SELECT: Exchange = (f"00 A4 04 00 0A {AID} 00", fci() + "9000")
TRIES: Exchange = ("00 20 00 01", "63C3")  # VERIFY without data: three tries left
VERIFY: Exchange = ("00 20 00 01 06 313233343536", "9000")
WRONG: Exchange = ("00 20 00 01 06 393939393939", "63C2")
DROP: Exchange = ("00 20 FF 01", "9000")  # VERIFY with P1 = FF: not verified any more
MSE_SIGN: Exchange = ("00 22 41 B6 06 80 01 11 84 01 01", "9000")
INFO = "1 1120628 1120628 1220628".replace(" ", "")


def info(flags: str, status: str = "9000") -> Exchange:
    return ("00 B0 84 00 18", (INFO + flags).encode().hex() + status)


def opened(channel: ScriptedChannel, using: Profile = REFERENCE) -> HcaCard:
    card = HcaCard.open(channel, using)
    assert card is not None
    return card


@pytest.mark.parametrize(
    ("identity", "kind", "version"),
    [
        ("211000000335361", CardKind.PERSONNEL, "2"),
        ("111000000335361", CardKind.PERSONNEL, "1"),
        ("201000000335361", CardKind.INSTITUTION, "2"),
        ("202000000335361", CardKind.INSTITUTION_SECONDARY, "2"),
    ],
)
def test_select_alone_says_which_card_it_is(identity: str, kind: CardKind, version: str):
    with ScriptedChannel([(SELECT[0], fci(identity) + "9000")]) as channel:
        card = opened(channel)
    assert (card.kind, card.version, card.serial) == (kind, version, "000000335361")


@pytest.mark.parametrize(
    ("why", "identity"),
    [
        ("a version nobody knows", "311000000335361"),
        ("a type nobody knows", "2X1000000335361"),
        ("no card number", "211            "),
        ("too short", "211"),
    ],
)
def test_a_card_that_says_nonsense_of_itself_is_refused(why: str, identity: str):
    answer = f"6F 13 53 {len(identity):02X} {identity.encode().hex()}"
    answer = answer.replace("6F 13", f"6F {len(identity) + 2:02X}")
    with ScriptedChannel([(SELECT[0], answer + "9000")]) as channel, pytest.raises(CardDataError):
        HcaCard.open(channel, REFERENCE)


def test_another_card_is_none():
    with ScriptedChannel([(SELECT[0], "6A82")]) as channel:
        assert HcaCard.open(channel, REFERENCE) is None


def test_a_card_that_says_what_it_is_in_a_file_needs_one_command_more():
    using = replace(REFERENCE, identity=replace(REFERENCE.identity, fci_tag=0, sfi=9))
    script = [
        (SELECT[0], "9000"),
        ("00 B0 89 00 0F", b"211000000335361".hex() + "9000"),  # READ BINARY, SFI 9
    ]
    with ScriptedChannel(script) as channel:
        assert opened(channel, using).serial == "000000335361"


def test_personnel_version_2_is_read_with_its_card_information():
    basic = (
        encode("測試人員卡", 40) + encode("TEST CARD", 100) + b"M0650101" + encode("BA00312361", 10) + b"A"
    )
    script = [SELECT, ("00 B0 83 00 9F", basic.hex() + "9000"), info("10")]
    with ScriptedChannel(script) as channel:
        facts = opened(channel).metadata()
    assert facts.holder == Personnel("測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A", "西醫師")
    assert facts.info == CardInfo(True, "1120628", "1120628", "1220628", activated=True, terminated=False)


def test_personnel_version_1_has_shorter_fields_and_an_unknown_category_stays_raw():
    basic = (
        encode("測試人員卡", 12)
        + encode("TEST CARD", 30)
        + b"F"
        + b"0650101"
        + encode("A123456789", 11)
        + b"?"
    )
    script = [(SELECT[0], fci("111000000335361") + "9000"), ("00 B0 83 00 3E", basic.hex() + "9000")]
    with ScriptedChannel(script) as channel:
        holder = opened(channel).holder()
    assert holder == Personnel("測試人員卡", "TEST CARD", "F", "0650101", "A123456789", "?", "")


def test_an_institution_has_eight_fields():
    texts = ("9900000001", "測試機構", "01", "診所", "西醫診所", "臺北市模擬路１號", "02-00000000", "負責人")
    record = b"".join(
        encode(text, width) for text, width in zip(texts, (10, 60, 2, 20, 20, 120, 20, 40), strict=True)
    )
    script = [(SELECT[0], fci("201000000335361") + "9000"), ("00 B0 83 00 00 01 24", record.hex() + "9000")]
    with ScriptedChannel(script) as channel:
        assert opened(channel).holder() == Institution(*texts)


def test_a_flag_that_is_neither_0_nor_1_is_refused():
    with ScriptedChannel([SELECT, info("1X")]) as channel, pytest.raises(CardDataError):
        opened(channel).info()


def test_a_certificate_is_one_command():
    script = [SELECT, ("00 B0 8B 00 00 00 00", "30 03 02 01 01 9000")]  # SFI 0B, extended Le
    with ScriptedChannel(script) as channel:
        certificate = opened(channel).certificate(1)
    assert (certificate.use, certificate.der) == (CertificateUse.SIGNATURE, bytes.fromhex("3003020101"))


@pytest.mark.parametrize(("why", "answer"), [("no file", "6A82"), ("an empty one", "0000 9000")])
def test_a_certificate_that_is_not_there_is_named_so(why: str, answer: str):
    script = [SELECT, ("00 B0 8C 00 00 00 00", answer)]
    with ScriptedChannel(script) as channel, pytest.raises(ObjectMissingError):
        opened(channel).certificate(2)


def test_a_file_that_holds_something_else_is_no_certificate():
    with ScriptedChannel([SELECT, ("00 B0 8B 00 00 00 00", "04 01 AA 9000")]) as channel:
        card = opened(channel)
        with pytest.raises(CardDataError):
            card.certificate(1)


def test_version_1_has_neither_encryption_nor_government_certificates():
    with ScriptedChannel([(SELECT[0], fci("111000000335361") + "9000")]) as channel:
        card = opened(channel)
        assert card.certificate_indexes() == (0, 1)
        assert not card.has_key(KeyUse.ENCRYPTION)
        for index in (2, 5, -1):
            with pytest.raises(ObjectMissingError):
                card.certificate(index)


def test_all_certificates_leaves_out_an_empty_place():
    script = [
        SELECT,
        ("00 B0 8A 00 00 00 00", "30 00 9000"),
        ("00 B0 8B 00 00 00 00", "30 00 9000"),
        ("00 B0 8C 00 00 00 00", "6A82"),
        ("00 B0 8D 00 00 00 00", "6A82"),
        ("00 B0 8E 00 00 00 00", "30 00 9000"),
    ]
    with ScriptedChannel(script) as channel:
        assert [certificate.index for certificate in opened(channel).certificates()] == [0, 1, 4]


@pytest.mark.parametrize(
    ("status", "left"),
    [("63C3", 3), ("63C1", 1), ("63C0", 0), ("6983", 0), ("6300", None), ("6A86", None), ("6D00", None)],
)
def test_the_tries_left_are_read_without_spending_one(status: str, left: int | None):
    with ScriptedChannel([SELECT, ("00 20 00 01", status)]) as channel:
        assert opened(channel).pin_status() == PinStatus(left, 6, 8)


def test_a_pin_that_another_program_left_verified_has_all_its_tries():
    with ScriptedChannel([SELECT, ("00 20 00 01", "9000")]) as channel:
        assert opened(channel).pin_status().tries_left == 3
    unknown = replace(REFERENCE, pin=replace(REFERENCE.pin, tries=0))
    with ScriptedChannel([SELECT, ("00 20 00 01", "9000")]) as channel:
        status = opened(channel, unknown).pin_status()
    assert status.tries_left is None and not status.last_try


def test_a_card_that_cannot_be_asked_is_not_asked():
    using = replace(REFERENCE, pin=replace(REFERENCE.pin, status=StatusBy.NEVER))
    with ScriptedChannel([SELECT]) as channel:
        assert opened(channel, using).pin_status().tries_left is None


def test_signing_verifies_once_and_drops_at_the_end():
    script = [
        SELECT,
        VERIFY,
        MSE_SIGN,
        ("00 2A 9E 9A 03 AABBCC 00", "77" * 256 + "9000"),  # PSO: COMPUTE DIGITAL SIGNATURE
        DROP,
    ]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        card.verify(Pin("123456"))
        assert card.sign(KeyUse.SIGNATURE, b"\xaa\xbb\xcc") == b"\x77" * 256
    assert not channel.was_reset


def test_deciphering_uses_the_encryption_key():
    script = [
        SELECT,
        VERIFY,
        ("00 22 41 B8 06 80 01 11 84 01 02", "9000"),  # MSE SET, confidentiality template, key 02
        ("00 2A 80 86 00 01 01 00" + "55" * 256 + "01 00", "AA BB 9000"),  # PSO: DECIPHER, extended
        DROP,
    ]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        card.verify(Pin("123456"))
        assert card.decipher(KeyUse.ENCRYPTION, b"\x55" * 256) == b"\xaa\xbb"


def test_signing_relies_on_no_pin_but_the_one_verified_here():
    with ScriptedChannel([SELECT]) as channel, pytest.raises(StatusError) as caught:
        opened(channel).sign(KeyUse.SIGNATURE, b"\xaa")
    assert caught.value.sw == 0x6982


def test_after_the_drop_nothing_is_signed():
    with ScriptedChannel([SELECT, VERIFY, DROP]) as channel:
        card = opened(channel)
        card.verify(Pin("123456"))
        channel.end()
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, b"\xaa")


@pytest.mark.parametrize(
    ("status", "error", "left"),
    [
        ("63C2", PinWrongError, 2),
        ("63C0", PinLockedError, 0),
        ("6300", PinWrongError, None),
        ("6983", PinLockedError, 0),
    ],
)
def test_a_wrong_pin_is_sent_once_and_says_what_is_left(
    status: str, error: type[PinWrongError] | type[PinLockedError], left: int | None
):
    with ScriptedChannel([SELECT, (WRONG[0], status), DROP]) as channel:
        card = opened(channel)
        with pytest.raises(error) as caught:
            card.verify(Pin("999999"))
        assert caught.value.tries_left == left
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, b"\xaa")
    assert "999999" not in f"{caught.value!r}{channel.commands!r}"


def test_a_second_pin_that_is_wrong_ends_what_the_first_allowed():
    with ScriptedChannel([SELECT, VERIFY, WRONG, DROP]) as channel:
        card = opened(channel)
        card.verify(Pin("123456"))
        with pytest.raises(PinWrongError):
            card.verify(Pin("999999"))
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, b"\xaa")


@pytest.mark.parametrize("pin", ["", "12345", "123456789"])
def test_a_pin_of_the_wrong_length_is_not_sent(pin: str):
    with ScriptedChannel([SELECT]) as channel, pytest.raises(PinLengthError):
        opened(channel).verify(Pin(pin))


def test_the_drop_is_promised_before_the_pin_leaves():
    class Pulled(ScriptedChannel):
        def send(self, command):  # type: ignore[no-untyped-def]
            if command.ins == 0x20 and command.data:
                assert self._actions, "VERIFY was sent before the drop was promised"
                raise CardRemovedError
            return super().send(command)

    with Pulled([SELECT, DROP]) as channel, pytest.raises(CardRemovedError):
        opened(channel).verify(Pin("123456"))


@pytest.mark.parametrize(
    ("flags", "error"), [("00", NotActivatedError), ("11", TerminatedError), ("10", StatusError)]
)
@pytest.mark.parametrize("what", ["status", "verify", "sign"])
def test_6985_is_worded_by_the_card_information_read_only_then(flags: str, error: type[Exception], what: str):
    script = {
        "status": [SELECT, ("00 20 00 01", "6985"), info(flags)],
        "verify": [SELECT, (VERIFY[0], "6985"), info(flags), DROP],
        "sign": [SELECT, VERIFY, (MSE_SIGN[0], "6985"), info(flags), DROP],
    }[what]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        with pytest.raises(error):
            if what == "status":
                card.pin_status()
            else:
                card.verify(Pin("123456"))
                card.sign(KeyUse.SIGNATURE, b"\xaa")


def test_6985_stays_itself_when_the_card_information_cannot_be_read():
    script = [SELECT, (VERIFY[0], "6985"), ("00 B0 84 00 18", "6982"), DROP]
    with ScriptedChannel(script) as channel, pytest.raises(StatusError) as caught:
        opened(channel).verify(Pin("123456"))
    assert caught.value.sw == 0x6985


def test_a_pin_that_the_card_cannot_use_is_locked():
    with ScriptedChannel([SELECT, (VERIFY[0], "6984"), info("10"), DROP]) as channel:
        card = opened(channel)
        with pytest.raises(PinLockedError):
            card.verify(Pin("123456"))
    with ScriptedChannel([SELECT, ("00 20 00 01", "6984"), info("10")]) as channel:
        assert opened(channel).pin_status().locked


def test_a_card_that_select_names_as_terminated_is_sent_no_pin():
    with ScriptedChannel([(SELECT[0], fci() + "6285")]) as channel:
        card = opened(channel)
        for attempt in (
            card.pin_status,
            lambda: card.verify(Pin("123456")),
            lambda: card.change_pin(Pin("123456"), Pin("654321")),
            lambda: card.unblock_pin(Pin("12345678"), Pin("654321")),
            lambda: card.sign(KeyUse.SIGNATURE, b"\xaa"),
        ):
            with pytest.raises(TerminatedError):
                attempt()


def test_changing_the_pin_sends_old_and_new_in_one_piece():
    script = [SELECT, ("00 24 00 01 0D 313233343536 36353433323130", "9000"), DROP]
    with ScriptedChannel(script) as channel:
        opened(channel).change_pin(Pin("123456"), Pin("6543210"))
    assert channel.commands[1].secret


def test_a_new_pin_of_the_wrong_length_costs_no_try():
    with ScriptedChannel([SELECT]) as channel, pytest.raises(PinLengthError):
        opened(channel).change_pin(Pin("123456"), Pin("1"))


def test_a_wrong_old_pin_costs_a_try():
    script = [SELECT, ("00 24 00 01 0C 393939393939 363534333231", "63C1"), DROP]
    with ScriptedChannel(script) as channel, pytest.raises(PinWrongError) as caught:
        opened(channel).change_pin(Pin("999999"), Pin("654321"))
    assert caught.value.tries_left == 1


@pytest.mark.parametrize(
    ("status", "error"), [("9000", None), ("63C9", PukWrongError), ("6983", PukLockedError)]
)
def test_the_puk_sets_a_new_pin(status: str, error: type[PukWrongError] | None):
    script = [SELECT, ("00 2C 00 01 0E 3132333435363738 363534333231", status), DROP]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        if error is None:
            card.unblock_pin(Pin("12345678"), Pin("654321"))
        else:
            with pytest.raises(error) as caught:
                card.unblock_pin(Pin("12345678"), Pin("654321"))
            assert caught.value.tries_left == (9 if status == "63C9" else 0)
    assert channel.commands[1].secret


def test_a_puk_of_the_wrong_length_and_a_card_without_one():
    with ScriptedChannel([SELECT]) as channel, pytest.raises(PinLengthError):
        opened(channel).unblock_pin(Pin("1234567"), Pin("654321"))
    with ScriptedChannel([SELECT]) as channel, pytest.raises(UnsupportedError):
        opened(channel, replace(REFERENCE, puk=None)).unblock_pin(Pin("12345678"), Pin("654321"))


@pytest.mark.parametrize(
    ("why", "drop_by", "script", "reset"),
    [
        ("P1 = FF works", DropBy.VERIFY_FF, [DROP], False),
        (
            "P1 = FF is not known, selecting again does it",
            DropBy.VERIFY_FF,
            [("00 20 FF 01", "6A86"), SELECT, TRIES],
            False,
        ),
        ("selecting again does it", DropBy.SELECT, [SELECT, TRIES], False),
        ("selecting again leaves it verified", DropBy.SELECT, [SELECT, ("00 20 00 01", "9000")], True),
        ("nobody can tell", DropBy.SELECT, [SELECT, ("00 20 00 01", "6D00")], True),
        ("selecting again fails", DropBy.SELECT, [(SELECT[0], "6A82")], True),
        ("the profile wants a reset", DropBy.RESET, [], True),
    ],
)
def test_a_verified_pin_is_dropped_or_the_card_is_reset(
    why: str, drop_by: DropBy, script: list[Exchange], reset: bool
):
    using = replace(REFERENCE, pin=replace(REFERENCE.pin, drop=drop_by))
    with ScriptedChannel([SELECT, VERIFY, *script]) as channel:
        opened(channel, using).verify(Pin("123456"))
    assert channel.was_reset is reset


def test_a_profile_may_name_files_by_path():
    place = FilePlace(path=bytes.fromhex("4504"))
    using = replace(REFERENCE, files=replace(REFERENCE.files, info=place))
    script = [
        SELECT,
        ("00 A4 00 00 02 4504 00", "9000"),
        ("00 B0 00 00 18", (INFO + "10").encode().hex() + "9000"),
    ]
    with ScriptedChannel(script) as channel:
        assert opened(channel, using).info().activated


def test_where_the_card_does_not_say_what_it_is_its_certificate_does():
    using = replace(REFERENCE, identity=None, files=None)
    with CardChannel(simulated("hop-secondary")) as channel:
        card = HcaCard.open(channel, using)
        assert card is not None
        assert (card.kind, card.version) == (CardKind.INSTITUTION_SECONDARY, "")
        assert card.serial.endswith("335402")
        assert card.metadata().holder == Citizen("測試機構")
        with pytest.raises(UnsupportedError, match="card information"):
            card.info()
        read = len(channel.trace)
        known = card.certificate(1)
        assert len(channel.trace) == read  # it was read to know the card
        assert card.still_has(1, known.der)
        assert card.still_has(2, card.certificate(2).der)
        assert not card.still_has(2, known.der)


def test_a_profile_without_any_certificate_of_the_holder_says_nothing_of_a_card():
    using = replace(REFERENCE, identity=None, certificates=REFERENCE.certificates[:1])
    with CardChannel(simulated("hpc")) as channel, pytest.raises(CardDataError, match="what card it is"):
        HcaCard.open(channel, using)


def test_commands_are_sent_in_the_way_of_the_profile_and_then_by_no_keypad():
    using = replace(REFERENCE, commands=Commands(select_p2=0x0C, chain=200))
    with CardChannel(simulated("hpc")) as channel:
        card = HcaCard.open(channel, replace(using, identity=None, files=None))
        assert card is not None and card.takes_keypad()
    assert channel.trace[0][0][:4] == bytes.fromhex("00A4040C")
    of_its_own = replace(REFERENCE, commands=Commands(pin_class=0x80))
    with ScriptedChannel([SELECT]) as channel:
        assert not opened(channel, of_its_own).takes_keypad()


def test_texts_may_be_in_another_code():
    assert hca._text("測試 ".encode("utf-16-be"), Text.UTF_16) == "測試"
    assert hca._text("測試  ".encode(), Text.UTF_8) == "測試"
    assert hca._text("測試\0\0".encode(), Text.UTF_8) == "測試"
    assert hca._text("測試\0".encode("utf-16-be"), Text.UTF_16) == "測試"
