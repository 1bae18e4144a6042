"""Cards with longer RSA keys and with EC keys do what those with RSA 2048 do; openssl judges it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from signxml.xades import XAdESVerifier

from agent.config import Config, Pkcs11Settings
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Operations, open_operations
from agent.paths import Paths
from agent.selftest.context import Computer, ProbeContext
from hca_card.simulator.foreign_card import ForeignBlueprint, ForeignWire, Signs
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.cms.build import CmsForm
from signing.cms.envelope import read_envelope
from signing.errors import CipherDamagedError, KeyUnsupportedError
from signing.formats import SignatureFormat
from signing.formats.choice import Options, form_for
from signing.hashes import Hash
from signing.login import validate_token
from signing.sign import ecdsa_der
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import Verdict
from tests.support import foreign, softhsm
from tests.support.cards import simulated, simulator_ca
from tests.support.openssl import openssl_program
from tests.support.operations import NONCE, OWN, PIN, PORTAL
from tests.support.pdf_judges import pyhanko_status, valid_to_pdfsig
from tests.support.pdfs import pdf
from tests.support.selftest import not_passed, rows_of
from tests.support.xml_signatures import xmlsec_agrees

pytestmark = pytest.mark.slow

DOCUMENT = "出生通報 birth report\n".encode()
ORIGIN = str(PORTAL.origin)

KEYS = {
    "rsa2048": ("citizen", 2048, "RS256"),
    "rsa3072": ("pkcs15-rsa3072", 3072, "RS256"),
    "rsa4096": ("pkcs15-rsa4096", 4096, "RS256"),
    "pss": ("pkcs15-pss", 2048, "PS256"),
    "p256": ("pkcs15-p256", 256, "ES256"),
    "p384": ("pkcs15-p384", 384, "ES384"),
    "p521": ("pkcs15-p521", 521, "ES512"),
}
"""The simulated card, the length of its key, and the algorithm of its logins (RFC 7518 §3.1)."""
CARDS = {**KEYS, "ecdh": ("pkcs15-ecdh", 256, "ES256")}
NUMBERS = {"pss": "000000335388"}
"""Of the cards whose certificate is of the usual length and yet another one."""


@asynccontextmanager
async def pkcs15_card(folder: Path, key: str) -> AsyncIterator[ProbeContext]:
    """A card that our own driver reads."""
    winscard = VirtualWinscard()
    winscard.add_reader("ACS ACR39U 00 00").insert(simulated(CARDS[key][0]))
    async with _working(folder, Config(), winscard) as context:
        yield context


@asynccontextmanager
async def profile_card(folder: Path, key: str) -> AsyncIterator[ProbeContext]:
    """A card whose commands a profile of its owner says, in the owner's folder."""
    bits, algorithm = KEYS[key][1:]
    curve = algorithm.startswith("ES")
    wire = ForeignWire(bits=bits, pss=key == "pss", signs=Signs.DIGEST if curve else Signs.BLOCK)
    lines = "reference = 0x85\n" + ('kind = "ec"' if curve else 'form = "block"')
    paths = Paths(folder / "home", folder / "machine")
    paths.profiles.mkdir(parents=True, mode=0o700)
    (paths.profiles / "own.toml").write_text(foreign.profile_with(lines, *(foreign.ONE_KEY if curve else ())))
    chip = ForeignBlueprint("000000336002" if key == "pss" else "000000336001", wire).build(simulator_ca())
    winscard = VirtualWinscard()
    winscard.add_reader("ACS ACR39U 00 00").insert(chip)
    async with _working(folder, Config(), winscard) as context:
        yield context


@asynccontextmanager
async def module_card(folder: Path, key: str) -> AsyncIterator[ProbeContext]:
    """A card of a PKCS#11 module."""
    config = Config(pkcs11=Pkcs11Settings((softhsm.MODULE,) if softhsm.MODULE else (), known=False))
    with pytest.MonkeyPatch.context() as patch:
        objects = softhsm.personnel_objects(
            number=NUMBERS.get(key, softhsm.NUMBER),
            bits=CARDS[key][1],
            pss=key == "pss",
            agreeing=key == "ecdh",
        )
        patch.setenv("SOFTHSM2_CONF", str(softhsm.make_token(folder / "softhsm", objects)))
        async with _working(folder, config, _Machine()) as context:
            yield context


class _Machine(VirtualWinscard):
    """Readers of this process that pass for the machine's own, so that modules are looked for."""

    virtual = False  # type: ignore[misc]


@asynccontextmanager
async def _working(folder: Path, config: Config, winscard: VirtualWinscard) -> AsyncIterator[ProbeContext]:
    service, paths = Service(winscard), Paths(folder / "home", folder / "machine")
    paths.make()
    person = ScriptedInteraction(pins=[PIN] * 9)
    async with open_operations(service, person, config, paths) as operations:
        yield ProbeContext(operations, OWN, Computer(service, config, paths, programs=tuple))


