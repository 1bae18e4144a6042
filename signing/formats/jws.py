"""JSON Web Signatures (RFC 7515) with the signer's certificates, compact, as JSON, or without the document.

The header names the certificate by its digest and says when it was signed, as JAdES B-B has it (ETSI TS 119
182-1 §5.1, §6.3): any JOSE library verifies it, and whoever wants to know the signer finds the chain in it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from signing.certificate import curve_bits, pss_only, signature_key
from signing.errors import DocumentUnusableError, HashUnsupportedError
from signing.formats import Evidence, Level, Ready, SignatureFormat, Signer
from signing.guard import check_document
from signing.hashes import Hash
from signing.sign import ecdsa_numbers

_RSA: Final = {Hash.SHA_256: "RS256", Hash.SHA_384: "RS384", Hash.SHA_512: "RS512"}
_PSS: Final = {Hash.SHA_256: "PS256", Hash.SHA_384: "PS384", Hash.SHA_512: "PS512"}
# RFC 7518 §3.4: the curve decides the hash.
_EC: Final = {256: (Hash.SHA_256, "ES256"), 384: (Hash.SHA_384, "ES384"), 521: (Hash.SHA_512, "ES512")}


class Serialization(StrEnum):
    """How it is written (RFC 7515 §7); several signatures need JSON."""

    COMPACT = "compact"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class JwsForm:
    """A JWS over a whole document.

    Attributes:
        detached: without the document (RFC 7515 appendix F).
        serialization: compact, or JSON in its general form, which holds further signatures too.
        media_type: of the document, for the header `cty`; empty for none.
    """

    detached: bool = False
    serialization: Serialization = Serialization.COMPACT
    media_type: str = ""

    @property
    def format(self) -> SignatureFormat:
        """JWS."""
        return SignatureFormat.JWS

    @property
    def suffix(self) -> str:
        """What is added to the file's name."""
        return ".jws" if self.serialization is Serialization.COMPACT else ".jws.json"

    def prepare(self, document: bytes, signer: Signer, algorithm: Hash, when: datetime) -> Ready:
        """Return the signing input (RFC 7515 §5.1); as `signing.formats.Form.prepare`.

        With an EC key the curve decides the hash. A document that is a JWS in JSON itself, of the general
        form, gets one more signature over the same payload.
        """
        check_document(document)
        name, algorithm = _algorithm(signer.certificate, algorithm)
        earlier, payload = self._earlier(document)
        header = {
            "alg": name,
            "iat": int(when.timestamp()),
            "x5t#S256": encoded(sha256(signer.certificate).digest()),
            "x5c": [base64.b64encode(each).decode() for each in (signer.certificate, *signer.chain)],
        }
        if self.media_type:
            header["cty"] = self.media_type
        protected = encoded(json.dumps(header, separators=(",", ":")).encode())
        content = encoded(document) if payload is None else payload

        def finish(value: bytes) -> bytes:
            signature = encoded(_concatenated(signer.certificate, value))
            if self.serialization is Serialization.COMPACT:
                return f"{protected}.{'' if self.detached else content}.{signature}".encode()
            signatures = [*earlier, {"protected": protected, "signature": signature}]
            message = {} if self.detached else {"payload": content}
            return json.dumps({**message, "signatures": signatures}, separators=(",", ":")).encode()

        return Ready(f"{protected}.{content}".encode(), algorithm, finish)

    async def augment(self, signed: bytes, level: Level, evidence: Evidence) -> bytes:
        """Return the same: this program makes JWS of level B-B alone."""
        if level is not Level.B_B:
            raise DocumentUnusableError(
                "a JWS has no place for time stamps here; CAdES, XAdES and PAdES have"
            )
        return signed

    def _earlier(self, document: bytes) -> tuple[list[dict[str, Any]], str | None]:
        """Return the signatures that a JWS in JSON has already, and its payload as it was encoded."""
        if self.serialization is not Serialization.JSON or not document.lstrip().startswith(b"{"):
            return [], None
        try:
            message = json.loads(document)
        except (ValueError, RecursionError):
            return [], None
        if not isinstance(message, dict) or not message.keys() >= {"payload", "signatures"}:
            return [], None
        earlier, payload = message["signatures"], message["payload"]
        known = message.keys() == {"payload", "signatures"}
        if not known or not isinstance(earlier, list) or not isinstance(payload, str):
            raise DocumentUnusableError("this JWS has another form than the general one (RFC 7515 §7.2.1)")
        return earlier, payload


def encoded(octets: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _algorithm(certificate: bytes, wanted: Hash) -> tuple[str, Hash]:
    bits = curve_bits(signature_key(certificate))
    if bits:
        algorithm, name = _EC[bits]
        return name, algorithm
    names = _PSS if pss_only(certificate) else _RSA
    if wanted not in names:
        raise HashUnsupportedError(f"JWS has no {wanted}")
    return names[wanted], wanted


def _concatenated(certificate: bytes, value: bytes) -> bytes:
    """Return an RSA signature as it is, an ECDSA one as r ‖ s (RFC 7518 §3.4)."""
    bits = curve_bits(signature_key(certificate))
    return ecdsa_numbers(value, bits) if bits else value
