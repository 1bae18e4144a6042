"""The PKCS#15 directory, read by another ASN.1 reader with the modules of ISO/IEC 7816-15."""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar

import pytest
from asn1crypto import core, parser

from hca_card.simulator import SimulatedCard, pkcs15
from tests.support.cards import say, simulated
from tests.support.openssl import openssl_program


class Usage(core.BitString):
    _map: ClassVar = {
        0: "encrypt", 1: "decrypt", 2: "sign", 3: "sign_recover", 4: "key_encipher", 5: "key_decipher",
        6: "verify", 7: "verify_recover", 8: "derive", 9: "non_repudiation",
    }  # fmt: skip


class Path(core.Sequence):
    _fields: ClassVar = [
        ("path", core.OctetString),
        ("index", core.Integer, {"optional": True}),
        ("length", core.Integer, {"implicit": 0, "optional": True}),
    ]


class ObjectAttributes(core.Sequence):
    _fields: ClassVar = [
        ("label", core.UTF8String),
        ("flags", core.BitString),
        ("auth_id", core.OctetString, {"optional": True}),
    ]


class KeyAttributes(core.Sequence):
    _fields: ClassVar = [
        ("id", core.OctetString),
        ("usage", Usage),
        ("native", core.Boolean, {"default": True}),
        ("access", core.BitString, {"optional": True}),
        ("reference", core.Integer, {"optional": True}),
    ]


class RsaAttributes(core.Sequence):
    _fields: ClassVar = [("value", Path), ("modulus_length", core.Integer)]


class Key(core.Sequence):
    _fields: ClassVar = [
        ("object", ObjectAttributes),
        ("key", KeyAttributes),
        ("type", RsaAttributes, {"explicit": 1}),
    ]


class CertificateAttributes(core.Sequence):
    _fields: ClassVar = [("id", core.OctetString), ("authority", core.Boolean, {"default": False})]


class X509Attributes(core.Sequence):
    _fields: ClassVar = [("value", Path)]


class Certificate(core.Sequence):
    _fields: ClassVar = [
        ("object", ObjectAttributes),
        ("certificate", CertificateAttributes),
        ("type", X509Attributes, {"explicit": 1}),
    ]


class AuthenticationAttributes(core.Sequence):
    _fields: ClassVar = [("id", core.OctetString)]


class PasswordAttributes(core.Sequence):
    _fields: ClassVar = [
        ("flags", core.BitString),
        ("type", core.Integer, {"implicit": ("universal", 10)}),
        ("min_length", core.Integer),
        ("stored_length", core.Integer),
        ("max_length", core.Integer),
        ("reference", core.Integer, {"implicit": 0}),
    ]


class Password(core.Sequence):
    _fields: ClassVar = [
        ("object", ObjectAttributes),
        ("authentication", AuthenticationAttributes),
        ("type", PasswordAttributes, {"explicit": 1}),
    ]


class DataAttributes(core.Sequence):
    _fields: ClassVar = [("application", core.UTF8String)]


class Data(core.Sequence):
    _fields: ClassVar = [
        ("object", ObjectAttributes),
        ("data", DataAttributes),
        ("type", Path, {"explicit": 1}),
    ]


class TokenInfo(core.Sequence):
    _fields: ClassVar = [
        ("version", core.Integer),
        ("serial", core.OctetString),
        ("manufacturer", core.UTF8String),
        ("label", core.UTF8String, {"implicit": 0}),
        ("flags", core.BitString),
    ]


def read(card: SimulatedCard, path: str) -> bytes:
    assert say(card, f"00 A4 08 0C 04 {path}") == b"\x90\x00"
    response = say(card, "00 B0 00 00 00 00 00")
    assert response[-2:] == b"\x90\x00"
    return response[:-2]


def parse_all(specification: type[core.Asn1Value], content: bytes) -> list[Any]:
    """Every value in `content`, each of which must be what its own re-encoding is."""
    found = []
    while content:
        value = specification.load(content)
        assert value.dump(force=True) == content[: len(value.dump())]
        found.append(value)
        content = content[len(value.dump()) :]
    return found


