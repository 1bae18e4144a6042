"""Keys, signatures, hashes and encryption of the PC/SC library, by wire, with good and with bad arguments.

What comes back is compared with OpenSSL's command line, with `cryptography`, and with what was put on the
card; never with this program's own helpers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.outside_world import openssl
from tests.support.servisign_page import Text
from tests.support.servisign_shop import (
    DATA,
    DIGESTS,
    HASHES,
    RSA_PKCS,
    SIGNATURES,
    Bad,
    Good,
    Row,
    Shop,
    Table,
    b64,
    octets_of,
    soft_signature,
)

TABLE = Table()
KEY_24 = bytes(range(24))
NO_MODULE, NO_SESSION = {"ulModuleHandle": 99}, {"ulModuleHandle": 99, "ulSessionHandle": 99}


@TABLE.good("ATL_GetKeyObjectHandle")
def _(shop: Shop) -> None:
    handles = [shop.key(kind, param) for kind in (0, 1) for param in ("1", "2")]
    handles.append(shop.key(2, b64(KEY_24)))
    assert len(set(handles)) == 5


@TABLE.bad("ATL_GetKeyObjectHandle")
def _(shop: Shop) -> Iterator[Row]:
    wanted = {"key_id": Text(""), "param": Text("1"), "iKeyType": 0}
    yield {**shop.session, **wanted, "iKeyType": 3}, "0", "5005"
    yield {**shop.session, **wanted, "param": Text("3")}, "0", "5005"
    yield {**shop.session, **wanted, "iKeyType": 2, "param": b64(b"short")}, "0", "9025"
    yield {**shop.session, **wanted, "iKeyType": 2, "param": Text("%%%")}, "0", "5008"
    yield {**NO_SESSION, **wanted}, "0", "5006"


@TABLE.good("ATL_DeleteKeyObject")
def _(shop: Shop) -> None:
    key = shop.key(0, "1")
    assert shop.page.good("ATL_DeleteKeyObject", **shop.session, ulKeyObjectHandle=key) == "0"
    assert shop.page.failing("ATL_DeleteKeyObject", **shop.session, ulKeyObjectHandle=key)[1] == "9024"


@TABLE.bad("ATL_DeleteKeyObject")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.session, "ulKeyObjectHandle": 0}, "9024", "9024"
    yield {**shop.session, "ulKeyObjectHandle": shop.session["ulSessionHandle"]}, "9024", "9024"
    yield {**NO_SESSION, "ulKeyObjectHandle": 1}, "5006", "5006"


@TABLE.good("ATL_GetCertificateFromGPKICard")
def _(shop: Shop) -> None:
    for index in range(5):
        text = shop.page.good(
            "ATL_GetCertificateFromGPKICard", **shop.session, iCertId=index, readerName=Text("")
        )
        lines = text.split("\n")
        assert lines.pop() == ""
        assert len(lines) > 10
        assert all(len(line) == 64 for line in lines[:-1])
        assert base64.b64decode("".join(lines), validate=True) == shop.certificate(index)


@TABLE.bad("ATL_GetCertificateFromGPKICard")
def _(shop: Shop) -> Iterator[Row]:
    for wrong in (5, -1):
        yield {**shop.session, "iCertId": wrong, "readerName": Text("")}, "", "5005"
    yield {**shop.module, "ulSessionHandle": 99, "iCertId": 1, "readerName": Text("")}, "", "9046"


@TABLE.good("ATL_HashFunction")
def _(shop: Shop) -> None:
    for algorithm, name in DIGESTS.items():
        digest = shop.page.good("ATL_HashFunction", **shop.session, ulAlgorithm=algorithm, b64Data=b64(DATA))
        assert octets_of(digest) == hashlib.new(name, DATA).digest()


@TABLE.bad("ATL_HashFunction")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.session, "ulAlgorithm": 0x210, "b64Data": b64(DATA)}, "", "9034"
    yield {**shop.session, "ulAlgorithm": 0x250, "b64Data": Text("not base64!")}, "", "5008"
    yield {**NO_SESSION, "ulAlgorithm": 0x250, "b64Data": b64(DATA)}, "", "5006"


def _signs(function: str, reverse: bool, **more: int) -> Good:
    def check(shop: Shop) -> None:
        for param, index in (("1", 1), ("2", 2)):
            key = shop.key(0, param)
            for algorithm, name in SIGNATURES.items():
                signature = octets_of(
                    shop.page.good(
                        function,
                        **shop.session,
                        ulAlgorithm=algorithm,
                        **more,
                        b64Data=b64(DATA),
                        ulPvKeyObject=key,
                    )
                )
                shop.signature_holds(index, name, signature[::-1] if reverse else signature)

    return check


TABLE.good("ATL_MakeSignature")(_signs("ATL_MakeSignature", reverse=False))
TABLE.good("ATL_MakeSignatureEx")(_signs("ATL_MakeSignatureEx", reverse=True))


@TABLE.good("ATL_MakeSignatureEx2")
def _(shop: Shop) -> None:
    _signs("ATL_MakeSignatureEx2", reverse=False, ulEndianness=0)(shop)
    _signs("ATL_MakeSignatureEx2", reverse=True, ulEndianness=1)(shop)


@TABLE.bad("ATL_MakeSignature", "ATL_MakeSignatureEx", "ATL_MakeSignatureEx2")
def _(shop: Shop) -> Iterator[Row]:
    key = shop.key(0, "1")
    right = {**shop.session, "ulAlgorithm": 0x40, "b64Data": b64(DATA), "ulPvKeyObject": key}
    yield {**right, "ulAlgorithm": RSA_PKCS}, "", "9034"
    yield {**right, "ulPvKeyObject": shop.key(1, "1")}, "", "9026"
    yield {**right, "ulPvKeyObject": "0"}, "", "9024"
    yield {**right, "b64Data": Text("*")}, "", "5008"
    # What a login signs is never signed as a document.
    yield {**right, "b64Data": b64(bytes(64))}, "", "9014"
    yield {**right, **NO_SESSION}, "", "5006"


@TABLE.good("ATL_SignWithoutHash")
def _(shop: Shop) -> None:
    key = shop.key(0, "1")
    for name in HASHES:
        digest = b64(hashlib.new(name, DATA).digest())
        signature = shop.page.good("ATL_SignWithoutHash", **shop.session, b64Data=digest, ulPvKeyObject=key)
        shop.signature_holds(1, name, octets_of(signature))


@TABLE.bad("ATL_SignWithoutHash")
def _(shop: Shop) -> Iterator[Row]:
    right = {**shop.session, "b64Data": b64(bytes(32)), "ulPvKeyObject": shop.key(0, "1")}
    yield {**right, "b64Data": b64(bytes(31))}, "", "9015"
    yield {**right, "ulPvKeyObject": 99}, "", "9024"
    yield {**right, "b64Data": Text("*")}, "", "5008"


@TABLE.good("ATL_VerifySignature")
def _(shop: Shop) -> None:
    private, public = shop.key(0, "1"), shop.key(1, "1")
    signature = shop.page.good(
        "ATL_MakeSignature", **shop.session, ulAlgorithm=0x40, b64Data=b64(DATA), ulPvKeyObject=private
    )
    given = {"ulAlgorithm": 0x40, "b64Data": b64(DATA), "ulPubKeyObject": public}
    assert shop.page.good("ATL_VerifySignature", **shop.session, **given, b64Sig=Text(signature)) == "0"


@TABLE.bad("ATL_VerifySignature")
def _(shop: Shop) -> Iterator[Row]:
    key = shop.key(1, "1")
    right = {**shop.session, "ulAlgorithm": 0x40, "b64Data": b64(DATA), "ulPubKeyObject": key}
    foreign = b64(soft_signature(shop.authority, DATA))
    yield {**right, "b64Sig": foreign}, "9052", "9052"
    yield {**right, "b64Sig": Text("")}, "9052", "9052"
    yield {**right, "ulAlgorithm": 1, "b64Sig": foreign}, "9034", "9034"
    yield {**right, "ulPubKeyObject": shop.key(0, "1"), "b64Sig": foreign}, "9026", "9026"


@TABLE.good("ATL_VerifySignatureByCert")
def _(shop: Shop) -> None:
    for algorithm, name in SIGNATURES.items():
        signature = b64(soft_signature(shop.authority, DATA, name))
        given = {"b64Cert": b64(shop.authority.sender.der), "ulAlgorithm": algorithm, "b64Data": b64(DATA)}
        assert shop.page.good("ATL_VerifySignatureByCert", **given, b64Sig=signature) == "0"


@TABLE.bad("ATL_VerifySignatureByCert")
def _(shop: Shop) -> Iterator[Row]:
    signature = b64(soft_signature(shop.authority, DATA))
    right = {"b64Cert": b64(shop.authority.sender.der), "ulAlgorithm": 0x40, "b64Data": b64(DATA)}
    yield {**right, "b64Data": b64(DATA + b"!"), "b64Sig": signature}, "9052", "9052"
    yield {**right, "ulAlgorithm": 0x42, "b64Sig": signature}, "9052", "9052"
    yield {**right, "b64Cert": b64(b"0\x03\x02\x01\x01"), "b64Sig": signature}, "5060", "5060"
    yield {**right, "b64Cert": Text(""), "b64Sig": signature}, "5060", "5060"


@TABLE.good("ATL_VerifySignatureByCert2")
def _(shop: Shop) -> None:
    for name in SIGNATURES.values():
        signature = b64(soft_signature(shop.authority, DATA, name))
        given = {"b64Cert": b64(shop.authority.sender.der), "b64Data": b64(DATA)}
        assert shop.page.good("ATL_VerifySignatureByCert2", **given, b64Sig=signature) == "0"


@TABLE.bad("ATL_VerifySignatureByCert2")
def _(shop: Shop) -> Iterator[Row]:
    signature = soft_signature(shop.authority, DATA)
    right = {"b64Cert": b64(shop.authority.sender.der), "b64Data": b64(DATA)}
    yield {**right, "b64Sig": b64(signature[::-1])}, "9052", "9052"
    yield {**right, "b64Data": b64(b""), "b64Sig": b64(signature)}, "9052", "9052"
    yield {**right, "b64Cert": b64(shop.authority.ca.der), "b64Sig": b64(signature)}, "9052", "9052"


@TABLE.good("ATL_CryptSignatureGetAlgorithm")
def _(shop: Shop) -> None:
    expected = {"sha1": "1.2.840.113549.1.1.5", "sha224": "1.2.840.113549.1.1.14",
                "sha256": "1.2.840.113549.1.1.11", "sha384": "1.2.840.113549.1.1.12",
                "sha512": "1.2.840.113549.1.1.13"}  # fmt: skip
    for name, oid in expected.items():
        signature = b64(soft_signature(shop.authority, DATA, name))
        given = {"b64Cert": b64(shop.authority.sender.der), "b64Sig": signature, "flags": 0}
        assert shop.page.good("ATL_CryptSignatureGetAlgorithm", **given) == oid


@TABLE.bad("ATL_CryptSignatureGetAlgorithm")
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": b64(shop.authority.sender.der), "b64Sig": b64(bytes(256)), "flags": 0}, "", "9052"
    yield {"b64Cert": b64(b"x"), "b64Sig": b64(bytes(256)), "flags": 0}, "", "5060"


@TABLE.good("ATL_PublicKeyEncryption")
def _(shop: Shop) -> None:
    given = {"ulAlgorithm": RSA_PKCS, "b64Data": b64(DATA), "ulPubKeyObject": shop.key(1, "2")}
    cipher = Text(shop.page.good("ATL_PublicKeyEncryption", **shop.session, **given))
    assert len(octets_of(cipher)) == 256
    given = {"ulAlgorithm": RSA_PKCS, "b64Cipher": cipher, "ulPvKeyObject": shop.key(0, "2")}
    assert octets_of(shop.page.good("ATL_PrivateKeyDecryption", **shop.session, **given)) == DATA


@TABLE.bad("ATL_PublicKeyEncryption")
def _(shop: Shop) -> Iterator[Row]:
    key = shop.key(1, "2")
    right = {**shop.session, "ulAlgorithm": RSA_PKCS, "b64Data": b64(DATA), "ulPubKeyObject": key}
    yield {**right, "b64Data": b64(bytes(246))}, "", "9020"
    yield {**right, "ulAlgorithm": 6}, "", "9034"
    yield {**right, "ulPubKeyObject": shop.key(0, "2")}, "", "9026"


@TABLE.good("ATL_PublicKeyEncryptionByCert")
def _(shop: Shop) -> None:
    given = {"b64Cert": b64(shop.authority.sender.der), "ulAlgorithm": RSA_PKCS, "b64Data": b64(DATA)}
    cipher = octets_of(shop.page.good("ATL_PublicKeyEncryptionByCert", **given))
    assert shop.authority.sender.key.decrypt(cipher, padding.PKCS1v15()) == DATA


@TABLE.bad("ATL_PublicKeyEncryptionByCert")
def _(shop: Shop) -> Iterator[Row]:
    right = {"b64Cert": b64(shop.authority.sender.der), "ulAlgorithm": RSA_PKCS, "b64Data": b64(DATA)}
    yield {**right, "ulAlgorithm": 9}, "", "9034"
    yield {**right, "b64Data": b64(bytes(300))}, "", "9020"
    yield {**right, "b64Cert": b64(b"?")}, "", "5060"


@TABLE.good("ATL_PrivateKeyDecryption")
def _(shop: Shop) -> None:
    cipher = b64(shop.encrypted(2, DATA))
    given = {"ulAlgorithm": RSA_PKCS, "b64Cipher": cipher, "ulPvKeyObject": shop.key(0, "2")}
    assert octets_of(shop.page.good("ATL_PrivateKeyDecryption", **shop.session, **given)) == DATA


@TABLE.bad("ATL_PrivateKeyDecryption")
def _(shop: Shop) -> Iterator[Row]:
    right = {**shop.session, "ulAlgorithm": RSA_PKCS, "ulPvKeyObject": shop.key(0, "2")}
    yield {**right, "b64Cipher": b64(shop.encrypted(1, DATA))}, "", "9019"
    yield {**right, "b64Cipher": b64(b"short")}, "", "9019"
    cipher = b64(shop.encrypted(2, DATA))
    yield {**right, "b64Cipher": cipher, "ulPvKeyObject": shop.key(0, "1")}, "", "9031"
    yield {**right, "b64Cipher": cipher, "ulAlgorithm": 3}, "", "9034"


@TABLE.good("ATL_GenerateSessionKey")
def _(shop: Shop) -> None:
    keys = {octets_of(shop.page.good("ATL_GenerateSessionKey", length=24)) for _ in range(3)}
    assert {len(key) for key in keys} == {24}
    assert len(keys) == 3


@TABLE.bad("ATL_GenerateSessionKey")
def _(_shop: Shop) -> Iterator[Row]:
    for wrong in (0, -1, 65):
        yield {"length": wrong}, "", "9025"


PLAIN = b"sixteen bytes ok"
IV = "0011223344556677"


def _des3(mode: str, key: bytes, plain: bytes) -> bytes:
    vector = ("-iv", IV) if mode == "cbc" else ()
    cipher = "-des-ede3-cbc" if mode == "cbc" else "-des-ede3"
    return openssl("enc", cipher, "-K", key.hex(), *vector, "-nopad", data=plain)


@TABLE.good("ATL_SymEncryptionAlg")
def _(shop: Shop) -> None:
    key = shop.key(2, b64(KEY_24))
    for algorithm, mode in ((0x132, "ecb"), (0x133, "cbc")):
        given = {"ulAlgorithm": algorithm, "b64Data": b64(PLAIN), "hexIv": Text(IV), "ulSsKeyObject": key}
        cipher = octets_of(shop.page.good("ATL_SymEncryptionAlg", **shop.session, **given))
        assert cipher == _des3(mode, KEY_24, PLAIN)


@TABLE.good("ATL_SymDecryptionAlg")
def _(shop: Shop) -> None:
    key = shop.key(2, b64(KEY_24))
    for algorithm, mode in ((0x132, "ecb"), (0x133, "cbc")):
        cipher = b64(_des3(mode, KEY_24, PLAIN))
        given = {"ulAlgorithm": algorithm, "b64Cipher": cipher, "hexIv": Text(IV), "ulSsKeyObject": key}
        assert octets_of(shop.page.good("ATL_SymDecryptionAlg", **shop.session, **given)) == PLAIN


def _bad_symmetric(name: str, length_code: str) -> Bad:
    def rows(shop: Shop) -> Iterator[Row]:
        key = shop.key(2, b64(KEY_24))
        right = {
            **shop.session,
            "ulAlgorithm": 0x133,
            name: b64(PLAIN),
            "hexIv": Text(IV),
            "ulSsKeyObject": key,
        }
        yield {**right, name: b64(b"odd")}, "", length_code
        yield {**right, "hexIv": Text("00")}, "", "9035"
        yield {**right, "hexIv": Text("zz")}, "", "9035"
        yield {**right, "ulAlgorithm": 0x999}, "", "9034"
        yield {**right, "ulSsKeyObject": shop.key(0, "1")}, "", "9024"

    return rows


TABLE.bad("ATL_SymEncryptionAlg")(_bad_symmetric("b64Data", "9015"))
TABLE.bad("ATL_SymDecryptionAlg")(_bad_symmetric("b64Cipher", "9020"))


@pytest.mark.parametrize("name", TABLE.rightly)
def test_with_good_arguments_it_does_what_it_says(shop, name):
    TABLE.try_good(shop, name)


@pytest.mark.parametrize("name", TABLE.wrongly)
def test_with_bad_arguments_it_fails_with_the_number_that_is_written(shop, name):
    TABLE.try_bad(shop, name)


def test_what_signs_is_what_sha256_says(shop):
    """The table above trusts OpenSSL; this asks `cryptography` once."""
    given = {"ulAlgorithm": 0x40, "b64Data": b64(DATA), "ulPvKeyObject": shop.key(0, "1")}
    signature = octets_of(shop.page.good("ATL_MakeSignature", **shop.session, **given))
    key = x509.load_der_x509_certificate(shop.certificate(1)).public_key()
    key.verify(signature, DATA, padding.PKCS1v15(), SHA256())