ROADS = {"pkcs15": pkcs15_card, "module": module_card, "profile": profile_card}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "road", ["pkcs15", "profile", pytest.param("module", marks=(softhsm.needs_softhsm, pytest.mark.slow))]
)
async def test_a_card_of_any_kind_of_key_does_all_that_it_can(tmp_path: Path, road: str, key: str) -> None:
    _, bits, algorithm = KEYS[key]
    curve = bits if algorithm.startswith("ES") else 0
    async with ROADS[road](tmp_path, key) as context:
        work = context.operations
        certificate = (await work.certificate(OWN, 1)).der
        judge = Judge(tmp_path, certificate)

        token = await work.authenticate(PORTAL, NONCE, origin=ORIGIN)
        assert (token.algorithm, token.unverified_certificate) == (algorithm, certificate)
        holder = validate_token(
            token.to_json(),
            origin=ORIGIN,
            nonce=NONCE,
            trusted_roots=simulator_ca().roots,
            intermediates=simulator_ca().intermediates,
        )
        assert holder.certificate == certificate
        size = f"sha{algorithm[2:]}"
        value = b"".join(hashlib.new(size, text.encode()).digest() for text in (ORIGIN, NONCE))
        assert judge.takes(size, value, ecdsa_der(token.signature, curve) if curve else token.signature)
        assert judge.pss is (key == "pss")

        # A digest longer than the curve is cut before any card, so that one road shows it.
        for wanted in (Hash.SHA_256, Hash.SHA_512) if road == "pkcs15" else (Hash.SHA_256,):
            made = await work.sign(PORTAL, wanted, document=DOCUMENT)
            name = wanted.value.replace("-", "").lower()
            assert judge.takes(name, DOCUMENT, made.signature)
            assert not judge.takes(name, DOCUMENT + b" ", made.signature)
            await work.verify(DOCUMENT, made.signature, made.certificate, wanted)

        made = await work.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, cms=CmsForm(detached=True))
        assert judge.takes_cms(DOCUMENT, made.signature)
        assert not judge.takes_cms(DOCUMENT + b" ", made.signature)

        failed = not_passed(await rows_of(context))
    # Versions and card information are HCA cards' alone; an EC key encrypts nothing.
    theirs = {} if road == "profile" else {4: "skip", 8: "skip"}
    assert failed == theirs | ({11: "skip", 12: "because 11"} if curve else {})


@pytest.mark.parametrize(
    ("kind_of_key", "shown", "jose", "hashed"),
    [
        # 521 bits fill no whole octets, so that whoever counts octets is caught by it.
        ("p521", "EC 521", "ES512", Hash.SHA_512),
        ("pss", "RSA 2048", "PS256", Hash.SHA_256),
    ],
)
async def test_a_card_with_an_unusual_key_signs_every_format(
    tmp_path: Path, kind_of_key: str, shown: str, jose: str, hashed: Hash
) -> None:
    documents = {
        SignatureFormat.CADES: DOCUMENT,
        SignatureFormat.XADES: "<record><name>王測試</name></record>".encode(),
        SignatureFormat.PADES: pdf("page"),
        SignatureFormat.JWS: b'{"name": "record"}',
    }
    made: dict[SignatureFormat, bytes] = {}
    root, issuer = simulator_ca().roots[0], simulator_ca().intermediates[0]
    lists = simulator_ca().crl(), simulator_ca().authorities_crl()
    async with pkcs15_card(tmp_path, kind_of_key) as context:
        certificate = (await context.operations.certificate(OWN, 1)).der
        for kind, document in documents.items():
            form = form_for(kind, document, Options(detached=True if kind is SignatureFormat.CADES else None))
            result = await context.operations.sign_document(OWN, form, document)
            assert result.hash is (hashed if kind is SignatureFormat.JWS else Hash.SHA_256)
            made[kind] = result.document
            trust = Trust((root,), intermediates=(issuer,), crls=lists, simulated=True)
            beside = kind is SignatureFormat.CADES
            read_back = read(document, result.document) if beside else read(result.document)
            [signature] = judge(read_back, document if beside else result.document, trust).signatures
            assert signature.algorithm.startswith(shown)
            assert signature.verdict is Verdict.VALID, signature
    assert Judge(tmp_path, certificate).takes_cms(DOCUMENT, made[SignatureFormat.CADES])
    if kind_of_key == "pss":  # which xmlsec1 knows since 1.3, and NSS, which pdfsig asks, does not
        signer = (tmp_path / "certificate.pem").read_text()
        XAdESVerifier().verify(made[SignatureFormat.XADES], x509_cert=signer)
    else:
        assert xmlsec_agrees(made[SignatureFormat.XADES], tmp_path, authorities=(root, issuer))
        assert valid_to_pdfsig(made[SignatureFormat.PADES], tmp_path)
    # pyHanko's own rule about key usage, which HCA's certificates do not meet, is not what is asked here.
    status = await asyncio.to_thread(pyhanko_status, made[SignatureFormat.PADES], root)
    assert status.valid and status.intact
    imported = ECKey if jose.startswith("ES") else RSAKey
    key = imported.import_key((tmp_path / "key.pem").read_bytes())
    signed, _, value = made[SignatureFormat.JWS].rpartition(b".")
    octets = base64.urlsafe_b64decode(value + b"==")
    assert JWSRegistry(algorithms=[jose]).get_alg(jose).verify(signed, octets, key)


