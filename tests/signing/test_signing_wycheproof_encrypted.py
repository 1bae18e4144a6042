"""Wycheproof's ciphers in encrypted CMS, as somebody sends them to a card.

The card is a key of this process, for the vectors come with theirs; what it unwraps is looked at as always.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from hca_card.errors import CardDataError
from hca_card.model import Card, KeyUse
from hca_card.simulator.rsa import RsaKey
from hca_card.tlv import Tlv
from signing.cipher import decrypt
from signing.cms.envelope import (
    AUTH_ENVELOPED_DATA,
    DATA,
    RSA,
    content_key,
    decrypt_content,
    read_envelope,
)
from signing.errors import CipherDamagedError, CipherInvalidError
from tests.support.vectors import Counted, Record, certificate, issuer_and_number, sequence, wycheproof

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
EC_KEY: Final = sequence(bytes.fromhex("06072a8648ce3d0201"))
SCHEME: Final = bytes.fromhex("06062b8104010b01")  # dhSinglePass-stdDH-sha256kdf
WRAP: Final = sequence(bytes.fromhex("060960864801650304012d"))
AES: Final = "060960864801650304 01"
MODES: Final = {
    ("gcm", 128): "06", ("gcm", 192): "1a", ("gcm", 256): "2e",
    ("cbc", 128): "02", ("cbc", 192): "16", ("cbc", 256): "2a",
}  # fmt: skip
CONTENT_KEY: Final = bytes(range(32))
EMPTY_TAG: Final = bytes.fromhex("f05d76ae4ab99fe5a6f69b3148c2363d")
"""What AES-GCM makes of nothing by that key and a nonce of zeros."""


class KeyCard(Card):
    """A card of this process."""

    def __init__(self, answer: Any) -> None:
        self.asked = 0
        self._answer = answer

    def metadata(self):  # type: ignore[no-untyped-def]
        raise self.unsupported()

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:
        self.asked += 1
        try:
            return bytes(self._answer(cipher))
        except ValueError:
            raise CardDataError("the card refused") from None

    agree = decipher


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def rsa_holder(private: str) -> tuple[bytes, RsaKey]:
    key = load_der_private_key(bytes.fromhex(private), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return certificate(spki(key.public_key())), RsaKey(key)


def message(recipient: bytes, algorithm: bytes, cipher: bytes, tag: bytes | None) -> bytes:
    """An AuthEnvelopedData with a tag, an EnvelopedData without."""
    content = sequence(DATA, algorithm, Tlv(0x80, cipher).encode())
    end = b"" if tag is None else Tlv(0x04, tag).encode()
    inside = sequence(b"\x02\x01\x00", sequence(recipient, tag=0x31), content, end)
    return sequence(ENVELOPED_DATA if tag is None else AUTH_ENVELOPED_DATA, sequence(inside, tag=0xA0))


def transported(holder: bytes, key: bytes) -> bytes:
    """A KeyTransRecipientInfo."""
    return sequence(b"\x02\x01\x00", issuer_and_number(holder), RSA, Tlv(0x04, key).encode())


def aes(mode: str, bits: int, parameters: bytes) -> bytes:
    return sequence(bytes.fromhex(AES + MODES[mode, bits]), parameters)


def opened(made: bytes, card: KeyCard, holder: bytes) -> bytes:
    envelope, target = read_envelope(io.BytesIO(made)), io.BytesIO()
    decrypt_content(envelope, content_key(card, envelope, holder), target)
    return target.getvalue()


def test_rsa_blocks(record_property: Record):
    count = Counted()
    for group in wycheproof("rsa_pkcs1_2048"):
        holder, key = rsa_holder(group["privateKeyPkcs8"])
        card = KeyCard(key.decipher)
        for test in group["tests"]:
            block = bytes.fromhex(test["ct"])
            if test["result"] == "valid":
                assert decrypt(card, block) == bytes.fromhex(test["msg"]), test
            else:
                with pytest.raises(CipherInvalidError):
                    decrypt(card, block)
                # The envelope tells nobody that it was the block: its content is damaged (RFC 3218 §2.3.2).
                parameters = sequence(Tlv(0x04, bytes(12)).encode(), b"\x02\x01\x10")
                made = message(transported(holder, block), aes("gcm", 256, parameters), b"", bytes(16))
                with pytest.raises(CipherDamagedError):
                    opened(made, card, holder)
            count[f"RSA PKCS#1 v1.5: {test['result']}"] += 1
    count.tell("Wycheproof ciphers", record_property)
    assert count.total() > 50


@pytest.mark.parametrize(("name", "mode"), [("aes_gcm", "gcm"), ("aes_cbc_pkcs5", "cbc")])
def test_contents_encrypted_by_aes(name: str, mode: str, record_property: Record):
    count, holder = Counted(), rsa_holder(wycheproof("rsa_pkcs1_2048")[0]["privateKeyPkcs8"])[0]
    for group in wycheproof(name):
        for test in group["tests"]:
            key, nonce, cipher = (bytes.fromhex(test[part]) for part in ("key", "iv", "ct"))
            if test.get("aad") or (mode == "gcm" and len(nonce) != 12):
                count["AES-GCM: left out, data beside it or another length of nonce, which CMS has not"] += 1
                continue
            tag = bytes.fromhex(test["tag"]) if mode == "gcm" else None
            parameters = Tlv(0x04, nonce).encode()
            if tag is not None:
                parameters = sequence(parameters, b"\x02\x01" + bytes((len(tag),)))
            made = message(transported(holder, bytes(256)), aes(mode, len(key) * 8, parameters), cipher, tag)
            card = KeyCard(lambda _block, key=key: key)
            if test["result"] == "valid":
                assert opened(made, card, holder) == bytes.fromhex(test["msg"]), test
            else:
                with pytest.raises(CipherDamagedError):
                    opened(made, card, holder)
            count[f"AES-{mode.upper()}: {test['result']}"] += 1
    count.tell("Wycheproof ciphers", record_property)
    assert count.total() > 200


@pytest.mark.parametrize("bits", [256, 384, 521])
def test_points_that_others_send_to_a_card(bits: int, record_property: Record):
    count = Counted()
    curve = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}[bits]
    (group,) = wycheproof(f"ecdh_secp{bits}r1_ecpoint")
    for test in group["tests"]:
        private = ec.derive_private_key(int(test["private"], 16), curve)
        holder = certificate(spki(private.public_key()))

        def agreed(point: bytes, private: ec.EllipticCurvePrivateKey = private) -> bytes:
            return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, point))

        card, point = KeyCard(agreed), bytes.fromhex(test["public"])
        made = message(
            agreeing(holder, point, bytes.fromhex(test["shared"])),
            aes("gcm", 256, sequence(Tlv(0x04, bytes(12)).encode(), b"\x02\x01\x10")),
            b"",
            EMPTY_TAG,
        )
        if test["result"] == "valid":
            assert opened(made, card, holder) == b"", test
        else:
            with pytest.raises(CipherInvalidError):
                opened(made, card, holder)
            assert card.asked == 0, test
        compressed = "" if test["result"] != "acceptable" else ", compressed points refused"
        count[f"ECDH P-{bits}: {test['result']}{compressed}"] += 1
    count.tell("Wycheproof ciphers", record_property)
    assert count[f"ECDH P-{bits}: invalid"] > 10


def agreeing(holder: bytes, point: bytes, shared: bytes) -> bytes:
    """A KeyAgreeRecipientInfo that wraps the content's key by what both sides make of the point."""
    information = sequence(WRAP, sequence(Tlv(0x04, b"\0\0\x01\0").encode(), tag=0xA2))
    wrapped = aes_key_wrap(X963KDF(SHA256(), 32, information).derive(shared), CONTENT_KEY)
    key = sequence(sequence(EC_KEY, Tlv(0x03, b"\0" + point).encode(), tag=0xA1), tag=0xA0)
    recipient = sequence(issuer_and_number(holder), Tlv(0x04, wrapped).encode())
    return sequence(b"\x02\x01\x03", key, sequence(SCHEME, WRAP), sequence(recipient), tag=0xA1)
