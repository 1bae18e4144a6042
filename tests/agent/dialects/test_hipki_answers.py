"""What pages of the HiPKI dialect are answered, with simulated cards and a person by script."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from agent.config import Config, OriginSettings
from agent.dialects.hipki import HipkiDialect
from agent.dialects.hipki.dialect import HipkiVerb
from agent.dialects.hipki.messages import PagePackage, read
from agent.interaction import Interaction
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.vocabulary import Verb
from signing.hashes import Hash
from tests.support.hipki import check_cms, openssl, package
from tests.support.operations import OTHER, PIN, PORTAL, World, agent

TEXT = "出生通報 birth report"
HASHES = {
    "SHA1": hashes.SHA1(),
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
ALLOWED = Config(
    origins=OriginSettings(allow=frozenset((str(PORTAL.origin),)), digest=frozenset((str(PORTAL.origin),)))
)


class Desk:
    def __init__(self, world: World, config: Config) -> None:
        self.world, self.dialect = world, HipkiDialect(world.operations, config)

    async def sign(self, origin: str = str(PORTAL.origin), **members: object) -> dict[str, Any]:
        members = {"func": "MakeSignature", "tbs": TEXT, **members}
        return dict(json.loads(await self.dialect.answer(HipkiVerb.SIGN, origin, package(**members))))

    async def decrypt(self, **members: object) -> dict[str, Any]:
        body = package(**{"func": "decrypt", **members})
        return dict(json.loads(await self.dialect.answer(HipkiVerb.DECRYPT, str(PORTAL.origin), body)))

    async def info(self, *, certificates: bool = True, **members: object) -> dict[str, Any]:
        body = package(func="GetUserCert", **members)
        answer = await self.dialect.answer(
            HipkiVerb.INFO, str(PORTAL.origin), body, certificates=certificates
        )
        return dict(json.loads(answer))


SetDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(tmp_path: Path) -> SetDesk:
    @asynccontextmanager
    async def desk(*kinds: str, config: Config = ALLOWED, person: Interaction | None = None):
        async with agent(tmp_path, *(kinds or ("hpc",)), interaction=person, config=config) as world:
            yield Desk(world, config)

    return desk


def numbers(answer: dict[str, Any]) -> tuple[int, int]:
    return answer["ret_code"], answer["last_error"]


def signer(answer: dict[str, Any]) -> rsa.RSAPublicKey:
    key = x509.load_der_x509_certificate(base64.b64decode(answer["certb64"])).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize("encoding", ["NONE", "base64"])
async def test_pkcs1_is_verified_over_the_document(desk: SetDesk, algorithm: str, encoding: str) -> None:
    tbs = TEXT if encoding == "NONE" else base64.b64encode(TEXT.encode()).decode()
    async with desk() as at:
        answer = await at.sign(
            tbs=tbs, tbsEncoding=encoding, hashAlgorithm=algorithm, signatureType="PKCS1", pin=PIN
        )
        assert numbers(answer) == (0, 0)
        assert (answer["func"], answer["message"], answer["cardSN"]) == ("sign", "", "000000335361")
        signer(answer).verify(
            base64.b64decode(answer["signature"]), TEXT.encode(), padding.PKCS1v15(), HASHES[algorithm]
        )
        assert at.world.pins_asked() == []


@pytest.mark.slow
async def test_openssl_verifies_pkcs1(desk: SetDesk, tmp_path: Path) -> None:
    async with desk() as at:
        answer = await at.sign(signatureType="PKCS1", hashAlgorithm="SHA256", pin=PIN)
    key = signer(answer).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "signature").write_bytes(base64.b64decode(answer["signature"]))
    (tmp_path / "document").write_bytes(TEXT.encode())
    words = ("-verify", str(tmp_path / "key.pem"), "-signature", str(tmp_path / "signature"))
    assert "Verified OK" in openssl("dgst", "-sha256", *words, str(tmp_path / "document"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hpc", "hop", "citizen"])
async def test_pkcs7_is_verified_to_the_root_with_the_document_in_it(
    desk: SetDesk, kind: str, tmp_path: Path
) -> None:
    async with desk(kind) as at:
        answer = await at.sign(
            signatureType="PKCS7", withCardSN="true", nonce="a nonce of the portal", pin=PIN
        )
        assert numbers(answer) == (0, 0)
        der = base64.b64decode(answer["signature"])
        assert check_cms(der, tmp_path) == TEXT.encode()
        file = str(tmp_path / "signature.der")
        shown = openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", file)
        attributes = shown[
            shown.index("signedAttrs") : shown.index("signatureAlgorithm", shown.index("signedAttrs"))
        ]
        for each in (
            "contentType",
            "signingTime",
            "messageDigest",
            "2.16.886.1.100.2.204",
            "1.2.840.113549.1.9.25.3",
        ):
            assert attributes.count(f"({each})") + attributes.count(f" {each} (") == 1, each
        assert f"PRINTABLESTRING:{answer['cardSN']}" in attributes
        parsed = openssl("asn1parse", "-inform", "DER", "-in", file)
        assert ":a nonce of the portal" in parsed
        assert f":{answer['cardSN']}" in parsed


async def test_pkcs7_has_neither_number_nor_nonce_unless_asked(desk: SetDesk, tmp_path: Path) -> None:
    async with desk() as at:
        answer = await at.sign(signatureType="PKCS7", pin=PIN, withCardSN="false")
    der = base64.b64decode(answer["signature"])
    assert check_cms(der, tmp_path) == TEXT.encode()
    parsed = openssl("asn1parse", "-inform", "DER", "-in", str(tmp_path / "signature.der"))
    assert ":1.2.840.113549.1.9.25.3" not in parsed
    assert ":2.16.886.1.100.2.204" not in parsed


async def test_raw_is_signed_for_an_origin_that_is_listed_for_it(desk: SetDesk) -> None:
    info = Hash.SHA_256.digest_info(Hash.SHA_256.digest(TEXT.encode()))
    async with desk() as at:
        answer = await at.sign(tbs=base64.b64encode(info).decode(), signatureType="RAW", pin=PIN)
        assert numbers(answer) == (0, 0)
        signer(answer).verify(
            base64.b64decode(answer["signature"]), TEXT.encode(), padding.PKCS1v15(), hashes.SHA256()
        )


async def test_raw_is_refused_to_every_other_origin_and_the_card_signs_nothing(desk: SetDesk) -> None:
    info = Hash.SHA_256.digest_info(bytes(32))
    person = ScriptedInteraction(pins=[PIN])
    async with desk(person=person) as at:
        answer = await at.sign(str(OTHER.origin), tbs=base64.b64encode(info).decode(), signatureType="RAW")
        assert numbers(answer) == (0x76000031, 0)
        assert person.questions == []
        assert at.world.apdus == []


@pytest.mark.parametrize("octets", [bytes(32), b"", b"\x30\x31" + bytes(49)])
async def test_raw_that_is_no_digest_info_is_a_wrong_parameter(desk: SetDesk, octets: bytes) -> None:
    async with desk() as at:
        answer = await at.sign(tbs=base64.b64encode(octets).decode(), signatureType="RAW", pin=PIN)
        assert numbers(answer) == (0x7600000C, 0)
        assert at.world.apdus == []


async def test_a_login_is_not_signed_in_the_disguise_of_a_document(desk: SetDesk) -> None:
    token = base64.b64encode(Hash.SHA_256.digest(b"origin") + Hash.SHA_256.digest(b"nonce")).decode()
    async with desk() as at:
        for kind in ("PKCS1", "PKCS7"):
            answer = await at.sign(tbs=token, tbsEncoding="base64", signatureType=kind)
            assert numbers(answer) == (0x7600000C, 0x20)
        assert at.world.apdus == []


async def test_wrong_pins_from_the_page_count_down_and_the_last_try_is_never_sent(desk: SetDesk) -> None:
    async with desk() as at:
        assert numbers(await at.sign(pin="999999")) == (0x76100006, -2147483646)
        assert numbers(await at.sign(pin="999999")) == (0x76100006, -2147483647)
        answer = await at.sign(pin=PIN)
        assert numbers(answer) == (0x76100006, 0xA1)
        assert "最後一次" in answer["message"]
        assert at.world.tries == 1


async def test_a_wrong_pin_in_our_own_window_locks_the_card_at_the_third(desk: SetDesk) -> None:
    person = ScriptedInteraction(pins=["999999"] * 3)
    async with desk(person=person) as at:
        answers = [numbers(await at.sign())[1] for _ in range(4)]
        assert answers == [-2147483646, -2147483647, 0xA4, 0xA4]


async def test_a_locked_card_says_so(desk: SetDesk) -> None:
    async with desk("hpc-locked") as at:
        assert numbers(await at.sign(pin=PIN)) == (0x76100006, 0xA4)
        assert numbers(await at.sign()) == (0x76100006, 0xA4)


async def test_a_pin_of_a_length_no_card_takes_is_not_sent(desk: SetDesk) -> None:
    async with desk() as at:
        assert numbers(await at.sign(pin="12")) == (0x76100006, 0xA2)
        assert at.world.tries == 3


async def test_without_a_pin_the_person_is_asked(desk: SetDesk) -> None:
    async with desk() as at:
        assert numbers(await at.sign(signatureType="PKCS7", pin="")) == (0, 0)
        [question] = at.world.pins_asked()
        assert (question.origin, question.verb) == (PORTAL.origin, Verb.SIGN)
        assert question.document is not None
        assert question.document.digest == Hash.SHA_256.digest(TEXT.encode())


async def test_without_a_pin_and_without_a_person_there_is_none(desk: SetDesk) -> None:
    async with desk(person=Headless()) as at:
        assert numbers(await at.sign()) == (0x76000998, 0x101)
        assert numbers(await at.decrypt(cipher=base64.b64encode(bytes(256)).decode())) == (0x76000998, 0x101)


async def test_a_person_who_cancels_is_told_to_the_page(desk: SetDesk) -> None:
    async with desk(person=ScriptedInteraction(pins=[None])) as at:
        assert numbers(await at.sign()) == (0x76000999, 0x01)


@pytest.mark.parametrize(
    "config",
    [Config(), Config(origins=OriginSettings(deny=frozenset((str(PORTAL.origin),))))],
    ids=["person", "administrator"],
)
async def test_a_site_that_is_not_allowed_is_not_served(desk: SetDesk, config: Config) -> None:
    person = ScriptedInteraction(pins=[PIN], consents={})
    async with desk(config=config, person=person) as at:
        assert numbers(await at.info()) == (0x76000031, 0)
        assert numbers(await at.sign(pin=PIN)) == (0x76000031, 0)
        assert at.world.apdus == []


async def test_what_was_encrypted_to_the_card_is_decrypted(desk: SetDesk) -> None:
    async with desk() as at:
        token = (await at.info())["slots"][0]["token"]
        _, encryption, *_authorities = token["certs"]
        key = x509.load_der_x509_certificate(base64.b64decode(encryption["certb64"])).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        cipher = base64.b64encode(key.encrypt(TEXT.encode(), padding.PKCS1v15())).decode()
        answer = await at.decrypt(cipher=cipher, pin=PIN)
        assert (answer["func"], numbers(answer)) == ("decrypt", (0, 0))
        assert (base64.b64decode(answer["plaintext"]), answer["plain"]) == (TEXT.encode(), TEXT)
        answer = await at.decrypt(cipher=cipher, pin=PIN, plainEncoding="base64")
        assert base64.b64decode(answer["plain"]) == TEXT.encode()
        assert numbers(await at.decrypt(cipher=base64.b64encode(b"\1" * 256).decode(), pin=PIN))[1] == 0x40


@pytest.mark.parametrize(
    "options", [("-des3", "-keyid"), ("-aes-256-cbc", "-stream")], ids=["3DES, key identifier", "AES, BER"]
)
async def test_an_envelope_that_openssl_made_for_the_card_is_opened(
    desk: SetDesk, options: tuple[str, ...], tmp_path: Path
) -> None:
    async with desk() as at:
        own = (await at.info())["slots"][0]["token"]["certs"]
        for number, certificate in enumerate(own[:2]):
            (tmp_path / f"{number}.der").write_bytes(base64.b64decode(certificate["certb64"]))
        (tmp_path / "plain").write_bytes(TEXT.encode() * 50)

        def envelope(number: int) -> str:
            files = ("-in", str(tmp_path / "plain"), "-out", str(tmp_path / "cms"))
            openssl(
                "cms", "-encrypt", "-binary", *options, *files, "-outform", "DER",
                "-recip", str(tmp_path / f"{number}.der"),
            )  # fmt: skip
            return base64.b64encode((tmp_path / "cms").read_bytes()).decode()

        asked = {"func": "DecryptData", "cipherType": "PKCS7", "pin": PIN, "plainEncoding": "NONE"}
        answer = await at.decrypt(**asked, cipher=envelope(1))
        assert (answer["func"], numbers(answer), answer["plain"]) == ("decrypt", (0, 0), TEXT * 50)
        # One that was made for another key, and none at all.
        assert numbers(await at.decrypt(**asked, cipher=envelope(0)))[1] == 0x40
        before = at.world.tries, len(at.world.apdus)
        broken = base64.b64encode(b"\x30\x80\x06\x09" + bytes(40)).decode()
        assert numbers(await at.decrypt(**asked, cipher=broken))[1] == 0x40
        assert (at.world.tries, len(at.world.apdus)) == before


async def test_every_answer_has_the_members_that_pages_compare_with(desk: SetDesk) -> None:
    async with desk() as at:
        wrong = await at.sign(pin="12")
        for answer in (await at.info(), await at.sign(pin=PIN), wrong):
            assert (answer["message2"], answer["SCAP"]) == ("", None)


async def test_a_certificate_is_told_as_pages_take_it_apart(desk: SetDesk) -> None:
    """What callers do: split names at ",", compute with seconds, look for the authorities by their labels."""
    async with desk("citizen") as at:
        certs = (await at.info())["slots"][0]["token"]["certs"]
        own, *_ = certs
        found = x509.load_der_x509_certificate(base64.b64decode(own["certb64"]))
        parts = own["subjectDN"].split(",")
        names = {"C": "countryName", "O": "organizationName", "CN": "commonName"}
        assert not any(part.startswith(" ") for part in (*parts, *own["issuerDN"].split(",")))
        assert [part.partition("=")[0] for part in parts if part.partition("=")[0] in names] == [
            short
            for attribute in found.subject
            for short, name in names.items()
            if attribute.oid._name == name
        ]
        assert f"CN={own['subjectCN']}" in parts
        assert own["subjectID"].isdigit() and len(own["subjectID"]) == 4
        assert own["email"] == ""
        assert own["notAfterT"] - own["notBeforeT"] == int(
            (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds()
        )


async def test_the_authorities_of_a_card_are_told_by_their_labels(desk: SetDesk) -> None:
    async with desk("hpc") as at:
        own, _, *authorities = (await at.info())["slots"][0]["token"]["certs"]
        first, *_, last = authorities
        assert (first["label"], last["label"]) == ("CA Cert", "ROOT CA Cert")
        assert (first["subjectDN"], last["subjectDN"]) == (own["issuerDN"], last["issuerDN"])
        assert first["issuerDN"] == last["subjectDN"]
        assert {each["usage"] for each in authorities} == {"keyCertSign|cRLSign"}


async def test_every_reader_is_a_slot_and_every_card_with_keys_a_token(desk: SetDesk) -> None:
    async with desk("hpc", "", "nhi") as at:
        answer = await at.info()
        assert (answer["func"], numbers(answer)) == ("pkcs11info", (0, 0))
        card, empty, other = answer["slots"]
        assert [each["slotID"] for each in answer["slots"]] == [0, 1, 2]
        assert card["slotDescription"] == at.world.readers[0].name
        assert (empty["token"], other["token"]) == (None, "unknown token")
        token = card["token"]
        assert (token["serialNumber"], token["label"]) == ("000000335361", "模擬卡 醫事人員卡")
        assert [each["usage"] for each in token["certs"]] == [
            "digitalSignature",
            "keyEncipherment|dataEncipherment",
            *["keyCertSign|cRLSign"] * 3,
        ]
        for certificate, key in zip(token["certs"][:2], token["keys"], strict=True):
            found = x509.load_der_x509_certificate(base64.b64decode(certificate["certb64"]))
            assert int(certificate["sn"], 16) == found.serial_number
            assert certificate["thumbprint"] == found.fingerprint(hashes.SHA1()).hex().upper()
            assert certificate["notAfter"] == found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert "HCA-AGENT SIMULATOR" in certificate["issuerDN"]
            assert load_der_public_key(base64.b64decode(key["keyb64"])) == found.public_key()
            assert certificate["id"] == key["id"]


async def test_the_environment_check_names_cards_without_their_certificates(desk: SetDesk) -> None:
    async with desk("citizen") as at:
        [slot] = (await at.info(certificates=False))["slots"]
        assert slot["token"]["label"] == "模擬卡 自然人憑證"
        assert {"certs", "keys"}.isdisjoint(slot["token"])


async def test_the_reader_that_a_page_names_is_the_one(desk: SetDesk) -> None:
    async with desk("hpc", "citizen") as at:
        name = at.world.readers[1].name
        [slot] = (await at.info(slotDescription=name))["slots"]
        assert (slot["slotDescription"], slot["slotID"]) == (name, 1)
        answer = await at.sign(slotDescription=name, pin=PIN)
        assert answer["cardSN"] == slot["token"]["serialNumber"]
        assert numbers(await at.sign(slotDescription="no such reader", pin=PIN)) == (0x76000006, 0xE0)


async def test_an_empty_reader_is_no_card(desk: SetDesk) -> None:
    async with desk("") as at:
        assert numbers(await at.sign(pin=PIN)) == (0x76000006, 0xE0)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"func": "FormatDisk"}, 0x7600000E),
        ({"func": "decrypt"}, 0x7600000E),
        ({"tbs": ""}, 0x7600000C),
        ({"tbs": "*", "tbsEncoding": "base64"}, 0x7600000C),
        ({"tbsEncoding": "utf-16"}, 0x7600000C),
        ({"hashAlgorithm": "MD5"}, 0x7600000C),
        ({"signatureType": "PKCS9"}, 0x7600000C),
        ({"tbs": 5}, 0x7600000C),
        ({"pin": 123456}, 0x7600000C),
        ({"pin": "密碼"}, 0x7600000C),
        ({"signatureType": "PKCS7", "nonce": "x" * 1025}, 0x7600000C),
        ({"slotDescription": "x" * 257}, 0x7600000C),
    ],
)
async def test_a_request_that_is_wrong_costs_nothing(
    desk: SetDesk, members: dict[str, object], code: int
) -> None:
    async with desk() as at:
        answer = await at.sign(**{"pin": PIN, **members})
        assert answer["ret_code"] == code
        assert at.world.apdus == []
        assert at.world.tries == 3


@pytest.mark.parametrize(
    "body", [b"tbsPackage=", b"tbsPackage=%7B", b"tbsPackage=%ff", b'tbsPackage={"a":' + b"[" * 9999]
)
async def test_what_is_not_json_is_said_to_be_none(desk: SetDesk, body: bytes) -> None:
    async with desk() as at:
        answer = json.loads(await at.dialect.answer(HipkiVerb.SIGN, str(PORTAL.origin), body))
        assert answer["ret_code"] == 0x7600000B


ESCAPED = "登入 a+b=1&c 100%"
SAID = 'say "hi"\\ to\nthem'


@pytest.mark.parametrize(
    ("sent", "tbs"),
    [
        (json.dumps({"tbs": quote(ESCAPED)}), ESCAPED),
        (json.dumps({"tbs": ESCAPED.replace("&", "%26")}, ensure_ascii=False), ESCAPED),
        (json.dumps({"tbs": "%2B/%2B/aGVsbG8="}), "+/+/aGVsbG8="),
        (quote(json.dumps({"tbs": ESCAPED})), ESCAPED),
        (json.dumps({"tbs": "100%25%20"}), "100% "),
        (json.dumps({"tbs": "100% 20%"}), "100% 20%"),
        (json.dumps({"tbs": SAID}), SAID),
        (json.dumps({"tbs": quote(SAID)}), SAID),
        (quote(json.dumps({"tbs": SAID})), SAID),
        # What works with the vendor's component: escaped for JSON first and for the form then.
        (json.dumps({"tbs": quote(json.dumps("she said")[1:-1])}), "she said"),
        ('{"tbs":"' + quote(json.dumps('she "said"')[1:-1]) + '"}', 'she "said"'),
        # A text cannot put another in its place, nor a PIN beside it.
        (json.dumps({"tbs": quote('a","tbs":"b')}), 'a","tbs":"b'),
        (json.dumps({"tbs": quote('a","pin":"123456')}), 'a","pin":"123456'),
    ],
)
def test_the_text_that_a_page_sends_is_read_as_a_form_once(sent: str, tbs: str) -> None:
    found = read(b"tbsPackage=" + sent.encode())
    assert (found.tbs, found.typed) == (tbs, None)


def test_a_pin_that_a_page_escapes_arrives_as_it_was_typed() -> None:
    found = read(b'tbsPackage={"pin":"a%2Bb%25%22!"}')
    assert found.typed is not None
    assert found.typed.octets == b'a+b%"!'


def test_a_plus_is_no_blank() -> None:
    assert read(b'x=1&tbsPackage={"tbs":"a+b%2Bc d"}').tbs == "a+b+c d"


def test_a_package_never_shows_its_pin_and_forgets_it() -> None:
    found = read(package(pin="86420x"))
    assert "86420x" not in f"{found!r} {found} {found.pin!r}"
    found.wipe()
    assert found.typed is None
    assert PagePackage().typed is None
