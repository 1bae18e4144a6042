"""XML signatures (XML Signature 1.1): SignedInfo and what stands around it, in a document or by itself.

`XmlForm` makes XML-DSig and XAdES, `signing.formats.emr` the exchange package of electronic medical records;
both say what is signed by `Part`s and leave the rest to `assemble`.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from secrets import token_hex
from typing import Final
from urllib.parse import quote

from signing.errors import DocumentUnusableError
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.formats.xades import augment_xades, signed_properties
from signing.guard import check_document
from signing.hashes import Hash
from signing.xml import COUNTERSIGNED, DS, NAMESPACES, SIGNED_PROPERTIES, XADES, Element, Tree, name
from signing.xml.algorithms import DIGESTS, Scheme, SignatureMethod, signature_uri
from signing.xml.canonical import Canonicalization, canonical
from signing.xml.parsing import identifier_of, parse, reparse, serialise
from signing.xml.references import (
    BASE64,
    ENVELOPED,
    WITHOUT_SIGNATURES,
    XPATH_FILTER_2,
    follow,
    is_outside,
)

OBJECT: Final = f"{DS}Object"
"""Type of a reference (XML Signature 1.1 §4.5)."""


class Packaging(StrEnum):
    """Where signature and document stand to each other."""

    ENVELOPED = "enveloped"
    ENVELOPING = "enveloping"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a signature is over, besides the certificate and the signed properties.

    Attributes:
        uri: of the reference.
        transforms: their URIs, in order; XPath Filter 2.0 stands for leaving all signatures out.
        media_type: of the data (XAdES DataObjectFormat); empty for what is no data, such as a signature.
        type: of the reference; empty for none.
    """

    uri: str
    transforms: tuple[str, ...] = ()
    media_type: str = ""
    type: str = ""


WITHOUT_EARLIER: Final = Part("", (XPATH_FILTER_2, Canonicalization.INCLUSIVE), "text/xml")
"""The whole document without any signature, so that each may still get its stamps."""


@dataclass(frozen=True, slots=True)
class Make:
    """How a signature is put together.

    Attributes:
        method: canonicalisation of SignedInfo, and of what belongs to the signature.
        xades: with signed properties (level B-B).
        chain: with the issuers' certificates too.
        signs_key_info: the certificates in KeyInfo are signed.
        reason: what the signer says it is for; only with `xades`.
    """

    method: Canonicalization = Canonicalization.EXCLUSIVE
    xades: bool = True
    chain: bool = True
    signs_key_info: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class XmlForm:
    """An XML signature over a whole document.

    Attributes:
        xades: XAdES, which says when and by which certificate; else plain XML-DSig.
        packaging: inside the document, around it, or beside it.
        name: the document's file name, which a detached signature refers to.
        reason: what the signer says it is for; XAdES alone can hold it.
        media_type: of a document that is not XML.
    """

    xades: bool = True
    packaging: Packaging = Packaging.ENVELOPED
    name: str = ""
    reason: str = ""
    media_type: str = "application/octet-stream"

    @property
    def format(self) -> SignatureFormat:
        """XAdES or XML-DSig."""
        return SignatureFormat.XADES if self.xades else SignatureFormat.XMLDSIG

    @property
    def suffix(self) -> str:
        """What is put in front of the file's ending, or behind it for a signature of its own."""
        return {
            Packaging.ENVELOPED: ".signed.xml",
            Packaging.ENVELOPING: ".enveloping.xml",
            Packaging.DETACHED: f".{self.format}.xml",
        }[self.packaging]

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return the canonical SignedInfo; as `signing.formats.Form.prepare`."""
        check_document(document)
        if self.reason and not self.xades:
            raise DocumentUnusableError("XML-DSig has no place for a reason; XAdES has")
        tree, signature, parts = self._placed(document)
        make = Make(xades=self.xades, signs_key_info=self.xades, reason=self.reason)
        return assemble(
            tree, signature, parts, make=make, signer=signer, algorithm=algorithm, when=when, outside=document
        )

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the document with its newest signature at a higher level; as `Form.augment`."""
        if not self.xades and level is not Level.B_B:
            raise DocumentUnusableError("XML-DSig has no levels; XAdES has")
        return await augment_xades(signed, level, evidence)

    def _placed(self, document: bytes) -> tuple[Tree, Element, list[Part]]:
        """Return the document with an empty signature in its place, that signature, and what it is over."""
        if self.packaging is Packaging.DETACHED:
            signature = new_signature()
            media_type = "text/xml" if self.name.lower().endswith(".xml") else self.media_type
            return signature.getroottree(), signature, [Part(quote(self.name), (), media_type)]
        if self.packaging is Packaging.ENVELOPING:
            return _enveloping(document, self.media_type)
        tree = parse(document)
        signature = new_signature()
        earlier = signatures_in(tree)
        if not earlier:
            tree.getroot().append(signature)
            return tree, signature, [Part("", (ENVELOPED, Canonicalization.INCLUSIVE), "text/xml")]
        if not put_into_earlier(signature, earlier):
            tree.getroot().append(signature)
        return tree, signature, [WITHOUT_EARLIER, *countersigning(earlier)]


