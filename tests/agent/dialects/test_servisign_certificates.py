import base64
from datetime import UTC, datetime

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID, ObjectIdentifier

from hca_card import tlv
from tests.support.platforms import WINDOWS
from tests.support.servisign_page import Page, Text
from tests.support.software_card import der, issue, root, rsa_key, signature_certificate
from tests.support.time_zone import in_taiwan

HPC_OID = "2.16.886.1.100.3.1.7"
SUBJECT_TYPE = "2.16.886.1.100.2.1"


def b64(octets: bytes) -> Text:
    return Text(base64.b64encode(octets).decode())


def wrapped(octets: bytes) -> Text:
    return Text(base64.encodebytes(octets).decode())


def named(*rdns: list[tuple[ObjectIdentifier, str]], **how: object) -> bytes:
    """A certificate with that subject."""
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn])
            for rdn in rdns
        ]
    )
    serial = how.get("serial", 1)
    assert isinstance(serial, int)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(rsa_key("ca").public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2014, 12, 27, 5, 41, 7, tzinfo=UTC))
        .not_valid_after(datetime(2024, 2, 3, 5, 4, 9, tzinfo=UTC))
    )
    return der(builder.sign(rsa_key("ca"), hashes.SHA256()))


SUBJECT = named(
    [(NameOID.COUNTRY_NAME, "TW")],
    [(NameOID.ORGANIZATION_NAME, "行政院")],
    [(NameOID.ORGANIZATIONAL_UNIT_NAME, 'A, B + "C" \\ <D>; #=')],
    [(NameOID.ORGANIZATIONAL_UNIT_NAME, "second")],
    [(NameOID.COMMON_NAME, " 王小明 "), (NameOID.SERIAL_NUMBER, "0000000000335361")],
    [(NameOID.EMAIL_ADDRESS, "doctor@example.tw")],
)


@pytest.fixture
def taipei():
    if WINDOWS:
        pytest.skip("Windows has no time zone of a process")
    with in_taiwan():
        yield


async def test_names_keep_the_certificates_order_and_ldap_reverses_it(page):
    plain = await page.good("ATL_GetCertSubjectDN", b64Cert=b64(signature_certificate()))
    assert plain == "C=TW,O=測試,CN=測試人員卡,serialNumber=0000000000335361"
    reverse = await page.good("ATL_GetLDAPTypeCertSubjectDN", b64Cert=b64(signature_certificate()))
    assert reverse == "serialNumber=0000000000335361,CN=測試人員卡,O=測試,C=TW"
    issuer = await page.good("ATL_GetCertIssuerDN", b64Cert=wrapped(signature_certificate()))
    assert issuer.startswith("C=TW,O=測試,CN=測試憑證中心")
    reverse = await page.good("ATL_GetLDAPTypeCertIssuerDN", b64Cert=wrapped(signature_certificate()))
    assert reverse.endswith("CN=測試憑證中心,O=測試,C=TW")


@pytest.mark.parametrize("function", ["ATL_GetCertSubjectDN", "ATL_GetLDAPTypeCertSubjectDN"])
@pytest.mark.parametrize(
    ("rdn", "value"),
    [
        ("C", "TW"),
        ("c", "TW"),
        ("O", "行政院"),
        ("CN", " 王小明 "),
        ("serialNumber", "0000000000335361"),
        ("SERIALNUMBER", "0000000000335361"),
        ("Email", "doctor@example.tw"),
        ("E", "doctor@example.tw"),
        ("emailAddress", "doctor@example.tw"),
        ("L", ""),
        ("", ""),
    ],
)
async def test_a_part_of_a_name_comes_back_as_the_certificate_has_it(page, function, rdn, value):
    dn = await page.good(function, b64Cert=b64(SUBJECT))
    found = await page.good("ATL_GetRDNFromDN", dn=Text(dn), codePage=Text("MS950"), iFlags=0, rdn=Text(rdn))
    assert found == value


async def test_special_characters_survive_the_way_through_a_name(page):
    dn = await page.good("ATL_GetCertSubjectDN", b64Cert=b64(SUBJECT))
    found = await page.good("ATL_GetRDNFromDN", dn=Text(dn), codePage=Text(""), iFlags=0, rdn=Text("OU"))
    assert found == 'A, B + "C" \\ <D>; #='


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "#", " ", "=,=", "\\", "CN=x", "+", "a\\,CN=other"])
async def test_a_hostile_name_cannot_pretend_to_be_another(page, value):
    hostile = named([(NameOID.ORGANIZATION_NAME, value)], [(NameOID.COMMON_NAME, "right")])
    dn = await page.good("ATL_GetCertSubjectDN", b64Cert=b64(hostile))
    assert dn.isprintable()
    for rdn, wanted in (("CN", "right"), ("O", value)):
        found = await page.good("ATL_GetRDNFromDN", dn=Text(dn), codePage=Text(""), iFlags=0, rdn=Text(rdn))
        assert found == wanted


