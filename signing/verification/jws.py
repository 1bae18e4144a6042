"""Read JSON Web Signatures (RFC 7515), compact or JSON, with the document inside or beside."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Any, Final

from signing.certificate import any_public_key, pss_allows, pss_only
from signing.errors import CertificateError
from signing.formats import SignatureFormat
from signing.formats.jws import encoded
from signing.hashes import Hash
from signing.json_members import RepeatedMemberError, once
from signing.verification.found import Finding, FoundDocument, FoundSignature, Remark

SIGNATURES_MAX: Final = 64
_HEADER_BYTES_MAX: Final = 256 * 1024
_VALUE_MAX: Final = 2048
_CHAIN_MAX: Final = 16

_HASHES: Final = {"256": Hash.SHA_256, "384": Hash.SHA_384, "512": Hash.SHA_512}
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_ALGORITHMS: Final = frozenset(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in _HASHES)
_UNDERSTOOD: Final = frozenset(("alg", "iat", "sigT", "x5t#S256", "x5t#o", "sigD"))
"""Header parameters that `crit` may name: what they say is looked at or changes nothing of what is signed."""


class _RefusedError(Exception):
    """Why a message is not read; the finding and its detail."""

    def __init__(self, finding: Finding, detail: str = "") -> None:
        super().__init__(detail)
        self.remark = Remark(finding, detail)


@dataclass(frozen=True, slots=True)
class _Signature:
    protected: str
    payload: str
    value: str
    unprotected: dict[str, Any]


def read_jws(
    message: bytes, document: bytes | None = None, certificate: bytes | None = None
) -> FoundDocument:
    """Return the signatures of a JWS.

    Args:
        message: compact, or JSON in the flattened or the general form.
        document: what should have been signed; None for the payload that is inside.
        certificate: the signer's where the header does not have it, DER.
    """
    try:
        found = tuple(_read(each, document, certificate) for each in _signatures(message))
    except _RefusedError as error:
        return FoundDocument("jws", (), (error.remark,))
    return FoundDocument("jws", found, () if found else (Remark(Finding.NO_SIGNATURE),))


def _signatures(message: bytes) -> Iterator[_Signature]:
    try:
        text = message.decode("ascii" if not message.lstrip().startswith(b"{") else "utf-8").strip()
    except UnicodeDecodeError:
        raise _RefusedError(Finding.DOCUMENT_UNREADABLE) from None
    if not text.startswith("{"):
        parts = text.split(".")
        if len(parts) != 3:
            raise _RefusedError(Finding.DOCUMENT_UNREADABLE)
        yield _Signature(parts[0], parts[1], parts[2], {})
        return
    whole = _object(text)
    listed = whole.get("signatures")
    if listed is None:
        listed = [{name: whole[name] for name in ("protected", "header", "signature") if name in whole}]
    elif "signature" in whole or not isinstance(listed, list):
        raise _RefusedError(Finding.STRUCTURE_AMBIGUOUS, "flattened and general at once")
    if len(listed) > SIGNATURES_MAX:
        raise _RefusedError(Finding.STRUCTURE_REFUSED, f"{len(listed)} signatures")
    payload = whole.get("payload", "")
    for each in listed:
        if not isinstance(each, dict) or not isinstance(payload, str):
            raise _RefusedError(Finding.DOCUMENT_UNREADABLE)
        protected, value, header = (
            each.get("protected", ""),
            each.get("signature", ""),
            each.get("header", {}),
        )
        if not isinstance(protected, str) or not isinstance(value, str) or not isinstance(header, dict):
            raise _RefusedError(Finding.DOCUMENT_UNREADABLE)
        yield _Signature(protected, payload, value, header)


def _read(signature: _Signature, document: bytes | None, named: bytes | None) -> FoundSignature:
    """Return one signature as a finding, whatever it holds."""
    try:
        header = _object(_decoded(signature.protected, _HEADER_BYTES_MAX).decode("utf-8"))
    except (_RefusedError, UnicodeDecodeError) as error:
        remark = error.remark if isinstance(error, _RefusedError) else Remark(Finding.SIGNATURE_UNREADABLE)
        return FoundSignature(SignatureFormat.JWS, None, intact=False, remarks=(remark,))
    certificate: bytes | None = None
    others: tuple[bytes, ...] = ()
    try:
        chain = _certificates(header, named)
        certificate, others = (chain[0], chain[1:]) if chain else (None, ())
        remarks = tuple(_checked(signature, header, certificate, document))
    except _RefusedError as error:
        remarks = (error.remark,)
    return FoundSignature(
        SignatureFormat.JWS,
        certificate,
        intact=not remarks,
        remarks=remarks,
        hash=_HASHES.get(str(header.get("alg"))[2:]),
        claimed_time=_time(header),
        binds_certificate=any(name in header for name in ("x5t#S256", "x5t#o", "sigX5ts")),
        certificates=others,
    )


def _checked(
    signature: _Signature, header: dict[str, Any], certificate: bytes | None, document: bytes | None
) -> Iterator[Remark]:
    """Give the first thing that is wrong."""
    name = header.get("alg")
    if not isinstance(name, str) or name not in _ALGORITHMS:
        # `none` and the HS family among them: whoever made such a one had no key of the certificate's.
        keyless = str(name).lower() == "none" or str(name)[:2] == "HS"
        finding = Finding.SIGNATURE_WRONG if keyless else Finding.ALGORITHM_UNKNOWN
        raise _RefusedError(finding, str(name)[:20])
    if not signature.unprotected.keys().isdisjoint(header) or "alg" in signature.unprotected:
        raise _RefusedError(Finding.STRUCTURE_AMBIGUOUS, "a parameter is there twice")
    critical = header.get("crit", ["alg"])
    # RFC 7515 §4.1.11: never empty, and naming what is there and understood.
    if (
        not isinstance(critical, list)
        or not critical
        or not set(map(str, critical))
        <= _UNDERSTOOD
        & {
            *header,
            "alg",
        }
    ):
        raise _RefusedError(Finding.ALGORITHM_UNKNOWN, f"crit {critical}"[:60])
    if "b64" in header or "sigD" in header:
        raise _RefusedError(Finding.ALGORITHM_UNKNOWN, "b64 or sigD")
    payload = signature.payload
    if document is not None:
        inside = encoded(document)
        if payload and payload.rstrip("=") != inside:
            raise _RefusedError(Finding.CONTENT_CHANGED, "the document given is not the one inside")
        payload = inside
    elif not payload:
        raise _RefusedError(Finding.CONTENT_MISSING)
    if certificate is None:
        raise _RefusedError(Finding.CERTIFICATE_MISSING)
    if not _is_named(header, certificate):
        raise _RefusedError(Finding.CERTIFICATE_OTHER)
    if not _verifies(f"{signature.protected}.{payload}", signature.value, str(name), certificate):
        # The value covers the content itself: which of the two was changed cannot be told.
        yield Remark(Finding.CONTENT_CHANGED)


def _verifies(signing_input: str, value: str, name: str, certificate: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey
    from joserfc.jws import JWSRegistry

    try:
        key, allowed = any_public_key(certificate), _allows(certificate, name)
    except CertificateError as error:
        raise _RefusedError(Finding.CERTIFICATE_UNREADABLE, str(error)[:80]) from error
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, RSAPublicKey) and allowed:
        jwk: RSAKey | ECKey = RSAKey.import_key(pem)
    elif isinstance(key, EllipticCurvePublicKey) and _CURVES.get(name) == key.curve.name:
        jwk = ECKey.import_key(pem)
    else:
        raise _RefusedError(Finding.SIGNATURE_WRONG, f"{name} is no algorithm of the certificate's key")
    algorithm = JWSRegistry(algorithms=[name]).get_alg(name)
    try:
        return bool(algorithm.verify(signing_input.encode("ascii"), _decoded(value, _VALUE_MAX), jwk))
    except (JoseError, ValueError, TypeError):
        return False


def _allows(certificate: bytes, name: str) -> bool:
    """Whether the certificate says nothing against that algorithm for its key, if it is RSA."""
    if name.startswith("RS"):
        return not pss_only(certificate)
    return name.startswith("PS") and pss_allows(certificate, _HASHES[name[2:]])


def _certificates(header: dict[str, Any], named: bytes | None) -> tuple[bytes, ...]:
    """Return the certificates of `x5c` (RFC 7515 §4.1.6), the signer's first; else the one that was named."""
    chain = header.get("x5c")
    if chain is None:
        return () if named is None else (named,)
    is_list = isinstance(chain, list) and 0 < len(chain) <= _CHAIN_MAX
    if not is_list or not all(isinstance(each, str) for each in chain):
        raise _RefusedError(Finding.CERTIFICATE_UNREADABLE, "x5c")
    try:
        return tuple(base64.b64decode(each, validate=True) for each in chain)
    except (binascii.Error, ValueError):
        raise _RefusedError(Finding.CERTIFICATE_UNREADABLE, "x5c") from None


