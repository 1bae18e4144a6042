"""What certificates say, and certificates that are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card.certificate import card_kind, compared_name, curve_bits, describe, moment, parse, string
from hca_card.errors import CardDataError
from hca_card.model import CardKind
from hca_card.recognise import recognise
from hca_card.tlv import Tlv, read
from tests.support.cards import simulated
from tests.support.script import CardChannel
from tests.support.software_card import rewritten

NAME = x509.NameOID
ATTRIBUTE = "2.16.886.1.100.2."


def oid(dotted: str) -> bytes:
    from asn1crypto.core import ObjectIdentifier

    return bytes(ObjectIdentifier(dotted).dump())


def attribute(arc: int, *values: bytes) -> bytes:
    return Tlv(0x30, oid(f"{ATTRIBUTE}{arc}") + Tlv(0x31, b"".join(values)).encode()).encode()


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def made(*attributes: bytes, subject: x509.Name | None = None, issuer: x509.Name | None = None) -> bytes:
    """A certificate with these subjectDirectoryAttributes."""
    common = [x509.NameAttribute(NAME.COUNTRY_NAME, "TW"), x509.NameAttribute(NAME.COMMON_NAME, "測試")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or x509.Name(common))
        .issuer_name(issuer or x509.Name([x509.NameAttribute(NAME.ORGANIZATION_NAME, "行政院")]))
        .public_key(key().public_key())
        .serial_number(0xABCDEF)
        .not_valid_before(datetime(2023, 6, 28, tzinfo=UTC))
        .not_valid_after(datetime(2033, 6, 28, 15, 59, 59, tzinfo=UTC))
    )
    if attributes:
        value = Tlv(0x30, b"".join(attributes)).encode()
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), value), critical=False
        )
    return builder.sign(key(), hashes.SHA256()).public_bytes(Encoding.DER)


@cache
def on_card(kind: str, index: int) -> bytes:
    with CardChannel(simulated(kind)) as channel:
        return recognise(channel, channel.atr).certificate(index).der


def test_a_personnel_certificate_in_words():
    facts = describe(on_card("hpc", 1))
    assert facts.common_name == "測試人員卡"
    assert facts.serial_number == "0000000000335361"
    assert facts.subject == "C=TW, CN=測試人員卡, serialNumber=0000000000335361"
    assert facts.issuer.startswith("C=TW, O=HCA-AGENT SIMULATOR, OU=")
    assert facts.key_usage == {"digital_signature"}
    assert (facts.key_bits, facts.signature_hash) == (2048, "SHA-256")
    assert facts.policies == ("2.16.886.101.0.3.3",)
    assert (facts.subject_type, facts.card_number) == ("personnel", "000000335361")
    assert facts.simulated and facts.not_before.tzinfo is UTC and facts.not_before < facts.not_after


@pytest.mark.parametrize(
    ("kind", "index", "subject_type", "usage"),
    [
        ("hop", 1, "institution", {"digital_signature"}),
        ("hpc", 2, "personnel", {"key_encipherment", "data_encipherment"}),
        ("citizen", 1, "natural-person", {"digital_signature"}),
        ("hpc", 0, None, {"key_cert_sign", "crl_sign"}),
    ],
)
def test_subject_type_and_key_usage(kind: str, index: int, subject_type: str | None, usage: set[str]):
    facts = describe(on_card(kind, index))
    assert (facts.subject_type, facts.key_usage) == (subject_type, usage)


def test_an_institution_certificate_has_its_code():
    assert describe(on_card("hop", 1)).institution_code == "9900000001"


@pytest.mark.parametrize(
    ("why", "value", "text"),
    [
        ("UTF8String", Tlv(0x0C, "醫師".encode()), "醫師"),
        ("PrintableString", Tlv(0x13, b"A1"), "A1"),
        ("TeletexString", Tlv(0x14, b"A1"), "A1"),
        ("IA5String", Tlv(0x16, b"A1"), "A1"),
        ("VisibleString", Tlv(0x1A, b"A1"), "A1"),
        ("NumericString", Tlv(0x12, b"12"), "12"),
        ("BMPString", Tlv(0x1E, "醫師".encode("utf-16-be")), "醫師"),
        ("UniversalString", Tlv(0x1C, "醫師".encode("utf-32-be")), "醫師"),
        ("an OID", Tlv(0x06, b"\x2a\x03"), "1.2.3"),
        ("a number", Tlv(0x02, b"\x10"), "16"),
        ("control characters", Tlv(0x0C, b"a\x1b[2J"), "a\ufffd[2J"),
    ],
)
def test_an_attribute_may_be_of_any_string_type(why: str, value: Tlv, text: str):
    assert describe(made(attribute(57, value.encode()))).note == text


@pytest.mark.parametrize(
    ("why", "value"),
    [
        ("no UTF-8", Tlv(0x0C, b"\xff\xfe")),
        ("half a BMP character", Tlv(0x1E, b"\x00")),
        ("an OID of nothing", Tlv(0x06, b"")),
        ("an OID without end", Tlv(0x06, b"\xff" * 40)),
        ("an OID of 4 kB", Tlv(0x06, b"\x81" * 4000 + b"\x01")),
        ("a text of 40 kB", Tlv(0x0C, b"A" * 40000)),
        ("a number of 4 kB", Tlv(0x02, b"\x7f" * 4000)),
        ("a sequence", Tlv(0x30, b"\x05\x00")),
        ("null", Tlv(0x05, b"")),
        ("a private tag", Tlv(0xC1, b"x")),
    ],
)
def test_an_attribute_that_is_no_text_leaves_its_fact_out_and_no_other(why: str, value: Tlv):
    good = Tlv(0x13, b"000000335361").encode()
    facts = describe(made(attribute(57, value.encode()), attribute(204, good)))
    assert facts.note is None or why == "an OID without end"
    assert facts.card_number == "000000335361"


def test_a_name_cannot_pose_as_another_attribute():
    name = x509.Name([x509.NameAttribute(NAME.COMMON_NAME, "x, O=HCA-AGENT SIMULATOR")])
    facts = describe(made(issuer=name, subject=name))
    assert facts.issuer == "CN=x\\, O=HCA-AGENT SIMULATOR"
    assert not facts.simulated


def test_facts_that_a_certificate_lacks_are_none():
    facts = describe(made())
    assert facts.serial_hex == "ABCDEF"
    assert facts.key_usage is None and facts.subject_type is None and facts.serial_number is None
    assert facts.policies == () and not facts.directory_attributes
    assert facts.not_after == datetime(2033, 6, 28, 15, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("why", "der"),
    [
        ("nothing", b""),
        ("zeros", bytes(64)),
        ("a sequence of nothing", bytes.fromhex("3000")),
        ("an indefinite length", bytes.fromhex("3080") * 400),
        ("nested a thousand deep", bytes.fromhex("30820400") * 1000),
        ("text", b"-----BEGIN CERTIFICATE-----"),
        ("bytes after it", made() + b"\0"),
        ("a good one in BER's indefinite length", b"\x30\x80" + read(made())[0].value + b"\0\0"),
    ],
)
def test_what_is_no_certificate_is_refused(why: str, der: bytes):
    with pytest.raises(CardDataError):
        describe(der)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject):
    der = bytearray(on_card("hpc", 1))
    for _ in range(data.draw(st.integers(1, 6))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        describe(bytes(der))
    except CardDataError:
        return


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_are_no_certificate(data: bytes):
    with pytest.raises(CardDataError):
        describe(data)


def with_extension(dotted: str, value: bytes) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NAME.COMMON_NAME, "測試")]))
        .issuer_name(x509.Name([x509.NameAttribute(NAME.COMMON_NAME, "測試")]))
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(datetime(2023, 6, 28, tzinfo=UTC))
        .not_valid_after(datetime(2033, 6, 28, tzinfo=UTC))
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value), critical=False)
    )
    return builder.sign(key(), hashes.SHA256()).public_bytes(Encoding.DER)


def test_extensions_that_programs_ask_for() -> None:
    mail = Tlv(0x30, Tlv(0x82, b"example.tw").encode() + Tlv(0x81, b"a@example.tw").encode()).encode()
    assert parse(with_extension("2.5.29.17", mail)).email == "a@example.tw"
    assert parse(with_extension("2.5.29.17", Tlv(0x30, Tlv(0x81, b"\xff").encode()).encode())).email is None
    purpose = Tlv(0x30, oid("1.3.6.1.5.5.7.3.2")).encode()
    assert parse(with_extension("2.5.29.37", purpose)).extended_key_usage == ("1.3.6.1.5.5.7.3.2",)
    assert parse(made()).extended_key_usage is None
    assert parse(made()).email is None


@pytest.mark.parametrize("usage", [b"\x04\x01\x00", b"\x03\x01", b"\x03\x04\x00\x00\x00\x00"])
def test_a_key_usage_that_cannot_be_read_says_nothing(usage: bytes) -> None:
    assert parse(with_extension("2.5.29.15", usage)).key_usage is None


@pytest.mark.parametrize(
    ("subject", "rank", "kind"),
    [
        ("personnel", None, CardKind.PERSONNEL),
        ("institution", "Primary", CardKind.INSTITUTION),
        ("institution", "SECONDARY card", CardKind.INSTITUTION_SECONDARY),
        ("institution", None, CardKind.INSTITUTION),
        ("natural-person", None, CardKind.CITIZEN),
        ("company", None, CardKind.PKCS15),
        (None, None, CardKind.PKCS15),
    ],
)
def test_a_certificate_says_of_which_kind_its_card_is(
    subject: str | None, rank: str | None, kind: CardKind
) -> None:
    facts = replace(describe(made()), subject_type=subject, card_rank=rank)
    assert card_kind(facts) is kind


def test_names_are_compared_without_case_and_spaces_and_what_is_none_as_it_is() -> None:
    def name(text: bytes, tag: int = 0x0C) -> bytes:
        return Tlv(
            0x30, Tlv(0x31, Tlv(0x30, oid("2.5.4.3") + Tlv(tag, text).encode()).encode()).encode()
        ).encode()

    assert compared_name(name(b"Health  Ministry")) == compared_name(name(b"HEALTH MINISTRY", 0x13))
    assert compared_name(b"no name") == b"no name"


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (0x17, b"200101080000+0800", datetime(2020, 1, 1, tzinfo=UTC)),
        (0x18, b"20200101000000-0130", datetime(2020, 1, 1, 1, 30, tzinfo=UTC)),
        (0x17, b"200230000000Z", None),
        (0x18, b"00010101000000+2359", None),
        (0x17, b"20200101000000Z", None),
    ],
)
def test_times_with_an_offset_and_what_is_no_date(tag: int, text: bytes, expected: datetime | None) -> None:
    item = Tlv(tag, text)
    if expected is None:
        with pytest.raises(CardDataError):
            moment(item)
    else:
        assert moment(item) == expected


@pytest.mark.parametrize("text", ["測試人員卡", "衛生福利部", "Müller"])
def test_octets_of_no_code_that_is_named_are_read_as_what_they_most_likely_are(text: str) -> None:
    codes = ("cp950", "utf-8") if "ü" not in text else ("latin-1", "utf-8")
    for code in codes:
        assert string(Tlv(0x14, text.encode(code))) == text
    assert string(Tlv(0x04, b"octets")) is None


def test_a_certificate_without_an_ec_key_has_no_curve() -> None:
    assert curve_bits(made()) == 256
    assert curve_bits(b"none") == 0


def test_a_structure_with_too_many_parts_is_none() -> None:
    body = read(made())[0]
    with pytest.raises(CardDataError):
        parse(Tlv(0x30, body.value + b"\x05\x00").encode())


def test_a_validity_of_three_times_is_none():
    times = [Tlv(0x17, b"200101000000Z").encode(), Tlv(0x17, b"400101000000Z").encode()]
    for count, odd in ((2, False), (3, True)):
        validity = Tlv(0x30, b"".join((times * 2)[:count])).encode()
        der = rewritten(on_card("hpc", 1), "ca", times=validity)
        if odd:
            with pytest.raises(CardDataError, match="structure"):
                describe(der)
        else:
            assert describe(der).not_after.year == 2040
