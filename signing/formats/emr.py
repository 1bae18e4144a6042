"""The exchange package of medical records (電子病歷交換單張): `cdp:ContentPackage` around a CDA R2.

The shape is the one that the health ministry publishes for exchange between hospitals: the record in a
`ContentContainer`, signatures behind it, each over the container by its identifier, Canonical XML 1.0 and
SHA-256, the signer's certificate alone in KeyInfo. The institution signs first; a later signature is over the
same record and over the values of the signatures before, so that the order is part of what is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signing.errors import DocumentUnusableError
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.formats.xades import augment_xades
from signing.formats.xml_signature import (
    WITHOUT_EARLIER,
    Make,
    Part,
    assemble,
    countersigning,
    new_signature,
    put_into_earlier,
    signatures_in,
)
from signing.guard import check_document
from signing.hashes import Hash
from signing.xml import Element, Tree
from signing.xml.canonical import Canonicalization
from signing.xml.parsing import identifier_of, identifiers, local_name, parse, reparse

CDP: Final = "http://www.hl7.org.tw/EMR/CDocumentPayload/v1.0"
CDA: Final = "urn:hl7-org:v3"
CLINICAL_DOCUMENT: Final = f"{{{CDA}}}ClinicalDocument"
_CONTAINER_ID: Final = "ContentContainer"


@dataclass(frozen=True, slots=True)
class EmrForm:
    """A signature in an exchange package; a bare record is put into one first.

    Attributes:
        reason: what the signer says it is for; empty for none.
    """

    reason: str = ""

    @property
    def format(self) -> SignatureFormat:
        """The exchange package."""
        return SignatureFormat.EMR

    @property
    def suffix(self) -> str:
        """What is put in front of the file's ending."""
        return ".signed.xml"

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return the canonical SignedInfo; as `signing.formats.Form.prepare`."""
        check_document(document)
        tree = packaged(document)
        container, earlier = container_of(tree), signatures_in(tree)
        signature, method = new_signature(), Canonicalization.INCLUSIVE
        if put_into_earlier(signature, earlier):
            content = WITHOUT_EARLIER
        else:
            tree.getroot().append(signature)
            content = Part(f"#{_identified(tree, container)}", (method,), "text/xml")
        parts = [content, *countersigning(earlier)]
        make = Make(method=method, chain=False, signs_key_info=False, reason=self.reason)
        return assemble(tree, signature, parts, make=make, signer=signer, algorithm=algorithm, when=when)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the package with its newest signature at a higher level."""
        return await augment_xades(signed, level, evidence)


def _identified(tree: Tree, container: Element) -> str:
    """Return the container's identifier, given to it where it has none."""
    identifier = identifier_of(container)
    if not identifier:
        identifier = _CONTAINER_ID
        container.set("Id", identifier)
    if identifiers(tree)[identifier] != 1:
        raise DocumentUnusableError("the record's identifier is there more than once")
    return identifier


def is_package(tree: Tree) -> bool:
    """Whether the document is an exchange package, whichever version of the namespace it has."""
    return local_name(tree.getroot()) == "ContentPackage"


def packaged(document: bytes) -> Tree:
    """Return the exchange package that the document is, or the one around the record that it is.

    Raises:
        DocumentUnusableError: it is neither.
    """
    from lxml import etree

    tree = parse(document)
    if is_package(tree):
        return tree
    if tree.getroot().tag != CLINICAL_DOCUMENT:
        raise DocumentUnusableError("neither an exchange package nor a CDA R2 record")
    record = etree.tostring(tree.getroot(), encoding="UTF-8", with_tail=False)
    package = reparse(
        f'<cdp:ContentPackage xmlns:cdp="{CDP}">'
        f'<cdp:ContentContainer Id="{_CONTAINER_ID}"><cdp:StructuredContent>'.encode()
        + record
        + b"</cdp:StructuredContent></cdp:ContentContainer></cdp:ContentPackage>"
    )
    return package.getroottree()


def container_of(tree: Tree) -> Element:
    """Return the one container of a package.

    Raises:
        DocumentUnusableError: there is none, or more than one, or it does not hold exactly one record.
    """
    containers = [each for each in tree.getroot() if local_name(each) == "ContentContainer"]
    if len(containers) != 1:
        raise DocumentUnusableError("the exchange package has not exactly one ContentContainer")
    if len(list(containers[0].iter(CLINICAL_DOCUMENT))) != 1:
        raise DocumentUnusableError("the exchange package does not hold exactly one CDA R2 record")
    return containers[0]
