"""What the tests of single methods have at hand: a page, a card, certificates, and OpenSSL as a judge."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.errors.numbers.words import number_words
from tests.support.openssl import openssl_program
from tests.support.outside_world import Authority, openssl
from tests.support.platforms import WINDOWS
from tests.support.servisign_page import Text
from tests.support.servisign_wire import PIN, Adapter, Place
from tests.support.time_zone import TAIWAN

DATA = "文件 to be signed\n".encode()
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(), "sha224": hashes.SHA224(), "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
# CKM_…_RSA_PKCS and CKM_… of PKCS#11 v2.40.
SIGNATURES = {6: "sha1", 0x40: "sha256", 0x41: "sha384", 0x42: "sha512", 0x46: "sha224"}
DIGESTS = {0x220: "sha1", 0x250: "sha256", 0x255: "sha224", 0x260: "sha384", 0x270: "sha512"}
RSA_PKCS = 1
PIN_TRIES = 3

Row = tuple[dict[str, Any], str, str]
Good = Callable[["Shop"], None]
Bad = Callable[["Shop"], "Iterator[Row]"]


def b64(octets: bytes) -> Text:
    """Bytes as an argument."""
    return Text(base64.b64encode(octets).decode())


def octets_of(text: str) -> bytes:
    """Bytes as a result: one line of base64."""
    assert "\n" not in text
    return base64.b64decode(text, validate=True)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def public_pem(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _demand_openssl(name: str) -> None:
    """Skip a method whose other side OpenSSL plays, before anything was called, where there is none."""
    if any(part in name for part in ("TS", "OCS", "ChangeUserPIN")):
        openssl_program()


def ctime(when: str) -> str:
    """A date as C's ctime has it, from one that OpenSSL wrote; the work of date(1)."""
    if WINDOWS:
        pytest.skip("Windows has no date(1)")
    command = ["date", "-d", when, "+%a %b %e %H:%M:%S %Y"]
    done = subprocess.run(
        command, capture_output=True, check=True, env={"LC_ALL": "C", "TZ": TAIWAN}, timeout=5
    )
    return done.stdout.decode()


def field_of(text: bytes) -> str:
    """What stands behind the equals sign in a line of OpenSSL."""
    return text.decode().partition("=")[2].strip()


@dataclass
class Shop:
    """One page in a shop of its own: nothing is open yet.

    Attributes:
        nhi: the page uses the NHI-reader library.
    """

    place: Place
    folder: Any
    nhi: bool = False
    _opened: dict[str, str] = field(default_factory=dict)

    @cached_property
    def page(self) -> Adapter:
        return self.place.page(nhi=self.nhi)

    @property
    def authority(self) -> Authority:
        return self.place.outside.authority

    @cached_property
    def module(self) -> dict[str, str]:
        handle = self.page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
        return {"ulModuleHandle": handle}

    @cached_property
    def session(self) -> dict[str, str]:
        handle = self.page.good("ATL_InitSession", **self.module, iFlags=6, userPin=Text(PIN))
        return {**self.module, "ulSessionHandle": handle}

    def key(self, kind: int, param: str) -> str:
        handle = self.page.good(
            "ATL_GetKeyObjectHandle", **self.session, iKeyType=kind, key_id=Text(""), param=Text(param)
        )
        assert int(handle) > 0
        return handle

    def port(self, pin: str = "") -> None:
        """The NHI-reader library, opened."""
        assert self.page.good("HCA_OpenCOMPort", comport=0) == "0"
        if pin:
            assert self.page.good("HCA_VerifyPIN", pincode=Text(pin), flag=0) == "0"

    def certificate(self, index: int) -> bytes:
        """A certificate of the card, read without the agent: straight from its file."""
        card = self.place.card
        assert card.transmit(bytes.fromhex("00A404000AF0484341414745 4E540100"))[-2:] == b"\x90\x00"
        answer = card.transmit(bytes((0x00, 0xB0, 0x8A + index, 0, 0, 0, 0)))
        assert answer[-2:] == b"\x90\x00"
        # A card that somebody else used is not as the agent left it; its reader says so.
        self.place.reader.reset_by_other_program()
        return answer[:-2]

    def signature_holds(self, index: int, name: str, signature: bytes, data: bytes = DATA) -> None:
        """OpenSSL's verdict on a signature of the card."""
        key, file = self.folder / "key.pem", self.folder / "signature"
        key.write_bytes(public_pem(self.certificate(index)))
        file.write_bytes(signature)
        said = openssl("dgst", f"-{name}", "-verify", str(key), "-signature", str(file), data=data)
        assert said == b"Verified OK\n"

    def encrypted(self, index: int, data: bytes) -> bytes:
        """Data for the card, encrypted without the agent."""
        key = x509.load_der_x509_certificate(self.certificate(index)).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return key.encrypt(data, padding.PKCS1v15())

    def openssl(self, *arguments: str, data: bytes = b"") -> bytes:
        return openssl(*arguments, data=data)

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


class Table:
    """The methods that one file of tests tries: how each is called rightly, and rows of wrong arguments."""

    def __init__(self) -> None:
        self.rightly: dict[str, Good] = {}
        self.wrongly: dict[str, Bad] = {}

    def good(self, *names: str) -> Callable[[Good], Good]:
        """The function under it calls these methods rightly, and judges what comes back."""

        def note(function: Good) -> Good:
            for name in names:
                assert name not in self.rightly, name
                self.rightly[name] = function
            return function

        return note

    def bad(self, *names: str) -> Callable[[Bad], Bad]:
        """The function under it gives rows for each of these methods: arguments, result, error code."""

        def note(function: Bad) -> Bad:
            for name in names:
                assert name not in self.wrongly, name
                self.wrongly[name] = function
            return function

        return note

    def try_good(self, shop: Shop, name: str) -> None:
        """Call a method rightly; it costs the card no try."""
        _demand_openssl(name)
        self.rightly[name](shop)
        assert shop.place.card.pin_tries == PIN_TRIES

    def try_bad(self, shop: Shop, name: str) -> None:
        """Call a method with each row of wrong arguments; every number it ends in has words."""
        _demand_openssl(name)
        rows = 0
        for arguments, result, code in self.wrongly[name](shop):
            rows += 1
            assert shop.page.failing(name, **arguments) == (result, code), arguments
            assert int(code) == 0 or int(code) in number_words("servisign")
        assert rows


def soft_signature(authority: Authority, data: bytes, name: str = "sha256") -> bytes:
    """A signature of the authority's `sender`, in software."""
    if name == "sha1":  # `cryptography` makes none; OpenSSL does
        key = str(authority.folder / "sender.key")
        authority.sender.write(authority.folder, "sender")
        return openssl("dgst", "-sha1", "-sign", key, data=data)
    return authority.sender.key.sign(data, padding.PKCS1v15(), HASHES[name])