@pytest.mark.parametrize(
    "dn", ["", ",", ",,,", "CN", "=", "\\", "CN=a\\", "CN=a\\zz", "+", "CN=" + "a" * 9999]
)
async def test_a_name_nobody_wrote_is_read_without_trouble(page, dn):
    await page.good("ATL_GetRDNFromDN", dn=Text(dn), codePage=Text(""), iFlags=0, rdn=Text("CN"))


@pytest.mark.parametrize(
    ("serial", "text"),
    [(1, "01"), (0x80, "0080"), (0xFF << 120, "00FF" + "00" * 15), (0x1234ABCD, "1234ABCD")],
)
async def test_a_serial_number_keeps_its_leading_octets(page, serial, text):
    certificate = named([(NameOID.COMMON_NAME, "x")], serial=serial)
    assert await page.good("ATL_GetSerialNumber", b64Cert=b64(certificate)) == text


async def test_dates_are_laid_out_as_c_lays_them_out_in_local_time(page, taipei):
    assert await page.good("ATL_GetCertNotBefore", b64Cert=b64(SUBJECT)) == "Sat Dec 27 13:41:07 2014\n"
    assert await page.good("ATL_GetCertNotAfter", b64Cert=b64(SUBJECT)) == "Sat Feb  3 13:04:09 2024\n"


