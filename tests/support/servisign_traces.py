"""What real portal pages were recorded to send, call for call (docs/servisign.md, "Pages as recorded").

Each function plays one page against a server and gives back what the page would post or show. A page asks for
the error code wherever the recording has it; here it is asked after every call that the recording checks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.servisign_page import Page, Text, items

MESSAGE = b"This is the sentence that the environment check signs."
B64_MESSAGE = base64.b64encode(MESSAGE).decode("ascii")
SHA1_RSA, SHA256_RSA, RSA = 6, 0x40, 1


def certificate_in(text: str) -> x509.Certificate:
    """The certificate in what the page was handed, as a portal's server reads it."""
    assert text.endswith("\n")
    assert all(len(line) <= 64 for line in text.splitlines())
    return x509.load_der_x509_certificate(base64.b64decode(text))


def check_signature(
    certificate: x509.Certificate, b64_signature: str, message: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    """As a portal's server verifies; independent of this program."""
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert "\n" not in b64_signature
    key.verify(base64.b64decode(b64_signature, validate=True), message, padding.PKCS1v15(), algorithm)


@dataclass
class Login:
    """What the e-service login page posts."""

    serial: str = ""
    card_type: str = ""
    basic: list[str] = field(default_factory=list)
    certificate: str = ""
    common_name: str = ""
    email: str = ""
    not_before: str = ""
    not_after: str = ""


async def e_service_login(pages: tuple[Page, Page], pin: str) -> Login:
    """The log-in of e-service.mohw.gov.tw: two adapters, the second is used; nothing is signed."""
    unused, page = pages
    assert await unused.echo() == "0"
    assert await page.echo() == "0"
    posted = Login()
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    assert int(module) > 0
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    assert int(session) > 0
    posted.card_type = await page.good("ATL_GetHCACardType", ulModuleHandle=module)
    posted.basic = items(await page.good("ATL_GetHCABasicData", ulModuleHandle=module))
    posted.certificate = await page.good(
        "ATL_GetCertificateFromGPKICard",
        ulModuleHandle=module,
        ulSessionHandle=session,
        iCertId=1,
        readerName=Text(""),
    )
    handed_back = Text(posted.certificate)
    posted.serial = await page.call("ATL_GetSerialNumber", b64Cert=handed_back)
    for rdn in ("CN", "Email"):
        dn = await page.call("ATL_GetCertSubjectDN", b64Cert=handed_back)
        value = await page.call(
            "ATL_GetRDNFromDN", dn=Text(dn), codePage=Text("MS950"), iFlags=0, rdn=Text(rdn)
        )
        if rdn == "CN":
            posted.common_name = value
        else:
            posted.email = value
    posted.not_before = await page.call("ATL_GetCertNotBefore", b64Cert=handed_back)
    posted.not_after = await page.call("ATL_GetCertNotAfter", b64Cert=handed_back)
    await page.good("ATL_CloseSession", ulModuleHandle=module, ulSessionHandle=session)
    assert await page.call("ATL_CloseModule", ulModuleHandle=module) == "0"
    assert await page.call("ServiSignRelease") == "0"
    return posted


@dataclass
class Shown:
    """What the environment check shows."""

    version: str
    card_type: str
    basic: list[str]
    serial: str
    info: list[str]
    decrypted: bytes | None = None


async def environment_check(page: Page, pin: str) -> Shown:
    """`checkHCAAPI` of the environment page: every step for an ordinary reader."""
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}
    version = await page.good("ATL_GetCardHCACardVersion", ulModuleHandle=module)
    card_type = await page.good("ATL_GetHCACardType", ulModuleHandle=module)
    shown = Shown(
        version,
        card_type,
        items(await page.good("ATL_GetHCABasicData", ulModuleHandle=module)),
        await page.good("ATL_GetHCACardSN", ulModuleHandle=module),
        items(await page.good("ATL_GetHCACardInfo", ulModuleHandle=module)),
    )

    async def key(kind: int, param: str) -> str:
        handle = await page.good(
            "ATL_GetKeyObjectHandle", **opened, iKeyType=kind, key_id=Text(""), param=Text(param)
        )
        assert int(handle) > 0
        return handle

    async def delete(handle: str) -> None:
        assert await page.call("ATL_DeleteKeyObject", **opened, ulKeyObjectHandle=handle) == "0"

    private = await key(0, "1")
    signature = await page.good(
        "ATL_MakeSignature", **opened, ulAlgorithm=SHA1_RSA, b64Data=Text(B64_MESSAGE), ulPvKeyObject=private
    )
    await delete(private)
    public = await key(1, "1")
    result = await page.good(
        "ATL_VerifySignature",
        **opened,
        ulAlgorithm=SHA1_RSA,
        b64Data=Text(B64_MESSAGE),
        ulPubKeyObject=public,
        b64Sig=Text(signature),
    )
    assert result == "0"
    await delete(public)
    assert await page.good("ATL_GetCardType", ulModuleHandle=module) == card_type
    assert await page.good("ATL_GetCardHCACardVersion", ulModuleHandle=module) == version
    if (card_type, version) != ("1", "1"):
        public = await key(1, "2")
        cipher = await page.good(
            "ATL_PublicKeyEncryption",
            **opened,
            ulAlgorithm=RSA,
            b64Data=Text(B64_MESSAGE),
            ulPubKeyObject=public,
        )
        await delete(public)
        assert await page.good("ATL_GetCardType", ulModuleHandle=module) == card_type
        assert await page.good("ATL_GetCardHCACardVersion", ulModuleHandle=module) == version
        private = await key(0, "2")
        plain = await page.good(
            "ATL_PrivateKeyDecryption",
            **opened,
            ulAlgorithm=RSA,
            b64Cipher=Text(cipher),
            ulPvKeyObject=private,
        )
        await delete(private)
        shown.decrypted = base64.b64decode(plain)
    await page.good("ATL_CloseSession", **opened)
    assert await page.good("ATL_CloseModule", ulModuleHandle=module) == "0"
    # The recording ends here; the page never asks for the certificate that its signature is judged by.
    check_signature(await _signer(page, pin), signature, MESSAGE, hashes.SHA1())
    return shown


