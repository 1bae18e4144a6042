"""HiCOS cards: what can be read without a PIN is read, and no PIN command ever leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hca_card import hicos_select
from hca_card.certificate import describe
from hca_card.errors import CardDataError, HicosModuleError, ObjectMissingError
from hca_card.hicos import HicosCard
from hca_card.hicos_select import Generation
from hca_card.model import Card, CardKind, Citizen, KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from hca_card.simulator.der import explicit, flags, integer, octets, sequence, tlv, utf8
from pcsc.apdu import Command, Response
from tests.support.cards import play, simulated
from tests.support.script import AnsweringChannel, CardChannel, TestChannel

BOTH = pytest.mark.parametrize(
    ("kind", "serial"), [("hicos", "0000000000000003"), ("hicos-2", "0000000000000004")]
)


@BOTH
def test_number_holder_and_certificates_are_read_without_a_pin(kind: str, serial: str):
    with CardChannel(simulated(kind)) as channel:
        card = recognise(channel, channel.atr)
        assert isinstance(card, HicosCard)
        assert (card.kind, card.serial) == (CardKind.CITIZEN, serial)
        assert card.metadata().holder == Citizen("測試國民")
        assert card.certificate_indexes() == (0, 1, 2)
        usages = [describe(one.der).key_usage or frozenset() for one in card.certificates()]
        assert "key_cert_sign" in usages[0]
        assert usages[1:] == [{"digital_signature"}, {"key_encipherment", "data_encipherment"}]
        assert "HiCOS" in card.version_text()
        with pytest.raises(ObjectMissingError):
            card.certificate(4)


@BOTH
def test_whatever_needs_a_pin_names_the_module_and_sends_nothing(kind: str, serial: str):
    simulated_card = simulated(kind)
    with CardChannel(simulated_card) as channel:
        card = recognise(channel, channel.atr)
        before = channel.count
        for attempt in (
            card.pin_status,
            card.puk_status,
            lambda: card.verify(Pin("123456")),
            lambda: card.change_pin(Pin("123456"), Pin("654321")),
            lambda: card.unblock_pin(Pin("12345678"), Pin("654321")),
            lambda: card.sign(KeyUse.SIGNATURE, b""),
            lambda: card.decipher(KeyUse.ENCRYPTION, b""),
        ):
            with pytest.raises(HicosModuleError, match=r"HiCOSPKCS11\.dll"):
                attempt()
        assert not card.takes_keypad()
        assert not any(card.has_key(use) for use in KeyUse)
        assert channel.count == before
    assert simulated_card.pin_tries == 3


def test_generation_one_is_read_with_class_80_in_pieces_of_c8():
    with CardChannel(simulated("hicos")) as channel:
        card = recognise(channel, channel.atr)
        card.certificates()
        sent = [command.hex() for command, _ in channel.trace]
    assert sent[:2] == ["00a4040c10a000000283000006220169640001010100", "80a40000023f00"]
    assert {command[:4] for command in sent[1:]} == {"80a4", "80b0"}
    assert {command[8:] for command in sent if command.startswith("80b0")} == {"c8"}


def test_the_simulated_cards_count_every_pin_command_as_a_mistake():
    for kind, answer in (("hicos", "6E 00"), ("hicos-2", "69 82")):
        card = simulated(kind)
        play(card, f"> 00 20 00 01\n< {answer}")
        assert card.pin_tries == 2


class Files(TestChannel):
    """A card of generation 1 with these files, by their identifiers."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = {bytes.fromhex(name): content for name, content in files.items()}
        self.selected: bytes | None = None

    def send(self, command: Command) -> Response:
        if command.cla != 0x80:
            return Response(b"", 0x6E00)
        if command.ins == 0xA4:
            if command.data in (b"\x3f\x00", b"\x09\x00", b"\x50\x30"):
                return Response(b"", 0x9000)
            self.selected = self.files.get(command.data)
            return Response(b"", 0x6A82 if self.selected is None else 0x9000)
        assert command.ins == 0xB0 and self.selected is not None
        offset = command.p1 << 8 | command.p2
        part = self.selected[offset : offset + (command.le or 0)]
        return Response(part, 0x9000 if part else 0x6B00)


def listed(index: int, offset: int, length: int | None) -> bytes:
    size = b"" if length is None else tlv(0x80, length.to_bytes(2, "big"))
    place = sequence(octets(bytes.fromhex("3F00503008F2")), integer(offset), size)
    return sequence(
        sequence(utf8(""), flags()), sequence(octets(bytes((index,)))), explicit(1, sequence(place))
    )


