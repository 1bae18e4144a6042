"""Read the signatures of FHIR resources: `Provenance.signature` over a resource that stands beside."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

from signing.errors import DocumentUnusableError
from signing.formats import SignatureFormat
from signing.formats.fhir import JOSE, XML, canonical, resource_in
from signing.verification.found import Finding, FoundDocument, FoundSignature, Remark
from signing.verification.jws import read_jws
from signing.verification.xml import read_xml

SIGNATURES_MAX = 64


def read_fhir(
    message: bytes, document: bytes | None = None, certificate: bytes | None = None
) -> FoundDocument:
    """Return the signatures of a Provenance.

    Args:
        message: the Provenance, JSON.
        document: the resource that should have been signed, JSON in any layout.
        certificate: the signer's where the signature does not have it, DER.
    """
    try:
        provenance = resource_in(message)
        octets = None if document is None else canonical(resource_in(document))
    except DocumentUnusableError as error:
        return FoundDocument("fhir", (), (Remark(Finding.DOCUMENT_UNREADABLE, str(error)),))
    listed = provenance.get("signature")
    if provenance["resourceType"] != "Provenance" or not isinstance(listed, list):
        return FoundDocument("fhir", (), (Remark(Finding.NO_SIGNATURE),))
    if len(listed) > SIGNATURES_MAX:
        return FoundDocument("fhir", (), (Remark(Finding.STRUCTURE_REFUSED, f"{len(listed)} signatures"),))
    reasons = provenance.get("reason")
    first = reasons[0] if isinstance(reasons, list) and reasons else None
    reason = first.get("text", "") if isinstance(first, dict) else ""
    found = tuple(
        replace(one, format=SignatureFormat.FHIR, reason=str(reason)[:200])
        for each in listed
        for one in _read(each, octets, certificate)
    )
    return FoundDocument("fhir", found, () if found else (Remark(Finding.NO_SIGNATURE),))


def _read(signature: object, octets: bytes | None, certificate: bytes | None) -> tuple[FoundSignature, ...]:
    unreadable = FoundSignature(
        SignatureFormat.FHIR, None, intact=False, remarks=(Remark(Finding.SIGNATURE_UNREADABLE),)
    )
    if not isinstance(signature, dict):
        return (unreadable,)
    try:
        data = base64.b64decode(str(signature.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        return (unreadable,)
    readers = {JOSE: read_jws, XML: read_xml}
    reader = readers.get(str(signature.get("sigFormat")))
    if reader is None:
        return (replace(unreadable, remarks=(Remark(Finding.ALGORITHM_UNKNOWN, "sigFormat"),)),)
    return reader(data, octets, certificate).signatures or (unreadable,)
