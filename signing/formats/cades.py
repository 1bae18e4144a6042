"""CAdES baseline signatures (ETSI EN 319 122-1 §6): B-B, B-T and B-LT, detached and attached.

Also further signatures on a message that has one: beside it, over the same document, or a countersignature
over it (RFC 5652 §11.4). What is already there keeps its octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hca_card import tlv
from hca_card.certificate import SUBJECT_KEY_IDENTIFIER, compared_name
from signing.asn1 import parsing
from signing.certificate import parsed
from signing.cms.build import (
    REASON_MAX,
    certificate_choice,
    digest_algorithm,
    signed_attributes,
    signed_data,
    signer_info,
)
from signing.errors import DocumentUnusableError, HashUnsupportedError
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.formats.validation_data import ValidationData, gather_all, stamped
from signing.hashes import Hash

if TYPE_CHECKING:
    from asn1crypto.cms import CMSAttributes, ContentInfo, SignedData, SignerInfo

_STAMP = "signature_time_stamp_token"
_COUNTER = "counter_signature"


class Place(StrEnum):
    """Where a signature stands."""

    FIRST = "first"
    """In a message of its own; what is given is the document."""
    BESIDE = "beside"
    """In the message that is given, over the same document."""
    OVER = "over"
    """In the message that is given, over the last signature there."""


@dataclass(frozen=True, slots=True)
class Cades:
    """CAdES with its options.

    Attributes:
        detached: a message of its own is without the document.
        place: where the signature stands.
        content: the document, for a signature beside a detached one.
        reason: what the signer says it is for; empty for none.
    """

    detached: bool = True
    place: Place = Place.FIRST
    content: bytes | None = None
    reason: str = ""

    @property
    def format(self) -> SignatureFormat:
        """CAdES."""
        return SignatureFormat.CADES

    @property
    def suffix(self) -> str:
        """The endings of RFC 8551 §3.2.1; a message that has signatures already keeps its own."""
        added = "" if self.place is Place.FIRST else ".signed"
        return added + (".p7s" if self.detached else ".p7m")

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return the signed attributes.

        Raises:
            DocumentUnusableError: what is given is no message that a signature can be added to.
            CertificateMalformedError: the signer's certificate cannot be named.
        """
        if self.place is Place.FIRST:
            content = document
        else:
            with parsing(document, DocumentUnusableError):
                signed = _load(document)["content"]
                content = (
                    bytes(_last(signed)["signature"].native)
                    if self.place is Place.OVER
                    else self._beside(signed)
                )
        if len(self.reason) > REASON_MAX:
            raise DocumentUnusableError(f"a reason in CAdES has at most {REASON_MAX} characters")
        attributes = signed_attributes(
            algorithm.digest(content),
            when,
            bound_to=signer.certificate,
            counter=self.place is Place.OVER,
            reason=self.reason,
        )

        def finish(value: bytes) -> bytes:
            info = signer_info(signer.certificate, attributes, value, algorithm)
            certificates = (signer.certificate, *signer.chain)
            if self.place is Place.FIRST:
                inside = None if self.detached else document
                return signed_data(certificates, info, algorithm, content=inside)
            return _added(document, info, certificates, algorithm, over=self.place is Place.OVER)

        return Ready(bytes(attributes.dump()), algorithm, finish)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the message at a higher level: time stamps on signatures without one, then what judges them.

        Raises:
            EvidenceError: what is needed for it was not to be had.
            DocumentUnusableError: it is no such message, or the level is B-LTA.
        """
        if level is Level.B_LTA:
            raise DocumentUnusableError("CAdES is made up to B-LT here")
        if level is Level.B_B:
            return signed
        with parsing(signed, DocumentUnusableError):
            values = [bytes(each["signature"].native) for each in _unstamped(_load(signed)["content"])]
        tokens = [(await stamped(value, evidence)).token for value in values]
        with parsing(signed, DocumentUnusableError):
            message = _load(signed)
            for signer, token in zip(list(_unstamped(message["content"])), tokens, strict=True):
                _with_unsigned(signer, _STAMP, token)
            holders = _holders(message["content"])
        if level is Level.B_LT:
            _with_validation_data(message["content"], await gather_all(holders, evidence))
        return bytes(message.dump())

    def _beside(self, signed: SignedData) -> bytes:
        """Return the document that the signatures which are there are over.

        Raises:
            DocumentUnusableError: it is neither inside nor given, or another was signed.
        """
        from asn1crypto.core import Void

        inside = signed["encap_content_info"]["content"]
        content = self.content if isinstance(inside, Void) else bytes(inside.native)
        if content is None:
            raise DocumentUnusableError("the signature is without its document; name the document too")
        if self.content not in (None, content):
            raise DocumentUnusableError("another document is inside the signature")
        bound = not isinstance(inside, Void)
        for each in signed["signer_infos"]:
            digests = _values(each["signed_attrs"], "message_digest")
            try:
                algorithm = Hash.of_asn1_name(each["digest_algorithm"]["algorithm"].native)
            except HashUnsupportedError:
                continue
            if digests and digests[0].native != algorithm.digest(content):
                raise DocumentUnusableError("the signature that is there is over another document")
            bound = bound or bool(digests)
        if not bound:
            # Whoever agreed to this message, or to its digest in a list, would have it sign anything.
            raise DocumentUnusableError("nothing in the signature that is there names the document")
        return content


def _load(message: bytes) -> ContentInfo:
    """Return a message of signatures over plain content, read anew: what is added to it is its own.

    Raises:
        DocumentUnusableError: it is none.
    """
    from asn1crypto import cms, tsp  # noqa: F401  (tsp adds its names to cms's tables)

    info = cms.ContentInfo.load(message, strict=True)
    if info["content_type"].native != "signed_data":
        raise DocumentUnusableError("this is no message with signatures")
    signed = info["content"]
    if signed["encap_content_info"]["content_type"].native != "data" or not len(signed["signer_infos"]):
        raise DocumentUnusableError("this is no message with signatures over a document")
    return info


def _last(signed: SignedData) -> SignerInfo:
    """Return the signature that was made last, by the signers' own clocks: a SET OF has no order."""

    def made(signer: SignerInfo) -> datetime:
        times = _values(signer["signed_attrs"], "signing_time")
        return times[0].native if times else datetime.min.replace(tzinfo=UTC)

    return max(signed["signer_infos"], key=made)


