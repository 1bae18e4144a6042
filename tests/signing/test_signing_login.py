"""The login token: what the card signs, and the table of tokens that a portal must refuse."""

from __future__ import annotations

import base64
import copy
import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing.errors import (
    CertificateExpiredError,
    CertificateMalformedError,
    CertificateNotYetValidError,
    CertificateUntrustedError,
    CertificateWrongUseError,
    HashUnsupportedError,
    NonceInvalidError,
    OriginNotHttpsError,
    SignatureInvalidError,
    SigningError,
    TokenInvalidError,
)
from signing.hashes import Hash
from signing.login import LoginHolder, LoginToken, app_version, create_token, validate_token
from signing.sign import ecdsa_der
from tests.support.software_card import (
    NOW,
    SoftwareCard,
    issue,
    rewritten,
    root,
    rsa_key,
    signature_certificate,
)
from tests.support.test_pki import pki
from tests.support.vectors import sequence

ORIGIN = "https://portal.example.tw"
NONCE = base64.b64encode(bytes(range(32))).decode()
JUDGES = {
    "RS256": ("sha256", hashes.SHA256),
    "RS384": ("sha384", hashes.SHA384),
    "RS512": ("sha512", hashes.SHA512),
}


class _Values(core.SetOf):
    _child_spec = core.Any


class _Attribute(core.Sequence):
    _fields = [("type", core.ObjectIdentifier), ("values", _Values)]  # noqa: RUF012


class _Attributes(core.SequenceOf):
    _child_spec = _Attribute


def make(certificate: bytes | None = None, origin: str = ORIGIN, nonce: str = NONCE) -> LoginToken:
    return create_token(SoftwareCard(), certificate or signature_certificate(), origin, nonce)


def check(token: object, **changes: object) -> LoginHolder:
    arguments: dict[str, object] = {"origin": ORIGIN, "nonce": NONCE, "trusted_roots": [root()], "now": NOW}
    return validate_token(token, **{**arguments, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", JUDGES)
def test_a_token_signs_the_hashes_of_origin_and_nonce(name: str):
    hashlib_name, judge = JUDGES[name]
    algorithm = Hash(f"SHA-{name[2:]}")
    token = create_token(SoftwareCard(), signature_certificate(), ORIGIN, NONCE, algorithm=algorithm)
    value = b"".join(hashlib.new(hashlib_name, text.encode()).digest() for text in (ORIGIN, NONCE))
    rsa_key("signature").public_key().verify(token.signature, value, padding.PKCS1v15(), judge())
    assert token.algorithm == name
    assert check(token).common_name == "測試人員卡"


def test_a_token_has_the_five_members_of_the_format():
    members = json.loads(make().to_json())
    assert set(members) == {"unverifiedCertificate", "algorithm", "signature", "format", "appVersion"}
    assert members["format"] == "web-eid:1.0"
    assert base64.b64decode(members["unverifiedCertificate"]) == signature_certificate()


def test_a_token_survives_json():
    assert LoginToken.from_json(make().to_json()) == make()
    check(make().to_json())
    check(make().to_json().encode())
    check(make().to_dict())


def test_the_holder_is_who_the_certificate_says():
    holder = check(make())
    assert holder.certificate == signature_certificate()
    assert (holder.common_name, holder.serial_number) == ("測試人員卡", "0000000000335361")
    assert holder.simulated is False


def test_an_institution_is_told_by_its_code_and_its_card():
    """HCA writes type, institution code and card number as subjectDirectoryAttributes (RFC 5280 §4.2.1.8)."""
    arc = "2.16.886.1.100.2"
    values = {
        "1": core.ObjectIdentifier("2.16.886.1.100.3.2.21"),
        "57": core.UTF8String("測試"),
        "111": core.PrintableString("9900000001"),
        "204": core.PrintableString("000000335362"),
    }
    attributes = _Attributes(
        [{"type": f"{arc}.{end}", "values": [core.Any(value)]} for end, value in values.items()]
    )
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), attributes.dump())
    holder = check(make(issue(key=rsa_key("signature"), extensions=[extension])))
    assert holder.subject_type == "institution"
    assert (holder.institution_code, holder.card_number, holder.note) == (
        "9900000001",
        "000000335362",
        "測試",
    )


