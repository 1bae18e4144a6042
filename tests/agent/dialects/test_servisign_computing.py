"""Hashes, signatures, encryption, triple DES and revocation lists, without and with key handles."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support.servisign_page import Page, Text
from tests.support.software_card import encryption_certificate, root, rsa_key, signature_certificate

MESSAGE = b"a record"


def b64(octets: bytes) -> Text:
    return Text(base64.b64encode(octets).decode())


@pytest.fixture
async def opened(page: Page) -> dict[str, str]:
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text("123456"))
    return {"ulModuleHandle": module, "ulSessionHandle": session}


async def key(page: Page, opened: dict[str, str], kind: int, param: str) -> str:
    return await page.good(
        "ATL_GetKeyObjectHandle", **opened, iKeyType=kind, key_id=Text(""), param=Text(param)
    )


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(0x220, "sha1"), (0x250, "sha256"), (0x255, "sha224"), (0x260, "sha384"), (0x270, "sha512")],
)
async def test_hashes_go_by_their_pkcs11_numbers(page, opened, algorithm, name):
    digest = await page.good("ATL_HashFunction", **opened, ulAlgorithm=algorithm, b64Data=b64(MESSAGE))
    assert base64.b64decode(digest) == hashlib.new(name, MESSAGE).digest()


async def test_md5_is_not_offered(page, opened):
    assert await page.failing("ATL_HashFunction", **opened, ulAlgorithm=0x210, b64Data=b64(MESSAGE)) == (
        "",
        "9034",
    )


async def test_the_nhi_librarys_digests_go_by_their_flags(page):
    plain = await page.good("HCA_MessageDigest", data=b64(MESSAGE))
    assert base64.b64decode(plain) == hashlib.sha1(MESSAGE).digest()
    for flag, name in ((1, "sha1"), (2, "sha256"), (0x270, "sha512")):
        digest = await page.good("HCA_MessageDigestEx", b64data=b64(MESSAGE), iHashFlag=flag, iFlag=0)
        assert base64.b64decode(digest) == hashlib.new(name, MESSAGE).digest()
    assert await page.failing("HCA_MessageDigestEx", b64data=b64(b""), iHashFlag=9, iFlag=0) == ("", "9034")


async def test_byte_orders_differ_by_function_and_argument(page, opened):
    private = await key(page, opened, 0, "1")
    given = {**opened, "ulAlgorithm": 64}
    end = {"b64Data": b64(MESSAGE), "ulPvKeyObject": private}
    big = base64.b64decode(await page.good("ATL_MakeSignature", **given, **end))
    rsa_key("signature").public_key().verify(big, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    assert base64.b64decode(await page.good("ATL_MakeSignatureEx", **given, **end)) == big[::-1]
    for order, wanted in ((0, big), (1, big[::-1])):
        signature = await page.good("ATL_MakeSignatureEx2", **given, ulEndianness=order, **end)
        assert base64.b64decode(signature) == wanted
    assert await page.failing("ATL_MakeSignatureEx2", **given, ulEndianness=2, **end) == ("", "5005")


async def test_byte_orders_of_the_nhi_library(page):
    await page.good("HCA_OpenCOMPort", comport=0)
    await page.good("HCA_VerifyPIN", pincode=Text("123456"), flag=0)
    big = base64.b64decode(await page.good("HCA_SignMessage", data=b64(MESSAGE), flag=0))
    public = rsa_key("signature").public_key()
    public.verify(big, MESSAGE, padding.PKCS1v15(), hashes.SHA1())
    little = base64.b64decode(await page.good("HCA_SignMessageEx", data=b64(MESSAGE), flag=0))
    assert little == big[::-1]
    chosen = base64.b64decode(await page.good("HCA_SignMessageEx2", data=b64(MESSAGE), hashflag=2, flag=0))
    public.verify(chosen, MESSAGE, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
async def test_a_digests_hash_is_told_by_its_length(page, opened, operations, name):
    operations.digests = True
    private = await key(page, opened, 0, "1")
    digest = b64(hashlib.new(name, MESSAGE).digest())
    for function, arguments in (
        ("ATL_SignWithoutHash", {**opened, "b64Data": digest, "ulPvKeyObject": private}),
        ("HCA_SignDigest", {"data": digest, "flag": 0}),
    ):
        signature = base64.b64decode(await page.good(function, **arguments))
        algorithm = getattr(hashes, name.upper())()
        rsa_key("signature").public_key().verify(signature, MESSAGE, padding.PKCS1v15(), algorithm)


async def test_data_of_no_digests_length_is_not_signed_as_one(page, opened, operations):
    operations.digests = True
    private = await key(page, opened, 0, "1")
    for length in (0, 16, 31, 35, 51):
        assert await page.failing(
            "ATL_SignWithoutHash", **opened, b64Data=b64(bytes(length)), ulPvKeyObject=private
        ) == ("", "9015")


async def test_bare_digests_are_refused_unless_listed(page, opened):
    private = await key(page, opened, 0, "1")
    assert await page.failing(
        "ATL_SignWithoutHash", **opened, b64Data=b64(bytes(32)), ulPvKeyObject=private
    ) == ("", "5906")


async def test_signatures_verify_by_handle_by_certificate_and_by_their_own_hash(page, opened):
    private, public = await key(page, opened, 0, "1"), await key(page, opened, 1, "1")
    certificate = b64(signature_certificate())
    for algorithm, oid in ((6, "1.2.840.113549.1.1.5"), (64, "1.2.840.113549.1.1.11")):
        signature = Text(
            await page.good(
                "ATL_MakeSignature",
                **opened,
                ulAlgorithm=algorithm,
                b64Data=b64(MESSAGE),
                ulPvKeyObject=private,
            )
        )
        checks = (
            ("ATL_VerifySignature", {**opened, "ulAlgorithm": algorithm, "ulPubKeyObject": public}),
            ("ATL_VerifySignatureByCert", {"b64Cert": certificate, "ulAlgorithm": algorithm}),
            ("ATL_VerifySignatureByCert2", {"b64Cert": certificate}),
        )
        for function, arguments in checks:
            given = {**arguments, "b64Sig": signature}
            assert await page.good(function, **given, b64Data=b64(MESSAGE)) == "0"
            assert await page.failing(function, **given, b64Data=b64(b"another")) == ("9052", "9052")
        assert (
            await page.good("ATL_CryptSignatureGetAlgorithm", b64Cert=certificate, b64Sig=signature, flags=0)
            == oid
        )
        assert (
            await page.good(
                "CryptSignatureGetAlgorithm",
                b64_p1_Signature=signature,
                b64_Signer_Certificate=certificate,
                iFlag=0,
            )
            == oid
        )


@pytest.mark.parametrize("signature", [b"", b"\0", bytes(256), b"\xff" * 256, b"\x01" * 255, b"\x01" * 5000])
async def test_what_is_no_signature_never_verifies(page, signature):
    given = {"b64Cert": b64(signature_certificate()), "b64Data": b64(MESSAGE), "b64Sig": b64(signature)}
    assert await page.failing("ATL_VerifySignatureByCert2", **given) == ("9052", "9052")
    assert await page.failing("ATL_VerifySignatureByCert", **given, ulAlgorithm=64) == ("9052", "9052")


async def test_an_algorithm_that_is_none_is_told(page, opened):
    private = await key(page, opened, 0, "1")
    for algorithm in (0, 1, 5, 0x220, 4294967295):
        assert await page.failing(
            "ATL_MakeSignature", **opened, ulAlgorithm=algorithm, b64Data=b64(MESSAGE), ulPvKeyObject=private
        ) == ("", "9034")


async def test_keys_do_only_what_they_are_for(page, opened):
    private, public = await key(page, opened, 0, "1"), await key(page, opened, 1, "1")
    sign = {**opened, "ulAlgorithm": 64, "b64Data": b64(MESSAGE)}
    assert await page.failing("ATL_MakeSignature", **sign, ulPvKeyObject=public) == ("", "9026")
    assert await page.failing("ATL_MakeSignature", **sign, ulPvKeyObject="99") == ("", "9024")
    assert await page.failing(
        "ATL_PrivateKeyDecryption", **opened, ulAlgorithm=1, b64Cipher=b64(bytes(256)), ulPvKeyObject=private
    ) == ("", "9031")


async def test_a_key_handle_ends_with_its_session_and_when_deleted(page, opened):
    private, other = await key(page, opened, 0, "1"), await key(page, opened, 0, "1")
    assert await page.good("ATL_DeleteKeyObject", **opened, ulKeyObjectHandle=private) == "0"
    assert await page.failing("ATL_DeleteKeyObject", **opened, ulKeyObjectHandle=private) == ("9024", "9024")
    await page.good("ATL_CloseSession", **opened)
    again = await page.good(
        "ATL_InitSession", ulModuleHandle=opened["ulModuleHandle"], iFlags=6, userPin=Text("123456")
    )
    reopened = {**opened, "ulSessionHandle": again}
    assert await page.failing(
        "ATL_MakeSignature", **reopened, ulAlgorithm=64, b64Data=b64(MESSAGE), ulPvKeyObject=other
    ) == ("", "9024")


async def test_a_key_handle_is_only_good_with_its_own_session(page, opened):
    private = await key(page, opened, 0, "1")
    other = await page.good(
        "ATL_InitSession", ulModuleHandle=opened["ulModuleHandle"], iFlags=6, userPin=Text("123456")
    )
    crossed = {**opened, "ulSessionHandle": other}
    assert await page.failing(
        "ATL_MakeSignature", **crossed, ulAlgorithm=64, b64Data=b64(MESSAGE), ulPvKeyObject=private
    ) == ("", "9024")


async def test_a_signature_by_another_card_is_not_handed_out(page, opened, operations, monkeypatch):
    private, sign = await key(page, opened, 0, "1"), operations.sign

    async def sign_with_another_card(*given, **named):
        return replace(await sign(*given, **named), certificate=root(), serial="000000999999")

    monkeypatch.setattr(operations, "sign", sign_with_another_card)
    assert await page.failing(
        "ATL_MakeSignature", **opened, ulAlgorithm=64, b64Data=b64(MESSAGE), ulPvKeyObject=private
    ) == ("", "9018")
    assert await page.failing("HCA_SignMessage", data=b64(MESSAGE), flag=0) == ("", "9018")


async def test_encryption_goes_to_the_certificate_and_back_through_the_card(page, opened):
    private = await key(page, opened, 0, "2")
    cipher = await page.good(
        "ATL_PublicKeyEncryptionByCert",
        b64Cert=b64(encryption_certificate()),
        ulAlgorithm=1,
        b64Data=b64(MESSAGE),
    )
    plain = await page.good(
        "ATL_PrivateKeyDecryption", **opened, ulAlgorithm=1, b64Cipher=Text(cipher), ulPvKeyObject=private
    )
    assert base64.b64decode(plain) == MESSAGE
    for broken in (b"", bytes(256), bytes(255), b"\xff" * 256):
        result, code = await page.failing(
            "ATL_PrivateKeyDecryption", **opened, ulAlgorithm=1, b64Cipher=b64(broken), ulPvKeyObject=private
        )
        assert (result, code) == ("", "9019")


async def test_only_rsa_encrypts(page, opened):
    given = {"b64Cert": b64(encryption_certificate()), "b64Data": b64(MESSAGE)}
    assert await page.failing("ATL_PublicKeyEncryptionByCert", **given, ulAlgorithm=0x132) == ("", "9034")


async def test_nothing_is_encrypted_before_a_certificate_is_loaded(page):
    assert await page.failing("HCA_PublicEncrypt", data=b64(MESSAGE), flag=0) == ("", "5010")
    result, code = await page.failing("HCA_LoadCert", bCert=b64(b"junk"), flag=0)
    assert result == code == "5060"


@pytest.mark.parametrize(("algorithm", "vector"), [(0x132, ""), (0x133, "0001020304050607")])
async def test_triple_des_goes_there_and_back(page, opened, algorithm, vector):
    fresh = await page.good("ATL_GenerateSessionKey", length=24)
    assert len(base64.b64decode(fresh)) == 24
    handle = await key(page, opened, 2, fresh)
    given = {**opened, "ulAlgorithm": algorithm}
    end = {"hexIv": Text(vector), "ulSsKeyObject": handle}
    cipher = await page.good("ATL_SymEncryptionAlg", **given, b64Data=b64(MESSAGE * 2), **end)
    assert base64.b64decode(cipher) != MESSAGE * 2
    plain = await page.good("ATL_SymDecryptionAlg", **given, b64Cipher=Text(cipher), **end)
    assert base64.b64decode(plain) == MESSAGE * 2


async def test_triple_des_agrees_with_its_published_vector(page, opened):
    # NIST SP 800-67 revision 1, appendix B.1.
    secret = bytes.fromhex("0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123")
    handle = await key(page, opened, 2, base64.b64encode(secret).decode())
    cipher = await page.good(
        "ATL_SymEncryptionAlg",
        **opened,
        ulAlgorithm=0x132,
        b64Data=b64(b"The qufck brown fox jump"),
        hexIv=Text(""),
        ulSsKeyObject=handle,
    )
    assert base64.b64decode(cipher).hex().upper() == "A826FD8CE53B855FCCE21C8112256FE668D5C05DD9B6B900"


async def test_triple_des_refuses_what_it_cannot_do(page, opened):
    handle = await key(page, opened, 2, base64.b64encode(bytes(range(24))).decode())
    given = {**opened, "ulSsKeyObject": handle}
    rows = (
        ({"ulAlgorithm": 0x132, "b64Data": b64(b"odd"), "hexIv": Text("")}, "9015"),
        ({"ulAlgorithm": 0x133, "b64Data": b64(bytes(8)), "hexIv": Text("")}, "9035"),
        ({"ulAlgorithm": 0x133, "b64Data": b64(bytes(8)), "hexIv": Text("zz" * 8)}, "9035"),
        ({"ulAlgorithm": 0x999, "b64Data": b64(bytes(8)), "hexIv": Text("")}, "9034"),
    )
    for arguments, code in rows:
        assert await page.failing("ATL_SymEncryptionAlg", **given, **arguments) == ("", code)
    assert await page.failing(
        "ATL_SymDecryptionAlg", **given, ulAlgorithm=0x132, b64Cipher=b64(b"odd"), hexIv=Text("")
    ) == ("", "9020")
    assert await page.failing(
        "ATL_GetKeyObjectHandle", **opened, iKeyType=2, key_id=Text(""), param=b64(b"short")
    ) == ("0", "9025")
    for length in (0, 65, 4294967295):
        assert await page.failing("ATL_GenerateSessionKey", length=length) == ("", "9025")


def revocation_list(**how: object) -> bytes:
    revoked = (
        x509.RevokedCertificateBuilder()
        .serial_number(0xABCDEF)
        .revocation_date(datetime(2026, 1, 5, 1, 2, 3, tzinfo=UTC))
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .build()
    )
    plain = (
        x509.RevokedCertificateBuilder()
        .serial_number(0x77)
        .revocation_date(datetime(2026, 1, 5, tzinfo=UTC))
        .build()
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(root()).subject)
        .last_update(datetime(2026, 1, 1, tzinfo=UTC))
        .next_update(datetime(2026, 2, 1, tzinfo=UTC))
        .add_revoked_certificate(revoked)
        .add_revoked_certificate(plain)
    )
    return builder.sign(rsa_key("ca"), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def test_a_revocation_list_is_searched(page):
    crl = b64(revocation_list())
    for serial, status in (("ABCDEF", "1"), ("00abcdef", "1"), ("ABCDEE", "0")):
        assert await page.good("ATL_SearchCRL_GetCertStatus", b64Crl=crl, certSN=Text(serial)) == status
    # An empty list means the last one.
    again = {"b64Crl": Text(""), "certSN": Text("ABCDEF")}
    assert await page.good("ATL_SearchCRL_GetRevokedReason", **again) == "1"
    assert (await page.good("ATL_SearchCRL_GetRevokedDate", **again)).endswith("2026\n")
    assert await page.good("ATL_SearchCRL_GetRevokedReason", b64Crl=crl, certSN=Text("77")) == "0"
    assert await page.failing("ATL_SearchCRL_GetRevokedReason", b64Crl=crl, certSN=Text("78")) == (
        "-1",
        "5050",
    )


async def test_a_revocation_lists_head_is_told(page):
    crl = b64(revocation_list())
    assert (await page.good("ATL_GetCRLInfo_GetIssuerDN", b64Crl=crl)).startswith(
        "C=TW,O=測試,CN=測試憑證中心"
    )
    assert (await page.good("ATL_GetCRLInfo_GetThisUpdate", b64Crl=crl)).endswith("2026\n")
    assert (await page.good("ATL_GetCRLInfo_GetNextUpdate", b64Crl=crl)).endswith("2026\n")


async def test_a_revocation_lists_signature_is_checked(page):
    crl = b64(revocation_list())
    assert await page.good("ATL_VerifyCRLSignature", b64Crl=crl, b64CACert=b64(root())) == "0"
    assert await page.failing(
        "ATL_VerifyCRLSignature", b64Crl=crl, b64CACert=b64(signature_certificate())
    ) == ("5032", "5032")


@pytest.mark.parametrize("serial", ["", "xyz", "0x12", "-1", "1" * 65, "\0"])
async def test_a_serial_number_that_is_none_is_told(page, serial):
    given = {"b64Crl": b64(revocation_list()), "certSN": Text(serial)}
    assert await page.failing("ATL_SearchCRL_GetCertStatus", **given) == ("-1", "5005")


async def test_what_is_no_revocation_list_is_told(page):
    good = revocation_list()
    for crl in (b"junk", good[:-1], signature_certificate()):
        assert await page.failing("ATL_SearchCRL_GetCertStatus", b64Crl=b64(crl), certSN=Text("01")) == (
            "-1",
            "5040",
        )
    for position in range(0, len(good), 5):
        damaged = good[:position] + bytes((good[position] ^ 0xFF,)) + good[position + 1 :]
        for function in ("ATL_SearchCRL_GetCertStatus", "ATL_SearchCRL_GetRevokedReason"):
            _, code = await page.failing(function, b64Crl=b64(damaged), certSN=Text("ABCDEF"))
            assert code != "9999", position
        for function in ("ATL_GetCRLInfo_GetIssuerDN", "ATL_GetCRLInfo_GetNextUpdate"):
            _, code = await page.failing(function, b64Crl=b64(damaged))
            assert code != "9999", position