async def _signer(page: Page, pin: str) -> x509.Certificate:
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}
    text = await page.good("ATL_GetCertificateFromGPKICard", **opened, iCertId=1, readerName=Text(""))
    await page.good("ATL_CloseModule", ulModuleHandle=module)
    return certificate_in(text)


async def environment_check_nhi(page: Page, pin: str) -> Shown:
    """The environment page's steps for the NHI reader."""
    assert await page.echo() == "0"
    for port in range(4):
        if await page.call("HCA_OpenCOMPort", comport=port) == "0":
            break
    assert await page.error() == "0"
    basic = items(await page.good("HCA_GetBasicData"))
    card_type = await page.good("HCA_GetCardType")
    version = await page.good("HCA_GetCardVersion")
    info = items(await page.good("HCA_GetCardInfo"))
    assert await page.good("HCA_GetCardType") == card_type
    shown = Shown(version, card_type, basic, await page.good("HCA_GetCardSN"), info)
    assert await page.good("HCA_VerifyPIN", pincode=Text(pin), flag=0) == "0"
    two_pairs = (card_type, version) != ("1", "1")
    # The root's certificate is asked for unless the card is of version 1.
    certificates = {}
    for flag in (0, 1, 2, *([3] if version != "1" else [])):
        certificates[flag], code = await page.failing("HCA_GetCert", flag=flag)
        # A personnel card of version 1 has no second pair, and the page asks all the same.
        assert code == ("0" if flag != 2 or two_pairs else "9100")
    if version != "1":
        root = certificate_in(certificates[3])
        assert root.subject == root.issuer
    signature = await page.good("HCA_SignMessage", data=Text(B64_MESSAGE), flag=0)
    assert await page.good("HCA_LoadCert", bCert=Text(certificates[1]), flag=0) == "0"
    assert (
        await page.good("HCA_VerifySignMessage", bData=Text(B64_MESSAGE), bSig=Text(signature), flag=0) == "0"
    )
    check_signature(certificate_in(certificates[1]), signature, MESSAGE, hashes.SHA1())
    if two_pairs:
        assert await page.good("HCA_LoadCert", bCert=Text(certificates[2]), flag=0) == "0"
        cipher = await page.good("HCA_PublicEncrypt", data=Text(B64_MESSAGE), flag=0)
        shown.decrypted = base64.b64decode(await page.good("HCA_PrivateDecrypt", cipher=Text(cipher), flag=0))
    assert await page.good("HCA_CloseCOMPort") == "0"
    return shown


