"""CMS: what openssl signs is judged as openssl judges it; what was changed is told from what is not known."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import cms, core
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card.certificate import parse
from hca_card.simulator import templates
from hca_card.simulator.persons import current_validity
from signing.cms.build import (
    RANDOM_NONCE,
    CmsForm,
    sign_cms,
    signed_attributes,
    signed_data,
    signer_info,
)
from signing.cms.verify import is_cms, verify_cms
from signing.errors import (
    CertificateMalformedError,
    HashUnsupportedError,
    SignatureFormatError,
    SignatureInvalidError,
    SignedContentMissingError,
    SignerMissingError,
    SigningError,
)
from signing.hashes import Hash
from tests.support.cards import simulator_ca
from tests.support.openssl import openssl_program
from tests.support.software_card import SoftwareCard, encryption_certificate, signature_certificate

DOCUMENT = "出生通報 birth report\n".encode()


class Signer:
    """Somebody with a key and a certificate of their own, and openssl to sign with."""

    def __init__(self, folder: Path, kind: str = "rsa:2048") -> None:
        self.folder = folder
        (folder / "document").write_bytes(DOCUMENT)
        curve = ("-pkeyopt", "ec_paramgen_curve:P-256") if kind == "ec" else ()
        self.run(
            "req", "-x509", "-newkey", kind, *curve, "-nodes", "-keyout", "key", "-out", "pem",
            "-subj", "/C=TW/O=Hospital/CN=Signer", "-utf8",
        )  # fmt: skip
        self.run("x509", "-in", "pem", "-outform", "DER", "-out", "der")
        self.certificate = (folder / "der").read_bytes()

    def run(self, *words: str) -> bytes:
        command = [openssl_program(), *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=True).stdout

    def sign(self, *words: str) -> bytes:
        self.run(
            "cms", "-sign", "-binary", "-in", "document", "-signer", "pem", "-inkey", "key",
            "-outform", "DER", "-out", "cms", *words,
        )  # fmt: skip
        return (self.folder / "cms").read_bytes()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    yield Signer(tmp_path_factory.mktemp("signer"))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("-nodetach",), id="attached"),
        pytest.param((), id="detached"),
        pytest.param(("-nodetach", "-keyid"), id="signer named by the key"),
        pytest.param(("-nodetach", "-noattr"), id="without signed attributes"),
        pytest.param(("-nosmimecap", "-md", "sha512"), id="SHA-512"),
        pytest.param(("-nodetach", "-md", "sha1"), id="SHA-1"),
        pytest.param(("-nodetach", "-cades"), id="CAdES"),
    ],
)
def test_what_openssl_signs_holds_for_its_document_alone(signer: Signer, words: tuple[str, ...]) -> None:
    message = signer.sign(*words)
    assert is_cms(message)
    signature = verify_cms(message, DOCUMENT)
    assert (signature.certificate, signature.content) == (signer.certificate, DOCUMENT)
    assert verify_cms(message, DOCUMENT, signer.certificate) == signature
    if "-nodetach" in words:
        assert verify_cms(message) == signature
    else:
        with pytest.raises(SignedContentMissingError):
            verify_cms(message)
    with pytest.raises(SignatureInvalidError):
        verify_cms(message, DOCUMENT + b".")
    with pytest.raises(SignatureInvalidError, match="another certificate"):
        verify_cms(message, DOCUMENT, signature_certificate())


def test_a_signature_without_its_signers_certificate_holds_with_the_one_that_is_named(signer: Signer) -> None:
    message = signer.sign("-nocerts")
    with pytest.raises(SignerMissingError):
        verify_cms(message, DOCUMENT)
    assert verify_cms(message, DOCUMENT, signer.certificate).certificate == signer.certificate


@pytest.mark.parametrize("algorithm", Hash)
@pytest.mark.parametrize("detached", [False, True])
def test_what_a_card_signs_holds(algorithm: Hash, detached: bool) -> None:
    form = CmsForm(detached=detached, card_number=True, nonce=b"0123456789abcdef")
    message = sign_cms(SoftwareCard(), DOCUMENT, algorithm, form, allow_sha1=True)
    signature = verify_cms(message, DOCUMENT)
    assert (signature.certificate, signature.hash) == (signature_certificate(), algorithm)
    assert signature.attributes[RANDOM_NONCE] == b"\x04\x100123456789abcdef"
    with pytest.raises(SignatureInvalidError):
        verify_cms(message, DOCUMENT, encryption_certificate())


def test_a_document_of_a_megabyte_inside_is_read() -> None:
    document = b"x" * 1_200_000
    assert verify_cms(sign_cms(SoftwareCard(), document, Hash.SHA_256, CmsForm()), document)


def place_of(message: bytes, part: str) -> int:
    """Where the last octet of that part stands."""
    signed = cms.ContentInfo.load(message)["content"]
    [signer] = signed["signer_infos"]
    attributes = {each["type"].native: each["values"][0] for each in signer["signed_attrs"]}
    octets = {
        "content": lambda: bytes(signed["encap_content_info"]["content"]),
        "content type": lambda: attributes["content_type"].contents,
        "digest": lambda: bytes(attributes["message_digest"]),
        "signing time": lambda: attributes["signing_time"].chosen.contents[:-1],
        "signature": lambda: bytes(signer["signature"]),
    }[part]()
    place = message.rindex(octets) + len(octets) - 1
    assert place > 0
    return place


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("bit", [0x01, 0x08, 0x80])
@pytest.mark.parametrize("part", ["content", "content type", "digest", "signing time", "signature"])
def test_one_changed_bit_is_a_signature_that_does_not_hold(part: str, bit: int, detached: bool) -> None:
    message = bytearray(sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, CmsForm(detached=detached)))
    document = bytearray(DOCUMENT)
    if detached and part == "content":
        document[5] ^= bit
    else:
        message[place_of(bytes(message), part)] ^= bit
    for expected in (bytes(document), *(() if detached else (None,))):
        with pytest.raises(SignatureInvalidError):
            verify_cms(bytes(message), expected)


def test_a_good_signature_of_another_kind_is_called_unknown_and_not_changed(tmp_path: Path) -> None:
    message = Signer(tmp_path, "rsa:2048").sign("-nodetach", "-keyopt", "rsa_padding_mode:pss")
    with pytest.raises((SignatureFormatError, CertificateMalformedError)):
        verify_cms(message, DOCUMENT)


def test_a_signature_by_an_elliptic_key_verifies_and_another_document_does_not(tmp_path: Path) -> None:
    elliptic = Signer(tmp_path, "ec")
    message = elliptic.sign("-nodetach", "-cades")
    assert verify_cms(message, DOCUMENT).certificate == elliptic.certificate
    with pytest.raises(SignatureInvalidError):
        verify_cms(elliptic.sign(), DOCUMENT + b" ")


@pytest.mark.slow
def test_a_message_with_two_signers_is_called_unknown(signer: Signer, tmp_path: Path) -> None:
    signer.sign("-nodetach")
    other = Signer(tmp_path)
    (tmp_path / "first").write_bytes((signer.folder / "cms").read_bytes())
    other.run(
        "cms", "-resign", "-nodetach", "-binary", "-inform", "DER", "-in", "first", "-signer", "pem",
        "-inkey", "key", "-outform", "DER", "-out", "cms",
    )  # fmt: skip
    with pytest.raises(SignatureFormatError, match="one signer"):
        verify_cms((tmp_path / "cms").read_bytes(), DOCUMENT)


def test_a_message_that_is_encrypted_is_no_signature(signer: Signer) -> None:
    signer.run("cms", "-encrypt", "-binary", "-in", "document", "-outform", "DER", "-out", "cms", "pem")
    message = (signer.folder / "cms").read_bytes()
    assert is_cms(message)
    with pytest.raises(SignatureFormatError):
        verify_cms(message, DOCUMENT)


def test_a_hash_that_is_not_known_is_named_as_that(signer: Signer) -> None:
    with pytest.raises(HashUnsupportedError):
        verify_cms(signer.sign("-nodetach", "-md", "sha3-256"), DOCUMENT)


def test_an_attribute_that_is_there_twice_does_not_count(signer: Signer) -> None:
    message = cms.ContentInfo.load(signer.sign("-nodetach"))
    [info] = message["content"]["signer_infos"]
    digest = next(each for each in info["signed_attrs"] if each["type"].native == "message_digest")
    info["signed_attrs"].append(cms.CMSAttribute.load(digest.dump()))
    with pytest.raises(SignatureInvalidError):
        verify_cms(message.dump(force=True), DOCUMENT)


def test_signed_attributes_cannot_pass_for_a_document(signer: Signer) -> None:
    """Their octets as the document, without attributes and with the same signature, would verify."""
    message = cms.ContentInfo.load(signer.sign("-nodetach"))
    [info] = message["content"]["signer_infos"]
    octets = info["signed_attrs"].untag().dump()
    bare = cms.ContentInfo.load(signer.sign("-nodetach", "-noattr"))
    bare["content"]["encap_content_info"]["content"] = octets
    bare["content"]["signer_infos"][0]["signature"] = info["signature"].native
    with pytest.raises(SignatureInvalidError, match="presented as a document"):
        verify_cms(bare.dump(force=True))


def test_what_is_signed_without_attributes_is_plain_data(signer: Signer) -> None:
    """RFC 5652 §5.3: of any other kind of content the attributes, with the kind, must be there."""
    message = signer.sign("-noattr")
    data, other = (core.ObjectIdentifier(f"1.2.840.113549.1.{kind}").dump() for kind in ("7.1", "9.9"))
    assert message.count(data) == 1
    with pytest.raises(SignatureInvalidError, match="attributes are missing"):
        verify_cms(message.replace(data, other), DOCUMENT)


def test_a_pss_signature_of_two_hashes_is_called_unknown() -> None:
    person = templates.personnel("000000335387", current_validity(datetime.now(UTC).date()))
    identity = simulator_ca().identities(templates.of_key(person, 2048, pss=True))[0]
    attributes = signed_attributes(Hash.SHA_256.digest(DOCUMENT), None)
    for name, mask in (("sha256", SHA256()), ("sha1", SHA1())):
        made = identity.load().sign(attributes.dump(), PSS(MGF1(mask), 32), SHA256())
        info = signer_info(identity.certificate, attributes, made, Hash.SHA_256)
        parameters = info["signature_algorithm"]["parameters"]
        parameters["mask_gen_algorithm"]["parameters"] = {"algorithm": name}
        message = signed_data((identity.certificate,), info, Hash.SHA_256, content=DOCUMENT)
        with nullcontext() if name == "sha256" else pytest.raises(SignatureFormatError, match="two hashes"):
            assert verify_cms(message).certificate == identity.certificate


@pytest.mark.parametrize("garbage", [b"", b"\x30", b"\x30\x80" * 2000, b"\x00" * 70_000, bytes(range(256))])
def test_what_is_no_message_is_of_no_known_format(garbage: bytes) -> None:
    assert not is_cms(garbage)
    with pytest.raises(SignatureFormatError):
        verify_cms(garbage, DOCUMENT)


@cache
def _attached() -> bytes:
    return sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, CmsForm())


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_message_is_refused_or_says_the_same(data: st.DataObject) -> None:
    message = bytearray(_attached())
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        signature = verify_cms(bytes(message))
    except SigningError:
        return
    assert signature.content == DOCUMENT
    keys = [parse(der).public_key for der in (signature.certificate, signature_certificate())]
    assert keys[0] == keys[1]
