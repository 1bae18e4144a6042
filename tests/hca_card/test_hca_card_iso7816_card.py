"""The drivers against simulated cards: how many commands, what is secret, and cards that lie."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card.certificate import describe
from hca_card.errors import (
    CardError,
    NotActivatedError,
    PinLockedError,
    PinWrongError,
    TerminatedError,
)
from hca_card.model import Card, CardKind, Channel, KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from pcsc.apdu import Command, Response
from pcsc.errors import PcscError
from pcsc.status import StatusError
from tests.support.cards import simulated
from tests.support.script import AnsweringChannel, CardChannel

# DER of a DigestInfo for SHA-256 (RFC 8017 §9.2, note 1).
SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")


def digest_info(document: bytes) -> bytes:
    return SHA256_INFO + hashlib.sha256(document).digest()


def public_key(der: bytes) -> RSAPublicKey:
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, RSAPublicKey)
    return key


@pytest.mark.parametrize(
    ("kind", "commands", "octets"), [("hpc", 1, 258), ("hpc-v1", 1, 258), ("pkcs15-p256", 2, 320)]
)
def test_one_short_read_tells_whether_a_certificate_is_still_there(
    kind: str, commands: int, octets: int
) -> None:
    with CardChannel(simulated(kind)) as channel:
        card = recognise(channel, channel.atr)
        der = card.certificate(1).der
        before = len(channel.trace)
        assert card.still_has(1, der)
        assert len(channel.trace) - before == commands
        assert sum(len(answer) for _, answer in channel.trace[before:]) <= octets
        # The serial number stands among the first forty bytes (RFC 5280 §4.1.2.2).
        serial = x509.load_der_x509_certificate(der).serial_number.to_bytes(16, "big")
        other = bytes(each ^ 1 for each in serial)
        assert not card.still_has(1, der.replace(serial, other, 1))
        assert not card.still_has(1, der[:3] + bytes((der[3] ^ 1,)) + der[4:])
        assert not card.still_has(7, der)
        if kind != "pkcs15-p256":
            assert not card.still_has(0, der)


@pytest.mark.parametrize("kind", ["hicos", "hicos-2"])
def test_a_driver_that_has_no_short_way_reads_the_certificate(kind: str) -> None:
    with CardChannel(simulated(kind)) as channel:
        card = recognise(channel, channel.atr)
        der = card.certificate(1).der
        assert card.still_has(1, der)
        assert not card.still_has(1, der[:-1] + bytes((der[-1] ^ 1,)))


def test_the_whole_of_signing_needs_fewer_than_ten_commands():
    with CardChannel(simulated("hpc")) as channel:
        card = recognise(channel, channel.atr)
        assert channel.count == 1
        der = card.certificate(1).der
        assert card.pin_status().tries_left == 3
        card.verify(Pin("123456"))
        signature = card.sign(KeyUse.SIGNATURE, digest_info(b"document"))
    public_key(der).verify(signature, b"document", PKCS1v15(), hashes.SHA256())
    assert channel.count == 7
    assert channel.trace[-1] == (bytes.fromhex("0020FF01"), b"\x90\x00")
    assert not channel.was_reset


@pytest.mark.parametrize(("kind", "most"), [("nhi", 2), ("nhi-new", 2), ("hop", 1), ("citizen", 3)])
def test_recognising_needs_few_commands(kind: str, most: int):
    with CardChannel(simulated(kind)) as channel:
        recognise(channel, channel.atr)
        assert channel.count <= most


@pytest.mark.parametrize("kind", ["hpc", "citizen"])
def test_a_reader_without_extended_length_does_as_well(kind: str):
    with CardChannel(simulated(kind), extended=False) as channel:
        card = recognise(channel, channel.atr)
        whole = [item.der for item in card.certificates()]
        card.verify(Pin("123456"))
        cipher = public_key(card.certificate(2).der).encrypt(b"secret", PKCS1v15())
        assert card.decipher(KeyUse.ENCRYPTION, cipher) == b"secret"
    with CardChannel(simulated(kind), extended=True) as channel:
        assert [item.der for item in recognise(channel, channel.atr).certificates()] == whole


def test_nothing_stays_verified_for_other_programs():
    card = simulated("hpc")
    with CardChannel(card) as channel:
        recognise(channel, channel.atr).verify(Pin("123456"))
    other = CardChannel(card, power=False)
    assert other.send(Command(0x00, 0x20, 0x00, 0x01)).sw == 0x63C3


def test_what_another_program_left_verified_is_not_relied_on():
    card = simulated("hpc")
    CardChannel(card).send(Command(0x00, 0x20, 0x00, 0x01, b"123456"))
    channel = CardChannel(card, power=False)
    ours = recognise(channel, b"")
    with pytest.raises(StatusError):
        ours.sign(KeyUse.SIGNATURE, digest_info(b"document"))
    assert not channel.sent(0x2A)


def test_a_wrong_pin_costs_exactly_one_try():
    card = simulated("hpc")
    for left, error in ((2, PinWrongError), (1, PinWrongError), (0, PinLockedError)):
        with CardChannel(card, power=False) as channel:
            with pytest.raises(error) as caught:
                recognise(channel, b"").verify(Pin("999999"))
            assert caught.value.tries_left == left
        assert len([command for command in channel.sent(0x20) if len(command) > 4]) == 1
    with CardChannel(card, power=False) as channel, pytest.raises(PinLockedError):
        recognise(channel, b"").verify(Pin("123456"))


def test_a_locked_card_is_opened_with_the_puk():
    with CardChannel(simulated("hpc-locked")) as channel:
        card = recognise(channel, channel.atr)
        assert card.pin_status().locked
        card.unblock_pin(Pin("12345678"), Pin("654321"))
        card.verify(Pin("654321"))
        assert card.pin_status().tries_left == 3


def test_a_changed_pin_is_the_one_that_counts():
    card = simulated("hpc")
    with CardChannel(card) as channel:
        recognise(channel, channel.atr).change_pin(Pin("123456"), Pin("12345678"))
    with CardChannel(card, power=False) as channel:
        recognise(channel, b"").verify(Pin("12345678"))


@pytest.mark.parametrize(
    ("kind", "error"), [("hpc-not-activated", NotActivatedError), ("hpc-terminated", TerminatedError)]
)
def test_a_card_out_of_use_says_why_and_its_data_can_still_be_read(kind: str, error: type[CardError]):
    with CardChannel(simulated(kind)) as channel:
        card = recognise(channel, channel.atr)
        assert card.metadata().kind is CardKind.PERSONNEL
        for attempt in (card.pin_status, lambda: card.verify(Pin("123456"))):
            with pytest.raises(error):
                attempt()


def test_every_command_with_a_pin_is_marked_secret():
    class Watching(CardChannel):
        def send(self, command: Command) -> Response:
            holds = any(pin in command.data for pin in (b"123456", b"654321"))
            assert command.secret is holds
            assert "123456" not in repr(command) and "31 32 33 34 35 36" not in repr(command)
            return super().send(command)

    with Watching(simulated("hpc")) as channel:
        card = recognise(channel, channel.atr)
        card.verify(Pin("123456"))
        card.change_pin(Pin("123456"), Pin("654321"))
        card.unblock_pin(Pin("12345678"), Pin("123456"))


def use_everything(channel: Channel, atr: bytes) -> None:
    """All that can be asked of a card; what it refuses does not keep the rest from being asked."""

    def anyway(step: Callable[[], object]) -> None:
        with contextlib.suppress(CardError, PcscError, StatusError):
            step()

    def certificates(card: Card) -> None:
        for item in card.certificates():
            describe(item.der)

    try:
        card = recognise(channel, atr)
    except (CardError, PcscError, StatusError):
        return
    anyway(card.metadata)
    anyway(lambda: certificates(card))
    anyway(card.pin_status)
    anyway(lambda: card.verify(Pin("123456")))
    anyway(lambda: card.sign(KeyUse.SIGNATURE, digest_info(b"x")))
    anyway(lambda: card.decipher(KeyUse.ENCRYPTION, bytes(256)))
    anyway(lambda: card.change_pin(Pin("123456"), Pin("123456")))
    anyway(lambda: card.unblock_pin(Pin("12345678"), Pin("123456")))


@pytest.mark.parametrize("kind", ["hpc-torn", "hpc-hostile", "hpc-mute"])
@pytest.mark.parametrize("extended", [None, False])
def test_a_broken_card_only_raises_what_callers_expect(kind: str, extended: bool | None):
    with CardChannel(simulated(kind), extended=extended) as channel:
        use_everything(channel, channel.atr)


class Damaged(CardChannel):
    """Changes bytes of some answers on their way."""

    def __init__(self, kind: str, data: st.DataObject) -> None:
        super().__init__(simulated(kind))
        self._data = data
        self._left = 4

    def _transmit(self, raw: bytes) -> bytes:
        answer = bytearray(super()._transmit(raw))
        if self._left and len(answer) > 2 and self._data.draw(st.booleans()):
            self._left -= 1
            place = self._data.draw(st.integers(0, min(len(answer) - 1, 400)))
            answer[place] = self._data.draw(st.integers(0, 255))
        return bytes(answer)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("kind", ["hpc", "hop", "citizen", "nhi"])
def test_damaged_answers_only_raise_what_callers_expect(kind: str, data: st.DataObject):
    with Damaged(kind, data) as channel:
        use_everything(channel, channel.atr)


responses = st.builds(
    Response,
    st.one_of(st.binary(max_size=40), st.binary(min_size=57, max_size=57), st.just(bytes(300))),
    st.sampled_from([0x9000, 0x9000, 0x9000, 0x6282, 0x6985, 0x6984, 0x63C2, 0x6A82, 0x6B00, 0x6D00, 0x6E00]),
)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(responses, min_size=1, max_size=12), st.sampled_from(["hpc", "citizen", "nhi"]))
def test_a_card_that_answers_anything_only_raises_what_callers_expect(answers: list[Response], kind: str):
    atr = {"hpc": b"PV", "citizen": b"HCASIMCTZN", "nhi": bytes.fromhex("3B00")}[kind]
    with AnsweringChannel(answers) as channel:
        use_everything(channel, atr)