@pytest.mark.parametrize(
    "member", ["unverifiedCertificate", "algorithm", "signature", "format", "appVersion"]
)
@pytest.mark.parametrize(
    "value",
    [None, 1, True, "", [], {}, ["RS256"], "é", "A===", "\ud800", "x" * 40_000],
    ids=lambda value: repr(value)[:20],  # pytest keeps the name in the environment, which Windows limits
)
def test_a_member_of_another_type_or_shape_is_refused(member: str, value: object):
    members: dict[str, object] = {**make().to_dict(), member: value}
    if member == "appVersion" and value in ("é", "A===", "\ud800"):
        check(members)
        return
    with pytest.raises(TokenInvalidError):
        check(members)


@pytest.mark.parametrize(
    "member", ["unverifiedCertificate", "algorithm", "signature", "format", "appVersion"]
)
def test_a_missing_member_is_refused(member: str):
    members = make().to_dict()
    del members[member]
    with pytest.raises(TokenInvalidError):
        check(members)


def test_a_member_too_many_or_there_twice_is_refused():
    with pytest.raises(TokenInvalidError):
        check({**make().to_dict(), "nonce": NONCE})
    with pytest.raises(TokenInvalidError):
        check(make().to_json()[:-1] + ', "algorithm": "RS256"}')


@pytest.mark.parametrize("text", ["", "null", "[]", '"token"', "{", "{}", "[" * 30_000, "NaN", b"\xff\xfe"])
def test_json_that_is_no_token_is_refused(text: str | bytes):
    with pytest.raises(TokenInvalidError):
        check(text)


def test_a_token_longer_than_any_token_is_not_even_parsed():
    check(make().to_json() + " " * 10_000)
    with pytest.raises(TokenInvalidError):
        check(make().to_json() + " " * 40_000)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "RS384"},
        {"algorithm": "RS512"},
        {"algorithm": "ES256"},
        {"algorithm": "PS256"},
        {"algorithm": "none"},
        {"algorithm": "rs256"},
        {"algorithm": "HS256"},
        {"format": "web-eid:1.1"},
        {"format": "web-eid:1"},
        {"format": "WEB-EID:1.0"},
        {"signature": b"x"},
        {"signature": bytes(256)},
        {"signature": b"\xff" * 256},
    ],
    ids=repr,
)
def test_a_changed_field_is_refused(change: dict[str, object]):
    with pytest.raises(TokenInvalidError):
        check(replace(make(), **change))  # type: ignore[arg-type]


def test_a_flipped_bit_in_the_signature_is_refused():
    token = make()
    for position in (0, 100, 255):
        signature = bytearray(token.signature)
        signature[position] ^= 1
        with pytest.raises(TokenInvalidError):
            check(replace(token, signature=bytes(signature)))


@pytest.mark.parametrize(
    "twin",
    [
        "https://portal.example.tw:8443",
        "https://portal.example.com",
        "https://portal.example.tw.evil.example",
        "https://evil.portal.example.tw",
        "https://portai.example.tw",
        "https://xn--prtal-kua.example.tw",
    ],
)
def test_a_token_made_for_another_origin_is_refused(twin: str):
    with pytest.raises(TokenInvalidError):
        check(make(origin=twin))


def test_a_token_made_for_another_nonce_is_refused():
    with pytest.raises(TokenInvalidError):
        check(make(nonce=base64.b64encode(bytes(32)).decode()))


def test_origin_and_nonce_cannot_change_places():
    """The hashes have fixed lengths, so that no other split of the same text has the same value."""
    token = make()
    with pytest.raises(TokenInvalidError):
        check(token, nonce=base64.b64encode(hashlib.sha256(ORIGIN.encode()).digest()).decode())


def _self_signed() -> bytes:
    return issue(key=rsa_key("signature"), issuer="測試人員卡", issuer_key=rsa_key("signature"))


