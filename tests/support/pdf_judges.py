"""Judges of signed PDFs that are not ours: Poppler's `pdfsig`, and pyHanko's own validators."""

from __future__ import annotations

import asyncio
import re
import subprocess
from datetime import datetime
from io import BytesIO
from pathlib import Path

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature, async_validate_pdf_timestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext


def pdfsig(document: bytes, folder: Path) -> list[str]:
    """What Poppler says of each: "Signature is Valid.", "Digest Mismatch." …, and whether it covers all."""
    file = folder / "judged.pdf"
    file.write_bytes(document)
    said = subprocess.run(["pdfsig", "-nocert", str(file)], capture_output=True, text=True, check=False)
    return re.findall(
        r"- (?:Signature Validation: )?((?:Total|Not total) document signed|[^\n:]*\.)\n", said.stdout
    )


def valid_to_pdfsig(document: bytes, folder: Path) -> bool:
    """Whether Poppler finds signatures, and every one valid."""
    said = [each for each in pdfsig(document, folder) if each.startswith(("Signature", "Digest", "Document"))]
    return bool(said) and set(said) == {"Signature is Valid."}


def pyhanko_status(document: bytes, root: bytes, number: int = -1) -> PdfSignatureStatus:
    """What pyHanko says of one signature on its default settings, trusting that root."""
    signature = PdfFileReader(BytesIO(document)).embedded_regular_signatures[number]
    context = ValidationContext(trust_roots=[x509.Certificate.load(root)])
    return asyncio.run(async_validate_pdf_signature(signature, context))


def valid_to_pyhanko(document: bytes, root: bytes, number: int = -1) -> bool:
    return pyhanko_status(document, root, number).bottom_line


def valid_with_what_is_inside(document: bytes, root: bytes, stamped: datetime) -> bool:
    """What pyHanko says with the evidence in the file and nothing else, nobody being asked.

    The stamp proves the moment, and the certificate may have expired since; without its authority's answer
    about every certificate of the path, it is not valid.
    """
    signature = PdfFileReader(BytesIO(document)).embedded_regular_signatures[-1]
    settings = {
        "trust_roots": [x509.Certificate.load(root)],
        "revocation_mode": "require",
        "moment": stamped,
        "allow_fetching": False,
    }
    try:
        context = DocumentSecurityStore.read_dss(signature.reader).as_validation_context(settings)
    except NoDSSFoundError:
        return False
    return asyncio.run(async_validate_pdf_signature(signature, context)).bottom_line


def valid_stamps(document: bytes, root: bytes) -> list[bool]:
    """What pyHanko says of each document time stamp."""
    context = ValidationContext(trust_roots=[x509.Certificate.load(root)])
    stamps = PdfFileReader(BytesIO(document)).embedded_timestamp_signatures
    said = [asyncio.run(async_validate_pdf_timestamp(each, context)) for each in stamps]
    return [each.intact and each.valid and each.trusted for each in said]