@pytest.fixture(params=["hpc", "hop", "citizen", "hpc-v1"])
def card(request: pytest.FixtureRequest) -> SimulatedCard:
    return simulated(request.param)


def test_the_object_directory_leads_to_files_that_are_there(card: SimulatedCard) -> None:
    content, seen = read(card, "50 15 50 31"), set()
    while content:
        _, _, tag, header, value, _ = parser.parse(content)
        content = content[len(header) + len(value) :]
        path = Path.load(value)["path"].native
        assert path[:4] == bytes.fromhex("3F005015")
        assert read(card, path[2:].hex())
        seen.add(tag)
    assert {0, 1, 4, 8} <= seen


def test_keys_certificates_and_public_keys_belong_together(card: SimulatedCard) -> None:
    private = parse_all(Key, read(card, "50 15 44 02"))
    public = parse_all(Key, read(card, "50 15 44 03"))
    certificates = parse_all(Certificate, read(card, "50 15 44 04"))
    by_id = {each["certificate"]["id"].native: each for each in certificates}
    usages = [("sign", "verify"), ("decrypt", "encrypt")]
    for mine, theirs, (uses, used) in zip(private, public, usages, strict=False):
        assert mine["key"]["id"].native == theirs["key"]["id"].native
        assert mine["object"]["label"].native == theirs["object"]["label"].native
        assert uses in mine["key"]["usage"].native and used in theirs["key"]["usage"].native
        assert mine["object"]["auth_id"].native == b"\x01"
        assert not by_id[mine["key"]["id"].native]["certificate"]["authority"].native
        rsa = parse_all(core.SequenceOf, read(card, theirs["type"]["value"]["path"].native[2:].hex()))
        assert rsa
    assert len(private) == (1 if card.kind == "hpc-v1" else 2)
    for each in certificates:
        assert read(card, each["type"]["value"]["path"].native[2:].hex())[:2] == b"\x30\x82"


def test_the_pin_is_unblocked_by_the_puk(card: SimulatedCard) -> None:
    pin, puk = parse_all(Password, read(card, "50 15 44 01"))
    assert pin["object"]["auth_id"].native == puk["authentication"]["id"].native
    assert (pin["type"]["min_length"].native, pin["type"]["max_length"].native) == (6, 8)
    assert (pin["type"]["reference"].native, puk["type"]["reference"].native) == (1, 2)
    assert pin["type"]["type"].native == 1


def test_the_token_names_maker_label_and_number(card: SimulatedCard) -> None:
    (info,) = parse_all(TokenInfo, read(card, "50 15 50 32"))
    assert info["manufacturer"].native == "HCA-AGENT SIMULATOR"
    assert info["label"].native == ("Citizen card" if card.kind == "citizen" else "HCA card")
    assert info["serial"].native.hex().isdigit()


def test_an_hca_card_lists_its_records_as_data_objects() -> None:
    card = simulated("hpc")
    data = parse_all(Data, read(card, "50 15 44 05"))
    assert [each["type"]["path"].native[-2:].hex() for each in data] == ["4503", "4504"]


def test_openssl_reads_every_directory_file(card: SimulatedCard) -> None:
    for fid in ("44 01", "44 02", "44 03", "44 04", "50 31", "50 32"):
        content = read(card, f"50 15 {fid}")
        result = subprocess.run(
            [openssl_program(), "asn1parse", "-inform", "DER", "-i"],
            input=content,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, (fid, result.stderr)


def test_an_algorithm_is_listed_with_its_reference() -> None:
    class Algorithm(core.Sequence):
        _fields: ClassVar = [
            ("number", core.Integer),
            ("mechanism", core.Integer),
            ("parameters", core.Null),
            ("operations", core.BitString),
            ("id", core.ObjectIdentifier),
            ("reference", core.Integer),
        ]

    read = Algorithm.load(pkcs15.algorithm(1, 0x1041, 0x21), strict=True)
    assert (read["number"].native, read["mechanism"].native, read["reference"].native) == (1, 0x1041, 0x21)
    assert read["operations"].native == (0, 1)