def _with_sha1() -> bytes:
    """OpenSSL may refuse to issue with SHA-1 now, so the judge's own arithmetic signs."""
    from asn1crypto import x509 as asn1

    certificate = asn1.Certificate.load(signature_certificate())
    tbs = certificate["tbs_certificate"].copy()
    tbs["signature"] = {"algorithm": "sha1_rsa"}
    digest_info = Hash.SHA_1.digest_info(hashlib.sha1(tbs.dump(force=True)).digest())
    key = rsa_key("ca").private_numbers()
    block = b"\x00\x01" + b"\xff" * (253 - len(digest_info)) + b"\x00" + digest_info
    signature = pow(int.from_bytes(block, "big"), key.d, key.public_numbers.n).to_bytes(256, "big")
    return asn1.Certificate(
        {
            "tbs_certificate": tbs,
            "signature_algorithm": {"algorithm": "sha1_rsa"},
            "signature_value": signature,
        }
    ).dump()


HOSTILE_CERTIFICATES: dict[str, tuple[Callable[[], bytes], type[SigningError]]] = {
    "expired": (
        lambda: issue(key=rsa_key("signature"), ends=NOW - timedelta(seconds=1)),
        CertificateExpiredError,
    ),
    "not yet valid": (
        lambda: issue(key=rsa_key("signature"), begins=NOW + timedelta(seconds=1)),
        CertificateNotYetValidError,
    ),
    "for encryption": (
        lambda: issue(key=rsa_key("signature"), usages=("key_encipherment", "data_encipherment")),
        CertificateWrongUseError,
    ),
    "for documents only": (
        lambda: issue(key=rsa_key("signature"), usages=("content_commitment",)),
        CertificateWrongUseError,
    ),
    "no key usage": (lambda: issue(key=rsa_key("signature"), usages=None), CertificateWrongUseError),
    "server's": (
        lambda: issue(key=rsa_key("signature"), extended=[ExtendedKeyUsageOID.SERVER_AUTH]),
        CertificateWrongUseError,
    ),
    "any use": (
        lambda: issue(key=rsa_key("signature"), extended=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        CertificateWrongUseError,
    ),
    "an authority's": (
        lambda: issue(key=rsa_key("signature"), usages=("digital_signature", "key_cert_sign"), ca=True),
        CertificateWrongUseError,
    ),
    "self-signed": (_self_signed, CertificateUntrustedError),
    "another authority of the same name": (
        lambda: issue(key=rsa_key("signature"), issuer_key=rsa_key("evil ca")),
        CertificateUntrustedError,
    ),
    "unknown authority": (
        lambda: issue(key=rsa_key("signature"), issuer="evil", issuer_key=rsa_key("evil ca")),
        CertificateUntrustedError,
    ),
    "issued with SHA-1": (
        _with_sha1,
        CertificateUntrustedError,
    ),
}


@pytest.mark.parametrize("case", HOSTILE_CERTIFICATES)
def test_a_login_with_the_wrong_certificate_is_refused(case: str):
    certificate, error = HOSTILE_CERTIFICATES[case]
    with pytest.raises(error) as caught:
        check(make(certificate()))
    assert type(caught.value) is error


def test_a_short_key_is_refused():
    key = rsa_key("old", 1024)
    value = hashlib.sha256(ORIGIN.encode()).digest() + hashlib.sha256(NONCE.encode()).digest()
    token = LoginToken(issue(key=key), "RS256", key.sign(value, padding.PKCS1v15(), hashes.SHA256()))
    with pytest.raises(CertificateWrongUseError):
        check(token)


def test_client_authentication_among_the_extended_uses_is_accepted():
    uses = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH]
    check(make(issue(key=rsa_key("signature"), extended=uses)))


def test_a_policy_the_site_disallows_is_refused():
    certificate = issue(key=rsa_key("signature"), policies=["2.16.886.101.0.3.3", "1.2.3"])
    check(make(certificate))
    check(make(certificate), disallowed_policies=["1.2.4"])
    with pytest.raises(CertificateWrongUseError):
        check(make(certificate), disallowed_policies=["1.2.3"])


def test_the_root_itself_cannot_log_in():
    key = rsa_key("signature")
    lone = _self_signed()
    with pytest.raises(CertificateUntrustedError):
        check(make(lone), trusted_roots=[lone])
    assert key.key_size == 2048


def test_nobody_is_trusted_where_no_root_is():
    with pytest.raises(CertificateUntrustedError):
        check(make(), trusted_roots=[])


