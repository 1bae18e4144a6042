"""Encrypting to certificates: `openssl cms` reads what is made, any change is found, memory is bounded."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hca_card.model import KeyUse
from signing.cms.encrypt import CONTENT_MAX, check_recipient, envelope_of, write_envelope
from signing.cms.envelope import content_key, decrypt_content, read_envelope
from signing.errors import (
    CertificateExpiredError,
    CertificateMalformedError,
    CertificateNotYetValidError,
    CertificateWrongUseError,
    CipherDamagedError,
    CipherFormatError,
    CipherInvalidError,
    CipherNotForCardError,
    DocumentChangedError,
    DocumentUnusableError,
    SigningError,
)
from tests.support.hipki import openssl
from tests.support.software_card import (
    NOW,
    SoftwareCard,
    encryption_certificate,
    issue,
    root,
    rsa_key,
    signature_certificate,
)

SIZES = (0, 1, 127, 128, 40_000, 70_000)
USAGES = ("key_encipherment",)
DAY = timedelta(days=1)


class QuickCard(SoftwareCard):
    """Decrypts with the library's own arithmetic, which takes a fraction of the time."""

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:
        key = rsa_key("encryption")
        try:
            return key.decrypt(cipher, padding.PKCS1v15())
        except ValueError:
            return bytes(11)


def encrypted(content: bytes, *certificates: bytes) -> bytes:
    target = io.BytesIO()
    write_envelope(io.BytesIO(content), len(content), certificates or (encryption_certificate(),), target)
    return target.getvalue()


def opened(cms: bytes) -> bytes:
    envelope, plain = read_envelope(io.BytesIO(cms)), io.BytesIO()
    decrypt_content(envelope, content_key(QuickCard(), envelope, encryption_certificate()), plain)
    return plain.getvalue()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the receiver's certificate, and with its key: openssl has no card."""
    (tmp_path / "receiver.der").write_bytes(encryption_certificate())
    pem = rsa_key("encryption").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    return tmp_path


@pytest.mark.parametrize("size", SIZES)
def test_openssl_decrypts_what_is_encrypted_here(size: int, keys: Path):
    content = random.Random(size).randbytes(size)
    (keys / "cms").write_bytes(encrypted(content, signature_certificate(), encryption_certificate()))
    openssl(
        "cms", "-decrypt", "-inform", "DER", "-in", str(keys / "cms"), "-out", str(keys / "plain"),
        "-recip", str(keys / "receiver.der"), "-inkey", str(keys / "key.pem"),
    )  # fmt: skip
    assert (keys / "plain").read_bytes() == content == opened((keys / "cms").read_bytes())


@pytest.mark.parametrize(
    ("options", "authenticated"),
    [
        (("-aes-256-gcm",), True),
        (("-aes-128-gcm", "-stream"), True),
        (("-aes256",), False),
        (("-aes128", "-stream"), False),
        (("-des3", "-stream"), False),
    ],
    ids=["GCM", "GCM as a stream", "CBC", "CBC as a stream", "3DES"],
)
@pytest.mark.parametrize("size", [1, 70_000])
def test_what_openssl_encrypted_is_opened(
    options: tuple[str, ...], authenticated: bool, size: int, keys: Path
):
    (keys / "plain").write_bytes(bytes(size))
    openssl(
        "cms", "-encrypt", "-binary", *options, "-in", str(keys / "plain"), "-out", str(keys / "cms"),
        "-outform", "DER", "-recip", str(keys / "receiver.der"),
    )  # fmt: skip
    cms = (keys / "cms").read_bytes()
    assert opened(cms) == bytes(size)
    assert read_envelope(io.BytesIO(cms)).authenticated is authenticated


def test_one_changed_bit_is_found_wherever_it_is():
    whole, chance = encrypted(b"plain text"), random.Random(15)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        with pytest.raises(CipherInvalidError):
            opened(bytes(changed))
    # What a long form of a length would hide.
    version = whole.index(bytes((0x02, 0x01, 0x00, 0x30)), 20) + 1
    with pytest.raises(CipherInvalidError):
        opened(whole[:version] + b"\x81" + whole[version + 1 :])


def test_a_file_that_breaks_off_or_goes_on_is_damaged():
    whole = encrypted(bytes(100))
    for size in (*range(40, len(whole) - 1, 7), len(whole) - 1):
        with pytest.raises(CipherDamagedError):
            opened(whole[:size])
    with pytest.raises(CipherDamagedError):
        opened(whole + b"\0")


def test_a_key_that_is_none_and_a_changed_content_are_told_by_the_same_error():
    whole = encrypted(b"secret")
    block = read_envelope(io.BytesIO(whole)).recipients[0].encrypted_key
    at = whole.index(block)
    numbers = rsa_key("encryption").public_key().public_numbers()

    def padded(octets: bytes) -> bytes:
        return pow(int.from_bytes(octets, "big"), numbers.e, numbers.n).to_bytes(256, "big")

    def key_of(length: int) -> bytes:
        return padded(b"\x00\x02" + b"\xff" * (253 - length) + b"\x00" + bytes(length))

    keys = [bytes(256), padded(b"\x00\x01" + b"\xff" * 254), key_of(16), key_of(32), key_of(33)]
    tampered = [whole[:at] + key + whole[at + 256 :] for key in keys]
    tampered.append(whole[:-1] + bytes((whole[-1] ^ 1,)))
    told = set()
    for each in tampered:
        with pytest.raises(CipherInvalidError) as caught:
            opened(each)
        told.add((type(caught.value), str(caught.value), caught.value.__cause__))
    assert told == {(CipherDamagedError, CipherDamagedError.__doc__, None)}


