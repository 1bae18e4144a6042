"""What stands in a PDF around its signatures: pages, scripts, stamps alone, and forms of older programs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asn1crypto import cms, crl, keys, x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import CertificateRevocationListBuilder, Name, NameAttribute, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.signers import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.cms.build import CmsForm, sign_cms
from signing.formats.pades import Pades
from signing.hashes import Hash
from signing.verification.cms import SIGNERS_MAX
from signing.verification.findings import Finding, Remark
from signing.verification.found import FoundSignature
from signing.verification.pdf import look_into, read_pdf
from signing.verification.pdf_changes import changed_pages
from signing.verification.pdf_contents import restless
from tests.support import pdf_attacks as attacks
from tests.support.pdf_attacks import edited
from tests.support.pdfs import pdf, updated, written
from tests.support.test_pki import DAY, NOW, key, pki
from tests.support.xml_signatures import signed as signed_as

ATTACKED = Path(__file__).parents[2] / "data" / "attacked"


@cache
def plain() -> bytes:
    return pdf("Pay 1000", "second page")


@cache
def signed() -> bytes:
    return signed_as(Pades(), plain())


def one(document: bytes) -> FoundSignature:
    [found] = read_pdf(document).signatures
    return found


def dictionary(**entries: Any) -> generic.DictionaryObject:
    return generic.DictionaryObject({pdf_name(f"/{name}"): value for name, value in entries.items()})


# --- before anything is checked


def encrypted() -> bytes:
    writer = copy_into_new_writer(PdfFileReader(BytesIO(plain())))
    writer.encrypt(owner_pass="owner", user_pass="secret")
    return written(writer)


def test_signatures_are_counted_unchecked_and_what_is_said_of_the_document_with_them() -> None:
    assert look_into(plain()) == (0, ())
    assert look_into(pdf("page", fields=("empty",))) == (0, ())
    changed = attacks.in_the_gap(signed(), lambda octets: bytes(len(octets)))
    assert look_into(changed) == (1, ())
    assert look_into(edited(signed(), attacks.script)) == (1, (Remark(Finding.CONTENT_ACTIVE, "JavaScript"),))
    assert look_into(encrypted()) == (0, (Remark(Finding.DOCUMENT_ENCRYPTED),))
    count, [remark] = look_into(b"%PDF-1.7\n")
    assert (count, remark.finding) == (0, Finding.DOCUMENT_UNREADABLE)


def test_two_cross_reference_tables_are_two_documents() -> None:
    hybrid = (ATTACKED / "minimal-hybrid-xref.pdf").read_bytes()
    found = read_pdf(hybrid)
    refused = Remark(Finding.STRUCTURE_REFUSED, "two cross reference tables")
    assert (found.signatures, found.remarks[-1]) == ((), refused)


@pytest.mark.parametrize(("count", "refused"), [(SIGNERS_MAX, False), (SIGNERS_MAX + 1, True)])
def test_signatures_without_number_are_not_worked_through(count: int, refused: bool) -> None:
    kind = pdf_name("/Sig")

    def fields(writer: Any) -> None:
        made = [
            dictionary(FT=kind, T=generic.pdf_string(f"S{number}"), V=dictionary(Type=kind))
            for number in range(count)
        ]
        writer.root["/AcroForm"] = dictionary(Fields=generic.ArrayObject(map(writer.add_object, made)))
        writer.update_root()

    found = read_pdf(edited(plain(), fields))
    assert (Remark(Finding.STRUCTURE_REFUSED, f"{count} signatures") in found.remarks) is refused
    assert len(found.signatures) == (0 if refused else count)
    assert {each.remarks[0].finding for each in found.signatures} <= {Finding.SIGNATURE_UNREADABLE}


def test_a_stamp_alone_is_no_signature() -> None:
    def stamp(signature: Any) -> None:
        signature["/SubFilter"] = pdf_name("/ETSI.RFC3161")

    found = read_pdf(attacks.signature_dictionary(signed(), stamp))
    assert (found.signatures, found.remarks) == ((), (Remark(Finding.NO_SIGNATURE),))


# --- as other programs sign


def by_sha1(content: Callable[[bytes], bytes] = Hash.SHA_1.digest) -> bytes:
    """/adbe.pkcs7.sha1 (ISO 32000-1 §12.8.3.3.1): signed is the SHA-1 of the document."""
    named = signed().replace(b"/ETSI.CAdES.detached", b"/adbe.pkcs7.sha1    ")
    numbers = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", named)
    assert numbers is not None
    first, length, second, rest = map(int, numbers.groups())
    covered = named[first : first + length] + named[second : second + rest]
    message = sign_cms(pki().card(), content(covered), Hash.SHA_256, CmsForm())
    return attacks.in_the_gap(named, lambda _: message)


def test_the_sha1_of_a_document_is_signed_by_older_programs_and_weak() -> None:
    found = one(by_sha1())
    assert (found.intact, found.certificate) == (True, pki().certificate("rsa"))
    assert found.remarks == (Remark(Finding.ALGORITHM_WEAK, "SHA-1"),)
    other = one(by_sha1(lambda covered: Hash.SHA_1.digest(covered + b"\n")))
    assert not other.intact
    assert Remark(Finding.CONTENT_CHANGED) in other.remarks


def test_without_a_time_none_is_claimed() -> None:
    assert one(signed()).claimed_time == NOW
    assert one(attacks.without("/M")(signed())).claimed_time is None


def test_lists_in_adobes_attribute_are_found() -> None:
    issuer = Name([NameAttribute(NameOID.COMMON_NAME, "測試")])
    made = CertificateRevocationListBuilder().issuer_name(issuer).last_update(NOW).next_update(NOW + DAY)
    kept = made.sign(key("ec"), SHA256()).public_bytes(Encoding.DER)

    def archived(message: Any) -> None:
        archival = {"crl": [crl.CertificateList.load(kept)]}
        attribute = cms.CMSAttribute({"type": "adobe_revocation_info_archival", "values": [archival]})
        message["signer_infos"][0]["signed_attrs"].append(attribute)

    found = one(attacks.changed_cms(archived)(signed()))
    assert (found.crls, found.ocsp) == ((kept,), ())


def certified(permissions: MDPPerm) -> bytes:
    """As an author certifies a form (ISO 32000-1 §12.8.2.2), who says what may be changed later."""
    private = key("rsa").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificate = x509.Certificate.load(pki().certificate("rsa"))
    signer = SimpleSigner(certificate, keys.PrivateKeyInfo.load(private), SimpleCertificateStore())
    metadata = PdfSignatureMetadata("Author", certify=True, docmdp_permissions=permissions)
    document: bytes = sign_pdf(updated(attacks.with_text_field(plain())), metadata, signer).getvalue()
    return document


@pytest.mark.parametrize(
    ("permissions", "remark"),
    [
        (MDPPerm.NO_CHANGES, Remark(Finding.CONTENT_CHANGED, "Amount")),
        (MDPPerm.FILL_FORMS, Remark(Finding.CONTENT_ADDED, "Amount")),
    ],
)
def test_a_form_is_filled_in_later_only_where_its_author_allows(permissions: MDPPerm, remark: Remark) -> None:
    document = certified(permissions)
    assert one(document).remarks == ()
    found = one(edited(document, attacks.filled))
    assert found.remarks == (remark,)
    assert found.intact is (remark.finding is Finding.CONTENT_ADDED)


# --- what pages show


def pages(*each: Any) -> Any:
    return dictionary(Pages=dictionary(Kids=generic.ArrayObject(each)))


def changed(before: Any, now: Any) -> str:
    reader = SimpleNamespace(get_historical_root=lambda _: before, root=now)
    return changed_pages(reader, SimpleNamespace(signed_revision=0))  # type: ignore[arg-type]


def shown(*numbers: int) -> Any:
    return pages(*(dictionary(Rotate=attacks.number(each)) for each in numbers))


def test_pages_are_named_in_ranges_and_no_more_than_fit_a_line() -> None:
    assert changed(shown(0, 0, 0, 0, 0), shown(0, 90, 90, 0, 90)) == "第 2-3, 5 頁 page 2-3, 5"
    assert changed(shown(0, 0), shown(0, 0)) == ""
    assert changed(shown(0), shown(90, 0)) == "第 1 頁 page 1, 1 → 2 頁 pages"
    odd = ", ".join(map(str, range(1, 17, 2)))
    assert changed(shown(*[0] * 20), shown(*[90, 0] * 10)) == f"第 {odd} … 頁 page {odd} …"


def nested(depth: int, inmost: Any) -> Any:
    found = inmost
    for _ in range(depth):
        found = dictionary(X=found)
    return found


def test_where_it_cannot_be_told_no_page_is_named() -> None:
    assert changed(dictionary(), shown(0)) == ""
    zero, one_ = attacks.number(0), attacks.number(1)
    assert changed(pages(nested(30, zero)), pages(nested(30, one_))) == "第 1 頁 page 1"
    assert changed(pages(nested(60, zero)), pages(nested(60, one_))) == ""
    assert changed(shown(*[0] * 5000), shown(0)) == ""


def test_signatures_and_what_leads_back_change_no_page() -> None:
    def page(value: int, other: int) -> Any:
        field = dictionary(FT=pdf_name("/Sig"), V=attacks.number(value))
        made = dictionary(Field=field, Parent=attacks.number(value), Other=attacks.number(other))
        made[pdf_name("/Self")] = made
        return made

    assert changed(pages(page(1, 0)), pages(page(2, 0))) == ""
    assert changed(pages(page(1, 0)), pages(page(1, 1))) == "第 1 頁 page 1"


# --- what is executed or fetched


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (dictionary(AcroForm=dictionary(XFA=generic.ArrayObject())), "XFA"),
        (dictionary(Names=dictionary(JavaScript=dictionary())), "JavaScript"),
        (dictionary(A=generic.StreamObject({pdf_name("/F"): generic.pdf_string("a")})), "external stream"),
        (
            dictionary(
                B=generic.ArrayObject([dictionary(S=pdf_name("/Launch"))]),
                C=dictionary(Subtype=pdf_name("/RichMedia")),
            ),
            "Launch, RichMedia",
        ),
        (nested(60, attacks.number(0)), None),
        (nested(61, attacks.number(0)), "…"),
    ],
    ids=["XFA", "scripts", "a file", "actions", "deep", "too deep"],
)
def test_what_is_executed_or_fetched_is_named_and_what_is_not_looked_at_too(
    root: Any, said: str | None
) -> None:
    reader = SimpleNamespace(root=root)
    expected = [] if said is None else [Remark(Finding.CONTENT_ACTIVE, said)]
    assert list(restless(reader)) == expected  # type: ignore[arg-type]
