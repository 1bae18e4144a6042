"""What the servers of the imitated sites take for a log-in, and what they do not."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.demo.errors import PortalError
from agent.demo.login_forms import LoginForms, TrustedIssuers, challenge_text, verified_signer
from agent.demo.people import PASSWORD, SignedIn
from agent.demo.sessions import PortalSession, PortalSessions
from signing.cms.build import signed_attributes, signed_data, signer_info
from signing.errors import SignatureInvalidError
from signing.hashes import Hash
from tests.support.portal_holder import INSTITUTION, PERSONNEL, Holder
from tests.support.software_card import root, rsa_key

ORIGIN = "https://portal.example.test"
CITIZEN = "2.16.886.1.100.3.1.1"
CARD = {"number": "000000000001", "idNumber": "A100000001", "name": "測試民眾"}
NHI_PASSWORD = "Nhi-2468"


class Visitor:
    """Somebody at the portal, with a session of their own."""

    def __init__(self) -> None:
        self.sessions = PortalSessions()
        self.session: PortalSession = self.sessions.open()
        self.forms = LoginForms(ORIGIN, TrustedIssuers((root(),)), self.sessions)

    def challenge(self) -> str:
        return self.forms.challenge(self.session)["challenge"]

    def signed(self, proof: object, **changed: object) -> SignedIn:
        body: dict[str, Any] = {"site": "euservice", "way": "servisign", "role": "personnel", "proof": proof}
        return self.forms.signed(self.session, body | changed)

    def account(self, captcha: object = "12345", **changed: object) -> None:
        self.sessions.ask_captcha(self.session, "12345")
        body = {"account": "demo-reporter", "password": PASSWORD, "role": "personnel", "captcha": captcha}
        self.forms.account(self.session, body | changed)

    def read(self, **changed: object) -> dict[str, str]:
        body = {"site": "euservice", "way": "nhi-component", "card": CARD, "idNumber": "A100000001"}
        return self.forms.card_read(self.session, body | changed)


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


def proof_of(holder: Holder, challenge: str) -> dict[str, str]:
    """Base64 in lines, as the component gives it."""
    certificate = base64.encodebytes(holder.certificate).decode()
    return {
        "certificate": certificate,
        "signature": base64.b64encode(holder.sign(challenge.encode())).decode(),
    }


def cms_of(holder: Holder, document: bytes, *, content: bytes | None = None, **more: Any) -> bytes:
    attributes = signed_attributes(Hash.SHA_256.digest(document), datetime.now(UTC), **more)
    signature = holder.sign(attributes.dump())
    info = signer_info(holder.certificate, attributes, signature, Hash.SHA_256)
    return signed_data((holder.certificate,), info, Hash.SHA_256, content=content)


def refusal(error: pytest.ExceptionInfo[PortalError]) -> str:
    return error.value.id


def test_the_signature_of_the_challenge_logs_its_signer_in(visitor: Visitor) -> None:
    who = visitor.signed(proof_of(Holder(), visitor.challenge()))
    assert (who.name, who.card_number, who.duty[0], who.home) == (
        "測試人員卡", "000000335361", "西醫師", "/welcome",
    )  # fmt: skip


def test_a_challenge_names_this_portal_and_is_never_the_same(visitor: Visitor) -> None:
    texts = {visitor.challenge() for _ in range(20)}
    assert len(texts) == 20
    assert all(ORIGIN in text.splitlines() for text in texts)
    assert challenge_text("https://other.example", "x") != challenge_text(ORIGIN, "x")


def test_a_challenge_is_good_once_and_for_its_own_session(visitor: Visitor) -> None:
    proof = proof_of(Holder(), visitor.challenge())
    visitor.signed(proof)
    with pytest.raises(PortalError) as spent:
        visitor.signed(proof)
    assert refusal(spent) == "nonce.unknown"
    visitor.challenge()
    with pytest.raises(PortalError) as older:
        visitor.signed(proof)
    assert refusal(older) == "token.refused"


def test_a_signature_without_any_challenge_out_is_refused(visitor: Visitor) -> None:
    with pytest.raises(PortalError) as refused:
        visitor.signed(proof_of(Holder(), challenge_text(ORIGIN, "")))
    assert refusal(refused) == "nonce.unknown"


@pytest.mark.parametrize(
    ("holder", "role", "error"),
    [
        pytest.param({"subject_type": INSTITUTION}, "personnel", "card.not_personnel", id="institution"),
        pytest.param({}, "institution", "card.not_institution", id="person"),
        pytest.param({"subject_type": CITIZEN}, "personnel", "card.not_personnel", id="citizen"),
        pytest.param({"ends": timedelta(seconds=-5)}, "personnel", "certificate.expired", id="expired"),
        pytest.param({"issuer_key": "stranger"}, "personnel", "certificate.refused", id="another authority"),
    ],
)
def test_the_wrong_card_is_refused_by_its_certificate(
    visitor: Visitor, holder: dict[str, Any], role: str, error: str
) -> None:
    rsa_key("stranger")
    with pytest.raises(PortalError) as refused:
        visitor.signed(proof_of(Holder(**holder), visitor.challenge()), role=role)
    assert refusal(refused) == error


def test_the_refusal_of_a_wrong_card_names_both_cards_in_both_languages(visitor: Visitor) -> None:
    with pytest.raises(PortalError) as refused:
        visitor.signed(proof_of(Holder(), visitor.challenge()), role="institution")
    assert "這張是醫事人員卡，請改插醫事機構卡" in refused.value.refusal.zh
    assert "personnel card. Insert an institution card" in refused.value.refusal.en


@pytest.mark.parametrize(
    "changed",
    [
        {"site": "elsewhere"},
        {"site": None},
        {"way": "native"},
        {"way": "nhi-component"},
        {"role": "insured"},
        {"role": ["personnel"]},
        {"proof": None},
        {"proof": {}},
        {"proof": {"certificate": "?", "signature": "?"}},
        {"proof": {"certificate": "A" * 20_000, "signature": "AAAA"}},
        {"proof": {"cms": 5}},
    ],
    ids=str,
)
def test_what_is_no_proof_is_refused_and_spends_the_challenge(
    visitor: Visitor, changed: dict[str, object]
) -> None:
    proof = proof_of(Holder(), visitor.challenge())
    with pytest.raises(PortalError) as refused:
        visitor.signed(**({"proof": proof} | changed))
    assert refusal(refused) == "request.malformed"
    with pytest.raises(PortalError) as spent:
        visitor.signed(proof)
    assert refusal(spent) == "nonce.unknown"


@pytest.mark.parametrize("detached", [True, False])
def test_a_pkcs7_signature_of_the_challenge_logs_in_too(visitor: Visitor, detached: bool) -> None:
    document = visitor.challenge().encode()
    cms = cms_of(Holder(), document, content=None if detached else document, card_number="000000335361")
    assert visitor.signed({"cms": base64.b64encode(cms).decode()}).name == "測試人員卡"


def test_a_pkcs7_signature_says_who_signed_which_document_with_which_nonce() -> None:
    holder = Holder()
    cms = cms_of(holder, b"document", content=b"document", nonce=b"n1")
    assert verified_signer(cms, b"document") == holder.certificate
    assert verified_signer(cms, b"document", b"n1") == holder.certificate
    for document, nonce in ((b"another", b""), (b"document", b"n2"), (b"", b"n1")):
        with pytest.raises(SignatureInvalidError):
            verified_signer(cms, document, nonce)


@pytest.mark.parametrize("without", [{}, {"nonce": b""}])
def test_a_nonce_that_was_asked_for_must_be_signed(without: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalidError):
        verified_signer(cms_of(Holder(), b"document", **without), b"document", b"n1")


def test_a_pkcs7_signature_with_other_content_inside_is_refused() -> None:
    with pytest.raises(SignatureInvalidError):
        verified_signer(cms_of(Holder(), b"document", content=b"another"), b"document")


def test_a_pkcs7_signature_changed_anywhere_is_refused() -> None:
    cms = cms_of(Holder(), b"document", content=b"document")
    certificate = Holder().certificate
    for at in [*range(0, len(cms), 7), len(cms) - 1]:
        changed = bytearray(cms)
        changed[at] ^= 0x01
        try:
            signer = verified_signer(bytes(changed), b"document")
        except Exception as error:
            assert type(error).__module__.startswith("signing."), (at, error)
        else:
            # What the certificate's own signature covers can change unseen here; its chain is checked next.
            assert len(signer) == len(certificate)


@pytest.mark.parametrize("garbage", [b"", b"\x30", b"\x30\x80" * 2000, b"\x00" * 70_000, bytes(range(256))])
def test_what_is_no_pkcs7_is_refused(garbage: bytes) -> None:
    with pytest.raises(SignatureInvalidError):
        verified_signer(garbage, b"document")


def test_the_reporting_site_takes_the_card_only_after_account_password_and_captcha(visitor: Visitor) -> None:
    holder = Holder()
    with pytest.raises(PortalError) as early:
        visitor.signed(proof_of(holder, visitor.challenge()), site="hcd")
    assert refusal(early) == "session.expired"
    visitor.account()
    who = visitor.signed(proof_of(holder, visitor.challenge()), site="hcd")
    assert who.duty[0] == "申報者"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"captcha": "54321"}, "captcha.wrong"),
        ({"captcha": None}, "captcha.wrong"),
        ({"captcha": ""}, "captcha.wrong"),
        ({"password": "wrong"}, "account.wrong"),
        ({"account": "nobody"}, "account.wrong"),
        ({"account": "demo-manager"}, "account.other_kind"),
        ({"account": None}, "request.malformed"),
        ({"account": "x" * 101}, "request.malformed"),
    ],
    ids=str,
)
def test_a_slip_in_the_account_is_told_and_forgets_an_earlier_one(
    visitor: Visitor, changed: dict[str, Any], error: str
) -> None:
    visitor.account()
    with pytest.raises(PortalError) as refused:
        visitor.account(**changed)
    assert refusal(refused) == error
    assert visitor.session.account is None


def test_a_captcha_is_good_once_even_when_it_was_right(visitor: Visitor) -> None:
    visitor.sessions.ask_captcha(visitor.session, "12345")
    visitor.sessions.take_captcha(visitor.session, " 12345 ")
    with pytest.raises(PortalError) as again:
        visitor.sessions.take_captcha(visitor.session, "12345")
    assert refusal(again) == "captcha.wrong"


def test_a_health_card_needs_its_registered_password(visitor: Visitor) -> None:
    with pytest.raises(PortalError) as early:
        visitor.forms.password(visitor.session, {"password": NHI_PASSWORD})
    assert refusal(early) == "session.expired"
    assert visitor.read() == {"name": "測試民眾"}
    with pytest.raises(PortalError) as wrong:
        visitor.forms.password(visitor.session, {"password": "wrong"})
    assert refusal(wrong) == "password.wrong"
    who = visitor.forms.password(visitor.session, {"password": NHI_PASSWORD})
    assert (who.name, who.certificate, who.home) == ("測試民眾", b"", "/welcome")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"idNumber": "B200000002"}, "id.not_of_card"),
        ({"card": CARD | {"idNumber": "B200000002"}, "idNumber": "B200000002"}, "person.unknown"),
        ({"site": "vpn", "card": CARD | {"idNumber": "C1"}, "idNumber": "C1"}, "person.not_added"),
        ({"site": "hcd"}, "request.malformed"),
        ({"way": "servisign"}, "request.malformed"),
        ({"card": []}, "request.malformed"),
        ({"card": {}}, "request.malformed"),
    ],
    ids=str,
)
def test_another_health_card_is_told_and_forgets_the_one_before(
    visitor: Visitor, changed: dict[str, Any], error: str
) -> None:
    visitor.read()
    with pytest.raises(PortalError) as refused:
        visitor.read(**changed)
    assert refusal(refused) == error
    assert visitor.session.card_read is None


def test_the_nhi_network_takes_an_institution_by_its_code(visitor: Visitor) -> None:
    who = visitor.signed(proof_of(Holder(INSTITUTION), visitor.challenge()), site="vpn", role="institution")
    assert who.institution_code == "9900000001"


def test_a_role_of_the_native_log_in_is_one_that_signs(visitor: Visitor) -> None:
    nonce = visitor.sessions.issue_nonce(visitor.session)
    token = Holder(PERSONNEL).token(ORIGIN, nonce)
    with pytest.raises(PortalError) as refused:
        visitor.forms.native(visitor.session, {"token": token, "role": "insured"})
    assert refusal(refused) == "request.malformed"
