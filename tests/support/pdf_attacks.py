"""What is done to PDFs around a signature: changed, hidden, swapped, broken; each from one that is valid.

Attacks by the names of their papers: Mladenov et al., "1 Trillion Dollar Refund" (CCS 2019: universal
forgery, incremental saving, wrapping); Mainka et al., "Shadow Attacks" (NDSS 2021: hide, replace);
Rohlmann et al., "Breaking the Specification" (S&P 2021: evil annotation, sneaky signature).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from asn1crypto import cms
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name

from tests.support.pdfs import page, updated, written

Attack = Callable[[bytes], bytes]


def number(value: float) -> generic.NumberObject:
    return generic.NumberObject(int(value))


def edited(document: bytes, edit: Callable[[Any], None]) -> bytes:
    """As an editor saves it: what was changed, appended as a revision."""
    writer = updated(document)
    edit(writer)
    return written(writer)


def first_page(writer: Any) -> Any:
    return writer.root["/Pages"]["/Kids"][0].get_object()


# --- changed after signing


def another_amount(writer: Any) -> None:
    first = first_page(writer)
    first["/Contents"] = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    writer.update_container(first)


def another_page(writer: Any) -> None:
    writer.insert_page(page(writer, "another page"))


def page_gone(writer: Any) -> None:
    kids = writer.root["/Pages"]["/Kids"]
    del kids[0]
    writer.root["/Pages"]["/Count"] = number(len(kids))
    writer.update_container(writer.root["/Pages"])


def turned(writer: Any) -> None:
    first_page(writer)["/Rotate"] = number(180)
    writer.update_container(first_page(writer))


def cropped(writer: Any) -> None:
    first_page(writer)["/CropBox"] = generic.ArrayObject(map(number, (0, 0, 10, 10)))
    writer.update_container(first_page(writer))


def note(kind: str) -> Callable[[Any], None]:
    def add(writer: Any) -> None:
        drawn = generic.StreamObject(stream_data=b"1 1 1 rg 0 0 400 60 re f")
        drawn[pdf_name("/Subtype")] = pdf_name("/Form")
        drawn[pdf_name("/BBox")] = generic.ArrayObject(map(number, (0, 0, 400, 60)))
        annotation = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name(kind),
                pdf_name("/Rect"): generic.ArrayObject(map(number, (40, 720, 440, 780))),
                pdf_name("/Contents"): generic.pdf_string("covered"),
                pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): writer.add_object(drawn)}),
            }
        )
        writer.register_annotation(writer.root["/Pages"]["/Kids"].raw_get(0), writer.add_object(annotation))

    return add


def other_font(writer: Any) -> None:
    """Shadow attack, replace: the same text reads otherwise in a font whose glyphs were swapped."""
    first_page(writer)["/Resources"]["/Font"]["/F1"] = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/Type1"),
            pdf_name("/BaseFont"): pdf_name("/ZapfDingbats"),
        }
    )
    writer.update_container(first_page(writer)["/Resources"])


def script(writer: Any) -> None:
    writer.root["/OpenAction"] = generic.DictionaryObject(
        {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): generic.pdf_string("app.alert(1)")}
    )
    writer.update_root()


def attachment(writer: Any) -> None:
    writer.root["/Names"] = generic.DictionaryObject(
        {pdf_name("/EmbeddedFiles"): generic.DictionaryObject({pdf_name("/Names"): generic.ArrayObject()})}
    )
    writer.update_root()


def layer_off(writer: Any) -> None:
    writer.root["/OCProperties"]["/D"]["/OFF"] = writer.root["/OCProperties"]["/OCGs"]
    writer.update_root()


def no_cover(writer: Any) -> None:
    """Shadow attack, hide: the picture that lay over the real content is taken away."""
    first = first_page(writer)
    del first["/Annots"][0]
    writer.update_container(first)


def other_tree(writer: Any) -> None:
    """Shadow attack, hide and replace: a second tree of pages, signed too, is shown instead."""
    writer.root["/Pages"] = writer.root.raw_get("/Spare")
    writer.update_root()


def filled(writer: Any) -> None:
    field = next(each.get_object() for each in writer.root["/AcroForm"]["/Fields"])
    field["/V"] = generic.pdf_string("1000000")
    writer.update_container(field)


# --- prepared before signing


def with_layers(document: bytes) -> bytes:
    def add(writer: Any) -> None:
        group = writer.add_object(
            generic.DictionaryObject(
                {pdf_name("/Type"): pdf_name("/OCG"), pdf_name("/Name"): generic.pdf_string("hidden")}
            )
        )
        order = generic.DictionaryObject({pdf_name("/ON"): generic.ArrayObject([group])})
        writer.root["/OCProperties"] = generic.DictionaryObject(
            {pdf_name("/OCGs"): generic.ArrayObject([group]), pdf_name("/D"): order}
        )
        writer.update_root()

    return edited(document, add)


def with_spare_pages(document: bytes) -> bytes:
    def add(writer: Any) -> None:
        tree = generic.DictionaryObject(
            {pdf_name("/Type"): pdf_name("/Pages"), pdf_name("/Count"): number(1)}
        )
        reference = writer.add_object(tree)
        spare = page(writer, "Pay 1000000")
        spare["/Parent"] = reference
        tree["/Kids"] = generic.ArrayObject([writer.add_object(spare)])
        writer.root["/Spare"] = reference
        writer.update_root()

    return edited(document, add)


def with_text_field(document: bytes) -> bytes:
    def add(writer: Any) -> None:
        field = generic.DictionaryObject(
            {
                pdf_name("/FT"): pdf_name("/Tx"),
                pdf_name("/T"): generic.pdf_string("Amount"),
                pdf_name("/V"): generic.pdf_string("1"),
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Widget"),
                pdf_name("/Rect"): generic.ArrayObject(map(number, (40, 600, 240, 640))),
            }
        )
        reference = writer.add_object(field)
        writer.root["/AcroForm"] = generic.DictionaryObject(
            {pdf_name("/Fields"): generic.ArrayObject([reference])}
        )
        writer.register_annotation(writer.root["/Pages"]["/Kids"].raw_get(0), reference)
        writer.update_root()

    return edited(document, add)


# --- the bytes themselves


def flipped(document: bytes, at: int) -> bytes:
    """One bit of one octet otherwise."""
    return document[:at] + bytes((document[at] ^ 1,)) + document[at + 1 :]


def signature_dictionary(document: bytes, edit: Callable[[Any], None]) -> bytes:
    """The signature object written anew, in a revision of its own (universal forgery; wrapping)."""

    def change(writer: Any) -> None:
        field = next(
            each.get_object()
            for each in writer.root["/AcroForm"]["/Fields"]
            if each.get_object()["/FT"] == "/Sig"
        )
        edit(field["/V"])
        writer.mark_update(field.raw_get("/V").reference)

    return edited(document, change)


def byte_range(*numbers: int) -> Attack:
    def edit(signature: Any) -> None:
        signature["/ByteRange"] = generic.ArrayObject(map(number, numbers))

    return lambda document: signature_dictionary(document, edit)


def without(key: str) -> Attack:
    def edit(signature: Any) -> None:
        del signature[key]

    return lambda document: signature_dictionary(document, edit)


def contents(value: bytes) -> Attack:
    def edit(signature: Any) -> None:
        signature["/Contents"] = generic.ByteStringObject(value)

    return lambda document: signature_dictionary(document, edit)


def in_the_gap(document: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Other octets where the signature stands, as long as it: nothing that is signed moves."""
    start, end = (each.start() for each in _gap(document))
    octets = bytes.fromhex(document[start:end].decode())
    other = change(octets).ljust(len(octets), b"\0").hex().encode()
    return document[:start] + other + document[end:]


