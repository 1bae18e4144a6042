"""The form of the demo portal, 報備支援: what is filled in, the text that is signed, and what came of it."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from agent.demo.errors import PortalError
from agent.demo.people import SignedIn

TEXT_CHARACTERS_MAX = 60
DAYS_MAX = 92


@dataclass(frozen=True, slots=True)
class SupportApplication:
    """One application as the person will sign it.

    Attributes:
        number: the portal's number for it, so that no two texts are alike.
        document: the exact UTF-8 bytes that are signed: the JSON text that the page shows.
    """

    number: str
    document: bytes


@dataclass(frozen=True, slots=True)
class SignedApplication:
    """An application whose signature was verified; `certificate_serial` is hexadecimal."""

    application: SupportApplication
    signature: bytes
    received: datetime
    holder: str
    certificate_serial: str
    issuer: str

    def to_json(self) -> dict[str, object]:
        """Return what the result page shows."""
        return {
            "number": self.application.number,
            "document": self.application.document.decode(),
            "signature": base64.b64encode(self.signature).decode("ascii"),
            "received": self.received.isoformat(timespec="seconds"),
            "holder": self.holder,
            "certificateSerial": self.certificate_serial,
            "issuer": self.issuer,
        }


def prepare(fields: Mapping[str, object], who: SignedIn, *, origin: str) -> SupportApplication:
    """Return the application that `fields` (all text: place, firstDay, lastDay, begins, ends) describe.

    Raises:
        PortalError: `form.incomplete` if something is missing, too long, or ends before it begins.
    """
    place = _line(fields.get("place"))
    try:
        first_day, last_day = (date.fromisoformat(_line(fields.get(key))) for key in ("firstDay", "lastDay"))
        begins, ends = (time.fromisoformat(_line(fields.get(key))) for key in ("begins", "ends"))
    except ValueError:
        raise PortalError("form.incomplete") from None
    if begins.tzinfo or ends.tzinfo or begins >= ends or not 0 <= (last_day - first_day).days <= DAYS_MAX:
        raise PortalError("form.incomplete")
    number = f"DEMO-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4).upper()}"
    document = canonical_text(
        {
            "申辦項目": "報備支援",
            "案號": number,
            "申請人": who.name,
            "支援地點": place,
            "支援日期": f"{first_day.isoformat()} 至 {last_day.isoformat()}",
            "支援時間": f"{begins:%H:%M} 至 {ends:%H:%M}",
            "受理網站": origin,
        }
    )
    return SupportApplication(number, document)


def verify_signature(
    application: SupportApplication, signature_text: object, who: SignedIn
) -> SignedApplication:
    """Check the signature of the application with the key that logged in, and with no other.

    Args:
        application: what the person was shown.
        signature_text: base64 of a PKCS#1 v1.5 signature with SHA-256.
        who: the log-in; its certificate is the judge, not one that the page may send.

    Raises:
        PortalError: `request.malformed` or `signature.refused`.
    """
    from signing.errors import SignatureInvalidError
    from signing.hashes import Hash
    from signing.verify import verify

    if not isinstance(signature_text, str):
        raise PortalError("request.malformed")
    try:
        signature = base64.b64decode(signature_text, validate=True)
    except (binascii.Error, ValueError):
        raise PortalError("request.malformed") from None
    try:
        verify(who.certificate, application.document, signature, Hash.SHA_256)
    except SignatureInvalidError:
        raise PortalError("signature.refused") from None
    now = datetime.now(UTC)
    return SignedApplication(application, signature, now, who.name, who.certificate_serial, who.issuer)


def canonical_text(members: Mapping[str, str]) -> bytes:
    """Return JSON (RFC 8259) in one form: members sorted, no spaces, NFC, UTF-8."""
    text = json.dumps(dict(members), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return unicodedata.normalize("NFC", text).encode("utf-8")


def _line(value: object) -> str:
    """Return a short line of text without control characters, which must not be empty."""
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not text.isprintable():
        raise PortalError("form.incomplete")
    return text
