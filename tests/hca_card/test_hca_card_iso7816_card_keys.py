"""How a key is chosen and used, command by command, for every way that a card may want it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from hca_card import rsa_blocks
from hca_card.errors import CardDataError, ObjectMissingError, TerminatedError, UnsupportedError
from hca_card.iso7816_card import Iso7816Card, KeyReference
from hca_card.model import CardCertificate, CardKind, CertificateUse, KeyUse, Metadata, PinStatus
from hca_card.pin_block import PinFormat
from hca_card.profile_format import ChosenBy, Digest, Form, KeyHandling, Operation
from pcsc.apdu import Command, Response
from pcsc.status import StatusError
from signing.hashes import Hash
from tests.support.software_card import signature_certificate

DIGEST = hashlib.sha256(b"document").digest()
INFO = Hash.SHA_256.digest_info(DIGEST)
POINT = b"\x04" + bytes(range(64))
_RSA = bytes.fromhex("2A864886F70D010101")  # rsaEncryption (RFC 8017 §A.1)
SET = "00 22 41 B6 03 84 01 05"


@dataclass
class Spoken:
    """A channel that notes each command and answers in turn, at last 9000."""

    answers: list[Response] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)

    def send(self, command: Command) -> Response:
        self.sent.append(command)
        if command.ins == 0x22:
            return Response(b"", 0x9000)
        return self.answers.pop(0) if self.answers else Response(b"", 0x9000)

    def __getitem__(self, number: int) -> str:
        return self.sent[number].encode().hex(" ").upper()


@dataclass
class AnyPin:
    """A PIN that notes what is done with it."""

    verified: bool = True
    done: list[str] = field(default_factory=list)
    takes_keypad: bool = True

    def status(self) -> PinStatus:
        return PinStatus(3, 6, 8)

    def require_verified(self) -> None:
        if not self.verified:
            raise StatusError(0x6982)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.done.append(name)


class OneKey(Iso7816Card):
    """A card with one key, which is what a test says."""

    kind, serial = CardKind.PERSONNEL, "1"
    der = b"no certificate that can be read"

    def __init__(self, key: KeyReference | None, *answers: Response, pin: AnyPin | None = None) -> None:
        self.channel = Spoken(list(answers))
        self._channel: Any = self.channel
        self._key = key
        self.pin = pin or AnyPin()
        self.ended = False
        self.asked_why = 0

    def metadata(self) -> Metadata:
        raise NotImplementedError

    @property
    def _pin(self) -> Any:
        return self.pin

    def _puk_form(self) -> PinFormat:
        return PinFormat(8, 8)

    def _find_key(self, use: KeyUse) -> KeyReference | None:
        return self._key

    def _require_in_use(self) -> None:
        if self.ended:
            raise TerminatedError

    def _why_refused(self) -> None:
        self.asked_why += 1

    def certificate(self, index: int) -> CardCertificate:
        return CardCertificate(index, CertificateUse.SIGNATURE, self.der)


def rsa(bits: int = 1024, **handling: Any) -> KeyReference:
    return KeyReference(5, None, bits, handling=KeyHandling(**handling))


def made(octets: int = 128) -> Response:
    return Response(bytes(octets), 0x9000)


def test_pin_and_puk_are_those_of_the_card() -> None:
    card, nothing = OneKey(None), None
    arguments: Any = nothing
    assert card.pin_status() == PinStatus(3, 6, 8)
    assert card.puk_status() == PinStatus(None, 8, 8)
    assert card.takes_keypad()
    card.verify(arguments)
    card.verify_on_keypad(arguments)
    card.change_pin(arguments, arguments)
    card.change_pin_on_keypad(arguments)
    card.unblock_pin(arguments, arguments)
    assert card.pin.done == ["verify", "verify_on_keypad", "change", "change_on_keypad", "unblock"]
    card.ended = True
    with pytest.raises(TerminatedError):
        card.verify(arguments)


def test_a_card_without_the_key_says_so_and_sends_nothing() -> None:
    card = OneKey(None)
    assert not card.has_key(KeyUse.SIGNATURE)
    for use in (card.sign, card.sign_pss, card.agree, card.decipher):
        with pytest.raises(ObjectMissingError):
            use(KeyUse.SIGNATURE, b"")
    unnamed = OneKey(KeyReference(None, None))
    assert unnamed.has_key(KeyUse.SIGNATURE)
    with pytest.raises(UnsupportedError, match="named"):
        unnamed.sign(KeyUse.SIGNATURE, INFO)
    unverified = OneKey(rsa(), pin=AnyPin(verified=False))
    with pytest.raises(StatusError):
        unverified.sign(KeyUse.SIGNATURE, INFO)
    assert not card.channel.sent and not unnamed.channel.sent and not unverified.channel.sent


@pytest.mark.parametrize(
    ("key", "chosen", "work"),
    [
        (rsa(), SET, "00 2A 9E 9A 33"),
        (KeyReference(5, 2, 1024), "00 22 41 B6 06 80 01 02 84 01 05", "00 2A 9E 9A 33"),
        (rsa(form=Form.DIGEST), SET, "00 2A 9E 9A 20"),
        (rsa(form=Form.BLOCK), SET, "00 2A 9E 9A 80"),
        (rsa(hashes=(Digest.SHA_256,)), SET, "00 2A 9E 9A 33"),
        (rsa(operation=Operation.INTERNAL_AUTHENTICATE), "00 22 41 A4 03 84 01 05", "00 88 00 00 33"),
        (rsa(p1=1, p2=2), SET, "00 2A 01 02 33"),
        (rsa(chosen_by=ChosenBy.RESTORE), "00 22 F3 05", "00 2A 9E 9A 33"),
        (rsa(environment=b"\x80\x01\x01"), "00 22 41 B6 03 80 01 01", "00 2A 9E 9A 33"),
        (rsa(environment_p1=0xC1, environment_p2=0xB8), "00 22 C1 B8 03 84 01 05", "00 2A 9E 9A 33"),
        (rsa(chosen_by=ChosenBy.NOTHING), "", "00 2A 9E 9A 33"),
    ],
)
def test_a_signature_is_made_as_the_card_wants_it(key: KeyReference, chosen: str, work: str) -> None:
    card = OneKey(key, made())
    assert card.sign(KeyUse.SIGNATURE, INFO) == bytes(128)
    if chosen:
        assert card.channel[0] == chosen
    assert card.channel[-1].startswith(work)
    assert len(card.channel.sent) == (2 if chosen else 1)


def test_a_card_may_want_the_digest_by_itself_first() -> None:
    card = OneKey(rsa(operation=Operation.HASH_PSO, form=Form.DIGEST), Response(b"", 0x9000), made())
    card.sign(KeyUse.SIGNATURE, INFO)
    assert card.channel[1] == "00 2A 90 A0 22 90 20 " + DIGEST.hex(" ").upper()
    assert card.channel[2] == "00 2A 9E 9A 00"


def test_a_hash_that_the_key_is_not_for_is_not_sent() -> None:
    card = OneKey(rsa(hashes=(Digest.SHA_512,)))
    with pytest.raises(UnsupportedError, match="only"):
        card.sign(KeyUse.SIGNATURE, INFO)
    assert not card.channel.sent


def test_a_signature_of_another_length_than_the_key_is_none() -> None:
    with pytest.raises(CardDataError, match="for a 1024-bit signature"):
        OneKey(rsa(), made(127)).sign(KeyUse.SIGNATURE, INFO)
    assert OneKey(rsa(bits=0), made(100)).sign(KeyUse.SIGNATURE, INFO) == bytes(100)


def test_where_neither_card_nor_certificate_says_how_long_the_key_is_no_block_is_made() -> None:
    for readable, why in ((False, "more bytes than there are"), (True, "how long the key is")):
        card = OneKey(rsa(bits=0, form=Form.BLOCK), made(256))
        if readable:
            # RSA's identifier becomes one that nothing has (PKCS #1, arc 126).
            card.der = signature_certificate().replace(_RSA, _RSA[:-1] + b"\x7e")
        with pytest.raises(CardDataError, match=why):
            card.sign(KeyUse.SIGNATURE, INFO)
        assert not card.channel.sent


def test_a_key_on_a_curve_is_given_the_digest_and_answers_two_numbers() -> None:
    card = OneKey(KeyReference(5, None, 256, elliptic=True), made(64))
    assert card.sign(KeyUse.SIGNATURE, DIGEST) == bytes(64)
    with pytest.raises(UnsupportedError, match="PSS"):
        card.sign_pss(KeyUse.SIGNATURE, DIGEST)
    with pytest.raises(UnsupportedError, match="deciphers nothing"):
        card.decipher(KeyUse.ENCRYPTION, bytes(128))


@pytest.mark.parametrize(
    ("key", "chosen", "given"),
    [
        (KeyReference(5, 1, 1024, pss=3), "00 22 41 B6 06 80 01 03 84 01 05", 32),
        (rsa(form=Form.BLOCK), SET, 128),
    ],
)
def test_pss_is_made_by_the_card_or_padded_here(key: KeyReference, chosen: str, given: int) -> None:
    card = OneKey(key, made())
    assert key.makes_pss
    assert card.sign_pss(KeyUse.SIGNATURE, DIGEST) == bytes(128)
    assert card.channel[0] == chosen
    assert len(card.channel.sent[-1].data) == given


def test_a_card_agrees_on_a_secret_by_its_key_on_a_curve_alone() -> None:
    card = OneKey(KeyReference(5, None, 256, elliptic=True), made(32))
    assert card.agree(KeyUse.ENCRYPTION, POINT) == bytes(32)
    assert card.channel[0] == "00 22 41 B8 03 84 01 05"
    assert card.channel[1].startswith("00 2A 80 86 48 A6 46 7F 49 43 86 41 04")
    with pytest.raises(UnsupportedError, match="agrees on no keys"):
        OneKey(rsa()).agree(KeyUse.ENCRYPTION, POINT)


@pytest.mark.parametrize(
    ("key", "work"),
    [(rsa(), "00 2A 80 86 81 00"), (rsa(p1=1, p2=2, indicator=b""), "00 2A 01 02 80 00")],
)
def test_a_block_is_deciphered_as_the_card_wants_it(key: KeyReference, work: str) -> None:
    card = OneKey(key, Response(b"plain", 0x9000))
    assert card.decipher(KeyUse.ENCRYPTION, bytes(128)) == b"plain"
    assert card.channel[0] == "00 22 41 B8 03 84 01 05"
    assert card.channel[1].startswith(work)


def test_a_card_that_leaves_the_padding_has_it_taken_off_here() -> None:
    block = b"\0\2" + b"\x11" * 120 + b"\0plain"
    assert rsa_blocks.message_of(block) == b"plain"
    card = OneKey(rsa(form=Form.BLOCK), Response(block, 0x9000))
    assert card.decipher(KeyUse.ENCRYPTION, bytes(128)) == b"plain"


@pytest.mark.parametrize(("sw", "asked"), [(0x6985, 1), (0x6984, 1), (0x6A80, 0)])
def test_the_card_is_asked_why_where_it_may_have_a_reason(sw: int, asked: int) -> None:
    card = OneKey(rsa(), Response(b"", sw))
    with pytest.raises(StatusError) as caught:
        card.sign(KeyUse.SIGNATURE, INFO)
    assert caught.value.sw == sw
    assert card.asked_why == asked
