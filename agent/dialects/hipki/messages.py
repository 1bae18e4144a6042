"""What pages of the HiPKI dialect send and are answered: `tbsPackage` in, one JSON object out.

Names are those of the protocol (docs/hipki.md). Members that are not known are let through: old pages send
many.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from agent.errors import AgentError, ErrorId
from hca_card.decoding import UNREADABLE
from hca_card.pin import Pin

FIELD: Final = b"tbsPackage="

_READER_NAME_MAX: Final = 256
_CIPHER_MAX: Final = 1024
_NONCE_MAX: Final = 1024


class PagePackage(msgspec.Struct, frozen=True, rename="camel"):
    """`tbsPackage`. Never in a repr: one member is a PIN.

    Attributes:
        func: what the page wants.
        tbs: what is to be signed.
        tbs_encoding: `NONE`, the text itself as UTF-8, or `base64`.
        hash_algorithm: `SHA1`, `SHA256`, `SHA384`, `SHA512`.
        signature_type: `PKCS1`, `PKCS7`, `RAW`.
        pin: see `typed`.
        with_card_sn: whether PKCS7 is to hold the card's number.
        nonce: what PKCS7 is to hold as nonce, as UTF-8.
        slot_description: the reader; left out or empty, whichever has the card.
        cipher: what is to be decrypted, base64.
    """

    func: str = ""
    tbs: str = ""
    tbs_encoding: str = "NONE"
    hash_algorithm: str = "SHA256"
    signature_type: str = "PKCS1"
    pin: Pin | None = None
    with_card_sn: str | bool = msgspec.field(default="false", name="withCardSN")
    nonce: str = ""
    slot_description: str = ""
    cipher: str = ""

    def __repr__(self) -> str:
        return f"PagePackage(func={self.func!r}, …)"

    @property
    def typed(self) -> Pin | None:
        """The PIN that was typed in the page; None where it is left out or empty: the person is asked."""
        return self.pin if self.pin else None

    @property
    def reader(self) -> str | None:
        """The reader named, if any.

        Raises:
            AgentError: request.parameters.
        """
        if len(self.slot_description) > _READER_NAME_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return self.slot_description or None

    @property
    def wants_card_number(self) -> bool:
        """Whether `with_card_sn` says so."""
        return str(self.with_card_sn).lower() == "true"

    @property
    def document(self) -> bytes:
        """What is to be signed.

        Raises:
            AgentError: request.parameters if there is nothing, or it is not encoded as it says.
        """
        match self.tbs_encoding.lower():
            case "none" | "":
                document = encoded(self.tbs)
            case "base64":
                document = decoded(self.tbs)
            case _:
                raise AgentError(ErrorId.REQUEST_PARAMETERS)
        if not document:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return document

    @property
    def nonce_octets(self) -> bytes:
        """The nonce, empty for none.

        Raises:
            AgentError: request.parameters if it is too long.
        """
        octets = encoded(self.nonce)
        if len(octets) > _NONCE_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return octets

    @property
    def block(self) -> bytes:
        """What is to be decrypted.

        Raises:
            AgentError: request.parameters if there is nothing, or too much.
        """
        block = decoded(self.cipher)
        if not 0 < len(block) <= _CIPHER_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return block

    def wipe(self) -> None:
        """Forget the PIN."""
        if self.pin is not None:
            self.pin.wipe()


class HipkiAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every answer has; the numbers are those of `agent.errors.numbers.hipki`.

    Attributes:
        func: what it answers: `pkcs11info`, `sign`, `decrypt`.
        message: what happened and what to do next, in both languages; empty where all is well.
    """

    func: str
    ret_code: int = msgspec.field(name="ret_code")
    last_error: int = msgspec.field(name="last_error")
    message: str
    server_version: str


class SignAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """A signature.

    Attributes:
        signature: base64: PKCS#1 v1.5, big-endian; or CMS SignedData with the document in it.
        certb64: the certificate that checks it, DER.
        card_sn: the number of the card.
    """

    signature: bytes
    certb64: bytes
    card_sn: str = msgspec.field(name="cardSN")


class DecryptAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """A plain text, base64."""

    plaintext: bytes


class HipkiCertificate(msgspec.Struct, frozen=True, rename="camel"):
    """A certificate of the holder's.

    Attributes:
        label: a name for it.
        id: what it has in common with its key: SHA-1 of the public key.
        usage: `digitalSignature`, or `keyEncipherment|dataEncipherment`.
        certb64: DER.
        sn: its number, upper-case hexadecimal.
        subject_dn: the holder's whole name.
        issuer_dn: the authority's.
        not_before: UTC, ISO 8601.
        not_after: likewise.
        thumbprint: SHA-1 of the certificate, upper-case hexadecimal.
    """

    label: str
    id: bytes
    usage: str
    certb64: bytes
    sn: str
    subject_dn: str = msgspec.field(name="subjectDN")
    issuer_dn: str = msgspec.field(name="issuerDN")
    not_before: str
    not_after: str
    thumbprint: str


class HipkiKey(msgspec.Struct, frozen=True):
    """A public key of the card: SubjectPublicKeyInfo, DER; `id` as its certificate's."""

    label: str
    id: bytes
    keyb64: bytes
    type: str


class HipkiToken(msgspec.Struct, frozen=True, rename="camel"):
    """A card.

    Attributes:
        certs: absent where the page did not ask for them; `keys` too.
    """

    label: str
    model: str
    manufacturer_id: str = msgspec.field(name="manufacturerID")
    serial_number: str
    certs: tuple[HipkiCertificate, ...] | msgspec.UnsetType = msgspec.UNSET
    keys: tuple[HipkiKey, ...] | msgspec.UnsetType = msgspec.UNSET


class HipkiSlot(msgspec.Struct, frozen=True, rename="camel"):
    """A reader.

    Attributes:
        slot_description: its name.
        slot_id: counted from 0.
        token: the card in it; null without one; a text where it cannot be used.
    """

    slot_description: str
    slot_id: int = msgspec.field(name="slotID")
    manufacturer_id: str = msgspec.field(name="manufacturerID")
    token: HipkiToken | str | None


class InfoAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """All readers."""

    slots: tuple[HipkiSlot, ...]


def read(body: bytes) -> PagePackage:
    """Return the `tbsPackage` of a form body; an empty one where there is none.

    Raises:
        AgentError: request.not_json, or request.parameters if a member is of the wrong type.
    """
    for pair in body.split(b"&"):
        if pair.startswith(FIELD):
            # "+" is not a blank here: pages that escape nothing but it mean base64's plus.
            return _package(unquote_to_bytes(pair[len(FIELD) :]))
    return PagePackage()


def _package(text: bytes) -> PagePackage:
    try:
        return msgspec.json.decode(text, type=PagePackage, dec_hook=_pin)
    except msgspec.ValidationError:  # JSON, with a wrong member
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None
    except UNREADABLE:
        raise AgentError(ErrorId.REQUEST_NOT_JSON) from None


def _pin(_kind: type, value: Any) -> Pin:
    if not isinstance(value, str):
        raise ValueError("a PIN is a text")  # noqa: TRY004  (what msgspec takes from a hook)
    return Pin(value)


def encoded(text: str) -> bytes:
    """Encode as UTF-8.

    Raises:
        AgentError: request.parameters if there is half of a surrogate pair.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None


def decoded(text: str) -> bytes:
    """Decode base64 in one line or several.

    Raises:
        AgentError: request.parameters if it is not base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None