def opened(files: dict[str, bytes]) -> Card:
    return recognise(Files(files), bytes.fromhex("3B B8 13 00 81 31 FA 52 43 48 54 4D 4F 49 43 41 A5"))


NUMBER = {"0903": b"ABC0123456789012"}


def certificates_of(kind: str) -> list[bytes]:
    with CardChannel(simulated(kind)) as channel:
        return [one.der for one in recognise(channel, channel.atr).certificates()]


def test_certificates_without_a_key_list_are_known_by_what_they_are_for():
    _, signature, encryption = certificates_of("hicos")
    both = encryption + signature
    directory = listed(7, 0, len(encryption)) + listed(8, len(encryption), len(signature))
    card = opened({**NUMBER, "4104": directory, "08F2": both})
    assert card.certificate(1).der == signature
    assert card.certificate(2).der == encryption


def test_a_card_that_is_no_persons_is_a_pkcs15_card():
    _, signature, *_ = certificates_of("hop")
    card = opened({**NUMBER, "4104": listed(1, 0, len(signature)), "08F2": signature})
    assert (card.kind, card.metadata().holder) == (CardKind.PKCS15, Citizen("測試機構"))


@pytest.mark.parametrize("directory", [b"", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 400, b"\x00" * 600])
def test_a_directory_that_cannot_be_read_leaves_the_number(directory: bytes):
    card = opened({**NUMBER, "4104": directory})
    assert (card.serial, card.kind) == ("ABC0123456789012", CardKind.PKCS15)


def test_a_certificate_shorter_than_its_place_is_not_given():
    _, signature, *_ = certificates_of("hop")
    card = opened({**NUMBER, "4104": listed(1, 0, len(signature) + 1), "08F2": signature})
    assert card.certificate_indexes() == ()
    with pytest.raises(ObjectMissingError):
        card.certificate(1)


def test_a_certificate_whose_place_has_no_length_ends_where_it_says_itself():
    _, signature, *_ = certificates_of("hop")
    card = opened({**NUMBER, "4104": listed(1, 4, None), "08F2": b"else" + signature + bytes(300)})
    assert card.certificate(1).der == signature
    with pytest.raises(ObjectMissingError):
        opened({**NUMBER, "4104": listed(1, 0, None), "08F2": bytes(300)}).certificate(1)


def test_a_card_that_does_not_say_its_version_has_an_empty_one():
    card = opened(NUMBER)
    assert isinstance(card, HicosCard)
    assert card.version_text() == ""


def test_without_a_list_of_its_files_they_are_where_pkcs15_has_them():
    class Listless(CardChannel):
        """The simulated card's lists stand at 4402 and 4404, this one's where nobody said."""

        def send(self, command: Command) -> Response:
            if command.ins == 0xA4 and command.data.endswith(b"\x50\x31"):
                return Response(b"", 0x6A82)
            own = {b"\x41\x00": b"\x44\x02", b"\x41\x04": b"\x44\x04"}.get(command.data, command.data)
            return super().send(replace(command, data=own))

    with CardChannel(simulated("hicos-2")) as channel:
        whole = [one.der for one in recognise(channel, channel.atr).certificates()]
    with Listless(simulated("hicos-2")) as channel:
        card = recognise(channel, channel.atr)
        assert isinstance(card, HicosCard)
        assert [one.der for one in card.certificates()] == whole


def test_a_card_without_a_number_is_left_to_its_makers_module():
    with pytest.raises(HicosModuleError):
        opened({})
    with pytest.raises(CardDataError):
        opened({"0903": b"\x1b[2J"})


def test_what_answers_as_neither_generation_is_no_hicos_card():
    for answer in (Response(b"", 0x6A82), Response(b"", 0x6E00)):
        assert hicos_select.generation(AnsweringChannel([answer])) is None
    assert hicos_select.generation(AnsweringChannel([Response(b"", 0x9000)])) is Generation.SECOND


def test_a_file_without_an_end_is_refused():
    class Endless(Files):
        def send(self, command: Command) -> Response:
            answer = super().send(command)
            return Response(b"A" * (command.le or 0), 0x9000) if command.ins == 0xB0 else answer

    with pytest.raises(CardDataError, match="no end"):
        HicosCard.open(Endless({"0903": b""}), Generation.FIRST)
