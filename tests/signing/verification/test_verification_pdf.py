"""PDFs: what is whole is valid, what was tampered with is found and named, nothing hostile does harm."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from asn1crypto import cms
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.formats import Level
from signing.formats.pades import Pades
from signing.hashes import Hash
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict
from tests.support import pdf_attacks as attacks
from tests.support.pdf_attacks import Attack, edited
from tests.support.pdfs import pdf
from tests.support.test_pki import DAY, NOW, SIGNERS, pki, sign_with


@cache
def signed(
    document: bytes | None = None, label: str = "rsa", level: Level = Level.B_LT, **facts: Any
) -> bytes:
    """A PDF with one signature more, and what makes it last."""
    ready = Pades().prepare(document or plain(), pki().signer(label), Hash.SHA_256, facts.get("at", NOW))
    done = ready.finish(sign_with(label, ready.digest, Hash.SHA_256))
    return asyncio.run(Pades().augment(done, level, pki().evidence(**facts)))


@cache
def plain() -> bytes:
    return pdf("Pay 1000", "second page")


def report(document: bytes, **facts: Any) -> DocumentReport:
    trust = Trust(roots=(pki().root,), **{"now": NOW + timedelta(minutes=5), **facts})
    return judge(read(document), document, trust)


def findings(found: DocumentReport) -> dict[str, str]:
    """Everything that is said, of the document and of all signatures: finding to detail."""
    remarks = [*found.remarks, *(remark for each in found.signatures for remark in each.remarks)]
    return {each.finding: each.detail for each in remarks}


@pytest.mark.parametrize("label", SIGNERS)
@pytest.mark.parametrize("level", [Level.B_LT, Level.B_LTA])
def test_a_whole_signature_is_valid_and_its_level_is_told(label: str, level: Level) -> None:
    [signature] = (found := report(signed(label=label, level=level))).signatures
    assert (found.verdict, found.kind, signature.remarks) == (Verdict.VALID, "pdf", ())
    assert (signature.level, signature.format, signature.unchanged) == (level, "pades", True)
    assert signature.time == NOW
    assert signature.signs == "Signature1"


def test_a_plain_signature_is_of_the_lowest_level_by_the_signers_own_clock() -> None:
    [signature] = report(signed(level=Level.B_B), hard=False).signatures
    assert (signature.level, signature.time, signature.time_source) == ("B-B", NOW, "signer")


def test_all_signers_of_a_document_are_told_in_their_order() -> None:
    document = signed(signed(signed(None, "institution"), "rsa"), "ec")
    found = report(document)
    assert [each.signs for each in found.signatures] == ["Signature1", "Signature2", "Signature3"]
    assert [each.signer.name for each in found.signatures if each.signer] == [
        "測試聯合診所",
        "王測試",
        "王測試",
    ]
    assert found.verdict is Verdict.VALID


def test_reason_is_told() -> None:
    ready = Pades(reason="醫師確認").prepare(plain(), pki().signer(), Hash.SHA_256, NOW)
    document = ready.finish(sign_with("rsa", ready.digest, Hash.SHA_256))
    assert report(document).signatures[0].reason == "醫師確認"


@pytest.mark.parametrize("label", ["expired", "expired-ec"])
def test_what_lasts_is_valid_when_the_certificate_has_expired_and_nobody_can_be_asked(label: str) -> None:
    document = signed(label=label, at=NOW - 60 * DAY)
    assert report(document).verdict is Verdict.VALID
    assert report(document, now=NOW + 200 * DAY).verdict is Verdict.VALID


def test_a_form_that_is_filled_in_later_is_a_remark_with_the_fields_name() -> None:
    document = edited(signed(attacks.with_text_field(plain())), attacks.filled)
    found = report(document)
    assert (found.verdict, findings(found)) == (Verdict.REMARK, {"content.added": "Amount"})
    assert found.signatures[0].unchanged


def test_layers_are_a_remark() -> None:
    found = report(signed(attacks.with_layers(plain())))
    assert (found.verdict, list(findings(found))) == (Verdict.REMARK, ["content.layers"])


def test_scripts_are_a_remark() -> None:
    found = report(signed(edited(plain(), attacks.script)))
    assert (found.verdict, findings(found)) == (Verdict.REMARK, {"content.active": "JavaScript"})


PAGE_1 = "第 1 頁 page 1"

CHANGED: list[tuple[str, Callable[[Any], None], Attack, str]] = [
    ("the text of a page", attacks.another_amount, bytes, PAGE_1),
    ("a page more", attacks.another_page, bytes, "2 → 3 頁 pages"),
    ("a page less", attacks.page_gone, bytes, "2 → 1"),
    ("a page turned", attacks.turned, bytes, PAGE_1),
    ("a page cropped", attacks.cropped, bytes, PAGE_1),
    ("incremental saving: a text over it", attacks.note("/FreeText"), bytes, PAGE_1),
    ("evil annotation: a stamp over it", attacks.note("/Stamp"), bytes, PAGE_1),
    ("evil annotation: a redaction over it", attacks.note("/Redact"), bytes, PAGE_1),
    ("shadow, replace: another font", attacks.other_font, bytes, PAGE_1),
    (
        "shadow, hide: the cover is gone",
        attacks.no_cover,
        lambda document: edited(document, attacks.note("/Stamp")),
        PAGE_1,
    ),
    ("shadow, hide and replace: other pages", attacks.other_tree, attacks.with_spare_pages, "頁 page"),
    ("a script that begins", attacks.script, bytes, ""),
    ("a file attached", attacks.attachment, bytes, ""),
    ("a layer switched off", attacks.layer_off, attacks.with_layers, ""),
]


@pytest.mark.parametrize(
    ("edit", "prepared", "where"), [each[1:] for each in CHANGED], ids=[each[0] for each in CHANGED]
)
def test_what_is_changed_after_signing_is_found_and_named(
    edit: Callable[[Any], None], prepared: Attack, where: str
) -> None:
    whole = signed(prepared(plain()))
    assert report(whole).verdict in (Verdict.VALID, Verdict.REMARK)
    found = report(edited(whole, edit))
    assert found.verdict is Verdict.INVALID
    assert where in findings(found)["content.changed"]
    assert not found.signatures[0].unchanged


def at(pattern: bytes, offset: int = 0) -> Attack:
    return lambda document: attacks.flipped(document, document.index(pattern) + offset)


def swapped(document: bytes) -> bytes:
    """The signature of another document in the place of this one's."""
    other = signed(pdf("something else", "second page"), level=Level.B_LT)
    octets = PdfFileReader(BytesIO(other)).embedded_regular_signatures[0].pkcs7_content
    return attacks.in_the_gap(document, lambda _: bytes(octets).rstrip(b"\0"))


