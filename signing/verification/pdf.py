"""Read the signatures of a PDF (ISO 32000-2 §12.8, ETSI EN 319 142-1), and what became of it since.

pyHanko parses, strictly where that is possible, and compares revisions; the CMS inside is read as any other
(`cms.py`). A document time stamp covers every signature before it. What changed after a signature is named by
page or form field. Nothing in the document is executed, and nothing fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from signing.asn1 import MALFORMED
from signing.errors import SignatureFormatError
from signing.formats import SignatureFormat
from signing.verification.cms import SIGNERS_MAX, signatures_of, signed_data_in
from signing.verification.found import Finding, FoundDocument, FoundSignature, FoundStamp, Remark
from signing.verification.pdf_changes import changed_pages, only_signatures
from signing.verification.pdf_contents import entry, restless

if TYPE_CHECKING:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

REVISIONS_MAX: Final = 256
"""More than that is an attempt to keep the processor busy."""

_TAIL: Final = 1024
"""Where the end of a file is looked for (ISO 32000-1 annex H.3, note 18)."""

_PADES: Final = "/ETSI.CAdES.detached"
_DETACHED: Final = frozenset((_PADES, "/adbe.pkcs7.detached"))
_SHA1: Final = "/adbe.pkcs7.sha1"
_STAMP: Final = "/ETSI.RFC3161"


def read_pdf(document: bytes) -> FoundDocument:
    """Return the signatures of a PDF, in the order in which they were made."""
    try:
        with _reading():
            reader, remarks = _opened(document)
            if reader is None:
                return FoundDocument("pdf", (), remarks)
            return _Reading(document, reader).found((*remarks, *restless(reader)))
    except _UnreadableError as error:
        return FoundDocument("pdf", (), (Remark(Finding.DOCUMENT_UNREADABLE, str(error)[:80]),))


def look_into(document: bytes) -> tuple[int, tuple[Remark, ...]]:
    """Return how many signatures a PDF has, unchecked, and what has to be said of the document itself."""
    from pyhanko.sign.fields import enumerate_sig_fields

    try:
        with _reading():
            reader, remarks = _opened(document)
            if reader is None:
                return 0, remarks
            found = sum(1 for _ in enumerate_sig_fields(reader, filled_status=True))
            return found, (*remarks, *restless(reader))
    except _UnreadableError as error:
        return 0, (Remark(Finding.DOCUMENT_UNREADABLE, str(error)[:80]),)


class _UnreadableError(Exception):
    """What pyHanko could make nothing of."""


@contextmanager
def _reading() -> Iterator[None]:
    """Run the body; whatever a hostile file makes of pyHanko and asn1crypto is one error."""
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.sign.general import SigningError
    from pyhanko.sign.validation.errors import SignatureValidationError, ValidationInfoReadingError

    try:
        yield
    except (PdfError, SigningError, SignatureValidationError, ValidationInfoReadingError) as error:
        raise _UnreadableError(str(error)) from error
    except (*MALFORMED, AssertionError, NotImplementedError) as error:
        raise _UnreadableError("") from error


def _opened(document: bytes) -> tuple[PdfFileReader | None, tuple[Remark, ...]]:
    """Return a reader with what has to be said of the file; None where it cannot be read."""
    from pyhanko.pdf_utils.crypt import AuthStatus
    from pyhanko.pdf_utils.misc import PdfReadError
    from pyhanko.pdf_utils.reader import PdfFileReader

    remarks: tuple[Remark, ...] = ()
    try:
        reader = PdfFileReader(BytesIO(document), strict=True)
        _ = reader.root["/Pages"]
    except PdfReadError as error:
        # Programs mend such files each in its own way, so that two may show two things.
        remarks = (Remark(Finding.STRUCTURE_DAMAGED, str(error)[:80]),)
        reader = PdfFileReader(BytesIO(document), strict=False)
    if not document[-_TAIL:].rstrip(b"\0\t\n\f\r ").endswith(b"%%EOF"):
        # Objects without a cross reference: programs that mend the file find them all the same.
        remarks += (Remark(Finding.STRUCTURE_DAMAGED, "something follows the end of the file"),)
    if reader.encrypted and reader.decrypt(b"").status is AuthStatus.FAILED:
        return None, (Remark(Finding.DOCUMENT_ENCRYPTED),)
    if reader.xrefs.hybrid_xrefs_present:
        return None, (Remark(Finding.STRUCTURE_REFUSED, "two cross reference tables"),)
    if reader.xrefs.total_revisions > REVISIONS_MAX:
        return None, (Remark(Finding.STRUCTURE_REFUSED, f"{reader.xrefs.total_revisions} revisions"),)
    return reader, remarks


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the Document Security Store has for all signatures together (EN 319 142-1 §5.4.2)."""

    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


