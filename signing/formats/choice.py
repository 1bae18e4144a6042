"""Which format a document is signed in, and the form of it with the options that somebody chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signing.cms.verify import is_cms
from signing.errors import DocumentUnusableError
from signing.formats import Form, Level, SignatureFormat

_MARK: Final = b"\xef\xbb\xbf"
_SIGNED_DATA: Final = bytes.fromhex("06092A864886F70D010702")
_MESSAGE_HEAD: Final = 24
_PACKAGE_HEAD: Final = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen besides the format; None and empty leave it to the format.

    Attributes:
        detached: whether the signature is without the document.
        enveloping: an XML signature is around the document.
        over: the signature is over the last one there (CAdES: a countersignature), and not beside it.
        content: the document, where what is signed again is a signature without it.
        name: the document's file name.
        reason: what the signer says it is for.
        field: the form field of a PDF.
        page: where the signature is seen in a PDF, 1 for the first page, -1 for the last; 0 for nowhere.
        serialization: `compact` or `json` for JWS; `jws` or `xml` for FHIR; empty for the first of them.
    """

    detached: bool | None = None
    enveloping: bool = False
    over: bool = False
    content: bytes | None = None
    name: str = ""
    reason: str = ""
    field: str = ""
    page: int = 0
    serialization: str = ""


def format_of(document: bytes, name: str = "") -> SignatureFormat:
    """Return the format that fits a document: PAdES for a PDF, XAdES for XML, else CAdES."""
    ending = name.rpartition(".")[2].lower()
    if document.startswith(b"%PDF-") or ending == "pdf":
        return SignatureFormat.PADES
    if document.removeprefix(_MARK).startswith(b"<?xml") or ending == "xml":
        return SignatureFormat.EMR if _is_package(document) else SignatureFormat.XADES
    return SignatureFormat.CADES


def form_for(format: SignatureFormat, document: bytes, options: Options) -> Form:  # noqa: A002
    """Return the form in which the document is signed.

    Args:
        format: which one.
        document: decides where a CAdES signature stands: in a message of its own, or in the one that it is.
        options: what was chosen.

    Raises:
        ValueError: the format has no such option, or is made in another way (PKCS#1, plain CMS).
    """
    _refuse_what_is_not_there(format, options)
    if format is SignatureFormat.CADES:
        from signing.formats.cades import Cades, Place

        place = Place.FIRST
        if _has_signatures(document):
            place = Place.OVER if options.over else Place.BESIDE
        elif options.over:
            raise ValueError("there is no signature to countersign")
        return Cades(options.detached is not False, place, options.content, options.reason)
    if format in (SignatureFormat.XADES, SignatureFormat.XMLDSIG):
        from signing.formats.xml_signature import Packaging, XmlForm

        packaging = Packaging.ENVELOPING if options.enveloping else Packaging.ENVELOPED
        return XmlForm(
            xades=format is SignatureFormat.XADES,
            packaging=Packaging.DETACHED if options.detached else packaging,
            name=options.name,
            reason=options.reason,
        )
    if format is SignatureFormat.EMR:
        from signing.formats.emr import EmrForm

        return EmrForm(options.reason)
    if format is SignatureFormat.JWS:
        from signing.formats.jws import JwsForm, Serialization

        return JwsForm(bool(options.detached), Serialization(options.serialization or "compact"))
    if format is SignatureFormat.FHIR:
        from signing.formats.fhir import FhirForm

        return FhirForm(options.serialization == "xml", options.reason)
    from signing.formats.pades import Pades
    from signing.formats.pdf_stamp import Stamp

    stamp = Stamp(page=options.page) if options.page else None
    return Pades(field=options.field, reason=options.reason, stamp=stamp)


def highest_level(format: SignatureFormat) -> Level:  # noqa: A002
    """Return how far a format can be brought."""
    return _HIGHEST.get(format, Level.B_B)


_HIGHEST: Final = {
    SignatureFormat.CADES: Level.B_LT,
    SignatureFormat.XADES: Level.B_LT,
    SignatureFormat.EMR: Level.B_LT,
    SignatureFormat.PADES: Level.B_LTA,
}
_HAS: Final = {
    SignatureFormat.CADES: frozenset(("detached", "over", "content", "name", "reason")),
    SignatureFormat.XADES: frozenset(("detached", "enveloping", "name", "reason")),
    SignatureFormat.XMLDSIG: frozenset(("detached", "enveloping", "name")),
    SignatureFormat.EMR: frozenset(("name", "reason")),
    SignatureFormat.PADES: frozenset(("name", "reason", "field", "page")),
    SignatureFormat.JWS: frozenset(("detached", "name", "serialization")),
    SignatureFormat.FHIR: frozenset(("name", "reason", "serialization")),
}


def _refuse_what_is_not_there(format: SignatureFormat, options: Options) -> None:  # noqa: A002
    if format not in _HAS:
        raise ValueError(f"{format} is no format of documents")
    for option in Options.__dataclass_fields__:
        chosen = getattr(options, option)
        if chosen not in (None, False, "", 0) and option not in _HAS[format]:
            raise ValueError(f"{format} has no option {option}")
    known = {SignatureFormat.JWS: ("", "compact", "json"), SignatureFormat.FHIR: ("", "jws", "xml")}
    if options.serialization not in known.get(format, ("",)):
        raise ValueError(f"{format} is not written as {options.serialization}")


def _has_signatures(document: bytes) -> bool:
    return is_cms(document) and _SIGNED_DATA in document[:_MESSAGE_HEAD]


def _is_package(document: bytes) -> bool:
    from signing.formats.emr import is_package
    from signing.xml.parsing import parse

    if b"ContentPackage" not in document[:_PACKAGE_HEAD]:
        return False
    try:
        return is_package(parse(document))
    except DocumentUnusableError:
        return False
