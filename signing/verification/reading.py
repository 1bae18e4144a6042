"""Take a file for what it is, and read its signatures with the one reader that knows the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from signing.cms.verify import is_cms
from signing.hashes import Hash
from signing.verification.found import Finding, FoundDocument, Remark
from signing.verification.pkcs1 import can_be_value, read_pkcs1


def read(
    document: bytes,
    signature: bytes | None = None,
    *,
    certificate: bytes | None = None,
    algorithm: Hash = Hash.SHA_256,
) -> FoundDocument:
    """Return what signatures there are.

    Args:
        document: the signed document, or what a detached signature is over.
        signature: the detached one; None where it is inside.
        certificate: the signer's where the signature may not have it, DER.
        algorithm: the hash of a bare signature value; every other format says it itself.
    """
    # First, for a bare value may begin as anything else does; nothing else has just its length, or its DER.
    if signature is not None and certificate is not None and can_be_value(certificate, signature):
        return read_pkcs1(document, signature, certificate, algorithm)
    message = document if signature is None else signature
    for looks_like, reader in _READERS:
        if looks_like(message):
            return _by(certificate, reader(message, None if signature is None else document, certificate))
    return FoundDocument("unknown", (), (Remark(Finding.FORMAT_UNKNOWN),))


def _by(certificate: bytes | None, found: FoundDocument) -> FoundDocument:
    """Return the same, where none of the signatures is by the certificate that was named, with that said."""
    if certificate is None or any(each.certificate in (None, certificate) for each in found.signatures):
        return found
    other = Remark(Finding.CERTIFICATE_OTHER, "not the one that was named")
    signatures = (replace(each, remarks=(*each.remarks, other)) for each in found.signatures)
    return replace(found, signatures=tuple(signatures))


def is_signed(document: bytes) -> bool:
    """Return whether a file looks as if signatures were inside it, whatever they are worth."""
    return any(looks_like(document) for looks_like, _ in _READERS)


def _read_cms(message: bytes, document: bytes | None, certificate: bytes | None) -> FoundDocument:
    from signing.verification.cms import read_cms

    return read_cms(message, document, certificate)


def _read_xml(message: bytes, document: bytes | None, certificate: bytes | None) -> FoundDocument:
    from signing.verification.xml import read_xml

    return read_xml(message, document, certificate)


def is_xml(document: bytes) -> bool:
    """Whether it begins as XML does, in UTF-8 or UTF-16."""
    start = document[:64].removeprefix(b"\xef\xbb\xbf")
    return start.lstrip().startswith(b"<") or start[:4] in (b"\xff\xfe<\0", b"\xfe\xff\0<")


def _read_pdf(message: bytes, _document: bytes | None, _certificate: bytes | None) -> FoundDocument:
    from signing.verification.pdf import read_pdf

    return read_pdf(message)


def is_pdf(document: bytes) -> bool:
    """Whether a PDF begins within the first kilobyte (ISO 32000-1 annex H.3, note 13)."""
    return b"%PDF-" in document[:1024]


def _read_jws(message: bytes, document: bytes | None, certificate: bytes | None) -> FoundDocument:
    from signing.verification.jws import read_jws

    return read_jws(message, document, certificate)


def is_jws(document: bytes) -> bool:
    """Whether this looks like a JWS (RFC 7515 §7): compact, or JSON in one of its two forms."""
    start = document[:2].lstrip()
    if start.startswith(b"{"):
        return b'"protected"' in document and b'"signature' in document
    return start == b"ey" and document.count(b".") == 2


def _read_fhir(message: bytes, document: bytes | None, certificate: bytes | None) -> FoundDocument:
    from signing.verification.fhir import read_fhir

    return read_fhir(message, document, certificate)


def is_fhir(document: bytes) -> bool:
    """Whether this looks like a FHIR Provenance in JSON with a signature."""
    return document.lstrip()[:1] == b"{" and b'"Provenance"' in document and b'"sigFormat"' in document


Reader = Callable[[bytes, "bytes | None", "bytes | None"], FoundDocument]

_READERS: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (is_cms, _read_cms),
    (is_xml, _read_xml),
    (is_pdf, _read_pdf),
    (is_fhir, _read_fhir),
    (is_jws, _read_jws),
)
"""By the first bytes, in this order; each imports its module when it is needed."""