class _Reading:
    """One document while its signatures are read."""

    def __init__(self, document: bytes, reader: PdfFileReader) -> None:
        self._document = document
        self._reader = reader
        self._store = _Evidence()

    def found(self, remarks: tuple[Remark, ...]) -> FoundDocument:
        from pyhanko.sign.fields import enumerate_sig_fields

        fields = list(enumerate_sig_fields(self._reader, filled_status=True))
        if len(fields) > SIGNERS_MAX:
            return FoundDocument("pdf", (), (Remark(Finding.STRUCTURE_REFUSED, f"{len(fields)} signatures"),))
        if not fields:
            return FoundDocument("pdf", (), (*remarks, Remark(Finding.NO_SIGNATURE)))
        self._store = self._evidence()
        made: list[tuple[int, EmbeddedPdfSignature]] = []
        lost: list[FoundSignature] = []
        for name, _, field in fields:
            try:
                with _reading():
                    signature = self._embedded(field, name)
                    made.append((self._end(signature), signature))
            except _UnreadableError as error:
                lost.append(_lost(name, Remark(Finding.SIGNATURE_UNREADABLE, str(error)[:80])))
        made.sort(key=lambda each: each[0])
        stamps = [(end, stamp) for end, each in made for stamp in self._stamps(each)]
        signatures = [
            replace(found, stamps=(*found.stamps, *(stamp for at, stamp in stamps if at > end)))
            for end, each in made
            if _subfilter(each) != _STAMP
            for found in self._signatures(each)
        ]
        if not signatures and not lost:
            remarks = (*remarks, Remark(Finding.NO_SIGNATURE))
        return FoundDocument("pdf", (*signatures, *lost), remarks)

    def _stamps(self, embedded: EmbeddedPdfSignature) -> Iterator[FoundStamp]:
        """Give a document time stamp that is over a whole revision; another one proves nothing."""
        with suppress(_UnreadableError), _reading():
            if _subfilter(embedded) == _STAMP and self._whole(embedded) is None:
                yield FoundStamp(_message(embedded), self._covered(embedded), archive=True)

    def _embedded(self, field: Any, name: str) -> EmbeddedPdfSignature:
        from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

        return EmbeddedPdfSignature(self._reader, field, name)

    def _end(self, signature: EmbeddedPdfSignature) -> int:
        """Return where what a signature covers ends: later ones cover more."""
        _, _, second, length = (int(each) for each in signature.byte_range)
        return second + length

    def _covered(self, signature: EmbeddedPdfSignature) -> tuple[memoryview, ...]:
        """Return what /ByteRange names, in pieces of the document."""
        numbers = [int(each) for each in signature.byte_range]
        if len(numbers) % 2 or any(each < 0 for each in numbers):
            raise ValueError("/ByteRange")
        whole = memoryview(self._document)
        pieces = [(numbers[at], numbers[at + 1]) for at in range(0, len(numbers), 2)]
        if any(start + length > len(whole) for start, length in pieces):
            raise ValueError("/ByteRange")
        return tuple(whole[start : start + length] for start, length in pieces)

    def _signatures(self, embedded: EmbeddedPdfSignature) -> Iterator[FoundSignature]:
        """Give the signature of one field, with what became of the document since."""
        name, subfilter = embedded.field_name, _subfilter(embedded)
        try:
            with _reading():
                signed, inside = signed_data_in(_message(embedded))
                if subfilter not in _DETACHED | {_SHA1}:
                    yield _lost(name, Remark(Finding.ALGORITHM_UNKNOWN, subfilter[:40]))
                    return
                content = b"".join(self._covered(embedded))
                remarks: list[Remark] = []
                if subfilter == _SHA1:
                    # ISO 32000-1 §12.8.3.3.1: the SHA-1 of the document is what is signed.
                    from signing.hashes import Hash

                    remarks.append(Remark(Finding.ALGORITHM_WEAK, "SHA-1"))
                    if inside != Hash.SHA_1.digest(content):
                        remarks.append(Remark(Finding.CONTENT_CHANGED))
                    content = inside or b""
                elif inside is not None:
                    remarks.append(Remark(Finding.STRUCTURE_AMBIGUOUS, "a document inside the signature"))
                remarks += self._since(embedded)
                found = list(signatures_of(signed, content, "data"))
        except (_UnreadableError, SignatureFormatError) as error:
            yield _lost(name, Remark(Finding.SIGNATURE_UNREADABLE, str(error)[:80]))
            return
        if len([each for each in found if not each.over]) != 1:
            # EN 319 142-1 §6.2.1: one SignerInfo, and other programs look at the first one alone.
            remarks.append(Remark(Finding.STRUCTURE_AMBIGUOUS, "more than one signer in a signature"))
        for each in found[:1]:
            yield replace(
                each,
                format=SignatureFormat.PADES if subfilter == _PADES else SignatureFormat.CMS,
                intact=each.intact and not any(remark.finding in _BROKEN for remark in remarks),
                remarks=tuple(dict.fromkeys((*each.remarks, *remarks))),
                claimed_time=each.claimed_time or _time(embedded),
                certificates=tuple(dict.fromkeys((*each.certificates, *self._store.certificates))),
                ocsp=tuple(dict.fromkeys((*each.ocsp, *self._store.ocsp, *_archival(embedded, "ocsp")))),
                crls=tuple(dict.fromkeys((*each.crls, *self._store.crls, *_archival(embedded, "crl")))),
                signs=_text(name),
                reason=_text(entry(embedded.sig_object, "/Reason") or ""),
            )

    def _whole(self, embedded: EmbeddedPdfSignature) -> Remark | None:
        """Return why what a signature covers is not a whole revision of the document; None where it is."""
        from pyhanko.sign.validation.status import SignatureCoverageLevel

        coverage: Any = embedded.evaluate_signature_coverage()
        embedded.coverage = coverage
        if coverage >= SignatureCoverageLevel.ENTIRE_REVISION:
            return None
        return Remark(Finding.STRUCTURE_AMBIGUOUS, "it covers less than a whole revision")

    def _since(self, embedded: EmbeddedPdfSignature) -> Iterator[Remark]:
        """Give what became of the document since a signature."""
        from pyhanko.sign.diff_analysis import (
            DEFAULT_DIFF_POLICY,
            DiffResult,
            ModificationLevel,
        )

        partly = self._whole(embedded)
        if partly is not None:
            yield partly
            return
        result = embedded.evaluate_modifications(DEFAULT_DIFF_POLICY)
        if not isinstance(result, DiffResult):
            yield Remark(Finding.CONTENT_CHANGED, changed_pages(self._reader, embedded) or str(result)[:80])
            return
        allowed = embedded.docmdp_level
        names = sorted(result.changed_form_fields)
        if allowed is not None and result.modification_level.value > max(
            allowed.value, ModificationLevel.LTA_UPDATES.value
        ):
            yield Remark(Finding.CONTENT_CHANGED, _text(", ".join(names)) or "not as its author allows")
        elif names and not only_signatures(self._reader, names):
            yield Remark(Finding.CONTENT_ADDED, _text(", ".join(names)))

    def _evidence(self) -> _Evidence:
        from pyhanko.pdf_utils.decode_limits import DecodePurpose
        from pyhanko.sign.validation.dss import DocumentSecurityStore
        from pyhanko.sign.validation.errors import ValidationInfoReadingError

        try:
            with suppress(ValidationInfoReadingError), _reading():
                store = DocumentSecurityStore.read_dss(self._reader)
                return _Evidence(
                    tuple(each.dump() for each in store.load_certs()),
                    tuple(each.get_object().read_data(DecodePurpose.OCSP_RESPONSE) for each in store.ocsps),
                    tuple(each.get_object().read_data(DecodePurpose.CRL) for each in store.crls),
                )
        except _UnreadableError:
            pass
        return _Evidence()


