"""Cards with a PKCS#15 directory, from the directory alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card import pkcs15_directory as contents
from hca_card.errors import (
    CardDataError,
    ObjectMissingError,
    PinLengthError,
    PinWrongError,
    PukWrongError,
    UnsupportedError,
)
from hca_card.model import CardKind, CertificateUse, Citizen, KeyUse, PinStatus
from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat
from hca_card.pkcs15 import Pkcs15Card
from hca_card.pkcs15_directory import DirectoryKind, ObjectPath
from hca_card.pkcs15_roles import ListedCertificates, algorithm_for, key_for
from hca_card.tlv import Tlv
from pcsc.apdu import Command, Response
from pcsc.status import StatusError
from tests.support.cards import simulated
from tests.support.script import CardChannel, Exchange, ScriptedChannel
from tests.support.software_card import root, signature_certificate


def seq(*parts: bytes) -> bytes:
    return Tlv(0x30, b"".join(parts)).encode()


def put(tag: int, *parts: bytes) -> bytes:
    return Tlv(tag, b"".join(parts)).encode()


def octets(text: str) -> bytes:
    return put(0x04, bytes.fromhex(text))


def integer(*value: int) -> bytes:
    return put(0x02, bytes(value))


LABEL = seq(put(0x0C, b"key"), put(0x03, b"\x07\x80"), octets("01"))
PATH = seq(octets("3F00 5015 4301"))
EXTENSION = put(0x9E, b"a later edition's")


def pin_object(
    *, flags: str = "03 88", kind: int = 1, lengths: tuple[int, ...] = (4, 8, 8), more: bytes = b""
) -> bytes:
    """An AODF entry; PIN flags case-sensitive and initialized unless told otherwise."""
    attributes = seq(
        put(0x03, bytes.fromhex(flags)),
        put(0x0A, bytes((kind,))),
        *(integer(length) for length in lengths),
        put(0x80, b"\x81"),
        more,
    )
    return seq(LABEL, seq(octets("01")), put(0xA1, attributes))


def private_key(
    *, usage: str = "05 20", own: bytes = b"", reference: bytes = b"\x01", bits: bytes = b"\x08\x00"
) -> bytes:
    common = seq(octets("45"), put(0x03, bytes.fromhex(usage)), put(0x02, reference), own)
    return seq(LABEL, common, put(0xA1, seq(seq(octets("3F005015")), put(0x02, bits))))


def certificate(value: bytes, *, authority: bool = False, identifier: str = "45") -> bytes:
    common = seq(octets(identifier), put(0x01, b"\xff") if authority else b"", EXTENSION)
    return seq(LABEL, common, put(0xA1, seq(value)))


def test_the_directory_of_files_skips_what_it_does_not_know():
    odf = (
        put(0xA0, seq(octets("4402")))
        + put(0xA3, seq(octets("4499")))  # secret keys: not ours
        + put(0xBF8F, b"")  # a class of some later edition (tag in two octets)
        + put(0xA8, seq(octets("4401"), integer(0x10), put(0x80, b"\x40")))
        + put(0xA4, put(0xA0, b"inline"))
        + bytes(20)
    )
    odf = odf.replace(put(0xBF8F, b""), bytes.fromhex("BF0F00"))
    assert contents.directory_files(odf) == (
        (DirectoryKind.PRIVATE_KEYS, ObjectPath(bytes.fromhex("4402"))),
        (DirectoryKind.AUTHENTICATION, ObjectPath(bytes.fromhex("4401"), 16, 64)),
        (DirectoryKind.CERTIFICATES, b"inline"),
    )


@pytest.mark.parametrize(
    "part", [put(0x02, b"\xff") + put(0x80, b"\x40"), put(0x02, b"\0") + put(0x80, b"\xff")]
)
def test_a_part_of_a_file_at_a_negative_place_is_refused(part: bytes):
    with pytest.raises(CardDataError):
        contents.directory_files(put(0xA0, seq(octets("4402"), part)))


def test_ef_dir_names_the_path_of_the_application():
    other = put(0x61, put(0x4F, b"\xd2\x76"), put(0x51, b"\x3f\x00\x60\x00"))
    ours = put(0x61, put(0x4F, contents.AID), put(0x50, b"x"), put(0x51, b"\x3f\x00\x50\x15"))
    assert contents.application_path(other + ours + b"\0\0") == bytes.fromhex("3F005015")
    assert contents.application_path(other) is None


def test_token_info_with_algorithms():
    rsa_pkcs = seq(
        integer(1), integer(1), put(0x05), put(0x03, b"\x01\x42"), put(0x06, b"\x2a\x03"), integer(0x11)
    )
    raw = seq(integer(2), integer(0x06), put(0x05), put(0x03, b"\x01\x42"))
    info = contents.token_info(
        seq(
            integer(0),
            octets("0102AB"),
            put(0x0C, b"maker"),
            put(0x80, b"label"),
            put(0x03, b"\0"),
            put(0xA2, raw, rsa_pkcs),
        )
    )
    assert (info.serial, info.label, info.manufacturer) == ("0102AB", "label", "maker")
    assert info.algorithms == ((1, 0x01, 0x11),)


def test_token_info_may_leave_nearly_everything_out():
    info = contents.token_info(seq(integer(0), put(0x03, b"\0"), EXTENSION) + b"\xff\xff")
    assert (info.serial, info.label, info.algorithms) == ("", "", ())


@pytest.mark.parametrize(
    ("flags", "kind", "lengths", "more", "form"),
    [
        ("03 08", 1, (4, 8, 8), b"", PinFormat(4, 8, PinEncoding.ASCII_NUMERIC)),
        ("02 0C", 2, (4, 8, 10), octets("00"), PinFormat(4, 10, PinEncoding.ASCII, 8, 0x00)),
        ("02 0C", 0, (4, 8, 10), octets("FF"), PinFormat(4, 10, PinEncoding.BCD, 8, 0xFF)),
        ("03 08", 4, (4, 8), b"", PinFormat(4, 8, PinEncoding.ISO_9564)),
        # A minimum of 0 would let an empty VERIFY, which is a question, pass for a PIN.
        ("03 08", 1, (0, 8, 8), b"", PinFormat(1, 8, PinEncoding.ASCII_NUMERIC)),
    ],
)
def test_a_pin_object_says_how_the_pin_is_sent(
    flags: str, kind: int, lengths: tuple[int, ...], more: bytes, form: PinFormat
):
    (found,) = contents.pins(pin_object(flags=flags, kind=kind, lengths=lengths, more=more))
    assert found.form == form
    assert found.reference == 0x81  # written as a negative INTEGER, as many cards do


def test_kinds_of_password_that_are_not_pins_are_skipped():
    biometric = seq(LABEL, seq(octets("01")), put(0xA1, seq()))
    assert contents.pins(put(0xA0, biometric) + pin_object(kind=9)) == ()


def test_a_padding_character_of_two_bytes_is_refused():
    with pytest.raises(CardDataError, match="padding character"):
        contents.pins(pin_object(flags="02 0C", more=octets("FF00")))


@pytest.mark.parametrize("lengths", [(8, 8, 4), (4, 8, 127), (4, 127, 8)])
def test_pin_lengths_that_cannot_be_are_refused(lengths: tuple[int, ...]):
    with pytest.raises(CardDataError):
        contents.pins(pin_object(lengths=lengths))


def test_a_private_key_says_what_it_does():
    (key,) = contents.private_keys(private_key(usage="06 00 40", own=put(0xA1, integer(1))))
    assert (key.id, key.auth_id, key.reference, key.bits) == (b"\x45", b"\x01", 1, 2048)
    assert (key.signs, key.deciphers, key.algorithms) == (True, False, (1,))


def choice(number: int, key: bytes) -> bytes:
    """The key of an EF.PrKD as another choice than RSA (§8.4.1)."""
    return put(0xA0 | number, *[part.encode() for part in Tlv(0x30, key[2:]).children])


def test_elliptic_curve_keys_sign_and_never_decipher():
    (key,) = contents.private_keys(choice(0, private_key(usage="06 00 60")))
    assert (key.elliptic, key.signs, key.reference) == (True, True, 1)
    assert key_for([key], KeyUse.SIGNATURE) is key
    assert key_for([key], KeyUse.ENCRYPTION) is None


def test_keys_of_other_choices_are_skipped():
    assert contents.private_keys(choice(1, private_key()) + choice(2, private_key())) == ()


@pytest.mark.parametrize(("elliptic", "reference"), [(False, 0x11), (True, 0x21)])
def test_the_algorithm_is_one_of_the_kind_of_the_key(elliptic: bool, reference: int):
    algorithms = (contents.Algorithm(1, contents.ECDSA, 0x21), contents.Algorithm(2, contents.RSA_PKCS, 0x11))
    token = contents.TokenDescription("", "", "", algorithms)
    # What it names is an algorithm of the other kind.
    key = contents.PrivateKey(b"", "", b"", 1, elliptic, 0, True, False, (2 if elliptic else 1,))
    assert algorithm_for(key, token) == reference


@pytest.mark.parametrize(
    ("why", "content"),
    [
        ("a part is missing", seq(LABEL, seq(octets("45")))),
        ("a part is something else", seq(LABEL, integer(1), put(0xA1, seq()))),
        ("a reference of three bytes", private_key(reference=b"\x01\x00\x00")),
        ("cut off", private_key()[:-3]),
        ("nested without end", bytes.fromhex("30820400") * 300),
    ],
)
def test_an_entry_that_lies_is_refused(why: str, content: bytes):
    with pytest.raises(CardDataError):
        contents.private_keys(content)


def test_certificates_are_at_a_path_in_the_directory_or_in_the_network():
    url = put(0x13, b"http://example.tw/a.cer")
    entries = contents.certificates(
        certificate(PATH, authority=True) + certificate(put(0xA0, seq(integer(1)))) + certificate(url)
    )
    assert [(entry.authority, entry.place, entry.der) for entry in entries] == [
        (True, ObjectPath(bytes.fromhex("3F0050154301")), b""),
        (False, None, seq(integer(1))),
        (False, None, b""),
    ]


def test_data_objects_have_their_application():
    item = seq(LABEL, seq(put(0x0C, b"HCA")), put(0xA1, PATH))
    assert contents.data_objects(item) == (
        contents.DataObject("key", "HCA", ObjectPath(bytes.fromhex("3F0050154301"))),
    )


TOKEN = seq(integer(0), octets("0001"), put(0x03, b"\0"))
SELECT: Exchange = ("00 A4 04 00 0C A000000063504B43532D3135 00", "9000")


def file(fid: str, content: bytes) -> list[Exchange]:
    """SELECT by identifier, READ BINARY to the end."""
    read = ("00 B0 00 00 00 00 00", content.hex() + "9000")
    if len(fid) == 4:
        return [(f"00 A4 00 00 02 {fid} 00", "9000"), read]
    return [(f"00 A4 08 00 {len(fid) // 2:02X} {fid} 00", "9000"), read]


def card_with(aod: bytes = b"", prkd: bytes = b"") -> list[Exchange]:
    """The directory of a card with these objects inline, up to where PIN and key are known."""
    odf = b"".join(put(0xA0 | kind, put(0xA0, objects)) for kind, objects in ((0, prkd), (8, aod)) if objects)
    return [SELECT, *file("5032", TOKEN), *file("5031", odf)]


def opened(channel: ScriptedChannel) -> Pkcs15Card:
    card = Pkcs15Card.open(channel)
    assert card is not None
    return card


def test_signing_uses_the_references_and_the_padding_of_the_directory():
    script = [
        *card_with(
            pin_object(flags="02 0C", more=octets("00")), private_key(bits=b"\x04\x00", reference=b"\x05")
        ),
        ("00 20 00 81 08 31323334 00000000", "9000"),  # VERIFY, PIN 81, padded to the stored length
        ("00 22 41 B6 03 84 01 05", "9000"),  # MSE SET: key 05, no algorithm is listed
        ("00 2A 9E 9A 01 AA 00", "77" * 128 + "9000"),
        ("00 20 FF 81", "9000"),  # drop ...
        ("00 20 00 81", "63C3"),  # ... and make sure: this card's habits are not known
    ]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        card.verify(Pin("1234"))
        assert card.sign(KeyUse.SIGNATURE, b"\xaa") == b"\x77" * 128
    assert not channel.was_reset


def test_a_card_that_takes_p1_ff_for_a_question_is_selected_again():
    script = [
        *card_with(pin_object()),
        ("00 20 00 81 04 31323334", "9000"),
        ("00 20 FF 81", "9000"),
        ("00 20 00 81", "9000"),  # still verified
        SELECT,
        ("00 20 00 81", "63C3"),
    ]
    with ScriptedChannel(script) as channel:
        opened(channel).verify(Pin("1234"))
    assert not channel.was_reset


def test_a_signature_of_another_length_than_the_key_is_refused():
    script = [
        *card_with(pin_object(), private_key()),
        ("00 20 00 81 04 31323334", "9000"),
        ("00 22 41 B6 03 84 01 01", "9000"),
        ("00 2A 9E 9A 01 AA 00", "77" * 128 + "9000"),
        ("00 20 FF 81", "9000"),
        ("00 20 00 81", "63C3"),
    ]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        card.verify(Pin("1234"))
        with pytest.raises(CardDataError):
            card.sign(KeyUse.SIGNATURE, b"\xaa")


@pytest.mark.parametrize("flags", ["06 08 40", "05 08 20"])
def test_a_pin_that_must_be_sent_encrypted_is_never_sent_in_the_plain(flags: str):
    with ScriptedChannel(card_with(pin_object(flags=flags))) as channel, pytest.raises(UnsupportedError):
        opened(channel).verify(Pin("1234"))


def by_path(path: str, content: bytes | None = None) -> list[Exchange]:
    """SELECT by path from the master file, and READ BINARY where there is something to read."""
    chosen = (f"00 A4 08 00 {len(path) // 2:02X} {path} 00", "9000")
    return [chosen] if content is None else [chosen, ("00 B0 00 00 00 00 00", content.hex() + "9000")]


ABSENT: Exchange = (SELECT[0], "6A82")
EF_DIR = put(0x61, put(0x4F, contents.AID), put(0x51, b"\x3f\x00\x50\x15"))


def test_an_application_that_no_name_selects_is_found_by_the_path_in_ef_dir():
    odf = put(0xA8, put(0xA0, pin_object()))
    script = [
        ABSENT,
        *by_path("2F00", EF_DIR),
        *by_path("5015"),
        *by_path("50155032", TOKEN),
        *by_path("50155031", odf),
        ("00 20 00 81 04 31323334", "9000"),
        ("00 20 FF 81", "9000"),
        ("00 20 00 81", "9000"),  # still verified: the application is selected again, by its path
        *by_path("5015"),
        ("00 20 00 81", "63C3"),
    ]
    with ScriptedChannel(script) as channel:
        card = opened(channel)
        assert card.serial == "0001"
        card.verify(Pin("1234"))
    assert not channel.was_reset


@pytest.mark.parametrize(
    "script",
    [
        [ABSENT, ("00 A4 08 00 02 2F00 00", "6A82")],
        [ABSENT, *by_path("2F00", put(0x61, put(0x4F, b"\xd2\x76"), put(0x51, b"\x3f\x00\x60\x00")))],
        [ABSENT, *by_path("2F00", b"")],
    ],
    ids=["no EF.DIR", "another application", "an empty one"],
)
def test_a_card_without_the_application_is_none(script: list[Exchange]):
    with ScriptedChannel(script) as channel:
        assert Pkcs15Card.open(channel) is None


def test_a_certificate_is_still_there_while_its_place_begins_as_it_did():
    with CardChannel(simulated("hpc")) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        own, authority = card.certificate(1).der, card.certificate(0).der
        before = channel.count
        assert card.still_has(1, own)
        assert channel.count - before == 2  # SELECT and one READ
        assert not card.still_has(1, card.certificate(2).der)
        assert card.still_has(0, authority) and not card.still_has(0, own)  # read whole, to know which it is
        assert not card.still_has(7, own)


def test_a_certificate_whose_file_is_gone_is_not_there_any_more():
    class Gone(CardChannel):
        gone = False

        def send(self, command: Command) -> Response:
            return Response(b"", 0x6A82) if self.gone and command.ins == 0xA4 else super().send(command)

    with Gone(simulated("hpc")) as channel:
        card = Pkcs15Card.open(channel)
        assert card is not None
        der = card.certificate(1).der
        channel.gone = True
        assert not card.still_has(1, der)


def test_a_puk_that_must_be_sent_encrypted_is_never_sent_in_the_plain():
    puk = pin_object(flags="05 02 20")  # unblocking, confidentiality-protected
    script = card_with(pin_object() + puk)
    with ScriptedChannel(script) as channel, pytest.raises(UnsupportedError, match="no PUK in the plain"):
        opened(channel).unblock_pin(Pin("12345678"), Pin("123456"))


SIGNING, AUTHORITY = signature_certificate(), root()


def listed(
    entries: bytes, files: dict[str, bytes | Exception], keys: bytes = b""
) -> tuple[ListedCertificates, list[str]]:
    """What a directory lists, and which of its files have been read."""
    read: list[str] = []

    def at(place: ObjectPath) -> bytes:
        read.append(place.path.hex())
        found = files[read[-1]]
        if isinstance(found, Exception):
            raise found
        return found

    return ListedCertificates(contents.certificates(entries), contents.private_keys(keys), at), read


def at_path(path: str, **more: Any) -> bytes:
    return certificate(seq(octets(path)), **more)


def test_the_holders_own_certificate_is_found_by_its_key_without_reading_another():
    found, read = listed(
        at_path("4300", identifier="46") + at_path("4301"), {"4301": SIGNING}, private_key(usage="06 00 40")
    )
    assert found.place(1) == ObjectPath(b"\x43\x01")
    assert (found.place(2), found.place(0)) == (None, None)
    assert found.get(1).der == SIGNING
    assert read == ["4301"]
    with pytest.raises(ObjectMissingError, match="no certificate 5"):
        found.get(5)


@pytest.mark.parametrize(
    ("own", "error", "why"),
    [
        (b"", ObjectMissingError, "empty"),
        (b"\x31\x00", CardDataError, "something else"),
        (StatusError(0x6A82), ObjectMissingError, None),
    ],
)
def test_where_the_own_certificate_cannot_be_read_another_serves_else_it_is_said_why(
    own: bytes | Exception, error: type[Exception], why: str | None
):
    entries, key = at_path("4301") + at_path("4302", identifier="46"), private_key(usage="06 00 40")
    found, _ = listed(entries, {"4301": own, "4302": SIGNING}, key)
    assert (found.numbers(), found.get(1).der) == ((1,), SIGNING)
    found, _ = listed(entries, {"4301": own, "4302": AUTHORITY}, key)
    with pytest.raises(error, match=why):
        found.get(1)


def test_certificates_that_cannot_be_read_or_are_in_the_network_have_no_number():
    url = certificate(put(0x13, b"http://example.tw/a.cer"))
    entries = url + at_path("4301", identifier="46") + at_path("4302", identifier="47")
    files: dict[str, bytes | Exception] = {"4301": StatusError(0x6982), "4302": AUTHORITY}
    found, _ = listed(entries, files, private_key(usage="06 00 40"))
    assert found.numbers() == (4,)
    assert found.get(4).der == AUTHORITY
    with pytest.raises(UnsupportedError, match="network"):
        found.get(1)


def test_a_card_without_pin_or_key_says_so():
    with ScriptedChannel(card_with()) as channel:
        card = opened(channel)
        assert not card.has_key(KeyUse.SIGNATURE) and card.certificate_indexes() == ()
        assert card.metadata().holder is None
        with pytest.raises(UnsupportedError):
            card.pin_status()
        with pytest.raises(UnsupportedError):
            card.unblock_pin(Pin("12345678"), Pin("123456"))
        with pytest.raises(ObjectMissingError):
            card.sign(KeyUse.SIGNATURE, b"")
        with pytest.raises(ObjectMissingError):
            card.certificate(1)


def test_the_simulated_citizen_card_is_used_from_its_directory():
    with CardChannel(simulated("citizen")) as channel:
        card = Pkcs15Card.open(channel, kind=CardKind.CITIZEN)
        assert card is not None
        facts = card.metadata()
        assert (facts.kind, facts.holder) == (CardKind.CITIZEN, Citizen("測試國民"))
        assert [(item.index, item.use) for item in card.certificates()] == [
            (0, CertificateUse.CA),
            (1, CertificateUse.SIGNATURE),
            (2, CertificateUse.ENCRYPTION),
        ]
        assert card.pin_status() == PinStatus(3, 6, 8)
        with pytest.raises(StatusError):
            card.sign(KeyUse.SIGNATURE, b"\xaa")
        with pytest.raises(PinLengthError):
            card.verify(Pin("12345"))
        card.verify(Pin("123456"))
        assert len(card.sign(KeyUse.SIGNATURE, b"\xaa")) == 256
    assert not channel.was_reset


def test_an_hca_card_can_be_used_from_its_directory_too():
    with CardChannel(simulated("hpc")) as channel:
        card = opened(channel)  # type: ignore[arg-type]
        assert card.certificate_indexes() == (0, 1, 2, 3, 4)
        listed = card.directory()
        assert [key.bits for key in listed.public_keys] == [2048, 2048]
        assert listed.data
        card.change_pin(Pin("123456"), Pin("654321"))
        with pytest.raises(PinWrongError):
            card.verify(Pin("123456"))
        with pytest.raises(PukWrongError):
            card.unblock_pin(Pin("00000000"), Pin("123456"))
        card.unblock_pin(Pin("12345678"), Pin("123456"))
        card.verify(Pin("123456"))


WHOLE = {
    contents.directory_files: put(0xA0, PATH) + put(0xA8, seq(octets("4401"))),
    contents.application_path: put(0x61, put(0x4F, contents.AID), put(0x51, b"\x3f\x00")),
    contents.token_info: seq(integer(0), octets("0102"), put(0x0C, b"m"), put(0x80, b"l"), put(0x03, b"\0")),
    contents.pins: pin_object() + pin_object(flags="02 0C", kind=0, more=octets("FF")),
    contents.private_keys: private_key(usage="06 00 40", own=put(0xA1, integer(1))),
    contents.public_keys: private_key(),
    contents.certificates: certificate(PATH) + certificate(put(0xA0, seq(integer(1)))),
    contents.data_objects: seq(LABEL, seq(put(0x0C, b"HCA")), put(0xA1, PATH)),
}


@pytest.mark.slow
@pytest.mark.parametrize("parse", WHOLE, ids=lambda parse: parse.__name__)
@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_directory_is_read_or_refused(parse: Callable[[bytes], object], data: st.DataObject):
    content = bytearray(WHOLE[parse])
    parse(bytes(content))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for damaged in (bytes(content), data.draw(st.binary(max_size=60))):
        with contextlib.suppress(CardDataError):
            parse(damaged)