def with_attributes() -> bytes:
    attribute = core.SequenceOf(
        spec=core.Any,
        value=[
            core.Any(core.ObjectIdentifier(SUBJECT_TYPE)),
            core.Any(core.SetOf(spec=core.ObjectIdentifier, value=[core.ObjectIdentifier(HPC_OID)])),
        ],
    )
    encoded = core.SequenceOf(spec=core.Any, value=[core.Any(attribute)]).dump()
    return issue(
        key=rsa_key("signature"),
        extensions=(x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.9"), encoded),),
    )


async def test_the_holders_type_is_found_as_the_vendors_sample_finds_it(page):
    certificate = b64(with_attributes())
    extension = await page.good("ATL_GetExtension", b64Cert=certificate, oid=Text("2.5.29.9"))
    assert base64.b64decode(extension).startswith(b"\x30")
    value = await page.good("ATL_GetSubjectDirectoryAttributes", b64Cert=certificate, oid=Text(SUBJECT_TYPE))
    assert base64.b64decode(value) == core.ObjectIdentifier(HPC_OID).dump()
    assert await page.good("ATL_ExtractOIDFromDerCode", b64DerCode=Text(value)) == HPC_OID


async def test_an_oid_is_found_inside_sets_and_sequences_too(page):
    inside = core.SetOf(spec=core.ObjectIdentifier, value=[core.ObjectIdentifier(HPC_OID)]).dump()
    assert await page.good("ATL_ExtractOIDFromDerCode", b64DerCode=b64(inside)) == HPC_OID


async def test_what_a_certificate_does_not_have_is_told(page):
    certificate = b64(signature_certificate())
    assert await page.failing("ATL_GetExtension", b64Cert=certificate, oid=Text("1.2.3")) == ("", "5050")
    assert await page.failing(
        "ATL_GetSubjectDirectoryAttributes", b64Cert=certificate, oid=Text(SUBJECT_TYPE)
    ) == ("", "5050")
    other = b64(with_attributes())
    assert await page.failing(
        "ATL_GetSubjectDirectoryAttributes", b64Cert=other, oid=Text("2.16.886.1.100.2.57")
    ) == ("", "5050")


async def test_algorithms_key_and_usage_are_told(page):
    certificate = b64(signature_certificate())
    assert (
        await page.good("ATL_CryptCertGetSignatureAlgorithm", b64Cert=certificate, flag=0)
        == await page.good("CryptCertGetSignatureAlgorithm", strCert=certificate, iFlags=0)
        == "1.2.840.113549.1.1.11"
    )
    assert await page.good("ATL_GetCertKeyUsage", b64Cert=certificate) == "digitalSignature"
    assert await page.good("ATL_GetCertKeyUsage", b64Cert=b64(root())) == "keyCertSign,cRLSign"
    key = serialization.load_der_public_key(
        base64.b64decode(await page.good("ATL_GetCertPublicKey", b64Cert=certificate))
    )
    assert key == rsa_key("signature").public_key()


async def test_the_signature_on_a_certificate_is_checked_with_the_ca_given(page):
    good, ca = b64(signature_certificate()), b64(root())
    assert await page.good("ATL_VerifyCertSignature", cert=good, caCert=ca) == "0"
    assert await page.failing("ATL_VerifyCertSignature", cert=good, caCert=good) == ("5016", "5016")
    assert await page.failing("ATL_VerifyCertSignature", cert=ca, caCert=Text("")) == ("5060", "5060")


async def test_a_certificate_is_validated_for_its_time_too(page):
    now = datetime.now(UTC)
    year = now.replace(year=now.year + 1, day=1), now.replace(year=now.year - 1, day=1)
    current = issue(key=rsa_key("signature"), begins=year[1], ends=year[0])
    expired = issue(key=rsa_key("signature"), begins=datetime(2014, 1, 1, tzinfo=UTC), ends=year[1])
    early = issue(key=rsa_key("signature"), begins=year[0], ends=year[0].replace(year=now.year + 2))
    for certificate, code in ((current, "0"), (expired, "5011"), (early, "5012")):
        result, error = await page.failing(
            "HCA_CertValidate", bCert=b64(certificate), bCACert=b64(root()), flag=0
        )
        assert result == error == code
    result, _ = await page.failing(
        "HCA_CertValidate", bCert=b64(current), bCACert=b64(signature_certificate()), flag=0
    )
    assert result == "5016"


ONE_CERTIFICATE = (
    "ATL_GetSerialNumber",
    "ATL_GetCertIssuerDN",
    "ATL_GetCertSubjectDN",
    "ATL_GetLDAPTypeCertIssuerDN",
    "ATL_GetLDAPTypeCertSubjectDN",
    "ATL_GetCertNotBefore",
    "ATL_GetCertNotAfter",
    "ATL_GetCertPublicKey",
    "ATL_GetCertKeyUsage",
    "ATL_CryptCertGetSignatureAlgorithm",
)

HOSTILE = {
    "nothing": b"",
    "one byte": b"\x30",
    "a length that lies": b"\x30\x84\xff\xff\xff\xff" + signature_certificate()[4:],
    "cut": signature_certificate()[:-1],
    "something after": signature_certificate() + b"\0",
    "nested deeply": b"\x30\x80" * 5000,
    "nested with lengths": b"".join(b"\x30\x82" + bytes(divmod(4 * n, 256)) for n in range(999, -1, -1)),
    "no certificate": core.SequenceOf(spec=core.Integer, value=[1, 2, 3]).dump(),
    "random": bytes(range(256)) * 4,
}  # fmt: skip


def with_nested_name(depth: int) -> bytes:
    """A certificate whose subject has an attribute of sequences in sequences."""
    certificate = tlv.read(signature_certificate())[0]
    tbs, *rest = certificate.children
    value = b"\x05\x00"
    for _ in range(depth):
        value = tlv.Tlv(0x30, value).encode()
    attribute = tlv.Tlv(0x30, core.ObjectIdentifier("1.2.3.4").dump() + value)
    fields = list(tbs.children)
    fields[5] = tlv.Tlv(0x30, tlv.Tlv(0x31, attribute.encode()).encode())
    body = tlv.Tlv(0x30, b"".join(item.encode() for item in fields))
    return tlv.Tlv(0x30, b"".join(item.encode() for item in (body, *rest))).encode()


async def test_a_name_of_sequences_in_sequences_is_written_or_refused(page):
    written = await page.good("ATL_GetCertSubjectDN", b64Cert=b64(with_nested_name(2)))
    assert written == "1.2.3.4=#300430020500"
    for depth in (50, 3000):
        certificate = b64(with_nested_name(depth))
        assert await page.failing("ATL_GetCertSubjectDN", b64Cert=certificate) == ("", "5060")


@pytest.mark.parametrize("octets", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_certificate_is_told_by_every_function(page, octets):
    for function in ONE_CERTIFICATE:
        result, code = await page.failing(function, b64Cert=b64(octets))
        assert result == ""
        assert code in ("5060", "5050"), function


@pytest.mark.slow
async def test_a_damaged_certificate_is_never_an_error_nobody_foresaw(page):
    good = signature_certificate()
    for position in range(0, len(good), 7):
        damaged = good[:position] + bytes((good[position] ^ 0xFF,)) + good[position + 1 :]
        for function in ONE_CERTIFICATE:
            _, code = await page.failing(function, b64Cert=b64(damaged))
            assert code != "9999", (position, function)
        for arguments in (
            {"b64Cert": b64(damaged), "b64Data": Text("YQ=="), "b64Sig": Text("YQ==")},
            {"cert": b64(damaged), "caCert": b64(root())},
            {"cert": b64(good), "caCert": b64(damaged)},
        ):
            function = "ATL_VerifySignatureByCert2" if "b64Sig" in arguments else "ATL_VerifyCertSignature"
            _, code = await page.failing(function, **arguments)
            assert code != "9999", (position, function)


async def test_a_certificate_that_is_no_base64_is_told_so(page):
    assert await page.failing("ATL_GetSerialNumber", b64Cert=Text("not base64!")) == ("", "5008")


async def test_computing_works_before_any_module_is_open(dialect):
    page = Page(dialect.handle, "https://anywhere.example")
    await page.echo()
    assert await page.good("ATL_GetSerialNumber", b64Cert=b64(signature_certificate()))