@pytest.mark.parametrize(
    "der", [b"x", b"\x30\x80", b"\x30\x84\x7f\xff\xff\xff", signature_certificate()[:-1]]
)
def test_a_certificate_that_cannot_be_read_is_malformed(der: bytes):
    with pytest.raises(CertificateMalformedError):
        check(replace(make(), unverified_certificate=der))


@pytest.mark.parametrize("position", range(4, len(signature_certificate()), 29))
def test_a_certificate_with_a_changed_byte_never_gets_in(position: int):
    der = bytearray(signature_certificate())
    der[position] ^= 0x55
    with pytest.raises(SigningError):
        check(replace(make(), unverified_certificate=bytes(der)))


def test_a_certificate_with_an_extension_twice_is_refused():
    """Two readers could each believe another one of the two."""
    from asn1crypto import x509 as asn1

    certificate = asn1.Certificate.load(signature_certificate())
    extensions = certificate["tbs_certificate"]["extensions"]
    extensions.append(copy.deepcopy(extensions[0]))
    with pytest.raises(CertificateMalformedError):
        check(replace(make(), unverified_certificate=certificate.dump(force=True)))


HTTPS_ORIGINS = [
    "https://portal.example.tw",
    "https://portal.example.tw:8443",
    "https://localhost:3000",
    "https://127.0.0.1:56445",
    "https://[::1]:56445",
    "https://xn--kpry57d.tw",
    "https://a_b.example.tw",
]
LOOPBACK_ORIGINS = ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost"]
OTHER_ORIGINS = [
    "",
    "null",
    "https://",
    "portal.example.tw",
    "http://portal.example.tw",
    "http://localhost.evil.example:8000",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2:8000",
    "https://portal.example.tw/",
    "https://portal.example.tw/login",
    "https://portal.example.tw?",
    "https://portal.example.tw#",
    "https://Portal.example.tw",
    "HTTPS://portal.example.tw",
    "https://portal.example.tw:443",
    "https://portal.example.tw:0443",
    "https://portal.example.tw:",
    "https://portal.example.tw:65536",
    "https://portal.example.tw:0",
    "https://user@portal.example.tw",
    "https://portal.example.tw ",
    " https://portal.example.tw",
    "https://portal.example.tw\n",
    "https://portal..example.tw",
    "https://.example.tw",
    "https://-portal.example.tw",
    "https://門診.example.tw",
    "https://portal.example.tw:８４４３",
    "https://*.example.tw",
    "https://" + "a" * 64 + ".tw",
    "https://" + "a." * 130 + "tw",
    "https:/portal.example.tw",
    "https:\\\\portal.example.tw",
    "file://",
    "chrome-extension://abcdefgh",
    "wss://portal.example.tw",
]


@pytest.mark.parametrize("origin", HTTPS_ORIGINS)
def test_an_https_origin_gets_a_token_and_its_portal_believes_it(origin: str):
    check(make(origin=origin), origin=origin)


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize("allow", [False, True])
def test_anything_else_is_no_origin_to_log_in_to(origin: str, allow: bool):
    card = SoftwareCard()
    with pytest.raises(OriginNotHttpsError):
        create_token(card, signature_certificate(), origin, NONCE, allow_loopback_http=allow)
    assert card.asked == []
    with pytest.raises(OriginNotHttpsError):
        check(make(), origin=origin, allow_loopback_http=allow)


@pytest.mark.parametrize("origin", LOOPBACK_ORIGINS)
def test_a_developers_own_machine_may_do_without_tls_only_if_the_caller_says_so(origin: str):
    with pytest.raises(OriginNotHttpsError):
        make(origin=origin)
    token = create_token(SoftwareCard(), signature_certificate(), origin, NONCE, allow_loopback_http=True)
    with pytest.raises(OriginNotHttpsError):
        check(token, origin=origin)
    check(token, origin=origin, allow_loopback_http=True)


BAD_NONCES = {
    "empty": "",
    "31 bytes": base64.b64encode(bytes(31)).decode(),
    "43 characters": NONCE[:-1],
    "129 characters": "A" * 129,
    "132 characters": "A" * 132,
    "unpadded": "A" * 45,
    "URL-safe alphabet": "-_" * 22,
    "space": "A" * 40 + "AAA ",
    "line end": NONCE + "\n",
    "not ASCII": "Ａ" * 44,
    "surrogate": "\ud800" * 44,
    "padding within": "=" * 44,
    "text": "this is not base64, but it is long enough!!!",
}