async def national_login(page: Page, pin: str) -> tuple[x509.Certificate, bytes]:
    """The log-in of cp.gov.tw: it reverses the signature's bytes before it posts them."""
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}
    certificate = await page.good("ATL_GetCertificateFromGPKICard", **opened, iCertId=1, readerName=Text(""))
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    signature = await page.good(
        "ATL_MakeSignatureEx", **opened, ulAlgorithm=SHA1_RSA, b64Data=Text(B64_MESSAGE), ulPvKeyObject=key
    )
    await page.good("ATL_GetHCACardType", ulModuleHandle=module)
    await page.good("ATL_GetHCABasicData", ulModuleHandle=module)
    return certificate_in(certificate), base64.b64decode(signature)[::-1]


async def document_system(page: Page, pin: str, algorithm: int) -> tuple[x509.Certificate, str]:
    """A hospital's document system: the module opened with the page, the session for each signature."""
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}
    certificate = await page.good("ATL_GetCertificateFromGPKICard", **opened, iCertId=1, readerName=Text(""))
    await page.good("ATL_GetHCABasicData", ulModuleHandle=module)
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    signature = await page.good(
        "ATL_MakeSignatureEx2",
        **opened,
        ulAlgorithm=algorithm,
        ulEndianness=0,
        b64Data=Text(B64_MESSAGE),
        ulPvKeyObject=key,
    )
    assert await page.call("ATL_DeleteKeyObject", **opened, ulKeyObjectHandle=key) == "0"
    await page.good("ATL_CloseSession", **opened)
    await page.good("ATL_CloseModule", ulModuleHandle=module)
    return certificate_in(certificate), signature


@dataclass
class Signed:
    """What the document system posts of one document."""

    document: bytes
    signature: str


async def document_system_with_callbacks(
    page: Page, pin: str, algorithm: int, *, without_hash: bool = False
) -> tuple[x509.Certificate, list[Signed]]:
    """A hospital's document system with `SetServiSignCallback`: requests overlap, callbacks ask for errors.

    A callback queued makes the next call asynchronous; a batch queues several, and their requests are all
    under way at once. Inside the callback the queue is cleared, so the error code is fetched synchronously.
    """
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    opened = {"ulModuleHandle": module, "ulSessionHandle": session}

    async def called_back(function: str, **arguments: object) -> str:
        result = await page.call(function, **arguments)
        assert await page.error() == "0", function
        return result

    certificate = await called_back(
        "ATL_GetCertificateFromGPKICard", **opened, iCertId=1, readerName=Text("")
    )
    await page.good("ATL_GetHCABasicData", ulModuleHandle=module)
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    name = {SHA1_RSA: "sha1", SHA256_RSA: "sha256"}[algorithm]

    async def sign(document: bytes) -> Signed:
        if without_hash:
            digest = base64.b64encode(hashlib.new(name, document).digest()).decode("ascii")
            result = await called_back(
                "ATL_SignWithoutHash", **opened, b64Data=Text(digest), ulPvKeyObject=key
            )
        else:
            tbs = Text(base64.b64encode(document).decode("ascii"))
            result = await called_back(
                "ATL_MakeSignatureEx2",
                **opened,
                ulAlgorithm=algorithm,
                ulEndianness=0,
                b64Data=tbs,
                ulPvKeyObject=key,
            )
        return Signed(document, result)

    documents = [MESSAGE, "病歷 1".encode(), b"", "病歷 2\r\n".encode()]
    signed = await asyncio.gather(*(sign(document) for document in documents))
    assert await page.call("ATL_DeleteKeyObject", **opened, ulKeyObjectHandle=key) == "0"
    await page.good("ATL_CloseSession", **opened)
    assert await page.call("ATL_CloseModule", ulModuleHandle=module) == "0"
    return certificate_in(certificate), signed