def signatures_in(tree: Tree) -> list[Element]:
    """Return the signatures of a document as they stand in it."""
    return list(tree.iter(name("ds", "Signature")))


def new_signature() -> Element:
    """Return an empty signature with an identifier of its own."""
    from lxml import etree

    signature = etree.Element(name("ds", "Signature"), nsmap={"ds": DS})
    signature.set("Id", f"signature-{token_hex(8)}")
    return signature


def put_into_earlier(signature: Element, earlier: list[Element]) -> bool:
    """Put a signature into an earlier one that is over everything but itself; return whether there is one.

    Anything that is put beside such a signature breaks it.
    """
    over_all = [each for each in earlier if _is_over_everything_else(each)]
    if over_all:
        _countersignature_place(over_all[-1]).append(signature)
    return bool(over_all)


def countersigning(earlier: list[Element]) -> list[Part]:
    """Return references to the values of earlier signatures: what comes later confirms them.

    A signature whose value bears no identifier cannot be referred to without changing it, and is left out.
    """
    values = [value for each in earlier for value in each.iterfind(name("ds", "SignatureValue"))]
    identifiers = [each.get("Id") for each in values]
    return [
        Part(f"#{identifier}", (Canonicalization.EXCLUSIVE,), type=COUNTERSIGNED)
        for identifier in identifiers
        if identifier
    ]


def assemble(
    tree: Tree,
    signature: Element,
    parts: list[Part],
    *,
    make: Make,
    signer: Signer,
    algorithm: Hash,
    when: datetime,
    outside: bytes | None = None,
) -> Ready:
    """Fill an empty signature that stands in its place, and return what the card has to sign.

    Args:
        tree: the document that holds the signature.
        signature: as `new_signature` made it.
        parts: what it is over.
        make: how.
        signer: whose it will be.
        algorithm: the hash of everything.
        when: the signer's own time, aware.
        outside: the document, where a part lies outside of the tree.

    Raises:
        DocumentUnusableError: the document has no canonical form, or the certificate's key is of no use here.
    """
    scheme, length = _key_facts(signer.certificate)
    identifier = signature.get("Id")
    info = _child(signature, "SignedInfo")
    _child(info, "CanonicalizationMethod", Algorithm=make.method)
    _child(info, "SignatureMethod", Algorithm=signature_uri(SignatureMethod(scheme, algorithm)))
    mark = f"@{token_hex(16)}@"
    value = _child(signature, "SignatureValue", Id=f"{identifier}-value")
    value.text = mark
    _key_info(signature, signer, make)
    every = [*parts]
    if make.signs_key_info:
        every.append(Part(f"#{identifier}-keyinfo", (make.method,)))
    if make.xades:
        formats = {f"{identifier}-{number}": part.media_type for number, part in enumerate(parts)}
        holder = _child(signature, "Object")
        signed_properties(
            holder,
            identifier,
            signer=signer,
            algorithm=algorithm,
            when=when,
            media_types=formats,
            reason=make.reason,
        )
        every.append(Part(f"#{identifier}-properties", (make.method,), type=SIGNED_PROPERTIES))
    # Objects come last (§4.1), the enveloped one too.
    for enveloped in [each for each in signature.findall(name("ds", "Object")) if each.get("Id")]:
        signature.append(enveloped)
    references = [
        _reference(info, f"{identifier}-{number}", part, algorithm) for number, part in enumerate(every)
    ]
    for reference in references:
        found = follow(tree, signature, reference, outside if is_outside(reference) else None)
        digest = algorithm.digest(found.octets)
        reference.find(name("ds", "DigestValue")).text = b64encode(digest).decode()
    whole = serialise(tree)

    def finish(raw: bytes) -> bytes:
        made = raw if length == 0 else _fixed(raw, length)
        return whole.replace(mark.encode(), b64encode(made), 1)

    return Ready(canonical(info, make.method), algorithm, finish)


