"""PAdES signatures in PDFs (ETSI EN 319 142-1), by pyHanko: always an incremental update, never a rewrite.

Space for the CMS and its time stamp is left when the document is prepared; /ByteRange covers everything else.
What higher levels add comes after it: evidence in the Document Security Store, and a document time stamp.

Encrypted documents are refused, and damaged ones too: repairing one would change what the person has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hca_card.certificate import describe
from signing.cms.build import signed_attributes, signed_data, signer_info
from signing.errors import DocumentUnusableError, EvidenceError
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.formats.pdf_stamp import Stamp, new_field, style
from signing.formats.validation_data import gather_all, stamped
from signing.hashes import Hash

if TYPE_CHECKING:
    from asn1crypto import cms, x509
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

_STAMP_ROOM: Final = 16 * 1024
"""Octets kept free for a time stamp with its authority's certificates."""

_VALUE_ROOM: Final = 4 * 1024
"""Octets for the signature value and the signed attributes."""

_STAMP_ATTRIBUTE: Final = "signature_time_stamp_token"


@dataclass(frozen=True, slots=True)
class Pades:
    """How a PDF is to be signed.

    Attributes:
        field: the form field to sign, an empty one of the document or a new one; empty for the only empty
            one there is, else a new one.
        reason: what the signature is for; empty to say nothing.
        location: where; empty to say nothing.
        stamp: where it is seen; None shows it in an existing field alone, if that has a place on a page.
    """

    format: ClassVar[SignatureFormat] = SignatureFormat.PADES
    suffix: ClassVar[str] = ".signed.pdf"

    field: str = ""
    reason: str = ""
    location: str = ""
    stamp: Stamp | None = None

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return what the card has to sign: signed attributes over everything but their own place."""
        from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner

        with _as_unusable():
            writer = _writer(document)
            field = self.field or _free_field(writer)
            metadata = PdfSignatureMetadata(
                field_name=field,
                md_algorithm=algorithm.asn1_name,
                reason=self.reason or None,
                location=self.location or None,
                subfilter=_pades_subfilter(),
            )
            session = PdfSigner(
                metadata,
                signer=_named(signer),
                stamp_style=style(self._lines(signer, when), self.stamp),
                new_field_spec=None if self.stamp is None else new_field(writer, field, self.stamp),
            ).init_signing_session(writer)
            session.system_time = when
            room = sum(map(len, (signer.certificate, *signer.chain))) + _VALUE_ROOM + _STAMP_ROOM
            waiting, output = session.prepare_tbs_document(None, 2 * room).digest_tbs_document()
        # EN 319 142-1 §6.3: content type, message digest, signing-certificate-v2, and no time. Not pyHanko's:
        # it writes the issuer's name anew, and cannot where that is written oddly.
        attributes = signed_attributes(waiting.document_digest, None, bound_to=signer.certificate)

        def finish(value: bytes) -> bytes:
            info = signer_info(signer.certificate, attributes, value, algorithm)
            cms = signed_data((signer.certificate, *signer.chain), info, algorithm, content=None)
            with _as_unusable():
                waiting.fill_with_cms(output, cms)
            return _whole(output)

        return Ready(bytes(attributes.dump()), algorithm, finish)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the document at a higher level; one that has it already gets its evidence anew (B-LTA)."""
        if level.reaches(Level.B_T):
            signed = await _with_stamp(signed, evidence)
        if level.reaches(Level.B_LT):
            signed = await _with_evidence(signed, evidence)
        if level.reaches(Level.B_LTA):
            signed = await _sealed(signed, evidence)
        return signed

    def _lines(self, signer: Signer, when: datetime) -> tuple[str, ...]:
        """Return what is seen of the signature: who, when, what for, where."""
        local = when.astimezone()
        return (
            "電子簽章 Digitally signed",
            describe(signer.certificate).common_name or "",
            f"{local:%Y-%m-%d %H:%M:%S} {local:%z}",
            self.reason,
            self.location,
        )


# --- the signature ---------------------------------------------------------------------------------------


def _pades_subfilter() -> Any:
    from pyhanko.sign.fields import SigSeedSubFilter

    return SigSeedSubFilter.PADES


