"""Time stamps, OCSP and the directory, by wire, against servers of OpenSSL's on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from asn1crypto.ocsp import OCSPRequest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import ocsp

from agent.vocabulary import Verb
from tests.support.ldap_server import Entry
from tests.support.openssl import openssl_program
from tests.support.outside_world import openssl
from tests.support.servisign_page import Text, items
from tests.support.servisign_shop import (
    DATA,
    Row,
    Shop,
    Table,
    b64,
    octets_of,
    soft_signature,
)
from tests.support.servisign_stamps import infos, infos_are_right, server, stamp, stamp_holds, stamp_text

TABLE = Table()
NONCE = "00a1b2c3d4e5f60718"
UNKNOWN_SERIAL = 0x77AA


# Time stamps


def no_stamp_for(wrong: str, code: str, shop: Shop, **arguments: Text) -> Row:
    return {**server(shop), "b64Data": b64(DATA), **arguments}, wrong, code


@TABLE.good("ATL_TSQuery")
def _(shop: Shop) -> None:
    first, second = stamp(shop), stamp(shop)
    stamp_holds(shop, first)
    assert stamp_text(shop, first)["Nonce"] != stamp_text(shop, second)["Nonce"]
    path, question = shop.place.outside.requests[-1]
    assert path == "/"
    said = openssl("ts", "-query", "-in", shop.file("question", question), "-text").decode()
    assert "Hash Algorithm: sha256" in said
    assert "Certificate required: yes" in said


@TABLE.bad("ATL_TSQuery")
def _(shop: Shop) -> Iterator[Row]:
    yield no_stamp_for("", "5008", shop, b64Data=Text("???"))
    before = len(shop.place.outside.requests)
    yield no_stamp_for("", "5906", shop, hostport=Text("80"))
    # The same server under a name that nobody listed.
    yield no_stamp_for("", "5906", shop, hostname=Text("localhost"))
    for host in ("evil.example", "127.0.0.1@evil.example", "127.0.0.1/", "", "file:///etc/passwd"):
        yield no_stamp_for("", "5906", shop, hostname=Text(host))
    yield no_stamp_for("", "5906", shop, hostport=Text("0"))
    yield no_stamp_for("", "5906", shop, hostport=Text("99999"))
    yield no_stamp_for("", "5906", shop, hostport=Text("x"))
    assert len(shop.place.outside.requests) == before


@TABLE.good("ATL_TSVerify")
def _(shop: Shop) -> None:
    answer = stamp(shop)
    stamp_holds(shop, answer)
    assert shop.page.good("ATL_TSVerify", b64Data=b64(DATA), b64TSRes=b64(answer)) == "0"


@TABLE.bad("ATL_TSVerify")
def _(shop: Shop) -> Iterator[Row]:
    answer = stamp(shop)
    yield {"b64Data": b64(DATA + b"."), "b64TSRes": b64(answer)}, "5035", "5035"
    # The signature is the last octet string.
    yield {"b64Data": b64(DATA), "b64TSRes": b64(answer[:-1] + bytes((answer[-1] ^ 1,)))}, "5036", "5036"
    # The stamp's time, changed after it was signed.
    year = str(time.gmtime().tm_year).encode()
    at = answer.index(b"\x18\x0f" + year) + 2
    changed = answer[:at] + b"2001" + answer[at + 4 :]
    yield {"b64Data": b64(DATA), "b64TSRes": b64(changed)}, "5036", "5036"
    yield {"b64Data": b64(DATA), "b64TSRes": b64(answer[:-3])}, "5040", "5040"
    yield {"b64Data": b64(DATA), "b64TSRes": Text("")}, "5040", "5040"
    # PKIStatus rejection.
    yield {"b64Data": b64(DATA), "b64TSRes": b64(bytes.fromhex("30053003020102"))}, "5061", "5061"


@TABLE.good("ATL_GetTSInfo")
def _(shop: Shop) -> None:
    answer = stamp(shop)
    infos_are_right(shop, answer, infos(shop, answer, "ATL_GetTSInfo", "b64TSRes", "param"))


@TABLE.bad("ATL_GetTSInfo")
def _(shop: Shop) -> Iterator[Row]:
    answer = b64(stamp(shop))
    for wrong in (7, -1):
        yield {"b64TSRes": answer, "param": wrong}, "", "5005"
    yield {"b64TSRes": b64(shop.authority.ca.der), "param": 0}, "", "5040"


# OCSP


def serials(shop: Shop) -> str:
    known = (shop.authority.good, shop.authority.revoked)
    return ",".join(f"{each.certificate.serial_number:X}" for each in known) + f",{UNKNOWN_SERIAL:x}"


def to_be_signed(shop: Shop, nonce: str = NONCE) -> bytes:
    return octets_of(
        shop.page.good(
            "ATL_BuildTobesignedOCSPRequest",
            certSN=Text(serials(shop)),
            hexNonce=Text(nonce),
            b64ReqIssuerCert=b64(shop.authority.ca.der),
        )
    )


def question(shop: Shop, **others: Text | int) -> dict[str, Text | int]:
    tbs = to_be_signed(shop)
    return {
        "certSNs": Text(serials(shop)),
        "b64TbsOcspReq": b64(tbs),
        "b64TbsReqSig": b64(soft_signature(shop.authority, tbs)),
        "b64ReqIssuerCert": b64(shop.authority.ca.der),
        "b64SenderCert": b64(shop.authority.sender.der),
        "b64ServerCert": b64(shop.authority.responder.der),
        "serverUrl": Text(f"http://{shop.place.outside.http}/cgi-bin/OCSP/ocsp_server.exe"),
        "porxyName": Text("proxy.evil.example"),
        "proxyPort": 8080,
        **others,
    }


def asked(shop: Shop) -> None:
    assert shop.page.good("ATL_QueryOCSfromSignedOCSPRequest", **question(shop)) == "0"


@TABLE.good("ATL_BuildTobesignedOCSPRequest")
def _(shop: Shop) -> None:
    tbs = to_be_signed(shop)
    whole = openssl("ocsp", "-reqin", shop.file("request", _sequence(tbs)), "-req_text").decode()
    for each in (shop.authority.good, shop.authority.revoked):
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            each.certificate, shop.authority.ca.certificate, SHA1()
        )
        expected = builder.build()
        assert f"Issuer Name Hash: {expected.issuer_name_hash.hex().upper()}" in whole
        assert f"Issuer Key Hash: {expected.issuer_key_hash.hex().upper()}" in whole
        assert f"Serial Number: {expected.serial_number:02X}" in whole
    assert bytes.fromhex(NONCE) in tbs
    assert "OCSP Nonce" in whole
    without = openssl("ocsp", "-reqin", shop.file("request", _sequence(to_be_signed(shop, ""))), "-req_text")
    assert b"OCSP Nonce" not in without


def _sequence(content: bytes) -> bytes:
    """An unsigned OCSPRequest of a TBSRequest."""
    assert 128 <= len(content) < 65536
    length = len(content).to_bytes(2, "big")
    return b"\x30\x82" + length + content


@TABLE.bad("ATL_BuildTobesignedOCSPRequest")
def _(shop: Shop) -> Iterator[Row]:
    right = {"certSN": Text("01"), "hexNonce": Text(""), "b64ReqIssuerCert": b64(shop.authority.ca.der)}
    for wrong in ("", "xyz", "1,,2", ",".join(["1"] * 65)):
        yield {**right, "certSN": Text(wrong)}, "", "5005"
    yield {**right, "hexNonce": Text("0")}, "", "5005"
    yield {**right, "hexNonce": Text("00" * 129)}, "", "5401"
    yield {**right, "b64ReqIssuerCert": Text("")}, "", "5060"


@TABLE.good("ATL_QueryOCSfromSignedOCSPRequest")
def _(shop: Shop) -> None:
    asked(shop)
    path, body = shop.place.outside.requests[-1]
    assert path == "/cgi-bin/OCSP/ocsp_server.exe"
    # What was sent is what was signed, with the sender's certificate.
    sent = OCSPRequest.load(body)
    signed = sent["optional_signature"]
    shop.authority.sender.key.public_key().verify(
        signed["signature"].native, sent["tbs_request"].dump(), padding.PKCS1v15(), SHA256()
    )
    assert signed["certs"][0].dump() == shop.authority.sender.der
    openssl("ocsp", "-reqin", shop.file("request", body), "-req_text")
    # SHA-1, as portals still sign.
    tbs = to_be_signed(shop)
    old = b64(soft_signature(shop.authority, tbs, "sha1"))
    given = question(shop, b64TbsOcspReq=b64(tbs), b64TbsReqSig=old)
    assert shop.page.good("ATL_QueryOCSfromSignedOCSPRequest", **given) == "0"


@TABLE.bad("ATL_QueryOCSfromSignedOCSPRequest")
def _(shop: Shop) -> Iterator[Row]:
    outside = shop.place.outside
    before = len(outside.requests)
    for url in ("http://evil.example/", "http://127.0.0.1/", "https://" + outside.http + "x/",
                f"ftp://{outside.http}/", f"http://{outside.http}@evil.example/", "file:///etc/passwd", "",
                f"http://localhost:{outside.http_port}/", f"http://{outside.http}/ \r\nX: y"):  # fmt: skip
        yield question(shop, serverUrl=Text(url)), "5906", "5906"
    yield question(shop, certSNs=Text("01")), "5005", "5005"
    yield question(shop, b64TbsReqSig=b64(soft_signature(shop.authority, b"other"))), "9052", "9052"
    yield question(shop, b64TbsOcspReq=b64(b"\x30\x00")), "5401", "5401"
    yield question(shop, b64ServerCert=Text("")), "5060", "5060"
    assert len(outside.requests) == before
    # Another's signature under the answer.
    yield question(shop, b64ServerCert=b64(shop.authority.tsa.der)), "5036", "5036"
    # The answer to another question: the nonce is not this one's.
    old = outside.authority.ocsp(outside.requests[-1][1])
    tbs = octets_of(
        shop.page.good(
            "ATL_BuildTobesignedOCSPRequest",
            certSN=Text(serials(shop)),
            hexNonce=Text("ffff"),
            b64ReqIssuerCert=b64(shop.authority.ca.der),
        )
    )
    outside.broken = 200, old
    signature = b64(soft_signature(shop.authority, tbs))
    yield question(shop, b64TbsOcspReq=b64(tbs), b64TbsReqSig=signature), "5401", "5401"
    outside.broken = 200, b"no DER"
    yield question(shop), "5401", "5401"
    for broken in ((404, b"?"), (302, b""), (200, bytes(70000))):
        outside.broken = broken
        yield question(shop), "5500", "5500"
    outside.broken = None


@TABLE.good("ATL_OCSPGetResponseStatus")
def _(shop: Shop) -> None:
    asked(shop)
    assert [shop.page.good("ATL_OCSPGetResponseStatus", idx=index) for index in range(3)] == ["0"] * 3
    # tryLater (RFC 6960 §4.2.1): an answer, and nothing to know from it.
    shop.place.outside.broken = 200, bytes.fromhex("30030a0103")
    asked(shop)
    shop.place.outside.broken = None
    assert shop.page.good("ATL_OCSPGetResponseStatus", idx=0) == "3"
    assert shop.page.failing("ATL_OCSPGetCertStatus", idx=0) == ("-1", "5050")


@TABLE.good("ATL_OCSPGetCertStatus")
def _(shop: Shop) -> None:
    asked(shop)
    assert [shop.page.good("ATL_OCSPGetCertStatus", idx=index) for index in range(3)] == ["0", "1", "2"]


@TABLE.good("ATL_OCSPGetRevokeReason")
def _(shop: Shop) -> None:
    asked(shop)
    assert shop.page.good("ATL_OCSPGetRevokeReason", idx=1) == "1"  # keyCompromise in the index
    assert shop.page.failing("ATL_OCSPGetRevokeReason", idx=0) == ("-1", "5050")


def _bad_index(shop: Shop) -> Iterator[Row]:
    yield {"idx": 0}, "-1", "5050"
    asked(shop)
    for wrong in (3, -1):
        yield {"idx": wrong}, "-1", "5005"
    # A query that fails leaves nothing of the one before it.
    shop.page.failing(
        "ATL_QueryOCSfromSignedOCSPRequest", **question(shop, serverUrl=Text("http://x.example/"))
    )
    yield {"idx": 0}, "-1", "5050"


TABLE.bad("ATL_OCSPGetResponseStatus", "ATL_OCSPGetCertStatus", "ATL_OCSPGetRevokeReason")(_bad_index)


# The directory


def look_for(**wanted: str) -> dict[str, Text]:
    names = ("uniqueID", "email", "cn", "ou", "serialNumber", "fullDN")
    return {name: Text(wanted.get(name, "")) for name in names}


@TABLE.good("ATL_GetCertFromLDAP")
def _(shop: Shop) -> None:
    directory, authority = shop.place.outside.directory, shop.authority
    both, alone = [authority.good.der, authority.sender.der], authority.tsa.der
    directory.entries[:] = [
        Entry("cn=王*(小明),o=x,c=TW", {"cn": "王*(小明)", "mail": "a@b.tw"}, tuple(both)),
        Entry("cn=other,c=TW", {"serialnumber": "42", "uniqueidentifier": "7", "ou": "u"}, (alone,)),
    ]

    def found(**wanted: str) -> list[bytes]:
        return [
            octets_of(text) for text in items(shop.page.good("ATL_GetCertFromLDAP", **look_for(**wanted)))
        ]

    assert found(cn="王*(小明)") == both
    assert found(cn="王*(小明)", email="a@b.tw") == both
    assert found(serialNumber="42", uniqueID="7", ou="u") == [alone]
    assert found(fullDN="cn=other,c=TW") == [alone]
    assert directory.searches[-4:] == [
        ("c=TW", 2, {"cn": "王*(小明)"}),
        ("c=TW", 2, {"mail": "a@b.tw", "cn": "王*(小明)"}),
        ("c=TW", 2, {"uniqueIdentifier": "7", "ou": "u", "serialNumber": "42"}),
        ("cn=other,c=TW", 0, {}),
    ]


@TABLE.bad("ATL_GetCertFromLDAP")
def _(shop: Shop) -> Iterator[Row]:
    directory = shop.place.outside.directory
    before = len(directory.searches)
    yield look_for(), "", "5005"
    yield look_for(cn="x" * 1001), "", "5005"
    assert len(directory.searches) == before
    yield look_for(cn="*"), "", "5010"
    yield look_for(cn="nobody)(cn=*"), "", "5010"
    directory.result = 10
    yield look_for(cn="nobody"), "", "5010"
    directory.result = 0


@pytest.mark.parametrize("name", TABLE.rightly)
def test_with_good_arguments_it_does_what_it_says(shop, name):
    TABLE.try_good(shop, name)


@pytest.mark.parametrize("name", TABLE.wrongly)
def test_with_bad_arguments_it_fails_with_the_number_that_is_written(shop, name):
    TABLE.try_bad(shop, name)


def test_an_origin_that_may_not_read_the_card_makes_nothing_connect(shop):
    consents = shop.place.person._consents
    before = len(shop.place.outside.requests), len(shop.place.outside.directory.searches)
    shop.place.person._consents = dict.fromkeys(Verb, False)
    try:
        stranger = shop.place.page(origin="https://stranger.example.tw")
        for name, arguments in (
            ("ATL_TSQuery", {**server(shop), "b64Data": b64(DATA)}),
            ("ATL_GetCertFromLDAP", look_for(cn="x")),
            ("ATL_QueryOCSfromSignedOCSPRequest", question(shop)),
            ("HCA_TSQuery", {"data": b64(DATA), "flag": 0}),
        ):
            assert stranger.call(name, **arguments) in ("", "61906")
            assert stranger.call("ATL_GetErrorCode") == "61906"
    finally:
        shop.place.person._consents = consents
    assert before == (len(shop.place.outside.requests), len(shop.place.outside.directory.searches))


def test_what_is_no_stamp_never_reaches_the_page(shop):
    openssl_program()
    outside = shop.place.outside
    for broken, code in (((200, b"secret page of the intranet"), "5040"), ((200, b"\x30\x00"), "5040"),
                         ((500, b"oops"), "5500"), ((302, b""), "5500"), ((200, bytes(70000)), "5500"),
                         ((200, bytes.fromhex("30053003020102")), "5061")):  # fmt: skip
        outside.broken = broken
        try:
            assert shop.page.failing("ATL_TSQuery", **server(shop), b64Data=b64(DATA)) == ("", code)
        finally:
            outside.broken = None
    # A stamp for another question: nonces are fresh, so an old one never fits.
    old = stamp(shop)
    outside.broken = 200, old
    try:
        assert shop.page.failing("ATL_TSQuery", **server(shop), b64Data=b64(DATA)) == ("", "5035")
    finally:
        outside.broken = None


def test_no_redirect_is_followed(shop):
    outside = shop.place.outside
    outside.broken = 302, b""
    before = len(outside.requests)
    try:
        assert shop.page.failing("HCA_TSQuery", data=b64(DATA), flag=0) == ("", "5500")
    finally:
        outside.broken = None
    assert [path for path, _ in outside.requests[before:]] == ["/"]