def _signers(signed: SignedData) -> Iterator[SignerInfo]:
    """Give every signature and countersignature."""
    for each in signed["signer_infos"]:
        yield each
        yield from _values(each["unsigned_attrs"], _COUNTER)


def _unstamped(signed: SignedData) -> Iterator[SignerInfo]:
    return (each for each in _signers(signed) if not _values(each["unsigned_attrs"], _STAMP))


def _holders(signed: SignedData) -> list[bytes]:
    """Return the certificates of all who signed and stamped.

    Raises:
        DocumentUnusableError: one is not there.
    """
    found = []
    for each in _signers(signed):
        found.append(_certificate_of(each, signed))
        for token in _values(each["unsigned_attrs"], _STAMP):
            stamp = token["content"]
            found.append(_certificate_of(stamp["signer_infos"][0], stamp))
    return list(dict.fromkeys(found))


def _certificate_of(signer: SignerInfo, signed: SignedData) -> bytes:
    sid, inside = signer["sid"], _certificates(signed)
    for der in inside:
        certificate = parsed(der)
        if sid.name == "subject_key_identifier":
            identifier = certificate.extensions.get(SUBJECT_KEY_IDENTIFIER, b"")
            if bytes(sid.chosen) == tlv.find(identifier, 0x04):
                return der
        elif sid.chosen["serial_number"].native == certificate.number and compared_name(
            sid.chosen["issuer"].dump()
        ) == compared_name(certificate.issuer):
            return der
    raise DocumentUnusableError("a signer's certificate is not in the message")


def _certificates(signed: SignedData) -> list[bytes]:
    from asn1crypto.core import Void

    inside = signed["certificates"]
    choices = () if isinstance(inside, Void) else inside
    return [each.chosen.dump() for each in choices if each.name == "certificate"]


def _values(attributes: CMSAttributes, kind: str) -> list[Any]:
    from asn1crypto.core import Void

    if isinstance(attributes, Void):
        return []
    return [value for each in attributes if each["type"].native == kind for value in each["values"]]


def _added(
    message: bytes, info: SignerInfo, certificates: Iterable[bytes], algorithm: Hash, *, over: bool
) -> bytes:
    from asn1crypto import algos

    whole = _load(message)
    signed = whole["content"]
    if over:
        _with_unsigned(_last(signed), _COUNTER, info.dump())
    else:
        signed["signer_infos"].append(info)
        known = {each["algorithm"].native for each in signed["digest_algorithms"]}
        if algorithm.asn1_name not in known:
            signed["digest_algorithms"].append(algos.DigestAlgorithm(digest_algorithm(algorithm)))
    _with_certificates(signed, certificates)
    return bytes(whole.dump())


def _with_unsigned(signer: SignerInfo, kind: str, value: bytes) -> None:
    from asn1crypto import cms
    from asn1crypto.core import Void

    content = {_STAMP: cms.ContentInfo, _COUNTER: cms.SignerInfo}[kind].load(value)
    attribute = cms.CMSAttribute({"type": kind, "values": [content]})
    if isinstance(signer["unsigned_attrs"], Void):
        signer["unsigned_attrs"] = cms.CMSAttributes([attribute])
    else:
        signer["unsigned_attrs"].append(attribute)


def _with_certificates(signed: SignedData, certificates: Iterable[bytes]) -> None:
    from asn1crypto import cms
    from asn1crypto.core import Void

    there = _certificates(signed)
    new = [certificate_choice(each) for each in certificates if each not in there]
    if isinstance(signed["certificates"], Void):
        signed["certificates"] = cms.CertificateSet(new)
    else:
        for each in new:
            signed["certificates"].append(each)


def _with_validation_data(signed: SignedData, data: ValidationData) -> None:
    """Put it where ETSI EN 319 122-1 §6.3 wants it: into SignedData's own certificates and crls."""
    from asn1crypto import cms, crl, ocsp
    from asn1crypto.core import Void

    _with_certificates(signed, data.certificates)
    answers = [
        {"other_rev_info_format": "ocsp_response", "other_rev_info": ocsp.OCSPResponse.load(each)}
        for each in data.ocsp
    ]
    choices = [cms.RevocationInfoChoice({"other": each}) for each in answers]
    choices += [cms.RevocationInfoChoice({"crl": crl.CertificateList.load(each)}) for each in data.crls]
    there = [] if isinstance(signed["crls"], Void) else list(signed["crls"])
    known = {each.dump() for each in there}
    signed["crls"] = cms.RevocationInfoChoices(
        [*there, *(each for each in choices if each.dump() not in known)]
    )
    if answers:
        signed["version"] = "v5"  # RFC 5652 §5.1
