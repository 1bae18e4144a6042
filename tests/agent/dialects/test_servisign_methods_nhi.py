"""Every function of the NHI-reader library, by wire, with an ordinary reader.

What it is compared with is said in `test_servisign_methods_card.py`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support.outside_world import openssl
from tests.support.servisign_page import Text, items
from tests.support.servisign_shop import (
    DATA,
    DIGESTS,
    HASHES,
    Good,
    Row,
    Shop,
    Table,
    b64,
    ctime,
    field_of,
    octets_of,
    pem,
    public_pem,
    soft_signature,
)
from tests.support.servisign_stamps import infos, infos_are_right, server, stamp_holds
from tests.support.servisign_wire import PIN, PUK

TABLE = Table()
PERSON = ["測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A"]
NEW_PIN = "654321"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.nhi = True
    return shop


@TABLE.good("HCA_OpenCOMPort")
def _(shop: Shop) -> None:
    assert [shop.page.good("HCA_OpenCOMPort", comport=port) for port in range(4)] == ["0"] * 4


@TABLE.bad("HCA_OpenCOMPort")
def _(shop: Shop) -> Iterator[Row]:
    card = shop.place.card
    shop.place.reader.remove()
    yield {"comport": 0}, "30037", "30037"
    shop.place.reader.insert(card)
    shop.place.put("nhi")
    yield {"comport": 0}, "30037", "30037"
    shop.place.put("hpc")


@TABLE.good("HCA_CloseCOMPort")
def _(shop: Shop) -> None:
    shop.port(PIN)
    assert shop.page.good("HCA_CloseCOMPort") == "0"
    assert shop.page.failing("HCA_GetCardSN") == ("", "9038")


@TABLE.bad("HCA_CloseCOMPort", "HCA_UnlockHPC")
def _(_shop: Shop) -> Iterator[Row]:
    yield {}, "9038", "9038"


def _card_value(name: str, expected: str, failure: str) -> None:
    def check(shop: Shop) -> None:
        shop.port()
        assert shop.page.good(name) == expected

    def rows(shop: Shop) -> Iterator[Row]:
        yield {}, failure, "9038"
        shop.port()
        card = shop.place.card
        shop.place.reader.remove()
        yield {}, failure, "30037"
        shop.place.put("hop")
        yield {}, failure, "9018"
        shop.place.reader.remove()
        shop.place.reader.insert(card)
        shop.place.card = card

    TABLE.good(name)(check)
    TABLE.bad(name)(rows)


for _name, _value, _failure in (
    ("HCA_GetCardVersion", "2", ""), ("HCA_GetCardType", "1", ""), ("HCA_GetCardSN", "000000335361", ""),
    ("HCA_GetBasicData", ";".join(PERSON) + ";", ""), ("HCA_GetBasicDataCount", "6", "-1"),
    ("HCA_GetCardInfoCount", "3", "-1"), ("HCA_GetKeySize", "256", "-1"), ("HCA_GetCertType", "2", "-1"),
):  # fmt: skip
    _card_value(_name, _value, _failure)
TABLE.bad("HCA_GetCardInfo")(TABLE.wrongly["HCA_GetBasicData"])


@TABLE.good("HCA_GetCardInfo")
def _(shop: Shop) -> None:
    shop.port()
    issued, begins, ends = items(shop.page.good("HCA_GetCardInfo"))
    assert issued == begins < ends
    assert all(re.fullmatch(r"1\d{6}", date) for date in (issued, begins, ends))


@TABLE.good("HCA_GetBasicDataByIndex")
def _(shop: Shop) -> None:
    shop.port()
    assert [shop.page.good("HCA_GetBasicDataByIndex", index=index) for index in range(6)] == PERSON


@TABLE.good("HCA_GetCardInfoByIndex")
def _(shop: Shop) -> None:
    shop.port()
    found = [shop.page.good("HCA_GetCardInfoByIndex", index=index) for index in range(3)]
    assert found == items(shop.page.good("HCA_GetCardInfo"))


@TABLE.bad("HCA_GetBasicDataByIndex", "HCA_GetCardInfoByIndex")
def _(shop: Shop) -> Iterator[Row]:
    yield {"index": 0}, "", "9038"
    shop.port()
    for wrong in (6, -1):
        yield {"index": wrong}, "", "5005"


@TABLE.good("HCA_VerifyPIN")
def _(shop: Shop) -> None:
    shop.port(PIN)
    # On the key pad, the page thinks: the person is asked by this program.
    shop.place.answers.append(PIN)
    assert shop.page.good("HCA_VerifyPIN", pincode=Text(""), flag=1) == "0"
    assert not shop.place.answers


@TABLE.bad("HCA_VerifyPIN")
def _(shop: Shop) -> Iterator[Row]:
    yield {"pincode": Text(PIN), "flag": 0}, "9038", "9038"
    shop.port()
    yield {"pincode": Text("999999"), "flag": 0}, "9039", "9039"
    assert shop.place.card.pin_tries == 2
    shop.port(PIN)
    yield {"pincode": Text("12"), "flag": 0}, "9041", "9041"
    yield {"pincode": Text(""), "flag": 1}, "9001", "9001"


@TABLE.good("HCA_SetPIN")
def _(shop: Shop) -> None:
    shop.place.put("hpc-locked")
    shop.port()
    given = {"newPincode": Text(NEW_PIN), "pukcode": Text(PUK), "flag": 0}
    assert shop.page.good("HCA_SetPIN", **given) == "0"
    shop.port(NEW_PIN)
    # Nothing given: the person enters both.
    shop.place.pairs.append((PUK, PIN))
    assert shop.page.good("HCA_SetPIN", newPincode=Text(""), pukcode=Text(""), flag=1) == "0"
    shop.port(PIN)
    shop.place.put("hpc")


@TABLE.bad("HCA_SetPIN")
def _(shop: Shop) -> Iterator[Row]:
    yield {"newPincode": Text(NEW_PIN), "pukcode": Text(PUK), "flag": 0}, "9038", "9038"
    shop.port()
    yield {"newPincode": Text(NEW_PIN), "pukcode": Text("00000000"), "flag": 0}, "9039", "9039"
    assert shop.place.card.puk_tries == 9
    yield {"newPincode": Text("1"), "pukcode": Text(PUK), "flag": 0}, "9041", "9041"
    yield {"newPincode": Text(NEW_PIN), "pukcode": Text(""), "flag": 0}, "9001", "9001"
    shop.place.put("hpc")


@TABLE.good("HCA_UnlockHPC")
def _(shop: Shop) -> None:
    shop.place.put("hpc-locked")
    shop.port()
    shop.place.pairs.append((PUK, NEW_PIN))
    assert shop.page.good("HCA_UnlockHPC") == "0"
    shop.port(NEW_PIN)
    shop.place.put("hpc")


def _signs(function: str, *, reverse: bool, name: str = "sha1", **more: int) -> Good:
    def check(shop: Shop) -> None:
        shop.port(PIN)
        signature = octets_of(shop.page.good(function, data=b64(DATA), **more, flag=0))
        shop.signature_holds(1, name, signature[::-1] if reverse else signature)

    return check


TABLE.good("HCA_SignMessage")(_signs("HCA_SignMessage", reverse=False))
TABLE.good("HCA_SignMessageEx")(_signs("HCA_SignMessageEx", reverse=True))


@TABLE.good("HCA_SignMessageEx2")
def _(shop: Shop) -> None:
    for flag, name in {1: "sha1", 2: "sha256", **DIGESTS}.items():
        _signs("HCA_SignMessageEx2", reverse=False, name=name, hashflag=flag)(shop)


@TABLE.good("HCA_SignDigest")
def _(shop: Shop) -> None:
    shop.port(PIN)
    for name in HASHES:
        digest = b64(hashlib.new(name, DATA).digest())
        shop.signature_holds(1, name, octets_of(shop.page.good("HCA_SignDigest", data=digest, flag=0)))


@TABLE.bad("HCA_SignMessage", "HCA_SignMessageEx")
def _(shop: Shop) -> Iterator[Row]:
    yield {"data": b64(DATA), "flag": 0}, "", "9038"
    shop.port()
    yield {"data": b64(DATA), "flag": 0}, "", "9001"  # no PIN yet: the person is asked, and cancels
    yield {"data": b64(bytes(96)), "flag": 0}, "", "9014"
    yield {"data": Text("*"), "flag": 0}, "", "5008"


@TABLE.bad("HCA_SignMessageEx2")
def _(shop: Shop) -> Iterator[Row]:
    shop.port(PIN)
    yield {"data": b64(DATA), "hashflag": 3, "flag": 0}, "", "9034"
    yield {"data": b64(bytes(128)), "hashflag": 2, "flag": 0}, "", "9014"


@TABLE.bad("HCA_SignDigest")
def _(shop: Shop) -> Iterator[Row]:
    shop.port(PIN)
    yield {"data": b64(bytes(19)), "flag": 0}, "", "9015"
    yield {"data": Text("*"), "flag": 0}, "", "5008"


@TABLE.good("HCA_LoadCert")
def _(shop: Shop) -> None:
    assert shop.page.good("HCA_LoadCert", bCert=b64(shop.authority.sender.der), flag=0) == "0"


@TABLE.bad("HCA_LoadCert")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"bCert": b64(b"no certificate"), "flag": 0}, "5060", "5060"
    yield {"bCert": Text(""), "flag": 0}, "5060", "5060"


@TABLE.good("HCA_VerifySignMessage")
def _(shop: Shop) -> None:
    shop.page.good("HCA_LoadCert", bCert=b64(shop.authority.sender.der), flag=0)
    for name in HASHES:
        signature = b64(soft_signature(shop.authority, DATA, name))
        assert shop.page.good("HCA_VerifySignMessage", bData=b64(DATA), bSig=signature, flag=0) == "0"


@TABLE.bad("HCA_VerifySignMessage")
def _(shop: Shop) -> Iterator[Row]:
    signature = b64(soft_signature(shop.authority, DATA))
    yield {"bData": b64(DATA), "bSig": signature, "flag": 0}, "5010", "5010"
    shop.page.good("HCA_LoadCert", bCert=b64(shop.authority.sender.der), flag=0)
    yield {"bData": b64(DATA + b"?"), "bSig": signature, "flag": 0}, "9052", "9052"
    yield {"bData": b64(DATA), "bSig": b64(b"short"), "flag": 0}, "9052", "9052"


@TABLE.good("HCA_PublicEncrypt")
def _(shop: Shop) -> None:
    shop.page.good("HCA_LoadCert", bCert=b64(shop.authority.sender.der), flag=0)
    cipher = octets_of(shop.page.good("HCA_PublicEncrypt", data=b64(DATA), flag=0))
    assert shop.authority.sender.key.decrypt(cipher, padding.PKCS1v15()) == DATA


@TABLE.bad("HCA_PublicEncrypt")
def _(shop: Shop) -> Iterator[Row]:
    yield {"data": b64(DATA), "flag": 0}, "", "5010"
    shop.page.good("HCA_LoadCert", bCert=b64(shop.authority.sender.der), flag=0)
    yield {"data": b64(bytes(246)), "flag": 0}, "", "9020"


@TABLE.good("HCA_PrivateDecrypt")
def _(shop: Shop) -> None:
    shop.port(PIN)
    assert (
        octets_of(shop.page.good("HCA_PrivateDecrypt", cipher=b64(shop.encrypted(2, DATA)), flag=0)) == DATA
    )


@TABLE.bad("HCA_PrivateDecrypt")
def _(shop: Shop) -> Iterator[Row]:
    yield {"cipher": b64(bytes(256)), "flag": 0}, "", "9038"
    shop.port(PIN)
    yield {"cipher": b64(bytes(256)), "flag": 0}, "", "9019"
    yield {"cipher": b64(shop.encrypted(1, DATA)), "flag": 0}, "", "9019"


@TABLE.good("HCA_GetCert")
def _(shop: Shop) -> None:
    shop.port()
    for flag, index in {0: 0, 1: 1, 2: 2, 3: 4}.items():
        text = shop.page.good("HCA_GetCert", flag=flag)
        assert text.endswith("\n")
        assert len(text.split("\n")) > 10
        assert all(len(line) == 64 for line in text.split("\n")[:-2])
        assert base64.b64decode(text) == shop.certificate(index)
        shop.port()


@TABLE.bad("HCA_GetCert")
def _(shop: Shop) -> Iterator[Row]:
    yield {"flag": 1}, "", "9038"
    shop.port()
    yield {"flag": 4}, "", "5005"
    shop.place.put("hpc-v1")
    shop.port()
    yield {"flag": 2}, "", "9100"
    shop.place.put("hpc")


@TABLE.good("HCA_GetCertAttr")
def _(shop: Shop) -> None:
    der = shop.authority.good.der
    found = [shop.page.good("HCA_GetCertAttr", bCert=b64(der), flag=flag) for flag in range(8)]
    serial, issuer, subject, begins, ends, usage, key, algorithm = found
    assert serial == "00" + field_of(openssl("x509", "-noout", "-serial", data=pem(der)))
    assert issuer == "C=TW,O=測試機關,CN=CA"
    assert subject == "C=TW,O=測試機關,CN=王\\,小明\\+\\\\,Email=a@example.tw"
    assert begins == ctime(field_of(openssl("x509", "-noout", "-startdate", data=pem(der))))
    assert ends == ctime(field_of(openssl("x509", "-noout", "-enddate", data=pem(der))))
    assert usage == "digitalSignature,nonRepudiation"
    assert key == "".join(public_pem(der).decode().split("\n")[1:-2])
    assert algorithm == "1.2.840.113549.1.1.11"


@TABLE.bad("HCA_GetCertAttr")
def _(shop: Shop) -> Iterator[Row]:
    for wrong in (8, -1):
        yield {"bCert": b64(shop.authority.good.der), "flag": wrong}, "", "5005"
    yield {"bCert": b64(b"x"), "flag": 0}, "", "5060"


def _stamp(shop: Shop) -> bytes:
    return octets_of(shop.page.good("HCA_TSQuery", data=b64(DATA), flag=0))


@TABLE.good("HCA_TSQuery")
def _(shop: Shop) -> None:
    stamp_holds(shop, _stamp(shop))


@TABLE.bad("HCA_TSQuery")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"data": Text("*"), "flag": 0}, "", "5008"


@TABLE.good("HCA_TSQueryEx")
def _(shop: Shop) -> None:
    host, port = server(shop).values()
    stamp_holds(
        shop, octets_of(shop.page.good("HCA_TSQueryEx", bIP=host, bPort=port, bData=b64(DATA), flag=0))
    )


@TABLE.bad("HCA_TSQueryEx")
def _(shop: Shop) -> Iterator[Row]:
    host, port = server(shop).values()
    yield {"bIP": Text("10.0.0.1"), "bPort": port, "bData": b64(DATA), "flag": 0}, "", "5906"
    yield {"bIP": host, "bPort": Text("22"), "bData": b64(DATA), "flag": 0}, "", "5906"
    yield {"bIP": host, "bPort": port, "bData": Text("*"), "flag": 0}, "", "5008"


@TABLE.good("HCA_TSVerify")
def _(shop: Shop) -> None:
    stamp = _stamp(shop)
    stamp_holds(shop, stamp)
    assert shop.page.good("HCA_TSVerify", bData=b64(DATA), bTimestamp=b64(stamp), flag=0) == "0"


@TABLE.bad("HCA_TSVerify")
def _(shop: Shop) -> Iterator[Row]:
    stamp = b64(_stamp(shop))
    yield {"bData": b64(b""), "bTimestamp": stamp, "flag": 0}, "5035", "5035"
    yield {"bData": b64(DATA), "bTimestamp": b64(b"0"), "flag": 0}, "5040", "5040"


@TABLE.good("HCA_GetTSInfo")
def _(shop: Shop) -> None:
    stamp = _stamp(shop)
    infos_are_right(shop, stamp, infos(shop, stamp, "HCA_GetTSInfo", "bTimestamp", "flag"))


@TABLE.bad("HCA_GetTSInfo")
def _(shop: Shop) -> Iterator[Row]:
    yield {"bTimestamp": b64(_stamp(shop)), "flag": 9}, "", "5005"
    yield {"bTimestamp": Text(""), "flag": 0}, "", "5040"


@TABLE.good("HCA_CertValidate")
def _(shop: Shop) -> None:
    der, ca = shop.authority.good.der, shop.authority.ca.der
    openssl("verify", "-CAfile", shop.file("ca.pem", pem(ca)), shop.file("cert.pem", pem(der)))
    assert shop.page.good("HCA_CertValidate", bCert=b64(der), bCACert=b64(ca), flag=0) == "0"


@TABLE.bad("HCA_CertValidate")
def _(shop: Shop) -> Iterator[Row]:
    der, sender = shop.authority.good.der, shop.authority.sender.der
    yield {"bCert": b64(der), "bCACert": b64(sender), "flag": 0}, "5016", "5016"
    shop.place.put("hpc-expired")
    expired, issuer = b64(shop.certificate(1)), b64(shop.certificate(0))
    yield {"bCert": expired, "bCACert": issuer, "flag": 0}, "5011", "5011"
    shop.place.put("hpc")


@TABLE.good("GetErrorCode")
def _(shop: Shop) -> None:
    assert shop.page.call("GetErrorCode") == "0"
    shop.page.call("HCA_GetCardSN")
    assert shop.page.call("GetErrorCode") == shop.page.call("GetErrorCode") == "9038"


@TABLE.bad("GetErrorCode")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"any": Text("thing")}, "0", "0"


@TABLE.good("HCA_MessageDigest")
def _(shop: Shop) -> None:
    assert octets_of(shop.page.good("HCA_MessageDigest", data=b64(DATA))) == hashlib.sha1(DATA).digest()


@TABLE.bad("HCA_MessageDigest")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"data": Text("*")}, "", "5008"


@TABLE.good("HCA_MessageDigestEx")
def _(shop: Shop) -> None:
    for flag, name in {1: "sha1", 2: "sha256", **DIGESTS}.items():
        digest = shop.page.good("HCA_MessageDigestEx", b64data=b64(DATA), iHashFlag=flag, iFlag=0)
        assert octets_of(digest) == hashlib.new(name, DATA).digest()


@TABLE.bad("HCA_MessageDigestEx")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"b64data": b64(DATA), "iHashFlag": 0x210, "iFlag": 0}, "", "9034"


@TABLE.good("CryptCertGetSignatureAlgorithm")
def _(shop: Shop) -> None:
    der = shop.authority.good.der
    oid = x509.load_der_x509_certificate(der).signature_algorithm_oid.dotted_string
    assert shop.page.good("CryptCertGetSignatureAlgorithm", strCert=b64(der), iFlags=0) == oid


@TABLE.bad("CryptCertGetSignatureAlgorithm")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"strCert": Text(""), "iFlags": 0}, "", "5060"


@TABLE.good("CryptSignatureGetAlgorithm")
def _(shop: Shop) -> None:
    given = {"b64_Signer_Certificate": b64(shop.authority.sender.der), "iFlag": 0}
    for name, arc in {"sha1": 5, "sha256": 11, "sha512": 13}.items():
        signature = b64(soft_signature(shop.authority, DATA, name))
        found = shop.page.good("CryptSignatureGetAlgorithm", b64_p1_Signature=signature, **given)
        assert found == f"1.2.840.113549.1.1.{arc}"


@TABLE.bad("CryptSignatureGetAlgorithm")
def _(shop: Shop) -> Iterator[Row]:
    given = {"b64_Signer_Certificate": b64(shop.authority.sender.der), "iFlag": 0}
    yield {"b64_p1_Signature": b64(bytes(256)), **given}, "", "9052"


@TABLE.good("Util_ReadFileToBase64")
def _(shop: Shop) -> None:
    name = shop.file("secret", b"secret")
    assert shop.page.failing("Util_ReadFileToBase64", bFileName=Text(name)) == ("", "5906")


def _refuses_to_write(function: str, data_name: str) -> None:
    def check(shop: Shop) -> None:
        given = {"bFileName": Text(str(shop.folder / "written")), data_name: Text("00")}
        assert shop.page.failing(function, **given) == ("5906", "5906")
        assert not (shop.folder / "written").exists()

    def rows(_shop: Shop) -> Iterator[Row]:
        yield {"bFileName": Text("..\\x"), data_name: Text("")}, "5906", "5906"

    TABLE.good(function)(check)
    TABLE.bad(function)(rows)


_refuses_to_write("Util_WriteFileFromBase64", "bB64Data")
_refuses_to_write("Util_WriteFileFromHexString", "bHexData")


@TABLE.bad("Util_ReadFileToBase64")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"bFileName": Text("")}, "", "5906"


@pytest.mark.parametrize("name", TABLE.rightly)
def test_with_good_arguments_it_does_what_it_says(shop, name):
    TABLE.try_good(shop, name)


@pytest.mark.parametrize("name", TABLE.wrongly)
def test_with_bad_arguments_it_fails_with_the_number_that_is_written(shop, name):
    TABLE.try_bad(shop, name)