INVALID = Verdict.INVALID
UNDECIDED = Verdict.UNDECIDED

TAMPERED: list[tuple[str, Attack, Verdict, str]] = [
    ("a bit of a page", at(b"/MediaBox", 14), INVALID, "content.changed"),
    ("a bit of the signing time", at(b"/M (D", 14), INVALID, "content.changed"),
    ("a bit of the file's head", at(b"%PDF-1.", 7), INVALID, "content.changed"),
    (
        "a bit of the signature value",
        attacks.changed_cms(
            lambda signed: signed["signer_infos"][0].__setitem__(
                "signature", attacks.flipped(signed["signer_infos"][0]["signature"].native, 20)
            )
        ),
        INVALID,
        "signature.wrong",
    ),
    ("another document's signature", swapped, INVALID, "content.changed"),
    (
        "two signers in one signature",
        attacks.changed_cms(attacks.two_signers),
        INVALID,
        "signature.unreadable",
    ),
    ("no certificate", attacks.changed_cms(attacks.no_certificates), UNDECIDED, "certificate.missing"),
    (
        "a document inside the signature",
        attacks.changed_cms(attacks.content_inside),
        INVALID,
        "structure.ambiguous",
    ),
    ("signed attributes gone", attacks.changed_cms(attacks.no_attributes), INVALID, "content.changed"),
    (
        "another hash named",
        attacks.changed_cms(attacks.other_digest_algorithm),
        INVALID,
        "content.changed",
    ),
    ("the digest twice", attacks.changed_cms(attacks.digest_twice), INVALID, "structure.ambiguous"),
    ("no CMS at all", lambda each: attacks.in_the_gap(each, lambda _: b"x"), INVALID, "signature.unreadable"),
    (
        "something after the CMS",
        lambda each: attacks.in_the_gap(each, lambda octets: octets.rstrip(b"\0") + b"more"),
        INVALID,
        "signature.unreadable",
    ),
    ("universal forgery: no /ByteRange", attacks.without("/ByteRange"), INVALID, "signature.unreadable"),
    ("universal forgery: no /Contents", attacks.without("/Contents"), INVALID, "signature.unreadable"),
    ("universal forgery: no /SubFilter", attacks.without("/SubFilter"), UNDECIDED, "algorithm.unknown"),
    ("universal forgery: empty /Contents", attacks.contents(b""), INVALID, "signature.unreadable"),
    ("universal forgery: zero /Contents", attacks.contents(b"\0"), INVALID, "signature.unreadable"),
    ("universal forgery: an empty /ByteRange", attacks.byte_range(), INVALID, "signature.unreadable"),
    ("universal forgery: nothing covered", attacks.byte_range(0, 0, 0, 0), INVALID, "structure.ambiguous"),
    ("universal forgery: one range", attacks.byte_range(0, 100), INVALID, "signature.unreadable"),
    ("universal forgery: negative", attacks.byte_range(0, -1, -1, 10), INVALID, "signature.unreadable"),
    ("universal forgery: beyond", attacks.byte_range(0, 10, 20, 10**9), INVALID, "signature.unreadable"),
    ("wrapping: a wider gap", attacks.byte_range(0, 100, 90000, 20), INVALID, "structure.ambiguous"),
    ("wrapping: not from the start", attacks.byte_range(5, 100, 200, 20), INVALID, "structure.ambiguous"),
    (
        "incremental saving: no end",
        lambda each: each + b"9 0 obj\n<<>>\nendobj\n",
        UNDECIDED,
        "structure.damaged",
    ),
    ("incremental saving: a trailer alone", lambda each: each + b"trailer\n<<>>\n%%EOF\n", UNDECIDED, ""),
    (
        "incremental saving: references to nothing",
        lambda each: each + b"startxref\n99999999\n%%EOF\n",
        UNDECIDED,
        "",
    ),
    ("cut off in the middle", lambda each: each[: len(each) // 2], UNDECIDED, ""),
    ("cut off at the end", lambda each: each[:-30], UNDECIDED, ""),
    ("broken cross references", lambda each: each.replace(b"startxref\n", b"startxref\n1"), UNDECIDED, ""),
    ("only the head", lambda _: b"%PDF-1.7\n", UNDECIDED, "document.unreadable"),
    ("no signature", lambda _: plain(), UNDECIDED, "document.no_signature"),
]


@pytest.mark.parametrize(
    ("attack", "verdict", "finding"), [each[1:] for each in TAMPERED], ids=[each[0] for each in TAMPERED]
)
def test_what_is_tampered_with_is_judged_right(attack: Attack, verdict: Verdict, finding: str) -> None:
    found = report(attack(signed()))
    assert found.verdict in (verdict, Verdict.INVALID)
    assert not finding or finding in findings(found)


@pytest.mark.parametrize(
    ("label", "facts", "verdict", "finding"),
    [
        ("revoked", {}, INVALID, "certificate.revoked"),
        ("encryption", {}, INVALID, "certificate.purpose"),
        ("not-yet", {}, INVALID, "certificate.out_of_time"),
        ("weak", {}, UNDECIDED, "key.short"),
        ("rsa", {"stamps": "wrong"}, Verdict.REMARK, "stamp.wrong"),
        ("rsa", {"stamps": "future"}, UNDECIDED, "stamp.future"),
        ("rsa", {"stamps": "forged"}, Verdict.REMARK, "stamp.wrong"),
        ("rsa", {"stamps": "tsa-stranger"}, Verdict.REMARK, "stamp.untrusted"),
        ("rsa", {"answers": "forged"}, UNDECIDED, "revocation.forged"),
        ("rsa", {"answers": "stale"}, UNDECIDED, "revocation.unknown"),
    ],
)
def test_certificates_stamps_and_answers_are_judged_as_in_every_format(
    label: str, facts: dict[str, str], verdict: Verdict, finding: str
) -> None:
    document = signed(None, label, Level.B_B)
    if "stamps" in facts:
        document = attacks.changed_cms(stamped_by(facts["stamps"]))(document)
    found = report(asyncio.run(Pades().augment(document, Level.B_LT, pki().evidence(**facts))))
    assert found.verdict is verdict
    assert finding in findings(found)


def stamped_by(stamper: str) -> Callable[[Any], None]:
    """What our own forms would refuse: a time stamp of somebody else's program, wrong as the PKI makes it."""

    def stamp(signed: Any) -> None:
        info = signed["signer_infos"][0]
        imprint = Hash.SHA_256.digest(info["signature"].native)
        token = asyncio.run(pki().evidence(stamps=stamper).timestamp(imprint, Hash.SHA_256))
        attribute = {"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(token)]}
        info["unsigned_attrs"] = cms.CMSAttributes([cms.CMSAttribute(attribute)])

    return stamp


def test_an_encrypted_pdf_that_anybody_may_open_is_read_and_another_one_is_named() -> None:
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    from tests.support.pdfs import written

    for password, finding in (("", "document.no_signature"), ("secret", "document.encrypted")):
        writer = copy_into_new_writer(PdfFileReader(BytesIO(plain())))
        writer.encrypt(owner_pass="owner", user_pass=password)
        assert finding in findings(report(written(writer)))


def test_a_stranger_who_signs_over_it_makes_no_valid_document() -> None:
    """Sneaky signature: a field that covers the page, signed by somebody else."""
    found = report(signed(signed(), "stranger", Level.B_B))
    assert found.signatures[0].verdict is Verdict.VALID
    assert found.signatures[1].verdict is not Verdict.VALID
    assert found.verdict is not Verdict.VALID


def test_evidence_that_was_taken_away_is_missed() -> None:
    def gone(writer: Any) -> None:
        writer.root["/DSS"]["/OCSPs"] = generic.ArrayObject()
        writer.update_container(writer.root["/DSS"])

    found = report(edited(signed(), gone))
    assert (found.verdict, found.signatures[0].level) == (UNDECIDED, "B-T")


def test_a_document_with_very_many_revisions_is_refused_at_once() -> None:
    document = signed()
    # A revision without any object, as often as one likes: the cost of an attack is what it is refused for.
    start = document.rindex(b"startxref")
    for _ in range(257):
        tail = b"xref\n0 0\ntrailer\n<< /Size 1 /Root 1 0 R /Prev %d >>\n" % int(
            document[document.rindex(b"startxref") :].split()[1]
        )
        document += tail + b"startxref\n%d\n%%%%EOF\n" % len(document)
    assert start
    found = report(document)
    assert found.verdict in (UNDECIDED, INVALID)


def test_a_large_document_is_verified_in_a_few_times_its_size() -> None:
    def ballast(writer: Any) -> None:
        stream = generic.StreamObject(stream_data=bytes(range(256)) * 4096 * 8)
        writer.root[pdf_name("/Ballast")] = writer.add_object(stream)
        writer.update_root()

    document = signed(edited(plain(), ballast), level=Level.B_LT)
    report(signed())
    gc.collect()
    tracemalloc.start()
    try:
        assert report(document).verdict is Verdict.VALID
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(document)
