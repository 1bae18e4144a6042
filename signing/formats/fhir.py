"""Signatures of FHIR resources (HL7 FHIR R4 §2.36, Signature data type): a Provenance over one resource.

What is signed is the resource in canonical JSON (http://hl7.org/fhir/canonicalization/json), so that it may
be stored and sent in any layout; the signature in `Provenance.signature.data` is a detached JWS, or a
detached XML signature where the guide of the exchange wants that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from signing.errors import CertificateMalformedError, DocumentUnusableError
from signing.formats import Evidence, Form, Level, Ready, SignatureFormat, Signer
from signing.formats.jws import JwsForm
from signing.hashes import Hash
from signing.json_members import RepeatedMemberError, once

JOSE: Final = "application/jose"
XML: Final = "application/signature+xml"
_DEPTH_MAX: Final = 64
_AUTHOR: Final = {
    "system": "urn:iso-astm:E1762-95:2013",
    "code": "1.2.840.10065.1.12.1.1",
    "display": "Author's Signature",
}


@dataclass(frozen=True, slots=True)
class FhirForm:
    """A Provenance over one resource.

    Attributes:
        xml: the signature is XAdES; else JWS.
        reason: why it was signed, `Provenance.reason`; empty for none.
    """

    xml: bool = False
    reason: str = ""

    @property
    def format(self) -> SignatureFormat:
        """FHIR."""
        return SignatureFormat.FHIR

    @property
    def suffix(self) -> str:
        """What is put in front of the file's ending."""
        return ".provenance.json"

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return what is signed over the canonical resource; as `signing.formats.Form.prepare`."""
        resource = resource_in(document)
        reference = _reference(resource)
        inner = self._inner(reference).prepare(canonical(resource), signer, algorithm, when)

        def finish(value: bytes) -> bytes:
            moment = when.isoformat(timespec="seconds")
            who = {"display": _name(signer.certificate)}
            signature = {
                "type": [_AUTHOR],
                "when": moment,
                "who": who,
                "targetFormat": "application/fhir+json;canonicalization=http://hl7.org/fhir/canonicalization/json",
                "sigFormat": XML if self.xml else JOSE,
                "data": base64.b64encode(inner.finish(value)).decode(),
            }
            provenance = {
                "resourceType": "Provenance",
                "target": [{"reference": reference}],
                "recorded": moment,
                **({"reason": [{"text": self.reason}]} if self.reason else {}),
                "agent": [{"who": who}],
                "signature": [signature],
            }
            return json.dumps(provenance, ensure_ascii=False, indent=2).encode()

        return Ready(inner.signed, inner.hash, finish)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the Provenance with its signature at a higher level, which only the XML one has."""
        if level is Level.B_B:
            return signed
        if not self.xml:
            raise DocumentUnusableError("a JWS has no place for time stamps here; the XML signature has")
        provenance = resource_in(signed)
        signature = provenance["signature"][-1]
        raised = await self._inner("").augment(base64.b64decode(signature["data"]), level, evidence)
        signature["data"] = base64.b64encode(raised).decode()
        return json.dumps(_plain(provenance), ensure_ascii=False, indent=2).encode()

    def _inner(self, reference: str) -> Form:
        if not self.xml:
            return JwsForm(detached=True, media_type="application/fhir+json")
        from signing.formats.xml_signature import Packaging, XmlForm

        return XmlForm(packaging=Packaging.DETACHED, name=reference, media_type="application/fhir+json")


class Number(str):
    """A number as it was written: FHIR keeps `1.10` apart from `1.1` (§2.24.0.1, decimal)."""

    __slots__ = ()


def resource_in(document: bytes) -> dict[str, Any]:
    """Return a FHIR resource in JSON, its numbers as they were written.

    Raises:
        DocumentUnusableError: it is none, or a member is there twice.
    """
    try:
        text = document.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=once, parse_float=Number, parse_int=Number)
    except RepeatedMemberError as error:
        raise DocumentUnusableError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DocumentUnusableError("this is no FHIR resource in JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise DocumentUnusableError("this is no FHIR resource: resourceType is missing")
    return found


def canonical(resource: Mapping[str, Any]) -> bytes:
    """Return the resource as canonical JSON: members in the order of their names, no blanks.

    Raises:
        DocumentUnusableError: it is nested too deeply.
    """
    return "".join(_written(resource, 0)).encode("utf-8", "surrogatepass")


def _written(value: Any, depth: int) -> list[str]:
    if depth > _DEPTH_MAX:
        raise DocumentUnusableError("the resource is nested too deeply")
    if isinstance(value, Number):
        return [str(value)]
    if isinstance(value, dict):
        parts = ["{"]
        for number, name in enumerate(sorted(value)):
            parts += ["," if number else "", json.dumps(name, ensure_ascii=False), ":"]
            parts += _written(value[name], depth + 1)
        return [*parts, "}"]
    if isinstance(value, list):
        parts = ["["]
        for number, each in enumerate(value):
            parts += ["," if number else "", *_written(each, depth + 1)]
        return [*parts, "]"]
    return [json.dumps(value, ensure_ascii=False)]


def _plain(value: Any) -> Any:
    """Return the same for `json.dumps`, which knows no number that keeps its spelling."""
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _reference(resource: Mapping[str, Any]) -> str:
    kind, number = resource["resourceType"], resource.get("id")
    return f"{kind}/{number}" if isinstance(number, str) and number else f"{kind}"


def _name(certificate: bytes) -> str:
    from hca_card.certificate import describe
    from hca_card.errors import CardDataError

    try:
        facts = describe(certificate)
    except CardDataError as error:
        raise CertificateMalformedError(str(error)) from error
    return facts.common_name or facts.subject