@pytest.mark.parametrize("road", ["pkcs15", pytest.param("module", marks=softhsm.needs_softhsm)])
async def test_what_openssl_encrypts_to_a_curve_is_opened_with_the_card(tmp_path: Path, road: str) -> None:
    async with ROADS[road](tmp_path, "ecdh") as context:
        work = context.operations
        certificate = (await work.certificate(OWN, 2)).der
        for cipher, words in {
            "-aes-256-gcm": (),
            "-aes128": ("-keyopt", "ecdh_kdf_md:sha256"),
            "-aes256": ("-keyopt", "ecdh_kdf_md:sha512", "-keyid"),
        }.items():
            message = encrypted(tmp_path, certificate, cipher, *words)
            assert await opened(work, message) == DOCUMENT
        # The key comes with a checksum of its own; whatever is wrong is told by one error.
        wrapped = message.index(b"\x04\x28") + 4
        changed = message[:wrapped] + bytes((message[wrapped] ^ 1,)) + message[wrapped + 1 :]
        with pytest.raises(CipherDamagedError):
            await opened(work, changed)

        # A point that is on no curve, or on another, never reaches the card.
        point = message.index(b"\x03\x42\x00\x04") + 4
        elsewhere = message[:point] + bytes((message[point] ^ 1,)) + message[point + 1 :]
        with pytest.raises(CipherDamagedError):
            await opened(work, elsewhere)

        # RSA to such a card, and such a message to a card with RSA: words.
        with pytest.raises(KeyUnsupportedError):
            await work.decrypt(OWN, bytes(256))
        failed = not_passed(await rows_of(context))
    assert failed == {4: "skip", 8: "skip", 11: "skip", 12: "because 11"}


def encrypted(folder: Path, certificate: bytes, *words: str) -> bytes:
    found = x509.load_der_x509_certificate(certificate)
    (folder / "recipient.pem").write_bytes(found.public_bytes(Encoding.PEM))
    (folder / "document").write_bytes(DOCUMENT)
    own, keyopt = [word for word in words if word == "-keyid"], [word for word in words if word != "-keyid"]
    command = ("cms", "-encrypt", "-binary", "-in", "document", "-outform", "DER", "-out", "message")
    cipher, *options = keyopt
    subprocess.run(
        [openssl_program(), *command, cipher, *own, "-recip", "recipient.pem", *options],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    return (folder / "message").read_bytes()


async def opened(work: Operations, message: bytes) -> bytes:
    target = io.BytesIO()
    await work.open_envelope(OWN, read_envelope(io.BytesIO(message)), target)
    return target.getvalue()


class Judge:
    """The openssl of the command line, with the signer's certificate."""

    def __init__(self, folder: Path, certificate: bytes) -> None:
        self._folder = folder
        found = x509.load_der_x509_certificate(certificate)
        (folder / "certificate.pem").write_bytes(found.public_bytes(Encoding.PEM))
        # By openssl itself: a key for RSA-PSS alone stays one.
        words = (openssl_program(), "x509", "-in", "certificate.pem", "-noout", "-pubkey")
        key = subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout
        (folder / "key.pem").write_bytes(key)
        words = (openssl_program(), "pkey", "-pubin", "-in", "key.pem", "-noout", "-text_pub")
        told = subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout
        self.pss = b"PSS" in told

    def takes(self, hashed: str, document: bytes, signature: bytes) -> bool:
        command = ("dgst", f"-{hashed}", "-verify", "key.pem", "-signature", "signature", "document")
        return self._says(command, document, signature)

    def takes_cms(self, document: bytes, signature: bytes) -> bool:
        command = ("cms", "-verify", "-inform", "DER", "-in", "signature", "-binary", "-content", "document")
        whose = ("-certfile", "certificate.pem", "-noverify", "-out", "out")
        return self._says(command + whose, document, signature)

    def _says(self, command: tuple[str, ...], document: bytes, signature: bytes) -> bool:
        (self._folder / "document").write_bytes(document)
        (self._folder / "signature").write_bytes(signature)
        done = subprocess.run(
            [openssl_program(), *command], cwd=self._folder, capture_output=True, check=False
        )
        return done.returncode == 0
