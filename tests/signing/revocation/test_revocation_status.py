"""What an authority's answer is worth, whoever brings it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto.crl import CertificateList
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing.errors import StatusAnswerForgedError, StatusAnswerStaleError, StatusAnswerUnusableError
from signing.revocation import RevocationState, addresses, judge_crl, judge_ocsp, ocsp_request
from signing.revocation.status import RevocationPolicy, RevocationReason, is_signed_by
from tests.support.status_authority import DAY, NOW, Authority, certificate, der, key
from tests.support.vectors import certificate as of_key

AUTHORITY = Authority()
ISSUER = der(AUTHORITY.issuer)
HOLDER = der(AUTHORITY.holder("http://a.example"))
POINT = x509.UniformResourceIdentifier("http://a.example/crl")
OTHER_POINT = x509.UniformResourceIdentifier("http://a.example/other")


def ask(authority: Authority, der: bytes = HOLDER) -> tuple[bytes, bytes | None]:
    question, nonce = ocsp_request(der, ISSUER)
    return authority.answer(question), nonce


@pytest.mark.parametrize("signer", ["issuer", "responder"])
@pytest.mark.parametrize("nonce", ["repeat", "omit"])
@pytest.mark.parametrize("until", [NOW + DAY, None])
def test_an_answer_of_the_issuer_or_of_its_responder_counts(signer: str, nonce: str, until: object) -> None:
    answer, sent = ask(replace(AUTHORITY, signer=signer, nonce=nonce, until=until))
    if (nonce, until) == ("omit", None):
        # It could answer any question of the last day: only one that was judged and kept is believed.
        with pytest.raises(StatusAnswerStaleError):
            judge_ocsp(answer, HOLDER, ISSUER, NOW, nonce=sent)
        sent = None
    said = judge_ocsp(answer, HOLDER, ISSUER, NOW, nonce=sent)
    assert (said.state, said.source, said.next_update) == (RevocationState.GOOD, "OCSP", until)


def test_a_revoked_certificate_is_told_with_day_and_reason() -> None:
    authority = replace(AUTHORITY, revoked={7: x509.ReasonFlags.key_compromise})
    answer, sent = ask(authority)
    for said in (
        judge_ocsp(answer, HOLDER, ISSUER, NOW, nonce=sent),
        judge_crl(authority.crl(), HOLDER, ISSUER, NOW),
    ):
        assert (said.state, said.revoked_at) == (RevocationState.REVOKED, NOW - 30 * DAY)
        assert said.reason == "keyCompromise"


def test_a_certificate_that_the_responder_does_not_know_is_unknown() -> None:
    answer, _ = ask(replace(AUTHORITY, known=set()))
    assert judge_ocsp(answer, HOLDER, ISSUER, NOW).state is RevocationState.UNKNOWN


FORGED = {
    "signed by a stranger": replace(AUTHORITY, signer="stranger", appointed=False),
    "bound to another question": replace(AUTHORITY, nonce="other"),
}


@pytest.mark.parametrize("authority", FORGED.values(), ids=FORGED)
def test_an_answer_that_the_issuer_did_not_have_signed_for_this_question_is_forged(
    authority: Authority,
) -> None:
    answer, sent = ask(authority)
    with pytest.raises(StatusAnswerForgedError):
        judge_ocsp(answer, HOLDER, ISSUER, NOW, nonce=sent)


def test_an_answer_with_a_bit_changed_is_never_believed() -> None:
    answer, sent = ask(replace(AUTHORITY, revoked={7: x509.ReasonFlags.superseded}))
    for place in range(0, len(answer), 7):
        changed = bytearray(answer)
        changed[place] ^= 1
        try:
            said = judge_ocsp(bytes(changed), HOLDER, ISSUER, NOW, nonce=sent)
        except (StatusAnswerForgedError, StatusAnswerUnusableError):
            continue
        # What lies outside the signed part may change; what is said may not.
        assert said.state is RevocationState.REVOKED


def test_an_answer_about_another_certificate_is_forged() -> None:
    answer, _ = ask(AUTHORITY, der(AUTHORITY.holder(serial=8)))
    with pytest.raises(StatusAnswerForgedError):
        judge_ocsp(answer, HOLDER, ISSUER, NOW)


def test_a_responder_is_not_appointed_by_another_authority() -> None:
    answer, _ = ask(replace(AUTHORITY, signer="responder"))
    impostor = der(certificate("other issuer", "other issuer", 1, x509.BasicConstraints(True, None)))
    with pytest.raises(StatusAnswerForgedError):
        judge_ocsp(answer, HOLDER, impostor, NOW)


STALE = {
    "ended": replace(AUTHORITY, said=NOW - 3 * DAY, until=NOW - DAY),
    "without end and two days old": replace(AUTHORITY, said=NOW - 2 * DAY, until=None),
    "of tomorrow": replace(AUTHORITY, said=NOW + DAY, until=NOW + 2 * DAY),
}


@pytest.mark.parametrize("authority", STALE.values(), ids=STALE)
def test_an_answer_out_of_time_is_stale(authority: Authority) -> None:
    answer, _ = ask(authority)
    with pytest.raises(StatusAnswerStaleError):
        judge_ocsp(answer, HOLDER, ISSUER, NOW)


@pytest.mark.parametrize("name", ["ended", "of tomorrow"])
def test_a_list_out_of_time_is_stale(name: str) -> None:
    with pytest.raises(StatusAnswerStaleError):
        judge_crl(STALE[name].crl(), HOLDER, ISSUER, NOW)


def test_clocks_may_differ_by_minutes() -> None:
    early = replace(AUTHORITY, said=NOW + timedelta(minutes=4))
    assert judge_crl(early.crl(), HOLDER, ISSUER, NOW).state is RevocationState.GOOD


def test_a_list_that_somebody_else_signed_is_forged() -> None:
    with pytest.raises(StatusAnswerForgedError):
        judge_crl(replace(AUTHORITY, crl_signer="stranger").crl(), HOLDER, ISSUER, NOW)


def test_a_list_of_an_authority_that_may_not_sign_lists_is_forged() -> None:
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    with pytest.raises(StatusAnswerForgedError):
        judge_crl(AUTHORITY.crl(), HOLDER, der(certificate("issuer", "issuer", 1, usage)), NOW)


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint([OTHER_POINT], None, False, False, None, False, False),
        x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
        x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ],
    ids=["delta", "another part", "authorities only", "indirect", "not understood"],
)
def test_a_list_that_does_not_cover_the_certificate_says_nothing(extension: x509.ExtensionType) -> None:
    with pytest.raises(StatusAnswerUnusableError):
        judge_crl(AUTHORITY.crl((extension, True)), HOLDER, ISSUER, NOW)


def test_the_part_of_a_divided_list_that_the_certificate_names_counts() -> None:
    part = x509.IssuingDistributionPoint([POINT], None, True, False, None, False, False)
    assert judge_crl(AUTHORITY.crl((part, True)), HOLDER, ISSUER, NOW).state is RevocationState.GOOD


@pytest.mark.parametrize("junk", [b"", b"<html>log in</html>", b"0\x03\n\x01\x03", b"\x30\x80\x00\x00"])
def test_what_is_no_answer_is_unusable(junk: bytes) -> None:
    for judge in (judge_ocsp, judge_crl):
        with pytest.raises(StatusAnswerUnusableError):
            judge(junk, HOLDER, ISSUER, NOW)


def test_a_certificate_names_where_to_ask() -> None:
    named = addresses(HOLDER)
    assert (named.ocsp, named.crl) == (("http://a.example/ocsp",), ("http://a.example/crl",))
    assert addresses(ISSUER).ocsp == addresses(ISSUER).crl == ()


def test_a_reason_has_the_number_of_the_standard() -> None:
    """RFC 5280 §5.3.1: the enumeration leaves 7 out."""
    assert [reason.number for reason in RevocationReason] == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]


def test_an_answer_over_a_hash_that_proves_nothing_is_refused_unless_somebody_allows_it() -> None:
    strict, lenient = RevocationPolicy(), RevocationPolicy(allow_sha1=True)
    for policy in (strict, lenient):
        policy.check_hash(hashes.SHA256())
        for weak in (hashes.MD5(), None):
            with pytest.raises(StatusAnswerUnusableError, match="proves nothing"):
                policy.check_hash(weak)
    lenient.check_hash(hashes.SHA1())
    with pytest.raises(StatusAnswerUnusableError):
        strict.check_hash(hashes.SHA1())


def test_a_signature_is_judged_by_the_kind_of_the_signers_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = of_key(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    made = key.sign(b"answer", ec.ECDSA(hashes.SHA256()))
    assert is_signed_by(signer, made, b"answer", hashes.SHA256())
    assert not is_signed_by(signer, made, b"another", hashes.SHA256())
    assert not is_signed_by(signer, made, b"answer", None)


@pytest.mark.parametrize("extension", ["1.3.6.1.5.5.7.1.1", "2.5.29.31"], ids=["responder", "list"])
@pytest.mark.parametrize(
    "octets", [b"\x04\0", b"\x30\x02\x30\0", b"\x30\x80"], ids=["text", "empty", "no end"]
)
def test_an_address_that_cannot_be_read_is_none(extension: str, octets: bytes) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier(extension), octets)
    assert addresses(der(certificate("holder", "issuer", 7, odd))) == addresses(ISSUER)


def test_a_list_that_does_not_say_until_when_it_holds_is_unusable() -> None:
    listed = CertificateList.load(AUTHORITY.crl())
    del listed["tbs_cert_list"]["next_update"]
    signed = listed["tbs_cert_list"].dump(force=True)
    listed["signature"] = key("issuer").sign(signed, PKCS1v15(), hashes.SHA256())
    with pytest.raises(StatusAnswerUnusableError, match="how long it holds"):
        judge_crl(listed.dump(force=True), HOLDER, ISSUER, NOW)


def test_a_list_in_another_authoritys_name_says_nothing_even_with_the_issuers_signature() -> None:
    with pytest.raises(StatusAnswerUnusableError, match="another authority's"):
        judge_crl(replace(AUTHORITY, crl_issuer="other issuer").crl(), HOLDER, ISSUER, NOW)


def test_a_list_of_some_reasons_tells_who_is_revoked_and_not_who_is_good() -> None:
    some = frozenset((x509.ReasonFlags.key_compromise,))
    part = x509.IssuingDistributionPoint(None, None, False, False, some, False, False), True
    revoked = replace(AUTHORITY, revoked={7: x509.ReasonFlags.key_compromise})
    assert judge_crl(revoked.crl(part), HOLDER, ISSUER, NOW).state is RevocationState.REVOKED
    with pytest.raises(StatusAnswerUnusableError, match="of a part"):
        judge_crl(AUTHORITY.crl(part), HOLDER, ISSUER, NOW)