def test_what_was_encrypted_for_others_is_not_opened():
    with pytest.raises(CipherNotForCardError):
        opened(encrypted(b"x", signature_certificate()))


def test_each_of_several_recipients_is_found_by_issuer_and_number():
    other = issue(key=rsa_key("other"), usages=USAGES)
    cms = encrypted(b"for both", other, encryption_certificate(), encryption_certificate())
    envelope = read_envelope(io.BytesIO(cms))
    assert len(envelope.recipients) == 2
    assert envelope.recipient(other) != envelope.recipient(encryption_certificate())
    assert opened(cms) == b"for both"


def test_oaep_which_no_card_undoes_is_refused_in_words(keys: Path):
    (keys / "plain").write_bytes(b"x")
    openssl(
        "cms", "-encrypt", "-binary", "-aes-256-gcm", "-in", str(keys / "plain"), "-out", str(keys / "cms"),
        "-outform", "DER", "-recip", str(keys / "receiver.der"), "-keyopt", "rsa_padding_mode:oaep",
    )  # fmt: skip
    with pytest.raises(CipherFormatError, match="oaep"):
        opened((keys / "cms").read_bytes())


@pytest.mark.parametrize(
    ("certificate", "wrong"),
    [
        (signature_certificate, CertificateWrongUseError),
        (root, CertificateWrongUseError),
        (lambda: issue(key=rsa_key("ca"), usages=USAGES, ca=True), CertificateWrongUseError),
        (lambda: issue(key=rsa_key("short", 1024), usages=USAGES), CertificateWrongUseError),
        (lambda: issue(key=rsa_key("other"), usages=USAGES, ends=NOW - DAY), CertificateExpiredError),
        (lambda: issue(key=rsa_key("other"), usages=USAGES, begins=NOW + DAY), CertificateNotYetValidError),
        (lambda: b"no certificate", CertificateMalformedError),
    ],
    ids=["for signatures", "root", "authority", "1024 bits", "expired", "not yet valid", "none"],
)  # fmt: skip
def test_what_may_not_be_encrypted_to_is_refused(certificate: Callable[[], bytes], wrong: type[SigningError]):
    check_recipient(encryption_certificate(), NOW)
    with pytest.raises(wrong):
        check_recipient(certificate(), NOW)


@pytest.mark.parametrize(
    ("part", "other", "words"),
    [("551d130101ff04023000", "551d130101ff04020500", "cannot be read"), ("551d0f", "551d13", "twice")],
    ids=["basicConstraints that are none", "an extension twice"],
)
def test_a_certificate_of_odd_extensions_is_encrypted_to_by_nobody(part: str, other: str, words: str):
    whole, odd = encryption_certificate(), bytes.fromhex(part)
    assert whole.count(odd) == 1
    with pytest.raises(CertificateMalformedError, match=words):
        check_recipient(whole.replace(odd, bytes.fromhex(other)), NOW)


def test_what_is_small_is_encrypted_in_one_step_to_certificates_that_are_checked_first():
    now = datetime.now(UTC)
    holder = issue(key=rsa_key("encryption"), usages=USAGES, begins=now - DAY, ends=now + DAY)
    envelope, plain = read_envelope(io.BytesIO(envelope_of(b"small", [holder]))), io.BytesIO()
    decrypt_content(envelope, content_key(QuickCard(), envelope, holder), plain)
    assert plain.getvalue() == b"small"
    with pytest.raises(CertificateExpiredError):
        envelope_of(b"small", [holder, issue(key=rsa_key("other"), usages=USAGES, ends=now - DAY)])


def test_more_than_one_key_may_encrypt_is_refused_before_anything_is_written():
    target = io.BytesIO()
    with pytest.raises(DocumentUnusableError, match="cannot be encrypted"):
        write_envelope(io.BytesIO(), CONTENT_MAX + 1, [encryption_certificate()], target)
    assert target.getvalue() == b""


@pytest.mark.parametrize("size", [4, 6])
def test_a_file_that_changes_while_it_is_read_is_an_error(size: int):
    with pytest.raises(DocumentChangedError):
        write_envelope(io.BytesIO(b"12345"), size, [encryption_certificate()], io.BytesIO())


def test_nobody_is_no_recipient():
    with pytest.raises(ValueError, match="recipients"):
        write_envelope(io.BytesIO(b""), 0, [], io.BytesIO())


@pytest.mark.slow
def test_a_large_file_goes_through_in_pieces(tmp_path: Path):
    size = 48 * 1024 * 1024
    with (tmp_path / "plain").open("wb") as plain:
        plain.truncate(size)
    opened(encrypted(b"x"))  # what is imported once is not counted
    tracemalloc.start()
    try:
        with (tmp_path / "plain").open("rb") as source, (tmp_path / "cms").open("w+b") as cms:
            write_envelope(source, size, [encryption_certificate()], cms)
            cms.seek(0)
            envelope = read_envelope(cms)
            with (tmp_path / "again").open("wb") as target:
                decrypt_content(
                    envelope, content_key(QuickCard(), envelope, encryption_certificate()), target
                )
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert (tmp_path / "again").stat().st_size == size
    openssl("cms", "-cmsout", "-noout", "-inform", "DER", "-in", str(tmp_path / "cms"))