def _writer(document: bytes) -> IncrementalPdfFileWriter:
    """Return a writer that appends to the document.

    Raises:
        DocumentUnusableError: it is encrypted.
    """
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    writer = IncrementalPdfFileWriter(BytesIO(document), strict=True)
    if writer.prev.encrypted:
        raise DocumentUnusableError("PDF 有加密，請先另存為沒有密碼的 PDF · the PDF is encrypted")
    return writer


def _free_field(writer: IncrementalPdfFileWriter) -> str:
    """Return the only empty signature field, or a name that no field has."""
    from pyhanko.sign.fields import enumerate_sig_fields

    names = {name: value is not None for name, value, _ in enumerate_sig_fields(writer)}
    empty = [name for name, filled in names.items() if not filled]
    if len(empty) == 1:
        return str(empty[0])
    number = 1
    while f"Signature{number}" in names:
        number += 1
    return f"Signature{number}"


def _named(signer: Signer) -> Any:
    """Return pyHanko's signer that knows whose signature it will be, and makes none."""
    from asn1crypto import x509
    from pyhanko.sign.signers.pdf_cms import ExternalSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    class Named(ExternalSigner):
        # For what a visible field shows; pyHanko's own reading refuses names that are written oddly.
        subject_name = describe(signer.certificate).common_name or ""

    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    return Named(x509.Certificate.load(signer.certificate), store, signature_value=b"")


# --- what higher levels add ------------------------------------------------------------------------------


async def _with_stamp(signed: bytes, evidence: Evidence) -> bytes:
    """Return the document with a time stamp in the last signature, where it has none (EN 319 142-1 §5.3)."""
    from asn1crypto import cms

    last = await asyncio.to_thread(_last_signature, signed)
    if _stamps_of(last.signer_info):
        return signed
    algorithm = Hash.of_asn1_name(last.md_algorithm)
    stamp = await stamped(last.signer_info["signature"].native, evidence, algorithm)
    attribute = cms.CMSAttribute({"type": _STAMP_ATTRIBUTE, "values": [cms.ContentInfo.load(stamp.token)]})
    content = cms.ContentInfo.load(last.pkcs7_content)
    info = content["content"]["signer_infos"][0]
    info["unsigned_attrs"] = cms.CMSAttributes([*_attributes(info["unsigned_attrs"]), attribute])
    return await asyncio.to_thread(_replaced, signed, last, content.dump())


def _replaced(signed: bytes, signature: EmbeddedPdfSignature, contents: bytes) -> bytes:
    """Return the document with other octets in the gap of that signature's /ByteRange.

    Only the last revision may be changed so: the gap of an earlier one is what later ones cover.
    """
    first, length, second, rest = (int(each) for each in signature.byte_range)
    if first != 0 or second + rest != len(signed):
        raise DocumentUnusableError(
            "簽章之後還有別的內容，無法再加時戳 · the signature is not the last change of the PDF"
        )
    room = second - length - 2
    filled = contents.hex().upper().encode().ljust(room, b"0")
    if len(filled) != room:
        raise DocumentUnusableError(
            "PDF 簽章沒有留下放時戳的空間 · the signature has no room for a time stamp"
        )
    return signed[: length + 1] + filled + signed[second - 1 :]


async def _with_evidence(signed: bytes, evidence: Evidence) -> bytes:
    """Return the document with certificates and authorities' answers for every signature and time stamp."""
    from asn1crypto import crl, ocsp, x509

    required, others = await asyncio.to_thread(_signers, signed)
    found = [await gather_all(required, evidence)]
    for each in others:
        # Somebody else's earlier signature must not keep this one from lasting.
        with suppress(EvidenceError):
            found.append(await gather_all((each,), evidence))
    certificates, ocsps, crls = (
        dict.fromkeys(chain.from_iterable(kind))
        for kind in zip(*((each.certificates, each.ocsp, each.crls) for each in found), strict=True)
    )

    def store() -> bytes:
        from pyhanko.sign.validation.dss import DocumentSecurityStore

        with _as_unusable():
            output = BytesIO(signed)
            DocumentSecurityStore.add_dss(
                output,
                None,
                certs=[x509.Certificate.load(each) for each in certificates],
                ocsps=[ocsp.OCSPResponse.load(each) for each in ocsps],
                crls=[crl.CertificateList.load(each) for each in crls],
            )
            return _whole(output)

    return await asyncio.to_thread(store)


