"""Certificates, names and revocation lists of the PC/SC library, by wire, with good and with bad arguments.

What comes back is compared with OpenSSL's command line, with `cryptography`, and with what was put on the
card; never with this program's own helpers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cryptography import x509

from tests.support.outside_world import openssl
from tests.support.servisign_page import Text
from tests.support.servisign_shop import (
    Bad,
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
)

TABLE = Table()


@TABLE.good("ATL_VerifyCertSignature")
def _(shop: Shop) -> None:
    given = {"cert": b64(shop.authority.good.der), "caCert": b64(shop.authority.ca.der)}
    assert shop.page.good("ATL_VerifyCertSignature", **given) == "0"
    card, issuer = shop.certificate(1), shop.certificate(0)
    ca = shop.file("issuer.pem", pem(issuer))
    openssl("verify", "-partial_chain", "-CAfile", ca, shop.file("card.pem", pem(card)))
    assert shop.page.good("ATL_VerifyCertSignature", cert=b64(card), caCert=b64(issuer)) == "0"


@TABLE.bad("ATL_VerifyCertSignature")
def _(shop: Shop) -> Iterator[Row]:
    yield {"cert": b64(shop.authority.good.der), "caCert": b64(shop.authority.sender.der)}, "5016", "5016"
    yield {"cert": Text(""), "caCert": b64(shop.authority.ca.der)}, "5060", "5060"
    yield {"cert": Text("~"), "caCert": b64(shop.authority.ca.der)}, "5008", "5008"


@TABLE.good("ATL_GetSerialNumber")
def _(shop: Shop) -> None:
    der = shop.authority.good.der
    said = field_of(openssl("x509", "-noout", "-serial", data=pem(der)))
    assert shop.page.good("ATL_GetSerialNumber", b64Cert=b64(der)) == "00" + said
    assert shop.page.good("ATL_GetSerialNumber", b64Cert=b64(shop.authority.ca.der)) == "01"


def _name_of(shop: Shop, which: str) -> str:
    options = "RFC2253,-esc_msb,utf8"
    return field_of(
        openssl("x509", "-noout", f"-{which}", "-nameopt", options, data=pem(shop.authority.good.der))
    )


def _names(function: str, which: str, *, reverse: bool) -> Good:
    def check(shop: Shop) -> None:
        # OpenSSL writes names as LDAP does; the plain functions keep the order of the certificate.
        said = _name_of(shop, which).replace("emailAddress=", "Email=")
        parts = re.findall(r"(?:[^\\,]|\\.)+", said)
        expected = ",".join(parts if reverse else reversed(parts))
        assert shop.page.good(function, b64Cert=b64(shop.authority.good.der)) == expected

    return check


TABLE.good("ATL_GetCertSubjectDN")(_names("ATL_GetCertSubjectDN", "subject", reverse=False))
TABLE.good("ATL_GetCertIssuerDN")(_names("ATL_GetCertIssuerDN", "issuer", reverse=False))
TABLE.good("ATL_GetLDAPTypeCertSubjectDN")(_names("ATL_GetLDAPTypeCertSubjectDN", "subject", reverse=True))
TABLE.good("ATL_GetLDAPTypeCertIssuerDN")(_names("ATL_GetLDAPTypeCertIssuerDN", "issuer", reverse=True))


@TABLE.good("ATL_GetRDNFromDN")
def _(shop: Shop) -> None:
    dn = shop.page.good("ATL_GetCertSubjectDN", b64Cert=b64(shop.authority.good.der))
    for rdn, expected in {
        "CN": "王,小明+\\",
        "C": "TW",
        "O": "測試機關",
        "Email": "a@example.tw",
        "OU": "",
    }.items():
        given = {"dn": Text(dn), "codePage": Text("MS950"), "iFlags": 0, "rdn": Text(rdn)}
        assert shop.page.good("ATL_GetRDNFromDN", **given) == expected


@TABLE.bad("ATL_GetRDNFromDN")
def _(_shop: Shop) -> Iterator[Row]:
    given = {"codePage": Text("MS950"), "iFlags": 0, "rdn": Text("CN")}
    yield {**given, "dn": Text("no name at all")}, "", "0"
    yield {**given, "dn": Text("")}, "", "0"


def _dates(function: str, which: str) -> Good:
    def check(shop: Shop) -> None:
        der = shop.authority.good.der
        said = field_of(openssl("x509", "-noout", f"-{which}", data=pem(der)))
        assert shop.page.good(function, b64Cert=b64(der)) == ctime(said)

    return check


TABLE.good("ATL_GetCertNotBefore")(_dates("ATL_GetCertNotBefore", "startdate"))
TABLE.good("ATL_GetCertNotAfter")(_dates("ATL_GetCertNotAfter", "enddate"))


@TABLE.bad(
    "ATL_GetSerialNumber",
    "ATL_GetCertSubjectDN",
    "ATL_GetCertIssuerDN",
    "ATL_GetLDAPTypeCertSubjectDN",
    "ATL_GetLDAPTypeCertIssuerDN",
    "ATL_GetCertNotBefore",
    "ATL_GetCertNotAfter",
    "ATL_GetCertExtension",
    "ATL_GetCertPublicKey",
)
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": Text("")}, "", "5060"
    yield {"b64Cert": Text("!")}, "", "5008"
    yield {"b64Cert": b64(shop.authority.good.der[:-1])}, "", "5060"
    yield {"b64Cert": b64(b"\x30\x80" * 400)}, "", "5060"


@TABLE.good("ATL_GetExtension")
def _(shop: Shop) -> None:
    der = shop.certificate(1)
    for item in x509.load_der_x509_certificate(der).extensions:
        given = {"b64Cert": b64(der), "oid": Text(item.oid.dotted_string)}
        assert octets_of(shop.page.good("ATL_GetExtension", **given)) == item.value.public_bytes()


@TABLE.bad("ATL_GetExtension")
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": b64(shop.authority.good.der), "oid": Text("1.2.3")}, "", "5050"
    yield {"b64Cert": b64(shop.authority.good.der), "oid": Text("")}, "", "5050"


@TABLE.good("ATL_GetCertExtension")
def _(shop: Shop) -> None:
    der = shop.certificate(1)
    expected = [item.oid.dotted_string for item in x509.load_der_x509_certificate(der).extensions]
    assert shop.page.good("ATL_GetCertExtension", b64Cert=b64(der)) == ",".join(expected)


@TABLE.good("ATL_GetSubjectDirectoryAttributes")
def _(shop: Shop) -> None:
    given = {"b64Cert": b64(shop.certificate(1)), "oid": Text("2.16.886.1.100.2.1")}
    der = octets_of(shop.page.good("ATL_GetSubjectDirectoryAttributes", **given))
    said = openssl("asn1parse", "-inform", "DER", "-in", shop.file("value", der)).decode()
    assert said.strip().endswith("OBJECT            :2.16.886.1.100.3.1.7")


@TABLE.bad("ATL_GetSubjectDirectoryAttributes")
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": b64(shop.certificate(1)), "oid": Text("2.16.886.1.100.2.9")}, "", "5050"
    yield {"b64Cert": b64(shop.authority.good.der), "oid": Text("2.16.886.1.100.2.1")}, "", "5050"


@TABLE.good("ATL_ExtractOIDFromDerCode")
def _(shop: Shop) -> None:
    for oid in ("2.16.886.1.100.3.1.7", "2.16.886.1.100.3.2.21", "1.2.840.113549.1.1.11"):
        der = openssl("asn1parse", "-genstr", f"OID:{oid}", "-noout", "-out", "/dev/stdout")
        assert shop.page.good("ATL_ExtractOIDFromDerCode", b64DerCode=b64(der)) == oid


@TABLE.bad("ATL_ExtractOIDFromDerCode")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"b64DerCode": b64(b"\x02\x01\x05")}, "", "5050"
    yield {"b64DerCode": b64(b"\x06\x05\x01")}, "", "5040"
    yield {"b64DerCode": Text("")}, "", "5040"


@TABLE.good("ATL_GetCertPublicKey")
def _(shop: Shop) -> None:
    said = "".join(public_pem(shop.authority.good.der).decode().split("\n")[1:-2])
    assert shop.page.good("ATL_GetCertPublicKey", b64Cert=b64(shop.authority.good.der)) == said


@TABLE.good("ATL_GetCertKeyUsage")
def _(shop: Shop) -> None:
    for der, expected in ((shop.authority.good.der, "digitalSignature,nonRepudiation"),
                          (shop.authority.ca.der, "keyCertSign,cRLSign")):  # fmt: skip
        assert shop.page.good("ATL_GetCertKeyUsage", b64Cert=b64(der)) == expected


@TABLE.bad("ATL_GetCertKeyUsage")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": Text("AAAA")}, "", "5060"


@TABLE.good("ATL_CryptCertGetSignatureAlgorithm")
def _(shop: Shop) -> None:
    for der in (shop.authority.good.der, shop.certificate(1)):
        oid = x509.load_der_x509_certificate(der).signature_algorithm_oid.dotted_string
        assert shop.page.good("ATL_CryptCertGetSignatureAlgorithm", b64Cert=b64(der), flag=0) == oid


@TABLE.bad("ATL_CryptCertGetSignatureAlgorithm")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"b64Cert": Text(""), "flag": 0}, "", "5060"


@TABLE.good("ATL_VerifyCRLSignature")
def _(shop: Shop) -> None:
    given = {"b64Crl": b64(shop.authority.crl), "b64CACert": b64(shop.authority.ca.der)}
    assert shop.page.good("ATL_VerifyCRLSignature", **given) == "0"


@TABLE.bad("ATL_VerifyCRLSignature")
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Crl": b64(shop.authority.crl), "b64CACert": b64(shop.authority.sender.der)}, "5032", "5032"
    yield {"b64Crl": b64(shop.authority.good.der), "b64CACert": b64(shop.authority.ca.der)}, "5040", "5040"


@TABLE.good("ATL_SearchCRL_GetCertStatus")
def _(shop: Shop) -> None:
    for serial, expected in (("A2", "1"), ("00a2", "1"), ("A3", "0")):
        given = {"b64Crl": b64(shop.authority.crl), "certSN": Text(serial)}
        assert shop.page.good("ATL_SearchCRL_GetCertStatus", **given) == expected


@TABLE.good("ATL_SearchCRL_GetRevokedReason")
def _(shop: Shop) -> None:
    given = {"certSN": Text("A2")}
    crl = b64(shop.authority.crl)
    assert shop.page.good("ATL_SearchCRL_GetRevokedReason", b64Crl=crl, **given) == "4"
    # An empty list is the last one.
    assert shop.page.good("ATL_SearchCRL_GetRevokedReason", b64Crl=Text(""), **given) == "4"


@TABLE.good("ATL_SearchCRL_GetRevokedDate")
def _(shop: Shop) -> None:
    given = {"b64Crl": b64(shop.authority.crl), "certSN": Text("A2")}
    assert shop.page.good("ATL_SearchCRL_GetRevokedDate", **given) == ctime("2026-01-15 03:04:05 UTC")


def _bad_search(failure: str) -> Bad:
    def rows(shop: Shop) -> Iterator[Row]:
        yield {"b64Crl": Text(""), "certSN": Text("A2")}, failure, "5050"
        yield {"b64Crl": b64(shop.authority.crl), "certSN": Text("not hex")}, failure, "5005"
        yield {"b64Crl": b64(b"0\x00"), "certSN": Text("A2")}, failure, "5040"

    return rows


TABLE.bad("ATL_SearchCRL_GetCertStatus")(_bad_search("-1"))
TABLE.bad("ATL_SearchCRL_GetRevokedReason")(_bad_search("-1"))
TABLE.bad("ATL_SearchCRL_GetRevokedDate")(_bad_search(""))


@TABLE.good("ATL_GetCRLInfo_GetIssuerDN")
def _(shop: Shop) -> None:
    given = {"b64Crl": b64(shop.authority.crl)}
    assert shop.page.good("ATL_GetCRLInfo_GetIssuerDN", **given) == "C=TW,O=測試機關,CN=CA"


def _crl_dates(function: str, which: str) -> Good:
    def check(shop: Shop) -> None:
        file = shop.file("crl", shop.authority.crl)
        said = field_of(openssl("crl", "-inform", "DER", "-noout", f"-{which}", "-in", file))
        assert shop.page.good(function, b64Crl=b64(shop.authority.crl)) == ctime(said)

    return check


TABLE.good("ATL_GetCRLInfo_GetThisUpdate")(_crl_dates("ATL_GetCRLInfo_GetThisUpdate", "lastupdate"))
TABLE.good("ATL_GetCRLInfo_GetNextUpdate")(_crl_dates("ATL_GetCRLInfo_GetNextUpdate", "nextupdate"))


@TABLE.bad("ATL_GetCRLInfo_GetIssuerDN", "ATL_GetCRLInfo_GetThisUpdate", "ATL_GetCRLInfo_GetNextUpdate")
def _(shop: Shop) -> Iterator[Row]:
    yield {"b64Crl": Text("")}, "", "5050"
    yield {"b64Crl": b64(shop.authority.ca.der)}, "", "5040"


@pytest.mark.parametrize("name", TABLE.rightly)
def test_with_good_arguments_it_does_what_it_says(shop, name):
    TABLE.try_good(shop, name)


@pytest.mark.parametrize("name", TABLE.wrongly)
def test_with_bad_arguments_it_fails_with_the_number_that_is_written(shop, name):
    TABLE.try_bad(shop, name)