def _gap(document: bytes) -> list[Any]:
    found = re.search(rb"/Contents <([0-9A-Fa-f]+)>", document)
    assert found is not None
    return [re.compile(b"").match(document, found.start(1)), re.compile(b"").match(document, found.end(1))]


def changed_cms(change: Callable[[Any], None]) -> Attack:
    def anew(octets: bytes) -> bytes:
        message = cms.ContentInfo.load(octets)
        change(message["content"])
        return message.dump(force=True)

    return lambda document: in_the_gap(document, anew)


def two_signers(signed: Any) -> None:
    signed["signer_infos"] = cms.SignerInfos([signed["signer_infos"][0], signed["signer_infos"][0].copy()])


def no_certificates(signed: Any) -> None:
    signed["certificates"] = cms.CertificateSet([])


def content_inside(signed: Any) -> None:
    signed["encap_content_info"] = {"content_type": "data", "content": b"something else"}


def no_attributes(signed: Any) -> None:
    info = signed["signer_infos"][0]
    signed["signer_infos"] = cms.SignerInfos(
        [
            {
                "version": "v1",
                "sid": info["sid"],
                "digest_algorithm": info["digest_algorithm"],
                "signature_algorithm": info["signature_algorithm"],
                "signature": info["signature"].native,
            }
        ]
    )


def other_digest_algorithm(signed: Any) -> None:
    signed["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha384"}


def digest_twice(signed: Any) -> None:
    attributes = signed["signer_infos"][0]["signed_attrs"]
    digest = next(each for each in attributes if each["type"].native == "message_digest")
    attributes.append(digest.copy())