def _is_named(header: dict[str, Any], certificate: bytes) -> bool:
    """Return whether the digests in the header are of this certificate (RFC 7515 §4.1.8)."""
    named = header.get("x5t#S256")
    if named is not None and named != encoded(sha256(certificate).digest()):
        return False
    other = header.get("x5t#o")
    if other is None:
        return True
    algorithms = {"S256": sha256, "S512": sha512}
    made = algorithms.get(str(other.get("digAlg"))) if isinstance(other, dict) else None
    return made is not None and other.get("digVal") == encoded(made(certificate).digest())


def _time(header: dict[str, Any]) -> datetime | None:
    try:
        if isinstance(header.get("iat"), int):
            return datetime.fromtimestamp(header["iat"], UTC)
        text = header.get("sigT")
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object without a member that is there twice (RFC 7515 §4).

    Raises:
        _RefusedError: it is none.
    """
    try:
        found = json.loads(text, object_pairs_hook=once)
    except RepeatedMemberError as error:
        raise _RefusedError(Finding.STRUCTURE_AMBIGUOUS, str(error)) from None
    except (ValueError, RecursionError):
        raise _RefusedError(Finding.DOCUMENT_UNREADABLE) from None
    if not isinstance(found, dict):
        raise _RefusedError(Finding.DOCUMENT_UNREADABLE)
    return found


def _decoded(text: str, most: int) -> bytes:
    if len(text) > most:
        raise _RefusedError(Finding.STRUCTURE_REFUSED, "a part is too large")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _RefusedError(Finding.SIGNATURE_UNREADABLE) from None