async def _sealed(signed: bytes, evidence: Evidence) -> bytes:
    """Return the document under a document time stamp (EN 319 142-1 §5.4.3)."""
    waiting, output = await asyncio.to_thread(_room_for_seal, signed)
    whole = _whole(output)
    covered = whole[: waiting.reserved_region_start] + whole[waiting.reserved_region_end :]
    stamp = await stamped(covered, evidence)
    with _as_unusable():
        waiting.fill_with_cms(output, stamp.token)
    return _whole(output)


def _room_for_seal(signed: bytes) -> tuple[PreparedByteRangeDigest, BytesIO]:
    from pyhanko.sign.fields import SigFieldSpec, enumerate_sig_fields
    from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
    from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp

    with _as_unusable():
        writer = _writer(signed)
        number = 1 + sum(1 for _ in enumerate_sig_fields(writer))
        name = f"Timestamp{number}"
        steps: Any = PdfCMSEmbedder(SigFieldSpec(name)).write_cms(name, writer)
        next(steps)
        room = DocumentTimestamp(bytes_reserved=2 * _STAMP_ROOM)  # type: ignore[no-untyped-call]
        steps.send(SigObjSetup(room))
        waiting, output = steps.send(SigIOSetup(md_algorithm=Hash.SHA_256.asn1_name))
        return waiting, output


def _signatures(signed: bytes) -> list[EmbeddedPdfSignature]:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.pdf_embedded import collect_embedded_signatures

    with _as_unusable():
        reader: PdfFileReader = PdfFileReader(BytesIO(signed), strict=True)
        return list(collect_embedded_signatures(reader))


def _last_signature(signed: bytes) -> EmbeddedPdfSignature:
    found = [each for each in _signatures(signed) if each.sig_object_type == "/Sig"]
    if not found:
        raise DocumentUnusableError("PDF 裡沒有簽章 · there is no signature in the PDF")
    return found[-1]


def _signers(signed: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return certificates: of the last signer and all time stamps' authorities, and of earlier signers."""
    signatures = _signatures(signed)
    stamps: list[bytes] = []
    signers: list[bytes] = []
    for each in signatures:
        mine = stamps if each.sig_object_type == "/DocTimeStamp" else signers
        with _as_unusable():
            mine.append(each.signer_cert.dump())
            stamps += [_stamper(token).dump() for token in _stamps_of(each.signer_info)]
    return list(dict.fromkeys(signers[-1:] + stamps)), signers[:-1]


def _stamper(token: cms.ContentInfo) -> x509.Certificate:
    from pyhanko.sign.validation.generic_cms import extract_certs_for_validation

    return extract_certs_for_validation(token["content"]).signer_cert


def _stamps_of(info: cms.SignerInfo) -> list[cms.ContentInfo]:
    return [
        token
        for attribute in _attributes(info["unsigned_attrs"])
        if attribute["type"].native == _STAMP_ATTRIBUTE
        for token in attribute["values"]
    ]


def _attributes(found: Any) -> list[cms.CMSAttribute]:
    """Return attributes that may be left out altogether."""
    return list(found) if found.native is not None else []


# --- pyHanko's manners -----------------------------------------------------------------------------------


def _whole(output: Any) -> bytes:
    found: bytes = output.getvalue()
    return found


@contextmanager
def _as_unusable() -> Iterator[None]:
    """Say of everything that pyHanko cannot do with a document that it cannot be signed."""
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.sign.general import SigningError

    try:
        yield
    except DocumentUnusableError:
        raise
    except (PdfError, SigningError) as error:
        raise DocumentUnusableError(f"PDF: {error}"[:200]) from error
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise DocumentUnusableError("PDF 已損壞 · the PDF is damaged") from error
