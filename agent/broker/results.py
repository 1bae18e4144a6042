"""Whether what came back by way of a broker is the document that was asked for, signed as it was asked for.

A signature that holds says nothing of that: whoever may write results can put there what the same card has
signed at another time. So the document given is looked for in what came back, as its format has it: around
the signature, inside it, or beside it.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Final

from signing.errors import DocumentUnusableError, SignatureFormatError

if TYPE_CHECKING:
    from agent.batch.choice import Choice
    from signing.verification.found import FoundDocument, FoundSignature, FoundStamp
    from signing.xml import Element, Tree


def is_signed_by(result: bytes, document: bytes, certificate: bytes, choice: Choice) -> bool:
    """Return whether a result is this document with one more signature by that certificate, as was chosen.

    Its format and hash are those of the choice, and it has what its level needs: a time stamp that is over
    it, evidence, an archive's time stamp. Who may be believed is not asked here: `hca-agent verify` and the
    receiver do that.

    Args:
        result: a signed document, or a signature of it.
        document: what was to be signed; it may have signatures already.
        certificate: the card's, DER.
        choice: how it was to be signed; its format is decided.
    """
    from signing.verification.pkcs1 import can_be_value
    from signing.verification.reading import is_pdf, is_signed, is_xml, read

    def made(found: FoundDocument, *, over: bool = False) -> int:
        return _made(found, certificate, choice, over=over)

    before = made(read(document)) if is_signed(document) else 0
    if can_be_value(certificate, result):
        return made(read(document, result, certificate=certificate, algorithm=choice.hash)) > 0
    if is_xml(result):
        try:
            apart = _is_apart(result, document)
        except (DocumentUnusableError, ValueError):
            return False
        if apart is None:
            return made(read(result)) > before
        return apart and made(read(document, result, certificate=certificate)) > 0
    if is_pdf(result):
        return result.startswith(document) and made(read(result)) > before
    if _countersigns(result, document):
        return made(read(result), over=True) > made(read(document), over=True)
    return any(
        made(read(each, result, certificate=certificate)) > (before if each is not document else 0)
        for each in _contents(document)
    )


def _made(found: FoundDocument, certificate: bytes, choice: Choice, *, over: bool) -> int:
    """Return how many signatures by a certificate hold, are as chosen, and are over all of their document.

    With `over` those count that are over another signature instead.
    """
    from signing.formats import SignatureFormat
    from signing.verification.findings import Finding

    partial = {Finding.STRUCTURE_AMBIGUOUS, Finding.CONTENT_ADDED, Finding.CONTENT_BESIDE}
    # A package has parts besides its record, which its signatures never were over.
    of_package = partial - {Finding.CONTENT_BESIDE}
    return sum(
        each.intact
        and bool(each.over) is over
        and each.certificate == certificate
        and _is_as_chosen(each, choice)
        and (of_package if each.format is SignatureFormat.EMR else partial).isdisjoint(
            remark.finding for remark in each.remarks
        )
        for each in found.signatures
    )


def _is_as_chosen(found: FoundSignature, choice: Choice) -> bool:
    from signing.formats import Level, SignatureFormat

    # A medical record with any XML signature in it is read as a package of records.
    xml = {SignatureFormat.EMR, SignatureFormat.XADES, SignatureFormat.XMLDSIG}
    formats = xml if found.format is SignatureFormat.EMR else {found.format}
    return (
        choice.format in formats
        and found.hash is choice.hash
        and (not choice.level.reaches(Level.B_T) or any(map(_is_over_it, found.stamps)))
        and (not choice.level.reaches(Level.B_LT) or bool(found.ocsp or found.crls))
        and (not choice.level.reaches(Level.B_LTA) or any(stamp.archive for stamp in found.stamps))
    )


def _is_over_it(stamp: FoundStamp) -> bool:
    from signing.errors import TimestampError
    from signing.verification.stamps import read_stamp

    try:
        read_stamp(stamp)
    except TimestampError:
        return False
    return True


def _countersigns(result: bytes, document: bytes) -> bool:
    """Return whether both are messages (CMS) with the very same signatures, countersignatures apart."""
    from signing.cms.verify import is_cms
    from signing.verification.cms import signed_data_in

    if not (is_cms(document) and is_cms(result)):
        return False
    try:
        one, other = (
            sorted(bytes(each["signature"].native) for each in signed_data_in(message)[0]["signer_infos"])
            for message in (document, result)
        )
    except (SignatureFormatError, ValueError, TypeError):
        return False
    return bool(one) and one == other


def _contents(document: bytes) -> list[bytes]:
    """Return the document, and what is inside it where it is a message with signatures itself."""
    from signing.cms.verify import is_cms
    from signing.verification.cms import signed_data_in

    contents = [document]
    if is_cms(document):
        try:
            inside = signed_data_in(document)[1]
        except SignatureFormatError:
            inside = None
        contents += [] if inside is None else [inside]
    payload = _payload(document)
    return contents if payload is None else [*contents, payload]


def _payload(document: bytes) -> bytes | None:
    """Return the payload of a JWS in JSON; None for what is none."""
    import json
    from base64 import urlsafe_b64decode

    if not document.lstrip().startswith(b"{") or b'"payload"' not in document:
        return None
    try:
        payload = json.loads(document)["payload"]
        return urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_apart(result: bytes, document: bytes) -> bool | None:
    """Return True where an XML signature is beside the document; None where it holds it, False where neither.

    Raises:
        DocumentUnusableError: one of them is no XML that can be read.
        ValueError: base64 that is none.
    """
    from signing.xml import name
    from signing.xml.references import is_outside

    tree = _parsed(result)
    root = tree.getroot()
    if root.tag == name("ds", "Signature"):
        objects = [
            each
            for each in root.iterfind(name("ds", "Object"))
            if each.find(name("xades", "QualifyingProperties")) is None
        ]
        if not objects:
            return any(is_outside(each) for each in root.iter(name("ds", "Reference")))
        return None if len(objects) == 1 and _is_inside(objects[0], document) else False
    return None if _without_signatures(tree) == _without_signatures(_expected(tree, document)) else False


def _parsed(document: bytes) -> Tree:
    from signing.xml.parsing import parse

    return parse(document)


def _is_inside(holder: Element, document: bytes) -> bool:
    """Return whether an Object holds the document: XML as it is, anything else as base64."""
    from signing.xml.canonical import Canonicalization, canonical
    from signing.xml.references import BASE64

    if holder.get("Encoding") == BASE64:
        return b64decode(holder.text or "") == document
    root = _parsed(document).getroot()
    method: Final = Canonicalization.EXCLUSIVE
    return len(holder) == 1 and canonical(holder[0], method) == canonical(root, method)


def _expected(tree: Tree, document: bytes) -> Tree:
    """Return the document as it would be before it is signed: a record alone has a package around it."""
    from signing.formats.emr import is_package, packaged

    expected = _parsed(document)
    return packaged(document) if is_package(tree) and not is_package(expected) else expected


def _without_signatures(tree: Tree) -> bytes:
    """Return the canonical form of a document without its signatures."""
    from signing.xml import name
    from signing.xml.canonical import Canonicalization, canonical, excise
    from signing.xml.parsing import identifier_of, local_name

    root = tree.getroot()
    for each in list(root.iter(name("ds", "Signature"))):
        if each.getparent() is not None:
            excise(each)
    for each in root:
        # What had no identifier was given one, by which the signature names it.
        if local_name(each) == "ContentContainer" and identifier_of(each):
            each.attrib.pop("Id", None)
    return canonical(root, Canonicalization.INCLUSIVE)
