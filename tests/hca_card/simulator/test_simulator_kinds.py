"""Each kind of card answers as its name promises."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card.simulator import KINDS, create
from tests.support.cards import play, say, simulated

SELECT_HCA = "00 A4 04 00 0A F0 48 43 41 41 47 45 4E 54 01 00"
VERIFY = "00 20 00 01 06 31 32 33 34 35 36"
HCA_ATR = "3B F9 18 00 00 81 31 FE 45 50 56 5F 4A 32 44 30 38 31 B6"


def read(kind: str, sfi: int) -> bytes:
    card = simulated(kind)
    say(card, SELECT_HCA)
    response = say(card, f"00 B0 {0x80 | sfi:02X} 00 00 00 00")
    assert response[-2:] == b"\x90\x00"
    return response[:-2]


def test_the_kinds_are_those_that_simulate_takes() -> None:
    assert set(KINDS) == {
        "hpc", "hop", "hop-secondary", "nhi", "nhi-new", "citizen", "hpc-locked", "hpc-last-try",
        "hpc-expired", "hpc-revoked", "hpc-v1", "hpc-not-activated", "hpc-terminated", "hpc-slow",
        "hpc-mute", "hpc-torn", "hpc-foreign", "hpc-hostile", "hpc-ends-soon", "hop-v1", "hicos", "hicos-2",
        "pkcs15-rsa3072", "pkcs15-rsa4096", "pkcs15-pss", "pkcs15-ecdh", "pkcs15-p256",
        "pkcs15-p384", "pkcs15-p521",
    }  # fmt: skip
    assert all(KINDS.values())


def test_a_kind_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="hop-secondary"):
        create("hcp")


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="delay"):
        create("nhi", delay_ms=-1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hpc-mute"])
def test_the_atr_is_well_formed(kind: str) -> None:
    atr = simulated(kind).power_on()
    check = 0
    for octet in atr[1:]:
        check ^= octet
    assert atr[0] == 0x3B
    assert check == 0


@pytest.mark.parametrize("kind", ["hpc", "hop", "hop-secondary", "hpc-v1", "hpc-terminated"])
def test_hca_cards_have_the_one_atr_that_is_known(kind: str) -> None:
    assert simulated(kind).power_on() == bytes.fromhex(HCA_ATR)


@pytest.mark.parametrize(
    ("kind", "identity"),
    [
        ("hpc", "211000000335361"),
        ("hop", "201000000335401"),
        ("hop-secondary", "202000000335402"),
        ("hpc-v1", "111000000335365"),
    ],
)
def test_the_application_names_version_type_rank_and_number(kind: str, identity: str) -> None:
    assert say(simulated(kind), SELECT_HCA) == bytes.fromhex(
        "6F27840AF04843414147454E54015008" + b"HCA card".hex() + "530F"
    ) + identity.encode() + bytes.fromhex("9000")


def test_a_personnel_card_shows_the_test_person() -> None:
    record = read("hpc", 3)
    assert len(record) == 159
    assert record[:40] == "測試人員卡".encode("big5").ljust(40)
    assert record[40:140] == b"TEST CARD".ljust(100)
    assert record[140:159] == b"M0650101BA00312361A"


def test_a_version_1_card_has_the_short_record() -> None:
    record = read("hpc-v1", 3)
    assert len(record) == 62
    assert record[:12] == "測試人員卡".encode("big5").ljust(12)
    assert record[12:62] == b"TEST CARD".ljust(30) + b"M0650101BA00312361 A"


def test_an_institution_card_shows_eight_fields() -> None:
    record = read("hop", 3)
    assert len(record) == 292
    assert record[:10] == b"9900000001"
    assert record[10:70] == "測試機構".encode("big5").ljust(60)
    assert record[70:72] == b"01"
    assert record[72:92] == "診所".encode("big5").ljust(20)
    assert record[232:252] == b"02-00000000".ljust(20)
    assert read("hop-secondary", 3)[70:72] == b"02"


@pytest.mark.parametrize(
    ("kind", "flags"), [("hpc", b"10"), ("hpc-not-activated", b"00"), ("hpc-terminated", b"11")]
)
def test_card_information_has_dates_and_flags(kind: str, flags: bytes) -> None:
    record = read(kind, 4)
    assert len(record) == 24
    assert record[:1] == b"1"
    assert record[1:8] == record[8:15]
    assert int(record[15:22]) > int(record[8:15])
    assert record[22:] == flags


def test_a_card_that_is_not_activated_answers_neither_pin_nor_key_commands() -> None:
    card = simulated("hpc-not-activated")
    play(
        card,
        f"""
        > {SELECT_HCA}
        < 6F ... 90 00
        > 00 20 00 01
        < 69 85
        > {VERIFY}
        < 69 85
        > 00 22 41 B6 06 80 01 11 84 01 01
        < 69 85
        > 00 2A 9E 9A 01 00 00
        < 69 85
        """,
    )
    assert card.pin_tries == 3


def test_a_terminated_card_says_so_when_it_is_selected() -> None:
    card = simulated("hpc-terminated")
    play(card, f"> {SELECT_HCA}\n< 6F 27 ... 62 85\n> {VERIFY}\n< 69 85")
    assert card.pin_tries == 3


def test_locked_and_last_try_start_with_that_many_tries() -> None:
    locked, last = simulated("hpc-locked"), simulated("hpc-last-try")
    assert (locked.pin_tries, last.pin_tries) == (0, 1)
    play(locked, "> 00 20 00 01\n< 69 83")
    play(last, "> 00 20 00 01\n< 63 C1")


def test_an_nhi_card_wants_its_applet_selected_and_answers_get_data() -> None:
    play(
        simulated("nhi"),
        """
        > 00 CA 11 00 02 00 00
        < 6D 00
        > 00 A4 04 00 10 D1 58 00 00 01 00 00 00 00 00 00 00 00 00 11 00      no Le, no data
        < 90 00
        > 00 CA 11 00 02 00 00
        < 30 30 30 30 30 30 30 30 30 30 30 31 B4 FA B8 D5 A5 C1 B2 B3 ... 41 31 30 30 30 30 30 30 30 31 30 38 30 30 32 32 39 46 31 31 30 30 31 30 31 90 00
        > 00 CA 00 00 02 00 00 00
        < 30 30 30 30 30 30 30 30 30 30 30 31 90 00
        > 00 CA 24 00 02 00 00 00
        < 31 90 00
        > 00 CA 12 00 02 00 00
        < 6A 86
        > 00 B0 00 00 00
        < 6D 00
        reset
        > 00 CA 11 00 02 00 00
        < 6D 00
        """,  # noqa: E501 - one APDU, one line
    )


def test_nhi_basic_data_has_57_bytes() -> None:
    assert len(say(simulated("nhi-new"), "00 CA 11 00 02 00 00")) == 59


def test_a_new_nhi_card_refuses_every_select_and_answers_all_the_same() -> None:
    play(
        simulated("nhi-new"),
        """
        > 00 A4 04 00 10 D1 58 00 00 01 00 00 00 00 00 00 00 00 00 11 00
        < 6D 00
        > 00 CA 11 00 02 00 00
        < 30 30 30 30 30 30 30 30 30 30 30 32 ... 90 00
        """,
    )


@pytest.mark.parametrize("kind", ["hpc", "citizen"])
def test_other_cards_refuse_the_nhi_read(kind: str) -> None:
    play(simulated(kind), "> 00 CA 11 00 02 00 00\n< 6A 86")


def test_a_citizen_card_has_no_hca_application() -> None:
    card = simulated("citizen")
    assert b"HCASIMCTZN" in card.power_on()
    play(
        card,
        f"""
        > {SELECT_HCA}
        < 6A 82
        > 00 A4 04 00 0C A0 00 00 00 63 50 4B 43 53 2D 31 35 00
        < 6F ... 90 00
        """,
    )


def test_a_slow_card_takes_150_milliseconds_for_each_command() -> None:
    card = simulated("hpc-slow")
    began = time.perf_counter()
    assert say(card, "00 A4 00 0C 02 3F 00") == b"\x90\x00"
    assert time.perf_counter() - began >= 0.150


def test_any_card_can_be_slowed_down() -> None:
    card = simulated("nhi", delay_ms=40)
    began = time.perf_counter()
    say(card, "00 CA 11 00 02 00 00")
    assert time.perf_counter() - began >= 0.040


def test_a_mute_card_gives_no_atr_and_no_answer() -> None:
    card = simulated("hpc-mute")
    assert card.power_on() == b""
    play(card, f"> {SELECT_HCA}\n< nothing")


def test_a_torn_card_is_recognised_and_cuts_what_is_long() -> None:
    card = simulated("hpc-torn")
    play(card, f"> {SELECT_HCA}\n< 6F 27 ... 90 00\n> {VERIFY}\n< 90 00")
    whole = read("hpc", 3) + b"\x90\x00"
    lengths = [len(say(card, "00 B0 83 00 00")) for _ in range(4)]
    assert lengths == [len(whole) // 2, 1, len(whole) - 1, len(whole) // 2]


def test_a_hostile_card_is_recognised_and_lies_from_then_on() -> None:
    card = simulated("hpc-hostile")
    play(card, f"> {SELECT_HCA}\n< 6F 27 ... 90 00\n> 00 B0 8B 00 02\n< 30 82 90 00")
    with pytest.raises(UnicodeDecodeError):
        read("hpc-hostile", 3).decode("cp950")
    claimed = read("hpc-hostile", 0x0A)
    assert int.from_bytes(claimed[2:6], "big") > len(claimed)


def test_a_hostile_card_always_has_more_to_come_until_another_command() -> None:
    card = simulated("hpc-hostile")
    say(card, SELECT_HCA)
    assert say(card, "00 B0 84 00 00") == b"\x00\x61\xff"
    for _ in range(1000):
        assert say(card, "00 C0 00 00 FF") == b"\x00\x61\xff"
    play(card, "> 00 A4 00 0C 02 3F 00\n< 90 00\n> 00 C0 00 00 00\n< 69 85")


def test_a_card_without_power_says_nothing() -> None:
    card = simulated("hpc")
    card.power_off()
    play(card, f"> {SELECT_HCA}\n< nothing\nreset\n> {SELECT_HCA}\n< 6F ... 90 00")


def test_two_cards_of_a_kind_do_not_share_their_counters() -> None:
    one, other = simulated("hpc"), simulated("hpc")
    play(one, "> 00 20 00 01 06 39 39 39 39 39 39\n< 63 C2")
    assert (one.pin_tries, other.pin_tries) == (2, 3)


@pytest.mark.parametrize("kind", ["hpc", "nhi", "hpc-torn", "hpc-hostile"])
@given(
    commands=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                lambda cla, ins, rest: bytes((cla, ins)) + rest,
                st.sampled_from([0x00, 0x10]),
                st.sampled_from([0x22, 0x2A, 0xA4, 0xB0, 0xC0, 0xCA]),
                st.binary(min_size=2, max_size=40),
            ),
        ),
        max_size=8,
    )
)
@settings(max_examples=60)
def test_whatever_is_sent_is_answered_and_spends_no_try(kind: str, commands: list[bytes]) -> None:
    card = simulated(kind)
    for command in commands:
        if command[1:2] not in (b"\x20", b"\x24", b"\x2c"):
            assert card.transmit(command)
    assert card.pin_tries in (3, None)


def test_threads_may_share_a_card() -> None:
    card, ready = simulated("hpc"), threading.Barrier(4)
    wrong, changed = (
        "00 20 00 01 06 39 39 39 39 39 39",
        "00 2C 00 01 0E 31 32 33 34 35 36 37 38 31 32 33 34 35 36",
    )

    def use(_: int) -> set[bytes]:
        ready.wait()
        return {say(card, command) for _ in range(200) for command in (wrong, changed)}

    with ThreadPoolExecutor(4) as pool:
        answers = set().union(*pool.map(use, range(4)))
    assert answers <= {bytes.fromhex(status) for status in ("9000", "63C2", "63C1", "63C0", "6983")}
    assert card.puk_tries == 10


def test_a_pin_command_costs_a_hicos_card_a_try_whatever_it_answers() -> None:
    card = simulated("hicos")
    before = card.pin_tries
    play(card, "> 80 20 00 81\n< 69 82")
    assert before is not None and card.pin_tries == before - 1
    assert repr(card) == "SimulatedCard(hicos)"