@pytest.mark.parametrize("case", BAD_NONCES)
def test_a_weak_or_odd_nonce_is_refused(case: str):
    card = SoftwareCard()
    with pytest.raises(NonceInvalidError):
        create_token(card, signature_certificate(), ORIGIN, BAD_NONCES[case])
    assert card.asked == []
    with pytest.raises(NonceInvalidError):
        check(make(), nonce=BAD_NONCES[case])


@pytest.mark.parametrize("octets", [32, 33, 48, 64, 96])
def test_a_nonce_of_32_to_96_bytes_is_taken(octets: int):
    nonce = base64.b64encode(bytes(octets)).decode()
    check(make(nonce=nonce), nonce=nonce)


@pytest.mark.parametrize("algorithm", [Hash.SHA_1, Hash.SHA_224])
def test_a_login_is_not_signed_with_a_weak_hash(algorithm: Hash):
    card = SoftwareCard()
    with pytest.raises(HashUnsupportedError):
        create_token(card, signature_certificate(), ORIGIN, NONCE, algorithm=algorithm)
    assert card.asked == []


def test_a_broken_card_gives_no_token():
    with pytest.raises(SignatureInvalidError):
        create_token(SoftwareCard(spoils=True), signature_certificate(), ORIGIN, NONCE)


def test_the_certificate_of_the_test_is_what_it_claims_to_be():
    certificate = x509.load_der_x509_certificate(signature_certificate())
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature


def check_ec(token: LoginToken, origin: str = ORIGIN) -> LoginHolder:
    return check(token, origin=origin, trusted_roots=[pki().root], intermediates=[pki().ca], now=None)


@pytest.mark.parametrize(("signer", "name"), [("ec", "ES256"), ("ec384", "ES384")])
def test_the_curve_of_an_ec_key_decides_the_algorithm_of_its_login(signer: str, name: str):
    card, certificate = pki().card(signer), pki().certificate(signer)
    token = create_token(card, certificate, ORIGIN, NONCE, algorithm=Hash.SHA_512)
    assert token.algorithm == name
    # r and s, as JOSE has them and the web-eid libraries want them.
    assert len(token.signature) == 2 * int(name[2:]) // 8
    assert check_ec(token).common_name == "王測試"
    with pytest.raises(TokenInvalidError):
        check_ec(token, "https://other.example.tw")


@pytest.mark.parametrize("named", ["ES384", "ES512", "RS256", "ES1", "PS256"])
def test_a_login_that_names_an_algorithm_of_another_key_is_refused(named: str):
    token = create_token(pki().card("ec"), pki().certificate("ec"), ORIGIN, NONCE)
    with pytest.raises(TokenInvalidError):
        check_ec(replace(token, algorithm=named))
    with pytest.raises(TokenInvalidError):
        check(replace(make(), algorithm="ES256"))


def test_a_login_whose_ec_signature_is_der_is_refused_as_jose_has_it():
    token = create_token(pki().card("ec"), pki().certificate("ec"), ORIGIN, NONCE)
    with pytest.raises(TokenInvalidError):
        check_ec(replace(token, signature=ecdsa_der(token.signature, 256)))


def test_a_program_that_was_not_installed_names_itself_without_a_version(monkeypatch: pytest.MonkeyPatch):
    assert app_version() == f"https://hca-agent.invalid/releases/{importlib.metadata.version('hca-agent')}"

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert app_version.__wrapped__() == "https://hca-agent.invalid/"


def test_a_holder_whose_name_cannot_be_read_is_nobody():
    """An object identifier of 65 octets: a path leads to it, and its signature holds."""
    for octets in (64, 65):
        kind = sequence(b"\x2a" + b"\x81" * (octets - 2) + b"\x01", tag=0x06)
        names = sequence(sequence(sequence(kind, sequence("王".encode(), tag=0x0C)), tag=0x31))
        certificate = rewritten(signature_certificate(), "ca", names=names)
        trusted = [rewritten(root(), "ca", names=names)]
        with nullcontext() if octets == 64 else pytest.raises(CertificateMalformedError):
            assert check(make(certificate), trusted_roots=trusted).common_name == ""