_BROKEN: Final = frozenset((Finding.CONTENT_CHANGED, Finding.STRUCTURE_AMBIGUOUS))


def _lost(name: str, remark: Remark) -> FoundSignature:
    return FoundSignature(SignatureFormat.PADES, None, intact=False, remarks=(remark,), signs=_text(name))


def _subfilter(embedded: EmbeddedPdfSignature) -> str:
    return str(entry(embedded.sig_object, "/SubFilter") or "")


def _message(embedded: EmbeddedPdfSignature) -> bytes:
    """Return the CMS message in /Contents, without the zeros that fill it up."""
    from asn1crypto import parser

    contents = bytes(embedded.pkcs7_content)
    length = parser.peek(contents)
    if contents[length:].strip(b"\0"):
        raise ValueError("something follows the signature")
    return contents[:length]


def _time(embedded: EmbeddedPdfSignature) -> datetime | None:
    with suppress(_UnreadableError), _reading():
        found = embedded.self_reported_timestamp
        if isinstance(found, datetime):
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _archival(embedded: EmbeddedPdfSignature, kind: str) -> Iterator[bytes]:
    """Give what Adobe's revocation attribute holds (ISO 32000-2 §12.8.3.3.2)."""
    with suppress(_UnreadableError), _reading():
        for attribute in embedded.signer_info["signed_attrs"]:
            if attribute["type"].native == "adobe_revocation_info_archival":
                for value in attribute["values"]:
                    for each in value[kind] if value[kind].native else ():
                        yield each.dump()


def _text(value: object) -> str:
    """Return text from the document as a line that can be shown."""
    text = "".join(each if each.isprintable() else " " for each in str(value))
    return text if len(text) <= 80 else f"{text[:79]}…"