def _enveloping(document: bytes, media_type: str) -> tuple[Tree, Element, list[Part]]:
    """Return a signature with the document in an Object: XML as it is, anything else as base64."""
    from lxml import etree

    identifier = f"signature-{token_hex(8)}"
    try:
        root = parse(document).getroot()
    except DocumentUnusableError:
        if document.lstrip()[:1] == b"<":
            raise
        text, encoding = b64encode(document), f' Encoding="{BASE64}" MimeType="{media_type}"'
        transforms: tuple[str, ...] = (BASE64,)
    else:
        text, encoding = etree.tostring(root, encoding="UTF-8", with_tail=False), ""
        transforms, media_type = (Canonicalization.INCLUSIVE,), "text/xml"
    signature = reparse(
        f'<ds:Signature xmlns:ds="{DS}" Id="{identifier}">'
        f'<ds:Object Id="{identifier}-object"{encoding}>'.encode()
        + text
        + b"</ds:Object></ds:Signature>"
    )
    part = Part(f"#{identifier}-object", transforms, media_type, OBJECT)
    return signature.getroottree(), signature, [part]


def _is_over_everything_else(signature: Element) -> bool:
    """Whether a signature is over the whole document without itself, so that another one breaks it."""
    root = identifier_of(signature.getroottree().getroot())
    return any(
        reference.get("URI") in ("", "#xpointer(/)", *((f"#{root}",) if root else ()))
        and {each.get("Algorithm") for each in reference.iter(name("ds", "Transform"))}
        <= {ENVELOPED, *Canonicalization}
        for reference in signature.iterfind(f"{name('ds', 'SignedInfo')}/{name('ds', 'Reference')}")
    )


def _countersignature_place(signature: Element) -> Element:
    """Return the element in an earlier signature that takes another one (ETSI EN 319 132-1 §5.2.7.1)."""
    from lxml import etree

    properties = signature.find(f"{name('ds', 'Object')}/{name('xades', 'QualifyingProperties')}")
    if properties is None:
        return _child(signature, "Object")
    for local in ("UnsignedProperties", "UnsignedSignatureProperties"):
        found = properties.find(name("xades", local))
        properties = etree.SubElement(properties, name("xades", local)) if found is None else found
    return etree.SubElement(properties, name("xades", "CounterSignature"))


def _key_facts(certificate: bytes) -> tuple[Scheme, int]:
    """Return how the key signs, and for ECDSA the octets of a number of its curve."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from signing.certificate import parsed, pss_only

    try:
        key = load_der_public_key(parsed(certificate).public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise DocumentUnusableError("the certificate's key cannot be used for XML signatures") from None
    if isinstance(key, RSAPublicKey):
        return Scheme.PSS if pss_only(certificate) else Scheme.RSA, 0
    if isinstance(key, EllipticCurvePublicKey):
        return Scheme.ECDSA, (key.key_size + 7) // 8
    raise DocumentUnusableError("the certificate's key cannot be used for XML signatures")


def _fixed(der: bytes, length: int) -> bytes:
    """Return an ECDSA signature as XML has it, r ‖ s (RFC 9231 §2.3.6)."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der)
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def _key_info(signature: Element, signer: Signer, make: Make) -> None:
    info = _child(signature, "KeyInfo")
    if make.signs_key_info:
        info.set("Id", f"{signature.get('Id')}-keyinfo")
    data = _child(info, "X509Data")
    for der in (signer.certificate, *(signer.chain if make.chain else ())):
        _child(data, "X509Certificate").text = b64encode(der).decode()


def _reference(info: Element, identifier: str, part: Part, algorithm: Hash) -> Element:
    """Return a new reference without its digest (XML Signature 1.1 §4.4.3)."""
    from lxml import etree

    reference = _child(info, "Reference", Id=identifier)
    if part.type:
        reference.set("Type", part.type)
    reference.set("URI", part.uri)
    if part.transforms:
        transforms = _child(reference, "Transforms")
        for uri in part.transforms:
            transform = _child(transforms, "Transform", Algorithm=uri)
            if uri == XPATH_FILTER_2:
                expression = etree.SubElement(
                    transform, f"{{{XPATH_FILTER_2}}}XPath", nsmap={"dsig-xpath": XPATH_FILTER_2}
                )
                expression.set("Filter", "subtract")
                expression.text = WITHOUT_SIGNATURES
    _child(reference, "DigestMethod", Algorithm=DIGESTS[algorithm])
    _child(reference, "DigestValue")
    return reference


def _child(parent: Element, local: str, **attributes: str) -> Element:
    from lxml import etree

    child = etree.SubElement(parent, name("ds", local))
    for key, value in attributes.items():
        child.set(key, str(value))
    return child


__all__ = ["NAMESPACES", "XADES", "Make", "Packaging", "Part", "XmlForm", "assemble", "countersigning"]
