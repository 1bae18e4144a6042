"""Which card it is, with how many commands."""

from __future__ import annotations

import pytest

from hca_card.errors import HicosModuleError, UnknownCardError
from hca_card.hca import HcaCard
from hca_card.nhi import NhiCard
from hca_card.pkcs15 import Pkcs15Card
from hca_card.recognise import NHI_ATRS, recognise
from pcsc.apdu import Command, Response
from pcsc.errors import CardRemovedError
from tests.support.script import AnsweringChannel, ScriptedChannel

HCA_ATR = bytes.fromhex("3B F9 18 00 00 81 31 FE 45 50 56 5F 4A 32 44 30 38 31 B6")
NHI_ATR = bytes.fromhex("3B FF 18 00 FF 81 31 FE 45 54 48 43 43 31 30 54 45 43 4F 47 44 49 4E 31 26")
CITIZEN_ATR = bytes.fromhex("3B FA 18 00 00 81 31 FE 45") + b"HCASIMCTZN" + b"\x00"
HICOS_ATR = bytes.fromhex("3B B8 13 00 81 31 FA 52 43 48 54 4D 4F 49 43 41 A5")
OTHER_ATR = bytes.fromhex("3B 00")

HCA = "00 A4 04 00 0A F0 48 43 41 41 47 45 4E 54 01 00"
NHI = "00 A4 04 00 10 D1580000010000000000000000001100"
NHI_DATA = "00 CA 11 00 02 0000 00"
HICOS_2 = "00 A4 04 0C 10 A0000002830000062201696400010101 00"
HICOS_1 = "80 A4 00 00 02 3F00"
PKCS15 = "00 A4 04 00 0C A000000063504B43532D3135 00"
TOKEN_INFO = [
    ("00 A4 00 00 02 5032 00", "9000"),
    # version 0, serial number 0001, no flags
    ("00 B0 00 00 00 00 00", "30 0A 02 01 00 04 02 00 01 03 01 00 9000"),
]
EF_DIR = "00 A4 08 00 02 2F00 00"
HCA_FCI = "6F 11 53 0F" + b"211000000335361".hex() + "9000"
NHI_RECORD = (b"000000000001" + b" " * 45).hex() + "9000"


@pytest.mark.parametrize(
    ("why", "atr", "script", "kind"),
    [
        ("an HCA card is one SELECT", HCA_ATR, [(HCA, HCA_FCI)], HcaCard),
        ("an NHI card is SELECT and GET DATA", NHI_ATR, [(NHI, "9000"), (NHI_DATA, NHI_RECORD)], NhiCard),
        ("a new NHI card refuses SELECT", NHI_ATR, [(NHI, "6D00"), (NHI_DATA, NHI_RECORD)], NhiCard),
        ("a citizen card is its directory", CITIZEN_ATR, [(PKCS15, "9000"), *TOKEN_INFO], Pkcs15Card),
        (
            "the ATR only suggests",
            NHI_ATR,
            [(NHI, "6A82"), (NHI_DATA, "6A86"), (NHI_DATA, "6A86"), (HCA, HCA_FCI)],
            HcaCard,
        ),
        (
            "a card with a directory and an ATR of nobody's",
            OTHER_ATR,
            [
                (HCA, "6A82"),
                (NHI, "6A82"),
                (NHI_DATA, "6A86"),
                (HICOS_2, "6A82"),
                (PKCS15, "9000"),
                *TOKEN_INFO,
            ],
            Pkcs15Card,
        ),
        (
            "a directory that EF.DIR leads to",
            CITIZEN_ATR,
            [
                (PKCS15, "6A82"),
                (EF_DIR, "9000"),
                # application template: AID of PKCS#15, path 3F00 5015
                ("00 B0 00 00 00 00 00", "61 14 4F 0C A000000063504B43532D3135 51 04 3F005015 9000"),
                ("00 A4 08 00 02 5015 00", "9000"),
                ("00 A4 08 00 04 5015 5032 00", "9000"),
                TOKEN_INFO[1],
            ],
            Pkcs15Card,
        ),
    ],
)
def test_a_card_is_recognised(why: str, atr: bytes, script: list[tuple[str, str]], kind: type):
    with ScriptedChannel(script) as channel:
        assert type(recognise(channel, atr)) is kind


def test_a_card_of_nobody_is_unknown():
    script = [
        (HCA, "6A82"),
        (NHI, "6A82"),
        (NHI_DATA, "6D00"),
        (HICOS_2, "6A82"),
        (PKCS15, "6A82"),
        (EF_DIR, "6A82"),
    ]
    with ScriptedChannel(script) as channel, pytest.raises(UnknownCardError):
        recognise(channel, OTHER_ATR)


def test_a_real_hca_card_without_a_profile_is_told_what_helps():
    channel = AnsweringChannel([Response(b"", 0x6A82)])
    with pytest.raises(UnknownCardError, match="PKCS#11 module or a profile"):
        recognise(channel, HCA_ATR)


def test_a_hicos_card_known_by_its_atr_is_asked_nothing_but_its_generation():
    script = [(HICOS_2, "6E00"), (HICOS_1, "6A82")]
    with ScriptedChannel(script) as channel, pytest.raises(HicosModuleError, match="HiCOSPKCS11"):
        recognise(channel, HICOS_ATR)


@pytest.mark.parametrize(
    ("why", "script"),
    [
        ("generation 2", [(HCA, "6A82"), (NHI, "6A82"), (NHI_DATA, "6A86"), (HICOS_2, "9000")]),
        (
            "generation 1 refuses CLA 00",
            [(HCA, "6E00"), (NHI, "6E00"), (NHI_DATA, "6E00"), (HICOS_2, "6E00"), (HICOS_1, "9000")],
        ),
    ],
)
def test_a_hicos_card_with_another_atr_is_told_by_its_select(why: str, script: list[tuple[str, str]]):
    class Silent(ScriptedChannel):
        def send(self, command: Command) -> Response:
            return super().send(command) if self._left else Response(b"", 0x6982)

    # It keeps even its number to itself, and is never taken for a PKCS#15 card.
    with Silent(script) as channel, pytest.raises(HicosModuleError):
        recognise(channel, OTHER_ATR)


def test_a_pulled_card_is_no_unknown_card():
    class Pulled(AnsweringChannel):
        def send(self, command):  # type: ignore[no-untyped-def]
            raise CardRemovedError

    with pytest.raises(CardRemovedError):
        recognise(Pulled([]), HCA_ATR)


@pytest.mark.parametrize("atr", sorted(NHI_ATRS), ids=lambda atr: atr.hex())
def test_the_atrs_of_nhi_cards_have_a_right_check_byte(atr: bytes):
    # ISO/IEC 7816-3 §8.2.5: TCK makes the exclusive or of T0 to TCK zero.
    check = 0
    for octet in atr[1:]:
        check ^= octet
    assert check == 0
